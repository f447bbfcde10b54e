package routing

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
	"github.com/stretchr/testify/require"
)

// sink is a socket that keeps what was written last and never reads anything.
type sink struct {
	net.PacketConn // the methods that nobody calls
	last           []byte
	closed         chan struct{}
}

func (s *sink) ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error) {
	<-s.closed
	return 0, netip.AddrPort{}, net.ErrClosed
}
func (s *sink) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) {
	s.last = append(s.last[:0], b...)
	return len(b), nil
}
func (s *sink) Close() error        { close(s.closed); return nil }
func (s *sink) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(benchProxy) }

var benchProxy, benchCaller, benchCallee = netip.MustParseAddrPort("127.0.0.1:5070"), netip.MustParseAddrPort("127.0.0.1:5090"), netip.MustParseAddrPort("127.0.0.1:5080")

// relayed is a server with the routing of examples/relay, fed by hand.
type relayed struct {
	*Server
	socket *sink
	n      int
}

func newRelayed(tb testing.TB) *relayed {
	next := Via("sip:127.0.0.1:5080")
	r := &relayed{socket: &sink{closed: make(chan struct{})}}
	r.Server = &Server{Handler: HandlerFunc(func(ctx context.Context, r *Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		return r.Relay(next)
	})}
	require.NoError(tb, r.ServePacket(r.socket, ""))
	tb.Cleanup(func() { require.NoError(tb, r.Shutdown(context.Background())) })
	return r
}

func (r *relayed) take(from netip.AddrPort, text []byte) {
	r.receive(&transport.Packet{Flow: transport.Flow{Protocol: transport.UDP, Local: benchProxy, Remote: from}, Data: text})
	for r.counters.handlers.Load() > 0 { // on a busy machine a handler may have moved to a goroutine of its own
		runtime.Gosched()
	}
}

const benchSDP = "v=0\r\no=alice 53655765 2353687637 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0 8 101\r\n" +
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendrecv\r\n"

// request is what the caller sends; routes come after Via.
func (r *relayed) request(method sip.Method, uri, toTag, routes, body string) []byte {
	return fmt.Appendf(nil, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bK-%d-%s;rport\r\n%sMax-Forwards: 70\r\n"+
		"From: \"Alice\" <sip:alice@example.org>;tag=a%d\r\nTo: \"Bob\" <sip:bob@example.org>%s\r\nCall-ID: %d@127.0.0.1\r\nCSeq: 1 %s\r\n"+
		"Contact: <sip:alice@127.0.0.1:5090>\r\nUser-Agent: load\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\nContent-Length: %d\r\n\r\n%s",
		method, uri, r.n, method, routes, r.n, toTag, r.n, method, len(body), body)
}

// answer is a response to what the server sent last.
func (r *relayed) answer(status, body string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "SIP/2.0 %s\r\n", status)
	head, _, _ := strings.Cut(string(r.socket.last), "\r\n\r\n")
	for _, line := range strings.Split(head, "\r\n")[1:] {
		switch name, _, _ := strings.Cut(line, ":"); name {
		case sip.Via, sip.From, sip.CallID, sip.CSeq, sip.RecordRoute:
			b.WriteString(line + "\r\n")
		case sip.To:
			b.WriteString(line)
			if !strings.Contains(line, "tag=") {
				b.WriteString(";tag=b")
			}
			b.WriteString("\r\n")
		}
	}
	fmt.Fprintf(&b, "Contact: <sip:bob@127.0.0.1:5080>\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return b.Bytes()
}

// step is a message that the relay receives.
type step struct {
	from netip.AddrPort
	text []byte
}

// call lets the relay relay the next call and returns the six messages that it received.
func (r *relayed) call(tb testing.TB) (steps []step) {
	take := func(from netip.AddrPort, text []byte) {
		steps = append(steps, step{from, text})
		r.take(from, text)
	}
	r.n++
	take(benchCaller, r.request(sip.INVITE, "sip:bob@example.org", "", "", benchSDP))
	ringing, ok := r.answer("180 Ringing", ""), r.answer("200 OK", benchSDP)
	take(benchCallee, ringing)
	take(benchCallee, ok)
	route := "Route: <sip:127.0.0.1:5070;lr>\r\n"
	take(benchCaller, r.request(sip.ACK, "sip:bob@127.0.0.1:5080", ";tag=b", route, ""))
	take(benchCaller, r.request(sip.BYE, "sip:bob@127.0.0.1:5080", ";tag=b", route, ""))
	take(benchCallee, r.answer("200 OK", ""))
	if !bytes.HasPrefix(r.socket.last, []byte("SIP/2.0 200")) {
		tb.Fatalf("the BYE was not answered: %s", r.socket.last)
	}
	return steps
}

// rehearsed is a relay, and calls that another one has relayed which makes the same branches.
func rehearsed(tb testing.TB, stateless bool, calls int) (*relayed, [][]step) {
	counting := func() func() uint64 {
		var n atomic.Uint64
		return func() uint64 { return n.Add(1) * 0x9e3779b97f4a7c15 }
	}
	before, r := newRelayed(tb), newRelayed(tb)
	for _, r := range []*relayed{before, r} {
		r.Stateless, r.rand, r.seed = stateless, counting(), before.seed
		for i := range r.trust.methods {
			r.trust.methods[i].score.Store(1 << 30) // a busy machine must not move handlers elsewhere
		}
	}
	all := make([][]step, calls)
	for i := range all {
		all[i] = before.call(tb)
	}
	require.NoError(tb, before.Shutdown(context.Background()))
	return r, all
}

// BenchmarkRelayedCall is the user time of a whole call (INVITE, 180, 200, ACK,
// BYE, 200) through a record-routing relay, without the kernel:
//
//	go test -run - -bench RelayedCall ./routing
func BenchmarkRelayedCall(b *testing.B) {
	for name, stateless := range map[string]bool{"stateful": false, "stateless": true} {
		b.Run(name, func(b *testing.B) {
			r, calls := rehearsed(b, stateless, b.N)
			b.ReportAllocs()
			runtime.GC()
			b.ResetTimer()
			for _, steps := range calls {
				for _, s := range steps {
					r.take(s.from, s.text)
				}
			}
			b.StopTimer()
			require.EqualValues(b, 3*b.N, r.Stats().ResponsesSent)
		})
	}
}

// A relayed call may not allocate more than it does now: what is kept for
// retransmission, and what a transaction and a message are.
func TestAllocationsOfARelayedCall(t *testing.T) {
	const calls = 100
	r, all := rehearsed(t, false, calls)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, steps := range all {
		for _, s := range steps {
			r.take(s.from, s.text)
		}
	}
	runtime.ReadMemStats(&after)
	n := float64(after.Mallocs-before.Mallocs) / calls
	require.LessOrEqual(t, n, 60.0)
	t.Logf("%.1f allocations", n)
}
