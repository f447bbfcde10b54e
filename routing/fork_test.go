package routing_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// forking returns a route that forks to the targets and calls f for each response.
func forking(f func(*routing.ForkResponse), ts ...routing.Target) routing.HandlerFunc {
	return func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		for res := range r.Fork(ctx, ts...) {
			f(res)
		}
		return nil
	}
}

// noting returns a function for forking that notes what comes.
func noting(got *[]outcome) func(*routing.ForkResponse) {
	return func(res *routing.ForkResponse) { *got = append(*got, outcomeOf(res.Response)) }
}

// Fork yields every response besides 100, and every outcome made here, in the order in which they came, before it is relayed.
func TestForkYieldsEveryResponse(t *testing.T) {
	dead := routing.To(nobodys)
	dead.NoAnswer = 500 * time.Millisecond
	slow := routing.To(cellURI)
	slow.Timeout = 1500 * time.Millisecond
	var got []outcome
	ts := append(targets(bobsURI, deskURI, "sip:x@nowhere.example"), dead, slow)
	runBench(t, forking(noting(&got), ts...), func(b *bench) {
		alice, bob, desk, cell := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5")
		bob.On(sip.INVITE, siptest.Respond(100).After(time.Second).Respond(404))
		desk.On(sip.INVITE, siptest.After(100*time.Millisecond).Respond(180).After(100*time.Millisecond).Respond(183).After(2*time.Second).Respond(200))
		cell.On(sip.INVITE, siptest.After(300*time.Millisecond).Respond(180))
		alice.Invite(bobAlias).WantAnswer()
		b.wait()
		for i := range got {
			if got[i].status == 503 {
				require.ErrorIs(b, got[i].err, routing.ErrUnreachable)
				got[i].err = nil
			}
		}
		require.Equal(b, []outcome{
			{status: 503, local: true, target: "sip:x@nowhere.example"},
			{status: 180, target: deskURI},
			{status: 183, target: deskURI},
			{status: 180, target: cellURI},
			{status: 408, err: routing.ErrTimeout, local: true, target: nobodys},
			{status: 404, target: bobsURI},
			{status: 408, err: routing.ErrTimeout, local: true, target: cellURI},
			{status: 200, done: true, target: deskURI},
		}, got)
		b.flow().Only("alice", "bob", "desk", "cell", "proxy").Require(b, `
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.005  proxy  -> desk    INVITE
			0.005  proxy  -> cell    INVITE
			0.010  bob    -> proxy   100 (INVITE)
			0.110  desk   -> proxy   180 (INVITE)
			0.115  proxy  -> alice   180 (INVITE)
			0.210  desk   -> proxy   183 (INVITE)
			0.215  proxy  -> alice   183 (INVITE)
			0.310  cell   -> proxy   180 (INVITE)
			0.315  proxy  -> alice   180 (INVITE)
			1.010  bob    -> proxy   404 (INVITE)
			1.015  proxy  -> bob     ACK
			1.505  proxy  -> cell    CANCEL
			1.510  cell   -> proxy   200 (CANCEL)
			1.510  cell   -> proxy   487 (INVITE)
			1.515  proxy  -> cell    ACK
			2.210  desk   -> proxy   200 (INVITE)
			2.215  proxy  -> alice   200 (INVITE)
			2.220  alice  -> proxy   ACK`)
	})
}

// An edit changes a response on its way upstream, provisional or final, and nothing else: Via and body are as the engine has them.
func TestForkEdit(t *testing.T) {
	runBench(t, forking(func(res *routing.ForkResponse) {
		res.Edit().Add("X-By", fmt.Sprint(res.Status))
		res.Edit().Remove(sip.Server)
		if res.Status == 183 {
			res.Edit().SetBody("application/sdp", "v=0\r\ns=relayed\r\n")
		}
	}, targets(bobsURI)...), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		server := siptest.AddHeader(sip.Server, "bob's")
		bob.On(sip.INVITE, siptest.Respond(180, server).Respond(183, siptest.Body("application/sdp", "v=0\r\n")).After(time.Second).Respond(200, server))
		call := alice.Invite(bobAlias)
		res := call.WantStatus(180)
		require.Equal(b, "180", res.Get("X-By"))
		require.False(b, res.Has(sip.Server))
		require.Equal(b, "v=0\r\ns=relayed\r\n", call.WantStatus(183).Body())
		res = call.WantAnswer()
		require.Equal(b, "200", res.Get("X-By"))
		require.NotEmpty(b, res.Body())
		call.Bye().WantStatus(200)
	})
	// A final failure keeps its edit until it goes, with the challenges of others added.
	challenge := func(realm string) siptest.Edit {
		return siptest.AddHeader(sip.ProxyAuthenticate, `Digest realm="`+realm+`", nonce="1"`)
	}
	runBench(t, forking(func(res *routing.ForkResponse) { res.Edit().Set("X-By", fmt.Sprint(res.Target.URI.User)) }, targets(bobsURI, deskURI)...), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(407, challenge("bob")))
		desk.On(sip.INVITE, siptest.After(time.Second).Respond(407, challenge("desk")))
		res := alice.Invite(bobAlias).WantFinal(407)
		require.Equal(b, "bob", res.Get("X-By"))
		require.Len(b, headers(res.Text(), sip.ProxyAuthenticate), 2)
	})
}

