package routing_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// RFC 3261 16.6 step 1: "The copy MUST initially contain all of the header fields from the received request. Fields not detailed in
// the processing described below MUST NOT be removed. The copy SHOULD maintain the ordering of the header fields as in the received
// request. The proxy MUST NOT reorder field values with a common field name (See Section 7.3.1). The proxy MUST NOT add to, modify,
// or remove the message body."
func TestCopyIsByteForByte(t *testing.T) {
	const (
		head = "X-First :  spaced  \r\n" + "v: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-1;x=\"a;b\"\r\n"
		mid  = "f: \"A. \\\"Lice\\\"\" <sip:alice@example.org;x=y>;tag=a;z\r\n" +
			"Via:SIP/2.0/UDP 192.0.2.1 ;branch=z9hG4bK-0, SIP/2.0/TCP [2001:db8::1]:5061;branch=old\r\n" +
			"To:<sip:bob@example.org>\r\ni: copy\r\nCSeq: 0001 MESSAGE\r\n" +
			"Subject: =?utf-8?q?h=C3=BC?= \xfc\xff\r\nContact: <sip:a@b>, <sip:c@d>;q=0.5\r\nCONTACT: *\r\n" +
			"Date: whenever\r\nAuthorization: Digest username=\"a,b\"\r\nl: 5\r\nc: text/plain\r\n\r\na\x00b\r\n"
	)
	runBench(t, relayTo(bobsURI), func(b *bench) {
		lenient := siptest.PhoneOptions{Lenient: true}
		alice, bob := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
		bob.On(sip.MESSAGE, siptest.Respond(202))
		alice.SendText("MESSAGE sip:bob@example.org SIP/2.0\r\n" + head + "max-forwards: 70\r\n" + mid)
		got := bob.WantRequest(sip.MESSAGE).Text()
		line, rest, _ := strings.Cut(got, "\r\n")
		require.Equal(b, "MESSAGE sip:bob@10.0.0.3 SIP/2.0", line)
		// What the proxy owns goes; what is left is what came.
		for _, own := range []string{"Via: SIP/2.0/UDP 10.0.0.1:5060;branch=" + branches(got)[0] + "\r\n", "Max-Breadth: 60\r\n"} {
			b.wait()
			require.Equal(b, 1, strings.Count(rest, own), got)
			rest = strings.Replace(rest, own, "", 1)
		}
		require.Equal(b, strings.Replace(head, "X-First :", "X-First:", 1)+"Max-Forwards: 69\r\n"+mid, rest)
	})
}

// RFC 3261 16.6 step 2: "The Request-URI in the copy's start line MUST be replaced with the URI for this target. If the URI contains
// any parameters not allowed in a Request-URI, they MUST be removed." 19.1.1, table 1: these are the method parameter and headers.
func TestRequestURIOfTheTarget(t *testing.T) {
	for uri, want := range map[string]string{
		"sip:bob@10.0.0.3;x=y;lr":                                      "sip:bob@10.0.0.3;x=y;lr",
		"sip:bob@10.0.0.3;transport=udp?Subject=lunch&Priority=urgent": "sip:bob@10.0.0.3;transport=udp",
		"sip:bob@10.0.0.3;method=MESSAGE;user=phone":                   "sip:bob@10.0.0.3;user=phone",
		"sip:b%6Fb;x=1:pass@10.0.0.3:5060":                             "sip:b%6Fb;x=1:pass@10.0.0.3:5060",
	} {
		t.Run(uri, func(t *testing.T) {
			runBench(t, relayTo(uri), func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
				require.Equal(b, "MESSAGE "+want+" SIP/2.0", startLine(bob.WantRequest(sip.MESSAGE).Text()))
			})
		})
	}
}

// A Request-URI that is no SIP URI goes on as it came, if the handler says where to (an emergency call is one).
func TestRequestURIThatIsNoSIPURI(t *testing.T) {
	for _, uri := range []string{"tel:+1-(555)-0100;phone-context=example.org", "urn:service:sos.police", "sip:%62ob@example.org;a=%20;b"} {
		t.Run(uri, func(t *testing.T) {
			runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay(routing.Via(bobsURI)) }, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				alice.SendText(text("MESSAGE", uri, "To: <sip:bob@example.org>")).WantStatus(200)
				require.Equal(b, "MESSAGE "+uri+" SIP/2.0", startLine(bob.WantRequest(sip.MESSAGE).Text()))
			})
		})
	}
}

