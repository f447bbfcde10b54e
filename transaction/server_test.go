package transaction

import (
	"net/netip"
	"strings"
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

// "The server transaction MUST generate a 100 (Trying) response unless it knows that the TU will generate a provisional or final response
// within 200 ms" (RFC 3261 section 17.2.1), "except that the insertion of tags in the To header field of the response (when none was present
// in the request) is downgraded from MAY to SHOULD NOT" (the same).
// "any Timestamp header field present in the request MUST be copied into this 100 (Trying) response. If there is a delay in generating
// the response, the UAS SHOULD add a delay value into the Timestamp value in the response." (8.2.6.1)
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

// "For unreliable transports, timer G is set to fire in T1 seconds […]. If timer G fires, the response is passed to the transport layer
// once more for retransmission, and timer G is set to fire in MIN(2*T1, T2) seconds." and "If timer H fires while in the "Completed"
// state, it implies that the ACK was never received. In this case, the server transaction MUST transition to the "Terminated" state,
// and MUST indicate to the TU that a transaction failure has occurred." (17.2.1)
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

// "If an ACK is received while the server transaction is in the "Completed" state, the server transaction MUST transition to the "Confirmed"
// state. […] any retransmissions of the response will cease." and "The purpose of the "Confirmed" state is to absorb any additional
// ACK messages that arrive, triggered from retransmissions of the final response. When this state is entered, timer I is set to fire in
// T4 seconds for unreliable transports, and zero seconds for reliable transports." (17.2.1)
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

// "The purpose of the "Accepted" state is to absorb retransmissions of an accepted INVITE request. Any such retransmissions are absorbed
// entirely within the server transaction." and "While in the "Accepted" state, if the TU passes a 2xx response, the server transaction
// MUST pass the response to the transport layer for transmission." and "If an ACK is received while the INVITE server transaction is in the
// "Accepted" state, then the ACK must be passed up to the TU." and "When the INVITE server transaction enters the "Accepted" state, Timer L
// MUST be set to fire in 64*T1 for all transports." (RFC 6026 section 8.7)
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

// "Once in the "Trying" state, any further request retransmissions are discarded." and "While in the "Completed" state, the server
// transaction MUST pass the final response to the transport layer for retransmission whenever a retransmission of the request is received."
// and "it MUST set Timer J to fire in 64*T1 seconds for unreliable transports, and zero seconds for reliable transports" (17.2.2)
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

// "An SIP element MUST NOT respond to a non-INVITE request with a Status-Code of 100 over any unreliable transport, such as UDP, before
// the amount of time it takes a client transaction's Timer E to be reset to T2. An SIP element MAY respond to a non-INVITE request with a
// Status-Code of 100 over a reliable transport at any time. Without regard to transport, an SIP element MUST respond to a non-INVITE
// request with a Status-Code of 100 if it has not otherwise responded after the amount of time it takes a client transaction's Timer
// E to be reset to T2." and "An SIP element MUST NOT send any provisional response with a Status-Code other than 100 to a non-INVITE
// request." (RFC 4320 section 4.1)
// "an element that cannot respond before the transaction expires will not send a final response at all" (4.2)
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

// "The request matches a transaction if: 1. the branch parameter in the request is equal to the one in the top Via header field of the request
// that created the transaction, and 2. the sent-by value in the top Via of the request is equal to the one in the request that created
// the transaction, and 3. the method of the request matches the one that created the transaction, except for ACK, where the method of the
// request that created the transaction is INVITE." (17.2.3)
func TestRequestMatching(t *testing.T) {
	for name, c := range map[string]struct {
		first, second text
		same          bool
	}{
		"again":                     {options, options, true},
		"another branch":            {options, text{method: sip.OPTIONS, via: "192.0.2.9:5062;branch=z9hG4bK2"}, false},
		"another host":              {options, text{method: sip.OPTIONS, via: "192.0.2.8:5062;branch=z9hG4bK1"}, false},
		"another port":              {options, text{method: sip.OPTIONS, via: "192.0.2.9:5063;branch=z9hG4bK1"}, false},
		"no port":                   {options, text{method: sip.OPTIONS, via: "192.0.2.9;branch=z9hG4bK1"}, false},
		"another method":            {options, text{method: sip.BYE}, false},
		"extension methods":         {text{method: "FOO"}, text{method: "BAR"}, false},
		"an extension method again": {text{method: "FOO"}, text{method: "FOO"}, true},
		"the case of the host": {text{method: sip.OPTIONS, via: "Phone.example.com;branch=z9hG4bK1"},
			text{method: sip.OPTIONS, via: "phone.EXAMPLE.com;branch=z9hG4bK1"}, true},
		"what else may differ": {options, text{method: sip.OPTIONS, to: "x", from: "y", cseq: 7, uri: "sip:other@example.com"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				w.receive(udp, c.first)
				w.receive(udp, c.second)
				require.Equal(t, c.same, w.table.Stats().NonInviteServer.Created == 1)
			})
		})
	}
}

