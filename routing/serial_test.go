package routing_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// serially returns a route that tries the targets one after the other and notes what came of each.
func serially(got *[]outcome, ts ...routing.Target) routing.HandlerFunc {
	return func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		for _, t := range ts {
			res := r.Forward(ctx, t)
			*got = append(*got, outcomeOf(res))
			if res.Done() {
				break
			}
		}
		return nil
	}
}

// RFC 3261 16.6: "It MAY process multiple targets serially, allowing each client transaction to complete before starting the next."
func TestSerialForking(t *testing.T) {
	var got []outcome
	runBench(t, serially(&got, targets(deskURI, cellURI, bobsURI)...), func(b *bench) {
		alice, bob := b.pair()
		desk, cell := b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5")
		desk.On(sip.INVITE, siptest.Respond(180).After(2*time.Second).Respond(486))
		cell.On(sip.INVITE, siptest.Respond(404))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		bob.WantRequest(sip.INVITE).WantACK()
		call.Bye().WantStatus(200)
		b.wait()
		require.Equal(b, []outcome{
			{status: 486, target: deskURI}, {status: 404, target: cellURI}, {status: 200, target: bobsURI, done: true},
		}, got)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> desk    INVITE
			0.010  desk   -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			2.010  desk   -> proxy   486 (INVITE)
			2.015  proxy  -> desk    ACK
			2.015  proxy  -> cell    INVITE
			2.020  cell   -> proxy   404 (INVITE)
			2.025  proxy  -> cell    ACK
			2.025  proxy  -> bob     INVITE
			2.030  bob    -> proxy   180 (INVITE)
			2.035  proxy  -> alice   180 (INVITE)
			4.030  bob    -> proxy   200 (INVITE)
			4.035  proxy  -> alice   200 (INVITE)
			4.040  alice  -> proxy   ACK
			4.045  proxy  -> bob     ACK
			4.050  alice  -> proxy   BYE
			4.055  proxy  -> bob     BYE
			4.060  bob    -> proxy   200 (BYE)
			4.065  proxy  -> alice   200 (BYE)`)
	})
}

// RFC 3261 16.7 step 6: what goes upstream in the end is the best of all, not the last.
func TestSerialForkingWithoutSuccess(t *testing.T) {
	var got []outcome
	runBench(t, serially(&got, targets(deskURI, cellURI, bobsURI)...), func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		desk, cell, bob := b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5"), b.phone("bob", "10.0.0.3")
		desk.On(sip.INVITE, siptest.Respond(486))
		cell.On(sip.INVITE, siptest.Respond(302, siptest.Header(sip.Contact, "<sip:elsewhere@10.0.0.9>")))
		bob.On(sip.INVITE, siptest.Respond(500))
		res := alice.Invite(bobAlias).WantFinal(302)
		require.Equal(b, "<sip:elsewhere@10.0.0.9>", res.Get(sip.Contact))
		b.wait()
		require.Len(b, got, 3)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> desk    INVITE
			0.010  desk   -> proxy   486 (INVITE)
			0.015  proxy  -> desk    ACK
			0.015  proxy  -> cell    INVITE
			0.020  cell   -> proxy   302 (INVITE)
			0.025  proxy  -> cell    ACK
			0.025  proxy  -> bob     INVITE
			0.030  bob    -> proxy   500 (INVITE)
			0.035  proxy  -> bob     ACK
			0.035  proxy  -> alice   302 (INVITE)
			0.040  alice  -> proxy   ACK`)
	})
}

