package transport

import (
	"fmt"
	"net/netip"
)

// Flow is the way a message came or is to go: a pair of addresses, and for streams one connection between them. It is a
// small comparable value, fit to be a map key and to be kept in a binding; it stays valid as a value when its
// connection has ended, then [Layer.Send] says [ErrFlowGone]. The addresses are unmapped: never an IPv4 address in IPv6
// form.
type Flow struct {
	Protocol Protocol
	Local    netip.AddrPort
	Remote   netip.AddrPort
	// Conn tells one connection from another, also from an earlier one between the same addresses. It is 0 for UDP. It
	// means something only to the Layer that made it.
	Conn uint64
}

// IsZero says whether f is the zero Flow.
func (f Flow) IsZero() bool { return f == Flow{} }

// Hop returns the next hop that f leads to.
func (f Flow) Hop() Hop { return Hop{f.Protocol, f.Remote} }

// String returns f for logs: "UDP 192.0.2.1:5060>192.0.2.9:5060", "TCP#7 …".
func (f Flow) String() string {
	switch {
	case f.IsZero():
		return "none"
	case f.Conn != 0:
		return fmt.Sprintf("%v#%d %v>%v", f.Protocol, f.Conn, f.Local, f.Remote)
	}
	return fmt.Sprintf("%v %v>%v", f.Protocol, f.Local, f.Remote)
}

// Hop is a next hop: where to send and how, after RFC 3263 has had its say.
type Hop struct {
	Protocol Protocol
	Addr     netip.AddrPort
}

// String returns h for logs: "UDP 192.0.2.9:5060".
func (h Hop) String() string { return h.Protocol.String() + " " + h.Addr.String() }

// Listener is an address that the Layer receives on.
type Listener struct {
	Protocol Protocol
	Addr     netip.AddrPort // concrete, never unspecified
	// Advertise is what others are told instead of Addr ("host" or "host:port"), for a socket behind a NAT or a name
	// with a certificate; "" if they are told Addr. This package only keeps it.
	Advertise string
}

// String returns ls for logs: "TCP 192.0.2.1:5060 (sip.example.com)".
func (ls Listener) String() string {
	s := ls.Protocol.String() + " " + ls.Addr.String()
	if ls.Advertise != "" {
		s += " (" + ls.Advertise + ")"
	}
	return s
}
