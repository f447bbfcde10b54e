package routing

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transaction"
	"github.com/goser-project/goser/transport"
)

// responseContext is the response context of RFC 3261 16.7: what is known of
// one request's branches, and what has gone upstream. Events change it under
// the lock and leave actions; the goroutine that finds nobody performing
// performs them in order with the lock released. So responses leave in the
// order in which they were decided on, and nothing blocks under the lock.
type responseContext struct {
	server *Server
	tx     *transaction.Server
	ctx    requestContext // the handler's
	back   transport.Hop  // of a stream: where responses go if it is gone (18.2.2)
	invite bool

	mu         sync.Mutex
	request    *sip.Message // kept until the final response is decided
	branches   []*branch    // started and not ended
	started    int          // branches over the request's life
	best       candidate
	challenges []*sip.Message // 401s and 407s; their challenges go upstream together

	final     bool // a final response was decided, or the request was dropped
	callerOff bool // the caller sent CANCEL
	declined  bool // a 6xx came: no branch may follow
	relayed   bool // the handler has handed the request over
	ended     bool // the handler has returned

	queue      *actions // nil if there are none
	performing bool
}

// actions is a list of actions; it comes from the server's pool and goes back.
type actions struct{ list []action }

// candidate is a final response that may go upstream, best of its kind so far.
type candidate struct {
	status  int
	message *sip.Message // nil: made here
	edit    *sip.Patch   // of a Fork
}

// action is something to do once the lock is released.
type action struct {
	do      actionKind
	branch  *branch
	message *sip.Message  // relay: the response; answer: the request
	answer  *sip.Response // answer
	edit    *sip.Patch    // relay: edits, may be nil
	reason  string        // cancel
	group   *group        // wake
}

type actionKind uint8

const (
	doRelay      actionKind = iota // send a received response upstream
	doAnswer                       // send a response made here upstream
	doCancel                       // cancel a branch
	doWake                         // wake the handler that waits for a group
	doDrop                         // end the server transaction without an answer
	doEndContext                   // end the handler's ctx
)

// Reasons of the CANCELs that we send (RFC 3326).
const (
	reasonElsewhere = `SIP;cause=200;text="Call completed elsewhere"`
	reasonTimeout   = `SIP;cause=408;text="Request Timeout"`
	reasonDeclined  = `SIP;cause=603;text="Declined elsewhere"`
	reasonAnswered  = `SIP;cause=480;text="Answered by the proxy"`
)

func newResponseContext(s *Server, tx *transaction.Server, m *sip.Message) *responseContext {
	rc := &responseContext{server: s, tx: tx, request: m, invite: m.Method() == sip.INVITE}
	rc.ctx.server = s
	if p := tx.Flow().Protocol; p.Reliable() {
		via := m.Via()
		rc.back, _ = responseHop(&via, p) // none if the Via has no address
	}
	s.counters.contexts.Add(1)
	tx.SetData(rc)
	return rc
}

// update runs step under the lock and performs the actions that it leaves.
func (rc *responseContext) update(step func()) {
	rc.mu.Lock()
	step()
	rc.perform()
}

// perform is entered with the lock held and releases it.
func (rc *responseContext) perform() {
	if rc.performing {
		rc.mu.Unlock()
		return
	}
	rc.performing = true
	for rc.queue != nil {
		q := rc.queue
		rc.queue = nil
		rc.mu.Unlock()
		for i := range q.list {
			rc.act(&q.list[i])
		}
		clear(q.list)
		q.list = q.list[:0]
		rc.server.actions.Put(q)
		rc.mu.Lock()
	}
	rc.performing = false
	rc.mu.Unlock()
}

func (rc *responseContext) later(a action) {
	if rc.queue == nil {
		if rc.queue, _ = rc.server.actions.Get().(*actions); rc.queue == nil {
			rc.queue = &actions{list: make([]action, 0, 4)}
		}
	}
	rc.queue.list = append(rc.queue.list, a)
}

func (rc *responseContext) act(a *action) {
	switch a.do {
	case doRelay:
		rc.relay(a.message, a.edit)
	case doAnswer:
		rc.answer(a.message, a.answer)
	case doCancel:
		a.branch.cancel(a.reason)
	case doWake:
		a.group.wake()
	case doDrop:
		rc.tx.Drop()
	case doEndContext:
		rc.ctx.end(ErrCancelled)
	}
}

