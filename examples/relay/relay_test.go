package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/siptest/sipgophone"
)

const overUDP, overTCP = "sip:10.0.0.3", "sip:10.0.0.3;transport=tcp"

func TestCall(t *testing.T) {
	runBench(t, overUDP, false, siptest.Options{}, func(b *bench) {
		alice, gw := b.alice("UDP"), b.gateway("UDP")
		gw.On(sip.INVITE, siptest.After(time.Second).Respond(180).After(time.Second).Respond(200))
		call := alice.Invite("sip:bob@example.com")
		call.WantAnswer()
		in := gw.WantRequest(sip.INVITE)
		in.WantACK()
		require.Equal(b, "sip:bob@example.com", in.RequestURI().String(), "the next hop is not written into the request")
		in.Dialog().Request(sip.INFO).WantStatus(200)
		call.Bye().WantStatus(200)
		b.net.Ladder().Require(b, `
			0.000  alice    -> relay     INVITE
			0.005  relay    -> gateway   INVITE
			0.205  relay    -> alice     100 (INVITE)
			0.505  relay    -> gateway   INVITE
			1.010  gateway  -> relay     180 (INVITE)
			1.015  relay    -> alice     180 (INVITE)
			2.010  gateway  -> relay     200 (INVITE)
			2.015  relay    -> alice     200 (INVITE)
			2.020  alice    -> relay     ACK
			2.025  relay    -> gateway   ACK
			2.030  gateway  -> relay     INFO
			2.035  relay    -> alice     INFO
			2.040  alice    -> relay     200 (INFO)
			2.045  relay    -> gateway   200 (INFO)
			2.050  alice    -> relay     BYE
			2.055  relay    -> gateway   BYE
			2.060  gateway  -> relay     200 (BYE)
			2.065  relay    -> alice     200 (BYE)`)
	})
}

// RFC 3261 section 16.11: a stateless proxy makes no 100 and sends nothing again: retransmissions pass through it.
func TestStatelessCall(t *testing.T) {
	runBench(t, overUDP, true, siptest.Options{}, func(b *bench) {
		alice, gw := b.alice("UDP"), b.gateway("UDP")
		gw.On(sip.INVITE, siptest.After(time.Second).Respond(180).After(time.Second).Respond(200))
		call := alice.Invite("sip:bob@example.com")
		call.WantAnswer()
		in := gw.WantRequest(sip.INVITE)
		in.WantACK()
		in.Dialog().Request(sip.INFO).WantStatus(200)
		call.Bye().WantStatus(200)
		b.net.Ladder().Require(b, `
			0.000  alice    -> relay     INVITE
			0.005  relay    -> gateway   INVITE
			0.500  alice    -> relay     INVITE
			0.505  relay    -> gateway   INVITE
			1.010  gateway  -> relay     180 (INVITE)
			1.015  relay    -> alice     180 (INVITE)
			2.010  gateway  -> relay     200 (INVITE)
			2.015  relay    -> alice     200 (INVITE)
			2.020  alice    -> relay     ACK
			2.025  relay    -> gateway   ACK
			2.030  gateway  -> relay     INFO
			2.035  relay    -> alice     INFO
			2.040  alice    -> relay     200 (INFO)
			2.045  relay    -> gateway   200 (INFO)
			2.050  alice    -> relay     BYE
			2.055  relay    -> gateway   BYE
			2.060  gateway  -> relay     200 (BYE)
			2.065  relay    -> alice     200 (BYE)`)
	})
}

// Every pair of transports, stateful and stateless, and either side within the dialog.
func TestTransports(t *testing.T) {
	for _, stateless := range []bool{false, true} {
		for _, c := range []struct{ alice, gateway, next string }{
			{"UDP", "UDP", overUDP}, {"UDP", "TCP", overTCP}, {"TCP", "UDP", overUDP}, {"TCP", "TCP", overTCP},
		} {
			t.Run(fmt.Sprint(c.alice, " to ", c.gateway, " stateless ", stateless), func(t *testing.T) {
				runBench(t, c.next, stateless, siptest.Options{}, func(b *bench) {
					alice, gw := b.alice(c.alice), b.gateway(c.gateway)
					gw.On(sip.INVITE, siptest.Answer(time.Second))
					gw.On(sip.MESSAGE, siptest.Respond(202))
					call := alice.Invite("sip:bob@example.com")
					call.WantAnswer()
					in := gw.WantRequest(sip.INVITE)
					in.WantACK()
					in.Dialog().Request(sip.UPDATE).WantStatus(200)
					call.Request(sip.INFO).WantStatus(200)
					in.Dialog().Bye().WantStatus(200)
					require.True(b, call.Dialog().Ended())
					alice.Request(sip.MESSAGE, "sip:bob@example.com").WantStatus(202)
					alice.Request("ANYTHING", "tel:+15551234").WantStatus(200)
				})
			})
		}
	}
}

func TestFailure(t *testing.T) {
	for _, stateless := range []bool{false, true} {
		t.Run(fmt.Sprint("stateless ", stateless), func(t *testing.T) {
			runBench(t, overUDP, stateless, siptest.Options{}, func(b *bench) {
				alice, gw := b.alice("UDP"), b.gateway("UDP")
				gw.On(sip.INVITE, siptest.Respond(180).After(time.Second).RespondReason(486, "Gone Fishing"))
				require.Equal(b, "Gone Fishing", alice.Invite("sip:bob@example.com").WantFinal(486).ReasonPhrase())
				gw.WantRequest(sip.INVITE).WantACK()
			})
		})
	}
}

