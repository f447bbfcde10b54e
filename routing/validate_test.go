package routing_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// text is a request of alice's, as it is; lines replace or follow the usual ones. A line that ends with a colon removes
// the field.
func text(method, uri string, lines ...string) string {
	fields := []string{
		"Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-text-" + strings.ToLower(method),
		"Max-Forwards: 70",
		"From: <sip:alice@example.org>;tag=a",
		"To: <" + uri + ">",
		"Call-ID: text",
		"CSeq: 1 " + method,
		"Content-Length: 0",
	}
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ":")
		replaced := false
		for i, f := range fields {
			if strings.HasPrefix(f, name+":") && !replaced {
				fields[i], replaced = line, true
			}
		}
		if !replaced {
			fields = append(fields, line)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s SIP/2.0\r\n", method, uri)
	for _, f := range fields {
		if !strings.HasSuffix(f, ":") {
			b.WriteString(f + "\r\n")
		}
	}
	return b.String() + "\r\n"
}

// RFC 3261 16.3: "If any of these checks fail, the element MUST behave as a user agent server (see Section 8.2) and respond
// with an error code." 16.3 step 1: "Any components involved in the remainder of these Request Validation steps or the
// Request Forwarding section MUST be well-formed."
func TestMalformedRequestsAreAnswered(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		status int
		reason string // part of it
	}{
		"Max-Forwards is no number":   {text("OPTIONS", bobAlias, "Max-Forwards: many"), 400, "Max-Forwards"},
		"Max-Forwards is too much":    {text("OPTIONS", bobAlias, "Max-Forwards: 256"), 400, "Max-Forwards"},
		"Max-Forwards is negative":    {text("OPTIONS", bobAlias, "Max-Forwards: -1"), 400, "Max-Forwards"},
		"Max-Forwards stands twice":   {text("OPTIONS", bobAlias, "Max-Forwards: 70\r\nMax-Forwards: 69"), 400, ""},
		"Route is no address":         {text("OPTIONS", bobAlias, "Route: <sip:10.0.0.1;lr>, <sip:>"), 400, "Route"},
		"CSeq has another method":     {text("OPTIONS", bobAlias, "CSeq: 1 MESSAGE"), 400, "CSeq"},
		"CSeq is too large":           {text("OPTIONS", bobAlias, "CSeq: 4294967296 OPTIONS"), 400, "CSeq"},
		"Request-URI without a host":  {text("OPTIONS", "sip:", "To: <sip:bob@example.org>"), 400, ""},
		"shorter than Content-Length": {text("OPTIONS", bobAlias, "Content-Length: 10"), 400, "Content-Length"},
		"another version of SIP":      {strings.Replace(text("OPTIONS", bobAlias), "SIP/2.0", "SIP/3.0", 1), 505, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var invalid int
			runBench(t, relayTo(bobsURI), func(b *bench) {
				alice, _ := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Lenient: true}), b.phone("bob", "10.0.0.3")
				alice.SendText(c.text)
				b.pass(time.Second)
				events := b.flow().Events()
				require.Len(b, events, 2, b.flow())
				require.Equal(b, "alice", events[1].To)
				require.Contains(b, events[1].What(), strconv.Itoa(c.status))
				require.Contains(b, startLine(string(events[1].Data)), c.reason)
				stats := b.server.Stats()
				require.EqualValues(b, 1, stats.InvalidAnswered+stats.Refused)
				require.Equal(b, 1, invalid)
			}, func(s *routing.Server) {
				s.OnInvalid = func(data []byte, from transport.Flow, err error) {
					require.Equal(t, c.text, string(data))
					require.Equal(t, "10.0.0.2:5060", from.Remote.String())
					require.Error(t, err)
					invalid++
				}
			})
		})
	}
}