// RFC 3261 16.6 step 3: "If the copy contains a Max-Forwards header field, the proxy MUST decrement its value by one (1). If the copy
// does not contain a Max-Forwards header field, the proxy MUST add one with a field value, which SHOULD be 70."
func TestMaxForwardsIsDecremented(t *testing.T) {
	for value, want := range map[string]string{"Max-Forwards: 70": "69", "max-forwards: 001": "0", "Max-Forwards: 255": "254", "": "70"} {
		t.Run(value, func(t *testing.T) {
			runBench(t, relayTo(bobsURI), func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				m := strings.Replace(text("MESSAGE", bobAlias), "Max-Forwards: 70", value, 1)
				alice.SendText(strings.Replace(m, "\r\n\r\nFrom", "\r\nFrom", 1)).WantStatus(200)
				require.Equal(b, []string{want}, headers(bob.WantRequest(sip.MESSAGE).Text(), sip.MaxForwards))
			})
		})
	}
}

// RFC 3261 16.6 step 4: "it MUST insert a Record-Route header field value into the copy before any existing Record-Route header field
// values, even if a Route header field is already present." "The URI placed in the Record-Route header field value MUST be a SIP or
// SIPS URI. This URI MUST contain an lr parameter". And a proxy that does not wish to stay inserts none.
func TestRecordRouteComesFirst(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.Method() == sip.MESSAGE {
			r.RecordRoute()
			r.RecordRoute() // says it again, no more
		}
		return r.Relay(routing.To(bobsURI))
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		rr := siptest.Header(sip.RecordRoute, "<sip:10.0.0.8;lr>, <sip:10.0.0.9;lr>")
		alice.Request(sip.MESSAGE, bobAlias, rr).WantStatus(200)
		require.Equal(b, []string{"<sip:10.0.0.1:5060;lr>", "<sip:10.0.0.8;lr>, <sip:10.0.0.9;lr>"}, headers(bob.WantRequest(sip.MESSAGE).Text(), sip.RecordRoute))
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
		require.Equal(b, []string{"<sip:10.0.0.1:5060;lr>"}, headers(bob.WantRequest(sip.MESSAGE).Text(), sip.RecordRoute))
		alice.Request(sip.OPTIONS, bobAlias, rr).WantStatus(200)
		require.Equal(b, []string{"<sip:10.0.0.8;lr>, <sip:10.0.0.9;lr>"}, headers(bob.WantRequest(sip.OPTIONS).Text(), sip.RecordRoute))
	})
}

// RFC 3261 16.6 step 6: "This set MUST be pushed into the Route header field of the copy ahead of any existing values, if present. If the
// Route header field is absent, it MUST be added". RFC 3327 5.3 does the same with a Path. Step 7: the next hop is "the first value in
// the Route header field, if present, else the Request-URI".
func TestTargetRouteIsPushed(t *testing.T) {
	for name, c := range map[string]struct{ came, path, want string }{
		"alone":           {"", "<sip:10.0.0.3;lr>", "<sip:10.0.0.3;lr>"},
		"several":         {"", "<sip:10.0.0.3;lr;ob>, <sip:10.0.0.9;lr>", "<sip:10.0.0.3;lr;ob>, <sip:10.0.0.9;lr>"},
		"before others":   {"<sip:10.0.0.8;lr>", "<sip:10.0.0.3;lr>", "<sip:10.0.0.3;lr>, <sip:10.0.0.8;lr>"},
		"after our own":   {"<sip:10.0.0.1;lr>, <sip:10.0.0.8;lr>", "<sip:10.0.0.3;lr>", "<sip:10.0.0.3;lr>, <sip:10.0.0.8;lr>"},
		"comma in quotes": {"", `"a, b" <sip:10.0.0.3;lr>;x="1,2",<sip:10.0.0.9;lr>`, `"a, b" <sip:10.0.0.3;lr>;x="1,2",<sip:10.0.0.9;lr>`},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, func(_ context.Context, r *routing.Request) error {
				return r.Relay(routing.Target{URI: sip.URI{Scheme: "sip", User: "bob", Host: "10.0.0.77"}, Route: c.path})
			}, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				var edits []siptest.Edit
				if c.came != "" {
					edits = append(edits, siptest.Header(sip.Route, c.came))
				}
				alice.Request(sip.MESSAGE, bobAlias, edits...).WantStatus(200)
				in := bob.WantRequest(sip.MESSAGE)
				require.Equal(b, "MESSAGE sip:bob@10.0.0.77 SIP/2.0", startLine(in.Text()))
				require.Equal(b, c.want, strings.Join(headers(in.Text(), sip.Route), ", "))
			})
		})
	}
}