func TestCancel(t *testing.T) {
	for _, stateless := range []bool{false, true} {
		t.Run(fmt.Sprint("stateless ", stateless), func(t *testing.T) {
			runBench(t, overUDP, stateless, siptest.Options{}, func(b *bench) {
				alice, gw := b.alice("UDP"), b.gateway("UDP")
				gw.On(sip.INVITE, siptest.Answer(time.Hour))
				call := alice.Invite("sip:bob@example.com")
				call.WantStatus(180)
				cancel := call.Cancel()
				cancel.WantStatus(200)
				call.WantFinal(487)
				in := gw.WantRequest(sip.INVITE)
				in.WantCancel()
				in.WantACK()
			})
		})
	}
}

// Nobody is there: 408 after Timer B (RFC 3261 section 16.8); nothing for other methods (RFC 4320 section 4.2); 500 at
// once where the connection is refused (RFC 3261 section 16.9 and 16.7 step 6).
func TestDeadGateway(t *testing.T) {
	runBench(t, overUDP, false, siptest.Options{}, func(b *bench) {
		alice := b.alice("UDP")
		began := time.Now()
		alice.Invite("sip:bob@example.com").WantFinal(408)
		require.InDelta(b, 32, time.Since(began).Seconds(), 0.1)
		alice.Request(sip.MESSAGE, "sip:bob@example.com").WantTimeout()
	})
	runBench(t, overTCP, false, siptest.Options{}, func(b *bench) {
		alice := b.alice("UDP")
		began := time.Now()
		alice.Invite("sip:bob@example.com").WantFinal(500)
		require.Less(b, time.Since(began), time.Second)
		alice.Request(sip.MESSAGE, "sip:bob@example.com").WantStatus(500)
	})
}

// RFC 3261 section 18.1.1: "If a request is within 200 bytes of the path MTU, or if it is larger than 1300 bytes and the
// path MTU is unknown, the request MUST be sent using an RFC 2914 […] congestion controlled transport protocol, such as TCP."
func TestLargeInvite(t *testing.T) {
	large := siptest.Header("X-Large", strings.Repeat("x", 1400))
	runBench(t, overUDP, false, siptest.Options{}, func(b *bench) {
		alice, gw := b.alice("TCP"), b.gateway("UDP")
		gw.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite("sip:bob@example.com", large)
		call.WantAnswer()
		require.Equal(b, "TCP", gw.WantRequest(sip.INVITE).Via().Transport)
		call.Bye().WantStatus(200)
	})
	// "If an element sends a request over TCP because of these message size constraints, and that request would have
	// otherwise been sent over UDP, if the attempt to establish the connection generates either an ICMP Protocol Not
	// Supported, or results in a TCP reset, the element SHOULD retry the request, using UDP."
	runBench(t, overUDP, false, siptest.Options{}, func(b *bench) {
		alice := b.alice("TCP")
		gw := siptest.NewPhone(b.T, b.gw, "sip:gateway@example.org", siptest.PhoneOptions{})
		gw.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite("sip:bob@example.com", large)
		call.WantAnswer()
		require.Equal(b, "UDP", gw.WantRequest(sip.INVITE).Via().Transport)
		call.Bye().WantStatus(200)
	})
}

// In-dialog requests that did not come by our Record-Route are not relayed.
func TestForgedDialog(t *testing.T) {
	for _, stateless := range []bool{false, true} {
		runBench(t, overUDP, stateless, siptest.Options{}, func(b *bench) {
			alice, gw := b.alice("UDP"), b.gateway("UDP")
			alice.Request(sip.BYE, "sip:bob@10.0.0.3", siptest.Header(sip.To, "<sip:bob@example.com>;tag=forged")).WantStatus(404)
			alice.Request(sip.OPTIONS, "sip:bob@example.com", siptest.Header(sip.MaxForwards, "0")).WantStatus(483)
			gw.WantNoRequest(time.Minute)
		})
	}
}

// Calls succeed over links that lose, repeat and reorder, with and without state.
func TestSipgoPhonesOverBadLinks(t *testing.T) {
	bad := siptest.Link{Loss: 0.1, Duplicate: 0.05, Reorder: 0.1, Jitter: 3 * time.Millisecond}
	for _, stateless := range []bool{false, true} {
		for seed := range uint64(10) {
			t.Run(fmt.Sprint("stateless ", stateless, " seed ", seed), func(t *testing.T) {
				runBench(t, overUDP, stateless, siptest.Options{Seed: seed, Link: bad}, func(b *bench) {
					ctx := context.Background()
					alice := sipgophone.NewPhone(b.T, b.net.Host("alice", "10.0.0.2"), "sip:alice@example.org", sipgophone.Options{Proxy: b.host.AddrPort(5060)})
					gw := sipgophone.NewPhone(b.T, b.gw, "sip:gateway@example.org", sipgophone.Options{Answer: sipgophone.AnswerAfter(time.Second)})
					for range 3 {
						call, err := alice.Call(ctx, "sip:bob@example.com")
						require.NoError(b, err, b.net.Ladder())
						answered, err := gw.WaitCall(ctx)
						require.NoError(b, err, b.net.Ladder())
						time.Sleep(time.Minute)
						require.NoError(b, call.Hangup(ctx), b.net.Ladder())
						<-answered.Ended()
					}
				})
			})
		}
	}
}
