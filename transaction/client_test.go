package transaction

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

var (
	invite  = text{method: sip.INVITE}
	options = text{method: sip.OPTIONS}
)

// kept is what a client transaction keeps.
func kept(c *Client) []byte { return locked(c.shard, func() []byte { return c.sent }) }

// "For unreliable transports (such as UDP), the client transaction retransmits requests at an interval that starts at T1 seconds
// and doubles after every retransmission." (RFC 3261 section 17.1.1.1) "The value of 64*T1 is equal to the amount of time
// required to send seven requests in the case of an unreliable transport." (17.1.1.2) "If the client transaction is still in the
// "Calling" state when timer B fires, the client transaction SHOULD inform the TU that a timeout has occurred. The client
// transaction MUST NOT generate an ACK." (17.1.1.2)
func TestInviteRetransmission(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c, err := w.send(udp, invite, &caller{w: w})
		require.NoError(t, err)
		require.Equal(t, udp, c.Flow())
		w.until(40)
		w.want(
			"0.000 > INVITE",
			"0.500 > INVITE",
			"1.500 > INVITE",
			"3.500 > INVITE",
			"7.500 > INVITE",
			"15.500 > INVITE",
			"31.500 > INVITE",
			"32.000 Failed: transaction: timeout",
			"32.000 Ended")
		for _, p := range w.packets {
			require.Equal(t, udp, p.flow)
			require.Equal(t, invite.String(), p.text, "the message previously sent is passed once more")
		}
		st := w.table.Stats()
		require.EqualValues(t, 6, st.Timers.A)
		require.EqualValues(t, 1, st.Timers.B)
		require.EqualValues(t, 1, st.InviteClient.Created)
	})
}

// "If a reliable transport is being used, the client transaction SHOULD NOT start timer A […]. For any transport, the client
// transaction MUST start timer B with a value of 64*T1 seconds" (17.1.1.2)
func TestInviteReliable(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.send(tcp, invite, &caller{w: w})
		w.until(40)
		w.want("0.000 > INVITE", "32.000 Failed: transaction: timeout", "32.000 Ended")
	})
}

// "In the "Proceeding" state, the client transaction SHOULD NOT retransmit the request any longer. Furthermore, the provisional
// response MUST be passed to the TU. Any further provisional responses MUST be passed up to the TU while in the "Proceeding" state."
// (17.1.1.2)
func TestInviteProvisional(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.send(udp, invite, &caller{w: w})
		w.until(0.6)
		w.answer(udp, invite, 100)
		w.until(10)
		w.answer(udp, invite, 180)
		w.until(20)
		w.answer(udp, invite, 180)
		w.until(100)
		w.answer(udp, invite, 200)
		w.answer(udp, invite, 180) // is late
		w.until(140)
		w.want(
			"0.000 > INVITE",
			"0.500 > INVITE",
			"0.600 Response 100",
			"10.000 Response 180",
			"20.000 Response 180",
			"100.000 Response 200",
			"132.000 Ended")
		require.EqualValues(t, 1, w.table.Stats().InviteClient.Absorbed)
	})
}

// "When in either the "Calling" or "Proceeding" states, reception of a response with status code from 300-699 MUST cause the
// client transaction to transition to "Completed". The client transaction MUST pass the received response up to the TU, and the
// client transaction MUST generate an ACK request" (17.1.1.2) "Any retransmissions of the final response that are received while
// in the "Completed" state MUST cause the ACK to be re-passed to the transport layer for retransmission, but the newly received
// response MUST NOT be passed up to the TU." (the same) "The client transaction SHOULD start timer D when it enters the
// "Completed" state, with a value of at least 32 seconds for unreliable transports" (the same)
func TestInviteRefused(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c, _ := w.send(udp, invite, &caller{w: w})
		w.answer(udp, invite, 486)
		w.until(0.5)
		w.answer(udp, invite, 486)
		w.until(31.9)
		w.answer(udp, invite, 486)
		w.answer(udp, invite, 180)
		require.Equal(t, "ACK", title(kept(c)), "only the ACK is kept")
		w.until(33)
		w.answer(udp, invite, 486)
		w.want(
			"0.000 > INVITE",
			"0.000 > ACK",
			"0.000 Response 486",
			"0.500 > ACK",
			"31.900 > ACK",
			"32.000 Ended",
			"33.000 stray Response 486 (INVITE)")
		require.EqualValues(t, 1, w.table.Stats().StrayResponses)
	})
}

