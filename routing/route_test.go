package routing_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// The hosts of the examples of RFC 3261 16.12.1.
var exampleNames = names{
	"u1.example.com": "10.0.0.1", "p1.example.com": "10.0.1.1", "p2.example.com": "10.0.1.2", "p3.middle.com": "10.0.1.3",
	"p4.domain.com": "10.0.1.4", "p2.domain.com": "10.0.1.2", "domain.com": "10.0.1.2", "u2.domain.com": "10.0.0.2",
}

// example starts a server of the examples: it listens on UDP alone and calls itself by its name.
func (b *bench) example(host, name string, route routing.HandlerFunc, tune ...func(*routing.Server)) *routing.Server {
	addr := exampleNames[name]
	return b.serveAt(b.net.Host(host, addr), route, []string{"udp:" + addr + " advertise " + name}, append(tune, func(s *routing.Server) {
		s.Resolver = exampleNames
	})...)
}

// caller and callee of the examples; each sends what it cannot resolve to its first proxy.
func (b *bench) exampleUsers(p1, p2 string) (u1, u2 *siptest.Phone) {
	proxy := func(name string) siptest.PhoneOptions {
		return siptest.PhoneOptions{Proxy: hostPort(exampleNames[name])}
	}
	o1, o2 := proxy(p1), proxy(p2)
	o1.Contact, o2.Contact = "sip:caller@u1.example.com", "sip:callee@u2.domain.com"
	u1 = siptest.NewPhone(b, b.net.Host("u1", exampleNames["u1.example.com"]), "sip:caller@example.com", o1)
	u2 = siptest.NewPhone(b, b.net.Host("u2", exampleNames["u2.domain.com"]), "sip:callee@domain.com", o2)
	u2.On(sip.INVITE, siptest.Respond(200))
	return u1, u2
}

// recordAndRelay stays on the path and sends on to where Route and Request-URI point.
func recordAndRelay(_ context.Context, r *routing.Request) error {
	if r.InDialog() {
		return r.FollowRoute()
	}
	r.RecordRoute()
	return r.Relay()
}

// RFC 3261 16.12.1.1: "This scenario is the basic SIP trapezoid, U1 -> P1 -> P2 -> U2, with both proxies record-routing."
func TestBasicSIPTrapezoid(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		b.example("p1", "p1.example.com", recordAndRelay)
		b.example("p2", "p2.domain.com", func(_ context.Context, r *routing.Request) error {
			if r.InDialog() {
				return r.FollowRoute()
			}
			r.RecordRoute()
			return r.Relay(routing.To("sip:callee@u2.domain.com")) // the location service of domain.com
		})
		u1, u2 := b.exampleUsers("p1.example.com", "p2.domain.com")
		call := u1.Invite("sip:callee@domain.com")
		call.WantAnswer()
		in := u2.WantRequest(sip.INVITE)
		in.WantACK()
		require.Equal(b, []string{"<sip:p2.domain.com;lr>", "<sip:p1.example.com;lr>"}, in.Dialog().Routes())
		require.Equal(b, []string{"<sip:p1.example.com;lr>", "<sip:p2.domain.com;lr>"}, call.Dialog().Routes())
		call.Bye().WantStatus(200)
		b.flow().With("Request-URI", "Record-Route", "Route").Require(b, `
			0.000  u1  -> p1   INVITE  sip:callee@domain.com
			0.005  p1  -> p2   INVITE  sip:callee@domain.com  Record-Route: <sip:p1.example.com;lr>
			0.010  p2  -> u2   INVITE  sip:callee@u2.domain.com  Record-Route: <sip:p2.domain.com;lr>  Record-Route: <sip:p1.example.com;lr>
			0.015  u2  -> p2   200 (INVITE)  Record-Route: <sip:p2.domain.com;lr>  Record-Route: <sip:p1.example.com;lr>
			0.020  p2  -> p1   200 (INVITE)  Record-Route: <sip:p2.domain.com;lr>  Record-Route: <sip:p1.example.com;lr>
			0.025  p1  -> u1   200 (INVITE)  Record-Route: <sip:p2.domain.com;lr>  Record-Route: <sip:p1.example.com;lr>
			0.030  u1  -> p1   ACK  sip:callee@u2.domain.com  Route: <sip:p1.example.com;lr>  Route: <sip:p2.domain.com;lr>
			0.035  p1  -> p2   ACK  sip:callee@u2.domain.com  Route: <sip:p2.domain.com;lr>
			0.040  p2  -> u2   ACK  sip:callee@u2.domain.com
			0.045  u1  -> p1   BYE  sip:callee@u2.domain.com  Route: <sip:p1.example.com;lr>  Route: <sip:p2.domain.com;lr>
			0.050  p1  -> p2   BYE  sip:callee@u2.domain.com  Route: <sip:p2.domain.com;lr>
			0.055  p2  -> u2   BYE  sip:callee@u2.domain.com
			0.060  u2  -> p2   200 (BYE)
			0.065  p2  -> p1   200 (BYE)
			0.070  p1  -> u1   200 (BYE)`)
	})
}

