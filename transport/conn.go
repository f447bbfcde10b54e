package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// conn is one connection. It ends in two steps: first it is ending, when it can no longer be found, sends nothing new
// and receives nothing, but still writes what is queued; then it is closed. Whoever sees a reason may start that; only
// the goroutine that reads the connection finishes it.
type conn struct {
	layer    *Layer
	flow     Flow
	nc       net.Conn
	raw      syscall.RawConn // nil if nc is not a socket of the operating system's
	acceptor *acceptor       // nil if we dialed
	sameHop  *conn           // guarded by the table's lock
	opened   time.Duration   // Layer.now then

	in  reader // belongs to the goroutine that reads
	out writer

	mu     sync.Mutex  // guards what follows and the queue of out
	ending atomic.Bool // set under mu
	closed bool
	cause  error // why it is ending
}

// newConn makes a connection of nc, for which the caller has reserved a place, and starts to read it. If it fails nc is
// closed.
func (l *Layer) newConn(nc net.Conn, p Protocol, a *acceptor) (*conn, error) {
	local, ok1 := addrPort(nc.LocalAddr())
	remote, ok2 := addrPort(nc.RemoteAddr())
	if !ok1 || !ok2 {
		nc.Close()
		return nil, errors.New("transport: connection without addresses")
	}
	c := &conn{
		layer:    l,
		flow:     Flow{p, local, remote, l.conns.lastID.Add(1)},
		nc:       nc,
		raw:      rawConn(nc),
		acceptor: a,
		opened:   l.now(),
	}
	c.in = reader{splitter: l.cfg.NewSplitter(), last: c.opened, first: a != nil, armed: forever, ready: c.readReady}
	c.out = writer{ready: c.writeReady}
	keepAlive(nc)
	if c.raw != nil && l.cfg.WriteTimeout < forever {
		setUserTimeout(c.raw, l.cfg.WriteTimeout)
	}
	if !l.conns.add(c, &l.closing) {
		nc.Close()
		return nil, ErrClosed
	}
	l.start(c.serve)
	return c, nil
}

func (c *conn) serve() {
	if opened := c.layer.cfg.Opened; opened != nil {
		opened(c.flow)
	}
	c.read()
}

// drain starts the end of c: it closes as soon as what is queued is written. It returns false if c is ending already.
func (c *conn) drain(cause error) bool {
	c.mu.Lock()
	first := c.end(cause)
	busy := c.out.busy
	c.mu.Unlock()
	if !first {
		return false
	}
	c.layer.conns.unlink(c)
	if !busy {
		c.fail(cause)
	}
	return true
}

// fail closes c at once. Only the cause that comes first counts.
func (c *conn) fail(cause error) {
	c.mu.Lock()
	first := c.end(cause)
	closed := c.closed
	c.closed = true
	var held []byte
	if !closed {
		if c.out.held {
			held = c.out.queue
		}
		c.out.drop(c.layer)
	}
	c.mu.Unlock()
	if first {
		c.layer.conns.unlink(c)
	}
	c.lost(held, 0, ErrFlowGone) // before the reader finishes, who tells of it
	if !closed {
		c.nc.Close()
	}
}

// end sets the cause. The caller holds mu.
func (c *conn) end(cause error) (first bool) {
	if c.ending.Load() {
		return false
	}
	c.cause = cause
	c.ending.Store(true)
	return true
}

// finish is the last thing that the reading goroutine does.
func (c *conn) finish(cause error) {
	l := c.layer
	c.writeHeld() // a peer that has ended its half may still read
	c.fail(cause)
	l.corks.tell(l)
	c.in.free(l)
	cause = c.verdict(cause)
	l.conns.forget(c)
	if c.acceptor != nil {
		l.conns.accepted.Add(-1)
		l.sources.release(c.flow.Remote.Addr())
	} else {
		l.conns.dialed.Add(-1)
	}
	l.counters.closed(cause)
	if closed := l.cfg.Closed; closed != nil {
		closed(c.flow, cause)
	}
}

// verdict returns the cause of the end of c, given what reading came to.
func (c *conn) verdict(reading error) error {
	c.mu.Lock()
	cause := c.cause
	c.mu.Unlock()
	if errors.Is(cause, syscall.EPIPE) && !errors.Is(reading, net.ErrClosed) {
		cause = reading // the kernel says once why it ended a connection; who writes after that gets EPIPE
	}
	if errors.Is(cause, syscall.ETIMEDOUT) {
		cause = fmt.Errorf("%w: %w", ErrWriteTimeout, cause)
	}
	return cause
}

// due returns when c has to be closed if nothing happens, and what the cause will be.
func (c *conn) due() (time.Duration, error) {
	cfg := &c.layer.cfg
	at, cause := max(c.in.last, time.Duration(c.out.last.Load()))+cfg.IdleTimeout, ErrIdle
	if t := c.in.since + cfg.MessageTimeout; c.in.partial && t < at {
		at, cause = t, ErrMessageTimeout
	}
	if t := c.opened + cfg.FirstMessageTimeout; c.in.first && t < at {
		at, cause = t, ErrFirstMessageTimeout
	}
	return at, cause
}
