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
)

// RFC 3261 16.7 step 5: "Until a final response has been sent on the server transaction, the following responses MUST be forwarded
// immediately: - Any provisional response other than 100 (Trying) - Any 2xx response".
func TestProvisionalResponsesAreRelayed(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(100).Respond(180).After(time.Second).Respond(183).Respond(181).Respond(199).
			After(time.Second).Respond(180).Respond(200))
		call := alice.Invite(bobAlias)
		for _, status := range []int{180, 183, 181, 199, 200} { // the second 180 is the first one again
			call.WantStatus(status)
		}
		call.Ack()
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   100 (INVITE)
			0.010  bob    -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			1.010  bob    -> proxy   183 (INVITE)
			1.010  bob    -> proxy   181 (INVITE)
			1.010  bob    -> proxy   199 (INVITE)
			1.015  proxy  -> alice   183 (INVITE)
			1.015  proxy  -> alice   181 (INVITE)
			1.015  proxy  -> alice   199 (INVITE)
			2.010  bob    -> proxy   180 (INVITE)
			2.010  bob    -> proxy   200 (INVITE)
			2.015  proxy  -> alice   180 (INVITE)
			2.015  proxy  -> alice   200 (INVITE)
			2.020  alice  -> bob     ACK
			2.020  alice  -> bob     BYE
			2.025  bob    -> alice   200 (BYE)`)
	})
}

// RFC 3261 16.7 step 9: "The proxy MUST NOT add to, modify, or remove the message body. Unless otherwise specified, the proxy MUST NOT
// remove any header field values other than the Via header field value". "In particular, the proxy MUST NOT remove any "received"
// parameter it may have added to the next Via". Step 6: "A proxy MUST NOT modify the tag in the To header field of a 1xx or 2xx response."
func TestResponseIsByteForByte(t *testing.T) {
	for _, status := range []int{183, 200, 302, 486, 600} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			runBench(t, relayTo(bobsURI), func(b *bench) {
				lenient := siptest.PhoneOptions{Lenient: true}
				alice, bob := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
				alice.Invite(bobAlias)
				in := bob.WantRequest(sip.INVITE)
				in.RespondReason(status, "W\u00fcnderbar  indeed", siptest.AddHeader("X-Odd", "\"a , b"), siptest.AddHeader("x-odd", "c"),
					siptest.Header("Date", "the other day"), siptest.Body("text/odd", "\x00\r\n\r\nSIP/2.0 200 OK"))
				b.pass(100 * time.Millisecond)
				what := fmt.Sprintf("%d (INVITE)", status)
				sent, got := b.received("proxy", what), b.received("alice", what)
				b.wait()
				require.Len(b, got, 1)
				own := "Via: " + headers(sent[0], sip.Via)[0] + "\r\n"
				b.wait()
				require.Equal(b, strings.Replace(sent[0], own, "", 1), got[0])
				require.Contains(b, headers(got[0], sip.Via)[0], "received=10.0.0.2")
				in.Respond(500) // for those that are not final yet
				b.pass(time.Second)
			})
		})
	}
}

// RFC 3261 16.7 step 3: "If no Via header field values remain in the response, the response was meant for this element and MUST NOT be
// forwarded."
func TestResponseWithoutASecondViaIsNotForwarded(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{NoRetransmit: true})
		alice.Invite(bobAlias)
		in := bob.WantRequest(sip.INVITE)
		only := siptest.Header(sip.Via, headers(in.Text(), sip.Via)[0])
		in.Respond(180, only)
		in.Respond(200, only)
		b.pass(10 * time.Second)
		require.Zero(b, b.count("alice", "180 (INVITE)"))
		require.Zero(b, b.count("alice", "200 (INVITE)"))
	})
}

// RFC 3261 16.7 step 5: "Any 2xx response" is forwarded immediately. Step 10: "If the forwarded response was a final response, the proxy
// MUST generate a CANCEL request for all pending client transactions associated with this response context."
func TestFirstAnswerCancelsTheOthers(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		return r.Relay(targets(bobsURI, deskURI, cellURI)...)
	}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		bob, desk, cell := b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		desk.On(sip.INVITE, siptest.Answer(2*time.Second))
		cell.On(sip.INVITE, siptest.Respond(480))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		require.Equal(b, `SIP;cause=200;text="Call completed elsewhere"`, bob.WantRequest(sip.INVITE).WantCancel().Get(sip.Reason))
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.005  proxy  -> desk    INVITE
			0.005  proxy  -> cell    INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.010  desk   -> proxy   180 (INVITE)
			0.010  cell   -> proxy   480 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			0.015  proxy  -> cell    ACK
			2.010  desk   -> proxy   200 (INVITE)
			2.015  proxy  -> alice   200 (INVITE)
			2.015  proxy  -> bob     CANCEL
			2.020  alice  -> proxy   ACK
			2.020  alice  -> proxy   BYE
			2.020  bob    -> proxy   200 (CANCEL)
			2.020  bob    -> proxy   487 (INVITE)
			2.025  proxy  -> desk    ACK
			2.025  proxy  -> desk    BYE
			2.025  proxy  -> bob     ACK
			2.030  desk   -> proxy   200 (BYE)
			2.035  proxy  -> alice   200 (BYE)`)
	})
}

