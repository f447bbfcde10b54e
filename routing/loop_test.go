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

// RFC 3261 16.3 step 4: "If the request contains a Via header field with a sent-by value that equals a value placed into previous requests by
// the proxy, the request has been forwarded by this element before. […] If the parameters match, the request has looped." RFC 5393 4.2 wants
// 482 for it.
func TestLoopIsDetected(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay(routing.Via("sip:10.0.0.1")) }, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(482)
		alice.Invite(bobAlias).WantFinal(482)
		require.EqualValues(b, 2, b.server.Stats().Loops)
		b.ladder(`
			0.000  alice  -> proxy   MESSAGE
			0.005  proxy  -> proxy   MESSAGE
			0.010  proxy  -> proxy   482 (MESSAGE)
			0.015  proxy  -> alice   482 (MESSAGE)
			0.020  alice  -> proxy   INVITE
			0.025  proxy  -> proxy   INVITE
			0.030  proxy  -> proxy   482 (INVITE)
			0.035  proxy  -> proxy   ACK
			0.035  proxy  -> alice   482 (INVITE)
			0.040  alice  -> proxy   ACK`)
	})
}

// The same: "If they differ, the request is spiraling, and processing continues." A second time with the same Request-URI is one too many.
func TestSpiralThatBecomesALoop(t *testing.T) {
	next := map[string]string{"bob": "sip:desk@10.0.0.1", "desk": "sip:cell@10.0.0.1", "cell": "sip:desk@10.0.0.1"}
	runBench(t, func(_ context.Context, r *routing.Request) error { return r.Relay(routing.To(next[r.URI().User])) }, func(b *bench) {
		b.phone("alice", "10.0.0.2").Request(sip.MESSAGE, bobAlias).WantStatus(482)
		b.flow().With("Request-URI").Require(b, `
			0.000  alice  -> proxy   MESSAGE  sip:bob@example.org
			0.005  proxy  -> proxy   MESSAGE  sip:desk@10.0.0.1
			0.010  proxy  -> proxy   MESSAGE  sip:cell@10.0.0.1
			0.015  proxy  -> proxy   MESSAGE  sip:desk@10.0.0.1
			0.020  proxy  -> proxy   482 (MESSAGE)
			0.025  proxy  -> proxy   482 (MESSAGE)
			0.030  proxy  -> proxy   482 (MESSAGE)
			0.035  proxy  -> alice   482 (MESSAGE)`)
	})
}

// RFC 3261 16.6 step 8: "The value placed in this part of the branch parameter SHOULD reflect all of those fields (including any Route,
// Proxy-Require and Proxy-Authorization header fields). This is to ensure that if the request is routed back to the proxy and one of those
// fields changes, it is treated as a spiral and not a loop".
func TestSpiralByAnotherField(t *testing.T) {
	for name, c := range map[string]struct {
		came siptest.Edit
		edit func(*sip.Patch)
	}{
		"Route":               {siptest.Header(sip.Route, "<sip:10.0.0.1;lr>, <sip:10.0.0.1;lr>"), nil},
		"Proxy-Authorization": {siptest.Header(sip.ProxyAuthorization, "Digest x=y"), func(p *sip.Patch) { p.Remove(sip.ProxyAuthorization) }},
		"Proxy-Require":       {siptest.Header(sip.ProxyRequire, "privacy"), func(p *sip.Patch) { p.Remove(sip.ProxyRequire) }},
		"To tag":              {siptest.Header(sip.To, "<sip:bob@example.org>"), func(p *sip.Patch) { p.Set(sip.To, "<sip:bob@example.org>;tag=b") }},
		"CSeq number":         {siptest.Header(sip.CSeq, "1 MESSAGE"), func(p *sip.Patch) { p.Set(sip.CSeq, "2 MESSAGE") }},
	} {
		t.Run(name, func(t *testing.T) {
			visits := 0
			runBench(t, func(_ context.Context, r *routing.Request) error {
				if visits++; visits == 2 {
					return r.Relay(routing.Via(bobsURI))
				}
				t := routing.Via("sip:10.0.0.1")
				t.Edit = c.edit
				return r.Relay(t)
			}, func(b *bench) {
				lenient := siptest.PhoneOptions{Lenient: true}
				alice, bob := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
				alice.Request(sip.MESSAGE, bobAlias, c.came)
				bob.WantRequest(sip.MESSAGE)
				b.pass(time.Second)
				require.Zero(b, b.server.Stats().Loops)
			}, func(s *routing.Server) { s.ProxyRequire = []string{"privacy"} })
		})
	}
}

