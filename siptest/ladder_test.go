package siptest_test

import (
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/siptest"
)

func message(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

// flow sends a few messages between three hosts.
func flow(t *testing.T) *siptest.Network {
	n := siptest.NewNetwork(siptest.Options{Drop: siptest.DropAll("486 (INVITE)")})
	alice, proxy, desk := n.Host("alice", "10.0.0.1"), n.Host("proxy", "10.0.0.2"), n.Host("desk", "10.0.0.3")
	at := map[*siptest.Host]net.PacketConn{}
	for _, h := range []*siptest.Host{alice, proxy, desk} {
		at[h] = listenPacket(t, h, h.AddrPort(5060).String())
	}
	send(t, at[alice], proxy, message("INVITE sip:bob@example.org SIP/2.0", "v: SIP/2.0/UDP 10.0.0.1", "Subject:  lunch", "s: tea"))
	time.Sleep(5 * time.Millisecond)
	// The same instant: in the order of the hosts, whatever the order of the goroutines.
	send(t, at[desk], proxy, message("OPTIONS sip:10.0.0.2 SIP/2.0"))
	send(t, at[proxy], alice, message("SIP/2.0 100 Trying", "CSeq: 1 INVITE"))
	send(t, at[proxy], desk, message("INVITE sip:bob@10.0.0.3 SIP/2.0")+"body")
	time.Sleep(2*time.Second + 5*time.Millisecond)
	send(t, at[proxy], desk, message("SIP/2.0 200", "cseq:2 OPTIONS"))
	send(t, at[desk], proxy, message("SIP/2.0 486 Busy Here", "CSeq: 1 INVITE"))
	send(t, at[desk], proxy, "\r\n\r\n")
	time.Sleep(time.Second)
	return n
}

const flowGolden = `
	# Indentation, columns and empty lines do not matter.
	  0.000  alice  -> proxy   INVITE

	  0.005  proxy  -> alice   100 (INVITE)
	  0.005  proxy  -> desk    INVITE
	  0.005  desk   -> proxy   OPTIONS
	  2.010  proxy -> desk 200 (OPTIONS)
	  2.010  desk   -x proxy   486 (INVITE)
	  2.010  desk   -> proxy   CRLFCRLF
`

func TestLadder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := flow(t).Ladder()
		l.Require(t, flowGolden)
		require.Equal(t, "  0.000  alice  -> proxy   INVITE\n  0.005  proxy  -> alice   100 (INVITE)\n  0.005  proxy  -> desk    INVITE\n",
			l.Filter(func(e siptest.Event) bool { return e.Time < time.Second && e.From != "desk" }).String())
		l.Without("OPTIONS", "CRLFCRLF", "100 (INVITE)").Require(t, `
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> desk    INVITE
			2.010  desk   -x proxy   486 (INVITE)`)
		l.Only("alice").Require(t, `
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> alice   100 (INVITE)`)
		l.Only("desk", "proxy").Since(time.Second).Require(t, `
			2.010  proxy  -> desk    200 (OPTIONS)
			2.010  desk   -x proxy   486 (INVITE)
			2.010  desk   -> proxy   CRLFCRLF`)
		l.Since(0).With("Request-URI", "Via", "Subject", "Body").Only("alice", "desk", "proxy").Without("OPTIONS", "486 (INVITE)", "CRLFCRLF").Require(t, `
			0.000  alice  -> proxy   INVITE  sip:bob@example.org  Via: SIP/2.0/UDP 10.0.0.1  Subject: lunch  Subject: tea
			0.005  proxy  -> alice   100 (INVITE)
			0.005  proxy  -> desk    INVITE  sip:bob@10.0.0.3  "body"`)
		require.Len(t, l.Events(), 7)
	})
}

// stubTB catches what a failing assertion says.
type stubTB struct {
	testing.TB
	said string
}

func (s *stubTB) Helper() {}
func (s *stubTB) Fatalf(format string, args ...any) {
	s.said += format
	for _, a := range args {
		s.said += "|" + a.(string)
	}
}

