package routing_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// bench is a network with servers and phones on it, in virtual time. It is the test's T of the bubble: what fails, fails
// on it.
type bench struct {
	*testing.T
	net     *siptest.Network
	proxy   *siptest.Host   // the host of the first server
	server  *routing.Server // the first server
	servers []*routing.Server
}

// runBench runs f with one server for route, at 10.0.0.1; tune may change it before it listens on UDP and TCP.
func runBench(t *testing.T, route routing.HandlerFunc, f func(b *bench), tune ...func(*routing.Server)) {
	t.Helper()
	runNetwork(t, siptest.Options{}, func(b *bench) {
		b.serve("proxy", "10.0.0.1", route, tune...)
		f(b)
	})
}

// runNetwork runs f with a network of its own, without a server yet. When f is done every timer runs out, and nothing
// may be left in any server.
func runNetwork(t *testing.T, opt siptest.Options, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, net: siptest.NewNetwork(opt)}
		f(b)
		b.settle()
	})
}

// serve starts a server on a host of its own, on UDP and TCP at port 5060.
func (b *bench) serve(name, addr string, route routing.HandlerFunc, tune ...func(*routing.Server)) *routing.Server {
	b.Helper()
	at := netip.AddrPortFrom(netip.MustParseAddr(addr), 5060).String()
	return b.serveAt(b.net.Host(name, addr), route, []string{"udp:" + at, "tcp:" + at}, tune...)
}

// serveAt starts a server on a host.
func (b *bench) serveAt(h *siptest.Host, route routing.HandlerFunc, listen []string, tune ...func(*routing.Server)) *routing.Server {
	b.Helper()
	s := &routing.Server{Handler: route, Transport: transport.Config{Network: h}, Resolver: names{}}
	for _, tune := range tune {
		tune(s)
	}
	require.NoError(b, s.Listen(b.Context(), listen...))
	if b.server == nil {
		b.server, b.proxy = s, h
	}
	b.servers = append(b.servers, s)
	b.Cleanup(func() { require.NoError(b, s.Shutdown(context.Background())) })
	return s
}

// settle waits until every transaction has ended, and checks that nothing is left of them.
func (b *bench) settle() {
	b.Helper()
	b.pass(10 * time.Minute)
	for _, s := range b.servers {
		stats := s.Stats()
		require.Zero(b, stats.Contexts, "response contexts left")
		require.Zero(b, stats.Handlers, "handlers left")
		require.Zero(b, stats.Transaction.InviteServer.Live, "INVITE server transactions left")
		require.Zero(b, stats.Transaction.InviteClient.Live, "INVITE client transactions left")
		require.Zero(b, stats.Transaction.NonInviteServer.Live, "non-INVITE server transactions left")
		require.Zero(b, stats.Transaction.NonInviteClient.Live, "non-INVITE client transactions left")
		require.Zero(b, stats.Transport.Stream.Queued, "bytes left in write queues")
	}
}

// pass lets virtual time pass, and everything happen that is due until then.
func (b *bench) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// wait lets everything happen that is due now: what handlers noted can be looked at then.
func (b *bench) wait() { synctest.Wait() }

// phone starts a phone on a host of its own that uses the first server.
func (b *bench) phone(name, addr string, opt ...siptest.PhoneOptions) *siptest.Phone {
	b.Helper()
	var o siptest.PhoneOptions
	if len(opt) > 0 {
		o = opt[0]
	}
	if !o.Proxy.IsValid() && b.proxy != nil {
		o.Proxy = netip.AddrPortFrom(b.proxy.Addr(), 5060)
	}
	return siptest.NewPhone(b.T, b.net.Host(name, addr), "sip:"+name+"@example.org", o)
}

// pair starts alice and bob, who rings at once and answers after two seconds.
func (b *bench) pair() (alice, bob *siptest.Phone) {
	b.Helper()
	alice, bob = b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
	bob.On(sip.INVITE, siptest.Answer(2*time.Second))
	return alice, bob
}

// flow returns the call flow so far, with all that happens at this instant.
func (b *bench) flow() *siptest.Ladder {
	synctest.Wait()
	return b.net.Ladder()
}

// ladder requires the whole call flow so far.
func (b *bench) ladder(golden string) {
	b.Helper()
	b.flow().Require(b, golden)
}

// count counts what was received at a host, of one kind.
func (b *bench) count(host, what string) int { return len(b.received(host, what)) }

// received returns what was received at a host, as text, of one kind ("INVITE", "200 (INVITE)").
func (b *bench) received(host, what string) (texts []string) {
	for _, e := range b.flow().Events() {
		if e.To == host && e.What() == what {
			texts = append(texts, string(e.Data))
		}
	}
	return texts
}

// bobsURI and others are where the phones of most tests are.
const (
	bobsURI  = "sip:bob@10.0.0.3"
	deskURI  = "sip:desk@10.0.0.4"
	cellURI  = "sip:cell@10.0.0.5"
	nobodys  = "sip:nobody@10.0.0.99" // no host has the address
	bobAlias = "sip:bob@example.org"  // what alice calls
)

// toBob is a route: Relay to bob, and loose routing within dialogs.
func toBob(_ context.Context, r *routing.Request) error {
	if r.InDialog() {
		return r.FollowRoute()
	}
	r.RecordRoute()
	return r.Relay(routing.To(bobsURI))
}

// relayTo returns a route that relays everything to the targets.
func relayTo(uris ...string) routing.HandlerFunc {
	return func(_ context.Context, r *routing.Request) error { return r.Relay(targets(uris...)...) }
}

// targets returns the targets of URIs.
func targets(uris ...string) (ts []routing.Target) {
	for _, u := range uris {
		ts = append(ts, routing.To(u))
	}
	return ts
}

// outcome is what a handler got of a Forward, for its test to look at once virtual time has passed.
type outcome struct {
	status int
	err    error
	local  bool
	done   bool
	target string
}

func outcomeOf(res routing.Response) outcome {
	return outcome{status: res.Status, err: res.Err, local: res.Local(), done: res.Done(), target: res.Target.URI.String()}
}

// headers returns the values of a header field in a text, a line each, read without package sip.
func headers(text, name string) (values []string) {
	head, _, _ := strings.Cut(text, "\r\n\r\n")
	for _, line := range strings.Split(head, "\r\n")[1:] {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(n), name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

// startLine returns the first line of a text.
func startLine(text string) string {
	line, _, _ := strings.Cut(text, "\r\n")
	return line
}

// branches returns the branch of each Via of a text.
func branches(text string) (out []string) {
	for _, via := range headers(text, "Via") {
		for param := range strings.SplitSeq(via, ";") {
			if b, ok := strings.CutPrefix(param, "branch="); ok {
				out = append(out, b)
			}
		}
	}
	return out
}

// names is a Resolver that knows a few hosts, all on UDP port 5060 unless the URI says otherwise.
type names map[string]string

func (n names) Resolve(_ context.Context, u sip.URI) ([]transport.Hop, error) {
	addr, ok := n[u.Host]
	if !ok {
		return nil, errUnknownHost
	}
	hop := transport.Hop{Protocol: transport.UDP, Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 5060)}
	if u.Port != 0 {
		hop.Addr = netip.AddrPortFrom(hop.Addr.Addr(), u.Port)
	}
	if u.Transport() == "tcp" {
		hop.Protocol = transport.TCP
	}
	return []transport.Hop{hop}, nil
}

var errUnknownHost = errors.New("unknown host")

func hostPort(addr string) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(addr), 5060) }

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func udpAddr(a netip.AddrPort) *net.UDPAddr { return net.UDPAddrFromAddrPort(a) }
