package routing_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// request makes a request of the server's own.
func request(t testing.TB, method sip.Method, uri string) *sip.Request {
	t.Helper()
	u, err := sip.ParseURI(uri)
	require.NoError(t, err)
	req := sip.NewRequest(method, u)
	req.From = sip.NameAddr{URI: sip.URI{Scheme: "sip", User: "proxy", Host: "example.org"}, Tag: "p"}
	return req
}

func nobodyHome(context.Context, *routing.Request) error { return routing.Status(404) }

// RFC 3261 8.1.1: a request of the server's own has what every request has; the engine adds Via. Probes are what this is for most.
func TestDo(t *testing.T) {
	runBench(t, nobodyHome, func(b *bench) {
		bob := b.phone("bob", "10.0.0.3")
		bob.On(sip.OPTIONS, siptest.Respond(200, siptest.AddHeader(sip.Allow, "INVITE")))
		res := b.server.Do(b.Context(), request(b, sip.OPTIONS, bobsURI), routing.Target{})
		require.NoError(b, res.Err)
		require.Equal(b, 200, res.Status)
		require.True(b, res.Done())
		require.Equal(b, "INVITE", res.Message.Get(sip.Allow))
		in := bob.WantRequest(sip.OPTIONS)
		require.Equal(b, 1, len(headers(in.Text(), sip.Via)))
		require.True(b, strings.HasPrefix(in.Get(sip.Via), "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK"), in.Get(sip.Via))
		require.Equal(b, "70", in.Get(sip.MaxForwards))
		require.False(b, in.Has(sip.MaxBreadth))
		b.ladder(`
			0.000  proxy  -> bob     OPTIONS
			0.005  bob    -> proxy   200 (OPTIONS)`)
	})
}

// Where it goes, and what leaves, is a target's business as in Forward.
func TestDoWithATarget(t *testing.T) {
	flow := transport.Flow{Protocol: transport.UDP, Local: hostPort("10.0.0.1"), Remote: hostPort("10.0.0.3")}
	for name, c := range map[string]struct {
		uri    string
		target routing.Target
		want   string
	}{
		"URI":      {"sip:x@10.0.0.99", routing.To(bobsURI), "sip:bob@10.0.0.3"},
		"next hop": {"sip:x@example.org", routing.Via(bobsURI), "sip:x@example.org"},
		"route":    {"sip:x@example.org", routing.Target{Route: "<sip:10.0.0.3;lr>"}, "sip:x@example.org"},
		"flow":     {"sip:x@example.org", routing.Target{Flow: flow}, "sip:x@example.org"},
		"TCP":      {"sip:x@10.0.0.3;transport=tcp", routing.Target{}, "sip:x@10.0.0.3;transport=tcp"},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, nobodyHome, func(b *bench) {
				bob := b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Listen: []string{"UDP", "TCP"}})
				c.target.Edit = func(p *sip.Patch) { p.Set(sip.Subject, "probe") }
				require.Equal(b, 200, b.server.Do(b.Context(), request(b, sip.OPTIONS, c.uri), c.target).Status)
				in := bob.WantRequest(sip.OPTIONS)
				require.Equal(b, "OPTIONS "+c.want+" SIP/2.0", startLine(in.Text()))
				require.Equal(b, "probe", in.Get(sip.Subject))
				require.Equal(b, c.target.Route, in.Get(sip.Route))
			})
		})
	}
}

// Every failure is an outcome, with its reason.
func TestDoFails(t *testing.T) {
	timeout, noAnswer := routing.To(nobodys), routing.To(nobodys)
	timeout.Timeout, noAnswer.NoAnswer = 3*time.Second, 2*time.Second
	slow := routing.To(bobsURI)
	slow.NoAnswer = time.Second
	for name, c := range map[string]struct {
		target routing.Target
		status int
		err    error
		after  time.Duration
	}{
		"Timer F":            {routing.To(nobodys), 408, routing.ErrTimeout, 32 * time.Second},
		"Timeout":            {timeout, 408, routing.ErrTimeout, 3 * time.Second},
		"NoAnswer":           {noAnswer, 408, routing.ErrTimeout, 2 * time.Second},
		"heard of":           {slow, 486, nil, 5010 * time.Millisecond},
		"unknown host":       {routing.To("sip:x@nowhere.example"), 503, routing.ErrUnreachable, 0},
		"refused":            {routing.To("sip:bob@10.0.0.3;transport=tcp"), 503, routing.ErrUnreachable, 10 * time.Millisecond},
		"no URI":             {routing.To("bob"), 503, routing.ErrUnreachable, 0},
		"a refused edit":     {routing.Target{Edit: func(p *sip.Patch) { p.Set("X", "\n") }}, 503, sip.ErrHeaderValue, 0},
		"a gone flow":        {routing.Target{Flow: transport.Flow{Protocol: transport.TCP, Local: hostPort("10.0.0.1"), Remote: hostPort("10.0.0.3"), Conn: 7}}, 503, routing.ErrUnreachable, 0},
		"a socket of nobody": {routing.Target{Flow: transport.Flow{Protocol: transport.UDP, Local: hostPort("10.9.9.9"), Remote: hostPort("10.0.0.3")}}, 503, routing.ErrUnreachable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, nobodyHome, func(b *bench) {
				bob := b.phone("bob", "10.0.0.3")
				bob.On(sip.OPTIONS, siptest.Respond(100).After(5*time.Second).Respond(486))
				start := time.Now()
				res := b.server.Do(b.Context(), request(b, sip.OPTIONS, bobsURI), c.target)
				require.Equal(b, c.status, res.Status)
				require.Equal(b, c.err != nil, res.Local())
				require.ErrorIs(b, res.Err, c.err)
				require.InDelta(b, c.after, time.Since(start), float64(time.Millisecond))
			})
		})
	}
}

