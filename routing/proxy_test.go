package routing_test

import (
	"context"
	"testing"
	"time"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

func TestTrapezoid(t *testing.T) {
	route := func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		return r.Relay(routing.To("sip:bob@10.0.0.3"))
	}
	runBench(t, route, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(2*time.Second))
		call := alice.Invite("sip:bob@example.org")
		call.WantFinal(200)
		call.Ack()
		time.Sleep(time.Second)
		call.Bye()
		b.net.Ladder().Require(t, ``)
	})
}
