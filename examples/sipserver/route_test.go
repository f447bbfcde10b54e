package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// RFC 3261 section 11.2: "The response code chosen MUST be the same that would have been chosen had the request been an
// INVITE": the server itself takes no calls, but everybody asks it for a sign of life.
func TestOptionsOfTheServer(t *testing.T) {
	for _, transport := range []string{"UDP", "TCP"} {
		runBench(t, siptest.Options{}, func(b *bench) {
			alice := b.phoneOf("alice", "10.0.0.2", "sip:alice@elsewhere.example", transport)
			res := alice.Request(sip.OPTIONS, "sip:example.org").WantStatus(200)
			require.True(b, res.HasOption(sip.Allow, "INVITE"))
			require.Equal(b, "application/sdp", res.Get(sip.Accept))
			require.NotEmpty(b, res.To().Tag)
			require.Equal(b, "x", alice.Request(sip.OPTIONS, "sip:example.org", siptest.Header(sip.Require, "x")).WantStatus(420).Get(sip.Unsupported))
			alice.Request(sip.MESSAGE, "sip:example.org").WantStatus(404)
			alice.Invite("sip:example.org").WantStatus(404)
		})
	}
}

// A proxy relays requests of every method, those that it does not know too (RFC 3261 section 16.2).
func TestEveryMethodIsRelayed(t *testing.T) {
	for _, transports := range [][2]string{{"UDP", "UDP"}, {"UDP", "TCP"}, {"TCP", "UDP"}, {"TCP", "TCP"}} {
		t.Run(transports[0]+" to "+transports[1], func(t *testing.T) {
			runBench(t, siptest.Options{}, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2", transports[0]), b.phone("bob", "10.0.0.3", transports[1])
				register(alice, bob)
				for _, m := range []sip.Method{sip.OPTIONS, sip.MESSAGE, sip.SUBSCRIBE, sip.NOTIFY, sip.PUBLISH, sip.REFER, sip.INFO, sip.UPDATE, "FROBNICATE", "invite"} {
					bob.On(m, siptest.Respond(299))
					res := alice.Request(m, "sip:bob@example.org", siptest.Header("X-Unknown", "as it is"), siptest.Body("text/plain", "body of "+string(m))).WantStatus(299)
					require.Equal(b, m, res.Method())
					in := bob.WantRequest(m)
					require.Equal(b, bob.Contact(), in.RequestURI().String())
					require.Equal(b, "as it is", in.Get("X-Unknown"))
					require.Equal(b, "body of "+string(m), in.Body())
					forwards, _, err := in.Uint(sip.MaxForwards)
					require.NoError(b, err)
					require.EqualValues(b, 69, forwards)
				}
				// Nothing that exists in dialogs only.
				alice.Request(sip.PRACK, "sip:bob@example.org").WantStatus(481)
				bob.WantNoRequest(time.Minute)
			})
		})
	}
}

func TestOtherDomains(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", "UDP"), b.phone("bob", "10.0.0.3", "UDP")
		carol := b.phoneOf("carol", "10.0.0.9", "sip:carol@10.0.0.9", "UDP")
		register(alice, bob)
		for _, p := range []*siptest.Phone{alice, bob, carol} {
			p.On(sip.INVITE, siptest.Respond(200))
		}

		// Our user calls out, and the server stays in the path.
		call := alice.Invite("sip:carol@10.0.0.9")
		call.WantAnswer()
		require.Equal(b, []string{"<sip:10.0.0.1:5060;lr>"}, call.Dialog().Routes())
		carol.WantRequest(sip.INVITE).Dialog().Bye().WantStatus(200)

		// Others call our users.
		call = carol.Invite("sip:bob@example.org")
		call.WantAnswer()
		call.Bye().WantStatus(200)

		// Others do not call others through us, whatever the method.
		carol.Invite("sip:dave@10.0.0.10").WantStatus(403)
		carol.Request(sip.MESSAGE, "sip:alice@10.0.0.2").WantStatus(403)

		// Our own address is us, but no domain with users.
		alice.Invite("sip:bob@10.0.0.1").WantStatus(404)
		carol.Invite("sip:bob@10.0.0.1:5060").WantStatus(404)
		alice.Invite("sip:bob@[2001:db8::1]").WantStatus(404)
	})
}

// A number is no address: there is no gateway.
func TestTelephoneNumber(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", "UDP")
		register(alice)
		alice.Invite("tel:+15551234").WantStatus(404)
		alice.Request(sip.OPTIONS, "urn:service:sos").WantStatus(404)
	})
}

