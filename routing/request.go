package routing

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transaction"
	"github.com/goser-project/goser/transport"
)

// A Request is a received request on its way through a handler. Its methods
// are for the handler's goroutine; what they return may be kept.
type Request struct {
	// Message is the request as it was received. It never changes; what the
	// handler wants changed goes into Edit or a Target.
	Message *sip.Message

	server *Server
	flow   transport.Flow
	tx     *transaction.Server
	rc     *responseContext // nil for ACKs and what is stateless

	uri        sip.URI      // where the request goes: the Request-URI after 16.4
	uriChanged bool         // by 16.4
	ownRoutes  int          // topmost Route values that name us
	strict     *strictRoute // if a strict router sent it here; rare
	outgoing   int          // listener that the removed Record-Route names for the way out, or -1

	own         bool       // made by Do, not received
	edit        *sip.Patch // nil until somebody wants it
	recordRoute bool
	loopKey     uint64          // see loopHash; 0 until it is needed
	turn        atomic.Int32    // noTurn, hasTurn, passedOn
	reading     *reading        // of a handler that runs on its reader's goroutine
	waited      atomic.Bool     // it has waited in one of our methods
	ctx         *requestContext // the response context's, where there is one
}

func newRequest(s *Server, tx *transaction.Server, m *sip.Message, f transport.Flow) *Request {
	var r *Request
	if tx == nil {
		both := new(struct { // one allocation
			Request
			ctx requestContext
		})
		both.ctx.server = s
		r, both.Request.ctx = &both.Request, &both.ctx
	} else {
		r = new(Request)
		r.tx, r.rc = tx, newResponseContext(s, tx, m)
		r.ctx = &r.rc.ctx
	}
	r.Message, r.server, r.flow, r.uri, r.outgoing = m, s, f, m.RequestURI(), -1
	return r
}

// Method returns the request's method.
func (r *Request) Method() sip.Method { return r.Message.Method() }

// Flow returns the flow on which the request came.
func (r *Request) Flow() transport.Flow { return r.flow }

// Server returns the server that received the request.
func (r *Request) Server() *Server { return r.server }

// Context returns the request's context: it ends on CANCEL, when the
// transaction ends, or on shutdown. It is the ctx that the handler gets.
func (r *Request) Context() context.Context { return r.ctx }

// URI returns where the request goes: its Request-URI, or what stands for it
// after route preprocessing (RFC 3261 16.4) when a strict router sent it or
// its maddr names us.
func (r *Request) URI() sip.URI { return r.uri }

// InDialog reports whether the request has a To tag, as all requests inside a
// dialog have. A caller can invent one: it says how to route, not whom to trust.
func (r *Request) InDialog() bool { return r.Message.To().Tag != "" }

// RecordRoute puts the server into the route set of the dialog that the
// request creates (RFC 3261 16.6 step 4): the next Forward, Relay and Fork add
// Record-Route, twice where the request leaves from another socket than it
// came to.
func (r *Request) RecordRoute() { r.recordRoute = true }

// Edit returns the edits for all branches that are started after it. They run
// after the engine's own changes: what they set is what leaves.
func (r *Request) Edit() *sip.Patch {
	if r.edit == nil {
		r.edit = new(sip.Patch)
	}
	return r.edit
}

// CheckRequire returns an error that is answered 420 if the request requires an
// option that is not in supported (RFC 3261 8.2.2.3). It is for requests that
// the handler answers itself; a proxy does not look at Require.
func (r *Request) CheckRequire(supported ...string) error {
	return unsupported(r.Message, sip.Require, supported)
}

// Respond answers the request, provisionally or finally. The engine adds what
// identifies the response: Via, From, To with a tag, Call-ID, CSeq. It fails
// with ErrAnswered after a final response, and with the response's own error
// if one of its setters refused a value; nothing is sent then. A final answer
// cancels the branches that are still pending. A merged request (see Merged) is
// answered 482 in place of a success.
func (r *Request) Respond(res *sip.Response) error {
	if err := res.Err(); err != nil {
		return err
	}
	if res.Status < 300 && r.Merged() {
		res = sip.NewResponse(sip.StatusLoopDetected)
	}
	if res.Status >= 200 {
		defer r.pass()
	}
	switch {
	case r.rc != nil:
		return r.rc.respond(res)
	case r.Method() == sip.ACK:
		return nil // RFC 3261 17: an ACK is never answered
	}
	r.server.respondStateless(r.flow, r.Message, res)
	return nil
}

// Merged reports whether the request came here before on another path, as when
// somebody upstream forked it, and that one is still alive (RFC 3261 8.2.2.2). A
// proxy forwards both; who answers requests answers one.
func (r *Request) Merged() bool { return r.tx != nil && r.tx.Merged() }

// refuse answers for the engine, before or instead of the handler.
func (r *Request) refuse(res *sip.Response) {
	if err := r.Respond(res); err != nil {
		r.server.counters.badEdits.Add(1)
	}
	if r.Method() == sip.ACK {
		r.server.counters.strayACKs.Add(1)
	}
}

// A request has its turn in the order of its call once others may have to wait
// for it: from the start if its handler has a goroutine of its own, else when
// it leaves the reader's.
const (
	noTurn int32 = iota
	hasTurn
	passedOn
)

// takeTurn enters the request into the order of its call. The caller sees to
// it that nothing later of the call is read before.
func (r *Request) takeTurn() {
	if r.turn.Load() == noTurn && r.server.order.claim(r) && !r.turn.CompareAndSwap(noTurn, hasTurn) {
		r.server.passOn(r) // it was passed on meanwhile
	}
}

// pass lets the next request of the call start. It happens once: when the
// request has been sent on, was answered, or its handler returned.
func (r *Request) pass() {
	if r.turn.CompareAndSwap(noTurn, passedOn) {
		return
	}
	if r.turn.CompareAndSwap(hasTurn, passedOn) {
		r.server.passOn(r)
	}
}

func (r *Request) turnKey() turnKey { return turnKey{r.flow, r.Message.CallID()} }

// returned does what a handler's return says.
func (r *Request) returned(err error) {
	if r.rc != nil {
		r.rc.returned(r.Message, err)
		return
	}
	// Without a transaction there is nothing to settle but the answer.
	defer r.ctx.end(errTransactionEnded)
	if err == nil {
		return
	}
	if r.Method() == sip.ACK {
		r.server.counters.strayACKs.Add(1)
		return
	}
	if res := r.server.answerFor(r.Message, err); res != nil {
		r.server.respondStateless(r.flow, r.Message, res)
	}
}

// answerFor turns a handler's error into the response for it, or nil for
// ErrDrop; it counts, and logs what is no answer.
func (s *Server) answerFor(m *sip.Message, err error) *sip.Response {
	if errors.Is(err, ErrDrop) {
		s.counters.dropped.Add(1)
		return nil
	}
	if res := answerOf(err); res != nil {
		if res.Err() == nil {
			return res
		}
		s.counters.badEdits.Add(1)
		err = res.Err()
	}
	if err != errPanic {
		s.counters.handlerErrors.Add(1)
		s.logError("handler failed", "method", string(m.Method()), "call-id", m.CallID(), "error", err)
	}
	return sip.NewResponse(sip.StatusServerInternalError)
}