// "and a value of zero seconds for reliable transports" (17.1.1.2, of Timer D); "MUST generate an ACK request, even if the
// transport is reliable" (the same)
func TestInviteRefusedReliable(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.send(tcp, invite, &caller{w: w})
		w.answer(tcp, invite, 486)
		w.want("0.000 > INVITE", "0.000 > ACK", "0.000 Response 486", "0.000 Ended")
	})
}

// "The ACK request constructed by the client transaction MUST contain values for the Call-ID, From, and Request-URI that are
// equal to the values of those header fields in the request passed to the transport by the client transaction […]. The To header
// field in the ACK MUST equal the To header field in the response being acknowledged […]. The ACK MUST contain a single Via
// header field, and this MUST be equal to the top Via header field of the original request. […] If the INVITE request whose
// response is being acknowledged had Route header fields, those header fields MUST appear in the ACK." (17.1.1.3)
func TestACK(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		x := invite
		x.lines = "Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKbelow\r\nRoute: <sip:192.0.2.77;lr>\r\nRoute: <sip:192.0.2.78;lr>\r\n"
		w.send(udp, x, &caller{w: w})
		w.answer(udp, x, 486)
		p := w.lastSent()
		require.Equal(t, udp, p.flow, "the same address, port, and transport to which the original request was sent")
		m := parse(t, p.text)
		require.Equal(t, sip.ACK, m.Method())
		require.Equal(t, "sip:bob@example.com", m.RequestURI().String())
		require.Equal(t, sip.Sequence{Number: 1, Method: sip.ACK}, m.CSeq())
		require.Equal(t, "t", m.To().Tag)
		require.Equal(t, "f", m.From().Tag)
		require.Equal(t, "call", m.CallID())
		require.Equal(t, "z9hG4bK1", m.Via().Branch)
		require.Equal(t, 1, strings.Count(p.text, "Via:"))
		require.Equal(t, 2, strings.Count(p.text, "Route:"))
	})
}

// "Any 2xx responses that match this client transaction and that are received while in the "Accepted" state MUST be passed up to
// the TU. The client transaction MUST NOT generate an ACK to the 2xx response." (RFC 6026 section 8.4)
func TestInviteAccepted(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c, _ := w.send(udp, invite, &caller{w: w})
		w.answer(udp, invite, 200)
		require.Nil(t, kept(c), "nothing is kept")
		w.until(0.5)
		w.answer(udp, invite, 200)
		w.answer(udp, invite, 486)
		w.until(31.9)
		w.answer(udp, invite, 200)
		w.until(33)
		w.answer(udp, invite, 200)
		w.want(
			"0.000 > INVITE",
			"0.000 Response 200",
			"0.500 Response 200",
			"31.900 Response 200",
			"32.000 Ended",
			"33.000 stray Response 200 (INVITE)")
	})
}

// "any 2xx response to an INVITE request" is forwarded even "after a final response has been sent on the server transaction"
// (16.7 step 5), so the user has to hear of it.
func TestAcceptedAfterRefused(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.send(udp, invite, &caller{w: w})
		w.answer(udp, invite, 487)
		w.answer(udp, invite, 200)
		w.want("0.000 > INVITE", "0.000 > ACK", "0.000 Response 487", "0.000 Response 200")
	})
}

// "If an unreliable transport is in use, the client transaction MUST set timer E to fire in T1 seconds. […] For the default
// values of T1 and T2, this results in intervals of 500 ms, 1 s, 2 s, 4 s, 4 s, 4 s, etc." and "If Timer F fires while the client
// transaction is still in the "Trying" state, the client transaction SHOULD inform the TU about the timeout" (17.1.2.2)
func TestNonInviteRetransmission(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.send(udp, options, &caller{w: w})
		w.until(40)
		w.want(
			"0.000 > OPTIONS",
			"0.500 > OPTIONS",
			"1.500 > OPTIONS",
			"3.500 > OPTIONS",
			"7.500 > OPTIONS",
			"11.500 > OPTIONS",
			"15.500 > OPTIONS",
			"19.500 > OPTIONS",
			"23.500 > OPTIONS",
			"27.500 > OPTIONS",
			"31.500 > OPTIONS",
			"32.000 Failed: transaction: timeout",
			"32.000 Ended")
	})
}

