package siptest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// badCalls has phones call each other over a bad network until all calls have ended, and returns the ladder.
func badCalls(t *testing.T, seed uint64, phones, calls int) (ladder string) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{Seed: seed, Link: siptest.Link{
			Jitter: 3 * time.Millisecond, Loss: 0.1, Duplicate: 0.05, Reorder: 0.05,
		}})
		var all []*siptest.Phone
		for i := range phones {
			p := siptest.NewPhone(t, n.Host(fmt.Sprint("phone", i), fmt.Sprintf("10.0.0.%d", i+1)), fmt.Sprintf("sip:%d@example.org", i), siptest.PhoneOptions{})
			p.On(sip.INVITE, siptest.Answer(time.Duration(i)*time.Second))
			all = append(all, p)
		}
		for i := range calls {
			from, to := all[i%phones], all[(i+1+i/phones%(phones-1))%phones]
			call := from.Invite(to.Contact())
			call.WantAnswer()
			call.Bye().WantFinal(200)
		}
		time.Sleep(time.Minute)
		ladder = n.Ladder().With("Via", "To", "Call-ID", "CSeq").String()
		for _, s := range n.Streams(nil, nil) {
			t.Errorf("a stream is left: %v", s)
		}
	})
	return ladder
}

func TestSimulationIsReproducible(t *testing.T) {
	first := badCalls(t, 7, 4, 40)
	require.Equal(t, first, badCalls(t, 7, 4, 40))
	require.NotEqual(t, first, badCalls(t, 8, 4, 40))
}

func TestPhoneReachedOnItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		server := n.Host("server", "10.0.0.2")
		ln, err := server.Listen(t.Context(), "tcp", "10.0.0.2:5060")
		require.NoError(t, err)
		defer ln.Close()
		alice := siptest.NewPhone(t, n.Host("alice", "10.0.0.1"), "sip:alice@example.org", siptest.PhoneOptions{Transport: "TCP", Listen: []string{}, Proxy: server.AddrPort(5060)})
		go alice.Register(time.Hour)
		c, err := ln.Accept()
		require.NoError(t, err)
		defer c.Close()
		require.Contains(t, read(t, c), "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.1:5060;")
		write(t, c, message("OPTIONS "+alice.Contact()+" SIP/2.0", "Via: SIP/2.0/TCP 10.0.0.2:5060;branch=z9hG4bK1", "Max-Forwards: 70",
			"From: <sip:x@example.org>;tag=1", "To: <sip:alice@example.org>", "Call-ID: 1", "CSeq: 1 OPTIONS", "Content-Length: 0"))
		require.Contains(t, read(t, c), "SIP/2.0 200 OK\r\n")

		// RFC 3261 section 18.2.2: "If that connection is no longer open, the server SHOULD open a connection to the IP
		// address in the "received" parameter, if present, using the port in the "sent-by" value".
		write(t, c, message("INVITE "+alice.Contact()+" SIP/2.0", "Via: SIP/2.0/TCP 10.0.0.2:5060;branch=z9hG4bK2;rport", "Max-Forwards: 70",
			"From: <sip:x@example.org>;tag=2", "To: <sip:alice@example.org>", "Call-ID: 2", "CSeq: 2 INVITE", "Contact: <sip:10.0.0.2>", "Content-Length: 0"))
		in := alice.WantRequest(sip.INVITE)
		c.Close()
		time.Sleep(time.Second)
		go in.Respond(404)
		c2, err := ln.Accept()
		require.NoError(t, err)
		defer c2.Close()
		require.Contains(t, read(t, c2), "SIP/2.0 404 Not Found\r\n")
	})
}

// Whatever hangs, closing a phone ends it, and the bubble.
func TestPhoneClosesWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{Window: 600})
		a, b := n.Host("alice", "10.0.0.1"), n.Host("bob", "10.0.0.2")
		bob := siptest.NewPhone(t, b, "sip:bob@example.org", siptest.PhoneOptions{Transport: "TCP"})
		alice := siptest.NewPhone(t, a, "sip:alice@example.org", siptest.PhoneOptions{Transport: "TCP"})
		alice.Request(sip.OPTIONS, bob.Contact()).WantStatus(200)
		n.Streams(a, b)[0].Stall()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 10 {
				alice.Request(sip.OPTIONS, bob.Contact()) // waits in Write
			}
		}()
		n.Partition(b, nil)
		go bob.Request(sip.OPTIONS, "sip:10.0.0.1:5070") // waits in Dial
		go bob.Request(sip.OPTIONS, "sip:10.0.0.1:5071") // waits for the other dial
		time.Sleep(time.Hour)
		select {
		case <-done:
			t.Fatal("nothing waits")
		default:
		}
		alice.Close()
		bob.Close()
		<-done
		require.Empty(t, alice.Violations())
	})
}
