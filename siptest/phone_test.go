package siptest_test

import (
	"crypto/md5"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

type phones struct {
	net        *siptest.Network
	alice, bob *siptest.Phone
}

func newPhones(t *testing.T, net siptest.Options, opt siptest.PhoneOptions) *phones {
	n := siptest.NewNetwork(net)
	return &phones{
		net:   n,
		alice: siptest.NewPhone(t, n.Host("alice", "10.0.0.1"), "sip:alice@example.org", opt),
		bob:   siptest.NewPhone(t, n.Host("bob", "10.0.0.2"), "sip:bob@example.org", opt),
	}
}

// settle lets every timer run out.
func settle() { time.Sleep(5 * time.Minute) }

func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{})
		p.bob.On(sip.INVITE, siptest.Respond(180).After(2*time.Second).Respond(200))
		call := p.alice.Invite("sip:bob@10.0.0.2")
		call.WantStatus(180)
		res := call.WantStatus(200)
		require.Contains(t, res.Body(), "m=audio")
		require.Equal(t, "application/sdp", res.Get(sip.ContentType))
		call.Ack()
		in := p.bob.WantRequest(sip.INVITE)
		in.WantACK()
		require.Equal(t, "sip:bob@10.0.0.2:5060", call.Dialog().Target())
		require.Equal(t, p.alice.Contact(), in.Dialog().Target())
		call.Request(sip.INFO).WantStatus(200)
		in.Dialog().Request(sip.INVITE).WantTimeout() // alice has no script for INVITE
		call.Bye().WantStatus(200)
		require.True(t, in.Dialog().Ended())
		require.True(t, call.Sent() == 1)
		p.net.Ladder().Without("INFO").Since(0).Filter(func(e siptest.Event) bool { return e.From == "alice" || e.What() != "INVITE" }).Require(t, `
			 0.000  alice  -> bob     INVITE
			 0.005  bob    -> alice   180 (INVITE)
			 2.005  bob    -> alice   200 (INVITE)
			 2.010  alice  -> bob     ACK
			34.025  alice  -> bob     BYE
			34.030  bob    -> alice   200 (BYE)`)
		settle()
	})
}

func TestCallFromTheOtherSide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{})
		p.alice.On(sip.INVITE, siptest.Answer(time.Second))
		call := p.alice.Invite("sip:bob@10.0.0.2", siptest.Header(sip.Subject, "lunch"), siptest.NoHeader(sip.ContentType), siptest.AddHeader("X-A", "1"))
		in := p.bob.WantRequest(sip.INVITE)
		require.Equal(t, "lunch", in.Get(sip.Subject))
		require.Equal(t, "1", in.Get("x-a"))
		require.Equal(t, "10.0.0.1:5060", in.Source().String())
		in.RespondReason(183, "Nearly", siptest.Body("text/plain", "hold the line"))
		require.Equal(t, "hold the line", call.WantStatus(183).Body())
		in.Respond(200)
		call.WantAnswer()
		in.WantACK()
		again := in.Dialog().Request(sip.INVITE)
		require.Equal(t, sip.StatusOK, again.WantFinal(200).Status())
		in.Dialog().Ack()
		in.Dialog().Bye().WantStatus(200)
		call.Bye().WantStatus(481)
		settle()
	})
}

func TestRejectAndRetransmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{Drop: siptest.DropFirst(2, "INVITE")}, siptest.PhoneOptions{})
		p.net.SetLink(p.alice.Host(), nil, siptest.Link{Drop: siptest.DropFirst(2, "ACK")})
		p.bob.On(sip.INVITE, siptest.After(time.Second).RespondReason(486, "Gone Fishing"))
		call := p.alice.Invite("sip:bob@10.0.0.2")
		require.Equal(t, "Gone Fishing", call.WantStatus(486).ReasonPhrase())
		p.bob.WantRequest(sip.INVITE).WantACK()
		settle()
		require.Len(t, call.Responses(), 1)
		p.net.Ladder().Require(t, `
			0.000  alice  -x bob     INVITE
			0.500  alice  -x bob     INVITE
			1.500  alice  -> bob     INVITE
			2.505  bob    -> alice   486 (INVITE)
			2.510  alice  -x bob     ACK
			3.005  bob    -> alice   486 (INVITE)
			3.010  alice  -x bob     ACK
			4.005  bob    -> alice   486 (INVITE)
			4.010  alice  -> bob     ACK`)
	})
}