// RFC 3261 16.7 step 10: "The requirement to CANCEL pending client transactions upon forwarding a final response does not guarantee that an
// endpoint will not receive multiple 200 (OK) responses to an INVITE." Step 5: "After a final response has been sent on the server
// transaction, the following responses MUST be forwarded immediately: - Any 2xx response to an INVITE request".
func TestSeveralAnswersAreAllRelayed(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		return r.Relay(targets(bobsURI, deskURI)...)
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Answer(time.Second))
		desk.On(sip.INVITE, siptest.Answer(1001*time.Millisecond))
		call := alice.Invite(bobAlias)
		first := call.WantFinal(200)
		call.Ack()
		second := call.WantFinal(200)
		call.Ack()
		require.NotEqual(b, first.ToTag(), second.ToTag())
		bob.WantRequest(sip.INVITE).WantACK()
		desk.WantRequest(sip.INVITE).WantACK()
		call.Leg(second).Bye().WantStatus(200) // alice keeps the first
		call.Leg(first).Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.005  proxy  -> desk    INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.010  desk   -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			1.010  bob    -> proxy   200 (INVITE)
			1.011  desk   -> proxy   200 (INVITE)
			1.015  proxy  -> alice   200 (INVITE)
			1.015  proxy  -> desk    CANCEL
			1.016  proxy  -> alice   200 (INVITE)
			1.020  alice  -> proxy   ACK
			1.020  desk   -> proxy   200 (CANCEL)
			1.021  alice  -> proxy   ACK
			1.025  proxy  -> bob     ACK
			1.026  proxy  -> desk    ACK
			1.031  alice  -> proxy   BYE
			1.036  proxy  -> desk    BYE
			1.041  desk   -> proxy   200 (BYE)
			1.046  proxy  -> alice   200 (BYE)
			1.051  alice  -> proxy   BYE
			1.056  proxy  -> bob     BYE
			1.061  bob    -> proxy   200 (BYE)
			1.066  proxy  -> alice   200 (BYE)`)
	})
}

// RFC 3261 16.7 step 6: "a stateful proxy will forward exactly one final response to a non-INVITE request".
func TestOneFinalResponseToNonInvite(t *testing.T) {
	runBench(t, relayTo(bobsURI, deskURI), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.MESSAGE, siptest.Respond(200))
		desk.On(sip.MESSAGE, siptest.After(time.Second).Respond(202))
		exchange := alice.Request(sip.MESSAGE, bobAlias)
		exchange.WantStatus(200)
		b.pass(time.Minute)
		require.Len(b, exchange.Responses(), 1)
		b.ladder(`
			0.000  alice  -> proxy   MESSAGE
			0.005  proxy  -> bob     MESSAGE
			0.005  proxy  -> desk    MESSAGE
			0.010  bob    -> proxy   200 (MESSAGE)
			0.015  proxy  -> alice   200 (MESSAGE)
			0.505  proxy  -> desk    MESSAGE
			1.010  desk   -> proxy   202 (MESSAGE)`)
	})
}

// RFC 3261 16.7 step 5: "any 2xx response to an INVITE request", so also those that come after another final response has been sent; and
// step 9: "If the server transaction is no longer available to handle the transmission, the element MUST forward the response
// statelessly by sending it to the server transport." Here the branch was given up, and desk's answer came all the same.
func TestLateAnswerAfterAFailure(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		target := routing.To(deskURI)
		target.Timeout = time.Second
		r.Forward(ctx, target)
		r.Forward(ctx, routing.To(bobsURI))
		return nil
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(486))
		desk.On(sip.INVITE, siptest.Answer(3*time.Second))
		desk.On(sip.CANCEL, siptest.Respond(200)) // and the human picks up
		call := alice.Invite(bobAlias)
		call.WantFinal(486)
		call.WantFinal(200)
		call.Ack()
		desk.WantRequest(sip.INVITE).WantACK()
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> desk    INVITE
			0.010  desk   -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			1.005  proxy  -> desk    CANCEL
			1.005  proxy  -> bob     INVITE
			1.010  desk   -> proxy   200 (CANCEL)
			1.010  bob    -> proxy   486 (INVITE)
			1.015  proxy  -> bob     ACK
			1.015  proxy  -> alice   486 (INVITE)
			1.020  alice  -> proxy   ACK
			3.010  desk   -> proxy   200 (INVITE)
			3.015  proxy  -> alice   200 (INVITE)
			3.020  alice  -> proxy   ACK
			3.025  proxy  -> desk    ACK
			3.030  alice  -> proxy   BYE
			3.035  proxy  -> desk    BYE
			3.040  desk   -> proxy   200 (BYE)
			3.045  proxy  -> alice   200 (BYE)`)
	})
}