// --- events ---

// response is a response on a branch, as its client transaction passes it up.
// edit is what a Fork wants changed; dropped says that it takes the response away.
func (rc *responseContext) response(b *branch, m *sip.Message, edit *sip.Patch, dropped bool) {
	status := m.Status()
	rc.update(func() {
		switch {
		case status < 200:
			rc.provisional(b, m, edit, dropped)
		case status < 300:
			rc.success(b, m, edit)
		case dropped:
			rc.endBranch(b, b.outcome(status, m, nil))
			rc.settle()
		default:
			rc.failure(b, m, edit)
		}
	})
}

// provisional: "The proxy MUST forward … any provisional response other than
// 100 (Trying)" (16.7 step 5), as long as no final response has gone.
func (rc *responseContext) provisional(b *branch, m *sip.Message, edit *sip.Patch, dropped bool) {
	if m.Status() == sip.StatusTrying || rc.final || b.ended || dropped {
		return
	}
	rc.later(action{do: doRelay, message: m, edit: edit})
}

// success: every 2xx to an INVITE is forwarded at once, also after a final
// response (16.7 step 5); any other request gets only one final response.
func (rc *responseContext) success(b *branch, m *sip.Message, edit *sip.Patch) {
	if rc.invite || !rc.final {
		rc.later(action{do: doRelay, message: m, edit: edit})
	}
	rc.finish()
	rc.endBranch(b, b.outcome(m.Status(), m, nil))
	rc.releaseGroups(Response{Status: m.Status(), Message: m, done: true})
	rc.cancelBranches(reasonElsewhere)
}

// failure keeps a 3xx to 6xx, so that the best can go upstream once all
// branches have ended. A 6xx ends the others (16.7 step 5).
func (rc *responseContext) failure(b *branch, m *sip.Message, edit *sip.Patch) {
	if b.ended {
		return // it was given up before, and its outcome counted
	}
	status := m.Status()
	if status == sip.StatusUnauthorized || status == sip.StatusProxyAuthenticationRequired {
		rc.challenges = append(rc.challenges, m)
	}
	rc.consider(candidate{status: status, message: m, edit: edit})
	if status >= 600 {
		rc.declined = true
		rc.cancelBranches(reasonDeclined)
	}
	rc.endBranch(b, b.outcome(status, m, nil))
	rc.settle()
}

// failed is the end of a branch without a final response: 408, or 503 for a
// transport error (16.9).
func (rc *responseContext) failed(b *branch, status int, err error) {
	rc.update(func() {
		if b.ended {
			return
		}
		if err == ErrTimeout {
			rc.server.counters.branchTimeouts.Add(1)
		} else {
			rc.server.counters.branchErrors.Add(1)
		}
		rc.consider(candidate{status: status})
		rc.endBranch(b, b.outcome(status, nil, err))
		rc.settle()
	})
}

// giveUp ends a branch on time: the handler goes on, an INVITE is cancelled,
// and a 2xx that comes all the same is still forwarded.
func (rc *responseContext) giveUp(b *branch, reason string) {
	rc.update(func() {
		if b.ended || b.posted {
			return
		}
		rc.server.counters.branchTimeouts.Add(1)
		rc.later(action{do: doCancel, branch: b, reason: reason})
		if b.post(sip.StatusRequestTimeout, nil, ErrTimeout) {
			return
		}
		rc.consider(candidate{status: sip.StatusRequestTimeout})
		rc.endBranch(b, b.outcome(sip.StatusRequestTimeout, nil, ErrTimeout))
		rc.settle()
	})
}

// cancelled is a CANCEL from the caller (16.10): every pending branch is
// cancelled, and the caller gets his 487 when they have ended.
func (rc *responseContext) cancelled(reason string) {
	rc.update(func() {
		if rc.callerOff || rc.final {
			return
		}
		rc.callerOff = true
		rc.later(action{do: doEndContext})
		rc.releaseGroups(Response{Status: sip.StatusRequestTerminated, Err: ErrCancelled, done: true})
		rc.cancelBranches(reason)
		rc.settle()
	})
}

