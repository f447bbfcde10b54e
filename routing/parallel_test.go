package routing_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// RFC 3261 16.6: "It MAY start client transactions with every target in parallel. It also MAY arbitrarily divide the set into groups,
// processing the groups serially and processing the targets in each group in parallel."
func TestGroupsOfParallelTargets(t *testing.T) {
	var got []outcome
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		r.RecordRoute()
		for _, group := range [][]routing.Target{targets(bobsURI, deskURI), targets(cellURI, nobodys)} {
			got = append(got, outcomeOf(r.Forward(ctx, group...)))
		}
		return nil
	}, func(b *bench) {
		alice, bob, desk, cell := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5")
		bob.On(sip.INVITE, siptest.Respond(180).After(time.Second).Respond(486))
		desk.On(sip.INVITE, siptest.Respond(180).After(2*time.Second).Respond(480))
		cell.On(sip.INVITE, siptest.Answer(2*time.Second))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		b.pass(time.Minute)
		call.Bye().WantStatus(200)
		b.wait()
		require.Equal(b, []outcome{{status: 480, target: deskURI}, {status: 200, done: true, target: cellURI}}, got)
		b.flow().Only("alice", "proxy", "bob", "desk", "cell").Require(b, `
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.005  proxy  -> desk    INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.010  desk   -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			1.010  bob    -> proxy   486 (INVITE)
			1.015  proxy  -> bob     ACK
			2.010  desk   -> proxy   480 (INVITE)
			2.015  proxy  -> desk    ACK
			2.015  proxy  -> cell    INVITE
			2.020  cell   -> proxy   180 (INVITE)
			2.025  proxy  -> alice   180 (INVITE)
			4.020  cell   -> proxy   200 (INVITE)
			4.025  proxy  -> alice   200 (INVITE)
			4.030  alice  -> proxy   ACK
			4.035  proxy  -> cell    ACK
			64.030  alice  -> proxy   BYE
			64.035  proxy  -> cell    BYE
			64.040  cell   -> proxy   200 (BYE)
			64.045  proxy  -> alice   200 (BYE)`)
	})
}

