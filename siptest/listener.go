package siptest

import (
	"net"
	"net/netip"
	"sync"
)

// maxBacklog is how many connections wait for Accept; further ones are refused.
const maxBacklog = 128

// listener is a net.Listener for streams.
type listener struct {
	host *Host
	at   netip.AddrPort
	addr *net.TCPAddr

	// Under the network's lock, which is the lock of cond.
	cond    sync.Cond
	backlog []*streamConn
	closed  bool
}

func newListener(h *Host, at netip.AddrPort) *listener {
	l := &listener{host: h, at: at, addr: net.TCPAddrFromAddrPort(at)}
	l.cond.L = &h.net.mu
	return l
}

// put adds a connection that was opened. The lock is held.
func (l *listener) put(c *streamConn) {
	l.backlog = append(l.backlog, c)
	l.cond.Signal()
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	l.cond.L.Lock()
	defer l.cond.L.Unlock()
	for !l.closed && len(l.backlog) == 0 {
		l.cond.Wait()
	}
	if l.closed {
		return nil, opError("accept", "tcp", l.addr, net.ErrClosed)
	}
	c := l.backlog[0]
	l.backlog = l.backlog[1:]
	return c, nil
}

// Close frees the address. Connections that nobody accepted are reset; accepted ones go on.
func (l *listener) Close() error {
	l.cond.L.Lock()
	defer l.cond.L.Unlock()
	if l.closed {
		return opError("close", "tcp", l.addr, net.ErrClosed)
	}
	l.shut()
	return nil
}

// shut closes with the lock held.
func (l *listener) shut() {
	l.closed = true
	delete(l.host.listeners, l.at)
	for _, c := range l.backlog {
		c.abort = true
		c.shut()
	}
	l.backlog = nil
	l.cond.Broadcast()
}

// Addr returns a *net.TCPAddr.
func (l *listener) Addr() net.Addr { return l.addr }