// respond is an answer made by the handler.
func (rc *responseContext) respond(res *sip.Response) (err error) {
	rc.update(func() {
		if rc.final {
			err = ErrAnswered
			return
		}
		rc.later(action{do: doAnswer, message: rc.request, answer: res})
		if res.Status >= 200 {
			rc.finish()
			rc.cancelBranches(reasonAnswered)
		}
	})
	return err
}

// refuse makes a final response of the engine's own the only candidate, for
// what holds for every branch: 483, 482, 440.
func (rc *responseContext) refuse(status int) {
	rc.update(func() {
		if !rc.final {
			rc.consider(candidate{status: status})
		}
	})
}

// handOver is Relay: the best response goes upstream as soon as all branches
// have ended, whatever the handler does.
func (rc *responseContext) handOver() {
	rc.update(func() {
		rc.relayed = true
		rc.settle()
	})
}

// returned is the return of the handler of m. Its error is no answer any more
// where one has gone; and none at all where the caller gave up or the server
// ends: then it is most likely the ctx's.
func (rc *responseContext) returned(m *sip.Message, err error) {
	if err != nil && (rc.givenUp() || errors.Is(err, context.Canceled) && rc.ctx.Err() != nil) {
		err = nil
	}
	var res *sip.Response
	if err != nil {
		res = rc.server.answerFor(m, err)
	}
	rc.update(func() {
		rc.ended = true
		switch {
		case rc.final:
		case err == nil || rc.callerOff:
			rc.settle()
		case res == nil:
			rc.finish()
			rc.later(action{do: doDrop})
			rc.cancelBranches(reasonAnswered)
		default:
			rc.finish()
			rc.later(action{do: doAnswer, message: m, answer: res})
			rc.cancelBranches(reasonAnswered)
		}
	})
}

// givenUp reports whether nobody waits for the handler any more.
func (rc *responseContext) givenUp() bool {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return rc.callerOff || rc.server.ctx.Err() != nil
}

// transactionEnded is the end of the server transaction.
func (rc *responseContext) transactionEnded(error) {
	rc.update(func() {
		rc.finish()
		rc.releaseGroups(Response{Status: sip.StatusRequestTimeout, Err: errTransactionEnded, done: true})
		rc.cancelBranches(reasonAnswered)
	})
	rc.ctx.end(errTransactionEnded)
}

// --- what follows from events; all under the lock ---

// endBranch takes b out of the pending ones and gives its group the outcome.
func (rc *responseContext) endBranch(b *branch, out Response) {
	if b.ended {
		return
	}
	b.ended = true
	b.stopTimers()
	if i := slices.Index(rc.branches, b); i >= 0 {
		rc.branches = slices.Delete(rc.branches, i, i+1)
	}
	g := b.group
	b.group, b.target, b.onward = nil, nil, nil // a waiting transaction keeps b alive
	if g != nil && g.ended(out) {
		rc.later(action{do: doWake, group: g})
	}
}

func (rc *responseContext) cancelBranches(reason string) {
	for _, b := range rc.branches {
		rc.later(action{do: doCancel, branch: b, reason: reason})
	}
}

// releaseGroups lets every waiting handler go on: nothing is left to try.
func (rc *responseContext) releaseGroups(out Response) {
	for _, b := range rc.branches {
		if g := b.group; g != nil && g.decide(out) {
			rc.later(action{do: doWake, group: g})
		}
	}
}

// finish notes that the final response is decided. What was kept for it goes.
func (rc *responseContext) finish() {
	if rc.final {
		return
	}
	rc.final = true
	rc.request, rc.best, rc.challenges = nil, candidate{}, nil
	rc.server.counters.contexts.Add(-1)
}

// settle sends the best response once nothing can change it any more.
func (rc *responseContext) settle() {
	if rc.final || len(rc.branches) > 0 || !(rc.ended || rc.relayed || rc.callerOff) {
		return
	}
	request := rc.request
	best := rc.best
	var out action
	switch {
	case rc.callerOff && (best.message == nil || best.status != sip.StatusRequestTerminated):
		out = action{do: doAnswer, message: request, answer: sip.NewResponse(sip.StatusRequestTerminated)}
	case best.message != nil && best.status != sip.StatusServiceUnavailable:
		out = action{do: doRelay, message: best.message, edit: rc.withChallenges(best)}
	case best.status == sip.StatusRequestTimeout && !rc.invite && rc.server.ctx.Err() == nil:
		// RFC 4320 4.2: no 408 to a non-INVITE request, whose caller times out
		// by himself. The transaction stays until then, to absorb what he repeats.
		rc.finish()
		return
	default:
		out = action{do: doAnswer, message: request, answer: rc.localAnswer(best.status)}
	}
	rc.finish()
	rc.later(out)
}