func TestRetransmissionOf2xx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{Drop: siptest.DropFirst(1, "ACK")}, siptest.PhoneOptions{})
		p.bob.On(sip.INVITE, siptest.Respond(200))
		call := p.alice.Invite("sip:bob@10.0.0.2")
		call.WantStatus(200)
		time.Sleep(time.Second)
		call.Ack()
		ack := p.bob.WantRequest(sip.ACK)
		settle()
		require.Zero(t, ack.Retransmissions())
		p.net.Ladder().Require(t, `
			0.000  alice  -> bob     INVITE
			0.005  bob    -> alice   200 (INVITE)
			0.505  bob    -> alice   200 (INVITE)
			1.010  alice  -x bob     ACK
			1.505  bob    -> alice   200 (INVITE)
			1.510  alice  -> bob     ACK`)
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{})
		p.bob.On(sip.INVITE, siptest.After(300*time.Millisecond).Respond(180).After(time.Hour).Respond(200))
		call := p.alice.Invite("sip:bob@10.0.0.2")
		cancel := call.Cancel() // waits for the 180
		cancel.WantStatus(200)
		call.WantStatus(180)
		call.WantStatus(487)
		in := p.bob.WantRequest(sip.INVITE)
		in.WantCancel()
		in.WantACK()
		require.Equal(t, 487, in.Status())
		p.bob.WantNoRequest(2 * time.Hour)
		p.net.Ladder().Require(t, `
			0.000  alice  -> bob     INVITE
			0.305  bob    -> alice   180 (INVITE)
			0.310  alice  -> bob     CANCEL
			0.315  bob    -> alice   200 (CANCEL)
			0.315  bob    -> alice   487 (INVITE)
			0.320  alice  -> bob     ACK`)
	})
}

func TestCancelCrossesAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{})
		p.bob.On(sip.CANCEL, siptest.Respond(200)) // and goes on
		p.bob.On(sip.INVITE, siptest.Answer(time.Second))
		call := p.alice.Invite("sip:bob@10.0.0.2")
		call.WantStatus(180)
		call.Cancel().WantStatus(200)
		call.WantAnswer()
		call.Bye().WantStatus(200)
	})
}

func TestNonInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{Drop: siptest.DropNumbers("200 (OPTIONS)", 1, 2)}, siptest.PhoneOptions{})
		options := p.alice.Request(sip.OPTIONS, "sip:bob@10.0.0.2")
		options.WantStatus(200)
		require.Equal(t, 3, options.Sent())
		require.Equal(t, 2, p.bob.WantRequest(sip.OPTIONS).Retransmissions())

		p.bob.On(sip.MESSAGE, siptest.Ignore())
		start := time.Now()
		message := p.alice.Request(sip.MESSAGE, "sip:bob@10.0.0.2", siptest.Body("text/plain", "hi"))
		message.WantTimeout()
		require.Equal(t, 32*time.Second, time.Since(start))
		// RFC 3261 section 17.1.2.2: 500 ms, 1 s, 2 s, 4 s, 4 s and so on until Timer F.
		require.Equal(t, 11, message.Sent())

		p.net.Partition(p.alice.Host(), p.bob.Host())
		call := p.alice.Invite("sip:bob@10.0.0.2")
		call.WantTimeout()
		require.Equal(t, 7, call.Sent())
	})
}

func TestRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		registrar := siptest.NewPhone(t, n.Host("registrar", "2001:db8::1"), "sip:example.org", siptest.PhoneOptions{})
		bob := siptest.NewPhone(t, n.Host("bob", "2001:db8::2"), "sip:bob@example.org", siptest.PhoneOptions{Proxy: registrar.Host().AddrPort(5060), Port: 5070})
		bob.Register(time.Hour).WantStatus(200)
		bob.Register(0, siptest.Header(sip.Contact, "*")).WantStatus(200)
		n.Ladder().With("Request-URI", "To", "CSeq", "Contact", "Expires").Require(t, `
			0.000  bob        -> registrar   REGISTER  sip:example.org  To: <sip:bob@example.org>  CSeq: 1 REGISTER  Contact: <sip:bob@[2001:db8::2]:5070>  Expires: 3600
			0.005  registrar  -> bob         200 (REGISTER)  To: <sip:bob@example.org>;tag=tag-registrar-1  CSeq: 1 REGISTER
			0.010  bob        -> registrar   REGISTER  sip:example.org  To: <sip:bob@example.org>  CSeq: 2 REGISTER  Contact: *  Expires: 0
			0.015  registrar  -> bob         200 (REGISTER)  To: <sip:bob@example.org>;tag=tag-registrar-2  CSeq: 2 REGISTER`)
		first, second := registrar.WantRequest(sip.REGISTER), registrar.WantRequest(sip.REGISTER)
		require.Equal(t, first.CallID(), second.CallID())
		require.NotEqual(t, first.FromTag(), second.FromTag())
	})
}

