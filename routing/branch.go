package routing

import (
	"errors"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transaction"
	"github.com/goser-project/goser/transport"
)

// branch is one copy of a request on its way to a target: the user of one
// client transaction. Its fields are guarded by the response context's lock.
type branch struct {
	rc     *responseContext
	group  *group
	target *Target // nil once it has ended

	client       *transaction.Client
	cancelReason string
	cancelWanted bool // cancelled before the client transaction was there
	heard        bool // something came back
	ended        bool // its outcome is known
	timers       [2]*time.Timer
}

var _ transaction.ClientUser = (*branch)(nil)

// Response takes a response from the client transaction, on the goroutine of
// the reader that it came in on.
func (b *branch) Response(c *transaction.Client, m *sip.Message, f transport.Flow) {
	rc := b.rc
	rc.mu.Lock()
	b.client = c
	b.heard = true
	posted := b.post(m.Status(), m, nil)
	rc.mu.Unlock()
	if !posted {
		rc.response(b, m, nil, false)
	}
}

// Failed takes the end without a final response.
func (b *branch) Failed(c *transaction.Client, err error) {
	if errors.Is(err, transaction.ErrTimeout) {
		b.fail(sip.StatusRequestTimeout, ErrTimeout)
		return
	}
	b.fail(sip.StatusServiceUnavailable, unreachable(err))
}

// fail ends the branch with an outcome made here.
func (b *branch) fail(status int, err error) {
	b.rc.mu.Lock()
	posted := b.post(status, nil, err)
	b.rc.mu.Unlock()
	if !posted {
		b.rc.failed(b, status, err)
	}
}

// TimerC: "If the client transaction has received a provisional response, the
// proxy MUST generate a CANCEL request … If not, the proxy MUST behave as if
// the transaction received a 408" (16.8). Either way its outcome is a timeout.
func (b *branch) TimerC(*transaction.Client) { b.rc.giveUp(b, reasonTimeout) }

// Ended is nothing to us: what a branch holds went with its outcome.
func (b *branch) Ended(*transaction.Client) {}

// outcome is what the handler gets to see of the branch; under the lock.
func (b *branch) outcome(status int, m *sip.Message, err error) Response {
	out := Response{Status: status, Message: m, Err: err, done: status/100 == 2 || status >= 600}
	if b.target != nil {
		out.Target = *b.target
	}
	return out
}

// begin sends a copy of r in a client transaction. After an error there is none.
func (b *branch) begin(out outbound, r *Request) error {
	rc := b.rc
	c, err := rc.server.table.NewClient(out.flow, r.Method(), r.Message.CallID(), out.branch, out.text, b)
	if err != nil {
		return err
	}
	rc.server.counters.requestsForwarded.Add(1)
	rc.mu.Lock()
	b.client = c
	cancelNow := b.cancelWanted
	if !b.ended {
		b.startTimers()
	}
	rc.mu.Unlock()
	if cancelNow {
		c.Cancel(b.cancelReason)
	}
	return nil
}

// cancel sends a CANCEL, or sees to it that one is sent once the request is.
// Only an INVITE is cancelled (RFC 3261 9.1).
func (b *branch) cancel(reason string) {
	if !b.rc.invite {
		return
	}
	b.rc.mu.Lock()
	c := b.client
	if c == nil {
		b.cancelWanted, b.cancelReason = true, reason
	}
	b.rc.mu.Unlock()
	if c != nil {
		c.Cancel(reason)
	}
}

// startTimers starts the target's own time limits; under the lock.
func (b *branch) startTimers() {
	if b.target.Timeout == 0 && b.target.NoAnswer == 0 {
		return
	}
	if d := b.target.Timeout; d > 0 {
		b.timers[0] = time.AfterFunc(d, func() { b.expired(false) })
	}
	if d := b.target.NoAnswer; d > 0 && !b.heard {
		b.timers[1] = time.AfterFunc(d, func() { b.expired(true) })
	}
}

func (b *branch) stopTimers() {
	for i, t := range b.timers {
		if t != nil {
			t.Stop()
			b.timers[i] = nil
		}
	}
}

// expired is the end of a target's time limit.
func (b *branch) expired(onlyIfSilent bool) {
	b.rc.mu.Lock()
	skip := b.ended || onlyIfSilent && b.heard
	b.rc.mu.Unlock()
	if !skip {
		b.rc.giveUp(b, reasonTimeout)
	}
}

// unreachable wraps the cause of a transport error.
func unreachable(err error) error {
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	return &unreachableError{err}
}

type unreachableError struct{ cause error }

func (e *unreachableError) Error() string        { return ErrUnreachable.Error() + ": " + e.cause.Error() }
func (e *unreachableError) Is(target error) bool { return target == ErrUnreachable }
func (e *unreachableError) Unwrap() error        { return e.cause }