// The same after the caller's own 487.
func TestLateAnswerAfter487(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		target := routing.To(deskURI)
		target.Timeout = time.Second
		r.Forward(ctx, target)
		r.Forward(ctx, routing.To(bobsURI))
		return nil
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		desk.On(sip.INVITE, siptest.Answer(3*time.Second))
		desk.On(sip.CANCEL, siptest.Respond(200))
		call := alice.Invite(bobAlias)
		time.Sleep(2 * time.Second)
		call.Cancel().WantStatus(200)
		call.WantFinal(487)
		call.WantFinal(200)
		call.Ack()
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> desk    INVITE
			0.010  desk   -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			1.005  proxy  -> desk    CANCEL
			1.005  proxy  -> bob     INVITE
			1.010  desk   -> proxy   200 (CANCEL)
			1.010  bob    -> proxy   180 (INVITE)
			1.015  proxy  -> alice   180 (INVITE)
			2.000  alice  -> proxy   CANCEL
			2.005  proxy  -> alice   200 (CANCEL)
			2.005  proxy  -> bob     CANCEL
			2.010  bob    -> proxy   200 (CANCEL)
			2.010  bob    -> proxy   487 (INVITE)
			2.015  proxy  -> bob     ACK
			2.015  proxy  -> alice   487 (INVITE)
			2.020  alice  -> proxy   ACK
			3.010  desk   -> proxy   200 (INVITE)
			3.015  proxy  -> alice   200 (INVITE)
			3.020  alice  -> proxy   ACK
			3.020  alice  -> proxy   BYE
			3.025  proxy  -> desk    ACK
			3.025  proxy  -> desk    BYE
			3.030  desk   -> proxy   200 (BYE)
			3.035  proxy  -> alice   200 (BYE)`)
	})
}

// RFC 3261 13.3.1.4: the callee repeats its 2xx until the ACK arrives. RFC 6026 7.1: the Accepted state lets each of them through to the
// proxy core, which forwards it (16.7 step 5); the caller acknowledges each.
func TestRepeated2xxIsRelayedEachTime(t *testing.T) {
	runNetwork(t, siptest.Options{Drop: siptest.DropFirst(3, "ACK")}, func(b *bench) {
		b.serve("proxy", "10.0.0.1", toBob)
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		bob.WantRequest(sip.INVITE).WantACK()
		b.pass(5 * time.Second)
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   200 (INVITE)
			0.015  proxy  -> alice   200 (INVITE)
			0.020  alice  -x proxy   ACK
			0.510  bob    -> proxy   200 (INVITE)
			0.515  proxy  -> alice   200 (INVITE)
			0.520  alice  -x proxy   ACK
			1.510  bob    -> proxy   200 (INVITE)
			1.515  proxy  -> alice   200 (INVITE)
			1.520  alice  -x proxy   ACK
			3.510  bob    -> proxy   200 (INVITE)
			3.515  proxy  -> alice   200 (INVITE)
			3.520  alice  -> proxy   ACK
			3.525  proxy  -> bob     ACK
			8.530  alice  -> proxy   BYE
			8.535  proxy  -> bob     BYE
			8.540  bob    -> proxy   200 (BYE)
			8.545  proxy  -> alice   200 (BYE)`)
	})
}