// What is refused before routing (RFC 3261 section 16.3).
func TestRefusedByValidation(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", "UDP"), b.phone("bob", "10.0.0.3", "UDP")
		register(alice, bob)
		for _, method := range []sip.Method{sip.OPTIONS, sip.MESSAGE} {
			alice.Request(method, "sip:bob@example.org", siptest.Header(sip.MaxForwards, "0")).WantStatus(483)
			res := alice.Request(method, "sip:bob@example.org", siptest.Header(sip.ProxyRequire, "magic, more")).WantStatus(420)
			require.Equal(b, "magic, more", res.Get(sip.Unsupported))
			alice.Request(method, "sip:bob@example.org", siptest.Header(sip.MaxForwards, "many")).WantStatus(400)
		}
		alice.Invite("nobody.knows:this@example.org").WantStatus(416)
		bob.WantNoRequest(time.Minute)
		require.EqualValues(b, 2, b.proxy.server.Stats().TooManyHops)
	})
}

// A To tag does not make a dialog: without a Route of ours nothing is relayed but to our own users, who know their dialogs.
func TestForgedDialog(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		mallory := b.phoneOf("mallory", "10.0.0.2", "sip:mallory@elsewhere.example", "UDP")
		bob := b.phone("bob", "10.0.0.3", "UDP")
		register(bob)
		mallory.Request(sip.MESSAGE, "sip:bob@10.0.0.3", siptest.Header(sip.To, "<sip:bob@10.0.0.3>;tag=forged")).WantStatus(404)
		mallory.Request(sip.BYE, "sip:bob@example.org", siptest.Header(sip.To, "<sip:bob@example.org>;tag=forged")).WantStatus(481)
		bob.WantNoRequest(time.Minute, sip.BYE)
	})
}

// RFC 3261 section 16.3 step 4, RFC 5393: users that forward to each other get 482 and no more.
func TestLoop(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		b.proxy.domains = []string{"example.org", "10.0.0.1"}
		alice := b.phone("alice", "10.0.0.2", "UDP")
		register(alice)
		for _, pair := range [][2]string{{"bob", "carol"}, {"carol", "bob"}, {"self", "self"}} {
			alice.Register(time.Hour, siptest.Header(sip.To, "<sip:"+pair[0]+"@10.0.0.1>"), siptest.Header(sip.Contact, "<sip:"+pair[1]+"@10.0.0.1>")).WantStatus(200)
		}
		alice.Invite("sip:bob@10.0.0.1").WantFinal(482)
		alice.Invite("sip:self@10.0.0.1").WantFinal(482)
		alice.Request(sip.MESSAGE, "sip:carol@10.0.0.1").WantFinal(482)
		b.settle()
		require.EqualValues(b, 3, b.proxy.server.Stats().Loops)
		require.Less(b, b.net.Sent(), 80)

		alice.Register(time.Hour, siptest.Header(sip.To, "<sip:stream@10.0.0.1>"), siptest.Header(sip.Contact, "<sip:stream@10.0.0.1;transport=tcp>")).WantStatus(200)
		alice.Invite("sip:stream@10.0.0.1").WantFinal(482)
	})
}

// RFC 5393 section 3: ten contacts that all lead back here would become 10^70 requests.
func TestForkBomb(t *testing.T) {
	runBench(t, siptest.Options{Record: -1}, func(b *bench) {
		b.proxy.domains = []string{"example.org", "10.0.0.1"}
		alice := b.phone("alice", "10.0.0.2", "UDP")
		register(alice)
		var contacts []string
		for i := range 10 {
			contacts = append(contacts, fmt.Sprintf("<sip:bomb@10.0.0.1;n=%d>", i))
		}
		alice.Register(time.Hour, siptest.Header(sip.To, "<sip:bomb@10.0.0.1>"), siptest.Header(sip.Contact, strings.Join(contacts, ", "))).WantStatus(200)
		alice.Invite("sip:bomb@10.0.0.1").WantFinal(440)
		alice.Request(sip.MESSAGE, "sip:bomb@10.0.0.1").WantFinal(440)
		b.settle()
		require.Less(b, b.net.Sent(), 500)
	})
}

// IPv4 and IPv6 phones call each other: the server stands between the families.
func TestBetweenAddressFamilies(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", "UDP")
		addrs, _ := b.host.Addrs()
		bob := siptest.NewPhone(b.T, b.net.Host("bob", "2001:db8::3"), "sip:bob@example.org", siptest.PhoneOptions{
			Proxy: netip.AddrPortFrom(addrs[1], 5060),
		})
		register(alice, bob)
		bob.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite("sip:bob@example.org")
		call.WantAnswer()
		in := bob.WantRequest(sip.INVITE)
		in.WantACK()
		in.Dialog().Request(sip.INFO).WantStatus(200)
		call.Request(sip.INFO).WantStatus(200)
		call.Bye().WantStatus(200)
		require.Equal(b, []string{"<sip:10.0.0.1:5060;lr;r2=on>", "<sip:[2001:db8::1]:5060;lr;r2=on>"}, call.Dialog().Routes())
	})
}
