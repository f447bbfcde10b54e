package sip

import (
	"net/netip"
	"strconv"
	"strings"
)

// addSource writes the text of m with the source in the top Via, and reads that Via again. It returns false if there is nothing
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
	type replacement struct {
		begin, end int
		with       []byte
	}
	first := replacement{int(v.end), int(v.end), received}
	if v.receivedEnd != 0 {
		first = replacement{int(v.received), int(v.receivedEnd), received[len(";received="):]}
	}
	second := replacement{int(v.end), int(v.end), nil}
	if v.rportName != 0 {
		port := strconv.AppendUint(append(portBuf[:0], '='), uint64(source.Port()), 10)
		second = replacement{int(v.rportName), int(v.rportEnd), port}
		if second.begin < first.begin || second.end <= first.begin {
			first, second = second, first
		}
	}

	at := text[value:]
	grown := len(first.with) - (first.end - first.begin) + len(second.with) - (second.end - second.begin)
	var b strings.Builder
	b.Grow(len(text) + grown)
	b.Write(text[:value+first.begin])
	b.Write(first.with)
	b.Write(at[first.end:second.begin])
	b.Write(second.with)
	b.Write(at[second.end:])
	m.text = b.String()

	m.body += uint32(grown)
	for i := int(m.viaLine) + 1; i < len(m.lines); i++ {
		m.lines[i].start += uint32(grown)
	}
	m.via.index(m.text[value:value+int(v.end)+grown], s.params) // as readable as before
	return true
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
