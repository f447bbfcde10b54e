package sip_test

import (
	"net/netip"
	"strings"
	"testing"

	sipgo "github.com/emiago/sipgo/sip"
	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// The numbers of the package documentation come from:
//
//	go test ./sip -run '^$' -bench . -benchmem -count 5

// invite is what a telephone sends through a proxy: about 900 bytes, two Vias, a body.
const invite = "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKnashds8;rport\r\n" +
	"Via: SIP/2.0/UDP pc33.atlanta.example.com:5066;branch=z9hG4bK776asdhds;received=192.0.2.101\r\n" +
	"Record-Route: <sip:192.0.2.1;lr;ftag=1928301774>\r\n" +
	"Max-Forwards: 69\r\n" +
	"To: Bob <sip:bob@biloxi.example.com>\r\n" +
	"From: \"Alice\" <sip:alice@atlanta.example.com>;tag=1928301774\r\n" +
	"Call-ID: a84b4c76e66710@pc33.atlanta.example.com\r\n" +
	"CSeq: 314159 INVITE\r\n" +
	"Contact: <sip:alice@pc33.atlanta.example.com:5066;transport=udp>\r\n" +
	"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, UPDATE\r\n" +
	"Supported: replaces, timer, 100rel\r\n" +
	"User-Agent: Telephone/1.2.3\r\n" +
	"Content-Type: application/sdp\r\n" +
	"Content-Length: 187\r\n" +
	"\r\n" +
	"v=0\r\n" +
	"o=alice 2890844526 2890844526 IN IP4 pc33.atlanta.example.com\r\n" +
	"s=-\r\n" +
	"c=IN IP4 192.0.2.101\r\n" +
	"t=0 0\r\n" +
	"m=audio 49172 RTP/AVP 0 8 101\r\n" +
	"a=rtpmap:0 PCMU/8000\r\n" +
	"a=rtpmap:8 PCMA/8000\r\n" +
	"a=sendrecv"

const ringing = "SIP/2.0 180 Ringing\r\n" +
	"Via: SIP/2.0/UDP server10.biloxi.example.com;branch=z9hG4bK4b43c2ff8.1;received=192.0.2.3\r\n" +
	"Via: SIP/2.0/UDP bigbox3.site3.atlanta.example.com;branch=z9hG4bK77ef4c2312983.1;received=192.0.2.2\r\n" +
	"Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bK776asdhds;received=192.0.2.1\r\n" +
	"To: Bob <sip:bob@biloxi.example.com>;tag=a6c85cf\r\n" +
	"From: Alice <sip:alice@atlanta.example.com>;tag=1928301774\r\n" +
	"Call-ID: a84b4c76e66710\r\n" +
	"Contact: <sip:bob@192.0.2.4>\r\n" +
	"CSeq: 314159 INVITE\r\n" +
	"Content-Length: 0\r\n" +
	"\r\n"

// source is where invite's rport and received are written from.
var source = netip.MustParseAddrPort("192.0.2.1:40123")

func BenchmarkParse(b *testing.B) {
	var p sip.Parser
	for _, bench := range []struct {
		name, text string
		source     netip.AddrPort
	}{
		{"INVITE", invite, netip.AddrPort{}},
		{"INVITE received", invite, source},
		{"180", ringing, source},
	} {
		b.Run(bench.name, func(b *testing.B) {
			data := []byte(bench.text)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Parse(data, bench.source); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSipgo is the same with another parser of this language.
func BenchmarkSipgo(b *testing.B) {
	p := sipgo.NewParser()
	for _, bench := range []struct{ name, text string }{{"INVITE", invite}, {"180", ringing}} {
		b.Run(bench.name, func(b *testing.B) {
			data := []byte(bench.text)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.ParseSIP(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	m := parse(b, invite)
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = m.Get(sip.UserAgent)
		}
	})
	b.Run("compact", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = m.Get("l")
		}
	})
	b.Run("From", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = m.From().Tag
		}
	})
	b.Run("FromTag", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = m.FromTag()
		}
	})
	b.Run("Via", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = m.Via().Branch
		}
	})
	b.Run("RequestURI", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sink = m.RequestURI().Host
		}
	})
	b.Run("Contacts", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for a := range m.Contacts() {
				sink = a.URI.Host
			}
		}
	})
}

var sink string

// BenchmarkForward is what a proxy does to a message: another Request-URI, Via, Record-Route, Max-Forwards.
func BenchmarkForward(b *testing.B) {
	m := parse(b, invite)
	target, err := sip.ParseURI("sip:bob@192.0.2.4:5070;transport=udp")
	require.NoError(b, err)
	buf := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		var p sip.Patch
		p.SetRequestURI(target)
		p.Prepend(sip.Via, "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK87asdks7;rport")
		p.Prepend(sip.RecordRoute, "<sip:192.0.2.2;lr>")
		p.Set(sip.MaxForwards, "68")
		buf = sip.AppendMessage(buf[:0], m, &p)
	}
	require.Contains(b, string(buf), "Max-Forwards: 68\r\n")
}

func BenchmarkRespond(b *testing.B) {
	m := parse(b, invite)
	res := sip.NewResponse(sip.StatusBusyHere)
	buf := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		buf = sip.AppendResponse(buf[:0], m, res, "8321234356")
	}
	require.Contains(b, string(buf), ";tag=8321234356\r\n")
}

func BenchmarkSplit(b *testing.B) {
	var p sip.Parser
	stream := []byte(strings.Repeat(invite, 4))
	s := p.NewSplitter()
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		for buf := stream; len(buf) > 0; {
			skip, size, err := s.Split(buf)
			if err != nil || size == 0 {
				b.Fatal(err)
			}
			buf = buf[skip+size:]
		}
	}
}
