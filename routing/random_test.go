package routing_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// RFC 3261 16.7 step 6: "a stateful proxy will forward exactly one final response to a non-INVITE request, and either exactly one non-2xx
// response or one or more 2xx responses to an INVITE request." Here for calls, targets, handlers and moments of giving up drawn at random,
// with what else follows: no 2xx of a target is lost, nobody rings on for a call that is over, and what was declined everywhere stays so.
func TestRandomForks(t *testing.T) {
	for seed := range uint64(300) {
		c := drawCase(rand.New(rand.NewPCG(seed, 11)))
		net := siptest.Options{Seed: seed}
		if seed%2 == 1 {
			net.Link = siptest.Link{Loss: 0.1, Duplicate: 0.05, Reorder: 0.1, Jitter: 3 * time.Millisecond}
		}
		ok := t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			runNetwork(t, net, func(b *bench) {
				b.serve("proxy", "10.0.0.1", c.route)
				c.run(b)
			})
		})
		if !ok {
			t.Fatalf("seed %d: %+v", seed, c)
		}
	}
}

// forkCase is a call drawn at random.
type forkCase struct {
	mode   string
	phones []phoneCase
	cancel time.Duration // 0: not
	groups []int         // sizes, for the handlers that try in turn
}

type phoneCase struct {
	rings, answers time.Duration // 0: not, and at once
	status         int           // 0: never
	deaf           bool          // to CANCEL
	tcp            bool
}

func drawCase(r *rand.Rand) forkCase {
	ms := func(n int) time.Duration { return time.Duration(r.IntN(n)) * time.Millisecond }
	c := forkCase{mode: []string{"relay", "forward", "groups", "fork", "break"}[r.IntN(5)]}
	for range 1 + r.IntN(4) {
		p := phoneCase{rings: ms(100), answers: ms(100), status: []int{200, 200, 180, 302, 404, 407, 486, 500, 503, 603}[r.IntN(10)]}
		p.deaf, p.tcp = r.IntN(5) == 0, r.IntN(4) == 0
		if r.IntN(4) == 0 {
			p.rings = 0
		}
		if p.status == 180 {
			p.status, p.rings = 0, max(p.rings, time.Millisecond)
		}
		c.phones = append(c.phones, p)
	}
	for left := len(c.phones); left > 0; {
		n := 1 + r.IntN(left)
		c.groups = append(c.groups, n)
		left -= n
	}
	if r.IntN(2) == 0 {
		c.cancel = time.Millisecond + ms(250)
	}
	for _, p := range c.phones {
		if p.status == 0 && c.cancel == 0 { // somebody has to end it
			c.cancel = 300 * time.Millisecond
		}
	}
	return c
}

func (c forkCase) targets() (ts []routing.Target) {
	for i, p := range c.phones {
		uri := fmt.Sprintf("sip:p%d@10.0.1.%d", i, i+1)
		if p.tcp {
			uri += ";transport=tcp"
		}
		ts = append(ts, routing.To(uri))
	}
	return ts
}

func (c forkCase) route(ctx context.Context, r *routing.Request) error {
	if r.InDialog() {
		return r.FollowRoute()
	}
	r.RecordRoute()
	ts := c.targets()
	switch c.mode {
	case "relay":
		return r.Relay(ts...)
	case "forward":
		r.Forward(ctx, ts...)
	case "groups":
		for _, n := range c.groups {
			if r.Forward(ctx, ts[:n]...).Done() {
				break
			}
			ts = ts[n:]
		}
	case "fork":
		for res := range r.Fork(ctx, ts...) {
			res.Edit().Add("X-Seen", "1")
		}
	case "break":
		for range r.Fork(ctx, ts...) {
			break
		}
	}
	return nil
}

func (c forkCase) run(b *bench) {
	alice := b.phone("alice", "10.0.0.2")
	var phones []*siptest.Phone
	for i, p := range c.phones {
		phone := b.phone(fmt.Sprintf("p%d", i), fmt.Sprintf("10.0.1.%d", i+1), siptest.PhoneOptions{Listen: []string{"UDP", "TCP"}})
		script := siptest.Script{}
		if p.rings > 0 {
			script = script.After(p.rings).Respond(180)
		}
		if p.status > 0 {
			script = script.After(p.answers).Respond(p.status)
		}
		phone.On(sip.INVITE, script)
		if p.deaf {
			phone.On(sip.CANCEL, siptest.Respond(200))
		}
		phones = append(phones, phone)
	}
	call := alice.Invite(bobAlias)
	if c.cancel > 0 {
		time.AfterFunc(c.cancel, func() { call.Cancel() })
	}
	b.pass(2 * time.Minute)

	answers, failures := map[string]bool{}, 0
	for _, m := range call.Responses() {
		switch {
		case m.Status() >= 300:
			failures++
			require.Empty(b, answers, "a failure after a 2xx")
		case m.Status() >= 200:
			require.Zero(b, failures, "a 2xx after a failure")
			answers[m.ToTag()] = true
			leg := call.Leg(m)
			leg.Ack()
			leg.Bye().WantStatus(200)
		}
	}
	require.Equal(b, len(answers) == 0, failures == 1, "one non-2xx or one or more 2xx\n%s", b.flow())
	sent, begun := map[string]bool{}, map[string]bool{}
	over := time.Duration(-1)
	for _, e := range b.flow().Events() {
		tag := ""
		if m, err := sip.Parse(e.Data); err == nil {
			tag = m.ToTag()
		}
		switch {
		case e.To == "proxy" && e.From != "alice" && e.What() == "200 (INVITE)":
			sent[tag] = true
		case e.To == "alice" && over < 0 && len(e.What()) == len("200 (INVITE)") && e.What()[0] >= '2' && e.What()[3:] == " (INVITE)":
			over = e.Time
		case e.What() == "INVITE" && e.From == "proxy" && !begun[branchOf(e)]:
			begun[branchOf(e)] = true
			require.True(b, over < 0 || e.Time <= over, "an INVITE after the end\n%s", b.flow())
		}
	}
	require.Equal(b, sent, answers, "every 2xx of a target reaches the caller\n%s", b.flow())
	for i, p := range phones {
		if b.count(p.String(), "INVITE") == 0 || c.phones[i].deaf && c.phones[i].status == 0 {
			continue
		}
		require.GreaterOrEqual(b, p.WantRequest(sip.INVITE).Status(), 200, "%s rings on\n%s", p, b.flow())
	}
}