// RFC 3261 16.7 step 6: the best response goes up when "all client transactions in this response context have been terminated", not before.
func TestParallelTargetsAllFail(t *testing.T) {
	var got []outcome
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		got = append(got, outcomeOf(r.Forward(ctx, targets(bobsURI, deskURI, cellURI, "sip:x@unknown.example")...)))
		return nil
	}, func(b *bench) {
		alice, bob, desk, cell := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5")
		bob.On(sip.INVITE, siptest.Respond(404))
		desk.On(sip.INVITE, siptest.Respond(180).After(3*time.Second).Respond(500))
		cell.On(sip.INVITE, siptest.After(time.Second).Respond(486))
		alice.Invite(bobAlias).WantFinal(404)
		b.pass(time.Second)
		require.Equal(b, []outcome{{status: 404, target: bobsURI}}, got)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.005  proxy  -> desk    INVITE
			0.005  proxy  -> cell    INVITE
			0.010  bob    -> proxy   404 (INVITE)
			0.010  desk   -> proxy   180 (INVITE)
			0.015  proxy  -> bob     ACK
			0.015  proxy  -> alice   180 (INVITE)
			0.505  proxy  -> cell    INVITE
			1.010  cell   -> proxy   486 (INVITE)
			1.015  proxy  -> cell    ACK
			3.010  desk   -> proxy   500 (INVITE)
			3.015  proxy  -> desk    ACK
			3.015  proxy  -> alice   404 (INVITE)
			3.020  alice  -> proxy   ACK`)
	})
}

// A target whose connection takes its time, or never stands, does not hold the others back.
func TestSlowConnectionDoesNotHoldOthersBack(t *testing.T) {
	runBench(t, relayTo("sip:desk@10.0.0.99;transport=tcp", "sip:slow@slow.example", bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Second))
		alice.Invite(bobAlias).WantAnswer()
		b.flow().Only("alice", "bob", "proxy").Require(b, `
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			1.010  bob    -> proxy   200 (INVITE)
			1.015  proxy  -> alice   200 (INVITE)
			1.020  alice  -> bob     ACK`)
	}, func(s *routing.Server) { s.Resolver = slowNames{} })
}

// A branch whose connection stands only when the call is answered elsewhere is not sent: its phone would ring for nothing.
func TestBranchOfAnAnsweredCallIsNotSent(t *testing.T) {
	runBench(t, relayTo(bobsURI, deskURI+";transport=tcp"), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		desk := b.phone("desk", "10.0.0.4", siptest.PhoneOptions{Transport: "TCP"})
		desk.On(sip.INVITE, siptest.Answer(time.Hour))
		bob.On(sip.INVITE, siptest.Respond(200))
		b.net.SetLink(b.proxy, desk.Host(), siptest.Link{Delay: 3 * time.Second}) // the SYN
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		b.pass(10 * time.Second)
		require.Zero(b, b.count("desk", "INVITE"))
		call.Bye().WantStatus(200)
	})
}

// slowNames takes its time to find nothing.
type slowNames struct{ names }

func (n slowNames) Resolve(ctx context.Context, u sip.URI) ([]transport.Hop, error) {
	select {
	case <-time.After(20 * time.Second):
	case <-ctx.Done():
	}
	return n.names.Resolve(ctx, u)
}

// RFC 5393 5.3.3.1: a request without Max-Breadth gets one, RECOMMENDED to be 60; one that exceeds what the proxy allows is overwritten;
// "SIP proxies MUST NOT allow the Outgoing Max-Breadth to exceed the Incoming Max-Breadth in a given response context"; and a proxy "MUST
// NOT decrement Max-Breadth for each hop".
func TestMaxBreadthIsDivided(t *testing.T) {
	for name, c := range map[string]struct {
		came    string
		targets int
		limit   int
		want    []int
	}{
		"none":                    {"", 1, 0, []int{60}},
		"none, forked":            {"", 3, 0, []int{20, 20, 20}},
		"kept":                    {"7", 1, 0, []int{7}},
		"one, not forked":         {"1", 1, 0, []int{1}},
		"just enough":             {"3", 3, 0, []int{1, 1, 1}},
		"too much is overwritten": {"4000000000", 1, 0, []int{60}},
		"our limit":               {"60", 2, 10, []int{5, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, relayTo([]string{bobsURI, deskURI, cellURI}[:c.targets]...), func(b *bench) {
				alice := b.phone("alice", "10.0.0.2")
				var edits []siptest.Edit
				if c.came != "" {
					edits = append(edits, siptest.Header(sip.MaxBreadth, c.came))
				}
				var phones []*siptest.Phone
				for i := range c.targets {
					phones = append(phones, b.phone([]string{"bob", "desk", "cell"}[i], fmt.Sprintf("10.0.0.%d", i+3)))
				}
				alice.Request(sip.MESSAGE, bobAlias, edits...).WantStatus(200)
				incoming, sum := 60, 0
				if n, err := strconv.Atoi(c.came); err == nil {
					incoming = min(incoming, n)
				}
				for i, p := range phones {
					values := headers(p.WantRequest(sip.MESSAGE).Text(), sip.MaxBreadth)
					require.Equal(b, []string{strconv.Itoa(c.want[i])}, values)
					sum += c.want[i]
				}
				require.LessOrEqual(b, sum, incoming)
			}, func(s *routing.Server) { s.MaxBreadth = c.limit })
		})
	}
}

// RFC 5393 5.3.3.1: "If a SIP proxy determines a response context has insufficient Incoming Max-Breadth to carry out a desired parallel fork,
// and the proxy is unwilling/unable to compensate by forking serially or sending a redirect, that proxy MUST return a 440
// (Max-Breadth Exceeded) response."
func TestMaxBreadthExceeded(t *testing.T) {
	var got []outcome
	route := func(ctx context.Context, r *routing.Request) error {
		got = append(got, outcomeOf(r.Forward(ctx, targets(bobsURI, deskURI)...)))
		return nil
	}
	for _, value := range []string{"1", "0"} {
		runBench(t, route, func(b *bench) {
			alice, _ := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
			alice.Request(sip.MESSAGE, bobAlias, siptest.Header(sip.MaxBreadth, value)).WantStatus(440)
			require.Zero(b, len(b.flow().Only("bob").Events()))
			require.EqualValues(b, 1, b.server.Stats().BreadthExceeded)
		})
	}
	require.Equal(t, outcome{status: 440, err: routing.Status(440), local: true, done: true}, got[0])
}

// The same: "a proxy receiving a request with a Max-Breadth of 1 can only fork serially".
func TestMaxBreadthOfOneForksSerially(t *testing.T) {
	var got []outcome
	runBench(t, serially(&got, targets(bobsURI, deskURI)...), func(b *bench) {
		alice, bob, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		bob.On(sip.INVITE, siptest.Respond(486))
		desk.On(sip.INVITE, siptest.Respond(200))
		alice.Invite(bobAlias, siptest.Header(sip.MaxBreadth, "1")).WantAnswer()
		require.Equal(b, []string{"1"}, headers(desk.WantRequest(sip.INVITE).Text(), sip.MaxBreadth))
	})
}

// RFC 5393 5.3.2: the Outgoing Max-Breadth is the sum over "all forwarded requests in the response context that have not received a final
// response". A target that is added while others are pending gets of what they leave.
func TestMaxBreadthOfAddedTargets(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		for res := range r.Fork(ctx, targets(bobsURI, deskURI)...) {
			if res.Status == 302 {
				res.Recurse(targets(cellURI)...)
			}
		}
		return nil
	}, func(b *bench) {
		alice, bob, desk, cell := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4"), b.phone("cell", "10.0.0.5")
		bob.On(sip.INVITE, siptest.After(time.Second).Respond(302))
		desk.On(sip.INVITE, siptest.Answer(5*time.Second))
		cell.On(sip.INVITE, siptest.Answer(time.Hour))
		alice.Invite(bobAlias, siptest.Header(sip.MaxBreadth, "8")).WantFinal(200)
		breadth := func(p *siptest.Phone) int {
			n, err := strconv.Atoi(p.WantRequest(sip.INVITE).Get(sip.MaxBreadth))
			require.NoError(b, err)
			return n
		}
		require.LessOrEqual(b, breadth(desk)+breadth(cell), 8) // bob's 302 is final
	})
}
