package routing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// busy is an error with a status of its own, as components make them.
type busy struct{ seconds int }

func (e busy) Error() string  { return "db: connection to 10.7.7.7 refused" }
func (e busy) SIPStatus() int { return 503 }
func (e busy) SIPResponse() *sip.Response {
	res := sip.NewResponse(503)
	res.Set(sip.RetryAfter, fmt.Sprint(e.seconds))
	return res
}

// badStatus is an error whose status is no failure.
type badStatus int

func (badStatus) Error() string    { return "secret" }
func (e badStatus) SIPStatus() int { return int(e) }

func refusal(edit func(*sip.Response)) error {
	res := sip.NewResponse(403)
	edit(res)
	return routing.Refuse(res)
}

// An error that has a SIPStatus is the answer; any other error is logged once, counted, and becomes a 500 that leaks no text. nil with nothing
// sent is a mistake of the handler, and a 500 too (RFC 3261 16.7 step 6: "If there are no final responses in the context").
func TestErrorsOfAHandler(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		reason string
		header [2]string
		logged bool
	}{
		"Status":                  {err: routing.Status(404), status: 404, reason: "Not Found"},
		"Status wrapped":          {err: fmt.Errorf("no user: %w", routing.Status(480)), status: 480, reason: "Temporarily Unavailable"},
		"Status without a name":   {err: routing.Status(499), status: 499},
		"method":                  {err: routing.ErrMethodNotAllowed, status: 405, reason: "Method Not Allowed"},
		"redirection":             {err: refusal(func(r *sip.Response) { r.Status = 302; r.Set(sip.Contact, "<sip:c@d>") }), status: 302, header: [2]string{sip.Contact, "<sip:c@d>"}},
		"6xx":                     {err: routing.Status(603), status: 603},
		"Refusal":                 {err: refusal(func(r *sip.Response) { r.Reason = "Not You"; r.Set("X-Why", "because") }), status: 403, reason: "Not You", header: [2]string{"X-Why", "because"}},
		"of a component":          {err: fmt.Errorf("lookup: %w", busy{30}), status: 503, reason: "Service Unavailable", header: [2]string{sip.RetryAfter, "30"}},
		"any other":               {err: errors.New("password is hunter2"), status: 500, reason: "Server Internal Error", logged: true},
		"a success is no error":   {err: badStatus(200), status: 500, logged: true},
		"nor is a provisional":    {err: badStatus(180), status: 500, logged: true},
		"nor is nonsense":         {err: badStatus(7000), status: 500, logged: true},
		"a refused header":        {err: refusal(func(r *sip.Response) { r.Set("X-Evil", "a\r\nb") }), status: 500, logged: true},
		"a refused reason":        {err: refusal(func(r *sip.Response) { r.Reason = "a\r\nX-Evil: b" }), status: 500, logged: true},
		"nil":                     {err: nil, status: 500, reason: "Server Internal Error"},
		"ctx ended by nobody":     {err: context.Canceled, status: 500, logged: true},
		"joined, one is a Status": {err: errors.Join(errors.New("x"), routing.Status(486)), status: 486},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			runBench(t, func(context.Context, *routing.Request) error { return c.err }, func(b *bench) {
				alice := b.phone("alice", "10.0.0.2")
				for _, res := range []*sip.Message{alice.Request(sip.MESSAGE, bobAlias).WantStatus(c.status), alice.Invite(bobAlias).WantFinal(c.status)} {
					if c.reason != "" {
						require.Equal(b, c.reason, res.ReasonPhrase())
					}
					if c.header[0] != "" {
						require.Equal(b, c.header[1], res.Get(c.header[0]))
					}
					require.NotContains(b, res.Text(), "hunter2")
					require.NotContains(b, res.Text(), "secret")
					require.False(b, res.Has("X-Evil"))
				}
				b.pass(time.Second)
				stats := b.server.Stats()
				if c.logged {
					require.EqualValues(b, 2, stats.HandlerErrors)
					require.Equal(b, 2, strings.Count(log.String(), "\n"), log.String())
					require.Contains(b, log.String(), "call-id")
				} else {
					require.Zero(b, stats.HandlerErrors)
					require.Empty(b, log.String())
				}
				if c.err == nil {
					require.EqualValues(b, 2, stats.Unanswered)
				}
			}, func(s *routing.Server) { s.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		})
	}
}