func TestLadderDifference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := flow(t).Ladder()
		var tb stubTB
		l.Require(&tb, strings.Replace(strings.Replace(flowGolden, "100 (INVITE)", "180 (INVITE)", 1), "  2.010  proxy -> desk 200 (OPTIONS)\n", "", 1))
		require.Contains(t, tb.said, `|     0.000  alice  -> proxy   INVITE
-    0.005  proxy  -> alice   180 (INVITE)
+    0.005  proxy  -> alice   100 (INVITE)
     0.005  proxy  -> desk    INVITE
     0.005  desk   -> proxy   OPTIONS
+    2.010  proxy  -> desk    200 (OPTIONS)
     2.010  desk   -x proxy   486 (INVITE)
     2.010  desk   -> proxy   CRLFCRLF
`)
		require.NotEmpty(t, l.Diff(""))
		require.NotEmpty(t, l.Diff(flowGolden+"\n3.000 alice -> proxy BYE"))
		require.Empty(t, l.Diff(flowGolden))
	})
}

func TestForgetAndLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, siptest.Options{Record: 2})
		sendNumbers(t, p.from, p.b, 5)
		require.Contains(t, p.net.Ladder().String(), "and 3 more")
		p.net.Forget()
		require.Empty(t, p.net.Ladder().String())
		time.Sleep(1234 * time.Millisecond)
		sendNumbers(t, p.from, p.b, 1)
		p.net.Ladder().Require(t, "1.234 a -> b data (1 bytes)")
	})
}

func TestWhat(t *testing.T) {
	for text, what := range map[string]string{
		"INVITE sip:x SIP/2.0\r\n\r\n":                      "INVITE",
		"\r\nX-%~ urn:x SIP/2.0\n\n":                        "X-%~",
		"SIP/2.0 180 Ringing\r\nCSeq: 1 \t INVITE\r\n\r\n":  "180 (INVITE)",
		"SIP/2.0 180 Ringing\r\n\r\nCSeq: 1 INVITE\r\n\r\n": "180 (?)",
		"SIP/2.0 180 Ringing\r\nCSeq: what\r\n\r\n":         "180 (?)",
		"\r\n":                    "CRLF",
		"\r\n\r\n":                "CRLFCRLF",
		"":                        "empty",
		"GET / HTTP/1.1\r\n\r\n":  "data (18 bytes)",
		"\x00\x01\x00\x00":        "data (4 bytes)",
		"INVITE\r\n\r\n":          "data (10 bytes)",
		"IN\x01ITE sip:x SIP/2.0": "data (20 bytes)",
	} {
		require.Equal(t, what, siptest.What([]byte(text)), "%q", text)
	}
}

func TestLadderOfStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dial(t, siptest.Options{})
		d.net.Forget()
		invite := message("INVITE sip:b SIP/2.0", "l: 4") + "body"
		write(t, d.client, invite[:30])
		time.Sleep(time.Second)
		write(t, d.client, invite[30:]+message("OPTIONS sip:b SIP/2.0")+"\r\n\r\n"+"\r")
		time.Sleep(time.Second)
		write(t, d.server, "\r\n"+message("SIP/2.0 200 OK", "CSeq: 1 INVITE", "Content-Length: 0"))
		write(t, d.client, "\n\x16\x03\x01 not SIP at all"+invite)
		require.Contains(t, d.net.Ladder().With("Transport", "Source", "Destination").String(),
			"  1.010  a  -> b   INVITE  TCP  from 10.0.0.1:49152  to 10.0.0.2:5060\n")
		d.net.Ladder().Require(t, `
			1.010  a  -> b   INVITE
			1.010  a  -> b   OPTIONS
			1.010  a  -> b   CRLFCRLF
			2.010  a  -> b   CRLF
			2.010  b  -> a   CRLF
			2.010  b  -> a   200 (INVITE)
		`)
	})
}
