package routing_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

var overTCP = siptest.PhoneOptions{Transport: "TCP"}

// RFC 3261 18.2.2: "the response MUST be sent using the existing connection to the source of the original request that created the transaction,
// if that connection is still open. […] If that connection is no longer open, the server SHOULD open a connection to the IP address in the
// "received" parameter, if present, using the port in the "sent-by" value". Provisional responses are not worth a connection.
func TestFinalResponseOverANewConnection(t *testing.T) {
	for name, script := range map[string]siptest.Script{
		"2xx":     siptest.After(2 * time.Second).Respond(180).After(time.Second).Respond(200),
		"failure": siptest.After(2 * time.Second).Respond(180).After(time.Second).Respond(486),
	} {
		t.Run(name, func(t *testing.T) {
			runBench(t, toBob, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2", overTCP), b.phone("bob", "10.0.0.3")
				bob.On(sip.INVITE, script)
				call := alice.Invite(bobAlias)
				call.WantStatus(100)
				alice.CloseConnections()
				if name == "failure" {
					call.WantFinal(486)
					b.pass(time.Second)
					b.flow().Only("alice", "proxy").Require(b, `
						0.010  alice  -> proxy   INVITE
						0.215  proxy  -> alice   100 (INVITE)
						3.035  proxy  -> alice   486 (INVITE)
						3.050  alice  -> proxy   ACK`)
					return
				}
				call.WantAnswer()
				bob.WantRequest(sip.INVITE).WantACK()
				call.Bye().WantStatus(200)
				b.flow().Only("alice", "proxy").Require(b, `
					0.010  alice  -> proxy   INVITE
					0.215  proxy  -> alice   100 (INVITE)
					3.035  proxy  -> alice   200 (INVITE)
					3.050  alice  -> proxy   ACK
					3.060  alice  -> proxy   BYE
					3.075  proxy  -> alice   200 (BYE)`)
			})
		})
	}
}

// The same for other requests, and for answers of the server's own.
func TestOwnResponseOverANewConnection(t *testing.T) {
	runBench(t, func(_ context.Context, r *routing.Request) error {
		time.Sleep(time.Second)
		return routing.Status(404)
	}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", overTCP)
		exchange, call := alice.Request(sip.MESSAGE, bobAlias), alice.Invite(bobAlias)
		b.pass(500 * time.Millisecond)
		alice.CloseConnections()
		exchange.WantStatus(404)
		call.WantFinal(404)
		b.pass(time.Second)
		require.EqualValues(b, 1, b.server.Stats().Transport.Stream.Dialed, "one connection for both")
	})
}

// A phone that can be reached on its connection alone gets no response when that is gone, and the server gets over it: 16.9 "If the proxy is
// notified of an error when forwarding a response, it drops the response."
func TestResponseToAPhoneThatIsGone(t *testing.T) {
	runBench(t, relayTo(bobsURI), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", siptest.PhoneOptions{Transport: "TCP", Listen: []string{}}), b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.After(time.Second).Respond(486))
		bob.On(sip.MESSAGE, siptest.After(time.Second).Respond(200))
		alice.Invite(bobAlias)
		alice.Request(sip.MESSAGE, bobAlias)
		b.pass(500 * time.Millisecond)
		alice.CloseConnections()
		b.pass(time.Minute)
		require.Zero(b, b.count("alice", "486 (INVITE)"))
		require.EqualValues(b, 0, b.server.Stats().Transport.Stream.Connections)
	})
}

// Several phones behind one connection, as behind an edge proxy: each response finds its way, and each call has its own order.
func TestPhonesBehindOneConnection(t *testing.T) {
	runNetwork(t, siptest.Options{}, func(b *bench) {
		b.serve("proxy", "10.0.0.1", toBob)
		edge := b.serve("edge", "10.0.1.1", func(_ context.Context, r *routing.Request) error {
			if r.InDialog() {
				return r.FollowRoute()
			}
			r.RecordRoute()
			return r.Relay(routing.Via("sip:10.0.0.1;transport=tcp"))
		})
		bob := b.phone("bob", "10.0.0.3")
		bob.On(sip.INVITE, siptest.Answer(time.Second))
		var calls []*siptest.Call
		for i := range 10 {
			p := siptest.NewPhone(b, b.net.Host(fmt.Sprintf("p%d", i), fmt.Sprintf("10.0.2.%d", i+1)), fmt.Sprintf("sip:p%d@example.org", i),
				siptest.PhoneOptions{Proxy: hostPort("10.0.1.1")})
			calls = append(calls, p.Invite(bobAlias))
		}
		for _, call := range calls {
			call.WantAnswer()
		}
		for _, call := range calls {
			call.Bye().WantStatus(200)
		}
		require.EqualValues(b, 1, edge.Stats().Transport.Stream.Dialed)
		require.EqualValues(b, 1, b.server.Stats().Transport.Stream.Accepted)
	})
}