// "If Timer E fires while in the "Proceeding" state, the request MUST be passed to the transport layer for retransmission, and
// Timer E MUST be reset with a value of T2 seconds." (17.1.2.2)
func TestNonInviteProceeding(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.send(udp, options, &caller{w: w})
		w.until(1)
		w.answer(udp, options, 100)
		w.until(10)
		w.want(
			"0.000 > OPTIONS",
			"0.500 > OPTIONS",
			"1.000 Response 100",
			"1.500 > OPTIONS",
			"5.500 > OPTIONS",
			"9.500 > OPTIONS")
		w.until(40)
		w.forget()
	})
}

// "Once the client transaction enters the "Completed" state, it MUST set Timer K to fire in T4 seconds for unreliable transports,
// and zero seconds for reliable transports. The "Completed" state exists to buffer any additional response retransmissions that
// may be received" (17.1.2.2)
func TestNonInviteCompleted(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c, _ := w.send(udp, options, &caller{w: w})
		w.answer(udp, options, 200)
		require.Nil(t, kept(c), "nothing is kept")
		w.until(1)
		w.answer(udp, options, 200)
		w.answer(udp, options, 404)
		w.until(10)
		w.want("0.000 > OPTIONS", "0.000 Response 200", "5.000 Ended")

		w.send(tcp, options, &caller{w: w})
		w.answer(tcp, options, 200)
		w.want("10.000 > OPTIONS", "10.000 Response 200", "10.000 Ended")
	})
}

// "A response matches a client transaction under two conditions: 1. If the response has the same value of the branch parameter in the
// top Via header field […] 2. If the method parameter in the CSeq header field matches the method of the request that created the
// transaction." (17.1.3)
func TestResponseMatching(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.send(udp, invite, &caller{w: w})
		w.forget()
		other := invite
		other.via = "192.0.2.9:5062;branch=z9hG4bK2"
		w.answer(udp, other, 180)
		other = invite
		other.method = sip.CANCEL
		w.answer(udp, other, 200)
		other.method = "FOO"
		w.answer(udp, other, 200)
		w.answer(udp, invite, 180)
		w.answer(udp, invite, 200)
		w.want(
			"0.000 stray Response 180 (INVITE)",
			"0.000 stray Response 200 (CANCEL)",
			"0.000 stray Response 200 (FOO)",
			"0.000 Response 180",
			"0.000 Response 200")
	})
}

// "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather, the client MUST wait for the
// arrival of a provisional response before sending the request." (9.1)
func TestCancelWaits(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c, _ := w.send(udp, invite, &caller{w: w})
		c.Cancel("")
		c.Cancel("")
		w.until(1)
		w.want("0.000 > INVITE", "0.500 > INVITE")
		w.answer(udp, invite, 100)
		cancel := invite
		cancel.method = sip.CANCEL
		w.answer(udp, cancel, 200)
		w.until(2)
		w.answer(udp, invite, 180)
		w.answer(udp, invite, 487)
		w.want(
			"1.000 > CANCEL",
			"1.000 Response 100",
			"2.000 Response 180",
			"2.000 > ACK",
			"2.000 Response 487")
	})
}

// "If the original request has generated a final response, the CANCEL SHOULD NOT be sent" (9.1); "A CANCEL request SHOULD NOT be
// sent to cancel a request other than INVITE" (the same).
func TestCancelTooLate(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c, _ := w.send(udp, invite, &caller{w: w})
		c.Cancel("")
		w.answer(udp, invite, 200)
		c, _ = w.send(udp, options, &caller{w: w})
		c.Cancel("")
		w.answer(udp, options, 100)
		c.Cancel("")
		w.answer(udp, options, 200)
		w.want("0.000 > INVITE", "0.000 Response 200", "0.000 > OPTIONS", "0.000 Response 100", "0.000 Response 200")
	})
}