// "If the branch parameter in the top Via header field is not present, or does not contain the magic cookie […], the INVITE request
// matches a transaction if the Request-URI, To tag, From tag, Call-ID, CSeq, and top Via header field match those of the INVITE request
// which created the transaction. […] For all other request methods, a request is matched to a transaction if the Request-URI, To tag,
// From tag, Call-ID, CSeq (including the method), and top Via header field match" (17.2.3)
func TestOldRequestMatching(t *testing.T) {
	for _, via := range []string{"192.0.2.9:5062", "192.0.2.9:5062;branch=1"} {
		for _, method := range []sip.Method{sip.INVITE, sip.OPTIONS} {
			first := text{method: method, via: via}
			for name, c := range map[string]struct {
				change func(*text)
				same   bool
			}{
				"again":               {func(x *text) {}, true},
				"another Request-URI": {func(x *text) { x.uri = "sip:bob@192.0.2.3" }, false},
				"a To tag":            {func(x *text) { x.to = "t" }, false},
				"another From tag":    {func(x *text) { x.from = "g" }, false},
				"another Call-ID":     {func(x *text) { x.callID = "other" }, false},
				"another CSeq":        {func(x *text) { x.cseq = 2 }, false},
				"another method":      {func(x *text) { x.method = sip.MESSAGE }, false},
				"another port":        {func(x *text) { x.via = strings.Replace(x.via, "5062", "5063", 1) }, false},
				"another branch":      {func(x *text) { x.via = "192.0.2.9:5062;branch=2" }, false},
			} {
				t.Run(name, func(t *testing.T) {
					inWorld(t, Config{}, func(w *world) {
						w.request = func(tx *Server, m *sip.Message) { tx.Respond(404, w.response(first, 404)) }
						w.receive(udp, first)
						second := first
						c.change(&second)
						w.receive(udp, second)
						st := w.table.Stats()
						require.Equal(t, c.same, st.InviteServer.Created+st.NonInviteServer.Created == 1)
					})
				})
			}
		}
	}
}

// "The ACK request matches a transaction if the Request-URI, From tag, Call-ID, CSeq number (not the method), and top Via header field match
// those of the INVITE request which created the transaction, and the To tag of the ACK matches the To tag of the response sent by the
// server transaction. […] Inclusion of the tag in the To header field in the ACK matching process helps disambiguate ACK for 2xx from ACK for
// other responses" (17.2.3)
func TestOldACKMatching(t *testing.T) {
	for _, to := range []string{"", "dialog"} { // the INVITE's tag
		x := text{method: sip.INVITE, via: "192.0.2.9:5062", to: to}
		for name, c := range map[string]struct {
			change func(*text)
			same   bool
		}{
			"right":               {func(x *text) {}, true},
			"another Request-URI": {func(x *text) { x.uri = "sip:bob@192.0.2.3" }, false},
			"another To tag":      {func(x *text) { x.to = "other" }, false},
			"no To tag":           {func(x *text) { x.to = "" }, false},
			"another From tag":    {func(x *text) { x.from = "g" }, false},
			"another CSeq":        {func(x *text) { x.cseq = 2 }, false},
		} {
			t.Run(name, func(t *testing.T) {
				inWorld(t, Config{}, func(w *world) {
					w.receive(udp, x)
					w.receive(udp, text{method: sip.ACK, via: x.via, to: "early"})
					w.respond(x, 486)
					w.forget()
					ack := x
					ack.method = sip.ACK
					ack.to = parse(t, w.lastSent().text).To().Tag
					require.NotEmpty(t, ack.to)
					c.change(&ack)
					w.receive(udp, ack)
					if c.same {
						w.want()
						require.Equal(t, confirmed, stateOf(w.last))
					} else {
						w.want("0.000 Request ACK without transaction")
						require.Equal(t, completed, stateOf(w.last))
					}
				})
			})
		}
	}
}

