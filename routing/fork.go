package routing

import (
	"context"
	"iter"

	"github.com/goser-project/goser/sip"
)

// ForkResponse is a response as a Fork yields it, before the engine deals with it.
type ForkResponse struct {
	Response

	branch  *branch
	edit    sip.Patch
	dropped bool
	added   []Target
}

// Edit returns the edits for the response's way upstream.
func (f *ForkResponse) Edit() *sip.Patch { return &f.edit }

// Drop takes the response away: a provisional one is not relayed, a failure is
// no candidate for the best response. A 2xx cannot be dropped.
func (f *ForkResponse) Drop() { f.dropped = true }

// Recurse adds targets to the fork in place of this failure, as for the
// contacts of a 3xx (RFC 3261 16.5). It does nothing to other responses.
func (f *ForkResponse) Recurse(targets ...Target) { f.added = append(f.added, targets...) }

// Fork is Forward that yields every response besides 100, and every outcome
// made here, before the engine relays it, keeps it or cancels other branches
// for it. The loop's body sees one response at a time, in the order in which
// they came, and may edit, drop or recurse. The loop ends when all branches
// have ended, one has accepted, the caller gave up or ctx ended; breaking out
// of it leaves the rest to the engine.
func (r *Request) Fork(ctx context.Context, targets ...Target) iter.Seq[*ForkResponse] {
	return func(yield func(*ForkResponse) bool) {
		defer r.pass()
		if r.rc == nil {
			if out := r.forwardWithoutTransaction(targets); out.Err != nil {
				yield(&ForkResponse{Response: out})
			}
			return
		}
		g := &group{done: make(chan struct{}), mail: &mailbox{posted: make(chan struct{}, 1)}}
		if out, ok := r.launch(ctx, g, targets); !ok {
			yield(&ForkResponse{Response: out})
			return
		}
		r.pass()
		r.detach()
		r.readMail(ctx, g, yield)
	}
}

// mailbox keeps the responses that the loop over a Fork has not looked at yet.
// It is guarded by the response context's lock.
type mailbox struct {
	letters []*ForkResponse
	posted  chan struct{} // capacity 1: posting never blocks
	closed  bool
}

// maxLetters bounds the provisional responses that a loop has not read.
const maxLetters = 256

// post puts a response before the loop of a Fork; false if there is none. It
// is called with the lock held.
func (b *branch) post(status int, m *sip.Message, err error) bool {
	g := b.group
	if g == nil || g.mail == nil || g.mail.closed {
		return false
	}
	if status == sip.StatusTrying {
		return true
	}
	if status < 200 && len(g.mail.letters) >= maxLetters {
		b.rc.server.counters.provisionalsDropped.Add(1)
		return true
	}
	g.mail.letters = append(g.mail.letters, &ForkResponse{Response: b.outcome(status, m, err), branch: b})
	select {
	case g.mail.posted <- struct{}{}:
	default:
	}
	return true
}

// readMail runs the loop, and at its end leaves the mailbox empty and closed.
func (r *Request) readMail(ctx context.Context, g *group, yield func(*ForkResponse) bool) {
	defer r.closeMail(g)
	for {
		select {
		case <-g.mail.posted:
		case <-g.done:
			return
		case <-ctx.Done():
			r.rc.abandon(g, context.Cause(ctx))
			return
		}
		for _, f := range r.rc.takeLetters(g, false) {
			more := yield(f)
			r.dealWith(ctx, g, f)
			if !more {
				return
			}
		}
	}
}

// takeLetters empties the mailbox; an empty one is closed if that is asked for.
func (rc *responseContext) takeLetters(g *group, closing bool) []*ForkResponse {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	letters := g.mail.letters
	g.mail.letters = nil
	g.mail.closed = closing && len(letters) == 0
	return letters
}

// closeMail deals with what the loop has not seen, in order, and closes the
// mailbox: later responses go to the engine directly.
func (r *Request) closeMail(g *group) {
	for {
		letters := r.rc.takeLetters(g, true)
		if len(letters) == 0 {
			return
		}
		for _, f := range letters {
			r.dealWith(r.ctx, g, f)
		}
	}
}

// dealWith gives the engine a response that the loop has seen.
func (r *Request) dealWith(ctx context.Context, g *group, f *ForkResponse) {
	if len(f.added) > 0 && f.Status >= 300 && f.Status < 600 {
		r.rc.mu.Lock()
		f.branch.breadth = 0 // what it was given goes to those in its place
		r.rc.mu.Unlock()
		if _, ok := r.launch(ctx, g, f.added); ok {
			f.dropped = true
		}
	}
	if f.Message == nil {
		r.rc.failed(f.branch, f.Status, f.Err)
		return
	}
	var edit *sip.Patch
	if !f.edit.IsZero() || f.edit.Err() != nil {
		edit = &f.edit
	}
	r.rc.response(f.branch, f.Message, edit, f.dropped)
}