// "the client […] creates a client transaction for the CANCEL" and "If there is no final response for the original request in
// 64*T1 seconds […], the client SHOULD then consider the original transaction cancelled and SHOULD destroy the client transaction
// handling the original request." (9.1)
func TestCancelUnanswered(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c, _ := w.send(udp, invite, &caller{w: w})
		w.answer(udp, invite, 180)
		c.Cancel("")
		w.until(20)
		w.answer(udp, invite, 180) // does not prolong it
		w.until(40)
		w.want(
			"0.000 > INVITE",
			"0.000 Response 180",
			"0.000 > CANCEL",
			"0.500 > CANCEL",
			"1.500 > CANCEL",
			"3.500 > CANCEL",
			"7.500 > CANCEL",
			"11.500 > CANCEL",
			"15.500 > CANCEL",
			"19.500 > CANCEL",
			"20.000 Response 180",
			"23.500 > CANCEL",
			"27.500 > CANCEL",
			"31.500 > CANCEL",
			"32.000 Failed: transaction: timeout",
			"32.000 Ended")
		require.EqualValues(t, 1, w.table.Stats().Timers.Canceled)
	})
}

// "The Request-URI, Call-ID, To, the numeric part of CSeq, and From header fields in the CANCEL request MUST be identical to
// those in the request being cancelled, including tags. A CANCEL constructed by a client MUST have only a single Via header field
// value matching the top Via value in the request being cancelled. […] If the request being cancelled contains a Route header
// field, the CANCEL request MUST include that Route header field's values." (9.1)
func TestCancelRequest(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		x := invite
		x.lines = "Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bKbelow\r\nRoute: <sip:192.0.2.77;lr>\r\nRequire: 100rel\r\n"
		c, _ := w.send(udp, x, &caller{w: w})
		w.answer(udp, x, 180)
		c.Cancel(`SIP;cause=200;text="Call completed elsewhere"`)
		p := w.lastSent()
		require.Equal(t, udp, p.flow)
		m := parse(t, p.text)
		require.Equal(t, "sip:bob@example.com", m.RequestURI().String())
		require.Equal(t, sip.Sequence{Number: 1, Method: sip.CANCEL}, m.CSeq())
		require.Equal(t, "", m.To().Tag)
		require.Equal(t, "f", m.From().Tag)
		require.Equal(t, "call", m.CallID())
		require.Equal(t, "z9hG4bK1", m.Via().Branch)
		require.Equal(t, 1, strings.Count(p.text, "Via:"))
		require.True(t, m.Has(sip.Route))
		require.False(t, m.Has(sip.Require))
		require.Equal(t, `SIP;cause=200;text="Call completed elsewhere"`, m.Get(sip.Reason))
	})
}

// A proxy sends more header fields than it received, which may have been as many as its parser allows: the INVITE is acknowledged and
// cancelled nevertheless.
func TestManyFields(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		x := invite
		x.lines = strings.Repeat("X-Y: z\r\n", 300)
		for _, branch := range []string{"z9hG4bKbusy", "z9hG4bKcancelled"} {
			c, err := w.table.NewClient(udp, sip.INVITE, "call", branch, []byte(strings.Replace(x.String(), "z9hG4bK1", branch, 1)), nil)
			require.NoError(t, err)
			y := invite
			y.via = "192.0.2.9:5062;branch=" + branch
			if branch == "z9hG4bKbusy" {
				w.answer(udp, y, 486)
				require.Equal(t, "ACK", title([]byte(w.lastSent().text)))
				continue
			}
			w.answer(udp, y, 180)
			c.Cancel("")
			require.Equal(t, "CANCEL", title([]byte(w.lastSent().text)))
		}
	})
}

// "Timer C MUST be set for each client transaction when an INVITE request is proxied" (16.6 step 11) and "for any provisional
// response with status codes 101 to 199 inclusive (i.e., anything but 100), the proxy MUST reset timer C" (16.7 step 2). "If
// timer C should fire, the proxy MUST either reset the timer with any value it chooses, or terminate the client transaction."
// (16.8)
func TestTimerC(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.send(udp, invite, &caller{w: w, timerC: func(c *Client) {
			if time.Since(w.begin) > 300*time.Second {
				c.Cancel("")
			}
		}})
		w.until(0.1)
		w.answer(udp, invite, 100)
		w.until(100)
		w.answer(udp, invite, 180)
		w.until(200)
		w.answer(udp, invite, 100)
		w.until(462.1)
		w.answer(udp, invite, 487)
		cancel := invite
		cancel.method = sip.CANCEL
		w.answer(udp, cancel, 200)
		w.want(
			"0.000 > INVITE",
			"0.100 Response 100",
			"100.000 Response 180",
			"200.000 Response 100",
			"281.000 TimerC", // and runs once more
			"462.000 TimerC",
			"462.000 > CANCEL",
			"462.100 > ACK",
			"462.100 Response 487")
		require.EqualValues(t, 2, w.table.Stats().Timers.C)
	})
}