// A Path that is no address fails its target and no other.
func TestBadTargetFailsAlone(t *testing.T) {
	for name, bad := range map[string]routing.Target{
		"Route":          {Route: "<sip:>"},
		"To":             routing.To("no uri at all"),
		"Via":            routing.Via("no uri at all"),
		"scheme":         routing.To("mailto:bob@example.org"),
		"unknown host":   routing.To("sip:bob@nowhere.example"),
		"edit":           {Edit: func(p *sip.Patch) { p.Set("X-Evil", "a\r\nVia: b") }},
		"flow of nobody": {Flow: transport.Flow{Protocol: transport.UDP, Local: hostPort("10.9.9.9"), Remote: hostPort("10.0.0.3")}},
		"connection":     {Flow: transport.Flow{Protocol: transport.TCP, Local: hostPort("10.0.0.1"), Remote: hostPort("10.0.0.3"), Conn: 77}},
	} {
		t.Run(name, func(t *testing.T) {
			var got routing.Response
			runBench(t, func(ctx context.Context, r *routing.Request) error {
				got = r.Forward(ctx, bad)
				r.Forward(ctx, routing.To(bobsURI))
				return nil
			}, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
				require.Empty(b, headers(bob.WantRequest(sip.MESSAGE).Text(), "X-Evil"))
				b.wait()
				require.Equal(b, 503, got.Status)
				require.True(b, got.Local())
				require.False(b, got.Done())
				require.ErrorIs(b, got.Err, routing.ErrUnreachable)
			}, func(s *routing.Server) { s.Resolver = names{} })
		})
	}
}

// RFC 3261 16.6 step 7: "The proxy MAY have a local policy to send the request to a specific IP address, port, and transport, independent
// of the values of the Route and Request-URI." A flow comes before a next hop, that before Route, that before the Request-URI.
func TestWhereACopyGoes(t *testing.T) {
	flow := transport.Flow{Protocol: transport.UDP, Local: hostPort("10.0.0.1"), Remote: hostPort("10.0.0.3")}
	for name, target := range map[string]routing.Target{
		"flow before all":    {Flow: flow, NextHop: sip.URI{Scheme: "sip", Host: "10.0.0.99"}, Route: "<sip:10.0.0.98;lr>"},
		"next hop":           {NextHop: sip.URI{Scheme: "sip", Host: "10.0.0.3"}, Route: "<sip:10.0.0.98;lr>"},
		"next hop by a name": {NextHop: sip.URI{Scheme: "sip", Host: "bob.example"}, Route: "<sip:10.0.0.98;lr>"},
		"route":              {Route: "<sip:10.0.0.3;lr>"},
		"route by a name":    {Route: "<sip:bob.example;lr>"},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay(target) }, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				alice.Request(sip.MESSAGE, "sip:bob@10.0.0.97").WantStatus(200)
				in := bob.WantRequest(sip.MESSAGE)
				require.Equal(b, "MESSAGE sip:bob@10.0.0.97 SIP/2.0", startLine(in.Text()))
				require.Equal(b, target.Route, strings.Join(headers(in.Text(), sip.Route), ", "))
			}, func(s *routing.Server) { s.Resolver = names{"bob.example": "10.0.0.3"} })
		})
	}
}