// An edit that cannot be written is not made, and counted; the response goes all the same.
func TestForkRefusedEdit(t *testing.T) {
	runBench(t, forking(func(res *routing.ForkResponse) { res.Edit().Set("X-Evil", "a\r\nb") }, targets(bobsURI)...), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(180).Respond(486))
		call := alice.Invite(bobAlias)
		require.False(b, call.WantStatus(180).Has("X-Evil"))
		require.False(b, call.WantFinal(486).Has("X-Evil"))
		require.EqualValues(b, 2, b.server.Stats().BadEdits)
	})
}

// Drop takes a provisional response away, and a failure from those of which the best is chosen. A 2xx is a call and cannot be dropped.
func TestForkDrop(t *testing.T) {
	runBench(t, forking(func(res *routing.ForkResponse) {
		if res.Status != 180 {
			res.Drop()
		}
	}, targets(bobsURI, deskURI)...), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(183).Respond(180).Respond(404))
		desk.On(sip.INVITE, siptest.After(time.Second).Respond(200))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		call.WantAnswer()
		call.Bye().WantStatus(200)
	})
	runBench(t, forking(func(res *routing.ForkResponse) {
		if res.Status == 404 {
			res.Drop()
		}
	}, targets(bobsURI, deskURI)...), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(404))
		desk.On(sip.INVITE, siptest.After(time.Second).Respond(486))
		alice.Invite(bobAlias).WantFinal(486)
	})
}

// recurse follows redirections to their contacts, as RFC 3261 16.5 allows for what a proxy is responsible for.
func recurse(res *routing.ForkResponse) {
	if res.Status/100 == 3 && !res.Local() {
		for c, err := range res.Message.Contacts() {
			if err == nil {
				res.Recurse(routing.Target{URI: c.URI})
			}
		}
	}
}

// RFC 3261 16.7 step 4: "If the proxy recurses on all of the contacts in a 3xx response, the proxy SHOULD NOT add the resulting contactless
// response to the response context."
func TestForkRecursesOnRedirection(t *testing.T) {
	runBench(t, forking(recurse, targets(bobsURI)...), func(b *bench) {
		alice, bob, desk, cell := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5")
		contacts := func(uris ...string) (edits []siptest.Edit) {
			for _, u := range uris {
				edits = append(edits, siptest.AddHeader(sip.Contact, "<"+u+">"))
			}
			return edits
		}
		bob.On(sip.INVITE, siptest.Respond(302, contacts(deskURI, nobodys+";transport=tcp")...))
		desk.On(sip.INVITE, siptest.Respond(301, contacts(cellURI)...))
		cell.On(sip.INVITE, siptest.Answer(time.Second))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		cell.WantRequest(sip.INVITE).WantACK()
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   302 (INVITE)
			0.015  proxy  -> bob     ACK
			0.015  proxy  -> desk    INVITE
			0.020  desk   -> proxy   301 (INVITE)
			0.025  proxy  -> desk    ACK
			0.025  proxy  -> cell    INVITE
			0.030  cell   -> proxy   180 (INVITE)
			0.035  proxy  -> alice   180 (INVITE)
			1.030  cell   -> proxy   200 (INVITE)
			1.035  proxy  -> alice   200 (INVITE)
			1.040  alice  -> proxy   ACK
			1.045  proxy  -> cell    ACK
			1.050  alice  -> proxy   BYE
			1.055  proxy  -> cell    BYE
			1.060  cell   -> proxy   200 (BYE)
			1.065  proxy  -> alice   200 (BYE)`)
	})
}

// RFC 3261 16.5: "any given URI MUST NOT be added to the set more than once." "Allowing a URI to be added to the set only once reduces
// unnecessary network traffic, and in the case of incorporating contacts from redirect requests prevents infinite recursion."
func TestForkRecursionEnds(t *testing.T) {
	runBench(t, forking(recurse, targets(bobsURI)...), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(302, siptest.Header(sip.Contact, "<"+bobsURI+">, <"+deskURI+">, <"+deskURI+">")))
		desk.On(sip.INVITE, siptest.Respond(302, siptest.Header(sip.Contact, "<sip:bob@10.0.0.3>")))
		alice.Invite(bobAlias)
		b.pass(time.Minute)
		require.Equal(b, 1, b.count("bob", "INVITE"))
		require.Equal(b, 1, b.count("desk", "INVITE"))
	})
}

// Recurse does nothing to what is no failure, nor to a 6xx, after which there "MUST NOT" be any new branches (16.7 step 5).
func TestForkRecursesOnNothingElse(t *testing.T) {
	for _, status := range []int{183, 200, 603} {
		runBench(t, forking(func(res *routing.ForkResponse) { res.Recurse(routing.To(deskURI)) }, targets(bobsURI)...), func(b *bench) {
			alice, bob, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
			script := siptest.Respond(status)
			if status < 200 {
				script = script.After(time.Second).Respond(200)
			}
			bob.On(sip.INVITE, script)
			alice.Invite(bobAlias)
			b.pass(time.Minute)
			require.Zero(b, len(b.flow().Only("desk").Events()))
		})
	}
}

// Breaking out of the loop leaves the rest to the engine.
func TestForkBreak(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		for range r.Fork(ctx, targets(bobsURI, deskURI)...) {
			break
		}
		return nil
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(180).After(time.Second).Respond(486))
		desk.On(sip.INVITE, siptest.Respond(183).After(2*time.Second).Respond(200))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		call.WantStatus(183)
		call.WantAnswer()
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.005  proxy  -> desk    INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.010  desk   -> proxy   183 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			0.015  proxy  -> alice   183 (INVITE)
			1.010  bob    -> proxy   486 (INVITE)
			1.015  proxy  -> bob     ACK
			2.010  desk   -> proxy   200 (INVITE)
			2.015  proxy  -> alice   200 (INVITE)
			2.020  alice  -> proxy   ACK
			2.020  alice  -> proxy   BYE
			2.025  proxy  -> desk    ACK
			2.025  proxy  -> desk    BYE
			2.030  desk   -> proxy   200 (BYE)
			2.035  proxy  -> alice   200 (BYE)`)
	})
}

