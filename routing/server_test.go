package routing_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// Sockets of the caller's own are served like those that Listen opens, and may be added while the server runs: from then on their addresses
// are ours.
func TestServeSocketsOfOnesOwn(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		h := b.net.Host("proxy", "10.0.0.1")
		s := b.serveAt(h, toBob, []string{"udp:10.0.0.1:5060"})
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Respond(200))
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)

		pc, err := h.ListenPacket(b.Context(), "udp", "10.0.0.1:5070")
		require.NoError(b, err)
		require.NoError(b, s.ServePacket(pc, "edge.example.net"))
		ln, err := h.Listen(b.Context(), "tcp", "10.0.0.1:5080")
		require.NoError(b, err)
		require.NoError(b, s.ServeStream(ln, ""))
		require.Len(b, s.Listeners(), 3)
		for _, uri := range []string{"sip:10.0.0.1:5060", "sip:10.0.0.1:5070", "sip:edge.example.net:5070", "sip:10.0.0.1:5080;transport=tcp"} {
			u, err := sip.ParseURI(uri)
			require.NoError(b, err)
			require.True(b, s.IsLocal(u), uri)
		}
		carol := b.phone("carol", "10.0.0.6", siptest.PhoneOptions{Proxy: addrPort("10.0.0.1:5070")})
		call := carol.Invite(bobAlias)
		call.WantAnswer()
		require.Equal(b, []string{"<sip:edge.example.net:5070;lr>"}, call.Dialog().Routes(), "recorded by its name, once: bob was reached from the same socket")
		call.Bye().WantStatus(200)
		dave := b.phone("dave", "10.0.0.7", siptest.PhoneOptions{Proxy: addrPort("10.0.0.1:5080"), Transport: "TCP"})
		dave.Request(sip.MESSAGE, bobAlias).WantStatus(200)
	})
}

// A listener's own "advertise" comes before Server.Advertise.
func TestAdvertise(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		h := b.net.Host("proxy", "10.0.0.1")
		s := b.serveAt(h, toBob, []string{"udp:10.0.0.1:5060", "tcp:10.0.0.1:5062 advertise 198.51.100.7:5090"}, func(s *routing.Server) {
			s.Advertise = "sip.example.net"
		})
		var advertised []string
		for _, l := range s.Listeners() {
			advertised = append(advertised, l.Advertise)
		}
		require.ElementsMatch(b, []string{"sip.example.net", "198.51.100.7:5090"}, advertised)
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		alice.Invite(bobAlias)
		in := bob.WantRequest(sip.INVITE)
		require.Contains(b, in.Get(sip.Via), "SIP/2.0/UDP sip.example.net;branch=")
		require.Equal(b, "<sip:sip.example.net;lr>", in.Get(sip.RecordRoute))
		in.Respond(486)
		b.pass(time.Second)
	})
}

// An unspecified address opens a socket for each address of the host, as Via and Record-Route need one that others can reach.
func TestListenOnEveryAddress(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		s := b.serveAt(b.net.Host("proxy", "10.0.0.1", "192.168.0.1", "2001:db8::1"), toBob, []string{"udp::5060"})
		require.Len(b, s.Listeners(), 3)
		for _, l := range s.Listeners() {
			require.False(b, l.Addr.Addr().IsUnspecified())
		}
		bob := b.phone("bob", "10.0.0.3")
		alice := b.phone("alice", "2001:db8::2", siptest.PhoneOptions{Proxy: addrPort("[2001:db8::1]:5060")})
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200) // IPv6 in, IPv4 out
		in := bob.WantRequest(sip.MESSAGE)
		require.Contains(b, in.Get(sip.Via), "10.0.0.1:5060")
		require.Equal(b, []string{"<sip:10.0.0.1:5060;lr;r2=on>", "<sip:[2001:db8::1]:5060;lr;r2=on>"}, headers(in.Text(), sip.RecordRoute))
	})
}

// What cannot be listened on is an error that says what, and leaves the rest as it was.
func TestListenFails(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		h := b.net.Host("proxy", "10.0.0.1")
		s := b.serveAt(h, toBob, []string{"udp:10.0.0.1:5060"})
		for _, address := range []string{"udp:10.0.0.1:5060", "udp:10.0.0.9:5060", "sctp:10.0.0.1:5060", "udp:example.org:5060", "10.0.0.1", "tls:10.0.0.1:5061"} {
			err := s.Listen(b.Context(), address)
			require.ErrorContains(b, err, address)
		}
		require.Len(b, s.Listeners(), 1)
		other := &routing.Server{Handler: routing.HandlerFunc(toBob), Transport: transport.Config{Network: h}}
		require.Error(b, other.Listen(b.Context(), "udp:10.0.0.1:5060"))
		require.NoError(b, other.Shutdown(b.Context()))
		require.Error(b, other.Listen(b.Context(), "udp:10.0.0.1:5061"), "after Shutdown")
	})
}

// A Server that was never used shuts down, too; and twice.
func TestShutdownOfAnIdleServer(t *testing.T) {
	s := &routing.Server{}
	require.NoError(t, s.Shutdown(context.Background()))
	require.NoError(t, s.Shutdown(context.Background()))
	require.Zero(t, s.Stats().RequestsReceived)
}