// RFC 3261 16.6 step 7: "the proxy MUST attempt to deliver the message to the first tuple in that set, and proceed through the set in
// order until the delivery attempt succeeds." "If the client transaction reports failure to send the request or a timeout from its
// state machine, the proxy continues to the next address in that ordered set."
func TestNextAddressOfAName(t *testing.T) {
	for name, hops := range map[string]twoHops{
		"no connection": {
			{Protocol: transport.TCP, Addr: hostPort("10.0.0.2")}, // alice does not listen there
			{Protocol: transport.UDP, Addr: hostPort("10.0.0.3")},
		},
		"no answer": {
			{Protocol: transport.UDP, Addr: hostPort("10.0.0.99")},
			{Protocol: transport.UDP, Addr: hostPort("10.0.0.3")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, func(ctx context.Context, r *routing.Request) error {
				r.Forward(ctx)
				return nil
			}, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{T1: time.Minute, T2: time.Minute, NoRetransmit: true}), b.phone("bob", "10.0.0.3")
				bob.On(sip.INVITE, siptest.Respond(486))
				alice.Invite(bobAlias).WantFinal(486)
				require.Equal(b, 1, b.count("bob", "INVITE"))
			}, func(s *routing.Server) { s.Resolver = hops })
		})
	}
}

// twoHops is a Resolver that gives the same answer to all.
type twoHops []transport.Hop

func (h twoHops) Resolve(context.Context, sip.URI) ([]transport.Hop, error) { return h, nil }

// RFC 3261 16.6 step 8: "The proxy MUST insert a Via header field value into the copy before the existing Via header field values."
// The branch "will be globally unique for that branch, and contain the requisite magic cookie", and "MUST be different for each
// attempt". That it cannot be guessed keeps strangers from answering.
func TestViaOfEachBranch(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		r.Forward(ctx, targets(bobsURI, deskURI)...)
		r.Forward(ctx, targets(bobsURI)...)
		return nil
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Lenient: true}), b.phone("desk", "10.0.0.4")
		bob.On(sip.MESSAGE, siptest.Respond(404))
		desk.On(sip.MESSAGE, siptest.Respond(404))
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(404)
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(404)
		seen := map[string]bool{}
		for _, text := range append(b.received("bob", "MESSAGE"), b.received("desk", "MESSAGE")...) {
			vias := headers(text, sip.Via)
			require.Len(b, vias, 2)
			require.True(b, strings.HasPrefix(vias[0], "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK"), vias[0])
			require.Contains(b, vias[1], "10.0.0.2:5060")
			branch := branches(text)[0]
			require.False(b, seen[branch], "the branch %s was used twice", branch)
			seen[branch] = true
			random, _, _ := strings.Cut(strings.TrimPrefix(branch, "z9hG4bK"), ".")
			require.GreaterOrEqual(b, len(random), 10, "64 bits at base 36, give or take two zeros")
		}
		require.Len(b, seen, 6)
	})
}

// RFC 3261 16.6 step 9: "If the request will be sent to the next hop using a stream-based transport and the copy contains no
// Content-Length header field, the proxy MUST insert one with the correct value for the body of the request".
func TestContentLengthIsAddedForStreams(t *testing.T) {
	runBench(t, relayTo(bobsURI+";transport=tcp"), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Transport: "TCP"})
		alice.SendText(text("MESSAGE", bobAlias, "Content-Length:", "Content-Type: text/plain") + "lunch?").WantStatus(200)
		in := bob.WantRequest(sip.MESSAGE)
		require.Equal(b, []string{"6"}, headers(in.Text(), sip.ContentLength))
		require.Equal(b, "lunch?", in.Body())
	})
}