// A handler that panics ends the service of nobody else; its request gets a 500, and what it had started is cancelled.
func TestPanicOfAHandler(t *testing.T) {
	var log bytes.Buffer
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if r.URI().User == "early" {
			panic("hunter2")
		}
		r.Relay(routing.To(bobsURI))
		time.Sleep(time.Second)
		panic("hunter2")
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		require.NotContains(b, alice.Request(sip.MESSAGE, "sip:early@example.org").WantStatus(500).Text(), "hunter2")
		alice.Invite("sip:late@example.org").WantFinal(500)
		bob.WantRequest(sip.INVITE).WantCancel()
		require.EqualValues(b, 2, b.server.Stats().Panics)
		require.Contains(b, log.String(), "hunter2")
		require.Contains(b, log.String(), "handler_test.go", "the stack")
	}, func(s *routing.Server) { s.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
}

// ErrDrop ends the request without an answer and leaves nothing behind: a retransmission comes to the handler again.
func TestErrDropLeavesNothingBehind(t *testing.T) {
	for _, method := range []string{"MESSAGE", "INVITE"} {
		handled := 0
		runBench(t, func(context.Context, *routing.Request) error {
			if handled++; handled < 3 {
				return fmt.Errorf("banned: %w", routing.ErrDrop)
			}
			return routing.Status(403)
		}, func(b *bench) {
			alice := b.phone("alice", "10.0.0.2")
			e := alice.SendText(text(method, bobAlias))
			b.pass(500 * time.Millisecond)
			stats := b.server.Stats()
			require.Zero(b, stats.Contexts)
			require.Zero(b, stats.Transaction.InviteServer.Live+stats.Transaction.NonInviteServer.Live)
			e.Retransmit()
			b.pass(500 * time.Millisecond)
			require.EqualValues(b, 2, b.server.Stats().Dropped)
			require.Equal(b, 2, len(b.flow().Events()), "nothing but what alice sent")
			e.Retransmit()
			e.WantFinal(403)
		})
	}
}

// ErrDrop after targets were tried: their calls end, and so does the caller's, in silence.
func TestErrDropCancelsWhatRings(t *testing.T) {
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		go r.Forward(ctx, routing.To(bobsURI)) // it rings on
		<-short.Done()
		return routing.ErrDrop
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{NoRetransmit: true}), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Hour))
		alice.Invite(bobAlias).WantStatus(180)
		bob.WantRequest(sip.INVITE).WantCancel()
		b.pass(time.Second)
		require.Zero(b, b.count("alice", "487 (INVITE)"))
	})
}

// RFC 3261 8.2.1: "If the UAS recognizes but does not support the method of a request, it MUST generate a 405 (Method Not Allowed) response.
// […] The UAS MUST also add an Allow header field to the 405 (Method Not Allowed) response."
func TestMethods(t *testing.T) {
	answer := func(status int) routing.Handler {
		return routing.HandlerFunc(func(_ context.Context, r *routing.Request) error { return r.Respond(sip.NewResponse(status)) })
	}
	methods := routing.Methods{sip.MESSAGE: answer(200), sip.OPTIONS: answer(200), "FROB": answer(202)}
	runBench(t, methods.ServeSIP, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
		alice.Request("FROB", bobAlias).WantStatus(202)
		require.Equal(b, "FROB, MESSAGE, OPTIONS", alice.Request(sip.REGISTER, bobAlias).WantStatus(405).Get(sip.Allow))
		require.Equal(b, "FROB, MESSAGE, OPTIONS", alice.Request("message", bobAlias).WantStatus(405).Get(sip.Allow), "methods are case-sensitive")
		require.Equal(b, "FROB, MESSAGE, OPTIONS", alice.Invite(bobAlias).WantFinal(405).Get(sip.Allow))
	})
	methods[""] = answer(404)
	runBench(t, methods.ServeSIP, func(b *bench) {
		b.phone("alice", "10.0.0.2").Request(sip.REGISTER, bobAlias).WantStatus(404)
	})
}

// The first middleware sees a request first, and what the handler says comes back through all of them.
func TestChain(t *testing.T) {
	var seen []string
	mark := func(name string) routing.Middleware {
		return func(next routing.Handler) routing.Handler {
			return routing.HandlerFunc(func(ctx context.Context, r *routing.Request) error {
				seen = append(seen, name)
				err := next.ServeSIP(ctx, r)
				seen = append(seen, "/"+name)
				return err
			})
		}
	}
	h := routing.Chain(routing.HandlerFunc(func(context.Context, *routing.Request) error {
		seen = append(seen, "handler")
		return routing.Status(404)
	}), mark("a"), mark("b"))
	runBench(t, h.ServeSIP, func(b *bench) {
		b.phone("alice", "10.0.0.2").Request(sip.MESSAGE, bobAlias).WantStatus(404)
		b.wait()
		require.Equal(b, []string{"a", "b", "handler", "/b", "/a"}, seen)
	})
}

