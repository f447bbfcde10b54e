package routing

import (
	"context"
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
	failed       *transaction.Client // one that failed, perhaps before it was known here
	onward       *onward             // where the copy may go if nobody answers
	cancelReason string
	cancelled    bool // with cancelReason; the client transaction may not be there yet
	heard        bool // something came back
	ended        bool // its outcome is known
	posted       bool // the loop of a Fork has its final outcome, or will get it
	answers      []answer
	stop         context.CancelFunc // ends a lookup or a dial that is under way; may be nil
	sending      bool               // the client transaction is being made
	breadth      int                // the Max-Breadth it was given
	timers       [2]*time.Timer
}

// answer is how a Fork edited a 2xx: its repetitions are edited alike.
type answer struct {
	tag  string // To tag, as a branch may fork downstream
	edit *sip.Patch
}

var _ transaction.ClientUser = (*branch)(nil)

// Response takes a response from the client transaction, on the goroutine of
// the reader that it came in on.
func (b *branch) Response(c *transaction.Client, m *sip.Message, f transport.Flow) {
	rc := b.rc
	if !hasSecondVia(m) {
		rc.server.counters.strayResponses.Add(1)
		if m.Status() >= 200 { // the transaction has ended by it, so the branch does
			b.fail(sip.StatusBadGateway, errNoVia)
		}
		return
	}
	rc.mu.Lock()
	b.client = c
	b.heard, b.onward = true, nil
	edit := b.editOf(m)
	posted := b.post(m.Status(), m, nil)
	rc.mu.Unlock()
	if !posted {
		rc.response(b, m, edit, false)
	}
}

var errNoVia = errors.New("routing: response without the Via of the caller")

// hasSecondVia: "If no Via header field values remain in the response, the
// response was meant for this element and MUST NOT be forwarded" (16.7 step 3).
func hasSecondVia(m *sip.Message) bool {
	n := 0
	for range m.Values(sip.Via) {
		if n++; n == 2 {
			return true
		}
	}
	return false
}

// Failed takes the end without a final response.
func (b *branch) Failed(c *transaction.Client, err error) {
	b.rc.mu.Lock()
	b.failed = c
	b.rc.mu.Unlock()
	if b.goOn() {
		return
	}
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

// onward is what a branch needs to go on to the next address of its target's
// name: "If the client transaction reports failure to send the request or a
// timeout from its state machine, the proxy continues to the next address in
// that ordered set" (16.6 step 7).
type onward struct {
	request *Request
	way     way
}

// keepWay keeps what is left of the way for as long as nobody has answered.
func (b *branch) keepWay(r *Request, w way) {
	b.rc.mu.Lock()
	defer b.rc.mu.Unlock()
	if !b.heard && !b.ended {
		b.onward = &onward{r, w}
	}
}

// goOn sends the copy to the next address, if there is one.
func (b *branch) goOn() bool {
	rc := b.rc
	rc.mu.Lock()
	next := b.onward
	b.onward = nil
	if b.ended || b.cancelled || next == nil {
		rc.mu.Unlock()
		return false
	}
	b.client = nil
	rc.mu.Unlock()
	return rc.server.background(func() {
		if err := next.request.sendOn(&rc.ctx, b, &next.way); err != nil {
			b.fail(sip.StatusServiceUnavailable, unreachable(err))
		}
	})
}

// editOf returns the edits of a 2xx that the loop of a Fork has seen; under the lock.
func (b *branch) editOf(m *sip.Message) *sip.Patch {
	if len(b.answers) == 0 || m.Status()/100 != 2 {
		return nil
	}
	for _, a := range b.answers {
		if a.tag == m.To().Tag {
			return a.edit
		}
	}
	return nil
}

// outcome is what the handler gets to see of the branch; under the lock.
func (b *branch) outcome(status int, m *sip.Message, err error) Response {
	out := Response{Status: status, Message: m, Err: err, done: status/100 == 2 || status >= 600}
	if b.target != nil {
		out.Target = *b.target
	}
	return out
}

// begin sends a copy of r in a client transaction. After an error there is
// none. A branch that was given up meanwhile is not sent.
func (b *branch) begin(out outbound, r *Request) error {
	rc := b.rc
	defer out.free(rc.server)
	rc.mu.Lock()
	if b.ended {
		rc.mu.Unlock()
		return nil
	}
	b.sending = true
	rc.mu.Unlock()
	c, err := rc.server.table.NewClient(out.flow, r.Method(), r.Message.CallID(), out.branch, out.text, b)
	rc.mu.Lock()
	b.sending = false
	if err == nil && b.failed != c {
		b.client = c
	}
	cancelNow := b.cancelled
	rc.mu.Unlock()
	if err != nil {
		return err
	}
	rc.server.counters.requestsForwarded.Add(1)
	if cancelNow {
		c.Cancel(b.cancelReason)
	}
	return nil
}

// cancel sends a CANCEL, if need be once the request is sent. A branch that was
// not sent yet ends. Only an INVITE is cancelled (RFC 3261 9.1).
func (b *branch) cancel(reason string) {
	rc := b.rc
	if !rc.invite {
		return
	}
	var c *transaction.Client
	rc.update(func() {
		b.cancelled, b.cancelReason = true, reason
		if c = b.client; c == nil && !b.sending {
			rc.endBranch(b, b.outcome(sip.StatusRequestTerminated, nil, ErrCancelled))
			rc.settle()
		}
	})
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
	if d := b.target.NoAnswer; d > 0 {
		b.timers[1] = time.AfterFunc(d, func() { b.expired(true) })
	}
}

// stopWith has stop called when the branch ends.
func (b *branch) stopWith(stop context.CancelFunc) {
	b.rc.mu.Lock()
	defer b.rc.mu.Unlock()
	if b.stop = stop; b.ended {
		stop()
	}
}

func (b *branch) stopTimers() {
	if b.stop != nil {
		b.stop()
		b.stop = nil
	}
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
	skip := b.ended || b.posted || onlyIfSilent && b.heard
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