// The engine does its hop-by-hop work first, then the request's edits run, then the target's: what is set is what leaves.
func TestEditsComeLast(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		r.RecordRoute()
		r.Edit().Set(sip.Subject, "of the request")
		r.Edit().Remove("X-Secret")
		r.Edit().Add("X-Hop", "request")
		first := routing.To(bobsURI)
		first.Edit = func(p *sip.Patch) {
			p.Set(sip.Subject, "of the target")
			p.Set(sip.MaxForwards, "5")
			p.Remove(sip.MaxBreadth)
			p.Remove(sip.RecordRoute)
			p.Prepend(sip.Route, "<sip:10.0.0.3;lr>")
			p.Add("X-Hop", "target")
			p.SetRequestURIText("sip:edited@10.0.0.3;x")
			p.SetBody("text/plain", "edited")
		}
		r.Forward(ctx, first, routing.To(deskURI))
		return nil
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.MESSAGE, siptest.Respond(404))
		desk.On(sip.MESSAGE, siptest.Respond(404))
		secret := siptest.AddHeader("X-Secret", "1")
		alice.Request(sip.MESSAGE, bobAlias, secret, siptest.AddHeader("x-secret", "2"), siptest.Header(sip.Subject, "of alice"),
			siptest.Header(sip.RecordRoute, "<sip:10.0.0.8;lr>"), siptest.Body("text/plain", "of alice")).WantStatus(404)

		in := bob.WantRequest(sip.MESSAGE)
		require.Equal(b, "MESSAGE sip:edited@10.0.0.3;x SIP/2.0", startLine(in.Text()))
		require.Equal(b, "of the target", in.Get(sip.Subject))
		require.Equal(b, "5", in.Get(sip.MaxForwards))
		require.Equal(b, "<sip:10.0.0.3;lr>", in.Get(sip.Route))
		require.False(b, in.Has(sip.MaxBreadth))
		require.False(b, in.Has(sip.RecordRoute))
		require.False(b, in.Has("X-Secret"))
		require.Equal(b, []string{"request", "target"}, headers(in.Text(), "X-Hop"))
		require.Equal(b, "edited", in.Body())
		require.Equal(b, "6", in.Get(sip.ContentLength))

		in = desk.WantRequest(sip.MESSAGE)
		require.Equal(b, "MESSAGE sip:desk@10.0.0.4 SIP/2.0", startLine(in.Text()))
		require.Equal(b, "of the request", in.Get(sip.Subject))
		require.Equal(b, "69", in.Get(sip.MaxForwards))
		require.Equal(b, "30", in.Get(sip.MaxBreadth))
		require.Equal(b, []string{"<sip:10.0.0.1:5060;lr>", "<sip:10.0.0.8;lr>"}, headers(in.Text(), sip.RecordRoute))
		require.False(b, in.Has("X-Secret"))
		require.Equal(b, []string{"request"}, headers(in.Text(), "X-Hop"))
		require.Equal(b, "of alice", in.Body())
	})
}

// An edit of the request that cannot be written fails what comes after it, and says so; nothing is smuggled into a message.
func TestRefusedEditOfTheRequest(t *testing.T) {
	var errs []error
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		r.Edit().Set("X-User", "bob\r\nRoute: <sip:evil.example>")
		errs = append(errs, r.Forward(ctx, routing.To(bobsURI)).Err)
		r.Edit().Reset()
		r.Edit().Set("X-User", "bob")
		errs = append(errs, r.Forward(ctx, routing.To(bobsURI)).Err)
		return nil
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
		require.Equal(b, []string{"bob"}, headers(bob.WantRequest(sip.MESSAGE).Text(), "X-User"))
		b.pass(time.Second)
		require.ErrorIs(b, errs[0], sip.ErrHeaderValue)
		require.NoError(b, errs[1])
		require.EqualValues(b, 1, b.server.Stats().BadEdits)
	})
}

// What a handler does to its edits and targets after it has passed the request on is for what it starts later: branches that are still being
// dialed, or that go on to another address, are as they were.
func TestEditsAfterwardsAreForLaterBranches(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		r.Edit().Set("X-Edit", "early")
		ts := []routing.Target{routing.To("sip:bob@two.example"), routing.To(deskURI + ";transport=tcp")}
		short, cancel := context.WithTimeout(ctx, 50*time.Second)
		defer cancel()
		if err := r.Relay(ts...); err != nil {
			return err
		}
		r.Edit().Set("X-Edit", "late")
		r.RecordRoute()
		ts[0], ts[1] = routing.To(cellURI), routing.To(cellURI)
		<-short.Done()
		return nil
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		desk, _ := b.phone("desk", "10.0.0.4", siptest.PhoneOptions{Transport: "TCP"}), b.phone("cell", "10.0.0.5")
		b.net.SetLink(b.proxy, desk.Host(), siptest.Link{Delay: time.Second})
		bob.On(sip.INVITE, siptest.Respond(486))
		desk.On(sip.INVITE, siptest.Respond(486))
		alice.Invite(bobAlias).WantFinal(486)
		for _, p := range []*siptest.Phone{bob, desk} {
			in := p.WantRequest(sip.INVITE)
			require.Equal(b, "early", in.Get("X-Edit"))
			require.False(b, in.Has(sip.RecordRoute))
		}
		require.Zero(b, len(b.flow().Only("cell").Events()))
		b.pass(time.Minute)
	}, func(s *routing.Server) {
		s.Resolver = twoHops{{Protocol: transport.UDP, Addr: hostPort("10.0.0.99")}, {Protocol: transport.UDP, Addr: hostPort("10.0.0.3")}}
	})
}

