package sip_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/goser-project/goser/sip"
)

// datagram is what a socket would have delivered.
var datagram = []byte(strings.ReplaceAll(`INVITE sip:bob@biloxi.example.com SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bK776asdhds;rport
Max-Forwards: 70
Route: <sip:proxy.example.com;lr>, <sip:edge.example.com;lr>
To: Bob <sip:bob@biloxi.example.com>
From: "Alice \"A\"" <sip:alice@atlanta.example.com>;tag=1928301774
Call-ID: a84b4c76e66710
CSeq: 314159 INVITE
m: <sip:alice@pc33.atlanta.example.com>;expires=60
Supported: timer
k: 100rel
Content-Length: 0

`, "\n", "\r\n"))

// printMessage prints a message with the line ends that the output of an example has.
func printMessage(b []byte) { fmt.Print(strings.ReplaceAll(string(b), "\r\n", "\n")) }

func ExampleParser_Parse() {
	p := sip.Parser{MaxSize: 8192}
	m, err := p.Parse(datagram, netip.MustParseAddrPort("192.0.2.101:5060"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Method(), m.RequestURI().User, m.CSeq().Number)
	fmt.Println(m.From().Display, m.From().URI, m.From().Tag)
	fmt.Println(m.Via()) // with the source
	for a, err := range m.Contacts() {
		fmt.Println(a.URI, a.Params, err)
	}
	for tag := range m.Values(sip.Supported) { // both lines, long and compact
		fmt.Println(tag)
	}
	// Output:
	// INVITE bob 314159
	// Alice "A" sip:alice@atlanta.example.com 1928301774
	// SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bK776asdhds;rport=5060;received=192.0.2.101
	// sip:alice@pc33.atlanta.example.com expires=60 <nil>
	// timer
	// 100rel
}

// A request that cannot be accepted is answered with what could be read of it.
func ExampleParseError() {
	m, err := sip.Parse([]byte("OPTIONS sip:bob@example.com SIP/3.0\r\n" +
		"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" +
		"From: <sip:alice@example.com>;tag=1\r\n" +
		"To: <sip:bob@example.com>\r\n" +
		"Call-ID: 1\r\n" +
		"CSeq: 1 OPTIONS\r\n\r\n"))
	var refusal *sip.ParseError
	if errors.As(err, &refusal) && m != nil {
		fmt.Println(refusal.Cause)
		printMessage(sip.AppendResponse(nil, m, sip.NewResponse(refusal.Status), "b1"))
	}
	// Output:
	// version
	// SIP/2.0 505 Version Not Supported
	// Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1
	// From: <sip:alice@example.com>;tag=1
	// To: <sip:bob@example.com>;tag=b1
	// Call-ID: 1
	// CSeq: 1 OPTIONS
	// Content-Length: 0
}

// What a proxy changes before it sends a request on.
func ExampleAppendMessage() {
	m, err := sip.Parse(datagram)
	if err != nil {
		fmt.Println(err)
		return
	}
	var p sip.Patch
	p.Prepend(sip.Via, "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK87asdks7")
	p.Prepend(sip.RecordRoute, "<sip:192.0.2.2;lr>")
	p.RemoveFirst(sip.Route)
	p.Set(sip.MaxForwards, "69")
	p.Remove("Supported")
	if err := p.Err(); err != nil {
		fmt.Println(err)
		return
	}
	printMessage(sip.AppendMessage(nil, m, &p))
	// Output:
	// INVITE sip:bob@biloxi.example.com SIP/2.0
	// Record-Route: <sip:192.0.2.2;lr>
	// Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK87asdks7
	// Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bK776asdhds;rport
	// Max-Forwards: 69
	// Route: <sip:edge.example.com;lr>
	// To: Bob <sip:bob@biloxi.example.com>
	// From: "Alice \"A\"" <sip:alice@atlanta.example.com>;tag=1928301774
	// Call-ID: a84b4c76e66710
	// CSeq: 314159 INVITE
	// m: <sip:alice@pc33.atlanta.example.com>;expires=60
	// Content-Length: 0
}

func ExampleResponse() {
	m, err := sip.Parse(datagram)
	if err != nil {
		fmt.Println(err)
		return
	}
	res := sip.NewResponse(sip.StatusMovedTemporarily)
	res.Add(sip.Contact, sip.NameAddr{Display: "Bob at home", URI: sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.4"}}.String())
	printMessage(sip.AppendResponse(nil, m, res, "8321234356"))
	// Output:
	// SIP/2.0 302 Moved Temporarily
	// Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bK776asdhds;rport
	// To: Bob <sip:bob@biloxi.example.com>;tag=8321234356
	// From: "Alice \"A\"" <sip:alice@atlanta.example.com>;tag=1928301774
	// Call-ID: a84b4c76e66710
	// CSeq: 314159 INVITE
	// Contact: "Bob at home" <sip:bob@192.0.2.4>
	// Content-Length: 0
}

func ExampleRequest() {
	target, err := sip.ParseURI("sip:bob@192.0.2.4")
	if err != nil {
		fmt.Println(err)
		return
	}
	r := sip.NewRequest(sip.MESSAGE, target)
	r.From = sip.NameAddr{URI: sip.URI{Scheme: "sip", User: "alice", Host: "example.com"}}
	r.SetBody("text/plain", "Hello")
	m, err := r.Message()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Method(), m.RequestURI(), m.From().URI, len(m.From().Tag) > 0, m.Get("c"), m.Body())
	// Output: MESSAGE sip:bob@192.0.2.4 sip:alice@example.com true text/plain Hello
}

func ExampleURI_Equal() {
	a, _ := sip.ParseURI("sip:%61lice@atlanta.com;transport=TCP")
	b, _ := sip.ParseURI("sip:alice@AtLanTa.CoM;Transport=tcp")
	fmt.Println(a.Equal(b), a == b, a.AOR() == b.AOR())
	// Output: true false true
}

func ExampleParams_Get() {
	p := sip.Params(`+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"; reg-id=1;ob`)
	instance, _ := p.Get("+SIP.Instance")
	fmt.Println(instance, p.Has("ob"))
	fmt.Println(p.With("reg-id", "2").Without("+sip.instance"))
	// Output:
	// <urn:uuid:00000000-0000-1000-8000-000A95A0E128> true
	// reg-id=2;ob
}

// A connection's bytes, as they come.
func ExampleSplitter() {
	var p sip.Parser
	s := p.NewSplitter()
	var buf []byte
	for _, read := range []string{"\r\n\r\nOPTIONS sip:a SIP/2.0\r\nl: 2\r", "\n\r\nhiBYE sip:b SIP/2.0\r\nl: 0\r\n\r\n"} {
		buf = append(buf, read...)
		for {
			skip, size, err := s.Split(buf)
			if err != nil {
				fmt.Println(err) // close the connection
				return
			}
			if size == 0 {
				buf = buf[skip:]
				break
			}
			fmt.Printf("%q\n", buf[skip:skip+size])
			buf = buf[skip+size:]
		}
	}
	// Output:
	// "OPTIONS sip:a SIP/2.0\r\nl: 2\r\n\r\nhi"
	// "BYE sip:b SIP/2.0\r\nl: 0\r\n\r\n"
}

func ExampleMessage_Validate() {
	m, err := sip.Parse([]byte(strings.Replace(string(datagram), "Max-Forwards: 70", "Max-Forwards: many", 1)))
	fmt.Println(err)
	_, _, err = m.Uint(sip.MaxForwards)
	fmt.Println(err)
	fmt.Println(m.Validate())
	// Output:
	// <nil>
	// sip: Bad Max-Forwards: not a number below 2**32
	// sip: Bad Max-Forwards: not a number below 2**32
}
