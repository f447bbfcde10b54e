package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

// loopbacks are the addresses of the host's loopback that the tests on real sockets use.
var loopbacks = []string{"127.0.0.1", "[::1]"}

// RFC 3581 section 4: "The response must be sent from the same address and port that the request was received on."
func TestDatagramAnsweredFromTheSocketItCameTo(t *testing.T) {
	for _, host := range loopbacks {
		t.Run(host, func(t *testing.T) {
			var r *recorder
			r = start(t, transport.Config{Receive: func(p *transport.Packet) {
				require.NoError(t, r.layer.Send(p.Flow, p.Data))
			}})
			a, b := r.listen(transport.UDP, host+":0"), r.listen(transport.UDP, host+":0")
			require.NotZero(t, a.Addr.Port())
			require.NotEqual(t, a.Addr, b.Addr)

			pc, err := net.ListenPacket("udp", host+":0")
			require.NoError(t, err)
			defer pc.Close()
			for _, to := range []transport.Listener{a, b, a} {
				_, err := pc.WriteTo([]byte("ping"), net.UDPAddrFromAddrPort(to.Addr))
				require.NoError(t, err)
				buf := make([]byte, 100)
				n, from, err := pc.ReadFrom(buf)
				require.NoError(t, err)
				require.Equal(t, "ping", string(buf[:n]))
				require.Equal(t, to.Addr.String(), from.String())
			}
			require.Equal(t, 2, r.layer.Stats().UDP.Sockets)
			require.NoError(t, r.layer.Shutdown(t.Context()))
			st := r.layer.Stats().UDP
			require.Zero(t, st.Sockets)
			require.EqualValues(t, 3, st.In)
			require.EqualValues(t, 12, st.BytesIn)
			require.EqualValues(t, 3, st.Out)
			require.EqualValues(t, 12, st.BytesOut)
		})
	}
}

// networks are the ways to read datagrams: batches from the host, one by one from any other net.PacketConn.
func networks(t *testing.T, test func(t *testing.T, n transport.Network, at string)) {
	t.Run("host", func(t *testing.T) { test(t, nil, "127.0.0.1:0") })
	t.Run("memory", func(t *testing.T) { test(t, newMemNet("192.0.2.1"), "192.0.2.1:0") })
	t.Run("one by one", func(t *testing.T) { test(t, plainNet{}, "127.0.0.1:0") })
}

// plainNet is the host's network without what makes it fast.
type plainNet struct{}

type plainPacketConn struct{ net.PacketConn }

func (plainNet) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	pc, err := new(net.ListenConfig).ListenPacket(ctx, network, address)
	return plainPacketConn{pc}, err
}

func (plainNet) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, network, address)
}

func (plainNet) Dial(ctx context.Context, network, _, remote string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, remote)
}

func (plainNet) Addrs() ([]netip.Addr, error) { return nil, errors.New("unknown") }

// RFC 3261 section 18.1.1: "implementations MUST be able to handle messages up to the maximum datagram packet size. For
// UDP, this size is 65,535 bytes, including IP and UDP headers."
func TestDatagramSizes(t *testing.T) {
	networks(t, func(t *testing.T, n transport.Network, at string) {
		a, b := start(t, transport.Config{Network: n}), start(t, transport.Config{Network: n})
		to := b.listen(transport.UDP, at)
		a.listen(transport.UDP, at)
		f := a.connect(transport.UDP, to.Addr)
		for _, size := range []int{0, 1, 1300, 3000, 4000, 4095, 4096, 4097, 9000, 65507} {
			text := strings.Repeat("0123456789", size/10+1)[:size]
			require.NoError(t, a.layer.Send(f, []byte(text)))
			got := b.want(text)
			require.Equal(t, transport.Flow{Protocol: transport.UDP, Local: f.Remote, Remote: f.Local}, got)
		}
		require.ErrorIs(t, a.layer.Send(f, make([]byte, 65536)), transport.ErrTooLarge)
		require.EqualValues(t, 1, a.layer.Stats().UDP.SendErrors)
		if n == nil {
			require.ErrorIs(t, a.layer.Send(f, make([]byte, 65508)), transport.ErrTooLarge, "the kernel says so for IPv4")
		}
	})
}

