package registrar

import (
	"net/netip"
	"strings"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// wayTo returns the flow to keep for a contact: from, on which its REGISTER came, if that is the way to the contact, else none, for
// then the contact's URI tells the way (RFC 3261 section 16.6 step 7).
//
// It is the way if the client is behind a NAT, where what it says of itself means nothing to us; if the contact is the host that
// the REGISTER came from, which is then reached over the connection that is open; and if it is the way to the first hop of a Path.
func wayTo(contact sip.URI, req *sip.Message, from transport.Flow, b *Binding) transport.Flow {
	addr, ok := contact.Addr()
	switch {
	case b.Path != "":
		return wayToPath(b.Path, from)
	case behindNAT(req, from), strings.HasSuffix(strings.ToLower(contact.Host), ".invalid"):
		return from
	case b.Received.IsValid() && ok && addr.Unmap() != b.Received.Addr():
		return from // behind a NAT before the first of several hops
	}
	if !ok || addr.Unmap() != from.Remote.Addr() {
		return transport.Flow{}
	}
	if from.Protocol == transport.UDP && portOf(contact) != from.Remote.Port() {
		return transport.Flow{} // another user agent of that host
	}
	return from
}

// wayToPath returns from if it leads to the first hop of a Path, which is the one that the REGISTER came by, unless that has another
// address for what goes the other way (RFC 3327 section 5.3: the Path is the route).
func wayToPath(path string, from transport.Flow) transport.Flow {
	for element := range sip.Elements(path) {
		hop, err := sip.ParseNameAddr(element)
		if addr, ok := hop.URI.Addr(); err == nil && ok && addr.Unmap() == from.Remote.Addr() &&
			(from.Protocol != transport.UDP || portOf(hop.URI) == from.Remote.Port()) {
			return from
		}
		break
	}
	return transport.Flow{}
}

// behindNAT says whether the client's Via names another address than its request came from. A host name in it tells nothing.
func behindNAT(req *sip.Message, from transport.Flow) bool {
	via := req.Via()
	addr, err := netip.ParseAddr(strings.Trim(via.Host, "[]"))
	if err != nil {
		return strings.HasSuffix(strings.ToLower(via.Host), ".invalid")
	}
	if addr.Unmap() != from.Remote.Addr() {
		return true
	}
	return from.Protocol == transport.UDP && via.HasRPort && viaPort(via.Port) != from.Remote.Port()
}

func portOf(u sip.URI) uint16 {
	if u.Scheme == "sips" && u.Port == 0 {
		return 5061
	}
	return viaPort(u.Port)
}

func viaPort(port uint16) uint16 {
	if port == 0 {
		return 5060
	}
	return port
}
