package hostile_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// A server that is shut down in the middle of everything has ended when Shutdown returns: no goroutine, no socket, no
// handler is left, and what its peers still send meets nobody.
func TestShutdownUnderAttack(t *testing.T) {
	const each = 500
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(b *bench) {
			next := b.server.Handler
			b.server.Handler = routing.HandlerFunc(func(ctx context.Context, r *routing.Request) error {
				if r.URI().User != "wait" {
					return next.ServeSIP(ctx, r)
				}
				if res := r.Forward(ctx, routing.To("sip:"+deadHost)); res.Done() {
					return nil
				}
				<-ctx.Done() // a handler that has found nobody and waits
				return ctx.Err()
			})
		})
		b.call()
		a := b.attacker(5060)
		for i := range each {
			a.send(message("INVITE", "sip:dead@example.org", "10.0.0.66", i))
			a.send(message("INVITE", "sip:wait@example.org", "10.0.0.66", each+i))
			a.send(message("MESSAGE", "sip:wait@example.org", "10.0.0.66", 2*each+i))
		}
		conns := b.dial(100)
		for i, c := range conns {
			_, err := fmt.Fprint(c, message("INVITE", "sip:wait@example.org", "10.0.0.66", 3*each+i), "INVITE sip:bob@exam")
			require.NoError(t, err)
		}
		b.bob.On(sip.INVITE, siptest.Respond(180))
		b.alice.Invite(b.bob.AOR()).WantStatus(180)
		time.Sleep(40 * time.Second) // some wait for their branch, some behind it
		for i := range each {
			a.send(message("INVITE", "sip:wait@example.org", "10.0.0.66", 4*each+i))
		}
		time.Sleep(time.Second)
		s := b.server.Stats()
		require.GreaterOrEqual(t, int(s.Handlers), 2*each)
		require.Positive(t, live(s))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, b.server.Shutdown(ctx))
		synctest.Wait() // a goroutine that has said that it ends is still on its way out
		require.Equal(t, gauges{}, gaugesOf(b.server))
		for i := range each {
			a.send(message("OPTIONS", "sip:example.org", "10.0.0.66", 5*each+i))
		}
		for _, c := range conns {
			b.requireClosed(c)
		}
		before := a.got(200)
		b.settle()
		require.Equal(t, before, a.got(200))
		require.Equal(t, gauges{}, gaugesOf(b.server))
		require.NoError(t, b.server.Shutdown(ctx), "once more")
		b.endAttack()
	})
}
