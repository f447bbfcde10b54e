package sip

import (
	"net/netip"
	"strconv"
	"strings"
)

// addSource writes the text of m with the source in the top Via. It returns false if there is nothing
// to write.
//
// "If the host portion of the "sent-by" parameter contains a domain name, or if it contains an IP address that differs from the
// packet source address, the server MUST add a "received" parameter" (RFC 3261 section 18.2.1). With rport, it "MUST insert a
// "received" parameter […] even if it is identical to the value of the "sent-by" component" (RFC 3581 section 4).
func (s *scanner) addSource(m *Message, text []byte, source netip.AddrPort) bool {
	var addrBuf, portBuf [64]byte
	addr := source.Addr().Unmap().WithZone("")
	received := addr.AppendTo(append(addrBuf[:0], ";received="...))
	v := &s.via
	value := int(m.lines[m.viaLine].start) + int(m.lines[m.viaLine].value)
	if v.rportName == 0 && v.receivedEnd == 0 && sameHost(s.view[value+int(v.host):value+int(v.hostEnd)], addr, received) {
		return false
	}

	// Two replacements at most, in the order of the text. A received that is there keeps its name.
	first := replacement{v.end, v.end, received}
	if v.receivedEnd != 0 {
		first = replacement{v.received, v.receivedEnd, received[len(";received="):]}
	}
	second := replacement{v.end, v.end, nil}
	if v.rportName != 0 {
		port := portBuf[:0]
		if source.Port() != 0 {
			port = strconv.AppendUint(append(port, '='), uint64(source.Port()), 10)
		}
		second = replacement{v.rportName, v.rportEnd, port}
		if second.begin < first.begin || second.end <= first.begin {
			first, second = second, first
		}
	}

	at := text[value:]
	grown := first.grown() + second.grown()
	var b strings.Builder
	b.Grow(len(text) + grown)
	b.Write(text[:value+int(first.begin)])
	b.Write(first.with)
	b.Write(at[first.end:second.begin])
	b.Write(second.with)
	b.Write(at[second.end:])
	m.text = b.String()

	m.body += uint32(grown)
	for i := int(m.viaLine) + 1; i < len(m.lines); i++ {
		m.lines[i].start += uint32(grown)
	}
	m.via.move(first, second)
	m.via.setSource(uint16(len(received)-len(";received=")), source.Port())
	return true
}

// replacement is a piece of a via-parm and what comes into its place.
type replacement struct {
	begin, end uint16
	with       []byte
}

func (r *replacement) grown() int { return len(r.with) - int(r.end-r.begin) }

// move changes the positions that lie behind replacements.
func (x *viaIndex) move(first, second replacement) {
	if x.params == x.paramsEnd {
		x.params++ // the first parameter has come, after a semicolon
	}
	for _, p := range [...]*uint16{&x.branch, &x.branchEnd, &x.received, &x.rportName} {
		at := *p
		if at > first.begin {
			*p += uint16(first.grown())
		}
		if at > second.begin {
			*p += uint16(second.grown())
		}
	}
	x.end += uint16(first.grown() + second.grown())
	x.paramsEnd = x.end
}

// setSource sets the places of received, whose value has a new length, and of rport.
func (x *viaIndex) setSource(received, port uint16) {
	if x.receivedEnd == 0 {
		x.received = x.end - received // it has come to the end
	}
	x.receivedEnd = x.received + received
	if x.rportName == 0 {
		return
	}
	x.rport, x.rportEnd = port, x.rportName
	if port > 0 {
		x.rportEnd++ // the "="
	}
	for ; port > 0; port /= 10 {
		x.rportEnd++
	}
}

// sameHost reports whether the host of sent-by is the address, whose text is at the end of received.
func sameHost(host string, addr netip.Addr, received []byte) bool {
	if host == string(received[len(";received="):]) { // does not allocate
		return true
	}
	if host[0] != '[' {
		return false // IPv4 has one way of writing an address
	}
	a, ok := hostAddr(host)
	return ok && a == addr
}
