package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/siptest/sipgophone"
)

// sipgoPhone starts a user agent of sipgo that rings for a second and answers.
func (b *bench) sipgoPhone(name, addr string, answer func(*sipgo.DialogServerSession)) *sipgophone.Phone {
	b.Helper()
	return sipgophone.NewPhone(b.T, b.net.Host(name, addr), "sip:"+name+"@example.org", sipgophone.Options{
		Proxy: b.host.AddrPort(5060), Answer: answer,
	})
}

// Two user agents of another author call each other over links that lose, repeat and reorder.
func TestSipgoPhonesOverBadLinks(t *testing.T) {
	bad := siptest.Link{Loss: 0.1, Duplicate: 0.05, Reorder: 0.1, Jitter: 3 * time.Millisecond}
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			runBench(t, siptest.Options{Seed: seed, Link: bad}, func(b *bench) {
				ctx := context.Background()
				alice := b.sipgoPhone("alice", "10.0.0.2", sipgophone.AnswerAfter(time.Second))
				bob := b.sipgoPhone("bob", "10.0.0.3", sipgophone.AnswerAfter(time.Second))
				for _, p := range []*sipgophone.Phone{alice, bob} {
					res, err := p.Register(ctx, time.Hour)
					require.NoError(b, err, b.net.Ladder())
					require.EqualValues(b, 200, res.StatusCode)
				}
				for _, pair := range [][2]*sipgophone.Phone{{alice, bob}, {bob, alice}} {
					caller, callee := pair[0], pair[1]
					call, err := caller.Call(ctx, "sip:"+callee.UA.Name()+"@example.org")
					require.NoError(b, err, b.net.Ladder())
					answered, err := callee.WaitCall(ctx)
					require.NoError(b, err, b.net.Ladder())
					time.Sleep(time.Minute)
					if caller == alice {
						require.NoError(b, call.Hangup(ctx), b.net.Ladder())
						<-answered.Ended()
					} else {
						require.NoError(b, answered.Hangup(ctx), b.net.Ladder())
						<-call.Ended()
					}
				}
			})
		})
	}
}

func TestSipgoRejectAndCancel(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		ctx := context.Background()
		alice := b.sipgoPhone("alice", "10.0.0.2", nil)
		busy := b.sipgoPhone("busy", "10.0.0.3", sipgophone.RejectAfter(time.Second, 486, "Busy Here"))
		slow := b.sipgoPhone("slow", "10.0.0.4", sipgophone.AnswerAfter(time.Hour))
		for _, p := range []*sipgophone.Phone{alice, busy, slow} {
			_, err := p.Register(ctx, time.Hour)
			require.NoError(b, err)
		}
		var refused *sipgo.ErrDialogResponse
		_, err := alice.Call(ctx, "sip:busy@example.org")
		require.ErrorAs(b, err, &refused)
		require.EqualValues(b, 486, refused.Res.StatusCode)
		_, err = alice.Call(ctx, "sip:nobody@example.org")
		require.ErrorAs(b, err, &refused)
		require.EqualValues(b, 404, refused.Res.StatusCode)
		short, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_, err = alice.Call(short, "sip:slow@example.org")
		require.ErrorIs(b, err, context.DeadlineExceeded)
		b.settle()
		b.net.Ladder().Only("slow").Without("REGISTER").Require(b, `
			 1.065  server  -> slow     INVITE
			 1.070  slow    -> server   180 (INVITE)
			11.065  server  -> slow     CANCEL
			11.070  slow    -> server   200 (CANCEL)
			11.070  slow    -> server   487 (INVITE)
			11.075  server  -> slow     ACK`)
	})
}

// A sipgo phone and a scripted one, which judges what the server does to sipgo's messages.
func TestSipgoAndScriptedPhone(t *testing.T) {
	for _, transport := range []string{"UDP", "TCP"} {
		runBench(t, siptest.Options{}, func(b *bench) {
			ctx := context.Background()
			alice := b.sipgoPhone("alice", "10.0.0.2", nil)
			bob := b.phone("bob", "10.0.0.3", transport)
			_, err := alice.Register(ctx, time.Hour)
			require.NoError(b, err)
			register(bob)

			bob.On(sip.INVITE, siptest.Answer(time.Second))
			call, err := alice.Call(ctx, "sip:bob@example.org")
			require.NoError(b, err)
			in := bob.WantRequest(sip.INVITE)
			in.WantACK()
			in.Dialog().Bye().WantStatus(200)
			<-call.Ended()

			back := bob.Invite("sip:alice@example.org")
			back.WantAnswer()
			answered, err := alice.WaitCall(ctx)
			require.NoError(b, err)
			require.NoError(b, answered.Hangup(ctx))
			require.True(b, back.Dialog().Ended())
		})
	}
}
