package hostile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/registrar"
	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// deadHost is an address at which nobody listens.
const deadHost = "10.9.9.9"

// route is a server's logic with all that an attacker may try: it registers, relays to users, answers for itself, and sends
// what is for the user dead to where nobody is.
func route(reg *registrar.Registrar) routing.HandlerFunc {
	return func(ctx context.Context, r *routing.Request) error {
		switch {
		case r.InDialog():
			return r.FollowRoute()
		case r.Method() == sip.ACK:
			return routing.Status(sip.StatusCallTransactionDoesNotExist)
		case r.Method() == sip.REGISTER:
			return routing.Answer(reg).ServeSIP(ctx, r)
		case r.URI().User == "":
			return r.Respond(sip.NewResponse(sip.StatusOK))
		case r.URI().User == "dead":
			return r.Relay(routing.To("sip:" + deadHost))
		}
		bindings, err := reg.Lookup(ctx, r.URI())
		if err != nil {
			return err
		}
		if len(bindings) == 0 {
			return routing.Status(sip.StatusNotFound)
		}
		if r.Method() == sip.INVITE {
			r.RecordRoute()
		}
		return r.Relay(routing.Target{URI: bindings[0].URI(), Flow: bindings[0].Flow})
	}
}

// newServer makes a server for example.org.
func newServer(store registrar.Store) *routing.Server {
	return &routing.Server{Names: []string{"example.org"}, Handler: route(&registrar.Registrar{Store: store})}
}

// bench is a network with the server under attack, two good phones and the attacker's host.
type bench struct {
	*testing.T
	net        *siptest.Network
	host       *siptest.Host
	mallory    *siptest.Host
	server     *routing.Server
	store      *registrar.MemoryStore
	alice, bob *siptest.Phone
	attackers  []*attacker
	conns      []net.Conn

	before gauges
	heap   uint64

	mu      sync.Mutex
	invalid []sip.Cause // why messages were refused by the parser
}

// runBench runs an attack in virtual time: a call before it, a call after it, and then everything is back where it was.
func runBench(t *testing.T, attack func(b *bench), tune ...func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, tune...)
		b.baseline()
		attack(b)
		b.endAttack()
		b.call()
		b.settle()
		require.Equal(t, b.before, gaugesOf(b.server), "gauges")
		require.Less(t, heapInUse(), b.heap+heapSlack, "heap")
		require.Zero(t, b.server.Stats().Panics)
	})
}

// newBench starts the server, which tune may change before, and the good phones.
func newBench(t *testing.T, tune ...func(*bench)) *bench {
	t.Helper()
	b := &bench{T: t, net: siptest.NewNetwork(siptest.Options{Record: -1, Inbox: 1 << 20})}
	b.host, b.mallory = b.net.Host("server", "10.0.0.1"), b.net.Host("mallory", "10.0.0.66")
	b.store = &registrar.MemoryStore{}
	b.server = newServer(b.store)
	b.server.Transport.Network = b.host
	b.server.Resolver = noNames{}
	b.server.OnInvalid = b.refused
	for _, tune := range tune {
		tune(b)
	}
	t.Cleanup(func() {
		require.NoError(t, b.server.Shutdown(context.Background()))
		b.store.Close()
	})
	require.NoError(t, b.server.Listen(t.Context(), "udp:10.0.0.1", "tcp:10.0.0.1"))
	b.alice, b.bob = b.phone("alice", "10.0.0.2", "UDP"), b.phone("bob", "10.0.0.3", "TCP")
	return b
}

// noNames is a resolver for a network without names: the system's leaves the bubble.
type noNames struct{}

func (noNames) Resolve(_ context.Context, uri sip.URI) ([]transport.Hop, error) {
	return nil, fmt.Errorf("no such host: %s", uri.Host)
}

// endAttack closes what the attacker has open.
func (b *bench) endAttack() {
	for _, a := range b.attackers {
		a.close()
	}
	for _, c := range b.conns {
		c.Close()
	}
	b.conns = nil
}

