package routing_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

func stateless(s *routing.Server) { s.Stateless = true }

// A callee behind a stateless proxy gets ACKs and CANCELs with the Vias of those who made them (RFC 3261 16.11).
var behindStateless = siptest.PhoneOptions{Lenient: true}

// RFC 3261 16.11: "when handling a request statelessly, an element MUST NOT generate its own 100 (Trying) or any other provisional response."
// "stateless proxies do not retransmit messages on their own. They do, however, forward all retransmissions they receive".
func TestStatelessCall(t *testing.T) {
	runBench(t, toBob, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(100).After(700*time.Millisecond).Respond(180).After(time.Second).Respond(200))
		b.net.SetLink(bob.Host(), b.proxy, siptest.Link{Drop: siptest.DropFirst(1, "100 (INVITE)")})
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		call.WantStatus(200)
		call.Ack()
		bob.WantRequest(sip.INVITE).WantACK()
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -x proxy   100 (INVITE)
			0.500  alice  -> proxy   INVITE
			0.505  proxy  -> bob     INVITE
			0.510  bob    -> proxy   100 (INVITE)
			0.515  proxy  -> alice   100 (INVITE)
			0.710  bob    -> proxy   180 (INVITE)
			0.715  proxy  -> alice   180 (INVITE)
			1.710  bob    -> proxy   200 (INVITE)
			1.715  proxy  -> alice   200 (INVITE)
			1.720  alice  -> proxy   ACK
			1.725  proxy  -> bob     ACK
			1.730  alice  -> proxy   BYE
			1.735  proxy  -> bob     BYE
			1.740  bob    -> proxy   200 (BYE)
			1.745  proxy  -> alice   200 (BYE)`)
	}, stateless)
}

// RFC 3261 16.11: "the branch parameter MUST be computed as a combinatoric function of message parameters which are invariant on
// retransmission." "All other message transformations specified in Section 16.6 MUST result in the same transformation of a retransmitted
// request." 16.6 step 8: "CANCEL and ACK requests (for non-2xx responses) MUST have the same branch value as the corresponding request they
// cancel or acknowledge." RFC 2543 clients have no branch to go by.
func TestStatelessBranchIsStable(t *testing.T) {
	for name, via := range map[string]string{
		"with the cookie":  "SIP/2.0/UDP 10.0.0.2:5060;rport;branch=z9hG4bK-1",
		"another branch":   "SIP/2.0/UDP 10.0.0.2:5060;branch=1",
		"without a branch": "SIP/2.0/UDP 10.0.0.2:5060",
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, relayTo(bobsURI), func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2", behindStateless), b.phone("bob", "10.0.0.3", behindStateless)
				bob.On(sip.INVITE, siptest.Ignore())
				lines := []string{"Via: " + via}
				send := func(method string, more ...string) {
					alice.SendText(text(method, bobAlias, append(append([]string{}, lines...), more...)...))
					b.pass(time.Second)
				}
				send("INVITE")
				send("INVITE")
				send("CANCEL")
				send("ACK", "To: <sip:bob@example.org>;tag=b")
				invites, cancels, acks := b.received("bob", "INVITE"), b.received("bob", "CANCEL"), b.received("bob", "ACK")
				require.Len(b, invites, 2)
				require.Equal(b, invites[0], invites[1], "every byte")
				require.Len(b, cancels, 1)
				require.Equal(b, headers(invites[0], sip.Via), headers(cancels[0], sip.Via))
				require.NotEmpty(b, acks)
				for _, ack := range acks {
					require.Equal(b, headers(invites[0], sip.Via), headers(ack, sip.Via))
				}
				require.Equal(b, "INVITE sip:bob@10.0.0.3 SIP/2.0", startLine(invites[0]))
				require.Equal(b, "CANCEL sip:bob@10.0.0.3 SIP/2.0", startLine(cancels[0]), "the same choice as for the INVITE")

				other := strings.Replace(via, "z9hG4bK-1", "z9hG4bK-2", 1)
				alice.SendText(text("INVITE", bobAlias, "Via: "+other, "Call-ID: other", "CSeq: 2 INVITE"))
				b.pass(time.Second)
				require.NotEqual(b, branches(invites[0])[0], branches(b.received("bob", "INVITE")[2])[0], "unique across transactions")
			}, stateless)
		})
	}
}

// RFC 3261 16.11: "Stateless proxies MUST NOT perform special processing for CANCEL requests. They are processed by the above rules as any
// other requests." So it is the callee who answers.
func TestStatelessCancel(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", behindStateless)
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		call.Cancel().WantStatus(200)
		call.WantFinal(487)
		in := bob.WantRequest(sip.INVITE)
		in.WantCancel()
		in.WantACK()
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			0.020  alice  -> proxy   CANCEL
			0.025  proxy  -> bob     CANCEL
			0.030  bob    -> proxy   200 (CANCEL)
			0.030  bob    -> proxy   487 (INVITE)
			0.035  proxy  -> alice   200 (CANCEL)
			0.035  proxy  -> alice   487 (INVITE)
			0.040  alice  -> proxy   ACK
			0.045  proxy  -> bob     ACK`)
	}, stateless)
}

