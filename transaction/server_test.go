package transaction

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

var (
	ackOf    = text{method: sip.ACK}
	cancelOf = text{method: sip.CANCEL}
)

func stateOf(s *Server) state { return locked(s.shard, func() state { return s.machine.state }) }

// "The server transaction MUST generate a 100 (Trying) response unless it knows that the TU will generate a provisional or final
// response within 200 ms" (RFC 3261 section 17.2.1), "except that the insertion of tags in the To header field of the response
// (when none was present in the request) is downgraded from MAY to SHOULD NOT" (the same). "any Timestamp header field present in
// the request MUST be copied into this 100 (Trying) response. If there is a delay in generating the response, the UAS SHOULD add
// a delay value into the Timestamp value in the response." (8.2.6.1)
func TestTrying(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		x := invite
		x.lines = "Timestamp: 54\r\n"
		w.receive(udp, x)
		w.until(1)
		m := parse(t, w.lastSent().text)
		require.Empty(t, m.To().Tag)
		require.Equal(t, "54 0.2", m.Get(sip.Timestamp))
		require.Equal(t, "z9hG4bK1", m.Via().Branch)
		w.last.Drop()
		w.want("0.000 Request INVITE", "0.200 > 100 (INVITE)", "1.000 Ended INVITE")
	})
	inWorld(t, Config{Timers: Timers{Trying: -1}}, func(w *world) {
		x := invite
		x.lines = "Timestamp: 54\r\n"
		w.receive(udp, x)
		w.until(1)
		require.Equal(t, "54", parse(t, w.lastSent().text).Get(sip.Timestamp))
		w.last.Drop()
		w.want("0.000 > 100 (INVITE)", "0.000 Request INVITE", "1.000 Ended INVITE")
	})
}

func TestTryingNotNeeded(t *testing.T) {
	for _, status := range []int{100, 180, 200, 486} {
		inWorld(t, Config{}, func(w *world) {
			w.receive(udp, invite)
			w.until(0.1)
			require.NoError(t, w.respond(invite, status))
			w.until(0.4)
			require.Zero(t, w.table.Stats().Timers.Trying)
			w.last.Drop()
		})
	}
}

// "If a request retransmission is received while in the "Proceeding" state, the most recent provisional response that was received
// from the TU MUST be passed to the transport layer for retransmission." (17.2.1)
func TestInviteAgain(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(udp, invite)
		w.until(0.1)
		w.receive(udp, invite)
		w.until(0.5)
		w.receive(udp, invite)
		w.respond(invite, 180)
		w.respond(invite, 183)
		w.receive(udp, invite)
		w.want(
			"0.000 Request INVITE",
			"0.100 > 100 (INVITE)",
			"0.500 > 100 (INVITE)",
			"0.500 > 180 (INVITE)",
			"0.500 > 183 (INVITE)",
			"0.500 > 183 (INVITE)")
		require.EqualValues(t, 3, w.table.Stats().InviteServer.Absorbed)
		w.last.Drop()
	})
}

// "For unreliable transports, timer G is set to fire in T1 seconds […]. If timer G fires, the response is passed to the transport
// layer once more for retransmission, and timer G is set to fire in MIN(2*T1, T2) seconds." and "If timer H fires while in the
// "Completed" state, it implies that the ACK was never received. In this case, the server transaction MUST transition to the
// "Terminated" state, and MUST indicate to the TU that a transaction failure has occurred." (17.2.1)
func TestInviteNoACK(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(udp, invite)
		w.respond(invite, 486)
		w.until(1)
		w.receive(udp, invite)
		w.until(40)
		w.want(
			"0.000 Request INVITE",
			"0.000 > 486 (INVITE)",
			"0.500 > 486 (INVITE)",
			"1.000 > 486 (INVITE)", // for the INVITE
			"1.500 > 486 (INVITE)",
			"3.500 > 486 (INVITE)",
			"7.500 > 486 (INVITE)",
			"11.500 > 486 (INVITE)",
			"15.500 > 486 (INVITE)",
			"19.500 > 486 (INVITE)",
			"23.500 > 486 (INVITE)",
			"27.500 > 486 (INVITE)",
			"31.500 > 486 (INVITE)",
			"32.000 Ended INVITE: transaction: no ACK received")
	})
	// "and is not set to fire for reliable transports" (the same)
	inWorld(t, Config{}, func(w *world) {
		w.receive(tcp, invite)
		w.respond(invite, 486)
		w.until(40)
		w.want("0.000 Request INVITE", "0.000 > 486 (INVITE)", "32.000 Ended INVITE: transaction: no ACK received")
	})
}