func TestTCPPhones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{Link: siptest.Link{Chunk: 7}})
		bob := siptest.NewPhone(t, n.Host("bob", "10.0.0.2"), "sip:bob@example.org", siptest.PhoneOptions{Transport: "tcp"})
		alice := siptest.NewPhone(t, n.Host("alice", "10.0.0.1"), "sip:alice@example.org", siptest.PhoneOptions{Transport: "tcp", Listen: []string{}, Proxy: bob.Host().AddrPort(5060)})
		bob.On(sip.INVITE, siptest.Answer(time.Second))
		call := alice.Invite("sip:bob@example.org")
		call.WantAnswer()
		require.Equal(t, "sip:bob@10.0.0.2:5060;transport=tcp", call.Dialog().Target())
		call.Request(sip.INFO).WantStatus(200)
		require.Len(t, n.Streams(nil, nil), 1, "one connection for all")
		require.Equal(t, 1, call.Sent())

		alice.CloseConnections()
		call.Bye().WantStatus(200)
		require.Len(t, n.Streams(nil, nil), 1)
		settle()
		n.Ladder().Only("alice").Since(2*time.Second).Without("INFO", "BYE").Require(t, "")
		require.True(t, n.Ladder().Events()[0].Stream)
	})
}

func TestRejectOverTCPIsSentOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{Transport: "TCP"})
		p.bob.On(sip.INVITE, siptest.Respond(404))
		p.alice.Invite("sip:bob@10.0.0.2").WantStatus(404)
		settle()
		p.net.Ladder().Require(t, `
			0.010  alice  -> bob     INVITE
			0.015  bob    -> alice   404 (INVITE)
			0.020  alice  -> bob     ACK`)
	})
}

// router is a proxy by hand: it does to texts what a test says.
func router(t *testing.T, h *siptest.Host, edit func(text string, to string) string, ways map[string]string) {
	c := listenPacket(t, h, h.AddrPort(5060).String())
	go func() {
		b := make([]byte, 65536)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			to := ways[from.String()]
			_, _ = c.WriteTo([]byte(edit(string(b[:n]), to)), udpAddr(to))
		}
	}()
}

func TestRouteSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		hop := n.Host("hop", "10.0.0.9")
		bob := siptest.NewPhone(t, n.Host("bob", "10.0.0.2"), "sip:bob@example.org", siptest.PhoneOptions{})
		alice := siptest.NewPhone(t, n.Host("alice", "10.0.0.1"), "sip:alice@example.org", siptest.PhoneOptions{Proxy: hop.AddrPort(5060)})
		via := "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK-"
		router(t, hop, func(text, to string) string {
			start, rest, _ := strings.Cut(text, "\r\n")
			if strings.HasPrefix(text, "SIP/2.0") {
				_, rest, _ = strings.Cut(rest, "\r\n")
				return start + "\r\n" + rest
			}
			if strings.HasPrefix(start, "INVITE") {
				rest = "Record-Route: <sip:10.0.0.9;lr>, <sip:10.0.0.8;lr>\r\n" + rest
			}
			return start + "\r\n" + via + start[:1] + start[len(start)-9:len(start)-8] + "\r\n" + rest
		}, map[string]string{"10.0.0.1:5060": "10.0.0.2:5060", "10.0.0.2:5060": "10.0.0.1:5060"})
		bob.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite("sip:bob@example.org")
		call.WantAnswer()
		// RFC 3261 section 12.1.2: the UAC's route set is the Record-Route in reverse order, section 12.1.1: the UAS's
		// in order.
		require.Equal(t, []string{"<sip:10.0.0.8;lr>", "<sip:10.0.0.9;lr>"}, call.Dialog().Routes())
		in := bob.WantRequest(sip.INVITE)
		require.Equal(t, []string{"<sip:10.0.0.9;lr>", "<sip:10.0.0.8;lr>"}, in.Dialog().Routes())
		bye := in.Dialog().Bye()
		bye.WantStatus(200)
		require.Contains(t, bye.Text(), "BYE sip:alice@10.0.0.1:5060 SIP/2.0\r\n")
		require.Contains(t, bye.Text(), "Route: <sip:10.0.0.9;lr>\r\nRoute: <sip:10.0.0.8;lr>\r\n")
	})
}

func TestStrictRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{})
		call := p.alice.Invite("sip:bob@10.0.0.2")
		in := p.bob.WantRequest(sip.INVITE)
		in.Respond(200, siptest.Header(sip.RecordRoute, "<sip:10.0.0.8;lr>, <sip:10.0.0.9>"))
		call.WantAnswer()
		// RFC 3261 section 12.2.1.1: "If the route set is not empty, and its first URI does not contain the lr
		// parameter, the UAC MUST place the first URI from the route set into the Request-URI [...] The UAC MUST then
		// place the remote target URI into the Route header field as the last value."
		text := call.Bye().Text()
		require.Contains(t, text, "BYE sip:10.0.0.9 SIP/2.0\r\n")
		require.Contains(t, text, "Route: <sip:10.0.0.8;lr>\r\nRoute: <sip:bob@10.0.0.2:5060>\r\n")
	})
}

func TestSendText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{Lenient: true})
		e := p.alice.SendText(`OPTIONS sip:bob@10.0.0.2 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.1:5060 ; branch = z9hG4bK-raw
Max-Forwards: 1
From: <sip:alice@example.org>;tag=1
To: <sip:bob@example.org>
Call-ID: raw
CSeq: 7 OPTIONS

`)
		require.Equal(t, uint32(7), e.WantStatus(200).CSeq().Number)
		p.alice.SendText("OPTIONS sip:bob@10.0.0.2 SIP/2.0\nVia: what?\n\n")
		time.Sleep(time.Second)
		require.Len(t, p.bob.Violations(), 1)
		require.Contains(t, p.bob.Violations()[0], "cannot be read")
	})
}

func TestRetransmitOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{NoRetransmit: true, Patience: time.Second})
		call := p.alice.Invite("sip:bob@10.0.0.2")
		in := p.bob.WantRequest(sip.INVITE)
		time.Sleep(10 * time.Second)
		require.Zero(t, in.Retransmissions())
		call.Retransmit()
		time.Sleep(time.Second)
		require.Equal(t, 1, in.Retransmissions())
		in.Respond(404)
		in.Retransmit()
		call.WantStatus(404)
		time.Sleep(time.Second)
		p.net.Ladder().Require(t, `
			 0.000  alice  -> bob     INVITE
			10.005  alice  -> bob     INVITE
			11.005  bob    -> alice   404 (INVITE)
			11.005  bob    -> alice   404 (INVITE)
			11.010  alice  -> bob     ACK
			11.010  alice  -> bob     ACK`)
	})
}

func TestForkedAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{NoRetransmit: true})
		call := p.alice.Invite("sip:bob@10.0.0.2")
		in := p.bob.WantRequest(sip.INVITE)
		in.Respond(200)
		first := call.Leg(call.WantStatus(200))
		in.Respond(200, siptest.Header(sip.To, in.Get(sip.To)+";tag=other"))
		second := call.Leg(call.WantStatus(200))
		require.NotSame(t, first, second)
		first.Ack()
		in.WantACK()
		first.Bye().WantStatus(200)
		require.False(t, second.Ended())
		second.Bye().WantStatus(481) // bob knows nothing of it
	})
}

func TestMergedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{})
		p.bob.On(sip.INVITE, siptest.After(time.Second).Respond(404))
		call := p.alice.Invite("sip:bob@10.0.0.2")
		// RFC 3261 section 8.2.2.2: "If the request has no tag in the To header field, the UAS core MUST check the
		// request against ongoing transactions. If the From tag, Call-ID, and CSeq exactly match those associated with
		// an ongoing transaction, but the request does not match that transaction [...] the UAS core SHOULD generate a
		// 482 (Loop Detected) response."
		again := func(branch string) string { return strings.Replace(call.Text(), "branch=", "branch=z9hG4bK"+branch, 1) }
		p.alice.SendText(again("1")).WantStatus(482)
		call.WantStatus(404)
		p.alice.SendText(again("2")).WantStatus(404) // nothing is ongoing any more
	})
}