// Branches of one fork are written at once on several goroutines (run with -race).
func TestParallelBranchesAreWrittenAtOnce(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		r.RecordRoute()
		r.Edit().Add("X-Edit", "1")
		return r.Relay(targets("sip:bob@bob.example", "sip:desk@desk.example", bobsURI+";x=1", deskURI+";x=1", bobsURI+";transport=tcp")...)
	}, func(b *bench) {
		lenient := siptest.PhoneOptions{Listen: []string{"UDP", "TCP"}, Lenient: true}
		alice, _, _ := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient), b.phone("desk", "10.0.0.4", lenient)
		for range 50 {
			alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
		}
	}, func(s *routing.Server) { s.Resolver = names{"bob.example": "10.0.0.3", "desk.example": "10.0.0.4"} })
}

var large = siptest.Body("text/plain", strings.Repeat("large ", 250))

// RFC 3261 18.1.1: "If a request is within 200 bytes of the path MTU, or if it is larger than 1300 bytes and the path MTU is unknown, the
// request MUST be sent using an RFC 2914 [43] congestion controlled transport protocol, such as TCP." "If this causes a change in the
// transport protocol from the one indicated in the top Via, the value in the top Via MUST be changed."
func TestLargeRequestMovesToTCP(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		target, edits := routing.To(bobsURI), 0
		target.Edit = func(p *sip.Patch) {
			edits++ // made for each copy that is written, of which one is sent
			p.Add("X-Edit", "once")
		}
		return r.Relay(target)
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Listen: []string{"UDP", "TCP"}})
		alice.Request(sip.MESSAGE, bobAlias, large).WantStatus(200)
		in := bob.WantRequest(sip.MESSAGE)
		require.True(b, strings.HasPrefix(in.Get(sip.Via), "SIP/2.0/TCP 10.0.0.1:5060;"), in.Get(sip.Via))
		require.Equal(b, []string{"<sip:10.0.0.1:5060;transport=tcp;lr;r2=on>", "<sip:10.0.0.1:5060;lr;r2=on>"}, headers(in.Text(), sip.RecordRoute))
		require.Equal(b, []string{"once"}, headers(in.Text(), "X-Edit"))
		require.Equal(b, "MESSAGE sip:bob@10.0.0.3 SIP/2.0", startLine(in.Text()))
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200) // small again: UDP
		require.EqualValues(b, 1, b.server.Stats().MovedToTCP)
		b.ladder(`
			0.000  alice  -> proxy   MESSAGE
			0.015  proxy  -> bob     MESSAGE
			0.020  bob    -> proxy   200 (MESSAGE)
			0.025  proxy  -> alice   200 (MESSAGE)
			0.030  alice  -> proxy   MESSAGE
			0.035  proxy  -> bob     MESSAGE
			0.040  bob    -> proxy   200 (MESSAGE)
			0.045  proxy  -> alice   200 (MESSAGE)`)
		for i, e := range b.flow().Events() {
			require.Equal(b, i == 1 || i == 2, e.Stream)
		}
	})
}

