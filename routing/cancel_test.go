package routing_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// cancelOf returns the CANCEL for an INVITE (RFC 3261 9.1), with more lines.
func cancelOf(invite string, more ...string) string {
	lines := []string{strings.Replace(startLine(invite), "INVITE", "CANCEL", 1)}
	for _, name := range []string{sip.Via, sip.MaxForwards, sip.Route, sip.From, sip.To, sip.CallID} {
		for _, v := range headers(invite, name) {
			lines = append(lines, name+": "+v)
		}
	}
	number, _, _ := strings.Cut(headers(invite, sip.CSeq)[0], " ")
	lines = append(append(lines, "CSeq: "+number+" CANCEL", "Content-Length: 0"), more...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// RFC 3261 16.10: "If a matching response context is found, the element MUST immediately return a 200 (OK) response to the CANCEL request."
// "Furthermore, the element MUST generate CANCEL requests for all pending client transactions in the context". RFC 3326: the Reason goes
// along. (That a CANCEL has the INVITE's branch, Request-URI, From, To, Call-ID, Route and CSeq number, and one Via, the phones check.)
func TestCancelWhileRinging(t *testing.T) {
	runBench(t, relayTo(bobsURI, deskURI), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		desk.On(sip.INVITE, siptest.Respond(480))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		b.pass(time.Second)
		const reason = `SIP ;cause=600 ;text="Busy, everywhere"`
		alice.SendText(cancelOf(call.Text(), "Reason: "+reason)).WantStatus(200)
		require.Equal(b, "tag-bob-1", call.WantFinal(487).ToTag()) // bob's own
		in := bob.WantRequest(sip.INVITE)
		require.Equal(b, reason, in.WantCancel().Get(sip.Reason))
		in.WantACK()
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.005  proxy  -> desk    INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.010  desk   -> proxy   480 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			0.015  proxy  -> desk    ACK
			1.020  alice  -> proxy   CANCEL
			1.025  proxy  -> alice   200 (CANCEL)
			1.025  proxy  -> bob     CANCEL
			1.030  bob    -> proxy   200 (CANCEL)
			1.030  bob    -> proxy   487 (INVITE)
			1.035  proxy  -> bob     ACK
			1.035  proxy  -> alice   487 (INVITE)
			1.040  alice  -> proxy   ACK`)
	})
}

// RFC 3261 9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather, the client MUST wait for the
// arrival of a provisional response before sending the request."
func TestCancelBeforeTheTargetRings(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.After(2*time.Second).Respond(180).After(time.Hour).Respond(200))
		call := alice.Invite(bobAlias)
		call.WantStatus(100)
		call.Cancel().WantStatus(200)
		call.WantFinal(487)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.205  proxy  -> alice   100 (INVITE)
			0.210  alice  -> proxy   CANCEL
			0.215  proxy  -> alice   200 (CANCEL)
			0.505  proxy  -> bob     INVITE
			1.505  proxy  -> bob     INVITE
			2.010  bob    -> proxy   180 (INVITE)
			2.015  proxy  -> bob     CANCEL
			2.015  proxy  -> alice   180 (INVITE)
			2.020  bob    -> proxy   200 (CANCEL)
			2.020  bob    -> proxy   487 (INVITE)
			2.025  proxy  -> bob     ACK
			2.025  proxy  -> alice   487 (INVITE)
			2.030  alice  -> proxy   ACK`)
	})
}