// "applying the transaction matching procedures of Section 17.2.3" (9.2) without magic cookie.
func TestOldCancelMatching(t *testing.T) {
	for _, to := range []string{"", "dialog"} {
		inWorld(t, Config{}, func(w *world) {
			x := text{method: sip.INVITE, via: "192.0.2.9:5062", to: to}
			w.receive(udp, x)
			cancel := x
			cancel.method = sip.CANCEL
			w.receive(udp, cancel)
			w.receive(udp, cancel)
			other := cancel
			other.cseq = 2
			w.receive(udp, other)
			w.respond(x, 487)
			w.want(
				"0.000 Request INVITE",
				"0.000 > 200 (CANCEL)",
				"0.000 Cancel of INVITE",
				"0.000 > 200 (CANCEL)",
				"0.000 > 481 (CANCEL)",
				"0.000 > 487 (INVITE)")
		})
	}
}

// "Regardless of the method of the original request, as long as the CANCEL matched an existing transaction, the UAS answers the CANCEL
// request itself with a 200 (OK) response. This response is constructed following the procedures described in Section 8.2.6 noting
// that the To tag of the response to the CANCEL and the To tag in the response to the original request SHOULD be the same." (9.2)
// "If the UAS did not find a matching transaction for the CANCEL according to the procedure above, it SHOULD respond to the CANCEL with a
// 481 (Call Leg/Transaction Does Not Exist)." (the same)
func TestCancel(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(udp, cancelOf)
		w.want("0.000 > 481 (CANCEL)")
		require.NotEmpty(t, parse(t, w.lastSent().text).To().Tag)
		w.receive(udp, cancelOf)
		w.want("0.000 > 481 (CANCEL)")
		require.EqualValues(t, 2, w.table.Stats().StrayCancels)
		require.Zero(t, w.table.Stats().NonInviteServer.Created, "a flood of them leaves nothing behind")

		w.receive(udp, invite)
		w.until(0.3)
		w.receive(udp, cancelOf)
		tag := parse(t, w.lastSent().text).To().Tag
		require.NotEmpty(t, tag)
		w.receive(udp, cancelOf)
		w.respond(invite, 487)
		require.Equal(t, tag, parse(t, w.lastSent().text).To().Tag)
		w.until(1)
		w.receive(udp, ackOf)
		w.until(40)
		w.want(
			"0.000 Request INVITE",
			"0.200 > 100 (INVITE)",
			"0.300 > 200 (CANCEL)",
			"0.300 Cancel of INVITE",
			"0.300 > 200 (CANCEL)",
			"0.300 > 487 (INVITE)",
			"0.800 > 487 (INVITE)",
			"6.000 Ended INVITE")
	})
}

// "If it has [already sent a final response], the CANCEL request has no effect on the processing of the original request" and "A CANCEL
// request has no impact on the processing of transactions with any other method defined in this specification." (9.2)
func TestCancelWithoutEffect(t *testing.T) {
	for _, status := range []int{200, 486} {
		inWorld(t, Config{}, func(w *world) {
			w.receive(tcp, invite)
			w.respond(invite, status)
			w.forget()
			w.receive(tcp, cancelOf)
			w.receive(tcp, cancelOf) // the first one's transaction has ended
			w.want("0.000 > 200 (CANCEL)", "0.000 > 200 (CANCEL)")
		})
	}
	for _, method := range methods[1:] {
		inWorld(t, Config{}, func(w *world) {
			w.receive(udp, text{method: method})
			w.receive(udp, cancelOf)
			w.want("0.000 Request "+string(method), "0.000 > 200 (CANCEL)")
		})
	}
	inWorld(t, Config{}, func(w *world) {
		w.receive(tcp, invite)
		w.receive(tcp, cancelOf)
		w.until(0.1)
		w.receive(tcp, cancelOf) // the user is told once
		w.want("0.000 Request INVITE", "0.000 > 200 (CANCEL)", "0.000 Cancel of INVITE", "0.100 > 200 (CANCEL)")
		w.respond(invite, 487)
		w.receive(tcp, ackOf)
	})
}