// A script goes on after a provisional response by hand, not after a final one.
func TestScriptAndHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{Listen: []string{"udp", "tcp"}})
		p.bob.On(sip.INVITE, siptest.Answer(time.Second))
		call := p.alice.Invite("sip:bob@10.0.0.2;transport=tcp")
		call.WantStatus(180)
		p.bob.WantRequest(sip.INVITE).Respond(183)
		call.WantStatus(183)
		call.WantAnswer()
		call.Bye().WantStatus(200)
		call = p.alice.Invite("sip:bob@10.0.0.2")
		call.WantStatus(180)
		in := p.bob.WantRequest(sip.INVITE)
		in.Respond(603)
		call.WantStatus(603)
		settle()
		require.Equal(t, 603, in.Status())
	})
}

func TestAuthorize(t *testing.T) {
	for challenge, response := range map[string]string{
		// RFC 2617 section 3.5, with the method and the URI of ours.
		`Digest realm="example.org", nonce="abc"`:                                                     `response="` + md5hex(md5hex("bob:example.org:zanzibar")+":abc:"+md5hex("REGISTER:sip:example.org")) + `"`,
		`Digest realm="example.org", nonce="abc", algorithm=MD5, qop="auth-int, auth", opaque="a, b"`: `response="` + md5hex(md5hex("bob:example.org:zanzibar")+":abc:00000001:0a4f113b:auth:"+md5hex("REGISTER:sip:example.org")) + `", qop=auth, nc=00000001, cnonce="0a4f113b", algorithm=MD5, opaque="a, b"`,
		`digest  Realm = "example.org" , NONCE="abc",algorithm=sha-256`:                               `algorithm=sha-256`,
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{Proxy: netip.MustParseAddrPort("10.0.0.1:5060")})
			p.alice.On(sip.REGISTER, siptest.Respond(401, siptest.AddHeader(sip.WWWAuthenticate, "Basic realm=x"), siptest.AddHeader(sip.WWWAuthenticate, challenge)))
			e := p.bob.Register(time.Hour)
			e.WantStatus(401)
			p.alice.On(sip.REGISTER, siptest.Respond(200))
			e.Authorize("bob", "zanzibar").WantStatus(200)
			first, second := p.alice.WantRequest(sip.REGISTER), p.alice.WantRequest(sip.REGISTER)
			require.Contains(t, second.Get(sip.Authorization), response)
			require.Equal(t, first.CallID(), second.CallID())
			require.Equal(t, first.FromTag(), second.FromTag())
			require.Equal(t, uint32(2), second.CSeq().Number)
			require.NotEqual(t, first.Via().Branch, second.Via().Branch)
			p.bob.Register(0).WantStatus(200)
			require.Equal(t, uint32(3), p.alice.WantRequest(sip.REGISTER).CSeq().Number)
		})
	}
}

func md5hex(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }

func TestAuthorizeCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{})
		call := p.alice.Invite("sip:bob@10.0.0.2")
		p.bob.WantRequest(sip.INVITE).Respond(407, siptest.Header(sip.ProxyAuthenticate, `Digest realm="r", nonce="n"`))
		call.WantStatus(407)
		call = call.Authorize("alice", "secret")
		in := p.bob.WantRequest(sip.INVITE)
		require.Contains(t, in.Get(sip.ProxyAuthorization), `username="alice"`)
		require.Contains(t, in.Body(), "m=audio")
		in.Respond(200)
		call.WantAnswer()
		again := call.Request(sip.INFO)
		again.WantStatus(200)
		again.Again().WantStatus(200)
		call.Bye().WantStatus(200)
		require.Equal(t, uint32(5), p.bob.WantRequest(sip.BYE).CSeq().Number)
	})
}

func TestByeOfAnEarlyDialog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPhones(t, siptest.Options{}, siptest.PhoneOptions{})
		p.bob.On(sip.INVITE, siptest.Answer(time.Hour))
		call := p.alice.Invite("sip:bob@10.0.0.2")
		call.WantStatus(180)
		call.Bye().WantStatus(200)
		// RFC 3261 section 15.1.2: "The UAS MUST still respond to any pending requests received for that dialog. It is
		// RECOMMENDED that a 487 (Request Terminated) response be generated to those pending requests."
		call.WantStatus(487)
		p.bob.WantNoRequest(2*time.Hour, sip.INVITE, sip.BYE, sip.ACK)
	})
}
