package transport

import (
	"errors"
	"net"
)

// acceptor accepts connections.
type acceptor struct {
	layer *Layer
	ls    Listener
	ln    net.Listener
}

// newAcceptor makes an acceptor of ln, or closes it.
func (l *Layer) newAcceptor(ln net.Listener, advertise string) (*acceptor, error) {
	ls, err := l.newListener(TCP, ln.Addr(), advertise)
	if err != nil {
		ln.Close()
		return nil, err
	}
	return &acceptor{l, ls, ln}, nil
}

func (a *acceptor) listener() Listener { return a.ls }
func (a *acceptor) Close() error       { return a.ln.Close() }

// serve accepts until the listener is closed. After other errors, of which too many open files is the usual one, it
// pauses, because they will come again at once.
func (a *acceptor) serve() {
	l := a.layer
	defer l.remove(a)
	var pause backoff
	for {
		nc, err := a.ln.Accept()
		if err == nil {
			pause.reset()
			a.accept(nc)
			continue
		}
		if errors.Is(err, net.ErrClosed) || l.closing.Load() {
			return
		}
		if l.counters.acceptErrors.Add(1) == 1 {
			l.cfg.Logger.Error("accepting connections fails; said once, then only counted", "listener", a.ls.String(), "error", err)
		}
		if !l.pause(pause.next()) {
			return
		}
	}
}

// accept takes nc on if the limits allow it.
func (a *acceptor) accept(nc net.Conn) {
	l := a.layer
	remote, ok := addrPort(nc.RemoteAddr())
	switch {
	case !ok: // gone already
		l.counters.acceptErrors.Add(1)
		nc.Close()
		return
	case !reserve(&l.conns.accepted, l.cfg.MaxAccepted):
		l.counters.refusedTotal.Add(1)
		refuse(nc)
		return
	case !l.sources.reserve(remote.Addr(), l.cfg.MaxPerSource):
		l.conns.accepted.Add(-1)
		l.counters.refusedSource.Add(1)
		refuse(nc)
		return
	}
	if _, err := l.newConn(nc, a.ls.Protocol, a); err != nil {
		l.conns.accepted.Add(-1)
		l.sources.release(remote.Addr())
		return
	}
	l.counters.accepted.Add(1)
}

// refuse resets nc: that leaves nothing behind in the kernel, where a closed connection stays in TIME-WAIT.
func refuse(nc net.Conn) {
	if t, ok := nc.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	nc.Close()
}
