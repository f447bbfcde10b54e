package siptest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// TestViolations lets a raw sender break one rule at a time and wants the phone to notice.
func TestViolations(t *testing.T) {
	for name, test := range map[string]struct {
		text string // of an INVITE that is right; replace makes it wrong
		old  string
		new  string
		want string // "" if there is nothing to say
	}{
		"right":           {want: ""},
		"no Max-Forwards": {old: "Max-Forwards: 70\r\n", want: "no Max-Forwards"},
		"no cookie":       {old: "branch=z9hG4bK", new: "branch=", want: "branch of INVITE"},
		"not SIP":         {old: "SIP/2.0\r\n", new: "SIP/2.0\r\nbad\r\n", want: "cannot be read"},
		"BYE without tag": {old: "INVITE", new: "BYE", want: "BYE outside of a dialog"},
		"stray ACK":       {old: "INVITE", new: "ACK", want: "ACK matches no INVITE"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{Lenient: true, NoRetransmit: true})
				text := p.alice.Invite("sip:bob@10.0.0.2").Text()
				p.bob.WantRequest(sip.INVITE)
				require.Empty(t, p.bob.Violations())
				text = strings.ReplaceAll(strings.ReplaceAll(text, "-1", "-x"), "-3", "-y")
				p.alice.SendText(strings.ReplaceAll(text, test.old, test.new))
				time.Sleep(time.Second)
				requireViolation(t, p.bob, test.want)
			})
		})
	}
}

func requireViolation(t *testing.T, p *siptest.Phone, want string) {
	t.Helper()
	if want == "" {
		require.Empty(t, p.Violations())
		return
	}
	require.Contains(t, strings.Join(p.Violations(), "\n"), want)
}

// established is a call between two phones that keep quiet, and what was sent.
func established(t *testing.T) (p *phones, call *siptest.Call, in *siptest.Incoming) {
	p = newPhones(t, siptest.Options{}, siptest.PhoneOptions{Lenient: true, NoRetransmit: true})
	call = p.alice.Invite("sip:bob@10.0.0.2")
	in = p.bob.WantRequest(sip.INVITE)
	return p, call, in
}

// hopRequest makes an ACK or CANCEL of an INVITE as sent, right but for what replace does.
func hopRequest(invite, method, toTag, old, new string) string {
	text := strings.ReplaceAll(invite, "INVITE", method)
	if toTag != "" {
		text = strings.Replace(text, "To: <sip:bob@10.0.0.2>", "To: <sip:bob@10.0.0.2>;tag="+toTag, 1)
	}
	return strings.ReplaceAll(text, old, new)
}

func TestViolationsOfHopRequests(t *testing.T) {
	for name, test := range map[string]struct{ method, old, new, want string }{
		"right ACK":      {method: "ACK"},
		"right CANCEL":   {method: "CANCEL"},
		"Via":            {method: "ACK", old: "Max-Forwards", new: "Via: SIP/2.0/UDP 10.0.0.9\r\nMax-Forwards", want: "ACK has 2 Vias"},
		"Request-URI":    {method: "CANCEL", old: "CANCEL sip:bob@10.0.0.2", new: "CANCEL sip:bob@10.0.0.2:5060", want: "Request-URI of CANCEL"},
		"From":           {method: "ACK", old: "From: ", new: "From: Alice ", want: "From of ACK"},
		"Call-ID":        {method: "CANCEL", old: "Call-ID: ", new: "Call-ID: x", want: "Call-ID of CANCEL"},
		"CSeq":           {method: "ACK", old: "CSeq: 1", new: "CSeq: 2", want: "CSeq of ACK"},
		"Route":          {method: "CANCEL", old: "Max-Forwards", new: "Route: <sip:10.0.0.2;lr>\r\nMax-Forwards", want: "Route of CANCEL"},
		"To tag of ACK":  {method: "ACK", old: "<sip:bob@10.0.0.2>;tag=", new: "<sip:bob@10.0.0.2>;tag=x", want: "To tag of ACK"},
		"To of a CANCEL": {method: "CANCEL", old: "<sip:bob@10.0.0.2>", new: "<sip:bob@10.0.0.2>;tag=x", want: "To tag of CANCEL"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, call, in := established(t)
				tag := ""
				if test.method == "ACK" {
					in.Respond(486)
					tag = call.WantStatus(486).ToTag()
				} else {
					in.Respond(180)
				}
				time.Sleep(time.Second)
				p.alice.SendText(hopRequest(call.Text(), test.method, tag, test.old, test.new))
				time.Sleep(time.Second)
				requireViolation(t, p.bob, test.want)
			})
		})
	}
}

