package transport

import (
	"fmt"
	"strings"
)

// Protocol is a transport protocol of SIP, as it stands in the sent-protocol of a Via (RFC 3261 section 20.42, RFC 7118
// section 5). The zero value is none.
type Protocol uint8

const (
	UDP Protocol = iota + 1
	TCP
	TLS
	WS
	WSS
)

// protocols holds what there is to know of each protocol, by its number.
var protocols = [...]struct {
	name   string
	port   uint16
	secure bool
}{
	UDP: {"UDP", 5060, false},
	TCP: {"TCP", 5060, false},
	TLS: {"TLS", 5061, true},
	WS:  {"WS", 80, false},
	WSS: {"WSS", 443, true},
}

// String returns the name as it is written in a Via: "UDP", "TCP", "TLS", "WS", "WSS"; "" for the zero
// value.
func (p Protocol) String() string {
	if int(p) < len(protocols) {
		return protocols[p].name
	}
	return fmt.Sprintf("Protocol(%d)", uint8(p))
}

// Valid says whether p is one of the constants.
func (p Protocol) Valid() bool { return p != 0 && int(p) < len(protocols) }

// Reliable says whether p is a reliable transport in the sense of RFC 3261 section 17: everything but UDP.
func (p Protocol) Reliable() bool { return p.Valid() && p != UDP }

// Secure says whether p runs over TLS.
func (p Protocol) Secure() bool { return p.Valid() && protocols[p].secure }

// DefaultPort returns the port that is meant where none is written (RFC 3261 sections 18.1.1 and 19.1.2, RFC 7118
// section 5): 5060, for TLS 5061, for WS 80, for WSS 443; 0 for the zero value.
func (p Protocol) DefaultPort() uint16 {
	if !p.Valid() {
		return 0
	}
	return protocols[p].port
}

// ParseProtocol reads a protocol's name in any case, as it stands in a Via or in a transport parameter.
func ParseProtocol(s string) (Protocol, error) {
	for p := UDP; int(p) < len(protocols); p++ {
		if strings.EqualFold(s, protocols[p].name) {
			return p, nil
		}
	}
	return 0, fmt.Errorf("transport: unknown protocol %q", s)
}