// A slow loop sees everything all the same, one after the other; nothing is relayed before the loop has seen it, and nothing is reordered.
func TestForkWithASlowLoop(t *testing.T) {
	var got []outcome
	runBench(t, forking(func(res *routing.ForkResponse) {
		got = append(got, outcomeOf(res.Response))
		time.Sleep(time.Second)
	}, targets(bobsURI)...), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(180).Respond(183).Respond(181).Respond(200))
		call := alice.Invite(bobAlias)
		for _, status := range []int{180, 183, 181, 200} {
			call.WantStatus(status)
		}
		call.Ack()
		bob.WantRequest(sip.INVITE).WantACK()
		b.pass(10 * time.Second)
		call.Bye().WantStatus(200)
		b.flow().Only("proxy", "alice").Filter(func(e siptest.Event) bool { return e.Time < 4016*time.Millisecond && e.To == "alice" }).Require(b, `
			0.205  proxy  -> alice   100 (INVITE)
			1.015  proxy  -> alice   180 (INVITE)
			2.015  proxy  -> alice   183 (INVITE)
			3.015  proxy  -> alice   181 (INVITE)
			4.015  proxy  -> alice   200 (INVITE)
			4.015  proxy  -> alice   200 (INVITE)
			4.015  proxy  -> alice   200 (INVITE)
			4.015  proxy  -> alice   200 (INVITE)`)
		require.Len(b, got, 4, "repetitions of a 2xx are the engine's")
	})
}

// The callee repeats its 2xx until it is acknowledged: each time it leaves as the loop has edited it, or a media relay would work for those calls
// only whose first 2xx arrives.
func TestForkEditOfARepeated2xx(t *testing.T) {
	runBench(t, forking(func(res *routing.ForkResponse) {
		res.Edit().SetBody("application/sdp", "v=0\r\ns=relayed by "+res.Target.URI.User+"\r\n")
	}, targets(bobsURI)...), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		b.net.SetLink(b.proxy, alice.Host(), siptest.Link{Drop: siptest.DropFirst(3, "200 (INVITE)")})
		b.net.SetLink(alice.Host(), b.proxy, siptest.Link{Drop: siptest.DropFirst(2, "ACK")})
		bob.On(sip.INVITE, siptest.After(time.Second).Respond(200))
		call := alice.Invite(bobAlias)
		require.Equal(b, "v=0\r\ns=relayed by bob\r\n", call.WantAnswer().Body())
		bob.WantRequest(sip.INVITE).WantACK()
		require.Equal(b, 6, b.count("alice", "200 (INVITE)"), "three lost, and as many ACKs but one")
		call.Bye().WantStatus(200)
		for _, text := range b.received("alice", "200 (INVITE)") {
			require.Contains(b, text, "relayed by")
		}
	})
}