// RFC 3261 16.1: "a proxy MAY forward a request from one TCP connection to another transaction statelessly as long as it places enough
// information in the message to be able to forward the response down the same connection the request arrived on."
func TestStatelessOverTCP(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		behindNAT := siptest.PhoneOptions{Transport: "TCP", Listen: []string{}}
		alice, carol := b.phone("alice", "10.0.0.2", behindNAT), b.phone("carol", "10.0.0.6", behindNAT)
		b.phone("bob", "10.0.0.3")
		a, c := alice.Request(sip.MESSAGE, bobAlias), carol.Request(sip.MESSAGE, bobAlias)
		a.WantStatus(200)
		c.WantStatus(200)
		require.Zero(b, b.server.Stats().Transport.Stream.Dialed)
	}, stateless)
}

// RFC 3261 18.2.2: "If the "sent-protocol" is a reliable transport protocol such as TCP or SCTP, or TLS over those, the response MUST be sent
// using the existing connection to the source of the original request […] if that connection is still open." If not, "the server SHOULD
// open a connection to the IP address in the "received" parameter, if present, using the port in the "sent-by" value".
func TestStatelessOverANewConnection(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Transport: "TCP"}), b.phone("bob", "10.0.0.3")
		bob.On(sip.MESSAGE, siptest.After(time.Second).Respond(200))
		exchange := alice.Request(sip.MESSAGE, bobAlias)
		b.pass(500 * time.Millisecond)
		alice.CloseConnections()
		exchange.WantStatus(200)
		b.ladder(`
			0.010  alice  -> proxy   MESSAGE
			0.015  proxy  -> bob     MESSAGE
			1.020  bob    -> proxy   200 (MESSAGE)
			1.035  proxy  -> alice   200 (MESSAGE)`)
	}, stateless)
}

// RFC 3581 4: "The response MUST be sent from the same address and port that the corresponding request was received on." "To properly implement
// this specification, a stateless proxy can encode the destination address and port of a request into the Via header field value that it
// inserts."
func TestStatelessWithSeveralListeners(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		h := b.net.Host("proxy", "10.0.0.1", "10.0.1.1")
		listen := []string{"udp:10.0.0.1:5060", "udp:10.0.0.1:5070", "udp:10.0.1.1:5060", "tcp:10.0.0.1:5060"}
		b.serveAt(h, relayTo(bobsURI), listen, stateless)
		b.phone("bob", "10.0.0.3")
		for i, at := range []string{"10.0.1.1:5060", "10.0.0.1:5070", "10.0.0.1:5060"} {
			phone := b.phone([]string{"p0", "p1", "p2"}[i], []string{"10.0.2.1", "10.0.2.2", "10.0.2.3"}[i], siptest.PhoneOptions{Proxy: addrPort(at)})
			phone.Request(sip.MESSAGE, bobAlias).WantStatus(200)
			for _, e := range b.flow().Only("proxy", phone.String()).Events() {
				if e.From == "proxy" {
					require.Equal(b, at, e.Source.String())
				}
			}
		}
	})
}

