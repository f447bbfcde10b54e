package routing_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// failover is the route of the README: two gateways, then voicemail.
func failover(ctx context.Context, r *routing.Request) error {
	for _, gateway := range []string{"sip:192.0.2.1", "sip:192.0.2.2"} {
		target := routing.Via(gateway)
		target.NoAnswer = 3 * time.Second // a dead gateway costs three seconds, not 32
		if res := r.Forward(ctx, target); res.Done() {
			return nil // answered, declined everywhere, or the caller gave up
		}
	}
	r.Forward(ctx, routing.To("sip:voicemail@192.0.2.9")) // the failure route is the next statement
	return nil                                            // the best response goes upstream
}

// The test of a route: hosts, phones that are told what to do, and the call
// flow that shall come of it. The first gateway is dead, the second is full.
func TestFailoverRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the real stack, in memory and in virtual time
		net := siptest.NewNetwork(siptest.Options{})
		proxy := net.Host("proxy", "192.0.2.10")
		server := &routing.Server{Handler: routing.HandlerFunc(failover), Transport: transport.Config{Network: proxy}}
		if err := server.Listen(t.Context(), "udp:192.0.2.10:5060"); err != nil {
			t.Fatal(err)
		}
		defer server.Shutdown(context.Background())

		alice := siptest.NewPhone(t, net.Host("alice", "192.0.2.20"), "sip:alice@example.org", siptest.PhoneOptions{Proxy: proxy.AddrPort(5060)})
		net.Host("gw1", "192.0.2.1") // nobody listens there
		siptest.NewPhone(t, net.Host("gw2", "192.0.2.2"), "sip:gw2@example.org", siptest.PhoneOptions{}).On(sip.INVITE, siptest.Respond(503))
		siptest.NewPhone(t, net.Host("voicemail", "192.0.2.9"), "sip:voicemail@example.org", siptest.PhoneOptions{}).On(sip.INVITE, siptest.Respond(200))

		alice.Invite("sip:bob@example.org").WantAnswer()
		synctest.Wait()
		net.Ladder().Require(t, `
			0.000  alice     -> proxy      INVITE
			0.005  proxy     -x gw1        INVITE
			0.205  proxy     -> alice      100 (INVITE)
			0.505  proxy     -x gw1        INVITE
			1.505  proxy     -x gw1        INVITE
			3.005  proxy     -> gw2        INVITE
			3.010  gw2       -> proxy      503 (INVITE)
			3.015  proxy     -> gw2        ACK
			3.015  proxy     -> voicemail  INVITE
			3.020  voicemail -> proxy      200 (INVITE)
			3.025  proxy     -> alice      200 (INVITE)
			3.030  alice     -> voicemail  ACK`)
	})
}