// The To tag is the user's if it says one.
func TestToTag(t *testing.T) {
	inWorld(t, Config{ToTag: func(m *sip.Message) string { return "tag-of-" + m.Via().Branch }}, func(w *world) {
		w.receive(udp, cancelOf)
		require.Equal(t, "tag-of-z9hG4bK1", parse(t, w.lastSent().text).To().Tag)
		require.Equal(t, "tag-of-z9hG4bK1", w.table.ToTag(invite.parse(t)))
	})
	inWorld(t, Config{}, func(w *world) {
		tag := w.table.ToTag(invite.parse(t))
		require.Len(t, tag, 16)
		require.Equal(t, tag, w.table.ToTag(cancelOf.parse(t)))
		require.NotEqual(t, tag, w.table.ToTag(text{method: sip.INVITE, via: "192.0.2.9:5062;branch=z9hG4bK2"}.parse(t)))
	})
}

// "If the From tag, Call-ID, and CSeq exactly match those associated with an ongoing transaction, but the request does not match that
// transaction (based on the matching rules in Section 17.2.3), the UAS core SHOULD generate a 482 (Loop Detected) response" (8.2.2.2)
func TestMerged(t *testing.T) {
	other := text{method: sip.OPTIONS, via: "192.0.2.20;branch=z9hG4bK2"}
	for name, c := range map[string]struct {
		change func(*text)
		merged bool
	}{
		"on another way":    {func(x *text) {}, true},
		"in a dialog":       {func(x *text) { x.to = "t" }, false},
		"another From tag":  {func(x *text) { x.from = "g" }, false},
		"another CSeq":      {func(x *text) { x.cseq = 2 }, false},
		"another method":    {func(x *text) { x.method = sip.MESSAGE }, false},
		"another of others": {func(x *text) { x.callID = "other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				w.receive(udp, options)
				require.False(t, w.last.Merged())
				first := w.last
				x := other
				c.change(&x)
				w.receive(udp, x)
				require.NotSame(t, first, w.last)
				require.Equal(t, c.merged, w.last.Merged())
			})
		})
	}
	// Not what is tried again after it was refused.
	for status, merged := range map[int]bool{200: true, 302: false, 503: false} {
		inWorld(t, Config{}, func(w *world) {
			w.receive(udp, options)
			w.respond(options, status)
			w.receive(udp, other)
			require.Equal(t, merged, w.last.Merged() && status < 300)
		})
	}
}

// "The server MAY […] A server that [is overloaded] MAY indicate when the client should retry the request in a Retry-After header field."
// (21.5.4, of 503)
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

// "if the top Via has a "received" parameter, the response MUST be sent to the address in the "received" parameter, using the port indicated in
// the "sent-by" value, or using port 5060 if none is specified explicitly." (18.2.2)
// "the response MUST be sent to the IP address indicated in the "received" parameter, and to the port indicated in the "rport"
// parameter." (RFC 3581 section 4)
// "If the "sent-protocol" is a reliable transport protocol such as TCP or SCTP, or TLS over those, the response MUST be sent using the existing
// connection to the source of the original request" (RFC 3261 section 18.2.2)
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

// "the server transaction SHOULD inform the TU that a failure has occurred, and MUST remain in the current state" (RFC 6026 section 8.8), so that
// "the procedures in [4] are followed, which attempt to deliver the response to a backup" (RFC 3261 section 17.2.4).
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