// RFC 3261 8.2.6.2 wants From, Call-ID, CSeq, Via and To of a response to be those of the request: without them there is no
// response. Each message is counted, and shown to OnInvalid.
func TestUnreadableMessagesAreDropped(t *testing.T) {
	for name, text := range map[string]string{
		"no Call-ID":           text("OPTIONS", bobAlias, "Call-ID:"),
		"no To":                text("OPTIONS", bobAlias, "To:"),
		"no Via":               text("OPTIONS", bobAlias, "Via:"),
		"no request at all":    "hello, is this the weather service?\r\n\r\n",
		"a broken response":    "SIP/2.0 2000 OK\r\n\r\n",
		"a response of nobody": strings.Replace(text("OPTIONS", bobAlias), "OPTIONS sip:bob@example.org SIP/2.0", "SIP/2.0 200 OK", 1),
	} {
		t.Run(name, func(t *testing.T) {
			var invalid uint64
			runBench(t, relayTo(bobsURI), func(b *bench) {
				b.phone("alice", "10.0.0.2").SendText(text)
				b.pass(time.Second)
				require.Equal(b, 1, len(b.flow().Events()))
				stats := b.server.Stats()
				require.EqualValues(b, 1, stats.InvalidDropped+stats.StrayResponses)
				require.Equal(b, stats.InvalidDropped, invalid)
			}, func(s *routing.Server) { s.OnInvalid = func([]byte, transport.Flow, error) { invalid++ } })
		})
	}
}

// RFC 5626 4.4.1 and what servers of old do: these keep a NAT binding open and are no messages.
func TestKeepalivesAreCounted(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		c, err := b.net.Host("alice", "10.0.0.2").Dial(b.Context(), "udp", "", "10.0.0.1:5060")
		require.NoError(b, err)
		defer c.Close()
		for _, ping := range []string{"\r\n\r\n", "\r\n", "\x00\x00\x00\x00", ""} {
			_, err := c.Write([]byte(ping))
			require.NoError(b, err)
		}
		b.pass(time.Second)
		stats := b.server.Stats()
		require.EqualValues(b, 4, stats.Keepalives)
		require.Zero(b, stats.InvalidDropped)
		require.Equal(b, 4, len(b.flow().Events()))
	})
}

// RFC 3261 16.3 step 1: "An element MUST NOT refuse to proxy a request because it contains a method or header field it does
// not know about." And: "an element would not reject a request because of a malformed Date header field. Likewise, a proxy
// would not remove a malformed Date header field before forwarding a request."
func TestUnknownMethodAndMalformedFieldsPass(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Lenient: true})
		strange := []string{"Date: the other day", "X-Frobnicate: \"yes", "Contact: <<>", "Accept: ,,;", "Require: levitation"}
		alice.SendText(text("FROBNICATE", bobAlias, strange...)).WantStatus(200)
		in := bob.WantRequest("FROBNICATE")
		for _, line := range strange {
			require.Contains(b, in.Text(), "\r\n"+line+"\r\n")
		}
		b.ladder(`
			0.000  alice  -> proxy   FROBNICATE
			0.005  proxy  -> bob     FROBNICATE
			0.010  bob    -> proxy   200 (FROBNICATE)
			0.015  proxy  -> alice   200 (FROBNICATE)`)
	})
}

// RFC 3261 16.3 step 2: "If the Request-URI has a URI whose scheme is not understood by the proxy, the proxy SHOULD reject the
// request with a 416 (Unsupported URI Scheme) response."
func TestUnknownSchemeIsRefused(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay(routing.Via(bobsURI)) }, func(b *bench) {
		alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		for _, uri := range []string{"mailto:bob@example.org", "im:bob@example.org", "http://example.org/bob"} {
			alice.Request(sip.OPTIONS, uri).WantStatus(416)
		}
		for _, uri := range []string{"tel:+1-555-0100;phone-context=example.org", "urn:service:sos", "sips:bob@example.org", "SIP:bob@example.org"} {
			alice.Request(sip.OPTIONS, uri).WantStatus(200)
		}
	})
	runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay(routing.Via(bobsURI)) }, func(b *bench) {
		alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		alice.Request(sip.OPTIONS, "tel:+15550100").WantStatus(416)
		alice.Request(sip.OPTIONS, "im:bob@example.org").WantStatus(200)
	}, func(s *routing.Server) { s.Schemes = []string{"sip", "im"} })
}

