package main

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// Phones of all kinds do this and that at random times, over links that lose, repeat and reorder. They are strict: what the
// server does wrong to any message fails the test. In the end no call and no transaction is left.
func TestRandomCalls(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			link := siptest.Link{Loss: 0.15 * random.Float64(), Duplicate: 0.1 * random.Float64(), Reorder: 0.2 * random.Float64(), Jitter: 3 * time.Millisecond}
			runBench(t, siptest.Options{Seed: seed, Link: link, Record: 1 << 20}, func(b *bench) {
				var phones []*siptest.Phone
				for i := range 8 {
					// Four users with two phones each.
					name, aor := fmt.Sprint("phone", i), fmt.Sprintf("sip:user%d@example.org", i/2)
					p := b.phoneOf(name, fmt.Sprintf("10.0.1.%d", i+1), aor, []string{"UDP", "TCP"}[random.IntN(2)])
					p.On(sip.INVITE, randomScript(random))
					p.Register(time.Hour, siptest.Header(sip.Contact, fmt.Sprintf("<%s>;q=0.%d", p.Contact(), 1+random.IntN(2))))
					phones = append(phones, p)
				}
				time.Sleep(40 * time.Second)
				var all sync.WaitGroup
				for i, p := range phones {
					random := rand.New(rand.NewPCG(seed, uint64(i+1)))
					all.Go(func() {
						for range 10 {
							time.Sleep(time.Duration(random.IntN(20_000)) * time.Millisecond)
							b.randomAction(p, random)
						}
					})
				}
				all.Wait()
				b.settle()
				for _, p := range phones {
					require.Empty(b, p.Violations(), "%s", p)
				}
			})
		})
	}
}

func randomScript(random *rand.Rand) siptest.Script {
	pause := time.Duration(random.IntN(15_000)) * time.Millisecond
	switch random.IntN(6) {
	case 0:
		return siptest.Respond(180).After(pause).Respond(486)
	case 1:
		return siptest.After(pause).Respond(404)
	case 2:
		return siptest.Respond(100).After(pause).Respond(603)
	case 3:
		return siptest.Respond(180) // rings for ever
	case 4:
		return siptest.After(pause).Respond(200)
	}
	return siptest.Respond(183).After(pause).Respond(180).After(pause).Respond(200)
}

func (b *bench) randomAction(p *siptest.Phone, random *rand.Rand) {
	uri := fmt.Sprintf("sip:user%d@example.org", random.IntN(5)) // user4 is nobody
	switch random.IntN(8) {
	case 0:
		p.Register(time.Hour)
	case 1:
		p.Request(sip.MESSAGE, uri)
	case 2:
		p.CloseConnections()
	default:
		call := p.Invite(uri)
		if !randomCall(call, random) {
			b.Errorf("%s: no final response to\n%s", p, call.Text())
		}
	}
}

// randomCall follows a call to its end: it gives up at some time, acknowledges every answer, and hangs up. It returns
// whether there was a final response.
func randomCall(call *siptest.Call, random *rand.Rand) bool {
	patience := random.IntN(40)
	hungUp := map[*siptest.Dialog]bool{}
	final := false
	for second := range 150 {
		time.Sleep(time.Second)
		for _, res := range call.Responses() {
			final = final || res.Status() >= 200
			if res.Status()/100 != 2 {
				continue
			}
			leg := call.Leg(res)
			if !hungUp[leg] {
				hungUp[leg] = true
				leg.Ack()
				time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
				leg.Bye()
			}
		}
		if second == patience && !final {
			call.Cancel()
		}
	}
	return final
}
