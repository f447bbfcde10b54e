package routing

import (
	"context"
	"slices"

	"github.com/goser-project/goser/sip"
)

// group is the branches that one Forward, Relay or Fork started. It is guarded
// by the response context's lock, besides its channels.
type group struct {
	pending int      // branches that have not ended
	best    Response // the outcome so far
	decided bool
	done    chan struct{} // closed by wake; nil for Relay

	mail  *mailbox  // of a Fork
	tried []sip.URI // of a Fork: its targets so far, for its handler's goroutine
}

// ended takes the outcome of one branch and reports whether the group is
// decided by it.
func (g *group) ended(out Response) bool {
	g.pending--
	if !g.decided && (g.best.Status == 0 || g.better(out)) {
		g.best = out
	}
	if out.Status/100 == 2 || g.pending == 0 {
		return g.decide(g.best)
	}
	return false
}

// better reports whether out is a better outcome than the best one so far.
func (g *group) better(out Response) bool {
	if out.Status/100 == 2 || g.best.Status/100 == 2 {
		return out.Status/100 == 2 && g.best.Status/100 != 2
	}
	return rank(candidate{status: out.Status, message: out.Message}, false) <
		rank(candidate{status: g.best.Status, message: g.best.Message}, false)
}

// decide fixes the outcome and reports whether it was open before.
func (g *group) decide(out Response) bool {
	if g.decided {
		return false
	}
	g.decided, g.best = true, out
	return true
}

func (g *group) wake() {
	if g.done != nil {
		close(g.done)
	}
}

// Forward sends the request to all targets in parallel and waits until one of
// them has accepted or all have failed; without targets it sends it on to where
// its Route and Request-URI point. Meanwhile the engine relays provisional
// responses, and every 2xx, upstream as they come; a 2xx or 6xx cancels the
// other branches. Other final responses are kept, so that the handler can try
// elsewhere: the best of all that were kept goes upstream when it returns nil.
//
// The Response is the best outcome of these targets. When ctx ends first, the
// branches are cancelled and the outcome is a 408 with ctx's error; a 2xx that
// still comes is relayed all the same. An ACK is sent on without waiting, and
// its Response has no status, only the error if it could not be sent.
func (r *Request) Forward(ctx context.Context, targets ...Target) Response {
	defer r.pass()
	if r.rc == nil {
		return r.forwardWithoutTransaction(targets)
	}
	g := &group{done: make(chan struct{})}
	if out, ok := r.launch(ctx, g, targets); !ok {
		return out
	}
	r.pass()
	r.detach()
	return r.await(ctx, g)
}

// Relay sends the request to all targets in parallel and returns without
// waiting for responses; without targets it sends it on to where its Route and
// Request-URI point. It is the last thing a handler does with a request: the
// best response goes upstream when all branches have ended, failures to send
// among them, and the error is nil. Only an ACK, or a request of a stateless
// server, that could not be sent gives an error, which is the answer.
func (r *Request) Relay(targets ...Target) error {
	defer r.pass()
	if r.rc == nil {
		return r.relayWithoutTransaction(targets)
	}
	r.launch(r.ctx, &group{}, targets)
	r.rc.handOver()
	return nil
}

// follow is the target of a request that goes where its Route and Request-URI
// point. It is never written to.
var follow = []Target{{}}

// launch starts a branch for each target. If nothing could be started it
// returns the outcome and false.
func (r *Request) launch(ctx context.Context, g *group, targets []Target) (Response, bool) {
	if len(targets) == 0 {
		targets = follow
	}
	if out, over := r.rc.nothingLeft(); over {
		return out, false
	}
	if ctx.Err() != nil {
		r.rc.refuse(sip.StatusRequestTimeout)
		return Response{Status: sip.StatusRequestTimeout, Err: context.Cause(ctx)}, false
	}
	breadth, refusal := r.checkForward(len(targets))
	if refusal != 0 {
		r.rc.refuse(refusal)
		return Response{Status: refusal, Err: Status(refusal), done: true}, false
	}
	own := slices.Clone(targets) // the caller may use his slice again
	branches := r.addBranches(g, own, breadth)
	if branches == nil {
		out, _ := r.rc.nothingLeft()
		return out, false
	}
	d := r.draft()
	if len(branches) == 1 {
		r.send(ctx, branches[0], &own[0], d)
		return Response{}, true
	}
	var quick []int
	for i, b := range branches {
		if !r.mayBlock(&own[i]) {
			quick = append(quick, i)
			continue
		}
		r.server.start(func() { r.send(ctx, b, &own[i], d) })
	}
	for _, i := range quick {
		r.send(ctx, branches[i], &own[i], d)
	}
	return Response{}, true
}

// draft is what the handler has asked for so far: branches that are written
// later, or on other goroutines, are written from it.
type draft struct {
	edit        *sip.Patch
	recordRoute bool
}

func (r *Request) draft() draft {
	r.loopHash() // before several goroutines want it
	d := draft{recordRoute: r.recordRoute}
	if r.edit != nil {
		d.edit = new(sip.Patch)
		d.edit.Append(r.edit)
	}
	return d
}

// addBranches enters one branch for each target, all or none. It keeps targets.
func (r *Request) addBranches(g *group, targets []Target, breadth int) []*branch {
	rc := r.rc
	branches := make([]*branch, len(targets))
	rc.mu.Lock()
	defer rc.mu.Unlock()
	if rc.callerOff || rc.final || rc.declined {
		return nil
	}
	for i := range targets {
		branches[i] = &branch{rc: rc, group: g, target: &targets[i], breadth: breadth}
		branches[i].startTimers()
	}
	rc.branches = append(rc.branches, branches...)
	rc.started += len(branches)
	g.pending += len(branches)
	return branches
}

// nothingLeft reports whether no branch may be added any more, with the outcome
// that this is.
func (rc *responseContext) nothingLeft() (Response, bool) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	switch {
	case rc.callerOff:
		return Response{Status: sip.StatusRequestTerminated, Err: ErrCancelled, done: true}, true
	case rc.final:
		return Response{Status: sip.StatusOK, Err: ErrAnswered, done: true}, true
	case rc.declined:
		return Response{Status: rc.best.status, Message: rc.best.message, done: true}, true
	}
	return Response{}, false
}

// await waits for the outcome of a group.
func (r *Request) await(ctx context.Context, g *group) Response {
	stop := r.server.ctx.Done()
	if own, ok := ctx.(*requestContext); !ok || own != r.ctx {
		stop = ctx.Done() // the request's own ctx ends with what wakes us anyway
	}
	select {
	case <-g.done:
	case <-stop:
		r.rc.abandon(g, context.Cause(ctx))
	case <-r.server.ctx.Done():
		r.rc.abandon(g, ErrServerClosed)
	}
	r.rc.mu.Lock()
	defer r.rc.mu.Unlock()
	return g.best
}

// abandon gives up the pending branches of a group that nobody waits for any
// more. If it was decided before, as by the caller's CANCEL or a 2xx elsewhere,
// they have been seen to.
func (rc *responseContext) abandon(g *group, cause error) {
	rc.update(func() {
		if !g.decide(Response{Status: sip.StatusRequestTimeout, Err: cause}) {
			return
		}
		for _, b := range slices.Clone(rc.branches) {
			if b.group == g {
				rc.later(action{do: doCancel, branch: b, reason: reasonTimeout})
				rc.consider(candidate{status: sip.StatusRequestTimeout})
				rc.endBranch(b, b.outcome(sip.StatusRequestTimeout, nil, cause))
			}
		}
		rc.settle()
	})
}
