package routing_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// inCall is a request of alice's within call id; n makes it one of its own.
func inCall(method, id string, n int) string {
	return text(method, bobAlias, fmt.Sprintf("CSeq: %d %s", n, method), "Call-ID: "+id,
		fmt.Sprintf("Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-%s-%d", id, n), fmt.Sprintf("X-Number: %s-%d", id, n))
}

// numbers returns the X-Number of what a host received, in order.
func (b *bench) numbers(host string) (out []string) {
	for _, e := range b.flow().Events() {
		if e.To == host {
			out = append(out, headers(string(e.Data), "X-Number")...)
		}
	}
	return out
}

// slowly returns a route that sleeps as long as X-Sleep of a request says, and sends it to bob.
func slowly(ctx context.Context, r *routing.Request) error {
	if d, err := time.ParseDuration(r.Message.Get("X-Sleep")); err == nil {
		time.Sleep(d)
	}
	return r.Relay(routing.To(bobsURI))
}

func sleeping(text, d string) string {
	return strings.Replace(text, "\r\n\r\n", "\r\nX-Sleep: "+d+"\r\n\r\n", 1)
}

// What arrives in order on a flow and belongs to one call leaves in that order: a handler that has not yet passed its request on holds back the
// later requests of its call, and nothing else.
func TestSlowHandlerHoldsBackItsCallAlone(t *testing.T) {
	for _, transport := range []string{"UDP", "TCP"} {
		t.Run(transport, func(t *testing.T) {
			runBench(t, slowly, func(b *bench) {
				lenient := siptest.PhoneOptions{Transport: transport, Lenient: true}
				alice, bob := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Lenient: true})
				bob.On(sip.INVITE, siptest.Respond(486))
				alice.SendText(sleeping(inCall("INVITE", "slow", 1), "2s"))
				for n := 2; n <= 5; n++ {
					alice.SendText(inCall("INFO", "slow", n))
				}
				alice.SendText(inCall("MESSAGE", "quick", 1))
				alice.SendText(inCall("MESSAGE", "quick", 2))
				b.pass(time.Second)
				require.Equal(b, []string{"quick-1", "quick-2"}, b.numbers("bob"))
				b.pass(2 * time.Second)
				require.Equal(b, []string{"quick-1", "quick-2", "slow-1", "slow-2", "slow-3", "slow-4", "slow-5"}, b.numbers("bob"))
			})
		})
	}
}

// Another flow is another order: what others send with the same Call-ID does not wait, nor could it keep anybody waiting.
func TestSlowHandlerDoesNotHoldBackOtherFlows(t *testing.T) {
	runBench(t, slowly, func(b *bench) {
		lenient := siptest.PhoneOptions{Lenient: true}
		alice, carol, _ := b.phone("alice", "10.0.0.2", lenient), b.phone("carol", "10.0.0.6", lenient), b.phone("bob", "10.0.0.3", lenient)
		alice.SendText(sleeping(inCall("MESSAGE", "same", 1), "2s"))
		carol.SendText(strings.Replace(inCall("MESSAGE", "same", 2), "10.0.0.2", "10.0.0.6", 1))
		b.pass(time.Second)
		require.Equal(b, []string{"same-2"}, b.numbers("bob"))
		b.pass(2 * time.Second)
		require.Equal(b, []string{"same-2", "same-1"}, b.numbers("bob"))
	})
}

// A slow one among the later ones holds back those behind it, in turn.
func TestEachHandlerHasItsTurn(t *testing.T) {
	runBench(t, slowly, func(b *bench) {
		lenient := siptest.PhoneOptions{Lenient: true}
		alice, _ := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
		for n := 1; n <= 6; n++ {
			alice.SendText(sleeping(inCall("MESSAGE", "c", n), fmt.Sprintf("%dms", 7-n)))
		}
		b.pass(time.Second)
		require.Equal(b, []string{"c-1", "c-2", "c-3", "c-4", "c-5", "c-6"}, b.numbers("bob"))
		events := b.flow().Only("proxy", "bob").Events()
		require.Equal(b, 5*time.Millisecond+(6+5+4+3+2+1)*time.Millisecond, lastRequest(events).Truncate(time.Millisecond), "one after the other")
	})
}