// RFC 3261 16.3 step 3: "If the request contains a Max-Forwards header field with a field value of zero (0), the element MUST
// NOT forward the request. If the request was for OPTIONS, the element MAY act as the final recipient and respond per Section
// 11. Otherwise, the element MUST return a 483 (Too many hops) response."
func TestMaxForwardsZeroIsNotForwarded(t *testing.T) {
	for name, route := range map[string]routing.HandlerFunc{
		"Relay": relayTo(bobsURI),
		"Forward": func(ctx context.Context, r *routing.Request) error {
			res := r.Forward(ctx, targets(bobsURI)...)
			if res.Status != sip.StatusTooManyHops || !res.Done() || !res.Local() {
				return fmt.Errorf("got %+v", res)
			}
			return nil
		},
		"Fork": func(ctx context.Context, r *routing.Request) error {
			for res := range r.Fork(ctx, targets(bobsURI)...) {
				if res.Status != sip.StatusTooManyHops || !res.Local() {
					return fmt.Errorf("got %+v", res.Response)
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, route, func(b *bench) {
				alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				for _, method := range []sip.Method{sip.MESSAGE, sip.OPTIONS} {
					alice.Request(method, bobAlias, siptest.Header(sip.MaxForwards, "0")).WantStatus(483)
				}
				alice.Invite(bobAlias, siptest.Header(sip.MaxForwards, "0")).WantStatus(483)
				require.Zero(b, len(b.flow().Only("bob").Events()))
				require.EqualValues(b, 3, b.server.Stats().TooManyHops)
			})
		})
	}
}

// The same: the check concerns only what is forwarded, so the element may answer by itself.
func TestMaxForwardsZeroMayBeAnswered(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		return r.Respond(sip.NewResponse(200))
	}, func(b *bench) {
		b.phone("alice", "10.0.0.2").Request(sip.OPTIONS, bobAlias, siptest.Header(sip.MaxForwards, "0")).WantStatus(200)
	})
}

// RFC 3261 16.3 step 5: "If the request contains a Proxy-Require header field (Section 20.29) with one or more option-tags this
// element does not understand, the element MUST return a 420 (Bad Extension) response. The response MUST include an
// Unsupported (Section 20.40) header field listing those option-tags the element did not understand."
func TestProxyRequire(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		res := alice.Request(sip.OPTIONS, bobAlias, siptest.Header(sip.ProxyRequire, "levitation, privacy"),
			siptest.AddHeader(sip.ProxyRequire, "telepathy")).WantStatus(420)
		require.Equal(b, "levitation, telepathy", res.Get(sip.Unsupported))
		require.Zero(b, len(b.flow().Only("bob").Events()))

		alice.Request(sip.OPTIONS, bobAlias, siptest.Header(sip.ProxyRequire, "Privacy")).WantStatus(200)
		require.Equal(b, "Privacy", bob.WantRequest(sip.OPTIONS).Get(sip.ProxyRequire))
	}, func(s *routing.Server) { s.ProxyRequire = []string{"privacy"} })
}

// RFC 3261 16.3 step 5 speaks of Proxy-Require alone. 20.32: "The Require header field is used by UACs to tell UASs about
// options that the UAC expects the UAS to support in order to process the request."
func TestRequireIsForWhoAnswers(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.Method() != sip.OPTIONS {
			return r.Relay(routing.To(bobsURI))
		}
		if err := r.CheckRequire("path"); err != nil {
			return err
		}
		return r.Respond(sip.NewResponse(200))
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		alice.Request(sip.MESSAGE, bobAlias, siptest.Header(sip.Require, "levitation")).WantStatus(200)
		require.Equal(b, "levitation", bob.WantRequest(sip.MESSAGE).Get(sip.Require))
		alice.Request(sip.OPTIONS, bobAlias, siptest.Header(sip.Require, "path")).WantStatus(200)
		res := alice.Request(sip.OPTIONS, bobAlias, siptest.Header(sip.Require, "path, levitation")).WantStatus(420)
		require.Equal(b, "levitation", res.Get(sip.Unsupported))
	})
}