// RFC 3261 16.12.1.2: "In this scenario, a dialog is established across four proxies, each of which adds Record-Route header
// field values. The third proxy implements the strict-routing procedures specified in RFC 2543".
func TestTraversingAStrictRoutingProxy(t *testing.T) {
	// What the RFC leaves to DNS and location services: how the INVITE finds its way.
	next := func(name, then string) routing.HandlerFunc {
		return func(_ context.Context, r *routing.Request) error {
			if r.InDialog() {
				return r.FollowRoute()
			}
			r.RecordRoute()
			t := routing.Via("sip:" + name)
			if then != "" {
				t = routing.To(then)
			}
			return r.Relay(t)
		}
	}
	runNetwork(t, siptest.Options{}, func(b *bench) {
		b.example("p1", "p1.example.com", next("p2.example.com", ""))
		b.example("p2", "p2.example.com", next("p3.middle.com", ""))
		b.example("p3", "p3.middle.com", func(_ context.Context, r *routing.Request) error {
			if !r.InDialog() {
				r.Edit().Prepend(sip.RecordRoute, "<sip:p3.middle.com>")
				return r.Relay(routing.Via("sip:p4.domain.com"))
			}
			// RFC 2543: the first Route value becomes the Request-URI, parameters and all.
			for first := range r.Message.Addresses(sip.Route) {
				return r.Relay(routing.Target{URI: first.URI, NextHop: first.URI, Edit: func(p *sip.Patch) { p.RemoveFirst(sip.Route) }})
			}
			return routing.Status(404)
		})
		b.example("p4", "p4.domain.com", next("", "sip:callee@u2.domain.com"))
		u1, u2 := b.exampleUsers("p1.example.com", "p4.domain.com")
		call := u1.Invite("sip:callee@domain.com")
		call.WantAnswer()
		in := u2.WantRequest(sip.INVITE)
		in.WantACK()
		b.net.Forget()
		in.Dialog().Bye().WantStatus(200)
		b.flow().Without("200 (BYE)").With("Request-URI", "Route").Require(b, `
			0.075  u2  -> p4   BYE  sip:caller@u1.example.com  Route: <sip:p4.domain.com;lr>  Route: <sip:p3.middle.com>  Route: <sip:p2.example.com;lr>  Route: <sip:p1.example.com;lr>
			0.080  p4  -> p3   BYE  sip:p3.middle.com  Route: <sip:p2.example.com;lr>  Route: <sip:p1.example.com;lr>  Route: <sip:caller@u1.example.com>
			0.085  p3  -> p2   BYE  sip:p2.example.com;lr  Route: <sip:p1.example.com;lr>  Route: <sip:caller@u1.example.com>
			0.090  p2  -> p1   BYE  sip:caller@u1.example.com  Route: <sip:p1.example.com;lr>
			0.095  p1  -> u1   BYE  sip:caller@u1.example.com`)
	})
}

// RFC 3261 16.12.1.3: "U1 and U2 are in different private namespaces and they enter a dialog through a proxy P1, which acts as a
// gateway between the namespaces." Where that example rewrites the Record-Route of the response, RFC 5658 section 4 recommends
// two Record-Route values, one for each side.
func TestGatewayBetweenNamespaces(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		gateway := b.net.Host("p1", "10.0.0.1", "192.168.0.1")
		b.serveAt(gateway, func(_ context.Context, r *routing.Request) error {
			if r.InDialog() {
				return r.FollowRoute()
			}
			r.RecordRoute()
			return r.Relay(routing.Target{
				URI:  sip.URI{Scheme: "sip", User: "callee", Host: "192.168.0.3"},
				Flow: transport.Flow{Protocol: transport.UDP, Local: hostPort("192.168.0.1"), Remote: hostPort("192.168.0.3")},
			})
		}, []string{
			"udp:10.0.0.1:5060 advertise gateway.leftprivatespace.com",
			"udp:192.168.0.1:5060 advertise gateway.rightprivatespace.com",
		})
		u1 := siptest.NewPhone(b, b.net.Host("u1", "10.0.0.2"), "sip:caller@leftprivatespace.com", siptest.PhoneOptions{Proxy: hostPort("10.0.0.1")})
		u2 := siptest.NewPhone(b, b.net.Host("u2", "192.168.0.3"), "sip:callee@rightprivatespace.com", siptest.PhoneOptions{Proxy: hostPort("192.168.0.1")})
		u2.On(sip.INVITE, siptest.Respond(200))
		call := u1.Invite("sip:callee@gateway.leftprivatespace.com")
		call.WantAnswer()
		in := u2.WantRequest(sip.INVITE)
		in.WantACK()
		in.Dialog().Request(sip.INFO).WantStatus(200)
		call.Bye().WantStatus(200)
		b.flow().With("Request-URI", "Record-Route", "Route").Require(b, `
			0.000  u1  -> p1   INVITE  sip:callee@gateway.leftprivatespace.com
			0.005  p1  -> u2   INVITE  sip:callee@192.168.0.3  Record-Route: <sip:gateway.rightprivatespace.com;lr;r2=on>  Record-Route: <sip:gateway.leftprivatespace.com;lr;r2=on>
			0.010  u2  -> p1   200 (INVITE)  Record-Route: <sip:gateway.rightprivatespace.com;lr;r2=on>  Record-Route: <sip:gateway.leftprivatespace.com;lr;r2=on>
			0.015  p1  -> u1   200 (INVITE)  Record-Route: <sip:gateway.rightprivatespace.com;lr;r2=on>  Record-Route: <sip:gateway.leftprivatespace.com;lr;r2=on>
			0.020  u1  -> p1   ACK  sip:callee@192.168.0.3:5060  Route: <sip:gateway.leftprivatespace.com;lr;r2=on>  Route: <sip:gateway.rightprivatespace.com;lr;r2=on>
			0.025  p1  -> u2   ACK  sip:callee@192.168.0.3:5060
			0.030  u2  -> p1   INFO  sip:caller@10.0.0.2:5060  Route: <sip:gateway.rightprivatespace.com;lr;r2=on>  Route: <sip:gateway.leftprivatespace.com;lr;r2=on>
			0.035  p1  -> u1   INFO  sip:caller@10.0.0.2:5060
			0.040  u1  -> p1   200 (INFO)
			0.045  p1  -> u2   200 (INFO)
			0.050  u1  -> p1   BYE  sip:callee@192.168.0.3:5060  Route: <sip:gateway.leftprivatespace.com;lr;r2=on>  Route: <sip:gateway.rightprivatespace.com;lr;r2=on>
			0.055  p1  -> u2   BYE  sip:callee@192.168.0.3:5060
			0.060  u2  -> p1   200 (BYE)
			0.065  p1  -> u1   200 (BYE)`)
		// Each side has heard from the address that it knows, and from no other.
		for _, e := range b.flow().Events() {
			if e.From == "p1" {
				require.Equal(b, map[string]string{"u1": "10.0.0.1:5060", "u2": "192.168.0.1:5060"}[e.To], e.Source.String())
			}
		}
	})
}