// RFC 3261 16.11: "When a response arrives at a stateless proxy, the proxy MUST inspect the sent-by value in the first (topmost) Via header
// field value. […] If the address does not match the proxy, the message MUST be silently discarded." A branch that is not of our making does not
// name a flow of ours, whatever it says: else anybody could have us send to any connection.
func TestStatelessForgedResponses(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Transport: "TCP"}), b.phone("bob", "10.0.0.3")
		mallory := b.phone("mallory", "10.0.0.66", siptest.PhoneOptions{Lenient: true})
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
		in := bob.WantRequest(sip.MESSAGE)
		ours, hers := headers(in.Text(), sip.Via)[0], headers(in.Text(), sip.Via)[1]
		branch := branches(in.Text())[0]
		// The branch says where the request came from: each part of it changed by one.
		parts := strings.Split(branch, "-")
		forged := map[string][2]string{}
		for i := range parts {
			changed := slices.Clone(parts)
			changed[i] += "1"
			forged[fmt.Sprintf("part %d, longer", i)] = [2]string{strings.Replace(ours, branch, strings.Join(changed, "-"), 1), hers}
			for _, digit := range []string{"0", "7"} {
				if changed[i] = digit; i > 0 && changed[i] != parts[i] {
					forged[fmt.Sprintf("part %d, %s", i, digit)] = [2]string{strings.Replace(ours, branch, strings.Join(changed, "-"), 1), hers}
				}
			}
		}
		b.net.Forget()
		with := func(b string) string { return strings.Replace(ours, branch, b, 1) }
		for name, vias := range map[string][2]string{
			"guessed":              {with("z9hG4bKabc-0-1-1"), hers},
			"no number":            {with(parts[0] + "-!" + strings.Repeat("-0", len(parts)-2)), hers},
			"no parts":             {with("z9hG4bKabc"), hers},
			"empty parts":          {with("z9hG4bK" + strings.Repeat("-", len(parts)-1)), hers},
			"only the cookie":      {with("z9hG4bK"), hers},
			"somebody else's":      {ours, strings.Replace(hers, "branch=", "branch=x", 1)},
			"to somewhere else":    {ours, strings.Replace(hers, "received=10.0.0.2", "received=10.0.0.99", 1)},
			"none below ours":      {ours, ""},
			"the sent-by of bob's": {strings.Replace(ours, "10.0.0.1", "10.0.0.3", 1), hers},
		} {
			forged[name] = vias
		}
		for name, vias := range forged {
			via := "Via: " + vias[0]
			if vias[1] != "" {
				via += "\r\nVia: " + vias[1]
			}
			mallory.SendText("SIP/2.0 200 OK\r\n" + via + "\r\nFrom: " + in.Get(sip.From) + "\r\nTo: " + in.Get(sip.To) +
				";tag=x\r\nCall-ID: " + in.CallID() + "\r\nCSeq: " + in.Get(sip.CSeq) + "\r\nX-Forged: " + name + "\r\nContent-Length: 0\r\n\r\n")
		}
		b.pass(time.Second)
		require.Zero(b, len(b.flow().Filter(func(e siptest.Event) bool { return e.From == "proxy" }).Events()), b.flow())
		require.EqualValues(b, len(forged), b.server.Stats().StrayResponses)
	}, stateless)
}

// RFC 3261 16.11: "A stateless proxy MUST validate a request as described in Section 16.3". 8.2.7: a stateless UAS sends the same response,
// with the same tag, to each retransmission.
func TestStatelessValidation(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.Method() == sip.OPTIONS {
			return r.Respond(sip.NewResponse(200))
		}
		return r.Relay(routing.To(bobsURI))
	}, func(b *bench) {
		alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", behindStateless)
		alice.Request(sip.MESSAGE, "im:bob@example.org").WantStatus(416)
		alice.Request(sip.MESSAGE, bobAlias, siptest.Header(sip.MaxForwards, "0")).WantStatus(483)
		alice.Request(sip.MESSAGE, bobAlias, siptest.Header(sip.ProxyRequire, "x")).WantStatus(420)
		require.Zero(b, len(b.flow().Only("bob").Events()))
		options := alice.Request(sip.OPTIONS, bobAlias)
		tag := options.WantStatus(200).ToTag()
		require.NotEmpty(b, tag)
		options.Retransmit()
		b.pass(time.Second)
		require.Len(b, options.Responses(), 1, "the second one is the same")
		require.Equal(b, 2, b.count("alice", "200 (OPTIONS)"))

		// The ACK for such a refusal is an ACK like any other: it is not answered, and goes where the INVITE would have gone.
		alice.Invite(bobAlias, siptest.Header(sip.MaxForwards, "0")).WantFinal(483)
		b.pass(time.Second)
	}, stateless)
}