// The same section: a target that answers without having rung needs no CANCEL, and its 2xx is a call.
func TestCancelAndTheTargetAnswersAtOnce(t *testing.T) {
	runBench(t, toBob, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.After(time.Second).Respond(200))
		call := alice.Invite(bobAlias)
		call.WantStatus(100)
		call.Cancel().WantStatus(200)
		call.WantAnswer()
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.205  proxy  -> alice   100 (INVITE)
			0.210  alice  -> proxy   CANCEL
			0.215  proxy  -> alice   200 (CANCEL)
			0.505  proxy  -> bob     INVITE
			1.010  bob    -> proxy   200 (INVITE)
			1.015  proxy  -> alice   200 (INVITE)
			1.020  alice  -> proxy   ACK
			1.020  alice  -> proxy   BYE
			1.025  proxy  -> bob     ACK
			1.025  proxy  -> bob     BYE
			1.030  bob    -> proxy   200 (BYE)
			1.035  proxy  -> alice   200 (BYE)`)
	})
}

// A target that never says anything ends by Timer B, and the caller has his 487 then.
func TestCancelAndTheTargetIsDead(t *testing.T) {
	runBench(t, relayTo(nobodys), func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		call := alice.Invite(bobAlias)
		call.WantStatus(100)
		call.Cancel().WantStatus(200)
		call.WantFinal(487)
		b.flow().Only("alice", "proxy").Require(b, `
			0.000  alice  -> proxy   INVITE
			0.205  proxy  -> alice   100 (INVITE)
			0.210  alice  -> proxy   CANCEL
			0.215  proxy  -> alice   200 (CANCEL)
			32.005  proxy  -> alice   487 (INVITE)
			32.010  alice  -> proxy   ACK`)
	})
}

// RFC 3261 9.1: "If there is no final response for the original request in 64*T1 seconds […], the client SHOULD then consider the original
// transaction cancelled and SHOULD destroy the client transaction handling the original request."
func TestCancelledTargetNeverEnds(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		bob.On(sip.CANCEL, siptest.Respond(200)) // and rings on
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		call.Cancel().WantStatus(200)
		call.WantFinal(487)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			0.020  alice  -> proxy   CANCEL
			0.025  proxy  -> alice   200 (CANCEL)
			0.025  proxy  -> bob     CANCEL
			0.030  bob    -> proxy   200 (CANCEL)
			32.025  proxy  -> alice   487 (INVITE)
			32.030  alice  -> proxy   ACK`)
	})
}

// 16.10 while the handler looks something up, before and between its targets: the caller need not wait for it. What it tries then is refused.
func TestCancelWhileTheHandlerBlocks(t *testing.T) {
	for name, first := range map[string][]routing.Target{"before": nil, "between": targets(deskURI)} {
		t.Run(name, func(t *testing.T) {
			var cause error
			var waited time.Duration
			var got routing.Response
			runBench(t, func(ctx context.Context, r *routing.Request) error {
				if first != nil {
					r.Forward(ctx, first...)
				}
				start := time.Now()
				select {
				case <-ctx.Done():
				case <-time.After(time.Minute):
				}
				waited, cause = time.Since(start), context.Cause(ctx)
				got = r.Forward(ctx, targets(bobsURI)...)
				return nil
			}, func(b *bench) {
				alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
				desk.On(sip.INVITE, siptest.Respond(486))
				call := alice.Invite(bobAlias)
				call.WantStatus(100)
				call.Cancel().WantStatus(200)
				call.WantFinal(487)
				b.pass(time.Second)
				require.InDelta(b, 205*time.Millisecond, waited, float64(10*time.Millisecond))
				require.ErrorIs(b, cause, routing.ErrCancelled)
				require.Equal(b, outcome{status: 487, err: routing.ErrCancelled, local: true, done: true}, outcomeOf(got))
				bob.WantNoRequest(time.Minute)
			})
		})
	}
}