// "If an ACK is received while the server transaction is in the "Completed" state, the server transaction MUST transition to the
// "Confirmed" state. […] any retransmissions of the response will cease." and "The purpose of the "Confirmed" state is to absorb
// any additional ACK messages that arrive, triggered from retransmissions of the final response. When this state is entered,
// timer I is set to fire in T4 seconds for unreliable transports, and zero seconds for reliable transports." (17.2.1)
func TestInviteConfirmed(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(udp, invite)
		w.respond(invite, 486)
		w.receive(udp, ackOf)
		require.Nil(t, locked(w.last.shard, func() []byte { return w.last.last }), "nothing is kept")
		w.until(1)
		w.receive(udp, ackOf)
		w.receive(udp, invite)
		w.until(6)
		w.receive(udp, ackOf)
		w.want(
			"0.000 Request INVITE",
			"0.000 > 486 (INVITE)",
			"5.000 Ended INVITE",
			"6.000 Request ACK without transaction")
	})
	inWorld(t, Config{}, func(w *world) {
		w.receive(tcp, invite)
		w.respond(invite, 486)
		w.receive(tcp, ackOf)
		w.want("0.000 Request INVITE", "0.000 > 486 (INVITE)", "0.000 Ended INVITE")
	})
}

// "The purpose of the "Accepted" state is to absorb retransmissions of an accepted INVITE request. Any such retransmissions are
// absorbed entirely within the server transaction." and "While in the "Accepted" state, if the TU passes a 2xx response, the
// server transaction MUST pass the response to the transport layer for transmission." and "If an ACK is received while the INVITE
// server transaction is in the "Accepted" state, then the ACK must be passed up to the TU." and "When the INVITE server
// transaction enters the "Accepted" state, Timer L MUST be set to fire in 64*T1 for all transports." (RFC 6026 section 8.7)
func TestAccepted(t *testing.T) {
	for _, f := range []transport.Flow{udp, tcp} {
		inWorld(t, Config{}, func(w *world) {
			w.receive(f, invite)
			w.respond(invite, 200)
			require.Nil(t, locked(w.last.shard, func() []byte { return w.last.last }), "nothing is kept")
			w.until(0.5)
			w.receive(f, invite)
			require.NoError(t, w.respond(invite, 200))
			w.receive(f, ackOf) // with the branch of the INVITE
			w.until(40)
			w.want(
				"0.000 Request INVITE",
				"0.000 > 200 (INVITE)",
				"0.500 > 200 (INVITE)",
				"0.500 Request ACK without transaction",
				"32.000 Ended INVITE")
			require.EqualValues(t, 1, w.table.Stats().ACKs)
		})
	}
}

// Answered callee, cancelled caller: the 487 is what was sent, and stays what is sent.
func TestOneFinalResponse(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(udp, invite)
		require.NoError(t, w.respond(invite, 487))
		require.ErrorIs(t, w.respond(invite, 200), ErrFinal)
		require.ErrorIs(t, w.respond(invite, 486), ErrFinal)
		require.ErrorIs(t, w.respond(invite, 180), ErrFinal)
		w.until(0.6)
		w.receive(udp, ackOf)
		require.ErrorIs(t, w.respond(invite, 200), ErrFinal)
		w.until(10)
		require.ErrorIs(t, w.respond(invite, 200), ErrEnded)
		require.ErrorIs(t, w.respond(invite, 99), ErrStatus)
		require.ErrorIs(t, w.respond(invite, 700), ErrStatus)
		w.want("0.000 Request INVITE", "0.000 > 487 (INVITE)", "0.500 > 487 (INVITE)", "5.600 Ended INVITE")

		w.receive(udp, invite)
		require.NoError(t, w.respond(invite, 200))
		require.ErrorIs(t, w.respond(invite, 487), ErrFinal)
		w.receive(udp, options)
		require.NoError(t, w.respond(options, 200))
		require.ErrorIs(t, w.respond(options, 200), ErrFinal)
	})
}

