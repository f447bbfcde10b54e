package transport

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// flushPiece is how much is written with one deadline: a peer that is slow but takes a piece in time is no dead
	// one.
	flushPiece = 64 << 10
	// maxHeld is how much is held of a connection, and a message.
	maxHeld = 32 << 10
	// maxDirect is how many times a Send writes what others have queued meanwhile, before it leaves that to a
	// goroutine.
	maxDirect = 4
)

// writer is the sending half of a connection. Whoever sets busy writes, without the lock; others append to queue
// meanwhile. A Send that finds nobody writes by itself, as much as the socket takes; what is left becomes the queue,
// and a goroutine flushes it.
type writer struct {
	busy    bool   // guarded by conn.mu
	held    bool   // guarded by conn.mu: busy, as a reader will write the queue, see corks
	queue   []byte // guarded by conn.mu
	pending int    // guarded by conn.mu: len(queue) and what the flushing goroutine has still to write

	last atomic.Int64 // Layer.now of the last write

	// Of the one who is busy.
	ready func(fd uintptr) bool // conn.writeReady, bound once
	buf   []byte
	n     int
	err   error
}

// send writes or queues b.
func (c *conn) send(b []byte) error {
	if len(b) > c.layer.cfg.WriteQueue {
		return ErrTooLarge
	}
	now := c.layer.now()
	c.layer.corks.late(now)
	c.mu.Lock()
	if c.ending.Load() {
		c.mu.Unlock()
		return c.layer.gone()
	}
	if !c.out.busy && c.raw != nil {
		c.out.busy = true
		if !c.layer.corks.hold(c, now) {
			c.mu.Unlock()
			return c.sendDirect(b)
		}
		c.out.held = true
	}
	if c.out.held && c.out.pending > maxHeld {
		return c.sendUnheld(b)
	}
	err := c.enqueue(b)
	switch {
	case err != nil && c.out.held:
		return c.sendUnheld(b) // the peer is not to blame
	case err == nil && !c.out.busy:
		c.startFlush()
	}
	c.mu.Unlock()
	if err != nil {
		c.fail(err)
	}
	return err
}

// sendUnheld writes what is held of c, and then b. The caller holds mu, which it releases.
func (c *conn) sendUnheld(b []byte) error {
	if c.out.pending == 0 {
		c.out.held = false
		c.mu.Unlock()
		return c.sendDirect(b)
	}
	c.mu.Unlock()
	c.writeHeld()
	return c.send(b)
}

// enqueue appends b to the queue. The caller holds mu.
func (c *conn) enqueue(b []byte) error {
	cfg := &c.layer.cfg
	if c.out.pending+len(b) > cfg.WriteQueue {
		return ErrQueueFull
	}
	if !c.layer.counters.reserveQueue(len(b), cfg.MaxBuffered) {
		return ErrOverload
	}
	c.out.pending += len(b)
	c.out.queue = append(c.out.queue, b...)
	return nil
}

// startFlush starts the goroutine that writes the queue. The caller holds mu and knows that c is not closed, so that
// the goroutine that reads still runs and the group is not empty.
func (c *conn) startFlush() {
	c.out.busy = true
	c.layer.start(c.flush)
}

// sendDirect writes b, and then what was queued meanwhile, until the socket takes no more. The caller has made c busy.
func (c *conn) sendDirect(b []byte) error { return c.writeOut(b, 0) }

// writeHeld writes the queue of a connection that is held, which starts with a message. Corks may come for it once more.
func (c *conn) writeHeld() {
	c.mu.Lock()
	if !c.out.held || c.closed {
		c.mu.Unlock()
		return
	}
	c.out.held = false
	b := c.out.queue
	c.out.queue = nil
	c.mu.Unlock()
	c.writeOut(b, 1)
}

