package transport

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// dial is one attempt to connect, for all who want it.
type dial struct {
	done chan struct{} // closed when flow or err is set
	flow Flow
	err  error
}

// connectStream returns a living connection to hop, or dials one. Two dials to the same hop never run at the same time.
func (l *Layer) connectStream(ctx context.Context, hop Hop, via netip.Addr) (Flow, error) {
	if c := l.conns.to(hop, via); c != nil {
		return c.flow, nil
	}
	d, c, err := l.join(hop, via)
	if c != nil || err != nil {
		if err != nil {
			return Flow{}, err
		}
		return c.flow, nil
	}
	select {
	case <-d.done:
		return d.flow, d.err
	case <-ctx.Done():
		return Flow{}, fmt.Errorf("transport: waiting for a connection to %v: %w", hop, context.Cause(ctx))
	}
}

// join returns the dial to hop that runs, or starts one; or the connection, if one has come to be meanwhile.
func (l *Layer) join(hop Hop, via netip.Addr) (*dial, *conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing.Load() {
		return nil, nil, ErrClosed
	}
	if d := l.dials[hop]; d != nil {
		return d, nil, nil
	}
	if c := l.conns.to(hop, via); c != nil { // a dial enters its connection before it leaves l.dials
		return nil, c, nil
	}
	if !reserve(&l.conns.dialed, l.cfg.MaxDialed) {
		l.counters.dialRefused.Add(1)
		return nil, nil, ErrTooManyConnections
	}
	d := &dial{done: make(chan struct{})}
	l.dials[hop] = d
	l.start(func() {
		d.flow, d.err = l.dial(hop, via)
		if d.err != nil {
			l.conns.dialed.Add(-1)
		}
		l.mu.Lock()
		delete(l.dials, hop)
		l.mu.Unlock()
		close(d.done)
	})
	return d, nil, nil
}

// dial connects to hop. No caller's context ends it: others may be waiting, and who comes next will want the
// connection.
func (l *Layer) dial(hop Hop, via netip.Addr) (Flow, error) {
	ctx, cancel := context.WithTimeoutCause(l.ctx, l.cfg.DialTimeout, ErrDialTimeout)
	defer cancel()
	local := ""
	if reaches(via, hop.Addr.Addr()) {
		local = netip.AddrPortFrom(via, 0).String()
	}
	nc, err := l.cfg.Network.Dial(ctx, network("tcp", hop.Addr), local, hop.Addr.String())
	if local != "" && errors.Is(err, syscall.EADDRNOTAVAIL) { // via is not this host's, as after a move
		nc, err = l.cfg.Network.Dial(ctx, network("tcp", hop.Addr), "", hop.Addr.String())
	}
	if err != nil {
		switch {
		case l.closing.Load():
			return Flow{}, ErrClosed
		case errors.Is(context.Cause(ctx), ErrDialTimeout):
			l.counters.dialTimeouts.Add(1)
			return Flow{}, fmt.Errorf("%w: %v", ErrDialTimeout, hop)
		}
		l.counters.dialErrors.Add(1)
		return Flow{}, fmt.Errorf("transport: connect to %v: %w", hop, err)
	}
	c, err := l.newConn(nc, hop.Protocol, nil)
	if err != nil {
		return Flow{}, err
	}
	l.counters.dialedOK.Add(1)
	return c.flow, nil
}