// "Once in the "Trying" state, any further request retransmissions are discarded." and "While in the "Completed" state, the
// server transaction MUST pass the final response to the transport layer for retransmission whenever a retransmission of the
// request is received." and "it MUST set Timer J to fire in 64*T1 seconds for unreliable transports, and zero seconds for
// reliable transports" (17.2.2)
func TestNonInviteServer(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(udp, options)
		w.receive(udp, options)
		w.until(1)
		w.respond(options, 200)
		w.until(2)
		w.receive(udp, options)
		w.until(40)
		w.want(
			"0.000 Request OPTIONS",
			"1.000 > 200 (OPTIONS)",
			"2.000 > 200 (OPTIONS)",
			"33.000 Ended OPTIONS")
		w.receive(tcp, options)
		w.respond(options, 200)
		w.want("40.000 Request OPTIONS", "40.000 > 200 (OPTIONS)", "40.000 Ended OPTIONS")
	})
}

// "An SIP element MUST NOT respond to a non-INVITE request with a Status-Code of 100 over any unreliable transport, such as UDP,
// before the amount of time it takes a client transaction's Timer E to be reset to T2. An SIP element MAY respond to a non-INVITE
// request with a Status-Code of 100 over a reliable transport at any time. Without regard to transport, an SIP element MUST
// respond to a non-INVITE request with a Status-Code of 100 if it has not otherwise responded after the amount of time it takes a
// client transaction's Timer E to be reset to T2." and "An SIP element MUST NOT send any provisional response with a Status-Code
// other than 100 to a non-INVITE request." (RFC 4320 section 4.1) "an element that cannot respond before the transaction expires
// will not send a final response at all" (4.2)
func TestNonInviteLate(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(udp, options)
		require.ErrorIs(t, w.respond(options, 100), ErrProvisional)
		require.ErrorIs(t, w.respond(options, 180), ErrProvisional)
		w.until(4)
		w.receive(udp, options)
		require.NoError(t, w.respond(options, 100))
		w.receive(udp, options)
		require.ErrorIs(t, w.respond(options, 180), ErrProvisional)
		w.until(40)
		require.ErrorIs(t, w.respond(options, 200), ErrEnded)
		w.want(
			"0.000 Request OPTIONS",
			"3.500 > 100 (OPTIONS)",
			"4.000 > 100 (OPTIONS)",
			"4.000 > 100 (OPTIONS)",
			"4.000 > 100 (OPTIONS)",
			"32.000 Ended OPTIONS: transaction: timeout")
		require.EqualValues(t, 1, w.table.Stats().Timers.Useless)
	})
	inWorld(t, Config{}, func(w *world) {
		w.receive(tcp, options)
		require.NoError(t, w.respond(options, 100))
		require.ErrorIs(t, w.respond(options, 180), ErrProvisional)
		w.until(10)
		require.NoError(t, w.respond(options, 200))
		w.want("0.000 Request OPTIONS", "0.000 > 100 (OPTIONS)", "10.000 > 200 (OPTIONS)", "10.000 Ended OPTIONS")
	})
}

// "The server MAY […] A server that [is overloaded] MAY indicate when the client should retry the request in a Retry-After header
// field." (21.5.4, of 503)
func TestMaxServer(t *testing.T) {
	inWorld(t, Config{MaxServer: 1, RetryAfter: 7 * time.Second}, func(w *world) {
		bye := text{method: sip.BYE}
		w.receive(udp, invite)
		w.receive(udp, bye)
		m := parse(t, w.lastSent().text)
		require.Equal(t, "7", m.Get(sip.RetryAfter))
		require.NotEmpty(t, m.To().Tag)
		w.receive(udp, text{method: sip.ACK, via: "192.0.2.9;branch=z9hG4bKother"})
		w.receive(udp, cancelOf)
		w.respond(invite, 487)
		w.receive(udp, ackOf)
		w.until(40)
		w.receive(udp, bye)
		w.want(
			"0.000 Request INVITE",
			"0.000 > 503 (BYE)",
			"0.000 Request ACK without transaction",
			"0.000 > 200 (CANCEL)",
			"0.000 Cancel of INVITE",
			"0.000 > 487 (INVITE)",
			"5.000 Ended INVITE",
			"40.000 Request BYE")
		require.EqualValues(t, 1, w.table.Stats().Refused)
	})
}

