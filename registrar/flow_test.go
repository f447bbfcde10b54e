package registrar

import (
	"net/netip"
	"testing"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
	"github.com/stretchr/testify/require"
)

// RFC 3261 section 16.6 step 7: the next hop is found from the Request-URI, the contact, unless there is a better way: the flow.
func TestWayToContact(t *testing.T) {
	udp := transport.Flow{Protocol: transport.UDP, Local: netip.MustParseAddrPort("192.0.2.1:5060"), Remote: netip.MustParseAddrPort("203.0.113.9:5060")}
	nat := udp
	nat.Remote = netip.MustParseAddrPort("203.0.113.9:61000")
	tcp := transport.Flow{Protocol: transport.TCP, Local: udp.Local, Remote: netip.MustParseAddrPort("203.0.113.9:40000"), Conn: 7}
	for name, c := range map[string]struct {
		from         transport.Flow
		via, contact string
		more         string
		byFlow       bool
	}{
		"UDP, the contact is where it came from":   {from: udp, via: "203.0.113.9:5060;rport", contact: "sip:bob@203.0.113.9", byFlow: true},
		"UDP, another port of that host":           {from: udp, via: "203.0.113.9:5060;rport", contact: "sip:bob@203.0.113.9:5070"},
		"UDP, another host":                        {from: udp, via: "203.0.113.9", contact: "sip:desk@198.51.100.4"},
		"UDP, a name":                              {from: udp, via: "203.0.113.9", contact: "sip:voicemail@example.net"},
		"UDP, a name and nothing in Via":           {from: udp, via: "pc.example.net", contact: "sip:bob@pc.example.net"},
		"a telephone number":                       {from: udp, via: "203.0.113.9", contact: "tel:+15551234"},
		"NAT, another address":                     {from: nat, via: "10.0.0.5:5060;rport", contact: "sip:bob@10.0.0.5", byFlow: true},
		"NAT, another address, no rport":           {from: nat, via: "10.0.0.5", contact: "sip:bob@10.0.0.5", byFlow: true},
		"NAT, another port only":                   {from: nat, via: "203.0.113.9:5060;rport", contact: "sip:bob@203.0.113.9", byFlow: true},
		"NAT before an edge that adds no Path":     {from: udp, via: "203.0.113.9, SIP/2.0/UDP 10.0.0.5;received=198.51.100.9;rport=4711", contact: "sip:bob@10.0.0.5", byFlow: true},
		"TCP, the same host at its listening port": {from: tcp, via: "203.0.113.9:40000", contact: "sip:bob@203.0.113.9;transport=tcp", byFlow: true},
		"TCP, another host":                        {from: tcp, via: "203.0.113.9", contact: "sip:bob@198.51.100.4;transport=tcp"},
		"TCP behind NAT":                           {from: tcp, via: "10.0.0.5", contact: "sip:bob@10.0.0.5;transport=tcp", byFlow: true},
		"a browser, which has no address":          {from: tcp, via: "df7jal23ls0d.invalid", contact: "sip:bob@df7jal23ls0d.invalid;transport=ws", byFlow: true},
		"Path through the host it came from":       {from: udp, via: "203.0.113.9", contact: "sip:bob@198.51.100.4", more: "Path: <sip:203.0.113.9;lr>, <sip:x.example.org;lr>\r\n", byFlow: true},
		"Path through another host":                {from: udp, via: "203.0.113.9", contact: "sip:bob@203.0.113.9", more: "Path: <sip:198.51.100.7;lr>\r\n"},
		"Path through another port":                {from: udp, via: "203.0.113.9", contact: "sip:bob@203.0.113.9", more: "Path: <sip:203.0.113.9:5070;lr>\r\n"},
		"Path through a name":                      {from: udp, via: "203.0.113.9", contact: "sip:bob@203.0.113.9", more: "Path: <sip:edge.example.org;lr>\r\n"},
		"Path over the connection":                 {from: tcp, via: "10.0.0.1", contact: "sip:bob@10.0.0.5", more: "Path: <sip:203.0.113.9;transport=tcp;lr>\r\n", byFlow: true},
		"IPv4 in IPv6":                             {from: tcp, via: "203.0.113.9", contact: "sip:bob@[::ffff:203.0.113.9];transport=tcp", byFlow: true},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := sip.Parse([]byte("REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP " + c.via + ";branch=z9hG4bK1\r\n" +
				"From: <sip:bob@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n" +
				c.more + "Contact: <" + c.contact + ">\r\nContent-Length: 0\r\n\r\n"))
			require.NoError(t, err)
			var r Registrar
			reg, refused := r.read(req, c.from, time.Now())
			require.Nil(t, refused)
			want := transport.Flow{}
			if c.byFlow {
				want = c.from
			}
			require.Equal(t, want, reg.contacts[0].Flow)
		})
	}
}
