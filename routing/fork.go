package routing

import (
	"context"
	"iter"
	"slices"
	"strings"

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
// of it leaves the rest to the engine. Repetitions of a 2xx are edited as it
// was; the 2xx of another branch that came too late to be cancelled is relayed
// as it came.
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
		for _, t := range targets {
			g.tried = append(g.tried, t.URI)
		}
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
	if g == nil || g.mail == nil || g.mail.closed || b.ended {
		return false
	}
	if status >= 200 {
		b.posted = true
		b.stopTimers()
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
		case <-r.server.ctx.Done():
			r.rc.abandon(g, ErrServerClosed)
			return
		}
		letters := r.rc.takeLetters(g, false)
		for i, f := range letters {
			more := r.rc.hasEnded(f.branch) || yield(f)
			r.dealWith(ctx, g, f)
			if !more || g.isDone() {
				r.rc.returnLetters(g, letters[i+1:])
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

// hasEnded reports whether b's outcome is known, so that what comes is a
// repetition, or an answer to its CANCEL.
func (rc *responseContext) hasEnded(b *branch) bool {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return b.ended
}

// isDone reports whether the group is decided.
func (g *group) isDone() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}

// returnLetters puts letters that were not read back before those that came since.
func (rc *responseContext) returnLetters(g *group, letters []*ForkResponse) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	g.mail.letters = append(slices.Clone(letters), g.mail.letters...)
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
	rc, b := r.rc, f.branch
	if added := rc.newTargets(g, f); len(added) > 0 {
		rc.mu.Lock()
		b.breadth = 0 // what it was given goes to those in its place
		rc.mu.Unlock()
		if _, ok := r.launch(ctx, g, added); ok {
			f.dropped = true
		}
	}
	if f.Message == nil {
		rc.failed(b, f.Status, f.Err)
		return
	}
	var edit *sip.Patch
	if !f.edit.IsZero() || f.edit.Err() != nil {
		edit = &f.edit
		if f.Status/100 == 2 {
			rc.mu.Lock()
			b.answers = append(b.answers, answer{strings.Clone(f.Message.To().Tag), edit})
			rc.mu.Unlock()
		}
	}
	rc.response(b, f.Message, edit, f.dropped)
}

// newTargets are what a loop added in place of a failure, without what was
// tried before: "any given URI MUST NOT be added to the set more than once"
// (16.5), else a redirect to oneself would not end.
func (rc *responseContext) newTargets(g *group, f *ForkResponse) (added []Target) {
	if f.Status < 300 || f.Status >= 600 {
		return nil
	}
	for _, t := range f.added {
		same := func(u sip.URI) bool { return u.Equal(t.URI) }
		if t.URI.IsZero() || !t.Flow.IsZero() || t.Route != "" || !slices.ContainsFunc(g.tried, same) {
			added = append(added, t)
			g.tried = append(g.tried, t.URI)
		}
	}
	return added
}