// RFC 5658 section 4: a proxy that changes the transport records itself twice, so that each side finds it by its own.
func TestDoubleRecordRouteBetweenTCPAndUDP(t *testing.T) {
	runBench(t, toBob, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Transport: "TCP"})
		bob := b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		in := bob.WantRequest(sip.INVITE)
		in.WantACK()
		in.Dialog().Request(sip.INFO).WantStatus(200)
		call.Bye().WantStatus(200)
		b.flow().With("Record-Route", "Route").Require(b, `
			0.010  alice  -> proxy   INVITE
			0.015  proxy  -> bob     INVITE  Record-Route: <sip:10.0.0.1:5060;lr;r2=on>  Record-Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>
			0.020  bob    -> proxy   200 (INVITE)  Record-Route: <sip:10.0.0.1:5060;lr;r2=on>  Record-Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>
			0.025  proxy  -> alice   200 (INVITE)  Record-Route: <sip:10.0.0.1:5060;lr;r2=on>  Record-Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>
			0.030  alice  -> proxy   ACK  Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>  Route: <sip:10.0.0.1:5060;lr;r2=on>
			0.035  proxy  -> bob     ACK
			0.040  bob    -> proxy   INFO  Route: <sip:10.0.0.1:5060;lr;r2=on>  Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>
			0.055  proxy  -> alice   INFO
			0.060  alice  -> proxy   200 (INFO)
			0.065  proxy  -> bob     200 (INFO)
			0.070  alice  -> proxy   BYE  Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>  Route: <sip:10.0.0.1:5060;lr;r2=on>
			0.075  proxy  -> bob     BYE
			0.080  bob    -> proxy   200 (BYE)
			0.085  proxy  -> alice   200 (BYE)`)
		for _, e := range b.flow().Events() {
			require.Equal(b, e.From == "alice" || e.To == "alice", e.Stream, e.What())
		}
	})
}

// The same the other way round: UDP in, TCP out.
func TestDoubleRecordRouteBetweenUDPAndTCP(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		return r.Relay(routing.To("sip:bob@10.0.0.3;transport=tcp"))
	}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		bob := b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Transport: "TCP"})
		bob.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		in := bob.WantRequest(sip.INVITE)
		in.WantACK()
		in.Dialog().Request(sip.INFO).WantStatus(200)
		call.Bye().WantStatus(200)
		b.flow().With("Record-Route", "Route").Require(b, `
			0.000  alice  -> proxy   INVITE
			0.015  proxy  -> bob     INVITE  Record-Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>  Record-Route: <sip:10.0.0.1:5060;lr;r2=on>
			0.020  bob    -> proxy   200 (INVITE)  Record-Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>  Record-Route: <sip:10.0.0.1:5060;lr;r2=on>
			0.025  proxy  -> alice   200 (INVITE)  Record-Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>  Record-Route: <sip:10.0.0.1:5060;lr;r2=on>
			0.030  alice  -> proxy   ACK  Route: <sip:10.0.0.1:5060;lr;r2=on>  Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>
			0.035  proxy  -> bob     ACK
			0.050  bob    -> proxy   INFO  Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>  Route: <sip:10.0.0.1:5060;lr;r2=on>
			0.055  proxy  -> alice   INFO
			0.060  alice  -> proxy   200 (INFO)
			0.065  proxy  -> bob     200 (INFO)
			0.070  alice  -> proxy   BYE  Route: <sip:10.0.0.1:5060;lr;r2=on>  Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>
			0.075  proxy  -> bob     BYE
			0.080  bob    -> proxy   200 (BYE)
			0.085  proxy  -> alice   200 (BYE)`)
		for _, e := range b.flow().Events() {
			require.Equal(b, e.From == "bob" || e.To == "bob", e.Stream, e.What())
		}
	})
}