// A final response that waits for a slow loop has come: the target's time limit does not turn it into a timeout.
func TestForkFinalResponseBeatsTimeout(t *testing.T) {
	bob := routing.To(bobsURI)
	bob.Timeout = time.Second
	runBench(t, forking(func(*routing.ForkResponse) { time.Sleep(2 * time.Second) }, bob), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(486))
		alice.Invite(bobAlias).WantFinal(486)
	})
}

// Both answers of a race are relayed, whether the loop still runs or not.
func TestForkWithTwoAnswers(t *testing.T) {
	var got []outcome
	runBench(t, forking(noting(&got), targets(bobsURI, deskURI)...), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.After(time.Second).Respond(200))
		desk.On(sip.INVITE, siptest.After(time.Second).Respond(200))
		call := alice.Invite(bobAlias)
		for range 2 {
			call.WantFinal(200)
			call.Ack()
			call.Bye().WantStatus(200)
		}
		require.NotEmpty(b, got)
	})
}

// 16.10 while the loop runs: it ends, the targets are cancelled, and the caller has his 487.
func TestForkAndCancel(t *testing.T) {
	for name, body := range map[string]time.Duration{"while it waits": 0, "while its body runs": 5 * time.Second} {
		t.Run(name, func(t *testing.T) {
			var ended time.Duration
			var left outcome
			runBench(t, func(ctx context.Context, r *routing.Request) error {
				start := time.Now()
				for range r.Fork(ctx, targets(bobsURI, deskURI)...) {
					time.Sleep(body)
				}
				ended = time.Since(start)
				left = outcomeOf(r.Forward(ctx, routing.To(cellURI)))
				return nil
			}, func(b *bench) {
				alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
				bob.On(sip.INVITE, siptest.Answer(time.Hour))
				desk.On(sip.INVITE, siptest.After(time.Second).Respond(180))
				b.phone("cell", "10.0.0.5")
				call := alice.Invite(bobAlias)
				b.pass(2 * time.Second)
				call.Cancel().WantStatus(200)
				call.WantFinal(487)
				bob.WantRequest(sip.INVITE).WantCancel()
				desk.WantRequest(sip.INVITE).WantCancel()
				b.pass(time.Minute)
				if body == 0 {
					require.InDelta(b, 2*time.Second, ended, float64(100*time.Millisecond))
				}
				require.Equal(b, outcome{status: 487, err: routing.ErrCancelled, local: true, done: true}, left)
				require.Zero(b, len(b.flow().Only("cell").Events()))
			})
		})
	}
}

// A loop whose ctx ends gives its targets up.
func TestForkDeadline(t *testing.T) {
	var got []outcome
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		short, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		for res := range r.Fork(short, targets(deskURI)...) {
			got = append(got, outcomeOf(res.Response))
		}
		r.Forward(ctx, routing.To(bobsURI))
		return nil
	}, func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		desk.On(sip.INVITE, siptest.Answer(time.Hour))
		bob.On(sip.INVITE, siptest.Respond(486))
		alice.Invite(bobAlias).WantFinal(486)
		desk.WantRequest(sip.INVITE).WantCancel()
		require.Equal(b, 180, got[0].status)
		b.flow().Require(b, `
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> desk    INVITE
			0.010  desk   -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			2.005  proxy  -> desk    CANCEL
			2.005  proxy  -> bob     INVITE
			2.010  desk   -> proxy   200 (CANCEL)
			2.010  desk   -> proxy   487 (INVITE)
			2.010  bob    -> proxy   486 (INVITE)
			2.015  proxy  -> desk    ACK
			2.015  proxy  -> bob     ACK
			2.015  proxy  -> alice   486 (INVITE)
			2.020  alice  -> proxy   ACK`)
	})
}

// Provisional responses that a loop does not read are bounded; final ones are never lost.
func TestForkWithAFloodOfProvisionals(t *testing.T) {
	runBench(t, forking(func(*routing.ForkResponse) { time.Sleep(100 * time.Millisecond) }, targets(bobsURI)...), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		script := siptest.Respond(180)
		for i := range 400 {
			script = script.Respond(183, siptest.AddHeader("X-Number", fmt.Sprint(i)))
		}
		bob.On(sip.INVITE, script.Respond(486))
		alice.Invite(bobAlias).WantFinal(486)
		dropped := b.server.Stats().ProvisionalsDropped
		require.Greater(b, dropped, uint64(100))
		require.EqualValues(b, 400-dropped, len(b.received("alice", "183 (INVITE)")))
	})
}

// An ACK has no responses: the loop is empty, and the ACK is sent.
func TestForkOfAnACK(t *testing.T) {
	yielded := 0
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		for range r.Fork(ctx, targets(bobsURI)...) {
			yielded++
		}
		return nil
	}, func(b *bench) {
		alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Lenient: true})
		alice.SendText(text("ACK", bobAlias))
		b.pass(time.Second)
		require.Equal(b, 1, b.count("bob", "ACK"))
		require.Zero(b, yielded)
	})
}
