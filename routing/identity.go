package routing

import (
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// identity is the one place that knows which names and addresses are "us".
// Via, Record-Route, Contact, Route matching and loop detection all ask here,
// so that every URI we emit is one that we recognise. It is an immutable
// snapshot behind a pointer, renewed when a listener opens.
type identity struct {
	snapshot atomic.Pointer[identitySnapshot]
}

type identitySnapshot struct {
	// places are the listeners by number; a stateless branch names them so.
	places []place
	// names are the configured and advertised host names, lower case. A name
	// without a port leads to any listener; a configured one with any port of ours.
	names map[string]nameKind
	// ports are all our ports.
	ports map[uint16]bool
	// exact are the listeners' own and advertised sent-by values.
	exact map[sentBy]bool
	// bound leads from a socket's local address to its place.
	bound map[transport.Hop]int
}

// place is a listener with the texts that stand for it in messages.
type place struct {
	number   int // in the identity; listeners are added at the end
	listener transport.Listener
	sentBy   sentBy
	via      string // "SIP/2.0/UDP 192.0.2.1:5060;branch="
	route    string // "sip:192.0.2.1:5060;lr" for Record-Route
	contact  string // "sip:192.0.2.1:5060"
}

type nameKind uint8

const (
	advertisedName nameKind = iota + 1
	configuredName
)

type sentBy struct {
	host string
	port uint16
}

func (id *identity) load() *identitySnapshot {
	if s := id.snapshot.Load(); s != nil {
		return s
	}
	return &identitySnapshot{}
}

// set makes a new snapshot of the listeners and the configured names.
func (id *identity) set(listeners []transport.Listener, names []string) {
	s := &identitySnapshot{names: map[string]nameKind{}, ports: map[uint16]bool{}, exact: map[sentBy]bool{},
		bound: map[transport.Hop]int{}}
	for _, name := range names {
		s.names[normalHost(name)] = configuredName
	}
	for i, l := range listeners {
		p := newPlace(l)
		p.number = i
		s.bound[transport.Hop{Protocol: l.Protocol, Addr: l.Addr}] = i
		s.places = append(s.places, p)
		own := sentBy{normalHost(l.Addr.Addr().String()), l.Addr.Port()}
		for _, sb := range []sentBy{own, p.sentBy} {
			s.ports[sb.port], s.exact[sb] = true, true
		}
		if host := p.sentBy.host; s.names[host] == 0 && !isAddress(host) {
			s.names[host] = advertisedName
		}
	}
	id.snapshot.Store(s)
}

func newPlace(l transport.Listener) place {
	host, port := hostText(l.Addr.Addr()), l.Addr.Port()
	if l.Advertise != "" {
		host, port = splitAdvertise(l.Advertise, port)
	}
	address := host + ":" + strconv.Itoa(int(port))
	if l.Advertise == host && port == l.Protocol.DefaultPort() {
		address = host // advertised without a port: leave it to the default
	}
	uri := "sip:" + address
	switch l.Protocol {
	case transport.UDP:
	case transport.TLS:
		uri = "sips:" + address
	default:
		uri += ";transport=" + strings.ToLower(l.Protocol.String())
	}
	return place{
		listener: l,
		sentBy:   sentBy{normalHost(host), port},
		via:      "SIP/2.0/" + l.Protocol.String() + " " + address + ";branch=",
		route:    uri + ";lr",
		contact:  uri,
	}
}

// splitAdvertise parses "host", "host:port", "[v6]" and "[v6]:port".
func splitAdvertise(s string, port uint16) (string, uint16) {
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return hostText(addr), port
	}
	if i := strings.LastIndexByte(s, ':'); i > 0 {
		if n, err := strconv.ParseUint(s[i+1:], 10, 16); err == nil {
			return s[:i], uint16(n)
		}
	}
	return s, port
}

func hostText(a netip.Addr) string {
	if a.Is6() && !a.Is4In6() {
		return "[" + a.WithZone("").String() + "]"
	}
	return a.Unmap().String()
}

// normalHost gives a host one spelling: lower case, no brackets, no final dot,
// and the canonical form of an address.
func normalHost(h string) string {
	h = strings.TrimSuffix(strings.Trim(h, "[]"), ".")
	if addr, err := netip.ParseAddr(h); err == nil {
		return addr.Unmap().WithZone("").String()
	}
	return strings.ToLower(h)
}

// isLocal reports whether u points to this server: a listener's own or
// advertised address, or one of our names.
func (s *identitySnapshot) isLocal(u *sip.URI) bool {
	protocol, err := protocolOf(u)
	if err != nil {
		return u.IsSIP() && s.names[normalHost(u.Host)] != 0 // a transport that we do not know, to us all the same
	}
	if u.Port == 0 && s.names[normalHost(u.Host)] != 0 {
		return true // a name without a port may lead to any listener
	}
	return s.isLocalHost(u.Host, portOf(u, protocol))
}

// isLocalHost reports whether a host and port are a listener's own or
// advertised ones, or a configured name at a port of ours.
func (s *identitySnapshot) isLocalHost(host string, port uint16) bool {
	if s.exact[sentBy{host, port}] {
		return true // most are spelled as we spell them
	}
	h := normalHost(host)
	return s.exact[sentBy{h, port}] || s.names[h] == configuredName && s.ports[port]
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// viaPort is the port of a sent-by without one.
func viaPort(name string) uint16 {
	if p, err := transport.ParseProtocol(name); err == nil {
		return p.DefaultPort()
	}
	return 5060
}

// isOwnVia reports whether we wrote the Via.
func (s *identitySnapshot) isOwnVia(v *sip.ViaParm) bool {
	port := v.Port
	if port == 0 {
		port = viaPort(v.Transport)
	}
	return s.exact[sentBy{v.Host, port}] || s.exact[sentBy{normalHost(v.Host), port}]
}

// placeOf returns the number of the listener, or -1.
func (s *identitySnapshot) placeOf(l transport.Listener) int {
	for i := range s.places {
		if s.places[i].listener == l {
			return i
		}
	}
	return -1
}

// listens reports whether there is a listener that can stand for what is sent
// to hop: of its protocol and family.
func (s *identitySnapshot) listens(hop transport.Hop) bool {
	for i := range s.places {
		l := &s.places[i].listener
		if l.Protocol == hop.Protocol && l.Addr.Addr().Is4() == hop.Addr.Addr().Is4() {
			return true
		}
	}
	return false
}

// placeOfFlow returns the listener that stands for a flow, or -1. The lookup
// is for connections that we dialed: their local port is no listener's.
func (s *identitySnapshot) placeOfFlow(f transport.Flow, lookup func(transport.Flow) (transport.Listener, bool)) int {
	if i, ok := s.bound[transport.Hop{Protocol: f.Protocol, Addr: f.Local}]; ok {
		return i
	}
	if l, ok := lookup(f); ok {
		return s.placeOf(l)
	}
	return -1
}

// placeFor returns the listener that a Route URI of ours names, or -1.
func (s *identitySnapshot) placeFor(u *sip.URI) int {
	protocol := transport.UDP
	if u.Scheme == "sips" {
		protocol = transport.TLS
	}
	if t := u.Transport(); t != "" {
		p, err := transport.ParseProtocol(t)
		if err != nil {
			return -1
		}
		protocol = p
	}
	port := u.Port
	if port == 0 {
		port = protocol.DefaultPort()
	}
	host := normalHost(u.Host)
	for i := range s.places {
		if p := &s.places[i]; p.listener.Protocol == protocol && p.sentBy == (sentBy{host, port}) {
			return i
		}
	}
	return -1
}