// A strict router upstream makes of a doubled Record-Route a Request-URI and a Route (RFC 3261 16.4): both are ours, and the
// second one still names the socket to leave from.
func TestStrictRouterMeetsDoubleRecordRoute(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		proxy := b.net.Host("proxy", "10.0.0.1", "192.168.0.1")
		b.serveAt(proxy, toBob, []string{"udp:10.0.0.1:5060", "udp:192.168.0.1:5060"})
		alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "192.168.0.3", siptest.PhoneOptions{Lenient: true})
		alice.SendText(text("INFO", "sip:10.0.0.1:5060;lr;r2=on", "To: <sip:bob@example.org>;tag=b",
			"Route: <sip:192.168.0.1:5060;lr;r2=on>, <sip:bob@192.168.0.3>"))
		b.pass(time.Second)
		got := b.received("bob", "INFO")
		b.wait()
		require.Len(b, got, 1)
		require.Equal(b, "INFO sip:bob@192.168.0.3 SIP/2.0", startLine(got[0]))
		require.Empty(b, headers(got[0], "Route"))
		require.Contains(b, headers(got[0], "Via")[0], "192.168.0.1")
	})
}

// RFC 3261 16.4: "If the first value in the Route header field indicates this proxy, the proxy MUST remove that value from the
// request." 16.6 step 1: "The proxy MUST NOT reorder field values with a common field name". 16.6 step 6 and 7: the rest of
// Route stays, and its first value is the next hop.
func TestOwnRouteIsRemoved(t *testing.T) {
	const next = `<sip:10.0.0.3;lr;x="a,b">;y=z`
	for name, c := range map[string]struct{ routes, left []string }{
		"as we write it":    {[]string{"<sip:10.0.0.1:5060;lr>", next}, []string{next}},
		"without a port":    {[]string{"<sip:10.0.0.1;lr>", next}, []string{next}},
		"with more in it":   {[]string{`"P, 1" <sip:a%40b@10.0.0.1:5060;transport=udp;lr;foo=bar>;x=y`, next}, []string{next}},
		"by a name":         {[]string{"<sip:SIP.Example.org.;lr>", next}, []string{next}},
		"by a name, a port": {[]string{"<sip:sip.example.org:5060;lr>", next}, []string{next}},
		"for TCP":           {[]string{"<sip:10.0.0.1;transport=tcp;lr>", next}, []string{next}},
		"in a list":         {[]string{"<sip:10.0.0.1;lr>, " + next + " , <sip:x@10.0.0.9;lr>"}, []string{next + " , <sip:x@10.0.0.9;lr>"}},
		"alone":             {[]string{"<sip:10.0.0.1;lr>"}, nil},
		"none":              {nil, nil},
		"another's":         {[]string{next}, []string{next}},
		"a port not ours":   {[]string{"<sip:10.0.0.3:5060;lr>", "<sip:10.0.0.1:5061;lr>"}, []string{"<sip:10.0.0.3:5060;lr>", "<sip:10.0.0.1:5061;lr>"}},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay() }, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				var routes []string
				for _, r := range c.routes {
					routes = append(routes, "Route: "+r)
				}
				lines := []string{"Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK-1"}
				if len(routes) > 0 {
					lines = append(lines, strings.Join(routes, "\r\n"))
				}
				alice.SendText(text("MESSAGE", "sip:bob@10.0.0.3;x=y", lines...)).WantStatus(200)
				in := bob.WantRequest(sip.MESSAGE)
				require.Equal(b, "MESSAGE sip:bob@10.0.0.3;x=y SIP/2.0", startLine(in.Text()))
				require.Equal(b, c.left, headers(in.Text(), "Route"))
			}, func(s *routing.Server) { s.Names = []string{"sip.example.org"} })
		})
	}
}

// RFC 3261 16.4: "If the Request-URI of the request contains a value this proxy previously placed into a Record-Route header
// field (see Section 16.6 item 4), the proxy MUST replace the Request-URI in the request with the last value from the Route
// header field, and remove that value from the Route header field."
func TestStrictRoutingIsUndone(t *testing.T) {
	for name, c := range map[string]struct {
		routes string
		uri    string
		left   []string
	}{
		"only the target":        {"Route: <sip:bob@10.0.0.3;x=y>", "sip:bob@10.0.0.3;x=y", nil},
		"more routers before it": {"Route: <sip:10.0.0.3;lr>, <sip:10.0.0.9;lr>\r\nRoute: <sip:bob@10.0.0.8>", "sip:bob@10.0.0.8", []string{"<sip:10.0.0.3;lr>", "<sip:10.0.0.9;lr>"}},
		"ourselves once more":    {"Route: <sip:10.0.0.1;lr>, <sip:bob@10.0.0.3>", "sip:bob@10.0.0.3", nil},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, func(_ context.Context, r *routing.Request) error {
				if r.URI().String() != c.uri {
					return routing.Status(500)
				}
				return r.FollowRoute()
			}, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				alice.SendText(text("MESSAGE", "sip:10.0.0.1:5060;lr", c.routes)).WantStatus(200)
				in := bob.WantRequest(sip.MESSAGE)
				require.Equal(b, "MESSAGE "+c.uri+" SIP/2.0", startLine(in.Text()))
				require.Equal(b, c.left, headers(in.Text(), "Route"))
			})
		})
	}
}