// RFC 3261 section 16.11: a stateless proxy forwards a CANCEL as any other request, so it comes with the Vias of all hops.
func TestCancelThroughAStatelessProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{Lenient: true, NoRetransmit: true})
		below := siptest.AddHeader(sip.Via, "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKbelow")
		call := p.alice.Invite("sip:bob@10.0.0.2", below)
		p.bob.WantRequest(sip.INVITE).Respond(180)
		p.alice.SendText(hopRequest(call.Text(), "CANCEL", "", "", ""))
		time.Sleep(time.Second)
		requireViolation(t, p.bob, "")
		other := p.alice.Invite("sip:bob@10.0.0.2", below)
		p.bob.WantRequest(sip.INVITE).Respond(180)
		p.alice.SendText(hopRequest(other.Text(), "CANCEL", "", "below", "elsewhere"))
		time.Sleep(time.Second)
		requireViolation(t, p.bob, "CANCEL has 2 Vias")
	})
}

func TestViolationsOfACKs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, call, in := established(t)
		p.alice.SendText(hopRequest(call.Text(), "ACK", "", "", ""))
		time.Sleep(time.Second)
		requireViolation(t, p.bob, "before any final response")
		in.Respond(200)
		tag := call.WantStatus(200).ToTag()
		p.alice.SendText(hopRequest(call.Text(), "ACK", tag, "", ""))
		time.Sleep(time.Second)
		requireViolation(t, p.bob, "has the branch of the INVITE")
		require.Len(t, p.bob.Violations(), 2)
		p.alice.SendText(hopRequest(call.Text(), "ACK", tag, "branch=", "branch=z9hG4bKx"))
		time.Sleep(time.Second)
		requireViolation(t, p.bob, "not our Contact")
	})
}

func TestViolationsOfRetransmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, call, _ := established(t)
		p.alice.SendText(call.Text())
		time.Sleep(time.Second)
		requireViolation(t, p.bob, "")
		p.alice.SendText(strings.Replace(call.Text(), "Max-Forwards: 70", "Max-Forwards: 69", 1))
		time.Sleep(time.Second)
		requireViolation(t, p.bob, "retransmission of INVITE differs")
	})
}

func TestViolationsOfResponses(t *testing.T) {
	for name, test := range map[string]struct {
		edits []siptest.Edit
		want  string
	}{
		"right":   {},
		"branch":  {[]siptest.Edit{siptest.Header(sip.Via, "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKwrong")}, "matches no request"},
		"Vias":    {[]siptest.Edit{siptest.AddHeader(sip.Via, "SIP/2.0/UDP 10.0.0.9:5060")}, "2 Vias"},
		"sent-by": {[]siptest.Edit{siptest.Header(sip.Via, "SIP/2.0/UDP alice:5060;branch=z9hG4bK-invite-alice-3")}, "Via of a response"},
		"From":    {[]siptest.Edit{siptest.Header(sip.From, "<sip:bob@example.org>;tag=1")}, "From of a response"},
		"Call-ID": {[]siptest.Edit{siptest.Header(sip.CallID, "other")}, "Call-ID of a response"},
		"CSeq":    {[]siptest.Edit{siptest.Header(sip.CSeq, "9 INVITE")}, "CSeq of a response"},
		"To":      {[]siptest.Edit{siptest.Header(sip.To, "<sip:bob@10.0.0.2>")}, "no To tag"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _, in := established(t)
				in.Respond(404, test.edits...)
				time.Sleep(time.Second)
				requireViolation(t, p.alice, test.want)
			})
		})
	}
}

func TestViolationsOfSecondFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, call, in := established(t)
		in.Respond(404)
		in.Retransmit()
		in.Respond(200) // late, but a proxy has to pass it on
		time.Sleep(time.Second)
		requireViolation(t, p.alice, "")
		in.Respond(486)
		time.Sleep(time.Second)
		requireViolation(t, p.alice, "second final response")
		require.Len(t, call.Responses(), 3)
	})
}

func TestNotSIPOnAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		bob := siptest.NewPhone(t, n.Host("bob", "10.0.0.2"), "sip:bob@example.org", siptest.PhoneOptions{Transport: "TCP", Lenient: true})
		c, err := n.Host("other", "10.0.0.1").Dial(t.Context(), "tcp", "", "10.0.0.2:5060")
		require.NoError(t, err)
		defer c.Close()
		write(t, c, "\r\n\r\n")
		require.Equal(t, "\r\n", read(t, c), "a ping has a pong")
		write(t, c, "\x00\x01")
		require.Error(t, readError(c))
		requireViolation(t, bob, "is not SIP")
	})
}

// failing runs f with a phone whose test cannot fail and returns what was said.
func failing(t *testing.T, opt siptest.PhoneOptions, f func(p *phones)) string {
	tb := &stubTest{TB: t}
	n := siptest.NewNetwork(siptest.Options{})
	p := &phones{
		net:   n,
		alice: siptest.NewPhone(tb, n.Host("alice", "10.0.0.1"), "sip:alice@example.org", opt),
		bob:   siptest.NewPhone(tb, n.Host("bob", "10.0.0.2"), "sip:bob@example.org", opt),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(p)
	}()
	<-done
	return tb.said
}

