package routing_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transaction"
)

// RFC 3261 16.2: "The proxy core MUST behave as a UAS with respect to sending an immediate provisional on that server transaction (such as 100
// Trying) as described in Section 8.2.6." 17.2.1: "The server transaction MUST generate a 100 (Trying) response unless it knows that the TU
// will generate a provisional or final response within 200 ms".
func TestTryingAfter200ms(t *testing.T) {
	for name, c := range map[string]struct {
		script siptest.Script
		golden string
	}{
		"silent": {siptest.After(time.Second).Respond(486), `
			0.000  alice  -> proxy   INVITE
			0.205  proxy  -> alice   100 (INVITE)
			1.015  proxy  -> alice   486 (INVITE)
			1.020  alice  -> proxy   ACK`},
		"rings in time": {siptest.After(180 * time.Millisecond).Respond(180).After(time.Second).Respond(486), `
			0.000  alice  -> proxy   INVITE
			0.195  proxy  -> alice   180 (INVITE)
			1.195  proxy  -> alice   486 (INVITE)
			1.200  alice  -> proxy   ACK`},
		"a 100 is not a ring": {siptest.Respond(100).After(time.Second).Respond(486), `
			0.000  alice  -> proxy   INVITE
			0.205  proxy  -> alice   100 (INVITE)
			1.015  proxy  -> alice   486 (INVITE)
			1.020  alice  -> proxy   ACK`},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, relayTo(bobsURI), func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				bob.On(sip.INVITE, c.script)
				alice.Invite(bobAlias).WantFinal(486)
				b.pass(time.Second)
				b.flow().Only("alice", "proxy").Require(b, c.golden)
			})
		})
	}
}

// The same while the handler itself takes its time: no retransmission of the INVITE sets out.
func TestTryingWhileTheHandlerBlocks(t *testing.T) {
	runBench(t, func(context.Context, *routing.Request) error {
		time.Sleep(3 * time.Second)
		return routing.Status(404)
	}, func(b *bench) {
		call := b.phone("alice", "10.0.0.2").Invite(bobAlias, siptest.AddHeader(sip.Timestamp, "54"))
		trying := call.WantStatus(100)
		require.Equal(b, "54 0.2", trying.Get(sip.Timestamp)) // 8.2.6.1
		require.Empty(b, trying.ToTag())
		call.WantFinal(404)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.205  proxy  -> alice   100 (INVITE)
			3.005  proxy  -> alice   404 (INVITE)
			3.010  alice  -> proxy   ACK`)
	})
}

// RFC 3261 17.1.1.2: Timers A and B of a target that says nothing. 16.6 step 7: it acts "as if this element of the target set returned a 408".
func TestTimerAAndB(t *testing.T) {
	runBench(t, relayTo(nobodys), func(b *bench) {
		b.phone("alice", "10.0.0.2").Invite(bobAlias).WantFinal(408)
		b.ladder(`
			0.000  alice  -> proxy            INVITE
			0.005  proxy  -x 10.0.0.99:5060   INVITE
			0.205  proxy  -> alice            100 (INVITE)
			0.505  proxy  -x 10.0.0.99:5060   INVITE
			1.505  proxy  -x 10.0.0.99:5060   INVITE
			3.505  proxy  -x 10.0.0.99:5060   INVITE
			7.505  proxy  -x 10.0.0.99:5060   INVITE
			15.505  proxy  -x 10.0.0.99:5060   INVITE
			31.505  proxy  -x 10.0.0.99:5060   INVITE
			32.005  proxy  -> alice            408 (INVITE)
			32.010  alice  -> proxy            ACK`)
	})
}

// RFC 3261 17.1.1.2: "If the client transaction is still in the "Calling" state when timer B fires"; a 100 ends retransmissions although it goes no
// further, and Timer C takes over.
func TestTimerAEndsWithAnAbsorbed100(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(100).After(40*time.Second).Respond(486))
		alice.Invite(bobAlias).WantFinal(486)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   100 (INVITE)
			0.205  proxy  -> alice   100 (INVITE)
			40.010  bob    -> proxy   486 (INVITE)
			40.015  proxy  -> bob     ACK
			40.015  proxy  -> alice   486 (INVITE)
			40.020  alice  -> proxy   ACK`)
	})
}

