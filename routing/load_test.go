package routing_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// mixedRoute is a bit of everything that a handler does; the called user says what.
func mixedRoute(ctx context.Context, r *routing.Request) error {
	if r.InDialog() {
		return r.FollowRoute()
	}
	if r.Method() == sip.INVITE {
		r.RecordRoute()
	}
	bob, desk, cell, busy, dead := routing.To(bobsURI), routing.To(deskURI), routing.To(cellURI), routing.To("sip:busy@10.0.0.6"), routing.To(nobodys)
	switch r.URI().User {
	case "relay":
		return r.Relay(bob)
	case "fork":
		return r.Relay(bob, desk, busy)
	case "serial":
		dead.NoAnswer, desk.Timeout = 2*time.Second, 4*time.Second
		for _, t := range []routing.Target{busy, dead, desk, cell} {
			if r.Forward(ctx, t).Done() {
				return nil
			}
		}
		return nil
	case "recurse":
		for res := range r.Fork(ctx, routing.To("sip:moved@10.0.0.7"), busy) {
			res.Edit().Add("X-Seen", "1")
			recurse(res)
		}
		return nil
	case "tcp":
		return r.Relay(routing.To("sip:desk@10.0.0.4;transport=tcp"), busy)
	case "deadline":
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		r.Forward(short, desk, dead)
		return routing.Status(480)
	case "slow":
		time.Sleep(700 * time.Millisecond)
		return r.Relay(cell)
	case "dead":
		return r.Relay(dead)
	case "refuse":
		return routing.Status(403)
	case "drop":
		return routing.ErrDrop
	case "panic":
		panic("a test")
	}
	return r.Respond(sip.NewResponse(486))
}

// A thousand calls and other requests of all kinds at once, over a network that loses, repeats and reorders: each ends as it should, for
// everybody the same, and nothing is left of any: no transaction, and no goroutine, or the bubble would not end. Every message that was received is in one counter.
func TestMixedCallsUnderFaults(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			faults := siptest.Link{Loss: 0.08, Duplicate: 0.05, Reorder: 0.08, Jitter: 3 * time.Millisecond}
			runNetwork(t, siptest.Options{Seed: seed, Link: faults, Record: -1}, func(b *bench) {
				s := b.serve("proxy", "10.0.0.1", mixedRoute)
				l := newLoad(b, seed)
				l.run(250)
				b.pass(10 * time.Minute)
				l.check()
				stats := s.Stats()
				in := stats.Transport.UDP.In + stats.Transport.Stream.In
				require.EqualValues(b, in, stats.RequestsReceived+stats.ResponsesReceived+stats.Keepalives+stats.InvalidAnswered+stats.InvalidDropped)
				require.Zero(b, stats.InvalidAnswered+stats.InvalidDropped+stats.BadEdits+stats.HandlerErrors)
				b.Logf("%d requests, %d responses received; %v", stats.RequestsReceived, stats.ResponsesReceived, l.finals)
			})
		})
	}
}

// load is a lot of calls. Phones of this test keep to the rules of retransmission, so that what is lost is mended.
type load struct {
	*bench
	rand    *rand.Rand
	callers []*siptest.Phone

	mu     sync.Mutex
	finals map[string]int // by user and status
	ended  int
	faults []string
}

func newLoad(b *bench, seed uint64) *load {
	l := &load{bench: b, rand: rand.New(rand.NewPCG(seed, 7)), finals: map[string]int{}}
	both := siptest.PhoneOptions{Listen: []string{"UDP", "TCP"}}
	scripts := map[string]siptest.Script{
		"bob":   siptest.After(300 * time.Millisecond).Respond(180).After(2 * time.Second).Respond(200),
		"desk":  siptest.Respond(180).After(2500 * time.Millisecond).Respond(200),
		"cell":  siptest.Respond(100).After(time.Second).Respond(200),
		"busy":  siptest.Respond(486),
		"moved": siptest.Respond(302, siptest.Header(sip.Contact, "<"+cellURI+">, <"+bobsURI+">")),
	}
	for i, name := range []string{"bob", "desk", "cell", "busy", "moved"} {
		p := b.phone(name, fmt.Sprintf("10.0.0.%d", 3+i), both)
		p.On(sip.INVITE, scripts[name])
		p.On(sip.MESSAGE, siptest.After(time.Duration(i)*200*time.Millisecond).Respond(200))
	}
	for i := range 4 {
		p := siptest.PhoneOptions{}
		if i == 3 {
			p.Transport = "TCP"
		}
		l.callers = append(l.callers, b.phone(fmt.Sprintf("caller%d", i), fmt.Sprintf("10.0.3.%d", i+1), p))
	}
	return l
}

