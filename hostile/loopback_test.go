package hostile_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/transaction"
	"github.com/goser-project/goser/transport"
)

// patience is how long a test on real sockets waits for what has to come.
const patience = time.Minute

// loopback is a relay on the sockets of the operating system, with a caller's and a callee's socket.
type loopback struct {
	*testing.T
	server   *routing.Server
	udp, tcp net.Addr
	uas      *callee
	before   gauges
	heap     uint64
}

// newLoopback starts a relay to a callee. Timers are a tenth of what the RFC has, so that tables empty soon.
func newLoopback(t *testing.T, config transport.Config) *loopback {
	t.Helper()
	l := &loopback{T: t, uas: newCallee(listenUDP(t))}
	t.Cleanup(l.uas.close)
	l.server = &routing.Server{
		Handler:   relay("sip:" + l.uas.local),
		Transport: config,
		Timers:    transaction.Timers{T1: 50 * time.Millisecond, T4: 500 * time.Millisecond},
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, l.server.Shutdown(ctx))
	})
	require.NoError(t, l.server.Listen(t.Context(), "udp:127.0.0.1:0", "tcp:127.0.0.1:0"))
	for _, ln := range l.server.Listeners() {
		if ln.Protocol == transport.UDP {
			l.udp = net.UDPAddrFromAddrPort(ln.Addr)
		} else {
			l.tcp = net.TCPAddrFromAddrPort(ln.Addr)
		}
	}
	l.before, l.heap = gaugesOf(l.server), heapInUse()
	return l
}

func listenUDP(t testing.TB) net.PacketConn {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	return pc
}

// call lets calls pass, at most 20 at a time.
func (l *loopback) call(calls int) {
	l.Helper()
	room := make(chan struct{}, 20)
	uac := newCaller(listenUDP(l), l.udp, calls, func() { <-room })
	defer uac.close()
	late := time.NewTimer(10 * patience)
	defer late.Stop()
	take := func() {
		select {
		case room <- struct{}{}:
		case <-late.C:
			require.FailNow(l, "a call does not end", "%d of %d ended", uac.ended.Load(), calls)
		}
	}
	for i := range calls {
		take()
		uac.invite(i)
	}
	for range cap(room) {
		take()
	}
	require.EqualValues(l, calls, uac.ended.Load())
	require.Zero(l, uac.unexpected.Load())
}

// settle waits until the tables are empty.
func (l *loopback) settle() {
	l.Helper()
	require.Eventually(l, func() bool { return live(l.server.Stats()) == 0 }, patience, 20*time.Millisecond)
}

// back wants everything to be where it was.
func (l *loopback) back() {
	l.Helper()
	l.call(20)
	l.settle()
	back := func() bool {
		now := gaugesOf(l.server)
		now.Goroutines = max(now.Goroutines, l.before.Goroutines) // one of an earlier test may have been ending then
		return now == l.before
	}
	require.Eventually(l, back, patience, 20*time.Millisecond, "%+v, not %+v", gaugesOf(l.server), l.before)
	require.Less(l, heapInUse(), l.heap+heapSlack)
}

func (l *loopback) dial() *net.TCPConn {
	l.Helper()
	c, err := net.Dial("tcp", l.tcp.String())
	require.NoError(l, err)
	l.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// requireClosed waits until the server has closed a connection.
func (l *loopback) requireClosed(c net.Conn) {
	l.Helper()
	require.NoError(l, c.SetReadDeadline(time.Now().Add(patience)))
	buf := make([]byte, 64<<10)
	for {
		if _, err := c.Read(buf); err != nil {
			require.False(l, isTimeout(err), "it is open")
			c.Close()
			return
		}
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return err != nil && errors.As(err, &e) && e.Timeout()
}

func TestLoopbackSoak(t *testing.T) {
	l := newLoopback(t, transport.Config{})
	l.call(5000)
	l.back()
	s := l.server.Stats()
	require.Zero(t, s.InvalidAnswered+s.InvalidDropped+s.Refused+s.Overloaded+s.BranchErrors+s.BranchTimeouts)
	require.Zero(t, l.uas.unexpected.Load())
}

// A thousand connections of one peer that say nothing cost little and end when the first message is overdue.
func TestLoopbackSilentConnections(t *testing.T) {
	l := newLoopback(t, transport.Config{FirstMessageTimeout: 2 * time.Second})
	var conns []net.Conn
	for range manyConnections {
		conns = append(conns, l.dial())
	}
	require.Eventually(t, func() bool { return l.server.Stats().Transport.Stream.Accepted >= manyConnections }, patience, time.Millisecond)
	l.call(20)
	for _, c := range conns {
		l.requireClosed(c)
	}
	l.back()
	require.EqualValues(t, manyConnections, l.server.Stats().Transport.Stream.Closed.FirstMessageTimeout)
}

// Connections that ask and never read: the kernel's buffers fill, then the server's queue, then they are closed.
func TestLoopbackDeafConnections(t *testing.T) {
	l := newLoopback(t, transport.Config{WriteQueue: 64 << 10})
	const count = 3
	vias := strings.Repeat("Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK"+strings.Repeat("x", 150)+"\r\n", 50) // they come back in responses
	for i := range count {
		c := l.dial()
		for j := 0; ; j++ {
			request := message("OPTIONS", "sip:bob@example.org", "127.0.0.1", i<<20+j, vias)
			require.NoError(t, c.SetWriteDeadline(time.Now().Add(patience)))
			_, err := fmt.Fprint(c, strings.Replace(request, "Max-Forwards: 70", "Max-Forwards: 0", 1)) // it is answered at once
			if err != nil {
				require.False(t, isTimeout(err), "the server neither reads nor closes")
				break
			}
			require.Less(t, j, 1_000_000)
		}
		c.Close()
	}
	l.back()
	require.EqualValues(t, count, l.server.Stats().Transport.Stream.Closed.QueueFull)
}

// Connections that are reset in the middle of a message, with responses on their way.
func TestLoopbackResets(t *testing.T) {
	l := newLoopback(t, transport.Config{})
	for i := range 500 {
		c := l.dial()
		require.NoError(t, c.SetLinger(0))
		_, _ = fmt.Fprint(c, message("INVITE", "sip:bob@example.org", "127.0.0.1", i), "INVITE sip:bob@exam")
		c.Close()
	}
	l.back()
}

// Junk as fast as the kernel takes it; what it drops is its business.
func TestLoopbackJunk(t *testing.T) {
	l := newLoopback(t, transport.Config{})
	pc := listenUDP(t)
	defer pc.Close()
	junk := make([]byte, 1200)
	_, _ = rand.Read(junk)
	for i := range 50_000 {
		_, err := pc.WriteTo(junk[i%600:], l.udp)
		require.NoError(t, err)
	}
	l.back()
	s := l.server.Stats()
	require.Greater(t, s.InvalidDropped, uint64(1000))
	require.Zero(t, s.Panics)
}