// stubTest ends the goroutine as a test would.
type stubTest struct {
	testing.TB
	said string
}

func (s *stubTest) Helper() {}
func (s *stubTest) Errorf(format string, args ...any) {
	s.said += strings.TrimSpace(fmt.Sprintf(format, args...)) + "\n"
}
func (s *stubTest) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

func TestWantsFail(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(p *phones)
		want string
	}{
		"another status": {func(p *phones) {
			p.bob.On(sip.INVITE, siptest.Respond(486))
			p.alice.Invite(p.bob.Contact()).WantStatus(180)
		}, "alice: want 180 (INVITE), got 486\n  0.000  alice  -> bob     INVITE\n  0.005  bob    -> alice   486 (INVITE)"},
		"another final": {func(p *phones) {
			p.bob.On(sip.INVITE, siptest.Respond(180).Respond(486))
			p.alice.Invite(p.bob.Contact()).WantFinal(200)
		}, "want 200 (INVITE), got 486"},
		"nothing": {func(p *phones) { p.alice.Invite("sip:10.0.0.9").WantStatus(180) }, "nothing came, the transaction timed out after 32s"},
		"no final": {func(p *phones) {
			p.bob.On(sip.INVITE, siptest.Respond(180))
			p.alice.Invite(p.bob.Contact()).WantFinal(200)
		}, "no final response came\n"},
		"no timeout": {func(p *phones) {
			p.bob.On(sip.INVITE, siptest.Respond(180))
			p.alice.Invite(p.bob.Contact()).WantTimeout()
		}, "it goes on"},
		"final no timeout": {func(p *phones) { p.alice.Request(sip.OPTIONS, p.bob.Contact()).WantTimeout() }, "got 200"},
		"no request":       {func(p *phones) { p.bob.WantRequest(sip.INVITE) }, "bob: want INVITE, none came"},
		"a request": {func(p *phones) {
			p.alice.Request(sip.OPTIONS, p.bob.Contact())
			p.bob.WantNoRequest(time.Second)
		}, "want no request, got OPTIONS"},
		"no ACK":    {func(p *phones) { p.alice.Invite(p.bob.Contact()); p.bob.WantRequest(sip.INVITE).WantACK() }, "want ACK, none came"},
		"no CANCEL": {func(p *phones) { p.alice.Invite(p.bob.Contact()); p.bob.WantRequest(sip.INVITE).WantCancel() }, "want CANCEL, none came"},
		"no dialog": {func(p *phones) { p.alice.Invite(p.bob.Contact()).Bye() }, "no dialog"},
		"no 2xx to ACK": {func(p *phones) {
			p.bob.On(sip.INVITE, siptest.Respond(180))
			c := p.alice.Invite(p.bob.Contact())
			c.WantStatus(180)
			c.Ack()
		}, "no INVITE of the dialog has got a 2xx"},
		"no way":         {func(p *phones) { p.alice.Invite("sip:bob@example.org") }, "no way to sip:bob@example.org"},
		"no way of text": {func(p *phones) { p.alice.SendText("what?") }, "no way"},
		"no challenge": {func(p *phones) {
			e := p.alice.Request(sip.OPTIONS, p.bob.Contact())
			e.WantStatus(200)
			e.Authorize("a", "b")
		}, "no challenge of OPTIONS"},
		"refused edit": {func(p *phones) { p.alice.Request(sip.OPTIONS, p.bob.Contact(), siptest.Header("X", "a\r\nb")) }, "an edit is refused"},
		"violation": {func(p *phones) {
			p.alice.Request(sip.OPTIONS, p.bob.Contact(), siptest.NoHeader(sip.MaxForwards)).WantStatus(200)
		}, "bob at 5.0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				require.Contains(t, failing(t, siptest.PhoneOptions{}, test.do), test.want)
			})
		})
	}
}

func TestNewPhoneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		h := n.Host("alice", "10.0.0.1")
		try := func(aor string, opt siptest.PhoneOptions) string {
			tb := &stubTest{TB: t}
			done := make(chan struct{})
			go func() { defer close(done); siptest.NewPhone(tb, h, aor, opt) }()
			<-done
			return tb.said
		}
		require.Contains(t, try("alice", siptest.PhoneOptions{}), "address of record")
		require.Empty(t, try("sip:alice@example.org", siptest.PhoneOptions{Listen: []string{"UDP", "TCP"}}))
		require.Contains(t, try("sip:alice@example.org", siptest.PhoneOptions{}), "address already in use")
		require.Contains(t, try("sip:alice@example.org", siptest.PhoneOptions{Transport: "TCP"}), "address already in use")
	})
}