// RFC 3261 17 speaks of "disallowed responses (such as a response to ACK)". Whatever is wrong with an ACK, nothing
// goes back.
func TestACKIsNeverAnswered(t *testing.T) {
	route := func(_ context.Context, r *routing.Request) error {
		switch r.URI().User {
		case "error":
			return fmt.Errorf("no such user")
		case "status":
			return routing.Status(404)
		case "panic":
			panic("a test")
		case "respond":
			return r.Respond(sip.NewResponse(200))
		case "drop":
			return routing.ErrDrop
		case "nothing":
			return nil
		}
		return r.FollowRoute()
	}
	for name, ack := range map[string]string{
		"not ours":                 text("ACK", bobAlias, "To: <sip:bob@example.org>;tag=b"),
		"Max-Forwards used up":     text("ACK", bobsURI, "Max-Forwards: 0", "Route: <sip:10.0.0.1;lr>", "To: <sip:bob@example.org>;tag=b"),
		"malformed":                text("ACK", bobAlias, "CSeq: 1 INVITE"),
		"bad Max-Forwards":         text("ACK", bobAlias, "Max-Forwards: x"),
		"bad Route":                text("ACK", bobAlias, "Route: <sip:>"),
		"unknown scheme":           text("ACK", "mailto:bob@example.org"),
		"unreachable":              text("ACK", "sip:bob@unknown.example", "Route: <sip:10.0.0.1;lr>"),
		"the handler fails":        text("ACK", "sip:error@example.org"),
		"the handler says 404":     text("ACK", "sip:status@example.org"),
		"the handler panics":       text("ACK", "sip:panic@example.org"),
		"the handler responds":     text("ACK", "sip:respond@example.org"),
		"the handler drops":        text("ACK", "sip:drop@example.org"),
		"the handler does nothing": text("ACK", "sip:nothing@example.org"),
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, route, func(b *bench) {
				b.phone("alice", "10.0.0.2").SendText(ack)
				b.pass(time.Minute)
				b.ladder(`0.000  alice  -> proxy   ACK`)
			})
		})
	}
}

// RFC 3261 16.3: "Notice that a proxy is not required to detect merged requests and MUST NOT treat merged requests as an error
// condition. The endpoints receiving the requests will resolve the merge as described in Section 8.2.2.2."
func TestMergedRequestsAreForwarded(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.MESSAGE, siptest.After(time.Second).Respond(200))
		first := alice.SendText(text("MESSAGE", bobAlias, "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-1"))
		second := alice.SendText(text("MESSAGE", bobAlias, "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-2"))
		second.WantStatus(482)
		first.WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   MESSAGE
			0.000  alice  -> proxy   MESSAGE
			0.005  proxy  -> bob     MESSAGE
			0.005  proxy  -> bob     MESSAGE
			0.010  bob    -> proxy   482 (MESSAGE)
			0.015  proxy  -> alice   482 (MESSAGE)
			0.505  proxy  -> bob     MESSAGE
			1.010  bob    -> proxy   200 (MESSAGE)
			1.015  proxy  -> alice   200 (MESSAGE)`)
	})
}

// Everything is bounded (a 503 with Retry-After, RFC 3261 21.5.4, is what an overloaded server says).
func TestTooManyHandlers(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		time.Sleep(time.Second)
		return r.Respond(sip.NewResponse(200))
	}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		first, second := alice.Request(sip.OPTIONS, bobAlias), alice.Request(sip.OPTIONS, bobAlias)
		third := alice.Request(sip.OPTIONS, bobAlias)
		require.Equal(b, "10", third.WantStatus(503).Get(sip.RetryAfter))
		first.WantStatus(200)
		second.WantStatus(200)
		alice.Request(sip.OPTIONS, bobAlias).WantStatus(200)
		require.EqualValues(b, 1, b.server.Stats().Overloaded)
	}, func(s *routing.Server) { s.MaxHandlers = 2 })
}

// The same for transactions, which live on when their handlers have returned.
func TestTooManyTransactions(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.MESSAGE, siptest.After(time.Second).Respond(200))
		first, second := alice.Request(sip.MESSAGE, bobAlias), alice.Request(sip.MESSAGE, bobAlias)
		third := alice.Request(sip.MESSAGE, bobAlias)
		require.NotEmpty(b, third.WantStatus(503).Get(sip.RetryAfter))
		first.WantStatus(200)
		second.WantStatus(200)
		b.pass(time.Minute) // Timer J
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
	}, func(s *routing.Server) { s.MaxTransactions = 2 })
}