// ctx ends the wait; what was sent lives on by its state machine.
func TestDoWithADeadline(t *testing.T) {
	runBench(t, nobodyHome, func(b *bench) {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		res := b.server.Do(ctx, request(b, sip.OPTIONS, nobodys), routing.Target{})
		require.Equal(b, 408, res.Status)
		require.ErrorIs(b, res.Err, context.DeadlineExceeded)
		b.pass(time.Minute)
		require.EqualValues(b, 11, b.count("10.0.0.99:5060", "OPTIONS"))
	})
}

// Shutdown ends the wait too.
func TestDoAndShutdown(t *testing.T) {
	runBench(t, nobodyHome, func(b *bench) {
		outcomes := make(chan routing.Response, 1)
		go func() { outcomes <- b.server.Do(b.Context(), request(b, sip.OPTIONS, nobodys), routing.Target{}) }()
		b.pass(time.Second)
		require.NoError(b, b.server.Shutdown(b.Context()))
		require.ErrorIs(b, (<-outcomes).Err, routing.ErrServerClosed)
		res := b.server.Do(b.Context(), request(b, sip.OPTIONS, nobodys), routing.Target{})
		require.Equal(b, 503, res.Status)
		require.Error(b, res.Err)
	})
}

// RFC 3261 9.1, 17.1.1.3: an INVITE of the server's own that nobody waits for is cancelled; the ACK of its failure is the transaction's. That of a
// 2xx is the caller's, who sends it with Do and does not wait.
func TestDoInvite(t *testing.T) {
	invite := func(b *bench) *sip.Request {
		req := request(b, sip.INVITE, bobsURI)
		req.Set(sip.Contact, "<sip:proxy@10.0.0.1>")
		return req
	}
	t.Run("cancelled", func(t *testing.T) {
		runBench(t, nobodyHome, func(b *bench) {
			bob := b.phone("bob", "10.0.0.3")
			bob.On(sip.INVITE, siptest.Answer(time.Hour))
			res := b.server.Do(b.Context(), invite(b), routing.Target{Timeout: 2 * time.Second})
			require.ErrorIs(b, res.Err, routing.ErrTimeout)
			in := bob.WantRequest(sip.INVITE)
			require.Contains(b, in.WantCancel().Get(sip.Reason), "cause=408")
			in.WantACK()
			b.ladder(`
				0.000  proxy  -> bob     INVITE
				0.005  bob    -> proxy   180 (INVITE)
				2.000  proxy  -> bob     CANCEL
				2.005  bob    -> proxy   200 (CANCEL)
				2.005  bob    -> proxy   487 (INVITE)
				2.010  proxy  -> bob     ACK`)
		})
	})
	t.Run("answered", func(t *testing.T) {
		runBench(t, nobodyHome, func(b *bench) {
			bob := b.phone("bob", "10.0.0.3")
			bob.On(sip.INVITE, siptest.Answer(time.Second))
			res := b.server.Do(b.Context(), invite(b), routing.Target{})
			require.Equal(b, 200, res.Status)
			ack := request(b, sip.ACK, bob.Contact())
			ack.To, ack.CallID = res.Message.To(), res.Message.CallID()
			start := time.Now()
			require.NoError(b, b.server.Do(b.Context(), ack, routing.Target{}).Err)
			require.Zero(b, time.Since(start))
			bob.WantRequest(sip.INVITE).WantACK()
			bye := request(b, sip.BYE, bob.Contact())
			bye.To, bye.CallID, bye.CSeq = res.Message.To(), res.Message.CallID(), 2
			require.Equal(b, 200, b.server.Do(b.Context(), bye, routing.Target{}).Status)
			b.ladder(`
				0.000  proxy  -> bob     INVITE
				0.005  bob    -> proxy   180 (INVITE)
				1.005  bob    -> proxy   200 (INVITE)
				1.010  proxy  -> bob     ACK
				1.015  proxy  -> bob     BYE
				1.020  bob    -> proxy   200 (BYE)`)
		})
	})
}

// What is no request is refused before anything is sent, and so is a CANCEL, which belongs to its INVITE.
func TestDoRefuses(t *testing.T) {
	runBench(t, nobodyHome, func(b *bench) {
		bad := request(b, sip.OPTIONS, bobsURI)
		bad.Set("X-Evil", "a\r\nb")
		require.Error(b, b.server.Do(b.Context(), bad, routing.Target{}).Err)
		require.Error(b, b.server.Do(b.Context(), request(b, sip.CANCEL, bobsURI), routing.Target{}).Err)
		require.Zero(b, len(b.flow().Events()))
	})
}

// A stateless server's own requests have transactions all the same: somebody has to wait for their responses.
func TestDoOfAStatelessServer(t *testing.T) {
	runBench(t, nobodyHome, func(b *bench) {
		b.phone("bob", "10.0.0.3")
		require.Equal(b, 200, b.server.Do(b.Context(), request(b, sip.OPTIONS, bobsURI), routing.Target{}).Status)
	}, stateless)
}

// A request that a handler sends while it handles another one, as to ask a server elsewhere.
func TestDoWithinAHandler(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if res := r.Server().Do(ctx, request(t, sip.OPTIONS, deskURI), routing.Target{NoAnswer: time.Second}); res.Status != 200 {
			return routing.Status(480)
		}
		return r.Relay(routing.To(bobsURI))
	}, func(b *bench) {
		alice, _, desk := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3"), b.phone("desk", "10.0.0.4")
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
		desk.On(sip.OPTIONS, siptest.Ignore())
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(480)
	})
}
