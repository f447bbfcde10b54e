package routing

import (
	"context"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// A Handler decides what happens to a request. It may block: socket readers do
// not wait for it (see the package documentation for how long they may be kept
// by one that was always quick). Its ctx ends on CANCEL, when the transaction
// ends, or on shutdown.
//
// Returning nil means: the best response so far goes upstream once every
// branch has ended. An error that has a SIPStatus() int method is the answer;
// if it also has a SIPResponse() *sip.Response method, that is the answer in
// full. Any other error is logged once, counted, and becomes a 500 that leaks
// no text. [ErrDrop] ends the transaction without an answer.
type Handler interface {
	ServeSIP(ctx context.Context, r *Request) error
}

// HandlerFunc makes a Handler of a function.
type HandlerFunc func(ctx context.Context, r *Request) error

// ServeSIP calls f.
func (f HandlerFunc) ServeSIP(ctx context.Context, r *Request) error { return f(ctx, r) }

// Middleware wraps a handler for a cross-cutting concern.
type Middleware func(Handler) Handler

// Chain wraps h so that the first middleware sees a request first.
func Chain(h Handler, middleware ...Middleware) Handler {
	for i := len(middleware) - 1; i >= 0; i-- {
		h = middleware[i](h)
	}
	return h
}

// Methods is a handler that chooses by method. A method without an entry goes
// to the entry "", and without that entry is answered 405 with Allow. It must
// not be changed once it serves.
type Methods map[sip.Method]Handler

// ServeSIP passes r to the handler of its method.
func (m Methods) ServeSIP(ctx context.Context, r *Request) error {
	h := m[r.Method()]
	if h == nil {
		h = m[""]
	}
	if h == nil {
		return methodNotAllowed(m)
	}
	return h.ServeSIP(ctx, r)
}

// Responder answers one request by itself, as a registrar does. It is declared
// here as components do not import this package. A nil response with a nil
// error means that nothing is answered.
type Responder interface {
	Answer(ctx context.Context, req *sip.Message, from transport.Flow) (*sip.Response, error)
}

// Answer makes a handler of a Responder. Its errors are treated as a handler's.
// It is not asked about merged requests, which are answered 482.
func Answer(a Responder) Handler {
	return HandlerFunc(func(ctx context.Context, r *Request) error {
		if r.Merged() {
			return Status(sip.StatusLoopDetected)
		}
		res, err := a.Answer(ctx, r.Message, r.Flow())
		if err != nil {
			return err
		}
		if res == nil {
			return ErrDrop
		}
		return r.Respond(res)
	})
}