func TestDatagramTruncated(t *testing.T) {
	for _, limit := range []int{100, 5000} {
		networks(t, func(t *testing.T, n transport.Network, at string) {
			r := start(t, transport.Config{Network: n, MaxMessage: limit})
			ls := r.listen(transport.UDP, at)
			f := r.connect(transport.UDP, ls.Addr)
			fits := strings.Repeat("x", limit)
			for range 3 {
				require.NoError(t, r.layer.Send(f, []byte(fits+"y")))
				require.NoError(t, r.layer.Send(f, []byte(fits)))
				r.want(fits)
			}
			st := r.layer.Stats().UDP
			require.EqualValues(t, 3, st.Truncated)
			require.EqualValues(t, 3, st.In)
			require.EqualValues(t, 3*limit, st.BytesIn)
		})
	}
}

// inFlight is how many small datagrams a kernel with little memory for sockets holds.
const inFlight = 100

func TestDatagramsInOrder(t *testing.T) {
	networks(t, func(t *testing.T, n transport.Network, at string) {
		r := start(t, transport.Config{Network: n})
		ls := r.listen(transport.UDP, at)
		f := r.connect(transport.UDP, ls.Addr)
		for round := range 20 {
			for i := range inFlight {
				require.NoError(t, r.layer.Send(f, fmt.Appendf(nil, "%d.%d", round, i)))
			}
			for i := range inFlight {
				r.want(fmt.Sprintf("%d.%d", round, i))
			}
		}
	})
}

// A Receive that detaches may block; the rest of its batch, and what comes later, is received in order meanwhile, and
// the detached data stays as it is.
func TestDetachDatagram(t *testing.T) {
	networks(t, func(t *testing.T, n transport.Network, at string) {
		const all = inFlight
		release := make(chan struct{})
		var r *recorder
		r = start(t, transport.Config{Network: n, Receive: func(p *transport.Packet) {
			text := string(p.Data)
			r.events <- got{flow: p.Flow, text: text}
			if strings.HasSuffix(text, "7") {
				p.Detach()
				p.Detach()
				<-release
				require.Equal(t, text, string(p.Data))
				r.events <- got{flow: p.Flow, text: "late " + text}
			}
		}})
		ls := r.listen(transport.UDP, at)
		f := r.connect(transport.UDP, ls.Addr)
		for i := range all {
			require.NoError(t, r.layer.Send(f, fmt.Appendf(nil, "%d", i)))
		}
		for i := range all {
			require.Equal(t, f.Local, r.want(fmt.Sprint(i)).Local)
		}
		close(release)
		var late []string
		for range all / 10 {
			late = append(late, (<-r.events).text)
		}
		slices.Sort(late)
		require.Len(t, slices.Compact(late), all/10)
	})
}

func TestDetachKeepsTheOrderOfTheRest(t *testing.T) {
	networks(t, func(t *testing.T, n transport.Network, at string) {
		const all = 3000
		var running, most, next atomic.Int32
		done := make(chan bool, all)
		r := start(t, transport.Config{Network: n, Receive: func(p *transport.Packet) {
			// Until the packet is detached, nobody else receives from the socket.
			most.Store(max(most.Load(), running.Add(1)))
			if string(p.Data) != fmt.Sprint(next.Add(1)-1) {
				t.Errorf("got %s", p.Data)
			}
			running.Add(-1)
			p.Detach()
			done <- true
		}})
		ls := r.listen(transport.UDP, at)
		f := r.connect(transport.UDP, ls.Addr)
		for i := range all {
			require.NoError(t, r.layer.Send(f, fmt.Appendf(nil, "%d", i)))
			if i%inFlight == inFlight-1 {
				for range inFlight {
					<-done
				}
			}
		}
		require.EqualValues(t, 1, most.Load())
	})
}