// A request that gets no answer is given up earlier if the user wants that, so that it can try the next server (RFC 3263 section
// 4.3).
func TestSetTimeout(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c, _ := w.send(udp, invite, &caller{w: w})
		c.SetTimeout(2 * time.Second)
		w.until(5)
		w.want("0.000 > INVITE", "0.500 > INVITE", "1.500 > INVITE", "2.000 Failed: transaction: timeout", "2.000 Ended")

		c, _ = w.send(udp, options, &caller{w: w})
		c.SetTimeout(time.Second)
		w.until(10)
		w.want("5.000 > OPTIONS", "5.500 > OPTIONS", "6.000 Failed: transaction: timeout", "6.000 Ended")

		c, _ = w.send(udp, invite, &caller{w: w})
		w.answer(udp, invite, 180)
		c.SetTimeout(time.Second)
		w.until(20)
		w.answer(udp, invite, 200)
		w.want("10.000 > INVITE", "10.000 Response 180", "20.000 Response 200")
	})
}

// "The client transaction SHOULD inform the TU that a transport failure has occurred, and the client transaction SHOULD
// transition directly to the "Terminated" state." (17.1.4)
func TestClientTransportError(t *testing.T) {
	broken := func(transport.Flow, []byte) error { return errCable }
	for name, c := range map[string]struct {
		test func(w *world)
		want []string
	}{
		"the first request": {func(w *world) {
			w.fails(broken)
			c, err := w.send(udp, invite, &caller{w: w})
			require.ErrorIs(t, err, ErrTransport)
			require.ErrorIs(t, err, errCable)
			require.Nil(t, c)
		}, []string{"0.000 > INVITE: the cable is cut"}},
		"INVITE again": {func(w *world) {
			w.send(udp, invite, &caller{w: w})
			w.fails(broken)
			w.until(1)
		}, []string{"0.000 > INVITE", "0.500 > INVITE: the cable is cut", "0.500 Failed: transaction: transport error: the cable is cut", "0.500 Ended"}},
		"ACK": {func(w *world) {
			w.send(udp, invite, &caller{w: w})
			w.fails(broken)
			w.answer(udp, invite, 404)
			w.until(1)
		}, []string{"0.000 > INVITE", "0.000 > ACK: the cable is cut", "0.000 Response 404",
			"0.000 Failed: transaction: transport error: the cable is cut", "0.000 Ended"}},
		"ACK over a connection": {func(w *world) {
			w.send(tcp, invite, &caller{w: w})
			w.fails(broken)
			w.answer(tcp, invite, 404)
			w.until(1)
		}, []string{"0.000 > INVITE", "0.000 > ACK: the cable is cut", "0.000 Response 404",
			"0.000 Failed: transaction: transport error: the cable is cut", "0.000 Ended"}},
		"OPTIONS again": {func(w *world) {
			w.send(udp, options, &caller{w: w})
			w.answer(udp, options, 100)
			w.fails(broken)
			w.until(1)
		}, []string{"0.000 > OPTIONS", "0.000 Response 100", "0.500 > OPTIONS: the cable is cut",
			"0.500 Failed: transaction: transport error: the cable is cut", "0.500 Ended"}},
		"CANCEL": {func(w *world) {
			c, _ := w.send(udp, invite, &caller{w: w})
			w.answer(udp, invite, 180)
			w.fails(broken)
			c.Cancel("")
			w.until(1)
			w.fails(nil)
			w.answer(udp, invite, 200)
		}, []string{"0.000 > INVITE", "0.000 Response 180", "0.000 > CANCEL: the cable is cut", "1.000 Response 200"}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				c.test(w)
				w.want(c.want...)
			})
		})
	}
}

