package transport_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

// These tests are about what differs on the operating system's sockets: reads and writes that do not wait.

func hostPhone(t testing.TB, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestHostStream(t *testing.T) {
	for _, host := range loopbacks {
		t.Run(host, func(t *testing.T) {
			a, b := start(t, transport.Config{}), start(t, transport.Config{})
			ls := a.listen(transport.TCP, host+":0")
			bf := b.connect(transport.TCP, ls.Addr)
			require.Equal(t, bf, <-b.opened)
			for i := range 100 {
				text := strings.Repeat("x", 500*i) + fmt.Sprintln(i)
				require.NoError(t, b.layer.Send(bf, []byte(text)))
				af := a.want(text)
				require.Equal(t, ls.Addr, af.Local)
				require.Equal(t, bf.Local, af.Remote)
				require.NoError(t, a.layer.Send(af, []byte(text)))
				require.Equal(t, bf, b.want(text))
			}
			require.EqualValues(t, 100, b.layer.Stats().Stream.In)
			require.NoError(t, b.layer.Close(bf))
			b.wantEnd(nil)
			a.wantEnd(io.EOF)
			require.Zero(t, a.layer.Stats().Stream.Buffered)
			require.Zero(t, a.layer.Stats().Stream.Queued)
		})
	}
}

// watched is a Splitter that tells how much it was shown.
type watched struct {
	lines
	shown chan int
}

func (s *watched) Split(buf []byte) (int, int, error) {
	s.shown <- len(buf)
	return s.lines.Split(buf)
}

func TestHostStreamByteByByte(t *testing.T) {
	s := &watched{shown: make(chan int, 10)}
	r := start(t, transport.Config{NewSplitter: func() transport.Splitter { return s }})
	c := hostPhone(t, r.listen(transport.TCP, "127.0.0.1:0").Addr)
	long := strings.Repeat("z", 3000)
	for i := range long {
		write(t, c, long[i:i+1])
		require.Equal(t, i+1, <-s.shown)
	}
	// The last byte comes with the next message and a part of one more, which is larger than what is read at once.
	large := strings.Repeat("l", 60_000)
	write(t, c, "\ntwo\n"+large+"\n")
	go func() {
		for range s.shown {
		}
	}()
	r.want(long + "\n")
	r.want("two\n")
	r.want(large + "\n")
	c.Close()
	r.wantEnd(io.EOF)
	close(s.shown)
	require.Zero(t, r.layer.Stats().Stream.Buffered)
}

func TestHostStreamDeadline(t *testing.T) {
	r := start(t, transport.Config{FirstMessageTimeout: time.Millisecond})
	c := hostPhone(t, r.listen(transport.TCP, "127.0.0.1:0").Addr)
	r.wantEnd(transport.ErrFirstMessageTimeout)
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)

	r = start(t, transport.Config{MessageTimeout: time.Millisecond})
	c = hostPhone(t, r.listen(transport.TCP, "127.0.0.1:0").Addr)
	write(t, c, "one\ntw")
	r.want("one\n")
	r.wantEnd(transport.ErrMessageTimeout)
}

func TestHostStreamReset(t *testing.T) {
	r := start(t, transport.Config{})
	c := hostPhone(t, r.listen(transport.TCP, "127.0.0.1:0").Addr)
	write(t, c, "one\n")
	r.want("one\n")
	require.NoError(t, c.SetLinger(0))
	require.NoError(t, c.Close())
	r.wantEnd(syscall.ECONNRESET)
	require.EqualValues(t, 1, r.layer.Stats().Stream.Closed.Error)
}

func TestHostStreamNeverReadingPeer(t *testing.T) {
	r := start(t, transport.Config{WriteQueue: 1 << 20})
	c := hostPhone(t, r.listen(transport.TCP, "127.0.0.1:0").Addr)
	write(t, c, "one\n")
	f := r.want("one\n")
	msg := make([]byte, 100_000)
	var err error
	for err == nil {
		err = r.layer.Send(f, msg)
		require.LessOrEqual(t, r.layer.Stats().Stream.Queued, int64(1<<20+len(msg)))
	}
	require.ErrorIs(t, err, transport.ErrQueueFull)
	r.wantEnd(transport.ErrQueueFull)
	require.Zero(t, r.layer.Stats().Stream.Queued)
}