// RFC 3261 16.6 step 11: "Timer C MUST be set for each client transaction when an INVITE request is proxied. The timer MUST be larger than 3
// minutes." 16.8: "If the client transaction has received a provisional response, the proxy MUST generate a CANCEL request matching that
// transaction."
func TestTimerC(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		alice.Invite(bobAlias).WantFinal(408)
		in := bob.WantRequest(sip.INVITE)
		require.Contains(b, in.WantCancel().Get(sip.Reason), "cause=408")
		in.WantACK()
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			181.015  proxy  -> bob     CANCEL
			181.015  proxy  -> alice   408 (INVITE)
			181.020  bob    -> proxy   200 (CANCEL)
			181.020  bob    -> proxy   487 (INVITE)
			181.020  alice  -> proxy   ACK
			181.025  proxy  -> bob     ACK`)
	})
}

// RFC 3261 16.7 step 2: "if the response is a provisional response with status codes 101 to 199 inclusive (i.e., anything but 100), the proxy
// MUST reset timer C for that client transaction."
func TestTimerCIsResetByProvisionalResponses(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		fires  time.Duration
	}{
		"180 resets": {180, 0},
		"100 not":    {100, 181*time.Second + 5*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, relayTo(bobsURI), func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Patience: time.Hour}), b.phone("bob", "10.0.0.3")
				script := siptest.Respond(c.status)
				for range 10 {
					script = script.After(time.Minute).Respond(c.status)
				}
				bob.On(sip.INVITE, script.After(time.Minute).Respond(486))
				want := 486
				if c.fires > 0 {
					want = 408
				}
				alice.Invite(bobAlias).WantFinal(want)
				b.pass(time.Second)
				cancels := b.flow().Filter(func(e siptest.Event) bool { return e.What() == "CANCEL" }).Events()
				if c.fires == 0 {
					require.Empty(b, cancels)
					return
				}
				require.Len(b, cancels, 1)
				require.Equal(b, c.fires, cancels[0].Time.Truncate(time.Millisecond))
			})
		})
	}
}

// The handler learns of Timer C as of any timeout, and may go on.
func TestTimerCMovesOn(t *testing.T) {
	var got []outcome
	runBench(t, serially(&got, targets(deskURI, bobsURI)...), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		desk.On(sip.INVITE, siptest.Answer(time.Hour))
		bob.On(sip.INVITE, siptest.Respond(200))
		alice.Invite(bobAlias).WantAnswer()
		b.wait()
		require.Equal(b, []outcome{
			{status: 408, err: routing.ErrTimeout, local: true, target: deskURI}, {status: 200, target: bobsURI, done: true},
		}, got)
	})
}

// RFC 4320 4.2: "A transaction-stateful SIP element MUST NOT send a response with Status-Code of 408 to a non-INVITE request. As a
// consequence, an element that cannot respond before the transaction expires will not send a final response at all." 4.1: "Without
// regard to transport, an SIP element MUST respond to a non-INVITE request with a Status-Code of 100 if it has not otherwise responded after
// the amount of time it takes a client transaction's Timer E to be reset to T2", and over UDP not before.
func TestNo408ToNonInvite(t *testing.T) {
	runBench(t, relayTo(nobodys), func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{T1: 450 * time.Millisecond}) // off the proxy's beat
		alice.Request(sip.MESSAGE, bobAlias).WantTimeout()
		b.flow().Only("alice", "proxy").Require(b, `
			0.000  alice  -> proxy   MESSAGE
			0.450  alice  -> proxy   MESSAGE
			1.350  alice  -> proxy   MESSAGE
			3.150  alice  -> proxy   MESSAGE
			3.505  proxy  -> alice   100 (MESSAGE)
			6.750  alice  -> proxy   MESSAGE
			6.755  proxy  -> alice   100 (MESSAGE)
			10.750  alice  -> proxy   MESSAGE
			10.755  proxy  -> alice   100 (MESSAGE)
			14.750  alice  -> proxy   MESSAGE
			14.755  proxy  -> alice   100 (MESSAGE)
			18.750  alice  -> proxy   MESSAGE
			18.755  proxy  -> alice   100 (MESSAGE)
			22.750  alice  -> proxy   MESSAGE
			22.755  proxy  -> alice   100 (MESSAGE)
			26.750  alice  -> proxy   MESSAGE
			26.755  proxy  -> alice   100 (MESSAGE)`)
		b.pass(10 * time.Second)
		forwarded := b.flow().Filter(func(e siptest.Event) bool { return e.From == "proxy" && e.What() == "MESSAGE" })
		require.Equal(b, 11, len(forwarded.Events()), "Timer E until Timer F")
		require.Len(b, distinct(forwarded, branchOf), 1, "one transaction")
	})
}

// The same when the handler gives up sooner: retransmissions of the request belong to its transaction until 64*T1 have passed (RFC 3261 16.2:
// "Any retransmissions of the request will then be handled by that server transaction"), and do not start all over.
func TestRetransmissionAfterAllTargetsFailed(t *testing.T) {
	dead := routing.To(nobodys)
	dead.NoAnswer = 2 * time.Second
	var got []outcome
	runBench(t, serially(&got, dead), func(b *bench) {
		b.phone("alice", "10.0.0.2").Request(sip.MESSAGE, bobAlias).WantTimeout()
		b.wait()
		require.Equal(b, 1, len(got), "the handler ran once")
		forwarded := b.flow().Filter(func(e siptest.Event) bool { return e.From == "proxy" && e.What() == "MESSAGE" })
		require.Len(b, distinct(forwarded, branchOf), 1)
	})
}

// distinct returns the different values of f over a ladder.
func distinct(l *siptest.Ladder, f func(siptest.Event) string) map[string]int {
	out := map[string]int{}
	for _, e := range l.Events() {
		out[f(e)]++
	}
	return out
}

func branchOf(e siptest.Event) string { return branches(string(e.Data))[0] }

// RFC 4320 4.1: "An SIP element MUST NOT send any provisional response with a Status-Code other than 100 to a non-INVITE request." And 100
// responses are not forwarded.
func TestProvisionalResponsesToNonInviteStay(t *testing.T) {
	for _, status := range []int{100, 180, 183} {
		runBench(t, relayTo(bobsURI), func(b *bench) {
			alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
			bob.On(sip.MESSAGE, siptest.Respond(status).After(time.Second).Respond(200))
			exchange := alice.Request(sip.MESSAGE, bobAlias)
			exchange.WantStatus(200)
			require.Len(b, exchange.Responses(), 1)
		})
	}
}

// RFC 4320 4.2: "A transaction-stateful SIP proxy MUST NOT send any response to a non-INVITE request unless it has a matching server
// transaction that is not in the Terminated state. As a consequence, this proxy will not forward any "late" non-INVITE responses."
func TestLateResponseToNonInvite(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.MESSAGE, siptest.After(33*time.Second).Respond(200))
		alice.Request(sip.MESSAGE, bobAlias).WantTimeout()
		b.pass(10 * time.Second)
		require.Equal(b, 1, b.count("proxy", "200 (MESSAGE)"))
		require.Zero(b, b.count("alice", "200 (MESSAGE)"))
	})
}

// RFC 3261 17.2.2: a handler that never answers holds a non-INVITE transaction no longer than its client waits; its ctx ends then.
func TestHandlerThatNeverAnswersANonInvite(t *testing.T) {
	var held time.Duration
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		start := time.Now()
		<-ctx.Done()
		held = time.Since(start)
		return r.Respond(sip.NewResponse(200))
	}, func(b *bench) {
		b.phone("alice", "10.0.0.2").Request(sip.OPTIONS, bobAlias).WantTimeout()
		b.pass(time.Minute)
		require.InDelta(b, 32*time.Second, held, float64(100*time.Millisecond))
		require.Zero(b, b.count("alice", "200 (OPTIONS)"))
	})
}

// RFC 3261 17.2.1: the transaction that was answered with a failure waits for its ACK until Timer H, then it is given up.
func TestTimerH(t *testing.T) {
	runBench(t, func(context.Context, *routing.Request) error { return routing.Status(404) }, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Lenient: true})
		b.net.SetLink(alice.Host(), b.proxy, siptest.Link{Drop: siptest.DropAll("ACK")})
		alice.Invite(bobAlias).WantFinal(404)
		b.pass(time.Minute)
		require.Equal(b, 11, b.count("alice", "404 (INVITE)"), "at once, after T1, 2*T1, 4*T1, then each T2 until 64*T1")
		require.EqualValues(b, 1, b.server.Stats().Transaction.Timers.H)
	})
}

// Two servers with other timers live in one process (and in one test).
func TestTimersOfTwoServers(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		fast := transaction.Timers{T1: 100 * time.Millisecond, C: 190 * time.Second, Trying: -1}
		b.serve("p1", "10.0.0.1", relayTo("sip:bob@10.0.1.1"), func(s *routing.Server) { s.Timers = fast })
		b.serve("p2", "10.0.1.1", relayTo(nobodys))
		b.phone("alice", "10.0.0.2").Invite(bobAlias).WantFinal(408)
		b.flow().Only("alice", "p1", "p2").Require(b, `
			0.000  alice  -> p1      INVITE
			0.005  p1     -> alice   100 (INVITE)
			0.005  p1     -> p2      INVITE
			0.105  p1     -> p2      INVITE
			0.110  p2     -> p1      100 (INVITE)
			32.010  p2     -> p1      408 (INVITE)
			32.015  p1     -> p2      ACK
			32.015  p1     -> alice   408 (INVITE)
			32.020  alice  -> p1      ACK`)
	})
}