// The same section: "If an element sends a request over TCP because of these message size constraints, and that request would have
// otherwise been sent over UDP, if the attempt to establish the connection generates either an ICMP Protocol Not Supported, or results in a
// TCP reset, the element SHOULD retry the request, using UDP."
func TestLargeRequestStaysOnUDPWithoutTCP(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		alice.Request(sip.MESSAGE, bobAlias, large).WantStatus(200)
		in := bob.WantRequest(sip.MESSAGE)
		require.True(b, strings.HasPrefix(in.Get(sip.Via), "SIP/2.0/UDP 10.0.0.1:5060;"), in.Get(sip.Via))
		alice.Request(sip.MESSAGE, bobAlias, large).WantStatus(200) // at once: the refusal is remembered
		require.EqualValues(b, 2, b.server.Stats().SentFragmented)
		require.Zero(b, b.server.Stats().MovedToTCP)
		b.ladder(`
			0.000  alice  -> proxy   MESSAGE
			0.015  proxy  -> bob     MESSAGE
			0.020  bob    -> proxy   200 (MESSAGE)
			0.025  proxy  -> alice   200 (MESSAGE)
			0.030  alice  -> proxy   MESSAGE
			0.035  proxy  -> bob     MESSAGE
			0.040  bob    -> proxy   200 (MESSAGE)
			0.045  proxy  -> alice   200 (MESSAGE)`)
	})
}