// The same for a handler that does not look at its ctx: the 487 goes out all the same, and the handler's answer comes too late.
func TestCancelWhileTheHandlerIsDeaf(t *testing.T) {
	var err error
	runBench(t, func(_ context.Context, r *routing.Request) error {
		time.Sleep(10 * time.Second)
		err = r.Respond(sip.NewResponse(200))
		return nil
	}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		call := alice.Invite(bobAlias)
		call.WantStatus(100)
		b.pass(time.Second)
		call.Cancel().WantStatus(200)
		call.WantFinal(487)
		b.pass(time.Minute)
		require.ErrorIs(b, err, routing.ErrAnswered)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.205  proxy  -> alice   100 (INVITE)
			1.210  alice  -> proxy   CANCEL
			1.215  proxy  -> alice   200 (CANCEL)
			1.215  proxy  -> alice   487 (INVITE)
			1.220  alice  -> proxy   ACK`)
	})
}

// A CANCEL is never held back by the handler of its call, nor does a handler ever see one, nor the ACK of a failure: both are hop-by-hop
// (RFC 3261 9.2, 17.2.1), so nobody may ask them for credentials.
func TestHandlersSeeNoCancel(t *testing.T) {
	var seen atomic.Int32
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		seen.Add(1)
		r.Forward(ctx, targets(bobsURI)...)
		return nil
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		call.Cancel().WantStatus(200)
		call.WantFinal(487)
		b.pass(time.Minute)
		require.EqualValues(b, 1, seen.Load())
	})
}

// RFC 3261 17.2.2: a retransmission of the CANCEL is answered by its own server transaction with the same 200, not with 481.
func TestRetransmittedCancelIsAbsorbed(t *testing.T) {
	runNetwork(t, siptest.Options{Drop: siptest.DropFirst(2, "200 (CANCEL)")}, func(b *bench) {
		b.serve("proxy", "10.0.0.1", relayTo(bobsURI))
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		b.net.SetLink(bob.Host(), nil, siptest.Link{Delay: 7 * time.Millisecond})
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		cancel := call.Cancel()
		cancel.WantStatus(200)
		call.WantFinal(487)
		b.pass(10 * time.Second)
		cancel.Retransmit() // and later, when the INVITE has long got its answer
		b.pass(10 * time.Second)
		require.Zero(b, b.count("alice", "481 (CANCEL)"))
		sent := b.received("bob", "CANCEL")
		require.Len(b, sent, 2, "the 200 of the first was lost")
		require.Equal(b, sent[0], sent[1])
	})
}

// RFC 3261 9.2: "If the UAS did not find a matching transaction for the CANCEL according to the procedure above, it SHOULD respond to the
// CANCEL with a 481 (Call Leg/Transaction Does Not Exist)." Nothing is forwarded: that would lend strangers our name.
func TestUnmatchedCancel(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		cancel := alice.SendText(text("CANCEL", bobAlias))
		tag := cancel.WantStatus(481).ToTag()
		cancel.Retransmit()
		b.pass(time.Second)
		answers := b.received("alice", "481 (CANCEL)")
		require.Len(b, answers, 2)
		require.Equal(b, answers[0], answers[1], "8.2.7: the same tag each time")
		require.NotEmpty(b, tag)
		require.Zero(b, len(b.flow().Only("bob").Events()))
	})
}

// RFC 3261 9.2: if the UAS has already sent a final response for the original request, "the CANCEL request has no effect on the processing of
// the original request, no effect on any session state, and no effect on the responses generated for the original request." 200 and CANCEL cross.
func TestCancelCrossesTheAnswer(t *testing.T) {
	runBench(t, toBob, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Second))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		time.Sleep(997 * time.Millisecond)
		cancel := call.Cancel()
		call.WantAnswer()
		cancel.WantStatus(200)
		bob.WantRequest(sip.INVITE).WantACK()
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			1.010  bob    -> proxy   200 (INVITE)
			1.015  proxy  -> alice   200 (INVITE)
			1.017  alice  -> proxy   CANCEL
			1.020  alice  -> proxy   ACK
			1.022  proxy  -> alice   200 (CANCEL)
			1.025  proxy  -> bob     ACK
			1.030  alice  -> proxy   BYE
			1.035  proxy  -> bob     BYE
			1.040  bob    -> proxy   200 (BYE)
			1.045  proxy  -> alice   200 (BYE)`)
	})
}

