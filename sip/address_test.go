package sip_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

func TestParseNameAddr(t *testing.T) {
	bob := sip.URI{Scheme: "sip", User: "bob", Host: "b"}
	for text, want := range map[string]sip.NameAddr{
		"<sip:bob@b>":                        {URI: bob},
		" <sip:bob@b> ":                      {URI: bob},
		"sip:bob@b":                          {URI: bob},
		"sip:bob@b;tag=1":                    {URI: bob, Params: "tag=1", Tag: "1"},
		"sip:bob@b ; TAG = 1 ; x":            {URI: bob, Params: "TAG = 1 ; x", Tag: "1"},
		"Bob<sip:bob@b>":                     {Display: "Bob", URI: bob},
		"Bob  B. Builder\t<sip:bob@b>;q=0.1": {Display: "Bob  B. Builder", URI: bob, Params: "q=0.1"},
		`"Bob \"the\\ B\", <x>;"<sip:bob@b>`: {Display: `Bob "the\ B", <x>;`, URI: bob},
		`"" <sip:bob@b>`:                     {URI: bob},
		"Böb <sip:bob@b>":                    {Display: "Böb", URI: bob},
		"<sip:bob@b;lr?h=v>;p=\"a;b,c\";x=":  {URI: sip.URI{Scheme: "sip", User: "bob", Host: "b", Params: "lr", Headers: "h=v"}, Params: `p="a;b,c";x=`},
		"<tel:+1-201;ext=5>;tag=a":           {URI: sip.URI{Scheme: "tel", User: "+1-201", Params: "ext=5"}, Params: "tag=a", Tag: "a"},
		"<urn:service:sos>":                  {URI: sip.URI{Scheme: "urn", Opaque: "service:sos"}},
		"*":                                  {Star: true},
		`<sip:bob@b>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>";reg-id=1`: {URI: bob,
			Params: `+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>";reg-id=1`},
	} {
		a, err := sip.ParseNameAddr(text)
		require.NoError(t, err, text)
		require.Equal(t, want, a, text)
		again, err := sip.ParseNameAddr(a.String())
		require.NoError(t, err, a.String())
		require.Equal(t, a, again)
		require.Equal(t, a, a.Clone())
	}
	for _, text := range []string{
		"", "bob", "<>", "<sip:bob@b", "sip:bob@b>", "<sip:bob@b>x", "<sip:bob@b>;", "<sip:bob@b>;;x", "<sip:bob@b>;=x", "<sip:bob@b>,",
		`"Bob <sip:bob@b>`, `"Bob\" <sip:bob@b>`, `"Bob"`, `"Bob" sip:bob@b`, `Bob "B" <sip:bob@b>`, "Bob, B <sip:bob@b>", "Bob; <sip:bob@b>", "a:b <sip:bob@b>", `B\ob <sip:bob@b>`,
		"< sip:bob@b>", "<sip:bob@b >", "<<sip:bob@b>>", "<sip:bob@b>;tag", "<sip:bob@b>;tag=", `<sip:bob@b>;tag="a"`, "<sip:bob@b>;tag=a;tag=b", "<sip:bob@b>;tag=a@b",
		`<sip:bob@b>;x="a`, `<sip:bob@b>;x="a"b`, "<sip:bob@b>;x=a b", "<sip:bob@b>;x y", "sip:bob@b?h=v", "sip:bob@b,c", "sip:bob@b x",
	} {
		_, err := sip.ParseNameAddr(text)
		require.Error(t, err, text)
	}
}

func TestNameAddrWrite(t *testing.T) {
	a := sip.NameAddr{Display: "Bob \"B\"\\\r\n\x01", URI: uri(t, "sip:bob@b"), Tag: "x"}
	require.Equal(t, "\"Bob \\\"B\\\"\\\\\\\x01\" <sip:bob@b>;tag=x", a.String())
	a = sip.NameAddr{URI: uri(t, "sip:bob@b"), Params: "x;TAG=1", Tag: "1"}
	require.Equal(t, "<sip:bob@b>;x;TAG=1", a.String())
	require.Equal(t, "<sip:bob@b>;x;tag=2", a.WithTag("2").String())
	require.Equal(t, "<sip:bob@b>;x", a.WithTag("").String())
	require.Equal(t, "*", sip.NameAddr{Star: true}.String())
}