// The 2xx is lost between proxy and caller: the callee's next one mends it. Nothing is retransmitted by the proxy itself (RFC 6026 7.1: the
// server transaction in Accepted "MUST NOT generate 2xx retransmissions on its own").
func TestLost2xxIsMendedByTheCallee(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		b.serve("proxy", "10.0.0.1", toBob)
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		b.net.SetLink(b.proxy, alice.Host(), siptest.Link{Drop: siptest.DropFirst(2, "200 (INVITE)")})
		bob.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		bob.WantRequest(sip.INVITE).WantACK()
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   200 (INVITE)
			0.015  proxy  -x alice   200 (INVITE)
			0.500  alice  -> proxy   INVITE
			0.510  bob    -> proxy   200 (INVITE)
			0.515  proxy  -x alice   200 (INVITE)
			1.500  alice  -> proxy   INVITE
			1.510  bob    -> proxy   200 (INVITE)
			1.515  proxy  -> alice   200 (INVITE)
			1.520  alice  -> proxy   ACK
			1.525  proxy  -> bob     ACK`)
	})
}

// RFC 3261 16.7 step 6, on the wire: the best of what came from several targets. 0 is a target that never answers, -1 one that cannot be
// reached.
func TestBestResponseOfAFork(t *testing.T) {
	for name, c := range map[string]struct {
		came []int
		want int
	}{
		"the example of the RFC":                          {[]int{503, 407, 501, 404}, 407},
		"6xx over all":                                    {[]int{302, 404, 603, 500}, 603},
		"the lowest class":                                {[]int{500, 404, 302}, 302},
		"a 4xx over a 5xx":                                {[]int{500, 486}, 486},
		"what tells how to try again: 401":                {[]int{400, 404, 401}, 401},
		"what tells how to try again: 415":                {[]int{404, 415}, 415},
		"what tells how to try again: 420":                {[]int{404, 420}, 420},
		"what tells how to try again: 484":                {[]int{404, 484}, 484},
		"a 503 becomes a 500":                             {[]int{503}, 500},
		"several 503 become a 500":                        {[]int{503, 503}, 500},
		"another 5xx over a 503":                          {[]int{503, 504}, 504},
		"no answer":                                       {[]int{0}, 408},
		"an answer over no answer":                        {[]int{0, 486}, 486},
		"a 500 over no answer":                            {[]int{0, 500}, 500},
		"an answer over a target that cannot be reached":  {[]int{-1, 480}, 480},
		"no target can be reached":                        {[]int{-1, -1}, 500},
		"a 503 and no answer":                             {[]int{503, 0}, 500},
		"487 of a target that nobody cancelled, and more": {[]int{487, 404}, 404},
	} {
		t.Run(name, func(t *testing.T) {
			var uris []string
			for i, status := range c.came {
				uri := fmt.Sprintf("sip:p%d@10.0.1.%d", i, i+1)
				if status < 0 {
					uri = "sip:p@unknown.example"
				}
				uris = append(uris, uri)
			}
			runBench(t, relayTo(uris...), func(b *bench) {
				alice := b.phone("alice", "10.0.0.2")
				for i, status := range c.came {
					if status <= 0 {
						continue
					}
					p := b.phone(fmt.Sprintf("p%d", i), fmt.Sprintf("10.0.1.%d", i+1))
					p.On(sip.INVITE, siptest.After(time.Duration(i)*100*time.Millisecond).Respond(status))
				}
				alice.Invite(bobAlias).WantFinal(c.want)
			}, func(s *routing.Server) { s.Resolver = names{} })
		})
	}
}

// RFC 3261 16.7 step 6: "A proxy which receives a 503 (Service Unavailable) response SHOULD NOT forward it upstream unless it can determine
// that any subsequent requests it might proxy will also generate a 503. […] If the only response that was received is a 503, the proxy
// SHOULD generate a 500 response and forward that upstream." What the 503 said of the next hop is not ours to say.
func Test503BecomesA500(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		for _, method := range []sip.Method{sip.MESSAGE, sip.INVITE} {
			bob.On(method, siptest.Respond(503, siptest.Header(sip.RetryAfter, "3600"), siptest.Header(sip.Warning, `399 bob "out of order"`)))
		}
		res := alice.Request(sip.MESSAGE, bobAlias).WantStatus(500)
		require.False(b, res.Has(sip.RetryAfter))
		require.False(b, res.Has(sip.Warning))
		alice.Invite(bobAlias).WantFinal(500)
	})
}

// RFC 3261 16.7 step 7: "If the selected response is a 401 (Unauthorized) or 407 (Proxy Authentication Required), the proxy MUST collect any
// WWW-Authenticate and Proxy-Authenticate header field values from all other 401 (Unauthorized) and 407 (Proxy Authentication Required)
// responses received so far in this response context and add them to this response without modification before forwarding."
func TestChallengesAreCollected(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		r.Forward(ctx, targets(bobsURI, deskURI)...)
		r.Forward(ctx, targets(cellURI)...) // serial targets count as well
		return nil
	}, func(b *bench) {
		alice, bob, desk, cell := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5")
		bob.On(sip.MESSAGE, siptest.Respond(407, siptest.AddHeader(sip.ProxyAuthenticate, `Digest realm="bob, 1", nonce="1"`),
			siptest.AddHeader(sip.ProxyAuthenticate, `Digest realm="bob, 1", nonce="2", algorithm=SHA-256`)))
		desk.On(sip.MESSAGE, siptest.After(time.Second).Respond(401, siptest.AddHeader(sip.WWWAuthenticate, `Digest  realm="desk",nonce="3"`)))
		cell.On(sip.MESSAGE, siptest.Respond(407, siptest.AddHeader(sip.ProxyAuthenticate, `Digest realm="cell", nonce="4"`)))
		res := alice.Request(sip.MESSAGE, bobAlias).WantStatus(401)
		require.Equal(b, []string{`Digest  realm="desk",nonce="3"`}, headers(res.Text(), sip.WWWAuthenticate))
		require.Equal(b, []string{`Digest realm="bob, 1", nonce="1"`, `Digest realm="bob, 1", nonce="2", algorithm=SHA-256`, `Digest realm="cell", nonce="4"`},
			headers(res.Text(), sip.ProxyAuthenticate))
		require.Equal(b, "tag-desk-1", res.ToTag()) // 16.7 step 6: the tag SHOULD be preserved
	})
}

// The same: only where a challenge is selected are challenges added.
func TestChallengesOfOthersStayAway(t *testing.T) {
	runBench(t, relayTo(bobsURI, deskURI), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.MESSAGE, siptest.Respond(407, siptest.AddHeader(sip.ProxyAuthenticate, `Digest realm="bob", nonce="1"`)))
		desk.On(sip.MESSAGE, siptest.Respond(600))
		require.False(b, alice.Request(sip.MESSAGE, bobAlias).WantStatus(600).Has(sip.ProxyAuthenticate))
	})
}

// RFC 3261 16.7 step 5: "If a 6xx response is received, it is not immediately forwarded, but the stateful proxy SHOULD cancel all client
// pending transactions as described in Section 10, and it MUST NOT create any new branches in this context." "upon receiving a 6xx, a
// proxy will issue a CANCEL request, which will generally result in 487 responses from all outstanding client transactions, and then at that
// point the 6xx is forwarded upstream."
func Test6xxCancelsAndWaits(t *testing.T) {
	var got []outcome
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		got = append(got, outcomeOf(r.Forward(ctx, targets(bobsURI, deskURI)...)))
		got = append(got, outcomeOf(r.Forward(ctx, targets(cellURI)...)))
		return nil
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(180).After(time.Second).Respond(603))
		desk.On(sip.INVITE, siptest.Answer(time.Hour))
		alice.Invite(bobAlias).WantFinal(603)
		require.Contains(b, desk.WantRequest(sip.INVITE).WantCancel().Get(sip.Reason), "cause=603")
		b.pass(time.Second)
		require.Equal(b, []outcome{{status: 603, done: true, target: bobsURI}, {status: 603, done: true}}, got)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.005  proxy  -> desk    INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.010  desk   -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			1.010  bob    -> proxy   603 (INVITE)
			1.015  proxy  -> bob     ACK
			1.015  proxy  -> desk    CANCEL
			1.020  desk   -> proxy   200 (CANCEL)
			1.020  desk   -> proxy   487 (INVITE)
			1.025  proxy  -> desk    ACK
			1.025  proxy  -> alice   603 (INVITE)
			1.030  alice  -> proxy   ACK`)
	})
}