// The same where the proxy has passed the CANCEL on and the answer was under way already.
func TestCancelledTargetAnswersAllTheSame(t *testing.T) {
	runBench(t, toBob, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Second))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		time.Sleep(987 * time.Millisecond)
		call.Cancel().WantStatus(200)
		call.WantAnswer()
		bob.WantRequest(sip.INVITE).WantACK()
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			1.007  alice  -> proxy   CANCEL
			1.010  bob    -> proxy   200 (INVITE)
			1.012  proxy  -> alice   200 (CANCEL)
			1.012  proxy  -> bob     CANCEL
			1.015  proxy  -> alice   200 (INVITE)
			1.017  bob    -> proxy   200 (CANCEL)
			1.020  alice  -> proxy   ACK
			1.025  proxy  -> bob     ACK
			1.030  alice  -> proxy   BYE
			1.035  proxy  -> bob     BYE
			1.040  bob    -> proxy   200 (BYE)
			1.045  proxy  -> alice   200 (BYE)`)
	})
}

// RFC 3261 9.2: "A CANCEL request has no impact on the processing of transactions with any other method defined in this specification": it
// is answered, and that is all.
func TestCancelOfANonInvite(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.MESSAGE, siptest.After(300*time.Millisecond).Respond(200))
		message := alice.SendText(text("MESSAGE", bobAlias))
		b.pass(100 * time.Millisecond)
		alice.SendText(text("CANCEL", bobAlias, "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-text-message")).WantStatus(200)
		message.WantStatus(200)
		require.Zero(b, b.count("bob", "CANCEL"))
	})
}

// RFC 3261 9.2: "the To tag of the response to the CANCEL and the To tag in the response to the original request SHOULD be the same", where
// both are ours.
func TestTagsOfCancelAnd487(t *testing.T) {
	runBench(t, func(ctx context.Context, _ *routing.Request) error { <-ctx.Done(); return nil }, func(b *bench) {
		call := b.phone("alice", "10.0.0.2").Invite(bobAlias)
		call.WantStatus(100)
		tag := call.Cancel().WantStatus(200).ToTag()
		require.NotEmpty(b, tag)
		require.Equal(b, tag, call.WantFinal(487).ToTag())
	})
}

// RFC 3261 9: CANCEL "is referred to as a "hop-by-hop" request, since it is responded to at each stateful proxy hop": each proxy on the way makes
// its own.
func TestCancelThroughTwoProxies(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		b.serve("p1", "10.0.0.1", relayTo("sip:bob@10.0.1.1"))
		b.serve("p2", "10.0.1.1", relayTo(bobsURI))
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		call.Cancel().WantStatus(200)
		call.WantFinal(487)
		bob.WantRequest(sip.INVITE).WantACK()
		b.ladder(`
			0.000  alice  -> p1      INVITE
			0.005  p1     -> p2      INVITE
			0.010  p2     -> bob     INVITE
			0.015  bob    -> p2      180 (INVITE)
			0.020  p2     -> p1      180 (INVITE)
			0.025  p1     -> alice   180 (INVITE)
			0.030  alice  -> p1      CANCEL
			0.035  p1     -> alice   200 (CANCEL)
			0.035  p1     -> p2      CANCEL
			0.040  p2     -> p1      200 (CANCEL)
			0.040  p2     -> bob     CANCEL
			0.045  bob    -> p2      200 (CANCEL)
			0.045  bob    -> p2      487 (INVITE)
			0.050  p2     -> bob     ACK
			0.050  p2     -> p1      487 (INVITE)
			0.055  p1     -> p2      ACK
			0.055  p1     -> alice   487 (INVITE)
			0.060  alice  -> p1      ACK`)
	})
}

// A branch whose connection is still being dialed when the caller gives up is not sent, and nobody waits for it.
func TestCancelWhileDialing(t *testing.T) {
	for name, uris := range map[string][]string{
		"alone":    {deskURI + ";transport=tcp"},
		"parallel": {deskURI + ";transport=tcp", bobsURI},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, relayTo(uris...), func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				desk := b.phone("desk", "10.0.0.4", siptest.PhoneOptions{Transport: "TCP"})
				for _, p := range []*siptest.Phone{bob, desk} {
					p.On(sip.INVITE, siptest.Answer(time.Hour))
				}
				b.net.SetLink(b.proxy, desk.Host(), siptest.Link{Delay: 3 * time.Second}) // the SYN
				call := alice.Invite(bobAlias)
				b.pass(300 * time.Millisecond)
				call.Cancel().WantStatus(200)
				call.WantFinal(487)
				require.Less(b, b.net.Elapsed(), time.Second)
				b.pass(10 * time.Second)
				require.Zero(b, b.count("desk", "INVITE"))
			})
		})
	}
}

// A handler that waits with a ctx of its own hears of the CANCEL too, and the caller's 487 is that of the target.
func TestCancelWithAContextOfTheHandler(t *testing.T) {
	type key struct{}
	var got outcome
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		ctx, cancel := context.WithTimeout(context.WithValue(ctx, key{}, 1), time.Hour)
		defer cancel()
		got = outcomeOf(r.Forward(ctx, targets(bobsURI)...))
		return nil
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		call.Cancel().WantStatus(200)
		require.Equal(b, "tag-bob-1", call.WantFinal(487).ToTag())
		b.pass(time.Second)
		require.Equal(b, outcome{status: 487, err: routing.ErrCancelled, local: true, done: true}, got)
	})
}

// The server goes on with the loser of a race: two hundred calls, cancelled at every millisecond around the answer. Each ends in an
// answered call or a cancelled one, on both sides the same.
func TestCancelAtEveryMoment(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		r.Forward(ctx, targets(bobsURI, deskURI)...)
		return nil
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.After(20*time.Millisecond).Respond(180).After(30*time.Millisecond).Respond(200))
		desk.On(sip.INVITE, siptest.After(10*time.Millisecond).Respond(180).After(50*time.Millisecond).Respond(200))
		answered, cancelled := 0, 0
		for after := range 200 {
			call := alice.Invite(bobAlias)
			time.Sleep(time.Duration(after) * time.Millisecond / 2)
			call.Cancel()
			b.pass(2 * time.Second)
			final := 0
			for _, m := range call.Responses() {
				switch {
				case m.Status() == 200:
					call.Leg(m).Ack()
					call.Leg(m).Bye().WantStatus(200)
					final = 200
				case m.Status() >= 300:
					require.Equal(b, 487, m.Status())
					require.Zero(b, final)
					final = 487
				}
			}
			switch final {
			case 200:
				answered++
			case 487:
				cancelled++
			default:
				b.Fatalf("no final response when cancelled after %d ms\n%s", after/2, b.flow())
			}
			b.net.Forget()
		}
		require.Greater(b, answered, 50)
		require.Greater(b, cancelled, 50)
		b.Logf("%d answered, %d cancelled", answered, cancelled)
	})
}

// 16.10 where the CANCEL comes right behind its INVITE, before any handler can have begun: the target never hears of the call.
func TestCancelRightBehindTheInvite(t *testing.T) {
	for _, proto := range []string{"UDP", "TCP"} {
		runBench(t, func(ctx context.Context, r *routing.Request) error {
			time.Sleep(time.Millisecond) // a database
			r.Forward(ctx, routing.To(bobsURI))
			return nil
		}, func(b *bench) {
			alice, bob := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Transport: proto}), b.phone("bob", "10.0.0.3")
			for range 200 {
				call := alice.Invite(bobAlias)
				alice.SendText(cancelOf(call.Text())).WantStatus(200)
				call.WantFinal(487)
			}
			bob.WantNoRequest(time.Minute)
		})
	}
}

// RFC 3261 17.2.3: clients of RFC 2543, whose branches are no better than their Call-IDs, are matched by more: their CANCEL ends the call, their ACK
// is absorbed, and so are their retransmissions.
func TestCallsOfOldClients(t *testing.T) {
	var handled atomic.Int32
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		handled.Add(1)
		r.Forward(ctx, routing.To(bobsURI))
		return nil
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Lenient: true}), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(180).After(10*time.Second).Respond(486))
		for i, via := range []string{"SIP/2.0/UDP 10.0.0.2:5060;branch=1", "SIP/2.0/UDP 10.0.0.2:5060;branch=1", "SIP/2.0/UDP 10.0.0.2:5060"} {
			invite := text("INVITE", bobAlias, "Via: "+via, fmt.Sprintf("Call-ID: old-%d", i), "From: <sip:alice@example.org>;tag=a")
			call := alice.SendText(invite)
			b.pass(time.Second)
			call.Retransmit()
			b.pass(time.Second)
			if i > 0 {
				alice.SendText(cancelOf(invite))
			}
			b.pass(20 * time.Second)
			require.EqualValues(b, i+1, handled.Load())
			require.Equal(b, i, b.count("alice", "200 (CANCEL)"))
			require.Equal(b, i, b.count("alice", "487 (INVITE)"))
			require.Equal(b, 1, b.count("alice", "486 (INVITE)"))
		}
		require.Zero(b, b.server.Stats().StrayACKs)
	})
}