func TestParseViaParm(t *testing.T) {
	for text, want := range map[string]sip.ViaParm{
		"SIP/2.0/UDP a": {Transport: "UDP", Host: "a"},
		"SIP / 2.0 / UDP first.example.com: 4000;ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1": {Transport: "UDP", Host: "first.example.com", Port: 4000,
			Branch: "z9hG4bKa7c6a8dlze.1", Params: "ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1"},
		"SIP/2.0/TLS-SCTP [2001:db8::9:1] : 5061;received=2001:db8::9:255;rport=5": {Transport: "TLS-SCTP", Host: "[2001:db8::9:1]", Port: 5061,
			Received: "2001:db8::9:255", HasRPort: true, RPort: 5, Params: "received=2001:db8::9:255;rport=5"},
		"sip/2.0/udp a;RPORT;Branch=x;RECEIVED=[::1]": {Transport: "udp", Host: "a", Branch: "x", HasRPort: true, Received: "[::1]", Params: "RPORT;Branch=x;RECEIVED=[::1]"},
		"SIP/7.0/X a;rport=":                          {Transport: "X", Host: "a", HasRPort: true, Params: "rport="},
	} {
		v, err := sip.ParseViaParm(text)
		require.NoError(t, err, text)
		require.Equal(t, want, v, text)
		again, err := sip.ParseViaParm(v.String())
		require.NoError(t, err, v.String())
		require.Equal(t, v, again)
		require.Equal(t, v, v.Clone())
	}
	for _, text := range []string{
		"", "SIP", "SIP/2.0", "SIP/2.0/", "SIP/2.0/UDP", "SIP/2.0/UDP ", "/2.0/UDP a", "SIP//UDP a", "SIP 2.0 UDP a", "SIP/2.0/UDP a b", "SIP/2.0/UDP a:", "SIP/2.0/UDP a:0",
		"SIP/2.0/UDP a:65536", "SIP/2.0/UDP a:1x", "SIP/2.0/UDP [::1", "SIP/2.0/UDP ::1", "SIP/2.0/UDP a;", "SIP/2.0/UDP a;;", "SIP/2.0/UDP a;branch", "SIP/2.0/UDP a;branch=",
		"SIP/2.0/UDP a;branch=a;branch=b", `SIP/2.0/UDP a;branch="a"`, "SIP/2.0/UDP a;received=b@c", "SIP/2.0/UDP a;received=\"::1\"", "SIP/2.0/UDP a;received", "SIP/2.0/UDP a;received=1.1.1.1;received=1.1.1.1", "SIP/2.0/UDP a;rport=x", "SIP/2.0/UDP a;rport=0",
		"SIP/2.0/UDP a;rport=65536", "SIP/2.0/UDP a;rport;rport", "SIP/2.0/UDP a,SIP/2.0/UDP b", "SIP/2.0/UDP a@b",
	} {
		_, err := sip.ParseViaParm(text)
		require.Error(t, err, text)
	}
	v := sip.ViaParm{Transport: "UDP", Host: "a", Port: 5, Branch: "x", Received: "1.1.1.1", HasRPort: true, RPort: 7, Params: "y"}
	require.Equal(t, "SIP/2.0/UDP a:5;y;branch=x;received=1.1.1.1;rport=7", v.String())
	v.RPort = 0
	require.Equal(t, "SIP/2.0/UDP a:5;y;branch=x;received=1.1.1.1;rport", v.String())
}