// writeOut does the rounds of sendDirect. In all but the first one b comes from the queue.
func (c *conn) writeOut(b []byte, round int) error {
	for ; ; round++ {
		n, err := c.tryWrite(b)
		if err != nil {
			gone := fmt.Errorf("%w: %w", ErrFlowGone, err)
			if round > 0 {
				c.lost(b, n, gone) // they were other ones' messages
				gone = nil
			}
			c.fail(err)
			return gone
		}
		c.mu.Lock()
		if round > 0 {
			c.settle(n)
		}
		rest := b[n:]
		switch {
		case c.closed:
			c.mu.Unlock()
			if round == 0 && len(rest) > 0 {
				return c.layer.gone()
			}
			return nil
		case len(rest) == 0 && len(c.out.queue) == 0:
			c.unbusy()
			return nil
		case len(rest) == 0 && round < maxDirect:
			b, c.out.queue = c.out.queue, nil
			c.mu.Unlock()
		default:
			if round == 0 {
				c.layer.counters.queued.Add(int64(len(rest)))
				c.out.pending += len(rest)
			}
			c.out.queue = slices.Insert(c.out.queue, 0, rest...)
			c.startFlush()
			c.mu.Unlock()
			return nil
		}
	}
}

// lost notes the messages that were held and not written; n bytes of them were.
func (c *conn) lost(b []byte, n int, err error) {
	if len(b) == 0 {
		return
	}
	splitter := c.layer.cfg.NewSplitter()
	for end := 0; end < len(b); {
		skip, size, bad := splitter.Split(b[end:])
		if bad != nil || size <= 0 || skip+size > len(b)-end {
			return
		}
		msg := b[end+skip : end+skip+size]
		if end += skip + size; end > n {
			c.layer.corks.failed(c.flow, msg, err)
		}
	}
}

// unbusy is called with mu held when all is written; it releases mu.
func (c *conn) unbusy() {
	c.out.busy = false
	ending := c.ending.Load()
	c.mu.Unlock()
	if ending {
		c.fail(ErrClosed) // the cause has been set before
	}
}

// tryWrite writes as much of b as the socket takes without waiting.
func (c *conn) tryWrite(b []byte) (int, error) {
	out := &c.out
	out.buf, out.n, out.err = b, 0, nil
	err := c.raw.Write(out.ready)
	if err == nil {
		err = out.err
	}
	out.buf = nil
	c.wrote(out.n)
	return out.n, err
}

// writeReady is called by the runtime with the socket. It never asks to wait.
func (c *conn) writeReady(fd uintptr) bool {
	out := &c.out
	for out.n < len(out.buf) {
		n, again, err := rawWrite(fd, out.buf[out.n:])
		if again || err != nil {
			out.err = err
			break
		}
		out.n += n
	}
	return true
}

// flush writes the queue until it is empty.
func (c *conn) flush() {
	deadline := false
	c.mu.Lock()
	for {
		switch {
		case c.closed:
			c.mu.Unlock()
			return
		case len(c.out.queue) > 0:
			b := c.out.queue
			c.out.queue = nil
			c.mu.Unlock()
			deadline = true
			if err := c.writeAll(b); err != nil {
				c.fail(err)
				return
			}
			c.mu.Lock()
		case deadline:
			// A deadline that passes would fail later writes that do not wait.
			c.mu.Unlock()
			c.nc.SetWriteDeadline(time.Time{})
			deadline = false
			c.mu.Lock()
		default:
			c.unbusy()
			return
		}
	}
}

// writeAll writes b, and waits for the peer as long as it takes something within each WriteTimeout.
func (c *conn) writeAll(b []byte) error {
	for len(b) > 0 {
		if t := c.layer.cfg.WriteTimeout; t < forever {
			c.nc.SetWriteDeadline(time.Now().Add(t))
		}
		n, err := c.nc.Write(b[:min(len(b), flushPiece)])
		b = b[n:]
		c.wrote(n)
		c.mu.Lock()
		c.settle(n)
		c.mu.Unlock()
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case n == 0:
			return ErrWriteTimeout
		}
	}
	return nil
}

// wrote notes that n bytes went out.
func (c *conn) wrote(n int) {
	if n > 0 {
		c.out.last.Store(int64(c.layer.now()))
		c.layer.counters.streamBytesOut.Add(uint64(n))
	}
}

// settle takes n written bytes off what is pending. The caller holds mu.
func (c *conn) settle(n int) {
	if !c.closed { // else drop has taken all
		c.out.pending -= n
		c.layer.counters.queued.Add(-int64(n))
	}
}

// drop forgets the queue. The caller holds mu.
func (out *writer) drop(l *Layer) {
	l.counters.queued.Add(-int64(out.pending))
	out.queue, out.pending = nil, 0
}
