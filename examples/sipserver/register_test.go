package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// bindings asks for what is registered and returns the Contacts in the order in which they are tried.
func bindings(p *siptest.Phone) []string {
	res := p.Register(0, siptest.NoHeader(sip.Contact), siptest.NoHeader(sip.Expires)).WantStatus(200)
	return slices.Collect(res.Values(sip.Contact))
}

func TestRegister(t *testing.T) {
	for _, transport := range []string{"UDP", "TCP"} {
		t.Run(transport, func(t *testing.T) {
			runBench(t, siptest.Options{}, func(b *bench) {
				desk := b.phoneOf("desk", "10.0.0.2", "sip:bob@example.org", transport)
				cell := b.phoneOf("cell", "10.0.0.3", "sip:bob@example.org", transport)
				require.Empty(b, bindings(desk))

				// RFC 3261 section 10.3 step 8: "The response MUST contain Contact header field values enumerating all
				// current bindings. Each Contact value MUST feature an "expires" parameter indicating its expiration
				// interval chosen by the registrar."
				res := desk.Register(time.Hour).WantStatus(200)
				require.Equal(b, []string{"<" + desk.Contact() + ">;expires=3600"}, slices.Collect(res.Values(sip.Contact)))
				require.NotEmpty(b, res.Get(sip.Date))
				res = cell.Register(30*time.Minute, siptest.Header(sip.Contact, "<"+cell.Contact()+">;q=0.5")).WantStatus(200)
				require.Len(b, slices.Collect(res.Values(sip.Contact)), 2)

				time.Sleep(10 * time.Minute)
				require.Equal(b, []string{"<" + desk.Contact() + ">;expires=3000", "<" + cell.Contact() + ">;q=0.5;expires=1200"}, bindings(desk))

				cell.Register(2 * time.Hour).WantStatus(200) // a refresh, now with q=1.0
				require.Equal(b, []string{"<" + cell.Contact() + ">;expires=7200", "<" + desk.Contact() + ">;expires=3000"}, bindings(desk))

				desk.Register(0).WantStatus(200)
				require.Equal(b, []string{"<" + cell.Contact() + ">;expires=7200"}, bindings(desk))

				// RFC 3261 section 10.2.2: "The REGISTER-specific Contact header field value of "*" applies to all
				// registrations, but it MUST NOT be used unless the Expires header field is present with a value of "0"."
				cell.Register(time.Hour, siptest.Header(sip.Contact, "*")).WantStatus(400)
				cell.Register(0, siptest.Header(sip.Contact, "*"), siptest.NoHeader(sip.Expires)).WantStatus(400)
				cell.Register(0, siptest.Header(sip.Contact, "*, <"+cell.Contact()+">")).WantStatus(400)
				require.Len(b, bindings(desk), 1)
				cell.Register(0, siptest.Header(sip.Contact, "*")).WantStatus(200)
				require.Empty(b, bindings(desk))
			})
		})
	}
}

func TestRegisterRefused(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		bob := b.phone("bob", "10.0.0.2", "UDP")
		mallory := b.phoneOf("mallory", "10.0.0.3", "sip:mallory@elsewhere.example", "UDP")

		// RFC 3261 section 10.3 step 7: "the registrar MAY reject the registration with a response of 423 (Interval Too
		// Brief). This response MUST contain a Min-Expires header field".
		require.Equal(b, "60", bob.Register(time.Second).WantStatus(423).Get(sip.MinExpires))

		// RFC 3261 section 8.2.2.3: "If a UAS does not understand an option-tag listed in a Require header field, it MUST
		// respond by generating a response with status code 420 (Bad Extension). The UAS MUST add an Unsupported header
		// field".
		require.Equal(b, "eggs", bob.Register(time.Hour, siptest.Header(sip.Require, "eggs")).WantStatus(420).Get(sip.Unsupported))

		// RFC 3261 section 10.3 step 5: "If the address-of-record is not valid for the domain in the Request-URI, the
		// registrar MUST send a 404 (Not Found) response".
		bob.Register(time.Hour, siptest.Header(sip.To, "<sip:bob@elsewhere.example>")).WantStatus(404)
		bob.Register(time.Hour, siptest.Header(sip.To, "<tel:+15551234>")).WantStatus(400)

		// Step 1: not this registrar's domain, and no relay for strangers.
		mallory.Register(time.Hour).WantStatus(403)

		for _, contact := range []string{"<sip:bob@>", "sip:bob@10.0.0.2 sip:x", "<sip:bob@10.0.0.2>;q=7", "<>", `"`, ","} {
			bob.Register(time.Hour, siptest.Header(sip.Contact, contact)).WantStatus(400)
		}
		var many []string
		for i := range 11 {
			many = append(many, fmt.Sprintf("<sip:bob@10.0.0.2:%d>", 6000+i))
		}
		bob.Register(time.Hour, siptest.Header(sip.Contact, strings.Join(many, ", "))).WantStatus(403)
		require.Empty(b, bindings(bob), "a refused REGISTER changes nothing")
		bob.Register(time.Hour, siptest.Header(sip.Contact, strings.Join(many[:10], ", "))).WantStatus(200)

		// RFC 3261 section 10.3 step 7: "If they are the same, the registrar compares the CSeq value. If the value is
		// higher than that of the existing binding, it MUST update or remove the binding as above. If not, the update
		// MUST be aborted and the request fails."
		bob.Register(0, siptest.Header(sip.Contact, "*"), siptest.Header(sip.CSeq, "1 REGISTER")).WantStatus(500)
		require.Len(b, bindings(bob), 10)
	})
}