// run begins n calls for each caller over a minute, and waits until the last has begun.
func (l *load) run(n int) {
	users := []string{"relay", "fork", "serial", "recurse", "tcp", "deadline", "slow", "dead", "refuse", "drop", "panic", "here"}
	var wg sync.WaitGroup
	for range n {
		for _, caller := range l.callers {
			user := users[l.rand.IntN(len(users))]
			cancel, talk := time.Duration(0), time.Duration(l.rand.IntN(5000))*time.Millisecond
			if l.rand.IntN(4) == 0 {
				cancel = time.Duration(1+l.rand.IntN(4000)) * time.Millisecond
			}
			invite := l.rand.IntN(5) > 0
			wg.Go(func() {
				if invite {
					l.call(caller, user, cancel, talk)
				} else {
					l.message(caller, user)
				}
			})
		}
		time.Sleep(time.Duration(l.rand.IntN(480)) * time.Millisecond)
	}
	wg.Wait()
}

// call is one call from its INVITE to its BYE.
func (l *load) call(caller *siptest.Phone, user string, cancel, talk time.Duration) {
	call := caller.Invite("sip:" + user + "@example.org")
	if cancel > 0 {
		time.AfterFunc(cancel, func() { call.Cancel() })
	}
	answered := map[string]bool{}
	failure := 0
	for range 100 { // 50 s, longer than any of them lasts
		time.Sleep(500 * time.Millisecond)
		for _, m := range call.Responses() {
			switch {
			case m.Status() < 200:
			case m.Status() >= 300:
				failure = m.Status()
			case !answered[m.ToTag()]:
				answered[m.ToTag()] = true
				leg := call.Leg(m)
				leg.Ack()
				time.AfterFunc(talk+time.Second, func() { leg.Bye() })
			}
		}
	}
	outcome := fmt.Sprintf("%s %d", user, failure)
	if len(answered) > 0 {
		outcome = fmt.Sprintf("%s answered", user)
	}
	l.note(outcome, failure == 0 && len(answered) == 0 && user != "drop")
}

func (l *load) message(caller *siptest.Phone, user string) {
	m := caller.Request(sip.MESSAGE, "sip:"+user+"@example.org")
	time.Sleep(time.Minute)
	status := 0
	for _, res := range m.Responses() {
		if res.Status() >= 200 {
			status = res.Status()
		}
	}
	l.note(fmt.Sprintf("%s %d (MESSAGE)", user, status), status == 0 && user != "drop" && user != "dead" && user != "deadline")
}

func (l *load) note(outcome string, bad bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finals[outcome]++
	l.ended++
	if bad {
		l.faults = append(l.faults, outcome)
	}
}

// check wants every call to have ended, and in a way that its user allows.
func (l *load) check() {
	l.Helper()
	require.Equal(l.bench, 1000, l.ended)
	require.Empty(l.bench, l.faults, "no final response")
	for _, want := range []string{
		"relay answered", "fork answered", "serial answered", "recurse answered", "tcp answered", "slow answered",
		"deadline 480", "dead 408", "refuse 403", "panic 500", "relay 487", "fork 487", "here 486", "drop 0",
		"fork 200 (MESSAGE)", "refuse 403 (MESSAGE)", "dead 0 (MESSAGE)",
	} {
		require.NotZero(l.bench, l.finals[want], "%s: not once in %v", want, l.finals)
	}
}