// RFC 3261 18.1.2: "If the value of the "sent-by" parameter in that header field value does not correspond to a value that the client transport
// is configured to insert into requests, the response MUST be silently discarded."
func TestResponseWithAForeignSentBy(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Lenient: true, NoRetransmit: true})
		call := alice.Invite(bobAlias)
		in := bob.WantRequest(sip.INVITE)
		ours := headers(in.Text(), sip.Via)[0]
		b.net.Forget()
		mallory := b.phone("mallory", "10.0.0.66", siptest.PhoneOptions{Lenient: true})
		mallory.SendText("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.66:5060;branch=" + branches(in.Text())[0] + "\r\nVia: " + headers(in.Text(), sip.Via)[1] +
			"\r\nFrom: " + in.Get(sip.From) + "\r\nTo: " + in.Get(sip.To) + ";tag=m\r\nCall-ID: " + in.CallID() + "\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n")
		b.pass(100 * time.Millisecond)
		require.Zero(b, b.count("alice", "200 (INVITE)"))
		require.EqualValues(b, 1, b.server.Stats().StrayResponses)
		require.Contains(b, ours, "10.0.0.1:5060")
		in.Respond(486)
		call.WantFinal(486)
	})
}

// Responses that come back before the sending of their request has returned find their transaction: it was entered before.
func TestNetworkWithoutDelay(t *testing.T) {
	for _, proto := range []string{"UDP", "TCP"} {
		runNetwork(t, siptest.Options{Link: siptest.Link{Delay: -1}}, func(b *bench) {
			b.serve("proxy", "10.0.0.1", toBob)
			alice, bob := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Transport: proto}), b.phone("bob", "10.0.0.3")
			bob.On(sip.INVITE, siptest.Respond(180).Respond(200))
			for range 100 {
				call := alice.Invite(bobAlias)
				call.WantAnswer()
				bob.WantRequest(sip.INVITE).WantACK()
				call.Bye().WantStatus(200)
			}
			require.Zero(b, b.server.Stats().StrayResponses)
		})
	}
}

// Shutdown at any moment of any call ends in peace: no goroutine is left, or the bubble would not end, and nobody panics.
func TestShutdownDuringCalls(t *testing.T) {
	for after := range 40 {
		synctest.Test(t, func(t *testing.T) {
			b := &bench{T: t, net: siptest.NewNetwork(siptest.Options{})}
			b.serve("proxy", "10.0.0.1", mixedRoute)
			lenient := siptest.PhoneOptions{Lenient: true, Listen: []string{"UDP", "TCP"}}
			alice, bob, desk := b.phone("alice", "10.0.0.2", lenient), b.phone("bob", "10.0.0.3", lenient), b.phone("desk", "10.0.0.4", lenient)
			bob.On(sip.INVITE, siptest.After(7*time.Millisecond).Respond(180).After(11*time.Millisecond).Respond(200))
			desk.On(sip.INVITE, siptest.After(3*time.Millisecond).Respond(180).After(9*time.Millisecond).Respond(486))
			for _, user := range []string{"relay", "fork", "serial", "recurse", "tcp", "deadline", "slow", "dead", "refuse", "drop"} {
				alice.Invite("sip:" + user + "@example.org")
				alice.Request(sip.MESSAGE, "sip:"+user+"@example.org")
			}
			time.Sleep(time.Duration(after) * time.Millisecond)
			require.NoError(t, b.server.Shutdown(t.Context()))
			time.Sleep(time.Minute)
		})
	}
}

// A call over IPv6: brackets where they belong, and nowhere else.
func TestIPv6Call(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		b.serve("proxy", "2001:db8::1", func(_ context.Context, r *routing.Request) error {
			if r.InDialog() {
				return r.FollowRoute()
			}
			r.RecordRoute()
			return r.Relay(routing.To("sip:bob@[2001:db8::3]"))
		})
		alice, bob := b.phone("alice", "2001:db8::2"), b.phone("bob", "2001:db8::3")
		bob.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite(bobAlias)
		call.WantAnswer()
		in := bob.WantRequest(sip.INVITE)
		in.WantACK()
		require.Contains(b, headers(in.Text(), sip.Via)[0], "SIP/2.0/UDP [2001:db8::1]:5060;")
		require.Contains(b, headers(in.Text(), sip.Via)[1], ";received=2001:db8::2")
		in.Dialog().Bye().WantStatus(200)
		b.flow().With("Request-URI", "Route", "Record-Route").Require(b, `
			0.000  alice  -> proxy   INVITE  sip:bob@example.org
			0.005  proxy  -> bob     INVITE  sip:bob@[2001:db8::3]  Record-Route: <sip:[2001:db8::1]:5060;lr>
			0.010  bob    -> proxy   200 (INVITE)  Record-Route: <sip:[2001:db8::1]:5060;lr>
			0.015  proxy  -> alice   200 (INVITE)  Record-Route: <sip:[2001:db8::1]:5060;lr>
			0.020  alice  -> proxy   ACK  sip:bob@[2001:db8::3]:5060  Route: <sip:[2001:db8::1]:5060;lr>
			0.025  proxy  -> bob     ACK  sip:bob@[2001:db8::3]:5060
			0.030  bob    -> proxy   BYE  sip:alice@[2001:db8::2]:5060  Route: <sip:[2001:db8::1]:5060;lr>
			0.035  proxy  -> alice   BYE  sip:alice@[2001:db8::2]:5060
			0.040  alice  -> proxy   200 (BYE)
			0.045  proxy  -> bob     200 (BYE)`)
	})
}