// RFC 3261 16.6 step 6: "If that URI does not contain an lr parameter, the proxy MUST modify the copy as follows: - The proxy MUST
// place the Request-URI into the Route header field as the last value. - The proxy MUST then place the first Route header field
// value into the Request-URI and remove that value from the Route header field." Step 7: "If the proxy has reformatted the request
// to send to a strict-routing element as described in step 6 above, the proxy MUST apply those procedures to the Request-URI".
func TestNextHopIsAStrictRouter(t *testing.T) {
	for name, c := range map[string]struct {
		target routing.Target
		routes []string
		uri    string
		left   []string
	}{
		"in Route": {
			routes: []string{"<sip:10.0.0.1;lr>", "<sip:10.0.0.3;x=y>", "<sip:10.0.0.9;lr>"},
			uri:    "sip:10.0.0.3;x=y", left: []string{"<sip:10.0.0.9;lr>", "<sip:bob@example.org;p=1>"},
		},
		"alone": {
			routes: []string{"<sip:10.0.0.3>"},
			uri:    "sip:10.0.0.3", left: []string{"<sip:bob@example.org;p=1>"},
		},
		"with a new Request-URI": {
			target: routing.To("sip:cell@example.org"), routes: []string{"<sip:10.0.0.3>"},
			uri: "sip:10.0.0.3", left: []string{"<sip:cell@example.org>"},
		},
		"in the target's Route": {
			target: routing.Target{Route: "<sip:10.0.0.3>, <sip:10.0.0.9;lr>"}, routes: []string{"<sip:10.0.0.8;lr>"},
			uri: "sip:10.0.0.3", left: []string{"<sip:10.0.0.9;lr>", "<sip:10.0.0.8;lr>", "<sip:bob@example.org;p=1>"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay(c.target) }, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				alice.SendText(text("MESSAGE", "sip:bob@example.org;p=1", "Route: "+strings.Join(c.routes, "\r\nRoute: "))).WantStatus(200)
				in := bob.WantRequest(sip.MESSAGE)
				require.Equal(b, "MESSAGE "+c.uri+" SIP/2.0", startLine(in.Text()))
				require.Equal(b, c.left, slices.Collect(in.Values(sip.Route)))
			})
		})
	}
}

// RFC 3261 16.4: "If the Request-URI has a maddr parameter with a value the proxy is responsible for, and the request was
// received using the port and transport indicated (explicitly or by default) in the Request-URI, the proxy MUST strip the maddr
// and any non-default port or transport parameter and continue processing as if those values had not been present".
func TestOwnMaddrIsStripped(t *testing.T) {
	for uri, want := range map[string]string{
		"sip:bob@example.org;maddr=10.0.0.1":                   "sip:bob@example.org",
		"sip:bob@example.org;maddr=10.0.0.1;transport=udp;x=y": "sip:bob@example.org;x=y",
		"sip:bob@example.org:5060;maddr=10.0.0.1;x=y":          "sip:bob@example.org:5060;x=y",
		"sip:bob@example.org;MADDR=sip.example.org":            "sip:bob@example.org",
		"sip:bob@example.org;maddr=10.0.0.3":                   "sip:bob@example.org;maddr=10.0.0.3", // bob's
	} {
		t.Run(uri, func(t *testing.T) {
			runBench(t, func(_ context.Context, r *routing.Request) error {
				if r.URI().String() != want {
					return routing.Refuse(&sip.Response{Status: 500, Reason: r.URI().String()})
				}
				return r.Relay(routing.Via(bobsURI))
			}, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				alice.Request(sip.MESSAGE, uri).WantStatus(200)
				require.Equal(b, want, bob.WantRequest(sip.MESSAGE).RequestURI().String())
			}, func(s *routing.Server) { s.Names = []string{"sip.example.org"} })
		})
	}
}

// The same section: "A request may arrive with a maddr matching the proxy, but on a port or transport different from that indicated
// in the URI. Such a request needs to be forwarded to the proxy using the indicated port and transport."
func TestOwnMaddrOfAnotherTransport(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.Flow().Protocol == transport.TCP {
			return r.Relay(routing.Via(bobsURI))
		}
		return r.Relay()
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		alice.Request(sip.MESSAGE, "sip:bob@example.org;maddr=10.0.0.1;transport=tcp").WantStatus(200)
		require.Equal(b, bobAlias, bob.WantRequest(sip.MESSAGE).RequestURI().String())
		b.flow().With("Request-URI").Require(b, `
			0.000  alice  -> proxy   MESSAGE  sip:bob@example.org;maddr=10.0.0.1;transport=tcp
			0.015  proxy  -> proxy   MESSAGE  sip:bob@example.org;maddr=10.0.0.1;transport=tcp
			0.020  proxy  -> bob     MESSAGE  sip:bob@example.org
			0.025  bob    -> proxy   200 (MESSAGE)
			0.030  proxy  -> proxy   200 (MESSAGE)
			0.035  proxy  -> alice   200 (MESSAGE)`)
	})
}

// RFC 3261 16.5: "If the Request-URI of the request contains an maddr parameter, the Request-URI MUST be placed into the target set as
// the only target URI"; RFC 3263 section 4: the maddr is where it is sent.
func TestForeignMaddrIsTheNextHop(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay() }, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		alice.Request(sip.MESSAGE, "sip:bob@10.0.0.99;maddr=10.0.0.3").WantStatus(200)
		require.Equal(b, "sip:bob@10.0.0.99;maddr=10.0.0.3", bob.WantRequest(sip.MESSAGE).RequestURI().String())
	})
}

