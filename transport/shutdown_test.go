package transport_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

// unspecified is a PacketConn that does not know where it is.
type unspecified struct{ net.PacketConn }

func (unspecified) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv6unspecified, Port: 5060} }

func TestShutdownWritesWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		n.window = 100
		r := start(t, transport.Config{Network: n})
		r.listen(transport.TCP, server)
		r.listen(transport.UDP, server)
		idle, c := phone(t, n, ""), phone(t, n, "")
		write(t, c, "one\n")
		f := r.want("one\n")
		last := strings.Repeat("b", 5000) + "\n"
		require.NoError(t, r.layer.Send(f, []byte(last)))
		var wg sync.WaitGroup
		wg.Go(func() { require.NoError(t, r.layer.Shutdown(t.Context())) })
		wg.Go(func() { require.NoError(t, r.layer.Shutdown(t.Context()), "a second one waits too") })
		synctest.Wait()
		_, err := idle.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "closed at once")
		require.NotEqual(t, f, r.wantEnd(transport.ErrClosed))
		write(t, c, "not received\n")
		all, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, last, string(all))
		wg.Wait()
		require.Equal(t, f, r.wantEnd(transport.ErrClosed))
		r.nothing()
		require.EqualValues(t, 2, r.layer.Stats().Stream.Closed.Shutdown)
	})
}

func TestShutdownDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		n.window = 100
		r := start(t, transport.Config{Network: n, WriteTimeout: -1})
		r.listen(transport.TCP, server)
		a, b := phone(t, n, ""), phone(t, n, "")
		write(t, a, "one\n")
		fa := r.want("one\n")
		write(t, b, "two\n")
		fb := r.want("two\n")
		require.NoError(t, r.layer.Send(fa, make([]byte, 5000)))
		require.NoError(t, r.layer.Send(fb, make([]byte, 5000)))
		require.NoError(t, r.layer.Close(fb)) // it is ending, but must be found
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		require.ErrorIs(t, r.layer.Shutdown(ctx), context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(began))
		require.NoError(t, r.layer.Shutdown(t.Context()))
	})
}

func TestShutdownWaitsForDetachedReceives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		var ended time.Time
		r := start(t, transport.Config{Network: n, Receive: func(p *transport.Packet) {
			p.Detach()
			time.Sleep(10 * time.Second)
			ended = time.Now()
		}})
		ls := r.listen(transport.UDP, server)
		require.NoError(t, r.layer.Send(r.connect(transport.UDP, ls.Addr), []byte("one")))
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.layer.Shutdown(t.Context()))
		require.Equal(t, 10*time.Second, time.Since(began))
		require.Equal(t, time.Now(), ended)
	})
}

func TestShutdownEndsDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		n.dialing = time.Hour
		r := start(t, transport.Config{Network: n, DialTimeout: -1})
		var wg sync.WaitGroup
		wg.Go(func() {
			hop := transport.Hop{Protocol: transport.TCP, Addr: netip.MustParseAddrPort("192.0.2.9:5060")}
			_, err := r.layer.Connect(t.Context(), hop, netip.AddrPort{})
			require.ErrorIs(t, err, transport.ErrClosed)
		})
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.layer.Shutdown(t.Context()))
		require.Zero(t, time.Since(began))
		wg.Wait()
	})
}

func TestNothingWorksAfterShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n})
		tcp, udp := r.listen(transport.TCP, server), r.listen(transport.UDP, server)
		uf := r.connect(transport.UDP, udp.Addr)
		tf := r.connect(transport.TCP, tcp.Addr)
		require.NoError(t, r.layer.Shutdown(t.Context()))
		for _, f := range []transport.Flow{uf, tf} {
			require.ErrorIs(t, r.layer.Send(f, []byte("x\n")), transport.ErrClosed)
			_, err := r.layer.Connect(t.Context(), f.Hop(), netip.AddrPort{})
			require.ErrorIs(t, err, transport.ErrClosed)
		}
		require.ErrorIs(t, r.layer.Close(tf), transport.ErrClosed)
		_, err := r.layer.Listen(t.Context(), transport.UDP, netip.MustParseAddrPort(server), "")
		require.ErrorIs(t, err, transport.ErrClosed)
		pc, err := n.ListenPacket(t.Context(), "udp4", server)
		require.NoError(t, err, "the address is free")
		_, err = r.layer.ServePacket(pc, "")
		require.ErrorIs(t, err, transport.ErrClosed)
		_, _, err = pc.ReadFrom(nil)
		require.ErrorIs(t, err, net.ErrClosed, "what is not taken is closed")
		require.Empty(t, r.layer.Listeners())
		st := r.layer.Stats()
		require.Zero(t, st.UDP.Sockets)
		require.Zero(t, st.Stream.Connections)
	})
}

func TestShutdownOfAnUnusedLayer(t *testing.T) {
	l := transport.New(transport.Config{})
	require.NoError(t, l.Shutdown(t.Context()))
	require.NoError(t, l.Shutdown(t.Context()))
}

// On real sockets no bubble looks after the goroutines.
func TestShutdownLeavesNoGoroutine(t *testing.T) {
	a, b := start(t, transport.Config{}), start(t, transport.Config{})
	for _, host := range loopbacks {
		tcp, udp := a.listen(transport.TCP, host+":0"), a.listen(transport.UDP, host+":0")
		b.listen(transport.UDP, host+":0")
		for range 5 {
			f := b.connect(transport.TCP, tcp.Addr)
			require.NoError(t, b.layer.Send(f, []byte("one\n")))
			a.want("one\n")
			require.NoError(t, b.layer.Close(f))
			b.wantEnd(nil)
			a.wantEnd(io.EOF)
		}
		require.NoError(t, b.layer.Send(b.connect(transport.TCP, tcp.Addr), []byte("two\n")))
		a.want("two\n")
		require.NoError(t, b.layer.Send(b.connect(transport.UDP, udp.Addr), []byte("three")))
		a.want("three")
	}
	require.NoError(t, a.layer.Shutdown(t.Context()))
	require.NoError(t, b.layer.Shutdown(t.Context()))
	require.Empty(t, goroutines())
}