// A next hop that refuses the connection costs a round trip, not a timeout.
func TestRefusedConnectionMovesOnAtOnce(t *testing.T) {
	var got []outcome
	runBench(t, serially(&got, targets(deskURI+";transport=tcp", cellURI+";transport=tcp", bobsURI)...), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3")
		b.phone("desk", "10.0.0.4")
		b.phone("cell", "10.0.0.5")
		bob.On(sip.INVITE, siptest.Respond(486))
		alice.Invite(bobAlias).WantFinal(486)
		require.Less(b, b.net.Elapsed(), 100*time.Millisecond)
		b.wait()
		require.Len(b, got, 3)
	})
}

// RFC 3261 17.1.2.2: nothing is retransmitted over a reliable transport, and the transaction is gone with its final response (Timers D, I, J and K
// are zero).
func TestNothingIsRepeatedOverTCP(t *testing.T) {
	runBench(t, relayTo(bobsURI+";transport=tcp"), func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", overTCP), b.phone("bob", "10.0.0.3", overTCP)
		bob.On(sip.MESSAGE, siptest.After(10*time.Second).Respond(200))
		bob.On(sip.INVITE, siptest.After(10*time.Second).Respond(486))
		alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
		alice.Invite(bobAlias).WantFinal(486)
		b.pass(time.Second)
		b.flow().Only("alice", "proxy").Require(b, `
			0.010  alice  -> proxy   MESSAGE
			3.515  proxy  -> alice   100 (MESSAGE)
			10.035  proxy  -> alice   200 (MESSAGE)
			10.040  alice  -> proxy   INVITE
			10.245  proxy  -> alice   100 (INVITE)
			20.055  proxy  -> alice   486 (INVITE)
			20.060  alice  -> proxy   ACK`)
		b.flow().Only("bob", "proxy").Require(b, `
			0.025  proxy  -> bob     MESSAGE
			10.030  bob    -> proxy   200 (MESSAGE)
			10.045  proxy  -> bob     INVITE
			20.050  bob    -> proxy   486 (INVITE)
			20.055  proxy  -> bob     ACK`)
		live := b.server.Stats().Transaction
		require.Zero(b, live.InviteClient.Live+live.InviteServer.Live+live.NonInviteClient.Live+live.NonInviteServer.Live)
	})
}

// A phone behind a NAT is called on the connection that it registered on: the flow is a value that can be kept. When the connection is gone
// its contact is tried, and if that fails too the branch is a transport error.
func TestTargetFlow(t *testing.T) {
	var flow transport.Flow
	route := func(_ context.Context, r *routing.Request) error {
		if r.Method() == sip.REGISTER {
			flow = r.Flow()
			return r.Respond(sip.NewResponse(200))
		}
		return r.Relay(routing.Target{URI: sip.URI{Scheme: "sip", User: "bob", Host: "10.0.0.3", Params: "transport=tcp"}, Flow: flow})
	}
	for name, listen := range map[string][]string{"behind a NAT": {}, "to be reached": {"TCP"}} {
		t.Run(name, func(t *testing.T) {
			runBench(t, route, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2"), b.phone("bob", "10.0.0.3", siptest.PhoneOptions{Transport: "TCP", Listen: listen})
				bob.Register(time.Hour).WantStatus(200)
				alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
				require.Zero(b, b.server.Stats().Transport.Stream.Dialed)
				bob.CloseConnections()
				b.pass(time.Second)
				if len(listen) == 0 {
					alice.Request(sip.MESSAGE, bobAlias).WantStatus(500)
					return
				}
				alice.Request(sip.MESSAGE, bobAlias).WantStatus(200)
				require.EqualValues(b, 1, b.server.Stats().Transport.Stream.Dialed)
			})
		})
	}
}

// A message that arrives byte by byte is one message (18.3).
func TestMessagesInPieces(t *testing.T) {
	runNetwork(t, siptest.Options{Link: siptest.Link{Chunk: 1}}, func(b *bench) {
		b.serve("proxy", "10.0.0.1", relayTo(bobsURI+";transport=tcp"))
		alice, bob := b.phone("alice", "10.0.0.2", overTCP), b.phone("bob", "10.0.0.3", overTCP)
		bob.On(sip.MESSAGE, siptest.Respond(200, siptest.Body("text/plain", "a\r\n\r\nb")))
		require.Equal(b, "a\r\n\r\nb", alice.Request(sip.MESSAGE, bobAlias, siptest.Body("text/plain", "c\r\n\r\nd")).WantStatus(200).Body())
		require.Equal(b, "c\r\n\r\nd", bob.WantRequest(sip.MESSAGE).Body())
	})
}