// What others write into a Via in our name is no loop: nobody can make the server refuse a request of somebody else that way, for the
// second part of the branch is keyed.
func TestForgedViaIsNoLoop(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, _ := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Lenient: true}), b.phone("bob", "10.0.0.3")
		exchange := alice.Request(sip.MESSAGE, bobAlias, siptest.AddHeader(sip.Via, "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx.y"),
			siptest.AddHeader(sip.Via, "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK"), siptest.AddHeader(sip.Via, "SIP/2.0/UDP 10.0.0.1:5060"))
		exchange.WantStatus(200)
		require.Zero(b, b.server.Stats().Loops)
	})
}

// One branch of a fork that loops fails alone.
func TestLoopInOneBranch(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		r.Forward(ctx, routing.Via("sip:10.0.0.1"), routing.To(bobsURI))
		return nil
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(200))
		alice.Invite(bobAlias).WantAnswer()
		require.EqualValues(b, 1, b.server.Stats().Loops)
	})
}

// RFC 5393 section 1: two proxies that fork to each other turn one request into 2^70. Loop detection ends it where Request-URIs come back.
func TestTwoServersThatForkToEachOther(t *testing.T) {
	for _, method := range []sip.Method{sip.MESSAGE, sip.INVITE} {
		runNetwork(t, siptest.Options{}, func(b *bench) {
			b.serve("p1", "10.0.0.1", relayTo("sip:a@10.0.1.1", "sip:b@10.0.1.1"))
			b.serve("p2", "10.0.1.1", relayTo("sip:a@10.0.0.1", "sip:b@10.0.0.1"))
			alice := b.phone("alice", "10.0.0.2")
			if method == sip.INVITE {
				alice.Invite(bobAlias).WantFinal(482)
			} else {
				alice.Request(method, bobAlias).WantStatus(482)
			}
			b.pass(time.Minute)
			sent := distinct(b.flow().Filter(func(e siptest.Event) bool { return e.What() == string(method) }), branchOf)
			require.Less(b, len(sent), 50)
			b.Logf("%s: %d requests", method, len(sent))
		})
	}
}

// RFC 5393 section 5: Max-Breadth bounds what loop detection cannot see, for here each Request-URI is a new one.
func TestTwoServersThatForkToEachOtherWithNewURIs(t *testing.T) {
	fork := func(to string) routing.HandlerFunc {
		return func(_ context.Context, r *routing.Request) error {
			user := r.URI().User
			return r.Relay(targets("sip:"+user+"0@"+to, "sip:"+user+"1@"+to)...)
		}
	}
	for _, method := range []sip.Method{sip.MESSAGE, sip.INVITE} {
		runNetwork(t, siptest.Options{}, func(b *bench) {
			b.serve("p1", "10.0.0.1", fork("10.0.1.1"))
			b.serve("p2", "10.0.1.1", fork("10.0.0.1"))
			alice := b.phone("alice", "10.0.0.2")
			if method == sip.INVITE {
				alice.Invite(bobAlias).WantFinal(440)
			} else {
				alice.Request(method, bobAlias).WantStatus(440)
			}
			b.pass(time.Minute)
			sent := distinct(b.flow().Filter(func(e siptest.Event) bool { return e.What() == string(method) }), branchOf)
			require.Less(b, len(sent), 130, "60 leaves of a binary tree")
			b.Logf("%s: %d requests", method, len(sent))
		})
	}
}

// RFC 3261 16.3 step 3: Max-Forwards ends what nothing else does: a chain that never comes back to the same Request-URI and never forks.
func TestEndlessSpiralEndsByMaxForwards(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		return r.Relay(routing.To("sip:" + r.URI().User + "x@10.0.0.1"))
	}, func(b *bench) {
		b.phone("alice", "10.0.0.2").Request(sip.MESSAGE, bobAlias).WantStatus(483)
		require.EqualValues(b, 70, b.server.Stats().RequestsForwarded)
	})
}