// The same step: "a 2xx response could arrive on another branch, in which case the proxy would have to forward the 2xx. The result was that
// the UAC could receive a 6xx response followed by a 2xx response, which should never be allowed to happen."
func Test2xxAfter6xxWins(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		return r.Relay(targets(bobsURI, deskURI)...)
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(180).After(time.Second).Respond(603))
		desk.On(sip.INVITE, siptest.Answer(1005*time.Millisecond)) // crosses the CANCEL
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		b.pass(time.Minute)
		require.Equal(b, 0, b.count("alice", "603 (INVITE)"))
		call.Bye().WantStatus(200)
	})
}

// RFC 3261 17.2.1: the server transaction repeats a final response other than 2xx until the ACK comes (Timer G), and answers retransmissions
// of the INVITE; the proxy core is not bothered.
func TestFailureIsRepeatedUntilACK(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		b.serve("proxy", "10.0.0.1", relayTo(bobsURI))
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{T1: 600 * time.Millisecond})
		b.net.SetLink(alice.Host(), b.proxy, siptest.Link{Drop: siptest.DropFirst(2, "ACK")})
		b.net.SetLink(b.proxy, bob.Host(), siptest.Link{Drop: siptest.DropFirst(1, "ACK")})
		bob.On(sip.INVITE, siptest.Respond(486))
		alice.Invite(bobAlias).WantFinal(486)
		b.pass(40 * time.Second)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   486 (INVITE)
			0.015  proxy  -x bob     ACK
			0.015  proxy  -> alice   486 (INVITE)
			0.020  alice  -x proxy   ACK
			0.515  proxy  -> alice   486 (INVITE)
			0.520  alice  -x proxy   ACK
			0.610  bob    -> proxy   486 (INVITE)
			0.615  proxy  -> bob     ACK
			1.515  proxy  -> alice   486 (INVITE)
			1.520  alice  -> proxy   ACK`)
	})
}

// RFC 6026 7.3: "When receiving any SIP response, a transaction-stateful proxy MUST compare the transaction identifier in that response
// against its existing transaction state machines. The proxy MUST NOT forward the response if there is no matching transaction state
// machine."
func TestStrayResponsesAreNotForwarded(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
		in := bob.WantRequest(sip.MESSAGE)
		b.pass(time.Minute) // every transaction has ended
		b.net.Forget()
		in.Retransmit()
		b.pass(time.Second)
		require.Equal(b, 1, len(b.flow().Events()))
		require.EqualValues(b, 1, b.server.Stats().StrayResponses)
	})
}

// RFC 3261 17.1.3: a response matches "if the response has the same value of the branch parameter in the top Via header field […]" and "if the
// method parameter in the CSeq header field matches the method of the request". Branches that are guessed, or borrowed for
// another method, get nowhere.
func TestForgedResponsesAreNotForwarded(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		mallory := b.phone("mallory", "10.0.0.66", siptest.PhoneOptions{Lenient: true})
		alice.Invite(bobAlias)
		in := bob.WantRequest(sip.INVITE)
		in.Respond(180)
		b.pass(time.Second)
		real := in.Text()
		ours, hers := headers(real, sip.Via)[0], headers(real, sip.Via)[1]
		before := len(b.flow().Only("alice").Events())
		for name, forged := range map[string]string{
			"a guessed branch": strings.Replace(ours, branches(real)[0], "z9hG4bK1234567890.abc", 1),
			"no cookie":        strings.Replace(ours, "z9hG4bK", "", 1),
			"another method":   ours,
		} {
			cseq := "1 INVITE"
			if name == "another method" {
				cseq = "1 BYE"
			}
			mallory.SendText("SIP/2.0 200 OK\r\nVia: " + forged + "\r\nVia: " + hers + "\r\nFrom: " + in.Get(sip.From) + "\r\nTo: " + in.Get(sip.To) +
				";tag=mallory\r\nCall-ID: " + in.CallID() + "\r\nCSeq: " + cseq + "\r\nContact: <sip:m@10.0.0.66>\r\nContent-Length: 0\r\n\r\n")
		}
		b.pass(time.Second)
		require.Equal(b, before, len(b.flow().Only("alice").Events()))
		require.EqualValues(b, 3, b.server.Stats().StrayResponses)
		in.Respond(486)
		b.pass(time.Second)
	})
}

// Responses that come on one flow leave in the order in which they came (16.7 step 5 forwards each "immediately").
func TestResponsesAreNotReordered(t *testing.T) {
	runBench(t, relayTo(bobsURI+";transport=tcp"), func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Transport: "TCP"})
		bob := b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Transport: "TCP"})
		for range 50 {
			call := alice.Invite(bobAlias)
			in := bob.WantRequest(sip.INVITE)
			in.Respond(180)
			in.Respond(183)
			in.Respond(182)
			in.Respond(200)
			for _, status := range []int{180, 183, 182, 200} {
				call.WantStatus(status)
			}
			call.Ack()
			in.WantACK()
		}
	})
}

// RFC 3261 7.3.1: Vias may share a line, and have a short name; ours is taken off all the same, and the rest stays.
func TestViasOfAResponseInOneLine(t *testing.T) {
	for _, form := range []string{"Via: %s, %s", "v:%s,%s", "VIA : %s\r\n , %s", "v: %s\r\nVia: %s"} {
		t.Run(form, func(t *testing.T) {
			runBench(t, relayTo(bobsURI), func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{NoRetransmit: true})
				bob.On(sip.MESSAGE, siptest.Ignore())
				exchange := alice.Request(sip.MESSAGE, bobAlias)
				in := bob.WantRequest(sip.MESSAGE)
				vias := headers(in.Text(), sip.Via)
				bob.SendText(fmt.Sprintf("SIP/2.0 200 OK\r\n"+form, vias[0], vias[1]) + "\r\nFrom: " + in.Get(sip.From) + "\r\nTo: " + in.Get(sip.To) +
					";tag=b\r\nCall-ID: " + in.CallID() + "\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n")
				res := exchange.WantStatus(200)
				require.Equal(b, vias[1], res.Get(sip.Via))
			})
		})
	}
}

// RFC 3261 17.2.1: "If, while in the "Proceeding" state, a retransmitted request is received, the most recent provisional response that was
// received from the TU MUST be passed to the transport layer for retransmission."
func TestRetransmittedInviteGetsTheLastProvisional(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(180).After(time.Second).Respond(183).After(2*time.Second).Respond(486))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		call.Retransmit()
		call.WantStatus(183)
		call.Retransmit()
		call.WantFinal(486)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			0.020  alice  -> proxy   INVITE
			0.025  proxy  -> alice   180 (INVITE)
			1.010  bob    -> proxy   183 (INVITE)
			1.015  proxy  -> alice   183 (INVITE)
			1.020  alice  -> proxy   INVITE
			1.025  proxy  -> alice   183 (INVITE)
			3.010  bob    -> proxy   486 (INVITE)
			3.015  proxy  -> bob     ACK
			3.015  proxy  -> alice   486 (INVITE)
			3.020  alice  -> proxy   ACK`)
	})
}
