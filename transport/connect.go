package transport

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Connect returns a flow to hop. For UDP it chooses the socket: the one at via if that reaches hop, else the one at the
// address that the host's routing takes as the source for hop. For streams it returns a living connection to exactly
// hop, dialed or accepted, or dials one, from via's address if that reaches hop; all who want the same hop wait for the
// same dial. via may be zero. ctx ends only the waiting of this caller; a dial has [Config].DialTimeout.
//
// The errors, to be told with [errors.Is]: [ErrNoListener] (UDP), [ErrDialTimeout], [ErrTooManyConnections],
// [ErrUnsupported], [ErrClosed], ctx's, or what the kernel said.
func (l *Layer) Connect(ctx context.Context, hop Hop, via netip.AddrPort) (Flow, error) {
	hop.Addr, via = unmap(hop.Addr), unmap(via)
	switch {
	case l.closing.Load():
		return Flow{}, ErrClosed
	case !hop.Addr.IsValid() || hop.Addr.Port() == 0 || hop.Addr.Addr().IsUnspecified():
		return Flow{}, fmt.Errorf("transport: %v is not an address that can be reached", hop)
	case hop.Protocol == UDP:
		ls, err := l.listenerTo(hop, via)
		if err != nil {
			return Flow{}, err
		}
		return Flow{Protocol: UDP, Local: ls.Addr, Remote: hop.Addr}, nil
	case hop.Protocol != TCP:
		return Flow{}, fmt.Errorf("%w: %v", ErrUnsupported, hop.Protocol)
	case l.cfg.Receive == nil:
		return Flow{}, errNoReceive
	case l.cfg.NewSplitter == nil:
		return Flow{}, errNoSplitter
	}
	return l.connectStream(ctx, hop, via.Addr())
}

// ListenerFor returns the listener to name in Via and Record-Route of what is sent on f: the one that f came in on; for
// a connection that was dialed, the one of the same protocol at f's local address, else one from which f's remote
// address can be reached, so that a response finds a way when the connection has ended (RFC 3261 section 18.2.2). The
// flow need not be alive.
func (l *Layer) ListenerFor(f Flow) (Listener, bool) {
	if f.Protocol == UDP {
		if s := (*l.sockets.Load())[f.Local]; s != nil {
			return s.ls, true
		}
		return Listener{}, false
	}
	if c := l.conns.get(f); c != nil && c.acceptor != nil {
		return c.acceptor.ls, true
	}
	ls, fit := l.bestListener(f.Hop(), f.Local)
	return ls, fit != unfit
}

// listenerTo chooses the listener that hop is to be reached from.
func (l *Layer) listenerTo(hop Hop, via netip.AddrPort) (Listener, error) {
	ls, fit := l.bestListener(hop, via)
	switch fit {
	case unfit:
		return Listener{}, &NoListenerError{hop.Protocol, hop.Addr}
	case fitOneOfSeveral:
		if src := l.routes.source(l, hop.Addr); src.IsValid() {
			best, fit := l.bestListener(hop, netip.AddrPortFrom(src, 0))
			if fit == fitPreferred && best.Addr.Addr().IsLoopback() == ls.Addr.Addr().IsLoopback() {
				return best, nil
			}
		}
	}
	return ls, nil
}

// fit says how well a listener was chosen.
type fit int

const (
	unfit           fit = iota // there is none
	fitOneOfSeveral            // it would do, as others would
	fitOnly                    // it is the only one
	fitPreferred               // it has the address that was asked for
)

// bestListener chooses among the listeners that reach hop: the one at via, else one with via's IP address, else the
// first.
func (l *Layer) bestListener(hop Hop, via netip.AddrPort) (best Listener, _ fit) {
	const (
		any       = 1 + iota
		sameScope // loopback for loopback
		sameIP
		exact
	)
	rank, n := 0, 0
	for _, ls := range l.Listeners() {
		if ls.Protocol != hop.Protocol || !reaches(ls.Addr.Addr(), hop.Addr.Addr()) {
			continue
		}
		n++
		r := any
		switch {
		case ls.Addr == via:
			r = exact
		case ls.Addr.Addr() == via.Addr():
			r = sameIP
		case ls.Addr.Addr().IsLoopback() == hop.Addr.Addr().IsLoopback():
			r = sameScope
		}
		if r > rank {
			best, rank = ls, r
		}
	}
	switch {
	case n == 0:
		return best, unfit
	case rank >= sameIP:
		return best, fitPreferred
	case n == 1:
		return best, fitOnly
	}
	return best, fitOneOfSeveral
}

// reaches says whether what is sent from a socket at from can arrive at to. A loopback source never leaves the host, an
// IPv6 link-local one never the link.
func reaches(from, to netip.Addr) bool {
	switch {
	case !from.IsValid() || from.IsUnspecified() || from.Is4() != to.Is4():
		return false
	case from.IsLoopback():
		return to.IsLoopback()
	case from.Is6() && from.IsLinkLocalUnicast():
		return to.IsLinkLocalUnicast() && (to.Zone() == "" || to.Zone() == from.Zone())
	}
	return true
}

const (
	maxRoutes = 4096
	// routeLife is how long a change of the host's routes may go unseen.
	routeLife = 30 * time.Second
)

// routes remembers which source address the host takes for a destination.
type routes struct {
	mu sync.RWMutex
	m  map[netip.Addr]route
}

type route struct {
	source netip.Addr // invalid if there is none
	until  time.Duration
}

// source returns the source address for to, invalid if it cannot be known.
func (r *routes) source(l *Layer, to netip.AddrPort) netip.Addr {
	now := l.now()
	r.mu.RLock()
	rt, ok := r.m[to.Addr()]
	r.mu.RUnlock()
	if ok && now < rt.until {
		return rt.source
	}
	rt = route{until: now + routeLife}
	// connect(2) of a UDP socket asks the host's routing and sends nothing.
	if nc, err := l.cfg.Network.Dial(l.ctx, network("udp", to), "", to.String()); err == nil {
		if local, ok := addrPort(nc.LocalAddr()); ok {
			rt.source = local.Addr()
		}
		nc.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil || len(r.m) >= maxRoutes {
		r.m = make(map[netip.Addr]route)
	}
	r.m[to.Addr()] = rt
	return rt.source
}
