package transaction

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// "The request matches a transaction if: 1. the branch parameter in the request is equal to the one in the top Via header field
// of the request that created the transaction, and 2. the sent-by value in the top Via of the request is equal to the one in the
// request that created the transaction, and 3. the method of the request matches the one that created the transaction, except for
// ACK, where the method of the request that created the transaction is INVITE." (17.2.3)
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

// "If the branch parameter in the top Via header field is not present, or does not contain the magic cookie […], the INVITE
// request matches a transaction if the Request-URI, To tag, From tag, Call-ID, CSeq, and top Via header field match those of the
// INVITE request which created the transaction. […] For all other request methods, a request is matched to a transaction if the
// Request-URI, To tag, From tag, Call-ID, CSeq (including the method), and top Via header field match" (17.2.3)
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

// "The ACK request matches a transaction if the Request-URI, From tag, Call-ID, CSeq number (not the method), and top Via header
// field match those of the INVITE request which created the transaction, and the To tag of the ACK matches the To tag of the
// response sent by the server transaction. […] Inclusion of the tag in the To header field in the ACK matching process helps
// disambiguate ACK for 2xx from ACK for other responses" (17.2.3)
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

// "Regardless of the method of the original request, as long as the CANCEL matched an existing transaction, the UAS answers the
// CANCEL request itself with a 200 (OK) response. This response is constructed following the procedures described in Section
// 8.2.6 noting that the To tag of the response to the CANCEL and the To tag in the response to the original request SHOULD be the
// same." (9.2) "If the UAS did not find a matching transaction for the CANCEL according to the procedure above, it SHOULD respond
// to the CANCEL with a 481 (Call Leg/Transaction Does Not Exist)." (the same)
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

// "If it has [already sent a final response], the CANCEL request has no effect on the processing of the original request" and "A
// CANCEL request has no impact on the processing of transactions with any other method defined in this specification." (9.2)
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
			require.Equal(t, merged, w.last.Merged(), status)
		})
	}
}