// responder answers by what it is asked for.
type responder struct{ flow transport.Flow }

func (a *responder) Answer(_ context.Context, req *sip.Message, from transport.Flow) (*sip.Response, error) {
	a.flow = from
	switch req.RequestURI().User {
	case "error":
		return nil, errors.New("hunter2")
	case "status":
		return nil, routing.Status(423)
	case "nothing":
		return nil, nil
	case "bad":
		res := sip.NewResponse(200)
		res.Set("X-Evil", "a\r\nb")
		return res, nil
	}
	res := sip.NewResponse(200)
	res.Set(sip.Contact, "<sip:bob@10.0.0.3>")
	return res, nil
}

// Answer makes a handler of what answers requests by itself, as a registrar does.
func TestAnswer(t *testing.T) {
	a := &responder{}
	runBench(t, routing.Answer(a).ServeSIP, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		require.Equal(b, "<sip:bob@10.0.0.3>", alice.Register(time.Hour).WantStatus(200).Get(sip.Contact))
		b.wait()
		require.Equal(b, transport.Flow{Protocol: transport.UDP, Local: hostPort("10.0.0.1"), Remote: hostPort("10.0.0.2")}, a.flow)
		require.NotContains(b, alice.Request(sip.MESSAGE, "sip:error@example.org").WantStatus(500).Text(), "hunter2")
		alice.Request(sip.MESSAGE, "sip:status@example.org").WantStatus(423)
		require.False(b, alice.Request(sip.MESSAGE, "sip:bad@example.org").WantStatus(500).Has("X-Evil"))
		alice.SendText(text("MESSAGE", "sip:nothing@example.org"))
		b.pass(time.Second)
		require.EqualValues(b, 1, b.server.Stats().Dropped)
	})
}

// RFC 3261 8.2.2.2: "If the request has no tag in the To header field, the UAS core MUST check the request against ongoing transactions. If the
// From tag, Call-ID, and CSeq exactly match those associated with an ongoing transaction, but the request does not match that transaction […],
// the UAS core SHOULD generate a 482 (Loop Detected) response".
func TestMergedRequestIsAnswered482(t *testing.T) {
	var asked atomic.Int32
	route := map[string]routing.HandlerFunc{
		"Respond": func(_ context.Context, r *routing.Request) error {
			time.Sleep(time.Second)
			return r.Respond(sip.NewResponse(200))
		},
		"Answer": func(ctx context.Context, r *routing.Request) error {
			return routing.Answer(slowResponder{&asked}).ServeSIP(ctx, r)
		},
	}
	for name, route := range route {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			runBench(t, route, func(b *bench) {
				alice := b.phone("alice", "10.0.0.2")
				carol := b.phone("carol", "10.0.0.6") // the same request by another way
				first := alice.SendText(text("MESSAGE", bobAlias))
				second := carol.SendText(text("MESSAGE", bobAlias, "Via: SIP/2.0/UDP 10.0.0.6:5060;branch=z9hG4bK-2"))
				second.WantStatus(482)
				first.WantStatus(200)
				b.pass(time.Minute)
				if name == "Answer" {
					require.EqualValues(b, 1, asked.Load())
				}
				// Another CSeq, or a To tag, is another request.
				alice.SendText(text("MESSAGE", bobAlias, "CSeq: 2 MESSAGE", "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK-3")).WantStatus(200)
			})
		})
	}
}

type slowResponder struct{ asked *atomic.Int32 }

func (a slowResponder) Answer(context.Context, *sip.Message, transport.Flow) (*sip.Response, error) {
	a.asked.Add(1)
	time.Sleep(time.Second)
	return sip.NewResponse(200), nil
}