// A target that never says anything is left after NoAnswer, long before Timer B; its INVITE goes on being repeated until then, for it may
// have arrived, and a CANCEL has to wait for a provisional response (RFC 3261 9.1).
func TestNoAnswer(t *testing.T) {
	dead := routing.To(nobodys)
	dead.NoAnswer = 3 * time.Second
	var got []outcome
	runBench(t, serially(&got, dead, routing.To(bobsURI)), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Second))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		b.pass(time.Minute)
		call.Bye().WantStatus(200)
		b.wait()
		require.Equal(b, []outcome{
			{status: 408, err: routing.ErrTimeout, local: true, target: nobodys}, {status: 200, target: bobsURI, done: true},
		}, got)
		b.ladder(`
			0.000  alice  -> proxy            INVITE
			0.005  proxy  -x 10.0.0.99:5060   INVITE
			0.205  proxy  -> alice            100 (INVITE)
			0.505  proxy  -x 10.0.0.99:5060   INVITE
			1.505  proxy  -x 10.0.0.99:5060   INVITE
			3.005  proxy  -> bob              INVITE
			3.010  bob    -> proxy            180 (INVITE)
			3.015  proxy  -> alice            180 (INVITE)
			3.505  proxy  -x 10.0.0.99:5060   INVITE
			4.010  bob    -> proxy            200 (INVITE)
			4.015  proxy  -> alice            200 (INVITE)
			4.020  alice  -> proxy            ACK
			4.025  proxy  -> bob              ACK
			7.505  proxy  -x 10.0.0.99:5060   INVITE
			15.505  proxy  -x 10.0.0.99:5060   INVITE
			31.505  proxy  -x 10.0.0.99:5060   INVITE
			64.020  alice  -> proxy            BYE
			64.025  proxy  -> bob              BYE
			64.030  bob    -> proxy            200 (BYE)
			64.035  proxy  -> alice            200 (BYE)`)
	})
}

// NoAnswer is about a target that says nothing at all: one that rings is heard, and so is one that only says 100.
func TestNoAnswerDoesNotHurryTheLiving(t *testing.T) {
	for _, status := range []int{100, 180} {
		target := routing.To(bobsURI)
		target.NoAnswer = time.Second
		var got []outcome
		runBench(t, serially(&got, target), func(b *bench) {
			alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
			bob.On(sip.INVITE, siptest.Respond(status).After(5*time.Second).Respond(200))
			alice.Invite(bobAlias).WantAnswer()
			b.wait()
			require.Equal(b, 200, got[0].status)
		})
	}
}

// Timeout bounds a branch however it rings: it is cancelled, with a Reason (RFC 3326), and its 487 is no candidate any more.
func TestTimeoutOfATarget(t *testing.T) {
	desk := routing.To(deskURI)
	desk.Timeout = 3 * time.Second
	var got []outcome
	runBench(t, serially(&got, desk, routing.To(bobsURI)), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		desk.On(sip.INVITE, siptest.Answer(time.Hour))
		bob.On(sip.INVITE, siptest.After(time.Second).Respond(404))
		alice.Invite(bobAlias).WantFinal(404)
		require.Contains(b, desk.WantRequest(sip.INVITE).WantCancel().Get(sip.Reason), "cause=408")
		b.wait()
		require.Equal(b, []outcome{
			{status: 408, err: routing.ErrTimeout, local: true, target: deskURI}, {status: 404, target: bobsURI},
		}, got)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> desk    INVITE
			0.010  desk   -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			3.005  proxy  -> desk    CANCEL
			3.005  proxy  -> bob     INVITE
			3.010  desk   -> proxy   200 (CANCEL)
			3.010  desk   -> proxy   487 (INVITE)
			3.015  proxy  -> desk    ACK
			3.505  proxy  -> bob     INVITE
			4.010  bob    -> proxy   404 (INVITE)
			4.015  proxy  -> bob     ACK
			4.015  proxy  -> alice   404 (INVITE)
			4.020  alice  -> proxy   ACK`)
	})
}

// The same for a request that is no INVITE: nothing is cancelled (RFC 3261 9.1 wants no CANCEL for others), the handler goes on.
func TestTimeoutOfATargetOfANonInvite(t *testing.T) {
	desk := routing.To(deskURI)
	desk.Timeout = time.Second
	var got []outcome
	runBench(t, serially(&got, desk, routing.To(bobsURI)), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		desk.On(sip.MESSAGE, siptest.After(2*time.Second).Respond(200)) // too late: the caller has an answer
		bob.On(sip.MESSAGE, siptest.Respond(202))
		exchange := alice.Request(sip.MESSAGE, bobAlias)
		exchange.WantStatus(202)
		b.pass(time.Minute)
		require.Len(b, exchange.Responses(), 1)
		require.Equal(b, 408, got[0].status)
	})
}

// Without limits of its own a dead target costs Timer B (RFC 3261 17.1.1.2), and then the next one has its turn.
func TestTimerBMovesOn(t *testing.T) {
	var got []outcome
	runBench(t, serially(&got, targets(nobodys, bobsURI)...), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Second))
		alice.Invite(bobAlias).WantAnswer()
		b.wait()
		require.Equal(b, []outcome{
			{status: 408, err: routing.ErrTimeout, local: true, target: nobodys}, {status: 200, target: bobsURI, done: true},
		}, got)
		require.Equal(b, 32*time.Second+5*time.Millisecond, b.flow().Only("proxy", "bob").Events()[0].Time.Truncate(time.Millisecond))
	})
}

// RFC 3261 16.9: "If the transport layer notifies a proxy of an error when it tries to forward a request (see Section 18.4), the proxy MUST
// behave as if the forwarded request received a 503 (Service Unavailable) response."
func TestTransportErrorMovesOn(t *testing.T) {
	var got []outcome
	runBench(t, serially(&got, targets(deskURI+";transport=tcp", bobsURI)...), func(b *bench) {
		alice, bob, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(200))
		alice.Invite(bobAlias).WantAnswer()
		bob.WantRequest(sip.INVITE).WantACK()
		b.wait()
		require.Equal(b, 503, got[0].status)
		require.ErrorIs(b, got[0].err, routing.ErrUnreachable)
		require.True(b, got[0].local)
		require.EqualValues(b, 1, b.server.Stats().BranchErrors)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.015  proxy  -> bob     INVITE
			0.020  bob    -> proxy   200 (INVITE)
			0.025  proxy  -> alice   200 (INVITE)
			0.030  alice  -> proxy   ACK
			0.035  proxy  -> bob     ACK`)
	})
}