// RFC 3261 16.6 step 4: "Requests establishing a dialog may contain a preloaded Route header field." Record-Route goes in "even if
// a Route header field is already present."
func TestPreloadedRoute(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		b.serve("p1", "10.0.0.1", recordAndRelay)
		b.serve("p2", "10.0.1.1", recordAndRelay)
		alice, bob := b.pair()
		bob.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite(bobsURI, siptest.Header(sip.Route, "<sip:10.0.0.1;lr>, <sip:10.0.1.1:5060;lr>"))
		call.WantAnswer()
		call.Bye().WantStatus(200)
		b.flow().With("Route", "Record-Route").Require(b, `
			0.000  alice  -> p1      INVITE  Route: <sip:10.0.0.1;lr>, <sip:10.0.1.1:5060;lr>
			0.005  p1     -> p2      INVITE  Route: <sip:10.0.1.1:5060;lr>  Record-Route: <sip:10.0.0.1:5060;lr>
			0.010  p2     -> bob     INVITE  Record-Route: <sip:10.0.1.1:5060;lr>  Record-Route: <sip:10.0.0.1:5060;lr>
			0.015  bob    -> p2      200 (INVITE)  Record-Route: <sip:10.0.1.1:5060;lr>  Record-Route: <sip:10.0.0.1:5060;lr>
			0.020  p2     -> p1      200 (INVITE)  Record-Route: <sip:10.0.1.1:5060;lr>  Record-Route: <sip:10.0.0.1:5060;lr>
			0.025  p1     -> alice   200 (INVITE)  Record-Route: <sip:10.0.1.1:5060;lr>  Record-Route: <sip:10.0.0.1:5060;lr>
			0.030  alice  -> p1      ACK  Route: <sip:10.0.0.1:5060;lr>  Route: <sip:10.0.1.1:5060;lr>
			0.030  alice  -> p1      BYE  Route: <sip:10.0.0.1:5060;lr>  Route: <sip:10.0.1.1:5060;lr>
			0.035  p1     -> p2      ACK  Route: <sip:10.0.1.1:5060;lr>
			0.035  p1     -> p2      BYE  Route: <sip:10.0.1.1:5060;lr>
			0.040  p2     -> bob     ACK
			0.040  p2     -> bob     BYE
			0.045  bob    -> p2      200 (BYE)
			0.050  p2     -> p1      200 (BYE)
			0.055  p1     -> alice   200 (BYE)`)
	})
}

// RFC 3261 12.2.1.1, 16.12: both sides send requests within the dialog along the route set. RFC 3261 13.2.2.4: the ACK for a 2xx is one of
// them, and has its own branch.
func TestRequestsWithinADialogInBothDirections(t *testing.T) {
	runBench(t, toBob, func(b *bench) {
		alice, bob := b.pair()
		bob.On(sip.INVITE, siptest.Respond(200))
		alice.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		in := bob.WantRequest(sip.INVITE)
		in.WantACK()

		again := in.Dialog().Request(sip.INVITE) // bob puts alice on hold
		again.WantFinal(200)
		in.Dialog().Ack()
		alice.WantRequest(sip.INVITE).WantACK()
		call.Request(sip.UPDATE).WantStatus(200)
		in.Dialog().Bye().WantStatus(200)
		b.flow().With("Request-URI", "Route").Require(b, `
			0.000  alice  -> proxy   INVITE  sip:bob@example.org
			0.005  proxy  -> bob     INVITE  sip:bob@10.0.0.3
			0.010  bob    -> proxy   200 (INVITE)
			0.015  proxy  -> alice   200 (INVITE)
			0.020  alice  -> proxy   ACK  sip:bob@10.0.0.3:5060  Route: <sip:10.0.0.1:5060;lr>
			0.025  proxy  -> bob     ACK  sip:bob@10.0.0.3:5060
			0.030  bob    -> proxy   INVITE  sip:alice@10.0.0.2:5060  Route: <sip:10.0.0.1:5060;lr>
			0.035  proxy  -> alice   INVITE  sip:alice@10.0.0.2:5060
			0.040  alice  -> proxy   200 (INVITE)
			0.045  proxy  -> bob     200 (INVITE)
			0.050  bob    -> proxy   ACK  sip:alice@10.0.0.2:5060  Route: <sip:10.0.0.1:5060;lr>
			0.055  proxy  -> alice   ACK  sip:alice@10.0.0.2:5060
			0.060  alice  -> proxy   UPDATE  sip:bob@10.0.0.3:5060  Route: <sip:10.0.0.1:5060;lr>
			0.065  proxy  -> bob     UPDATE  sip:bob@10.0.0.3:5060
			0.070  bob    -> proxy   200 (UPDATE)
			0.075  proxy  -> alice   200 (UPDATE)
			0.080  bob    -> proxy   BYE  sip:alice@10.0.0.2:5060  Route: <sip:10.0.0.1:5060;lr>
			0.085  proxy  -> alice   BYE  sip:alice@10.0.0.2:5060
			0.090  alice  -> proxy   200 (BYE)
			0.095  proxy  -> bob     200 (BYE)`)
	})
}

// A To tag proves nothing: a request whose route set does not lead through this server is none of its business. Toll
// fraud forges them.
func TestFollowRouteRefusesForeignRoutes(t *testing.T) {
	runBench(t, toBob, func(b *bench) {
		alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		tag := siptest.Header(sip.To, "<sip:bob@example.org>;tag=forged")
		alice.Request(sip.MESSAGE, bobsURI, tag).WantStatus(404)
		alice.Request(sip.MESSAGE, bobsURI, tag, siptest.Header(sip.Route, "<sip:10.0.0.3;lr>")).WantStatus(404)
		alice.Invite(bobsURI, tag, siptest.Header(sip.Route, "<sip:10.0.0.3;lr>, <sip:10.0.0.1;lr>")).WantStatus(404)
		require.Zero(b, len(b.flow().Only("bob").Events()))
	})
}