// RFC 3261 section 17.2.2: a retransmission of the REGISTER gets the response that was sent, and is not done again.
func TestRegisterRetransmitted(t *testing.T) {
	runBench(t, siptest.Options{Drop: siptest.DropNumbers("200 (REGISTER)", 1, 2)}, func(b *bench) {
		bob := b.phone("bob", "10.0.0.2", "UDP")
		bob.Register(time.Hour).WantStatus(200)
		b.net.Ladder().With("CSeq").Require(b, `
			0.000  bob     -> server   REGISTER  CSeq: 1 REGISTER
			0.005  server  -x bob      200 (REGISTER)  CSeq: 1 REGISTER
			0.500  bob     -> server   REGISTER  CSeq: 1 REGISTER
			0.505  server  -x bob      200 (REGISTER)  CSeq: 1 REGISTER
			1.500  bob     -> server   REGISTER  CSeq: 1 REGISTER
			1.505  server  -> bob      200 (REGISTER)  CSeq: 1 REGISTER`)
	})
}

// RFC 3261 section 10.3 step 5: all parameters are removed and escaped characters unescaped before addresses of record
// are compared; the host in any case.
func TestAddressOfRecordIsOneKey(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", "UDP")
		bob := b.phone("bob", "10.0.0.3", "UDP")
		bob.Register(time.Hour, siptest.Header(sip.To, "<sip:b%6Fb@EXAMPLE.org;user=phone>")).WantStatus(200)
		bob.On(sip.INVITE, siptest.Respond(486))
		for _, uri := range []string{"sip:bob@example.org", "sip:%62ob@Example.Org;transport=udp", "sip:bob@example.org;x=y"} {
			alice.Invite(uri).WantFinal(486)
		}
		alice.Invite("sip:Bob@example.org").WantStatus(404) // users are case-sensitive
	})
}

// RFC 3327 section 5.3: the Path is the route to the contact.
func TestPath(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice, edge := b.phone("alice", "10.0.0.2", "UDP"), b.phone("edge", "10.0.0.3", "UDP")
		register(alice)
		res := edge.Register(time.Hour, siptest.Header(sip.To, "<sip:bob@example.org>"), siptest.Header(sip.Contact, "<sip:bob@192.0.2.7>"),
			siptest.Header("Path", "<sip:10.0.0.3;lr>, <sip:192.0.2.9;lr>"), siptest.Header(sip.Supported, "path")).WantStatus(200)
		require.Equal(b, "<sip:10.0.0.3;lr>, <sip:192.0.2.9;lr>", res.Get("Path"))
		edge.On(sip.INVITE, siptest.Respond(486))
		alice.Invite("sip:bob@example.org").WantFinal(486)
		in := edge.WantRequest(sip.INVITE)
		require.Equal(b, "sip:bob@192.0.2.7", in.RequestURI().String())
		require.Equal(b, []string{"<sip:10.0.0.3;lr>", "<sip:192.0.2.9;lr>"}, slices.Collect(in.Values(sip.Route)))
	})
}

// A phone behind a NAT is reached where its REGISTER came from, with its Contact as the Request-URI.
func TestContactBehindNAT(t *testing.T) {
	for _, transport := range []string{"UDP", "TCP"} {
		runBench(t, siptest.Options{}, func(b *bench) {
			alice, bob := b.phone("alice", "10.0.0.2", "UDP"), b.phone("bob", "10.0.0.3", transport)
			register(alice)
			bob.Register(time.Hour, siptest.Header(sip.Contact, "<sip:bob@192.168.0.7:5060>"),
				siptest.Header(sip.Via, "SIP/2.0/"+transport+" 192.168.0.7:5060;rport;branch=z9hG4bK-nat")).WantStatus(200)
			bob.On(sip.MESSAGE, siptest.Respond(202))
			alice.Request(sip.MESSAGE, "sip:bob@example.org").WantStatus(202)
			require.Equal(b, "sip:bob@192.168.0.7:5060", bob.WantRequest(sip.MESSAGE).RequestURI().String())
		})
	}
}

// RFC 3261 section 10.3: "In architectures that support third-party registration, one entity may be responsible for
// updating the registrations associated with multiple addresses-of-record." The Contact is where requests go, not where
// its REGISTER came from.
func TestContactOfAnotherHost(t *testing.T) {
	for _, transport := range []string{"UDP", "TCP"} {
		runBench(t, siptest.Options{}, func(b *bench) {
			alice, desk := b.phone("alice", "10.0.0.2", transport), b.phone("desk", "10.0.0.3", "UDP")
			alice.Register(time.Hour, siptest.Header(sip.Contact, "<"+desk.Contact()+">")).WantStatus(200)
			alice.Request(sip.MESSAGE, "sip:alice@example.org").WantStatus(200)
			desk.WantRequest(sip.MESSAGE)
		})
	}
}

// Registrations of many users stay apart, and all of them run out.
func TestManyUsers(t *testing.T) {
	const users = 200
	runBench(t, siptest.Options{Record: -1}, func(b *bench) {
		phone := b.phone("phone", "10.0.0.2", "UDP")
		to := func(i int) siptest.Edit { return siptest.Header(sip.To, fmt.Sprintf("<sip:user%d@example.org>", i)) }
		for i := range users {
			contact := siptest.Header(sip.Contact, fmt.Sprintf("<sip:user%d@10.0.0.2>", i))
			phone.Register(time.Hour, to(i), contact).WantStatus(200)
		}
		for i := range users {
			phone.Request(sip.OPTIONS, fmt.Sprintf("sip:user%d@example.org", i)).WantStatus(200)
			require.Equal(b, fmt.Sprintf("user%d", i), phone.WantRequest(sip.OPTIONS).RequestURI().User)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		for i := range users {
			phone.Request(sip.OPTIONS, fmt.Sprintf("sip:user%d@example.org", i)).WantStatus(480)
		}
	})
}