// baseline is where everything has to go back to. An attack that prepares something first sets it anew.
func (b *bench) baseline() {
	b.Helper()
	b.call()
	b.settle()
	b.before, b.heap = gaugesOf(b.server), heapInUse()
}

// refused is the server's OnInvalid.
func (b *bench) refused(_ []byte, _ transport.Flow, err error) {
	var bad *sip.ParseError
	if errors.As(err, &bad) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.invalid = append(b.invalid, bad.Cause)
	}
}

// causes returns why messages were refused since it was called last.
func (b *bench) causes() []sip.Cause {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	causes := b.invalid
	b.invalid = nil
	return causes
}

// phone starts a registered phone.
func (b *bench) phone(name, addr, transport string) *siptest.Phone {
	b.Helper()
	p := siptest.NewPhone(b.T, b.net.Host(name, addr), "sip:"+name+"@example.org", siptest.PhoneOptions{
		Proxy: b.host.AddrPort(5060), Transport: transport, Listen: []string{"UDP", "TCP"},
	})
	p.On(sip.INVITE, siptest.Respond(180).After(100*time.Millisecond).Respond(200))
	p.Register(24 * time.Hour).WantStatus(200)
	return p
}

// call lets the good phones call each other, in either direction, to the end.
func (b *bench) call() {
	b.Helper()
	for _, pair := range [][2]*siptest.Phone{{b.alice, b.bob}, {b.bob, b.alice}} {
		caller, callee := pair[0], pair[1]
		call := caller.Invite(callee.AOR())
		call.WantAnswer()
		in := callee.WantRequest(sip.INVITE)
		in.WantACK()
		call.Bye().WantStatus(200)
		callee.WantRequest(sip.BYE)
	}
}

// settle waits until every timer of transactions and connections has run out, those of idle connections excepted.
func (b *bench) settle() {
	time.Sleep(5 * time.Minute)
	synctest.Wait()
}

// gauges is what has to go back to where it was.
type gauges struct {
	Sockets, Connections int
	Queued, Buffered     int64
	Transactions         int
	Handlers, Contexts   int64
	Goroutines           int
}

func gaugesOf(server *routing.Server) gauges {
	s := server.Stats()
	return gauges{
		Sockets:      s.Transport.UDP.Sockets,
		Connections:  s.Transport.Stream.Connections,
		Queued:       s.Transport.Stream.Queued,
		Buffered:     s.Transport.Stream.Buffered,
		Transactions: live(s),
		Handlers:     s.Handlers,
		Contexts:     s.Contexts,
		Goroutines:   goroutines(),
	}
}

// goroutines counts those that the packages under test have started, by their stacks: a bare number would count those of
// the tests and the runtime too.
func goroutines() (count int) {
	buf := make([]byte, 64<<10)
	for {
		if n := runtime.Stack(buf, true); n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	for stack := range bytes.SplitSeq(buf, []byte("\n\n")) {
		if ours.Match(stack) {
			count++
		}
	}
	return count
}

var ours = regexp.MustCompile(`created by github\.com/goser-project/goser/(transport|transaction|routing|registrar)\.`)

// live returns the number of living transactions.
func live(s routing.Stats) int {
	t := s.Transaction
	return t.InviteServer.Live + t.NonInviteServer.Live + t.InviteClient.Live + t.NonInviteClient.Live
}

// heapSlack is by how much the heap may have grown: tables keep the room that they once needed.
const heapSlack = 4 << 20

// heapInUse returns the bytes of living objects. What is in pools is gone after the second collection.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// attacker opens a datagram socket of mallory's.
func (b *bench) attacker(port uint16) *attacker {
	b.Helper()
	a := newAttacker(b.T, b.mallory, b.mallory.AddrPort(port).String(), b.host.AddrPort(5060))
	b.attackers = append(b.attackers, a)
	return a
}

// accounted checks that each datagram and stream message that was received is in exactly one counter.
func (b *bench) accounted() {
	b.Helper()
	s := b.server.Stats()
	received := s.Transport.UDP.In + s.Transport.Stream.In
	require.Equal(b, received, s.RequestsReceived+s.ResponsesReceived+s.Keepalives+s.InvalidAnswered+s.InvalidDropped)
}