// A user that blocks in Request hears of a CANCEL and of the end once it has shown that it knows the transaction.
func TestRequestBlocks(t *testing.T) {
	block := func(w *world, body func(tx *Server)) {
		w.request = func(tx *Server, m *sip.Message) {
			if tx.Method() == sip.INVITE {
				body(tx)
				w.note("Request returns")
			}
		}
		go w.receive(udp, invite)
		w.until(0.1)
		w.receive(udp, cancelOf)
		w.until(60)
	}
	t.Run("without SetData", func(t *testing.T) {
		inWorld(t, Config{}, func(w *world) {
			block(w, func(tx *Server) {
				time.Sleep(time.Second)
				require.NoError(t, w.respond(invite, 200))
				time.Sleep(49 * time.Second)
			})
			w.want(
				"0.000 Request INVITE",
				"0.100 > 200 (CANCEL)",
				"0.200 > 100 (INVITE)",
				"1.000 > 200 (INVITE)",
				"50.000 Request returns",
				"50.000 Cancel of INVITE",
				"50.000 Ended INVITE")
		})
	})
	t.Run("SetData at once", func(t *testing.T) {
		inWorld(t, Config{}, func(w *world) {
			block(w, func(tx *Server) {
				tx.SetData("mine")
				require.Equal(t, "mine", tx.Data())
				time.Sleep(time.Second)
				require.NoError(t, w.respond(invite, 200))
				time.Sleep(49 * time.Second)
			})
			w.want(
				"0.000 Request INVITE",
				"0.100 > 200 (CANCEL)",
				"0.100 Cancel of INVITE",
				"0.200 > 100 (INVITE)",
				"1.000 > 200 (INVITE)",
				"33.000 Ended INVITE",
				"50.000 Request returns")
		})
	})
	t.Run("SetData after the CANCEL", func(t *testing.T) {
		inWorld(t, Config{}, func(w *world) {
			block(w, func(tx *Server) {
				time.Sleep(time.Second)
				w.mu.Lock() // Cancel is not called from within SetData, which would deadlock
				tx.SetData("mine")
				w.mu.Unlock()
				require.NoError(t, w.respond(invite, 487))
				w.receive(udp, ackOf)
			})
			w.mu.Lock()
			require.Contains(t, w.log, "1.000 Cancel of INVITE")
			require.Contains(t, w.log, "6.000 Ended INVITE")
			w.log = nil
			w.mu.Unlock()
		})
	})
}

// The user may hold its own locks when it calls the transaction: it is not called back from there.
func TestNoCallFromWithin(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(tcp, options)
		tx := w.last
		w.mu.Lock() // which Ended needs
		tx.Drop()
		tx.Drop()
		w.mu.Unlock()
		w.want("0.000 Request OPTIONS", "0.000 Ended OPTIONS")
	})
}

// Drop ends a transaction without a trace.
func TestDrop(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.request = func(tx *Server, m *sip.Message) { tx.Drop() }
		w.receive(udp, invite)
		w.receive(udp, invite)
		require.ErrorIs(t, w.respond(invite, 200), ErrEnded)
		w.receive(udp, cancelOf)
		w.want(
			"0.000 Request INVITE",
			"0.000 Ended INVITE",
			"0.000 Request INVITE",
			"0.000 Ended INVITE",
			"0.000 > 481 (CANCEL)")
	})
}

// Answers from within Request, the most frequent case, need no timer's goroutine.
func TestAnswerInRequest(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.request = func(tx *Server, m *sip.Message) {
			require.NoError(t, tx.Respond(200, w.response(options, 200)))
			w.note("Respond returns")
		}
		w.receive(tcp, options)
		require.Zero(t, w.table.Stats().NonInviteServer.Live)
		w.want("0.000 Request OPTIONS", "0.000 > 200 (OPTIONS)", "0.000 Respond returns", "0.000 Ended OPTIONS")
	})
}

// The timers that only end a wait fire together, at most Slack later.
func TestSlack(t *testing.T) {
	inWorld(t, Config{Shards: 1, Timers: Timers{Slack: 100 * time.Millisecond}}, func(w *world) {
		for i := range 10 {
			x := options
			x.via += "192.0.2.9;branch=z9hG4bK" + string(rune('a'+i))
			w.receive(udp, x)
			w.respond(x, 200)
			time.Sleep(9 * time.Millisecond)
		}
		w.forget()
		w.until(31.999)
		w.want()
		w.until(40)
		w.want("32.000 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS",
			"32.100 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS", "32.100 Ended OPTIONS")
	})
}

// After Shutdown nothing is sent and nobody is called.
func TestShutdown(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.receive(udp, invite)
		tx := w.last
		w.receive(udp, options)
		done := w.last
		w.respond(options, 200)
		out := options
		out.callID = "out"
		c, _ := w.send(udp, out, &caller{w: w})
		w.forget()
		w.table.Shutdown()

		require.ErrorIs(t, tx.Respond(200, nil), ErrClosed)
		tx.Drop()
		tx.SetData(1)
		done.SetFlow(tcp)
		c.Cancel("")
		c.SetTimeout(time.Second)
		_, err := w.send(udp, invite, nil)
		require.ErrorIs(t, err, ErrClosed)
		w.receive(udp, invite)
		w.receive(udp, ackOf)
		w.receive(udp, cancelOf)
		w.answer(udp, out, 200)
		time.Sleep(time.Minute)
		w.want()
	})
}