// localAnswer is the final response for an outcome without a message.
func (rc *responseContext) localAnswer(status int) *sip.Response {
	switch {
	case rc.server.ctx.Err() != nil:
		return sip.NewResponse(sip.StatusServiceUnavailable) // we are shutting down
	case status == 0:
		rc.server.counters.unanswered.Add(1)
		status = sip.StatusServerInternalError
	case status == sip.StatusServiceUnavailable:
		// 16.7 step 6: a 503 concerns our next hop, not us: it becomes a 500.
		status = sip.StatusServerInternalError
	}
	return sip.NewResponse(status)
}

// withChallenges adds the challenges of all 401 and 407 responses to the one
// that goes upstream (16.7 step 7).
func (rc *responseContext) withChallenges(best candidate) *sip.Patch {
	if best.status != sip.StatusUnauthorized && best.status != sip.StatusProxyAuthenticationRequired || len(rc.challenges) < 2 {
		return best.edit
	}
	var p sip.Patch
	for _, m := range rc.challenges {
		if m == best.message {
			continue
		}
		for _, name := range [...]string{sip.WWWAuthenticate, sip.ProxyAuthenticate} {
			for v := range m.Lines(name) {
				p.Add(name, v)
			}
		}
	}
	if best.edit != nil {
		p.Append(best.edit)
	}
	return &p
}

// --- performing; without the lock ---

// relay sends a received response upstream: our Via goes, edits follow.
func (rc *responseContext) relay(m *sip.Message, edit *sip.Patch) {
	sc := rc.server.takeScratch()
	defer rc.server.putScratch(sc)
	p := &sc.patch
	p.RemoveFirst(sip.Via)
	if edit != nil {
		p.Append(edit)
		if p.Err() != nil {
			rc.server.counters.badEdits.Add(1)
			p.Reset()
			p.RemoveFirst(sip.Via)
		}
	}
	sc.text = sip.AppendMessage(sc.text[:0], m, p)
	rc.send(m.Status(), sc.text)
}

// answer sends a response made here upstream.
func (rc *responseContext) answer(request *sip.Message, res *sip.Response) {
	sc := rc.server.takeScratch()
	defer rc.server.putScratch(sc)
	sc.text = sip.AppendResponse(sc.text[:0], request, res, rc.server.toTag(request))
	rc.send(res.Status, sc.text)
}

// send hands a response to the server transaction. A 2xx that the transaction
// refuses, as another final response has gone or it has ended, goes to the
// transport directly (16.7 step 10). b is not kept.
func (rc *responseContext) send(status int, b []byte) {
	rc.server.counters.responsesSent.Add(1)
	err := rc.respondOn(status, b)
	if status >= 200 && errors.Is(err, transaction.ErrTransport) && rc.back.Addr.IsValid() {
		b = bytes.Clone(b)
		rc.server.background(func() { rc.reconnect(status, b) })
	}
}

// respondOn gives a response to the transaction, or to the transport.
func (rc *responseContext) respondOn(status int, b []byte) error {
	err := rc.tx.Respond(status, b)
	if err != nil && rc.invite && status/100 == 2 && !errors.Is(err, transaction.ErrTransport) {
		if err = rc.server.layer.Send(rc.tx.Flow(), b); err != nil {
			err = transaction.ErrTransport
		}
	}
	return err
}

// reconnect sends a final response over a new connection to where the Via
// points, when the one that the request came on is gone (RFC 3261 18.2.2).
func (rc *responseContext) reconnect(status int, b []byte) {
	ctx, cancel := context.WithTimeout(rc.server.ctx, responseGrace)
	defer cancel()
	f, err := rc.server.layer.Connect(ctx, rc.back, rc.tx.Flow().Local)
	if err != nil {
		return
	}
	rc.tx.SetFlow(f)
	if err := rc.respondOn(status, b); err != nil {
		rc.server.counters.branchErrors.Add(1)
	}
}
