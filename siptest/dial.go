package siptest

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
)

// dialing is a connection that is being opened: a SYN on its way, and what comes back.
type dialing struct {
	host     *Host
	from, to netip.AddrPort
	done     chan dialed // holds one

	given bool // under the network's lock: nobody waits any more
}

type dialed struct {
	conn *streamConn
	err  error
}

func (h *Host) dialStream(ctx context.Context, network string, from, to netip.AddrPort) (net.Conn, error) {
	n := h.net
	d := &dialing{host: h, from: from, to: to, done: make(chan dialed, 1)}
	n.mu.Lock()
	if from.Port() == 0 {
		d.from = netip.AddrPortFrom(from.Addr(), h.freePort(func(p uint16) bool {
			a := netip.AddrPortFrom(from.Addr(), p)
			return h.listeners[a] == nil && !slices.ContainsFunc(n.streams, func(s *Stream) bool { return s.client.local == a })
		}))
	}
	there := time.Duration(0)
	if peer := n.byAddr[to.Addr()]; peer != nil {
		there = n.link(h, peer).delay()
	}
	n.wire.at(time.Now().Add(there), h, d.arrive)
	n.mu.Unlock()

	var r dialed
	select {
	case r = <-d.done:
	case <-ctx.Done():
		d.giveUp()
		r.err = ctx.Err()
	}
	if r.err != nil {
		return nil, opError("dial", network, net.TCPAddrFromAddrPort(to), r.err)
	}
	return r.conn, nil
}

// arrive is the SYN at the other host. Where that cannot be reached it is sent again, as long as somebody waits.
func (d *dialing) arrive() {
	n := d.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if d.given {
		return
	}
	peer := n.byAddr[d.to.Addr()]
	if peer == nil || n.cutOff(d.host, peer) {
		n.wire.at(time.Now().Add(time.Second), d.host, d.arrive)
		return
	}
	result := dialed{err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	if l := lookup(peer.listeners, d.to); l != nil && len(l.backlog) < maxBacklog {
		s := n.connect(d.host, d.from, peer, d.to)
		l.put(s.server)
		result = dialed{conn: s.client}
	}
	n.wire.at(time.Now().Add(n.link(peer, d.host).delay()), peer, func() { d.finish(result) })
}

// finish is the answer, back at the host that dials.
func (d *dialing) finish(r dialed) {
	n := d.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if !d.given {
		d.done <- r
	} else if r.conn != nil {
		r.conn.shut()
	}
}

// giveUp makes whatever still comes end by itself.
func (d *dialing) giveUp() {
	n := d.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	d.given = true
	select {
	case r := <-d.done: // it came in the last moment
		if r.conn != nil {
			r.conn.shut()
		}
	default:
	}
}