// "if the top Via has a "received" parameter, the response MUST be sent to the address in the "received" parameter, using the
// port indicated in the "sent-by" value, or using port 5060 if none is specified explicitly." (18.2.2) "the response MUST be sent
// to the IP address indicated in the "received" parameter, and to the port indicated in the "rport" parameter." (RFC 3581 section
// 4) "If the "sent-protocol" is a reliable transport protocol such as TCP or SCTP, or TLS over those, the response MUST be sent
// using the existing connection to the source of the original request" (RFC 3261 section 18.2.2)
func TestResponseFlow(t *testing.T) {
	to := func(port uint16) transport.Flow {
		f := udp
		f.Remote = netip.AddrPortFrom(them.Addr(), port)
		return f
	}
	for _, c := range []struct {
		via  string
		flow transport.Flow
		want transport.Flow
	}{
		{"192.0.2.9:5080;branch=z9hG4bK1", udp, to(5080)},
		{"phone.example.com;branch=z9hG4bK1", udp, to(5060)},
		{"192.0.2.9:5080;branch=z9hG4bK1;rport", udp, udp},
		{"10.0.0.1;branch=z9hG4bK1;received=192.0.2.9;rport=5062", udp, udp},
		{"192.0.2.9:5080;branch=z9hG4bK1", tcp, tcp},
	} {
		inWorld(t, Config{}, func(w *world) {
			x := text{method: sip.INVITE, via: c.via}
			w.receive(c.flow, x)
			require.Equal(t, c.want, w.last.Flow())
			w.until(0.2)
			require.Equal(t, c.want, w.lastSent().flow)
			w.last.Drop()
			cancel := x
			cancel.method = sip.CANCEL
			w.receive(c.flow, cancel)
			require.Equal(t, c.want, w.lastSent().flow)
		})
	}
}

// "the server transaction SHOULD inform the TU that a failure has occurred, and MUST remain in the current state" (RFC 6026
// section 8.8), so that "the procedures in [4] are followed, which attempt to deliver the response to a backup" (RFC 3261 section
// 17.2.4).
func TestServerTransportError(t *testing.T) {
	elsewhere := transport.Flow{Protocol: transport.TCP, Local: us, Remote: them, Conn: 2}
	cut := func(f transport.Flow, b []byte) error {
		if f != elsewhere {
			return errCable
		}
		return nil
	}
	for _, f := range []transport.Flow{udp, tcp} {
		for _, x := range []text{invite, options} {
			for _, status := range []int{200, 503} {
				inWorld(t, Config{}, func(w *world) {
					w.receive(f, x)
					w.fails(cut)
					err := w.respond(x, status)
					require.ErrorIs(t, err, ErrTransport)
					require.ErrorIs(t, err, errCable)
					w.forget()
					w.last.SetFlow(elsewhere)
					require.NoError(t, w.respond(x, status))
					require.Equal(t, sent{0, elsewhere, string(w.response(x, status))}, w.lastSent())
					require.Equal(t, elsewhere, w.last.Flow())
					if status == 503 {
						require.Error(t, w.respond(x, status))
						w.receive(f, ackOf)
					}
					w.until(60)
					w.mu.Lock()
					require.Contains(t, w.log[len(w.log)-1], "Ended "+string(x.method), "and no error")
					require.NotContains(t, w.log[len(w.log)-1], ":")
					w.log = nil
					w.mu.Unlock()
				})
				// Nobody tries elsewhere.
				inWorld(t, Config{}, func(w *world) {
					w.receive(f, x)
					w.fails(cut)
					require.Error(t, w.respond(x, status))
					w.until(31.9)
					w.forget()
					w.until(33)
					w.want("32.000 Ended " + string(x.method) + ": transaction: transport error: the cable is cut")
				})
			}
		}
	}
	// The transaction does not end while its response is being sent.
	inWorld(t, Config{}, func(w *world) {
		w.receive(tcp, options)
		w.fails(func(transport.Flow, []byte) error {
			time.Sleep(time.Second)
			return errCable
		})
		require.ErrorIs(t, w.respond(options, 200), ErrTransport)
		w.fails(nil)
		require.NoError(t, w.respond(options, 200))
		w.want(
			"0.000 Request OPTIONS",
			"1.000 > 200 (OPTIONS): the cable is cut",
			"1.000 > 200 (OPTIONS)",
			"1.000 Ended OPTIONS")
	})
	// A provisional response that cannot be sent is no failure of the transaction.
	inWorld(t, Config{}, func(w *world) {
		w.receive(tcp, invite)
		w.fails(cut)
		require.ErrorIs(t, w.respond(invite, 180), ErrTransport)
		w.receive(tcp, invite)
		w.fails(nil)
		require.NoError(t, w.respond(invite, 200))
		w.until(40)
		w.want(
			"0.000 Request INVITE",
			"0.000 > 180 (INVITE): the cable is cut",
			"0.000 > 180 (INVITE): the cable is cut",
			"0.000 > 200 (INVITE)",
			"32.000 Ended INVITE")
		require.EqualValues(t, 2, w.table.Stats().InviteServer.TransportErrors)
	})
}