// RFC 3261 16.11: "A stateless proxy MUST choose one and only one target from the target set." What needs a transaction says that there is none.
func TestStatelessHandlers(t *testing.T) {
	var got []routing.Response
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		switch r.URI().User {
		case "forward":
			got = append(got, r.Forward(ctx, targets(bobsURI)...))
			return nil
		case "fork":
			for res := range r.Fork(ctx, targets(bobsURI)...) {
				got = append(got, res.Response)
			}
			return nil
		case "status":
			return routing.Status(404)
		case "panic":
			panic("a test")
		case "drop":
			return routing.ErrDrop
		case "nowhere":
			return r.Relay(routing.To("sip:x@nowhere.example"))
		}
		return r.Relay(targets(bobsURI, deskURI)...)
	}, func(b *bench) {
		alice, _, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
		require.Zero(b, len(b.flow().Only("desk").Events()))
		alice.Request(sip.MESSAGE, "sip:status@example.org").WantStatus(404)
		alice.Request(sip.MESSAGE, "sip:panic@example.org").WantStatus(500)
		alice.Request(sip.MESSAGE, "sip:nowhere@example.org").WantStatus(500)
		before := len(b.flow().Events())
		alice.SendText(text("MESSAGE", "sip:drop@example.org"))
		alice.SendText(text("MESSAGE", "sip:forward@example.org"))
		alice.SendText(text("MESSAGE", "sip:fork@example.org"))
		b.pass(time.Second)
		require.Equal(b, before+3, len(b.flow().Events()))
		require.Len(b, got, 2)
		for _, res := range got {
			require.ErrorIs(b, res.Err, routing.ErrStateless)
			require.True(b, res.Done())
		}
		require.EqualValues(b, 1, b.server.Stats().Dropped)
	}, stateless)
}

// RFC 5393 4.2 asks a proxy that forks to detect loops. A stateless one does not fork, and Max-Forwards ends its loops.
func TestStatelessLoopEnds(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay(routing.Via("sip:10.0.0.1")) }, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		alice.Request(sip.MESSAGE, bobAlias, siptest.Header(sip.MaxForwards, "5")).WantStatus(483)
		b.ladder(`
			0.000  alice  -> proxy   MESSAGE
			0.005  proxy  -> proxy   MESSAGE
			0.010  proxy  -> proxy   MESSAGE
			0.015  proxy  -> proxy   MESSAGE
			0.020  proxy  -> proxy   MESSAGE
			0.025  proxy  -> proxy   MESSAGE
			0.030  proxy  -> proxy   483 (MESSAGE)
			0.035  proxy  -> proxy   483 (MESSAGE)
			0.040  proxy  -> proxy   483 (MESSAGE)
			0.045  proxy  -> proxy   483 (MESSAGE)
			0.050  proxy  -> proxy   483 (MESSAGE)
			0.055  proxy  -> alice   483 (MESSAGE)`)
	}, stateless)
}

// Everything is forgotten once it is sent: no transactions, no contexts.
func TestStatelessKeepsNothing(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", behindStateless)
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		alice.Invite(bobAlias).WantStatus(180)
		stats := b.server.Stats()
		require.Zero(b, stats.Contexts)
		require.Zero(b, stats.Transaction.InviteServer.Created+stats.Transaction.InviteClient.Created)
		bob.WantRequest(sip.INVITE).Respond(486)
		b.pass(time.Second)
	}, stateless)
}

// RFC 3261 8.2.7: "A stateless UAS is a UAS that does not maintain transaction state." For the methods that are said to, a retransmission
// runs the handler again and nothing is kept; the others have transactions, and INVITE always has one.
func TestStatelessMethods(t *testing.T) {
	handled := 0
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		handled++
		if r.URI().User == "bob" {
			return r.Relay(routing.Via("sip:10.0.0.3"))
		}
		return routing.Status(486)
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", behindStateless)
		bob.On(sip.REGISTER, siptest.Respond(200))
		live := func() int {
			tx := b.server.Stats().Transaction
			return tx.InviteServer.Live + tx.NonInviteServer.Live + tx.InviteClient.Live + tx.NonInviteClient.Live
		}
		twice := func(method string) int {
			before := handled
			text := inCall(method, "twice-"+method, 1)
			alice.SendText(text)
			alice.SendText(text)
			b.pass(100 * time.Millisecond)
			return handled - before
		}
		require.Equal(b, 2, twice("REGISTER"))
		require.Zero(b, live())
		require.Equal(b, 1, twice("MESSAGE"))
		require.Equal(b, 1, twice("INVITE"))
		require.NotZero(b, live())
		// One that is relayed comes to its end as well.
		res := alice.Request(sip.REGISTER, bobAlias)
		res.WantStatus(200)
		bob.WantRequest(sip.REGISTER)
	}, func(s *routing.Server) {
		s.StatelessMethods = []sip.Method{sip.REGISTER, sip.INVITE, sip.ACK, sip.CANCEL}
	})
}
