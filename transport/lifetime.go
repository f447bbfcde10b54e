package transport

import (
	"context"
	"sync/atomic"
	"time"
)

// group counts the goroutines of a Layer. The Layer itself is a member until Shutdown, so that the count reaches zero
// only once.
type group struct {
	n    atomic.Int64
	done chan struct{} // closed when the last member has left
}

// add is for members, which know that the count is not zero.
func (g *group) add() { g.n.Add(1) }

func (g *group) leave() {
	if g.n.Add(-1) == 0 {
		close(g.done)
	}
}

// start runs f as a member. The caller is one, or holds l.mu and saw that the Layer is not closing.
func (l *Layer) start(f func()) {
	l.group.add()
	go func() {
		defer l.group.leave()
		f()
	}()
}

// now is the time since the Layer was made, on the monotonic clock.
func (l *Layer) now() time.Duration { return time.Since(l.epoch) }

// pause waits for d, or less when the Layer is shut down; then it returns false.
func (l *Layer) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// backoff is the pause after errors that come one after the other: 5 ms, doubled up to 1 s.
type backoff time.Duration

func (b *backoff) next() time.Duration {
	*b = min(max(2**b, backoff(5*time.Millisecond)), backoff(time.Second))
	return time.Duration(*b)
}

func (b *backoff) reset() { *b = 0 }

// Shutdown ends the Layer: it closes the listeners and sockets, drops what still comes in, writes what [Layer.Send] has
// accepted, closes the connections, calls Closed for each, and waits until all its goroutines, those of detached
// Receives too, have ended; then it returns nil. When ctx ends first, what is left is closed as it is, and the error is
// ctx's; a Receive that blocks may then still run. From the start of Shutdown on, all methods that need a socket fail
// with [ErrClosed]. A second Shutdown waits too. It must not be called from Receive, Opened or Closed, for it would
// wait for itself.
func (l *Layer) Shutdown(ctx context.Context) error {
	l.mu.Lock()
	first := !l.closing.Swap(true)
	endpoints := l.endpoints
	l.mu.Unlock()
	if first {
		l.cancel() // dials and pauses
		for _, e := range endpoints {
			e.Close()
		}
		l.conns.each(func(c *conn) { c.drain(ErrClosed) })
		l.group.leave()
	}
	select {
	case <-l.group.done:
		return nil
	default:
	}
	select {
	case <-l.group.done:
		return nil
	case <-ctx.Done():
	}
	l.conns.each(func(c *conn) { c.fail(ErrClosed) })
	return ctx.Err()
}
