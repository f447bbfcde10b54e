package routing

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transaction"
	"github.com/goser-project/goser/transport"
)

// Do sends a request of the server's own and waits for its final response:
// probes, keepalives, registrations to a trunk. The engine adds Via. The
// target's Timeout and NoAnswer, and ctx, end the wait; an INVITE is cancelled
// then. An ACK is sent without waiting. req is not changed.
//
// If nothing came back the Response is one made here (408, 503), and its Err
// tells why. Do does not send the ACK for a 2xx to an INVITE: it is the
// caller's, in the dialog that the 2xx made.
func (s *Server) Do(ctx context.Context, req *sip.Request, t Target) Response {
	s.init()
	m, err := req.Message()
	if err != nil {
		return Response{Status: sip.StatusServerInternalError, Target: t, Err: err}
	}
	r := &Request{Message: m, server: s, own: true, uri: m.RequestURI(), outgoing: -1}
	out, err := r.prepareWithin(ctx, &t)
	if err == nil && m.Method() == sip.ACK {
		err = s.layer.Send(out.flow, out.text)
	}
	defer out.free(s)
	if err != nil {
		return Response{Status: sip.StatusServiceUnavailable, Target: t, Err: unreachable(err)}
	}
	s.counters.requestsForwarded.Add(1)
	if m.Method() == sip.ACK {
		return Response{Target: t}
	}
	return s.await(ctx, m, &t, out)
}

// prepareWithin writes the copy, for no longer than the target has.
func (r *Request) prepareWithin(ctx context.Context, t *Target) (outbound, error) {
	limit := t.Timeout
	if t.NoAnswer > 0 && (limit == 0 || t.NoAnswer < limit) {
		limit = t.NoAnswer
	}
	if limit > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, limit)
		defer stop()
	}
	w, err := r.findWay(ctx, t, nil, 0, r.draft())
	if err != nil {
		return outbound{}, err
	}
	return r.prepare(ctx, &w)
}

// await sends a request in a client transaction and waits for its end.
func (s *Server) await(ctx context.Context, m *sip.Message, t *Target, out outbound) Response {
	w := &waiter{target: *t, result: make(chan Response, 1)}
	c, err := s.table.NewClient(out.flow, m.Method(), m.CallID(), out.branch, out.text, w)
	if err != nil {
		return Response{Status: sip.StatusServiceUnavailable, Target: *t, Err: unreachable(err)}
	}
	var timeout, silence <-chan time.Time
	if t.Timeout > 0 {
		timer := time.NewTimer(t.Timeout)
		defer timer.Stop()
		timeout = timer.C
	}
	if t.NoAnswer > 0 {
		timer := time.NewTimer(t.NoAnswer)
		defer timer.Stop()
		silence = timer.C
	}
	for {
		cause := ErrTimeout
		select {
		case res := <-w.result:
			return res
		case <-silence:
			silence = nil
			if w.heard.Load() {
				continue
			}
		case <-timeout:
		case <-ctx.Done():
			cause = context.Cause(ctx)
		case <-s.ctx.Done():
			cause = ErrServerClosed
		}
		if m.Method() == sip.INVITE {
			c.Cancel(reasonTimeout)
		}
		return Response{Status: sip.StatusRequestTimeout, Target: *t, Err: cause}
	}
}

// waiter is the user of a client transaction that Do waits for.
type waiter struct {
	target Target
	heard  atomic.Bool
	result chan Response // capacity 1: the first outcome counts
}

var _ transaction.ClientUser = (*waiter)(nil)

func (w *waiter) Response(_ *transaction.Client, m *sip.Message, _ transport.Flow) {
	w.heard.Store(true)
	if m.Status() >= 200 {
		w.put(Response{Status: m.Status(), Message: m, Target: w.target, done: m.Status()/100 == 2 || m.Status() >= 600})
	}
}

func (w *waiter) Failed(_ *transaction.Client, err error) {
	if errors.Is(err, transaction.ErrTimeout) {
		w.put(Response{Status: sip.StatusRequestTimeout, Target: w.target, Err: ErrTimeout})
		return
	}
	w.put(Response{Status: sip.StatusServiceUnavailable, Target: w.target, Err: unreachable(err)})
}

// TimerC is a proxy's; the caller of Do sets his own limits.
func (w *waiter) TimerC(*transaction.Client) {}
func (w *waiter) Ended(*transaction.Client)  {}

func (w *waiter) put(res Response) {
	select {
	case w.result <- res:
	default:
	}
}