func TestHostStreamWriteTimeout(t *testing.T) {
	r := start(t, transport.Config{WriteTimeout: time.Millisecond, WriteQueue: 64 << 20})
	c := hostPhone(t, r.listen(transport.TCP, "127.0.0.1:0").Addr)
	write(t, c, "one\n")
	f := r.want("one\n")
	require.NoError(t, r.layer.Send(f, make([]byte, 32<<20)))
	r.wantEnd(transport.ErrWriteTimeout)
	require.EqualValues(t, 1, r.layer.Stats().Stream.Closed.WriteTimeout)
}

// What the peer does not take at once arrives later, whole and in the order of each sender, however many send.
func TestHostStreamManySenders(t *testing.T) {
	const senders, each = 8, 300
	r := start(t, transport.Config{WriteQueue: -1})
	c := hostPhone(t, r.listen(transport.TCP, "127.0.0.1:0").Addr)
	write(t, c, "one\n")
	f := r.want("one\n")
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				if err := r.layer.Send(f, fmt.Appendf(nil, "%d %d %s\n", s, i, strings.Repeat("f", 20*i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next [senders]int
	in := bufio.NewReader(c)
	for range senders * each {
		line, err := in.ReadString('\n')
		require.NoError(t, err)
		s := line[0] - '0'
		i := next[s]
		require.Equal(t, fmt.Sprintf("%d %d %s\n", s, i, strings.Repeat("f", 20*i)), line)
		next[s]++
	}
	wg.Wait()
	// All is written, so the last sender or the goroutine that flushed is about to find that out.
	require.NoError(t, r.layer.Close(f))
	r.wantEnd(nil)
	st := r.layer.Stats().Stream
	require.EqualValues(t, senders*each, st.Out)
	require.Zero(t, st.Queued)
}

func TestHostDialRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	require.NoError(t, ln.Close())
	r := start(t, transport.Config{})
	_, err = r.layer.Connect(t.Context(), transport.Hop{Protocol: transport.TCP, Addr: addr}, netip.AddrPort{})
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.EqualValues(t, 1, r.layer.Stats().Stream.DialErrors)
	require.Zero(t, r.layer.Stats().Stream.Connections)
}

func TestHostDialFromPreferredAddress(t *testing.T) {
	a, b := start(t, transport.Config{}), start(t, transport.Config{})
	ls := a.listen(transport.TCP, "127.0.0.1:0")
	via := b.listen(transport.TCP, "127.0.0.2:0")
	b.listen(transport.TCP, "127.0.0.3:0")
	f, err := b.layer.Connect(t.Context(), transport.Hop{Protocol: transport.TCP, Addr: ls.Addr}, via.Addr)
	require.NoError(t, err)
	require.Equal(t, via.Addr.Addr(), f.Local.Addr())
	got, ok := b.layer.ListenerFor(f)
	require.True(t, ok)
	require.Equal(t, via, got)
}

func TestHostDialFromAnAddressThatIsNotOurs(t *testing.T) {
	a, b := start(t, transport.Config{}), start(t, transport.Config{})
	hop := transport.Hop{Protocol: transport.TCP, Addr: a.listen(transport.TCP, "127.0.0.1:0").Addr}
	f, err := b.layer.Connect(t.Context(), hop, netip.MustParseAddrPort("198.51.100.7:5060"))
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", f.Local.Addr().String())
}

func TestHostSourceAddress(t *testing.T) {
	a, b := start(t, transport.Config{}), start(t, transport.Config{})
	to := a.listen(transport.UDP, "127.0.0.1:0")
	b.listen(transport.UDP, "127.0.0.2:0")
	want := b.listen(transport.UDP, "127.0.0.1:0")
	f := b.connect(transport.UDP, to.Addr)
	require.Equal(t, want.Addr, f.Local)
	require.NoError(t, b.layer.Send(f, []byte("one")))
	require.Equal(t, want.Addr, a.want("one").Remote)
}

func TestHostRefusedConnectionIsReset(t *testing.T) {
	r := start(t, transport.Config{MaxPerSource: 1})
	ls := r.listen(transport.TCP, "[::1]:0")
	c := hostPhone(t, ls.Addr)
	write(t, c, "one\n")
	r.want("one\n")
	refused, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(ls.Addr))
	if err == nil {
		_, err = refused.Read(make([]byte, 1))
		refused.Close()
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.EqualValues(t, 1, r.layer.Stats().Stream.RefusedSource)
}