// A handler's own deadline ends its waiting: the branches are given up, and the handler goes on with what it likes.
func TestDeadlineOfAHandler(t *testing.T) {
	var got []outcome
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		got = append(got, outcomeOf(r.Forward(short, targets(deskURI, nobodys)...)))
		got = append(got, outcomeOf(r.Forward(ctx, targets(bobsURI)...)))
		return nil
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		desk.On(sip.INVITE, siptest.Answer(time.Hour))
		bob.On(sip.INVITE, siptest.Answer(time.Second))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		call.Bye().WantStatus(200)
		b.wait()
		require.Equal(b, []outcome{
			{status: 408, err: context.DeadlineExceeded, local: true}, {status: 200, done: true, target: bobsURI},
		}, got)
		b.flow().Only("alice", "proxy", "bob", "desk").Require(b, `
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> desk    INVITE
			0.010  desk   -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			2.005  proxy  -> desk    CANCEL
			2.005  proxy  -> bob     INVITE
			2.010  desk   -> proxy   200 (CANCEL)
			2.010  desk   -> proxy   487 (INVITE)
			2.010  bob    -> proxy   180 (INVITE)
			2.015  proxy  -> desk    ACK
			2.015  proxy  -> alice   180 (INVITE)
			3.010  bob    -> proxy   200 (INVITE)
			3.015  proxy  -> alice   200 (INVITE)
			3.020  alice  -> proxy   ACK
			3.020  alice  -> proxy   BYE
			3.025  proxy  -> bob     ACK
			3.025  proxy  -> bob     BYE
			3.030  bob    -> proxy   200 (BYE)
			3.035  proxy  -> alice   200 (BYE)`)
	})
}

// What is tried after everything was tried, or answered, says so and sends nothing.
func TestForwardAfterTheEnd(t *testing.T) {
	var got []outcome
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		r.Forward(ctx, targets(bobsURI)...)
		got = append(got, outcomeOf(r.Forward(ctx, targets(deskURI)...)))
		if err := r.Respond(sip.NewResponse(404)); err != routing.ErrAnswered {
			t.Errorf("Respond: %v", err)
		}
		return routing.Status(500) // too late as well
	}, func(b *bench) {
		alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		b.phone("desk", "10.0.0.4")
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
		b.pass(time.Second)
		require.Equal(b, []outcome{{status: 200, err: routing.ErrAnswered, local: true, done: true}}, got)
		b.ladder(`
			0.000  alice  -> proxy   MESSAGE
			0.005  proxy  -> bob     MESSAGE
			0.010  bob    -> proxy   200 (MESSAGE)
			0.015  proxy  -> alice   200 (MESSAGE)`)
	})
}