// A request within a dialog that has the proxy itself for its Request-URI, as phones behind it sometimes send, ends here.
func TestRequestURIIsTheProxyWithinADialog(t *testing.T) {
	runBench(t, toBob, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		alice.Request(sip.BYE, "sip:10.0.0.1", siptest.Header(sip.To, "<sip:bob@example.org>;tag=b"),
			siptest.Header(sip.Route, "<sip:10.0.0.1;lr>")).WantStatus(404)
		require.LessOrEqual(b, len(b.flow().Events()), 4, b.flow())
	})
}

// Two values of our own that do not belong together are a spiral: the request was recorded on each of two visits, and visits us twice.
// RFC 3261 16.4 removes "the first value".
func TestSpiralIsRoutedTwice(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		switch {
		case r.InDialog():
			return r.FollowRoute()
		case r.URI().User == "bob":
			r.RecordRoute()
			return r.Relay(routing.To("sip:cell@10.0.0.1"))
		}
		r.RecordRoute()
		return r.Relay(routing.To("sip:bob@10.0.0.3"))
	}, func(b *bench) {
		alice, bob := b.pair()
		bob.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		call.Bye().WantStatus(200)
		b.flow().With("Request-URI", "Route").Require(b, `
			0.000  alice  -> proxy   INVITE  sip:bob@example.org
			0.005  proxy  -> proxy   INVITE  sip:cell@10.0.0.1
			0.010  proxy  -> bob     INVITE  sip:bob@10.0.0.3
			0.015  bob    -> proxy   200 (INVITE)
			0.020  proxy  -> proxy   200 (INVITE)
			0.025  proxy  -> alice   200 (INVITE)
			0.030  alice  -> proxy   ACK  sip:bob@10.0.0.3:5060  Route: <sip:10.0.0.1:5060;lr>  Route: <sip:10.0.0.1:5060;lr>
			0.030  alice  -> proxy   BYE  sip:bob@10.0.0.3:5060  Route: <sip:10.0.0.1:5060;lr>  Route: <sip:10.0.0.1:5060;lr>
			0.035  proxy  -> proxy   ACK  sip:bob@10.0.0.3:5060  Route: <sip:10.0.0.1:5060;lr>
			0.035  proxy  -> proxy   BYE  sip:bob@10.0.0.3:5060  Route: <sip:10.0.0.1:5060;lr>
			0.040  proxy  -> bob     ACK  sip:bob@10.0.0.3:5060
			0.040  proxy  -> bob     BYE  sip:bob@10.0.0.3:5060
			0.045  bob    -> proxy   200 (BYE)
			0.050  proxy  -> proxy   200 (BYE)
			0.055  proxy  -> alice   200 (BYE)`)
	})
}

// Every URI and Via that is emitted is recognised, and what is not ours is not: of two listeners at different addresses and ports,
// neither address is ours at the other's port.
func TestIsLocal(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		h := b.net.Host("proxy", "10.0.0.1", "10.0.0.2", "2001:db8::1")
		s := b.serveAt(h, toBob, []string{
			"udp:10.0.0.1:5060", "tcp:10.0.0.2:5070 advertise edge.example.net:5071", "udp:[2001:db8::1]:5060",
		}, func(s *routing.Server) { s.Names = []string{"example.org"} })
		for uri, want := range map[string]bool{
			"sip:10.0.0.1":            true,
			"sip:x@10.0.0.1:5060;lr":  true,
			"sip:10.0.0.2:5070":       true,
			"sip:edge.example.net":    true,
			"sip:[2001:DB8:0:0::1]":   true,
			"sip:example.org":         true,
			"sip:example.org:5070":    true,
			"sip:10.0.0.1:5070":       false, // another process of that host
			"sip:10.0.0.2:5060":       false,
			"sip:10.0.0.1:5071":       false,
			"sip:10.0.0.3":            false,
			"sip:sub.example.org":     false,
			"tel:+15550100":           false,
			"sip:[2001:db8::1]:5070":  false,
			"sip:edge.example.net:80": false,
		} {
			u, err := sip.ParseURI(uri)
			require.NoError(b, err)
			require.Equal(b, want, s.IsLocal(u), uri)
		}
		flow := func(p transport.Protocol, local string) transport.Flow {
			return transport.Flow{Protocol: p, Local: netip.MustParseAddrPort(local), Remote: hostPort("10.0.0.9")}
		}
		require.Equal(b, "sip:10.0.0.1:5060", s.Contact(flow(transport.UDP, "10.0.0.1:5060")).String())
		require.Equal(b, "sip:edge.example.net:5071;transport=tcp", s.Contact(flow(transport.TCP, "10.0.0.2:5070")).String())
		require.True(b, s.Contact(flow(transport.UDP, "10.0.0.7:5060")).IsZero())
	})
}

// A value of ours is recognised on whatever listener the request arrives.
func TestOwnRouteOnAnotherListener(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		h := b.net.Host("proxy", "10.0.0.1", "10.0.1.1")
		b.serveAt(h, toBob, []string{"udp:10.0.0.1:5060", "tcp:10.0.0.1:5060", "udp:10.0.1.1:5070 advertise edge.example.net:5071"})
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Lenient: true})
		bob.On(sip.INFO, siptest.Respond(200))
		for i, route := range []string{"<sip:10.0.0.1;transport=tcp;lr>", "<sip:10.0.1.1:5070;lr>", "<sip:edge.example.net:5071;lr>", "<sip:10.0.0.1:5060;lr>"} {
			alice.SendText(text("INFO", bobsURI, "To: <sip:bob@example.org>;tag=b", "Route: "+route,
				fmt.Sprintf("Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-%d", i)))
			b.pass(time.Second)
			require.Equal(b, i+1, b.count("bob", "INFO"), route)
		}
	})
}