func TestDetachStream(t *testing.T) {
	for name, n := range map[string]transport.Network{"host": nil, "memory": newMemNet("127.0.0.1")} {
		t.Run(name, func(t *testing.T) {
			const all = 1000
			release := make(chan struct{})
			var r *recorder
			r = start(t, transport.Config{Network: n, Receive: func(p *transport.Packet) {
				text := string(p.Data)
				r.events <- got{flow: p.Flow, text: text}
				if strings.HasSuffix(text, "7\n") {
					p.Detach()
					<-release
					require.Equal(t, text, string(p.Data))
					r.events <- got{flow: p.Flow, text: "late " + text}
				}
			}})
			ls := r.listen(transport.TCP, "127.0.0.1:0")
			peer := start(t, transport.Config{Network: n})
			f := peer.connect(transport.TCP, ls.Addr)
			var text strings.Builder
			for i := range all {
				fmt.Fprintf(&text, "%s%d\n", strings.Repeat("x", i), i)
			}
			for part := range slices.Chunk([]byte(text.String()), 33_333) {
				require.NoError(t, peer.layer.Send(f, part))
			}
			for i := range all {
				r.want(strings.Repeat("x", i) + fmt.Sprintln(i))
			}
			require.NoError(t, peer.layer.Close(f))
			r.wantEnd(io.EOF) // Closed does not wait for detached Receives
			close(release)
			for range all / 10 {
				require.Contains(t, (<-r.events).text, "late ")
			}
			require.Zero(t, r.layer.Stats().Stream.Buffered)
		})
	}
}

func TestDetachOfAMadePacket(t *testing.T) {
	(&transport.Packet{Data: []byte("made by a test")}).Detach()
}

func TestReadErrorsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		inner, err := n.ListenPacket(t.Context(), "udp4", server)
		require.NoError(t, err)
		r := start(t, transport.Config{Network: n})
		began := time.Now()
		ls, err := r.layer.ServePacket(&failingPacketConn{PacketConn: inner, fail: 4}, "")
		require.NoError(t, err)
		f := r.connect(transport.UDP, ls.Addr)
		require.NoError(t, r.layer.Send(f, []byte("one")))
		r.want("one")
		require.Equal(t, (5+10+20+40)*time.Millisecond, time.Since(began))
		require.EqualValues(t, 4, r.layer.Stats().UDP.ReadErrors)
	})
}

// failingPacketConn fails a number of times before it reads.
type failingPacketConn struct {
	net.PacketConn
	fail int
}

func (pc *failingPacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	if pc.fail > 0 {
		pc.fail--
		return 0, nil, errors.New("no buffer space available")
	}
	return pc.PacketConn.ReadFrom(b)
}

func TestSendOnWhatIsGone(t *testing.T) {
	r := start(t, transport.Config{})
	ls := r.listen(transport.UDP, "127.0.0.1:0")
	f := r.connect(transport.UDP, ls.Addr)
	require.NoError(t, r.layer.Close(f), "no effect")
	require.NoError(t, r.layer.Send(f, []byte("still works")))

	f.Local = netip.MustParseAddrPort("127.0.0.1:1")
	require.ErrorIs(t, r.layer.Send(f, nil), transport.ErrFlowGone)
	require.ErrorIs(t, r.layer.Send(transport.Flow{}, nil), transport.ErrFlowGone)
	require.ErrorIs(t, r.layer.Send(transport.Flow{Protocol: transport.TCP, Conn: 1}, nil), transport.ErrFlowGone)
	require.ErrorIs(t, r.layer.Close(transport.Flow{Protocol: transport.TCP, Conn: 1}), transport.ErrFlowGone)
	st := r.layer.Stats()
	require.EqualValues(t, 1, st.UDP.SendGone)
	require.EqualValues(t, 2, st.Stream.SendGone)
}

func TestReadBufferClampIsSaidOnce(t *testing.T) {
	var log strings.Builder
	r := start(t, transport.Config{ReadBuffer: 1 << 30, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	r.listen(transport.UDP, "127.0.0.1:0")
	r.listen(transport.UDP, "127.0.0.1:0")
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	require.Contains(t, log.String(), "asked=1073741824 granted=")
	granted := r.layer.Stats().UDP.ReadBuffer
	require.Positive(t, granted)
	require.Less(t, granted, 1<<30)

	var silent strings.Builder
	r = start(t, transport.Config{ReadBuffer: 8 << 10, Logger: slog.New(slog.NewTextHandler(&silent, nil))})
	r.listen(transport.UDP, "127.0.0.1:0")
	require.Empty(t, silent.String())
	require.GreaterOrEqual(t, r.layer.Stats().UDP.ReadBuffer, 8<<10)
}