// The failure route is the next statement: a handler that answers by itself takes the place of what its targets said.
func TestAnswerAfterFailures(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if res := r.Forward(ctx, targets(bobsURI)...); res.Status == 404 {
			return routing.Status(sip.StatusTemporarilyUnavailable)
		}
		return nil
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(404))
		alice.Invite(bobAlias).WantFinal(480)
	})
}

// MaxBranches bounds the branches of one request over its life.
func TestMaxBranches(t *testing.T) {
	var got []outcome
	runBench(t, serially(&got, targets(deskURI, cellURI, bobsURI, deskURI)...), func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		for name, addr := range map[string]string{"bob": "10.0.0.3", "desk": "10.0.0.4", "cell": "10.0.0.5"} {
			b.phone(name, addr).On(sip.INVITE, siptest.Respond(486))
		}
		alice.Invite(bobAlias).WantFinal(486)
		b.pass(time.Second)
		require.Equal(b, []outcome{
			{status: 486, target: deskURI}, {status: 486, target: cellURI},
			{status: 440, err: routing.Status(440), local: true, done: true},
		}, got)
		require.Zero(b, b.count("bob", "INVITE"))
		require.EqualValues(b, 1, b.server.Stats().BreadthExceeded)
	}, func(s *routing.Server) { s.MaxBranches = 2 })
}

// A dial that nobody answers is part of the time that a target has: NoAnswer and Timeout count from Forward, not from the connection.
func TestNoAnswerCoversTheDial(t *testing.T) {
	for name, set := range map[string]func(*routing.Target){
		"NoAnswer": func(t *routing.Target) { t.NoAnswer = time.Second },
		"Timeout":  func(t *routing.Target) { t.Timeout = time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			hole := routing.To("sip:desk@10.0.0.99;transport=tcp")
			set(&hole)
			var got []outcome
			runBench(t, serially(&got, hole, routing.To(bobsURI)), func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
				bob.On(sip.INVITE, siptest.Respond(200))
				alice.Invite(bobAlias).WantAnswer()
				b.wait()
				require.Equal(b, 1005*time.Millisecond, b.flow().Only("proxy", "bob").Events()[0].Time.Truncate(time.Millisecond), got)
			})
		})
	}
}

// A branch that was given up before its connection stood is not sent at all: nobody waits for it.
func TestGivenUpBranchIsNotSent(t *testing.T) {
	var got []outcome
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		got = append(got, outcomeOf(r.Forward(short, targets(deskURI+";transport=tcp", cellURI)...)))
		got = append(got, outcomeOf(r.Forward(ctx, targets(bobsURI)...)))
		return nil
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		desk, cell := b.phone("desk", "10.0.0.4", siptest.PhoneOptions{Transport: "TCP"}), b.phone("cell", "10.0.0.5")
		cell.On(sip.MESSAGE, siptest.Ignore())
		bob.On(sip.MESSAGE, siptest.Respond(202))
		b.net.SetLink(b.proxy, desk.Host(), siptest.Link{Delay: 3 * time.Second})
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(202)
		b.pass(10 * time.Second)
		require.Len(b, got, 2)
		require.Equal(b, 408, got[0].status)
		require.Zero(b, b.count("desk", "MESSAGE"))
	})
}

// A ctx that has ended before Forward begins leaves nothing to be sent.
func TestForwardWithAnEndedContext(t *testing.T) {
	var got []outcome
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		got = append(got, outcomeOf(r.Forward(ended, routing.To(deskURI))))
		for res := range r.Fork(ended, routing.To(deskURI)) {
			got = append(got, outcomeOf(res.Response))
		}
		r.Forward(ctx, routing.To(bobsURI))
		return nil
	}, func(b *bench) {
		alice, bob, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(486))
		alice.Invite(bobAlias).WantFinal(486)
		b.wait()
		require.Equal(b, 408, got[0].status)
		require.ErrorIs(b, got[0].err, context.Canceled)
		require.Zero(b, b.count("desk", "INVITE"))
	})
}