// Where nobody even refuses the connection, the request does not wait longer than its caller has patience.
func TestLargeRequestToABlackHole(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		b.net.SetLink(b.proxy, bob.Host(), siptest.Link{Delay: 10 * time.Second}) // for the SYN
		exchange := alice.Request(sip.MESSAGE, bobAlias, large)
		b.pass(time.Second)
		b.net.SetLink(b.proxy, bob.Host(), siptest.Link{})
		exchange.WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   MESSAGE
			0.500  alice  -> proxy   MESSAGE
			1.500  alice  -> proxy   MESSAGE
			2.005  proxy  -> bob     MESSAGE
			2.010  bob    -> proxy   200 (MESSAGE)
			2.015  proxy  -> alice   200 (MESSAGE)`)
	})
}

// A target's own flow stays: a phone behind a NAT is reachable on no other. And a limit may be set, or none.
func TestLargeRequestThatStaysOnUDP(t *testing.T) {
	flow := transport.Flow{Protocol: transport.UDP, Local: hostPort("10.0.0.1"), Remote: hostPort("10.0.0.3")}
	for name, c := range map[string]struct {
		target routing.Target
		limit  int
		tcp    bool
	}{
		"flow":      {target: routing.Target{Flow: flow}},
		"no limit":  {target: routing.To(bobsURI), limit: -1},
		"below it":  {target: routing.To(bobsURI), limit: 5000},
		"above it":  {target: routing.To(bobsURI), limit: 100, tcp: true},
		"by itself": {target: routing.To(bobsURI), tcp: true},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay(c.target) }, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Listen: []string{"UDP", "TCP"}})
				alice.Request(sip.MESSAGE, bobAlias, large).WantStatus(200)
				require.Equal(b, c.tcp, strings.HasPrefix(bob.WantRequest(sip.MESSAGE).Get(sip.Via), "SIP/2.0/TCP"))
			}, func(s *routing.Server) { s.UDPLimit = c.limit })
		})
	}
}

// RFC 3261 18.1.1 speaks of requests alone: a response goes back the way that its request came, whatever its size (18.2.2).
func TestLargeResponseIsNeverRefused(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		body := strings.Repeat("x", 60000)
		bob.On(sip.MESSAGE, siptest.Respond(200, siptest.Body("text/plain", body)))
		require.Equal(b, body, alice.Request(sip.MESSAGE, bobAlias).WantStatus(200).Body())
	})
}

// RFC 3581 4: "If this Via header field value contains an "rport" parameter with no value, it MUST set the value of the parameter to the
// source port of the request." "the server MUST insert a "received" parameter containing the source IP address that the request came
// from, even if it is identical to the value of the "sent-by" component." RFC 3261 18.2.1 wants received where sent-by differs.
func TestViaOfTheSenderIsCompleted(t *testing.T) {
	for via, want := range map[string]string{
		"SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-1":                                 "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-1",
		"SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bK-1":                           "SIP/2.0/UDP 10.0.0.2:5060;rport=5060;branch=z9hG4bK-1;received=10.0.0.2",
		"SIP/2.0/UDP 192.168.1.7:4540;rport;branch=z9hG4bK-1":                        "SIP/2.0/UDP 192.168.1.7:4540;rport=5060;branch=z9hG4bK-1;received=10.0.0.2",
		"SIP/2.0/UDP phone.example.org;branch=z9hG4bK-1":                             "SIP/2.0/UDP phone.example.org;branch=z9hG4bK-1;received=10.0.0.2",
		"SIP/2.0/UDP 10.0.0.2:5060;received=10.0.0.66;rport=1;branch=z9hG4bK-forged": "SIP/2.0/UDP 10.0.0.2:5060;received=10.0.0.2;rport=5060;branch=z9hG4bK-forged",
	} {
		t.Run(via, func(t *testing.T) {
			runBench(t, relayTo(bobsURI), func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Lenient: true}), b.phone("bob", "10.0.0.3")
				alice.SendText(text("MESSAGE", bobAlias, "Via: "+via)).WantStatus(200)
				require.ElementsMatch(b, strings.Split(want, ";"), strings.Split(headers(bob.WantRequest(sip.MESSAGE).Text(), sip.Via)[1], ";"))
			})
		})
	}
}

// RFC 3581 4: "the response MUST be sent to the IP address listed in the "received" parameter, and the port in the "rport" parameter.
// The response MUST be sent from the same address and port that the corresponding request was received on." RFC 3261 18.2.2: without
// rport it goes to the port of sent-by.
func TestResponseGoesBackThroughANAT(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		h := b.net.Host("proxy", "10.0.0.1", "10.0.1.1")
		b.serveAt(h, relayTo(bobsURI), []string{"udp:10.0.0.1:5060", "udp:10.0.0.1:5070", "udp:10.0.1.1:5060"})
		b.phone("bob", "10.0.0.3")
		nat := b.net.Host("nat", "203.0.113.7")
		for _, local := range []string{"10.0.0.1:5070", "10.0.1.1:5060", "10.0.0.1:5060"} {
			c, err := nat.ListenPacket(b.Context(), "udp", ":0")
			require.NoError(b, err)
			defer c.Close()
			to := addrPort(local)
			_, err = c.WriteTo([]byte(text("MESSAGE", bobAlias, "Via: SIP/2.0/UDP 192.168.1.7:4540;rport;branch=z9hG4bK-"+strings.ReplaceAll(local, ":", "-"),
				"Call-ID: nat-"+local)), udpAddr(to))
			require.NoError(b, err)
			require.NoError(b, c.SetReadDeadline(time.Now().Add(time.Second)))
			buf := make([]byte, 4096)
			n, from, err := c.ReadFrom(buf)
			require.NoError(b, err)
			require.Equal(b, local, from.String())
			require.Equal(b, "SIP/2.0 200 OK", startLine(string(buf[:n])))
		}
		b.net.Forget()
		c, err := nat.ListenPacket(b.Context(), "udp", ":0")
		require.NoError(b, err)
		defer c.Close()
		_, err = c.WriteTo([]byte(text("MESSAGE", bobAlias, "Via: SIP/2.0/UDP 192.168.1.7:4540;branch=z9hG4bK-old")), udpAddr(hostPort("10.0.0.1")))
		require.NoError(b, err)
		b.pass(time.Second)
		events := b.flow().Only("nat").Events()
		require.Len(b, events, 2)
		require.Equal(b, "203.0.113.7:4540", events[1].Destination.String())
	})
}

// Everything is bounded: a name with very many addresses costs a few of them.
func TestVeryManyAddressesOfAName(t *testing.T) {
	var hops twoHops
	for i := range 1000 {
		hops = append(hops, transport.Hop{Protocol: transport.TCP, Addr: addrPort(fmt.Sprintf("10.0.0.3:%d", 10000+i))})
	}
	runBench(t, relayTo("sip:bob@many.example"), func(b *bench) {
		alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		alice.Invite(bobAlias).WantFinal(500)
		require.LessOrEqual(b, b.server.Stats().Transport.Stream.DialErrors, uint64(64))
	}, func(s *routing.Server) { s.Resolver = hops })
}
