package registrar_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/goser-project/goser/registrar"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// A phone behind a NAT registers; calls to its user are to go to its flow.
func Example() {
	store := &registrar.MemoryStore{}
	defer store.Close()
	reg := &registrar.Registrar{
		Store:   store,
		Domains: func(host string) bool { return strings.EqualFold(host, "example.org") },
	}

	req, err := sip.Parse([]byte(strings.ReplaceAll(`REGISTER sip:example.org SIP/2.0
Via: SIP/2.0/UDP 192.168.1.20:5060;branch=z9hG4bKnashds7;rport
From: Bob <sip:bob@example.org>;tag=456248
To: Bob <sip:bob@example.org>
Call-ID: 843817637684230@998sdasdh09
CSeq: 1826 REGISTER
Contact: <sip:bob@192.168.1.20:5060>
Expires: 600

`, "\n", "\r\n")))
	if err != nil {
		panic(err)
	}
	from := transport.Flow{
		Protocol: transport.UDP,
		Local:    netip.MustParseAddrPort("198.51.100.1:5060"),
		Remote:   netip.MustParseAddrPort("203.0.113.9:40000"),
	}
	res, err := reg.Answer(context.Background(), req, from)
	if err != nil {
		panic(err) // the store failed
	}
	fmt.Println(res.Status, res.Get(sip.Contact))

	bindings, err := reg.Lookup(context.Background(), sip.URI{Scheme: "sip", User: "bob", Host: "example.org"})
	if err != nil {
		panic(err)
	}
	for _, b := range bindings {
		fmt.Println("send to", b.Flow.Remote, "for", b.Contact)
	}
	// Output:
	// 200 <sip:bob@192.168.1.20:5060>;expires=600
	// send to 203.0.113.9:40000 for sip:bob@192.168.1.20:5060
}

// Serial forking by q, parallel within the same q.
func ExampleByQ() {
	bindings := []registrar.Binding{ // as Lookup returns them
		{Contact: "sip:desk@192.0.2.1", Q: 1000},
		{Contact: "sip:soft@192.0.2.2", Q: 1000},
		{Contact: "sip:cell@192.0.2.3", Q: 500},
	}
	for group := range registrar.ByQ(bindings) {
		fmt.Println("at once:")
		for _, b := range group {
			fmt.Println("\t" + b.Contact)
		}
	}
	// Output:
	// at once:
	// 	sip:desk@192.0.2.1
	// 	sip:soft@192.0.2.2
	// at once:
	// 	sip:cell@192.0.2.3
}

// Registrations and their ends in one place.
func ExampleEvent() {
	note := func(e registrar.Event) {
		fmt.Println(e.AOR, e.Kind, e.Binding.Contact, "by", e.Binding.Flow.Protocol)
	}
	store := &registrar.MemoryStore{OnExpire: note}
	defer store.Close()
	reg := &registrar.Registrar{Store: store, OnChange: note}

	for cseq, expires := range []string{"3600", "0"} {
		req := sip.NewRequest(sip.REGISTER, sip.URI{Scheme: "sip", Host: "example.org"})
		req.To = sip.NameAddr{URI: sip.URI{Scheme: "sip", User: "alice", Host: "example.org"}}
		req.CallID, req.CSeq = "3848276298220188511@atlanta.example.com", uint32(cseq+1)
		req.Set(sip.Via, "SIP/2.0/TCP 192.0.2.4;branch=z9hG4bK74bf9")
		req.Set(sip.Contact, "<sip:alice@192.0.2.4;transport=tcp>")
		req.Set(sip.Expires, expires)
		m, err := req.Message()
		if err != nil {
			panic(err)
		}
		if _, err := reg.Answer(context.Background(), m, transport.Flow{Protocol: transport.TCP}); err != nil {
			panic(err)
		}
	}
	// Output:
	// sip:alice@example.org registered sip:alice@192.0.2.4;transport=tcp by TCP
	// sip:alice@example.org removed sip:alice@192.0.2.4;transport=tcp by TCP
}