// RFC 3261 13.2.2.4: the ACK for a 2xx goes along the dialog's route set to the callee's Contact, wherever the INVITE was sent; and there is one,
// not one for each branch that the INVITE had.
func TestACKFollowsTheDialog(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		return r.Relay(routing.Via("sip:10.0.0.3"), routing.To(deskURI), routing.Target{URI: sip.URI{Scheme: "sip", User: "cell", Host: "10.0.0.5"}, Route: "<sip:10.0.0.5;lr>"})
	}, func(b *bench) {
		alice, desk, cell := b.phone("alice", "10.0.0.2"), b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5")
		bob := siptest.NewPhone(b, b.net.Host("bob", "10.0.0.3", "10.0.0.13"), "sip:bob@example.org", siptest.PhoneOptions{Contact: "sip:bob@10.0.0.13"})
		for _, p := range []*siptest.Phone{desk, cell} {
			p.On(sip.INVITE, siptest.Answer(time.Hour))
		}
		bob.On(sip.INVITE, siptest.After(time.Second).Respond(200))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		bob.WantRequest(sip.INVITE).WantACK()
		b.pass(time.Second)
		for _, e := range b.flow().Events() {
			if e.From == "proxy" && e.What() == "ACK" && e.To == "bob" {
				require.Equal(b, "10.0.0.13:5060", e.Destination.String())
			}
		}
		require.Equal(b, 1, b.count("bob", "ACK"))
		require.Equal(b, 1, b.count("desk", "ACK"), "of its 487")
		require.Equal(b, 1, b.count("cell", "ACK"))
		call.Bye().WantStatus(200)
	})
}

// RFC 3327 5.3: each binding has a Path of its own, and so has each branch; the CANCEL and the ACK of a failure go the same way (9.1, 17.1.1.3).
func TestPathOfEachBinding(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		binding := func(user, edge string) routing.Target {
			return routing.Target{URI: sip.URI{Scheme: "sip", User: user, Host: map[string]string{"desk": "10.0.0.4", "cell": "10.0.0.5"}[user]}, Route: "<sip:" + edge + ";lr>"}
		}
		b.serve("proxy", "10.0.0.1", func(_ context.Context, r *routing.Request) error {
			if r.InDialog() {
				return r.FollowRoute()
			}
			r.RecordRoute()
			return r.Relay(binding("desk", "10.0.1.1"), binding("cell", "10.0.2.1"))
		})
		b.serve("edge1", "10.0.1.1", recordAndRelay)
		b.serve("edge2", "10.0.2.1", recordAndRelay)
		alice, desk, cell := b.phone("alice", "10.0.0.2"), b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5")
		desk.On(sip.INVITE, siptest.Answer(time.Hour))
		cell.On(sip.INVITE, siptest.Answer(time.Second))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		cell.WantRequest(sip.INVITE).WantACK()
		call.Bye().WantStatus(200)
		b.flow().With("Route").Require(b, `
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> edge1   INVITE  Route: <sip:10.0.1.1;lr>
			0.005  proxy  -> edge2   INVITE  Route: <sip:10.0.2.1;lr>
			0.010  edge1  -> desk    INVITE
			0.010  edge2  -> cell    INVITE
			0.015  desk   -> edge1   180 (INVITE)
			0.015  cell   -> edge2   180 (INVITE)
			0.020  edge1  -> proxy   180 (INVITE)
			0.020  edge2  -> proxy   180 (INVITE)
			0.025  proxy  -> alice   180 (INVITE)
			0.025  proxy  -> alice   180 (INVITE)
			1.015  cell   -> edge2   200 (INVITE)
			1.020  edge2  -> proxy   200 (INVITE)
			1.025  proxy  -> alice   200 (INVITE)
			1.025  proxy  -> edge1   CANCEL  Route: <sip:10.0.1.1;lr>
			1.030  alice  -> proxy   ACK  Route: <sip:10.0.0.1:5060;lr>  Route: <sip:10.0.2.1:5060;lr>
			1.030  edge1  -> proxy   200 (CANCEL)
			1.030  edge1  -> desk    CANCEL
			1.035  proxy  -> edge2   ACK  Route: <sip:10.0.2.1:5060;lr>
			1.035  desk   -> edge1   200 (CANCEL)
			1.035  desk   -> edge1   487 (INVITE)
			1.040  edge2  -> cell    ACK
			1.040  edge1  -> desk    ACK
			1.040  edge1  -> proxy   487 (INVITE)
			1.045  alice  -> proxy   BYE  Route: <sip:10.0.0.1:5060;lr>  Route: <sip:10.0.2.1:5060;lr>
			1.045  proxy  -> edge1   ACK  Route: <sip:10.0.1.1;lr>
			1.050  proxy  -> edge2   BYE  Route: <sip:10.0.2.1:5060;lr>
			1.055  edge2  -> cell    BYE
			1.060  cell   -> edge2   200 (BYE)
			1.065  edge2  -> proxy   200 (BYE)
			1.070  proxy  -> alice   200 (BYE)`)
	})
}
