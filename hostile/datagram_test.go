package hostile_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

const withBody = "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.66;branch=z9hG4bKt%d\r\nMax-Forwards: 70\r\n" +
	"From: \"Mallory\" <sip:mallory@example.org>;tag=%[1]d\r\nTo: <sip:nobody@example.org>\r\nCall-ID: truncated%[1]d@mallory\r\n" +
	"CSeq: 1 INVITE\r\nContact: <sip:mallory@10.0.0.66>\r\nContent-Type: application/sdp\r\nContent-Length: 29\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1"

// RFC 3261 section 18.3: "If the transport packet ends before the end of the message body, this is considered an error. If
// the message is a response, it MUST be discarded. If the message is a request, the element SHOULD generate a 400 (Bad
// Request) response."
func TestTruncatedDatagrams(t *testing.T) {
	runBench(t, func(b *bench) {
		a := b.attacker(5060)
		before := b.server.Stats()
		whole := fmt.Sprintf(withBody, 1)
		head := strings.Index(whole, "\r\n\r\n") + 4
		for n := 1; n < len(whole); n++ {
			a.send(fmt.Sprintf(withBody, n%10)[:n])
			if n == head {
				b.call()
			}
		}
		time.Sleep(time.Second)
		after := b.server.Stats()
		refused := after.InvalidAnswered + after.InvalidDropped - before.InvalidAnswered - before.InvalidDropped
		require.EqualValues(b, len(whole)-1, refused, "all of them")
		require.GreaterOrEqual(b, a.got(400), len(whole)-head, "a 400 for all that miss only body")
		b.accounted()
	})
}

func TestOversizedDatagrams(t *testing.T) {
	runBench(t, func(b *bench) {
		a := b.attacker(5060)
		request := func(fields string) string { return message("OPTIONS", "sip:example.org", "10.0.0.66", 1, fields) }
		room := 65507 - len(request(""))
		for _, c := range []struct {
			name, fields string
			cause        sip.Cause
		}{
			{"many fields", strings.Repeat("a:\r\n", room/4), sip.CauseTooMany},
			{"a long field", "X: " + strings.Repeat("x", room-5) + "\r\n", sip.CauseLineTooLong},
			{"folded over and over", "X: a" + strings.Repeat("\r\n x", (room-8)/4) + "\r\n", sip.CauseLineTooLong},
			{"many elements", "Via: " + strings.Repeat("SIP/2.0/UDP a,", (room-20)/14) + "b\r\n", sip.CauseLineTooLong},
			{"open brackets", "Contact: " + strings.Repeat("<", room-11) + "\r\n", sip.CauseLineTooLong},
			{"a quote without end", "Subject: \"" + strings.Repeat("\\\"", (room-13)/2) + "\r\n", sip.CauseLineTooLong},
			{"a second Call-ID", "Call-ID: " + strings.Repeat("i", 100) + "\r\n", sip.CauseDuplicate},
			{"a line end that is none", "X: a\nY: b\r\n", sip.CauseLineEnd},
			{"a NUL", "X: \x00\r\n", sip.CauseControl},
			{"a name that is none", "X Y: a\r\n", sip.CauseHeaderName},
		} {
			a.send(request(c.fields))
			time.Sleep(100 * time.Millisecond)
			require.Equal(b, []sip.Cause{c.cause}, b.causes(), c.name)
		}
		a.send(strings.Replace(request(""), "sip:example.org", "sip:"+strings.Repeat("x", 9000), 1))
		time.Sleep(100 * time.Millisecond)
		require.Equal(b, []sip.Cause{sip.CauseLineTooLong}, b.causes())
		require.Equal(b, 1, a.got(414))

		// What follows the message is dropped.
		a.send(request("") + strings.Repeat("x", room))
		time.Sleep(100 * time.Millisecond)
		require.Empty(b, b.causes())
		require.Equal(b, 1, a.got(200))
		b.accounted()
	})
}

func TestBinaryDatagrams(t *testing.T) {
	runBench(t, func(b *bench) {
		a := b.attacker(5060)
		random := rand.New(rand.NewPCG(1, 2))
		before := b.server.Stats()
		const count = 5000
		for range count {
			junk := make([]byte, 5+random.IntN(1400))
			for i := range junk {
				junk[i] = byte(random.Uint32())
			}
			a.send(string(junk))
		}
		b.call()
		require.EqualValues(b, count, b.server.Stats().InvalidDropped-before.InvalidDropped)

		// A message with one byte changed: whatever it is now, it is counted.
		whole := message("OPTIONS", "sip:example.org", "10.0.0.66", 1)
		for i := range len(whole) {
			for _, c := range []byte{0, '\r', '\n', ' ', ',', ';', '"', '<', 0x7f, 0xff} {
				a.send(whole[:i] + string(c) + whole[i+1:])
			}
		}
		time.Sleep(time.Second)
		b.accounted()
	})
}

// Keepalives and empty datagrams cost nothing.
func TestEmptyDatagrams(t *testing.T) {
	runBench(t, func(b *bench) {
		a := b.attacker(5060)
		before := b.server.Stats()
		for range 1000 {
			for _, text := range []string{"", "\r\n", "\r\n\r\n", "\x00\x00\x00\x00", "\x00"} {
				a.send(text)
			}
		}
		time.Sleep(time.Second)
		b.call()
		require.EqualValues(b, 5000, b.server.Stats().Keepalives-before.Keepalives)
	})
}

// Content-Length is a claim: nothing is allocated for it.
func TestContentLengthOfUDP(t *testing.T) {
	runBench(t, func(b *bench) {
		a := b.attacker(5060)
		lengths := []string{"1000000000000000000", "18446744073709551616", "4294967296", "2147483648", "65536", "1", "-1", "0x10", "1 1", "", "1e9", "٣"}
		for i, n := range lengths {
			text := message("OPTIONS", "sip:example.org", "10.0.0.66", i)
			a.send(strings.Replace(text, "Content-Length: 0", "Content-Length: "+n, 1))
		}
		time.Sleep(time.Second)
		require.Equal(b, len(lengths), a.got(400))
	})
}
