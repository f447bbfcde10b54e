package routing

import (
	"context"
	"sync"
	"time"
)

// requestContext is a handler's context. Most handlers never wait on it, so
// the real context, which costs allocations and a place in its parent, is made
// on first use only.
type requestContext struct {
	server *Server

	mu     sync.Mutex
	real   context.Context
	cancel context.CancelCauseFunc
	cause  error // set once it has ended
}

var _ context.Context = (*requestContext)(nil)

func (c *requestContext) context() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.real, c.cancel = context.WithCancelCause(c.server.ctx)
		if c.cause != nil {
			c.cancel(c.cause)
		}
	}
	return c.real
}

// end ends the context; context.Cause tells why.
func (c *requestContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return
	}
	c.cause = cause
	if c.cancel != nil {
		c.cancel(cause)
	}
}

func (c *requestContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *requestContext) Done() <-chan struct{}       { return c.context().Done() }
func (c *requestContext) Value(key any) any           { return c.context().Value(key) }

func (c *requestContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real != nil {
		return c.real.Err()
	}
	if c.cause != nil {
		return context.Canceled
	}
	return c.server.ctx.Err()
}