func lastRequest(events []siptest.Event) (at time.Duration) {
	for _, e := range events {
		if e.To == "bob" {
			at = e.Time
		}
	}
	return at
}

// Passing on is what counts, not returning: a handler that has relayed, forwarded or answered its request holds back nobody while it goes on.
func TestHandlerThatHasPassedOnHoldsBackNobody(t *testing.T) {
	for name, pass := range map[string]func(context.Context, *routing.Request){
		"Relay":   func(_ context.Context, r *routing.Request) { r.Relay(routing.To(bobsURI)) },
		"Forward": func(ctx context.Context, r *routing.Request) { r.Forward(ctx, routing.To(bobsURI)) },
		"Fork": func(ctx context.Context, r *routing.Request) {
			for range r.Fork(ctx, routing.To(bobsURI)) {
			}
		},
		"Respond": func(_ context.Context, r *routing.Request) { r.Respond(sip.NewResponse(200)) },
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, func(ctx context.Context, r *routing.Request) error {
				if r.Message.Get("X-Number") != "c-1" {
					return r.Relay(routing.To(bobsURI))
				}
				pass(ctx, r)
				time.Sleep(5 * time.Second)
				return nil
			}, func(b *bench) {
				lenient := siptest.PhoneOptions{Lenient: true}
				alice, bob := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
				bob.On(sip.MESSAGE, siptest.After(2*time.Second).Respond(200))
				alice.SendText(inCall("MESSAGE", "c", 1))
				alice.SendText(inCall("INFO", "c", 2))
				b.pass(time.Second)
				want := []string{"c-1", "c-2"}
				if name == "Respond" {
					want = want[1:]
				}
				require.Equal(b, want, b.numbers("bob")[:len(want)]) // retransmissions may follow
			})
		})
	}
}