// RFC 3261 8.2.6.2: what identifies a response is the request's: Via, From, To with a tag, Call-ID, CSeq. A handler cannot change it, and what it
// sets besides leaves as it is. 12.1.1: a response that creates a dialog has the Record-Route of the request.
func TestRespond(t *testing.T) {
	var errs []error
	runBench(t, func(_ context.Context, r *routing.Request) error {
		ringing := sip.NewResponse(183)
		ringing.SetBody("application/sdp", "v=0\r\n")
		errs = append(errs, r.Respond(ringing))
		bad := sip.NewResponse(200)
		bad.Set(sip.Via, "SIP/2.0/UDP 10.0.0.66")
		errs = append(errs, r.Respond(bad))
		ok := sip.NewResponse(299)
		ok.Reason = "Fine"
		ok.Set(sip.Contact, "<sip:me@10.0.0.1>")
		ok.SetBody("text/plain", "hello")
		errs = append(errs, r.Respond(ok), r.Respond(sip.NewResponse(180)), r.Respond(ok))
		return nil
	}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2")
		call := alice.Invite(bobAlias, siptest.Header(sip.RecordRoute, "<sip:10.0.0.9;lr>"))
		early := call.WantStatus(183)
		require.Equal(b, "v=0\r\n", early.Body())
		res := call.WantFinal(299)
		require.Equal(b, "SIP/2.0 299 Fine", startLine(res.Text()))
		require.Equal(b, "hello", res.Body())
		require.Equal(b, early.ToTag(), res.ToTag())
		require.Equal(b, "<sip:10.0.0.9;lr>", res.Get(sip.RecordRoute))
		b.wait()
		require.NoError(b, errs[0])
		require.ErrorIs(b, errs[1], sip.ErrReserved)
		require.NoError(b, errs[2])
		require.ErrorIs(b, errs[3], routing.ErrAnswered)
		require.ErrorIs(b, errs[4], routing.ErrAnswered)
		b.pass(time.Minute)
		require.Len(b, call.Responses(), 2)
	})
}

// A handler's return ends the handler, not the transaction: a relayed call is answered long after, and its ctx is alive until then.
func TestTransactionOutlivesItsHandler(t *testing.T) {
	var ctxs []context.Context
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		ctxs = append(ctxs, ctx)
		return toBob(ctx, r)
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(2*time.Minute))
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		b.pass(time.Minute)
		require.NoError(b, ctxs[0].Err())
		call.WantAnswer()
		call.Bye().WantStatus(200)
		b.pass(5 * time.Minute)
		require.Error(b, ctxs[0].Err(), "the transaction has ended")
	})
}

// Shutdown ends the ctx of every handler and waits for them; what is received then gets nothing.
func TestShutdownEndsHandlers(t *testing.T) {
	ended := make(chan error, 2)
	runBench(t, func(ctx context.Context, r *routing.Request) error {
		if r.Method() == sip.MESSAGE {
			res := r.Forward(ctx, routing.To(nobodys))
			ended <- res.Err
			return nil
		}
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{NoRetransmit: true})
		alice.Request(sip.MESSAGE, bobAlias)
		alice.Invite(bobAlias)
		b.pass(100 * time.Millisecond)
		require.NoError(b, b.server.Shutdown(b.Context()))
		require.Len(b, ended, 2)
		for range 2 {
			require.Error(b, <-ended)
		}
		before := len(b.flow().Only("proxy").Events())
		alice.Request(sip.MESSAGE, bobAlias)
		b.pass(time.Second)
		for _, e := range b.flow().Only("proxy").Events()[before:] {
			require.Equal(b, "proxy", e.To)
		}
	})
}

// A handler that does not listen to its ctx holds Shutdown up, which says so when its own ctx ends.
func TestShutdownWithADeafHandler(t *testing.T) {
	runBench(t, func(context.Context, *routing.Request) error {
		time.Sleep(10 * time.Second)
		return nil
	}, func(b *bench) {
		b.phone("alice", "10.0.0.2", siptest.PhoneOptions{NoRetransmit: true}).Request(sip.MESSAGE, bobAlias)
		b.pass(time.Second)
		short, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		require.ErrorIs(b, b.server.Shutdown(short), context.DeadlineExceeded)
		require.NoError(b, b.server.Shutdown(b.Context()))
	})
}

// A handler may ring by itself and send the call on then; and what it says after it has sent a request on ends that.
func TestRespondAroundRelay(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		if r.Method() == sip.MESSAGE {
			r.Relay(routing.To(bobsURI))
			time.Sleep(time.Second)
			return routing.Status(480)
		}
		if err := r.Respond(sip.NewResponse(182)); err != nil {
			return err
		}
		time.Sleep(time.Second)
		return r.Relay(routing.To(bobsURI))
	}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(180).After(time.Second).Respond(486))
		bob.On(sip.MESSAGE, siptest.After(2*time.Second).Respond(200))
		call := alice.Invite(bobAlias)
		call.WantStatus(182)
		call.WantStatus(180)
		call.WantFinal(486)
		exchange := alice.Request(sip.MESSAGE, bobAlias)
		exchange.WantStatus(480)
		b.pass(10 * time.Second)
		require.Len(b, exchange.Responses(), 1)
	})
}
