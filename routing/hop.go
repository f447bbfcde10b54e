package routing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// A Resolver finds where the server that a URI names can be reached, in the
// order in which it is to be tried (RFC 3263). It is asked only for host
// names; addresses need no lookup. It may block; only the request that asks waits.
type Resolver interface {
	Resolve(ctx context.Context, uri sip.URI) ([]transport.Hop, error)
}

// systemResolver looks up A and AAAA records.
type systemResolver struct{ resolver *net.Resolver }

func (r systemResolver) Resolve(ctx context.Context, uri sip.URI) ([]transport.Hop, error) {
	protocol, err := protocolOf(&uri)
	if err != nil {
		return nil, err
	}
	addrs, err := r.resolver.LookupNetIP(ctx, "ip", uri.Host)
	if err != nil {
		return nil, err
	}
	hops := make([]transport.Hop, len(addrs))
	for i, a := range addrs {
		hops[i] = transport.Hop{Protocol: protocol, Addr: netip.AddrPortFrom(a.Unmap(), portOf(&uri, protocol))}
	}
	return hops, nil
}

var errNoHop = errors.New("every next hop was tried")

var errScheme = errors.New("no SIP URI, and no next hop is given")

// protocolOf is the protocol that a URI asks for.
func protocolOf(u *sip.URI) (transport.Protocol, error) {
	if !u.IsSIP() {
		return 0, errScheme
	}
	name := u.Transport()
	if u.Scheme == "sips" {
		switch strings.ToLower(name) {
		case "", "tcp", "tls":
			return transport.TLS, nil
		case "ws", "wss":
			return transport.WSS, nil
		}
		return 0, fmt.Errorf("sips over %s", name)
	}
	if name == "" {
		return transport.UDP, nil
	}
	return transport.ParseProtocol(name)
}

func portOf(u *sip.URI, p transport.Protocol) uint16 {
	if u.Port != 0 {
		return u.Port
	}
	return p.DefaultPort()
}

// literalHop is the next hop of a URI that needs no lookup.
func literalHop(u *sip.URI) (transport.Hop, bool, error) {
	protocol, err := protocolOf(u)
	if err != nil {
		return transport.Hop{}, false, err
	}
	addr, ok := u.Addr()
	if maddr, has := u.Params.Get("maddr"); has {
		a, err := netip.ParseAddr(strings.Trim(maddr, "[]"))
		addr, ok = a, err == nil
	}
	if !ok {
		return transport.Hop{}, false, nil
	}
	return transport.Hop{Protocol: protocol, Addr: netip.AddrPortFrom(addr.Unmap(), portOf(u, protocol))}, true, nil
}

// responseHop is where a response goes whose flow is gone: received, or the
// sent-by address, at the sent-by port (RFC 3261 18.2.2; rport only where the
// protocol has no connections, RFC 3581 4).
func responseHop(v *sip.ViaParm, p transport.Protocol) (transport.Hop, error) {
	host := v.Host
	if v.Received != "" {
		host = v.Received
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return transport.Hop{}, fmt.Errorf("via has no address to answer to: %w", err)
	}
	port := v.Port
	if p == transport.UDP && v.RPort != 0 {
		port = v.RPort
	}
	if port == 0 {
		port = p.DefaultPort()
	}
	return transport.Hop{Protocol: p, Addr: netip.AddrPortFrom(addr.Unmap(), port)}, nil
}

// hopMemory remembers for a while which next hops refused a connection. It is
// bounded: when it is full it starts anew.
type hopMemory struct {
	mu    sync.Mutex
	until map[transport.Hop]time.Time
}

const (
	hopMemorySize = 4096
	hopMemoryTime = 5 * time.Minute
)

func (h *hopMemory) refused(hop transport.Hop) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	until, ok := h.until[hop]
	return ok && time.Now().Before(until)
}

func (h *hopMemory) remember(hop transport.Hop) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.until == nil || len(h.until) >= hopMemorySize {
		h.until = make(map[transport.Hop]time.Time)
	}
	h.until[hop] = time.Now().Add(hopMemoryTime)
}