// RFC 3261 13.2.2.4 and 15: the ACK for a 2xx and the BYE right behind it arrive in this order, however long the ACK's handler takes.
func TestByeDoesNotOvertakeTheACK(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.Method() == sip.ACK {
			time.Sleep(time.Second)
		}
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		return r.Relay(routing.To(bobsURI))
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{NoRetransmit: true})
		bob.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   200 (INVITE)
			0.015  proxy  -> alice   200 (INVITE)
			0.020  alice  -> proxy   ACK
			0.020  alice  -> proxy   BYE
			0.520  alice  -> proxy   BYE
			1.025  proxy  -> bob     ACK
			1.025  proxy  -> bob     BYE
			1.030  bob    -> proxy   200 (BYE)
			1.035  proxy  -> alice   200 (BYE)`)
	})
}

// A request that is refused before it reaches a handler has no turn, and gives none away: what waits behind a slow handler keeps waiting.
func TestRefusedRequestGivesNoTurnAway(t *testing.T) {
	runBench(t, slowly, func(b *bench) {
		lenient := siptest.PhoneOptions{Lenient: true}
		alice, _ := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
		alice.SendText(sleeping(inCall("MESSAGE", "c", 1), "2s"))
		alice.SendText(inCall("INFO", "c", 2))
		alice.SendText(strings.Replace(inCall("INFO", "c", 3), "sip:bob", "mailto:bob", 1))
		alice.SendText(strings.Replace(inCall("INFO", "c", 4), "\r\n\r\n", "\r\nProxy-Require: x\r\n\r\n", 1))
		alice.SendText(inCall("INFO", "c", 5))
		b.pass(time.Second)
		require.Empty(b, b.numbers("bob"))
		require.Equal(b, 1, b.count("alice", "416 (INFO)"))
		require.Equal(b, 1, b.count("alice", "420 (INFO)"))
		b.pass(2 * time.Second)
		require.Equal(b, []string{"c-1", "c-2", "c-5"}, b.numbers("bob"))
	})
}

// What waits is bounded: more than that is refused, and those that wait have their turn all the same.
func TestTooManyRequestsWait(t *testing.T) {
	runBench(t, slowly, func(b *bench) {
		lenient := siptest.PhoneOptions{Lenient: true}
		alice, _ := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
		alice.SendText(sleeping(inCall("MESSAGE", "c", 1), "5s"))
		for n := 2; n <= 100; n++ {
			alice.SendText(inCall("INFO", "c", n))
		}
		b.pass(time.Second)
		refused := b.received("alice", "503 (INFO)")
		require.NotEmpty(b, refused)
		require.NotEmpty(b, headers(refused[0], sip.RetryAfter))
		require.EqualValues(b, len(refused), b.server.Stats().Overloaded)
		b.pass(10 * time.Second)
		require.Len(b, b.numbers("bob"), 100-len(refused))
	})
}

// earn sends so many quick requests of a method that its handlers are trusted to run on the reader's goroutine.
func (b *bench) earn(alice *siptest.Phone, method string, n int) {
	for i := range n {
		alice.SendText(inCall(method, fmt.Sprintf("%s-earn%d-%d", method, n, i), 1))
	}
	b.pass(100 * time.Millisecond)
}

// No socket reader waits for a handler longer than a moment, however quick those before it were: on one connection, the next call's request
// goes on while the handler sleeps. From then on handlers of that method do not keep a reader waiting at all.
func TestReaderLeavesASleepingHandler(t *testing.T) {
	for _, transport := range []string{"UDP", "TCP"} {
		t.Run(transport, func(t *testing.T) {
			runBench(t, slowly, func(b *bench) {
				lenient := siptest.PhoneOptions{Transport: transport, Lenient: true}
				alice, _ := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Lenient: true})
				b.earn(alice, "MESSAGE", 150)
				b.net.Forget()
				alice.SendText(sleeping(inCall("MESSAGE", "slow", 1), "3s"))
				alice.SendText(inCall("INFO", "slow", 2))
				alice.SendText(inCall("OPTIONS", "quick", 1))
				alice.SendText(inCall("INFO", "slow", 3))
				b.pass(30 * time.Millisecond)
				require.Equal(b, []string{"quick-1"}, b.numbers("bob"))
				require.EqualValues(b, 1, b.server.Stats().LateHandlers)
				for n := range 20 {
					alice.SendText(sleeping(inCall("MESSAGE", fmt.Sprintf("other%d", n), 1), "3s"))
				}
				alice.SendText(inCall("OPTIONS", "quick", 2))
				b.pass(10 * time.Millisecond)
				require.Equal(b, []string{"quick-1", "quick-2"}, b.numbers("bob"))
				b.pass(10 * time.Second)
				got := b.numbers("bob")
				require.Len(b, got, 2+3+20)
				require.Equal(b, []string{"slow-1", "slow-2", "slow-3"}, got[2:5])
				require.EqualValues(b, 1, b.server.Stats().LateHandlers)
			})
		})
	}
}

// The same where nothing but the reader would ever wake anybody: a single slow request after a long silence.
func TestReaderLeavesTheFirstAfterASilence(t *testing.T) {
	runBench(t, slowly, func(b *bench) {
		lenient := siptest.PhoneOptions{Lenient: true}
		alice, _ := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
		b.earn(alice, "MESSAGE", 150)
		b.pass(time.Hour)
		alice.SendText(sleeping(inCall("MESSAGE", "slow", 1), "30s"))
		b.pass(10 * time.Millisecond)
		alice.SendText(inCall("OPTIONS", "quick", 1))
		b.pass(20 * time.Millisecond)
		got := b.numbers("bob")
		require.Equal(b, "quick-1", got[len(got)-1])
		b.pass(time.Minute)
	})
}

// A CANCEL is not held back by a handler that has the reader's goroutine.
func TestCancelOfAHandlerOnTheReader(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if r.Message.Get("X-Sleep") != "" {
			<-ctx.Done()
			return nil
		}
		return routing.Status(486)
	}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		for range 150 {
			alice.Invite(bobAlias).WantFinal(486)
		}
		call := alice.Invite(bobAlias, siptest.AddHeader("X-Sleep", "1"))
		call.WantStatus(100)
		call.Cancel().WantStatus(200)
		call.WantFinal(487)
		require.EqualValues(b, 1, b.server.Stats().LateHandlers)
	})
}

// Trust is lost for longer each time, and earned again: order is the same all the time.
func TestTrustIsLostAndRegained(t *testing.T) {
	runBench(t, slowly, func(b *bench) {
		lenient := siptest.PhoneOptions{Lenient: true}
		alice, bob := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
		bob.On(sip.MESSAGE, siptest.Respond(200))
		var want []string
		n := 0
		send := func(count int, sleep string) uint64 {
			for range count {
				n++
				alice.SendText(sleeping(inCall("MESSAGE", "c", n), sleep))
				want = append(want, fmt.Sprintf("c-%d", n))
				if n%50 == 0 {
					b.pass(20 * time.Millisecond)
				}
			}
			b.pass(time.Second)
			return b.server.Stats().LateHandlers
		}
		require.EqualValues(b, 0, send(1, "100ms"), "nothing is trusted at first")
		require.EqualValues(b, 0, send(150, "0s"))
		require.EqualValues(b, 1, send(1, "100ms"), "trusted, and lost")
		require.EqualValues(b, 1, send(1, "100ms"), "not trusted again so soon")
		require.EqualValues(b, 1, send(150, "0s"))
		require.EqualValues(b, 2, send(1, "100ms"), "trusted again, and lost for longer")
		require.EqualValues(b, 2, send(150, "0s"))
		require.EqualValues(b, 2, send(1, "100ms"))
		b.pass(10 * time.Second)
		require.EqualValues(b, 2, send(150, "0s"))
		require.EqualValues(b, 3, send(1, "100ms"))
		require.Equal(b, want, b.numbers("bob"))
	})
}

// A handler that ends its goroutine (as a failed assertion in a test does) takes nobody with it: the reader goes on, its request is answered,
// those that waited for it have their turn.
func TestHandlerThatEndsItsGoroutine(t *testing.T) {
	for name, before := range map[string]time.Duration{"at once": 0, "late": 10 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			runBench(t, func(ctx context.Context, r *routing.Request) error {
				if r.Method() == sip.MESSAGE {
					time.Sleep(before)
					runtime.Goexit()
				}
				return r.Relay(routing.To(bobsURI))
			}, func(b *bench) {
				lenient := siptest.PhoneOptions{Lenient: true}
				alice, _ := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
				for call := range 3 {
					id := fmt.Sprintf("c%d", call)
					gone := alice.SendText(inCall("MESSAGE", id, 1))
					alice.SendText(inCall("INFO", id, 2)).WantStatus(200)
					gone.WantStatus(500)
				}
			})
		})
	}
}

// Two hundred calls at once with handlers that sleep as they like: each call is in order, and none waits for another.
func TestOrderUnderLoad(t *testing.T) {
	const calls, requests = 200, 6
	var running, most atomic.Int32
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		n := running.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		defer running.Add(-1)
		return slowly(ctx, r)
	}, func(b *bench) {
		lenient := siptest.PhoneOptions{Lenient: true}
		alice, _ := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient)
		for n := 1; n <= requests; n++ {
			for call := range calls {
				alice.SendText(sleeping(inCall("MESSAGE", fmt.Sprintf("c%d", call), n), fmt.Sprintf("%dms", (call*7+n*13)%50)))
			}
		}
		b.pass(10 * time.Second)
		next := map[string]int{}
		for _, number := range b.numbers("bob") {
			call, n, _ := strings.Cut(number, "-")
			next[call]++
			require.Equal(b, fmt.Sprint(next[call]), n, "call %s", call)
		}
		require.Len(b, next, calls)
		for call, n := range next {
			require.Equal(b, requests, n, call)
		}
		require.Greater(b, most.Load(), int32(50))
	})
}