// The same of a message that the sender had taken.
func TestClientTransportErrorLater(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.send(udp, invite, &caller{w: w})
		w.table.SendFailed([]byte(w.lastSent().text), errCable)
		w.want("0.000 > INVITE", "0.000 Failed: transaction: transport error: the cable is cut", "0.000 Ended")
		w.table.SendFailed([]byte(w.lastSent().text), errCable)
		w.table.SendFailed([]byte("garbage"), errCable)
		w.want()
	})
	inWorld(t, Config{}, func(w *world) {
		w.send(udp, invite, &caller{w: w})
		first := w.lastSent().text
		w.answer(udp, invite, 404) // so it was sent
		ack := w.lastSent().text
		w.table.SendFailed([]byte(first), errCable)
		w.want("0.000 > INVITE", "0.000 > ACK", "0.000 Response 404", "0.000 Failed: transaction: transport error: the cable is cut", "0.000 Ended")
		w.table.SendFailed([]byte(ack), errCable)
		w.want()
	})
	inWorld(t, Config{}, func(w *world) {
		w.send(udp, options, &caller{w: w})
		w.answer(udp, options, 100)
		w.table.SendFailed([]byte(w.lastSent().text), errCable)
		w.want("0.000 > OPTIONS", "0.000 Response 100", "0.000 Failed: transaction: transport error: the cable is cut", "0.000 Ended")
	})
}

// A response that comes while the request is being sent counts, even if the sender then says that it was not.
func TestResponseBeforeError(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.fails(func(transport.Flow, []byte) error {
			time.Sleep(time.Second)
			return errCable
		})
		go func() {
			time.Sleep(400 * time.Millisecond)
			w.answer(tcp, options, 100)
		}()
		c, err := w.send(tcp, options, &caller{w: w})
		require.NoError(t, err)
		require.NotNil(t, c)
		w.fails(nil)
		w.answer(tcp, options, 200)
		w.until(10)
		w.want(
			"0.400 Response 100",
			"1.000 > OPTIONS: the cable is cut",
			"1.000 Response 200",
			"1.000 Ended")
	})
}

func TestNewClientRefused(t *testing.T) {
	inWorld(t, Config{MaxClient: 2}, func(w *world) {
		ack, cancel, bye := text{method: sip.ACK}, text{method: sip.CANCEL}, text{method: sip.BYE}
		_, err := w.send(udp, ack, nil)
		require.ErrorIs(t, err, ErrMethod)
		_, err = w.send(udp, cancel, nil)
		require.ErrorIs(t, err, ErrMethod)
		c, err := w.send(udp, invite, nil)
		require.NoError(t, err)
		_, err = w.send(udp, invite, nil)
		require.ErrorIs(t, err, ErrBranch)
		_, err = w.send(udp, options, nil)
		require.NoError(t, err)
		_, err = w.send(udp, bye, nil)
		require.ErrorIs(t, err, ErrTooMany)
		w.answer(udp, invite, 180)
		c.Cancel("") // is always possible
		w.answer(udp, invite, 487)
		w.answer(udp, cancel, 200)
		w.answer(udp, options, 200)
		w.until(40)
		_, err = w.send(udp, bye, nil)
		require.NoError(t, err, "there is room again")
		require.EqualValues(t, 1, w.table.Stats().RefusedClients)
	})
}

// What is received while the user still has the response before it waits until the user is done with that.
func TestClientUserInOrder(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.send(tcp, invite, &caller{w: w, response: func(c *Client, m *sip.Message) {
			w.note("takes a second")
			time.Sleep(time.Second)
			w.note("done with %d", m.Status())
		}})
		go w.answer(tcp, invite, 180)
		w.until(0.1)
		for range 100 { // does not fit into the outbox
			w.answer(tcp, invite, 183)
		}
		w.answer(tcp, invite, 486)
		w.until(0.2)
		w.want("0.000 > INVITE", "0.000 Response 180", "0.000 takes a second")
		w.until(100)
		w.mu.Lock()
		defer w.mu.Unlock()
		require.Len(t, w.log, 1+3*maxNotices+5)
		require.Equal(t, []string{"1.000 done with 180", "1.000 Response 183"}, w.log[:2])
		require.Equal(t, []string{
			"65.000 done with 183",
			"65.000 > ACK",
			"65.000 Response 486",
			"65.000 takes a second",
			"66.000 done with 486",
			"66.000 Ended",
		}, w.log[len(w.log)-6:])
		w.log = nil
	})
}