// RFC 3261 18.2.1: "If the host portion of the "sent-by" parameter contains a domain name, or if it contains an IP address that
// differs from the packet source address, the server MUST add a "received" parameter". RFC 3581 4: "the server MUST insert a "received"
// parameter containing the source IP address that the request came from, even if it is identical to the value of the "sent-by"
// component", and "MUST set the value of the "rport" parameter to the source port".
func TestSource(t *testing.T) {
	for _, test := range []struct{ via, source, want string }{
		{"192.0.2.1;branch=x", "192.0.2.1:5060", "192.0.2.1;branch=x"},
		{"192.0.2.1;branch=x", "203.0.113.7:99", "192.0.2.1;branch=x;received=203.0.113.7"},
		{"192.0.2.1;branch=x", "[::ffff:192.0.2.1]:5060", "192.0.2.1;branch=x"},
		{"a.example.com:5060", "192.0.2.1:5060", "a.example.com:5060;received=192.0.2.1"},
		{"192.0.2.1;rport;branch=x", "192.0.2.1:99", "192.0.2.1;rport=99;branch=x;received=192.0.2.1"},
		{"192.0.2.1;branch=x;rport", "192.0.2.1:99", "192.0.2.1;branch=x;rport=99;received=192.0.2.1"},
		{"192.0.2.1;branch=x;RPORT ", "192.0.2.1:99", "192.0.2.1;branch=x;RPORT=99;received=192.0.2.1"},
		// What the sender put there itself.
		{"192.0.2.1;rport=1;received=10.0.0.1;x", "203.0.113.7:99", "192.0.2.1;rport=99;received=203.0.113.7;x"},
		{"192.0.2.1;received=10.0.0.1;rport = 1;x", "203.0.113.7:99", "192.0.2.1;received=203.0.113.7;rport=99;x"},
		{"192.0.2.1;rport=;x", "203.0.113.7:99", "192.0.2.1;rport=99;x;received=203.0.113.7"},
		{"192.0.2.1;received=10.0.0.1", "192.0.2.1:5060", "192.0.2.1;received=192.0.2.1"},
		{"192.0.2.1;rport;x", "192.0.2.1:0", "192.0.2.1;rport;x;received=192.0.2.1"},
		{"192.0.2.1;rport=5;x", "192.0.2.1:0", "192.0.2.1;rport;x;received=192.0.2.1"},
		// IPv6
		{"[2001:DB8:0::1];branch=x", "[2001:db8::1]:5060", "[2001:DB8:0::1];branch=x"},
		{"[2001:db8::1];rport", "[2001:db8::2]:99", "[2001:db8::1];rport=99;received=2001:db8::2"},
		{"[fe80::1]", "[fe80::1%eth0]:5060", "[fe80::1]"},
		{"[fe80::2]", "[fe80::1%eth0]:5060", "[fe80::2];received=fe80::1"},
		// Of a list the first only.
		{`a;x="," , SIP/2.0/UDP b`, "192.0.2.1:5060", `a;x=",";received=192.0.2.1 , SIP/2.0/UDP b`},
	} {
		m := parseFrom(t, options("Via: SIP/2.0/UDP "+test.via, "Via: SIP/2.0/UDP last;rport", "Contact: <sip:a>")+"body", test.source)
		require.Equal(t, "SIP/2.0/UDP "+test.want, m.Get(sip.Via))
		top, err := sip.ParseViaParm(collect(m.Values(sip.Via))[0])
		require.NoError(t, err)
		require.Equal(t, top, m.Via(), "the parts are those of the text")
		vias := collect(m.Lines(sip.Via))
		require.Equal(t, "SIP/2.0/UDP last;rport", vias[len(vias)-1])
		require.Equal(t, "<sip:a>", m.Get(sip.Contact))
		require.Equal(t, "a1", m.From().Tag)
		require.Equal(t, "body", m.Body())
		checkFixedPoint(t, m)
		again := parseFrom(t, m.Text(), test.source)
		require.Equal(t, m.Text(), again.Text(), "once is enough")
	}
	// Responses stay as they are.
	require.Equal(t, ringing, parseFrom(t, ringing, "203.0.113.7:99").Text())
	// Our own two parameters do not count towards the limit.
	many := options("Via: SIP/2.0/UDP a;rport" + strings.Repeat(";p", 64))
	m := parseFrom(t, many, "192.0.2.1:99")
	require.Equal(t, uint16(99), m.Via().RPort)
	checkFixedPoint(t, m)
}
