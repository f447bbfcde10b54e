package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// torture is a message and what may become of it.
type torture struct {
	file string
	// final are the statuses that are right as the final response, 0 standing for none. An INVITE or another request that is
	// relayed is answered with 200 by the phone behind the server.
	final []int
	// stream is the same where the message comes on a stream; nil if it is no different.
	stream []int
	// closes: on a stream nobody can tell where the message ends, so the connection is closed.
	closes bool
	// user, if not empty, is registered first; requests for it are relayed.
	user string
	// header and value are what the final response must have.
	header, value string
}

// tortures are the messages of RFC 4475 and RFC 5118. What each must lead to is said there; where there is a choice the
// comment tells.
var tortures = []torture{
	// RFC 4475 section 3.1.1: valid messages.
	// It has a To tag: the phone behind the server knows no such dialog.
	{file: "rfc4475/wsinv", final: []int{481}, user: "sip:vivekg@chair-dnrc.example.com"},
	{file: "rfc4475/intmeth", final: []int{200}, user: "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com"},
	{file: "rfc4475/esc01", final: []int{200}, user: "sip:sips%3Auser%40example.com@example.net"},
	{file: "rfc4475/escnull", final: []int{200}, header: sip.Contact, value: "<sip:%00@host5.example.com>;expires=3600, <sip:%00%00@host5.example.com>;expires=3600"},
	// "A proxy would forward or reject the message depending on what the Request-URI meant to it. An endpoint would reject
	// this message with a 501": it is the server's own URI.
	{file: "rfc4475/esc02", final: []int{404, 405, 501}},
	{file: "rfc4475/lwsdisp", final: []int{200}, user: "sip:user@example.com"},
	{file: "rfc4475/longreq", final: []int{200}, user: "sip:user@example.com"},
	// On a stream the rest is another message, and what follows that is garbage.
	{file: "rfc4475/dblreq", final: []int{200}, stream: []int{200, 0}, closes: true, header: sip.Contact, value: "<sip:j.user@host.example.com>;expires=3600"},
	{file: "rfc4475/semiuri", final: []int{200}, user: "sip:user;par=u%40example.net@example.com"},
	{file: "rfc4475/transports", final: []int{200}, user: "sip:user@example.com"},
	{file: "rfc4475/mpart01", final: []int{200}, user: "sip:kumiko@example.org"},
	{file: "rfc4475/unreason", final: []int{0}},
	{file: "rfc4475/noreason", final: []int{0}},
	// Section 3.1.2: invalid messages.
	{file: "rfc4475/badinv01", final: []int{400}},
	{file: "rfc4475/clerr", final: []int{400}, stream: []int{0}, closes: true},
	{file: "rfc4475/ncl", final: []int{400, 0}, closes: true},
	{file: "rfc4475/scalar02", final: []int{400}},
	{file: "rfc4475/scalarlg", final: []int{0}},
	{file: "rfc4475/quotbal", final: []int{400}},
	{file: "rfc4475/ltgtruri", final: []int{400}},
	{file: "rfc4475/lwsruri", final: []int{400}},
	{file: "rfc4475/lwsstart", final: []int{400}},
	{file: "rfc4475/trws", final: []int{400}},
	{file: "rfc4475/escruri", final: []int{400}},
	// "an element shouldn't do that unless the contents of the Date header field were actually important to its processing"
	{file: "rfc4475/baddate", final: []int{200}, user: "sip:user@example.com"},
	{file: "rfc4475/regbadct", final: []int{400}},
	{file: "rfc4475/badaspec", final: []int{400}},
	{file: "rfc4475/baddn", final: []int{400}},
	{file: "rfc4475/badvers", final: []int{505}},
	{file: "rfc4475/mismatch01", final: []int{400}},
	{file: "rfc4475/mismatch02", final: []int{400, 501}},
	{file: "rfc4475/bigcode", final: []int{0}},
	// Section 3.2: "or it could fall back to the RFC 2543 style transaction identifier".
	{file: "rfc4475/badbranch", final: []int{200}, user: "sip:user@example.com"},
	// Section 3.3.
	{file: "rfc4475/insuf", final: []int{400, 0}},
	{file: "rfc4475/unkscm", final: []int{416}},
	{file: "rfc4475/novelsc", final: []int{416, 404}},
	{file: "rfc4475/unksm2", final: []int{400}},
	{file: "rfc4475/bext01", final: []int{420}, header: sip.Unsupported, value: "noProxiesSupportThis, norDoAnyProxiesSupportThis"},
	{file: "rfc4475/invut", final: []int{200}, user: "sip:user@example.com"},
	{file: "rfc4475/regaut01", final: []int{200}},
	{file: "rfc4475/multi01", final: []int{400}},
	{file: "rfc4475/mcl01", final: []int{400}, stream: []int{400, 0}, closes: true},
	{file: "rfc4475/bcast", final: []int{0}},
	{file: "rfc4475/zeromf", final: []int{483}, user: "sip:user@example.com"},
	{file: "rfc4475/cparam01", final: []int{200}, header: sip.Contact, value: "<sip:+19725552222@gw1.example.net>;expires=3600"},
	{file: "rfc4475/cparam02", final: []int{200}, header: sip.Contact, value: "<sip:+19725552222@gw1.example.net;unknownparam>;expires=3600"},
	{file: "rfc4475/regescrt", final: []int{200}, header: sip.Contact, value: "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600"},
	{file: "rfc4475/sdp01", final: []int{200}, user: "sip:user@example.com"},
	// Section 3.4. It has no Content-Length.
	{file: "rfc4475/inv2543", final: []int{200}, stream: []int{400, 0}, closes: true, user: "sip:UserB@example.com"},
	// Not of the RFC: no version in the start line.
	{file: "rfc4475/test", final: []int{400, 0}, closes: true},

	// RFC 5118.
	{file: "rfc5118/ipv6-good", final: []int{200}, header: sip.Contact, value: "<sip:caller@[2001:db8::1]>;expires=3600"},
	{file: "rfc5118/ipv6-bad", final: []int{400}},
	// Section 4.3: it is the address 2001:db8::10:5070, which is not ours. The REGISTER goes there, and nobody answers.
	{file: "rfc5118/port-ambiguous", final: []int{0}},
	{file: "rfc5118/port-unambiguous", final: []int{200}},
	{file: "rfc5118/via-received-param-with-delim", final: []int{404}}, // a BYE of no dialog that came through us
	{file: "rfc5118/via-received-param-no-delim", final: []int{200}},
	// Their bodies are longer than they say: on a stream the rest is garbage.
	{file: "rfc5118/ipv6-in-sdp", final: []int{200}, stream: []int{200, 0}, closes: true, user: "sip:user@[2001:db8::10]"},
	{file: "rfc5118/mult-ip-in-header", final: []int{404}},
	{file: "rfc5118/mult-ip-in-sdp", final: []int{200}, stream: []int{200, 0}, closes: true, user: "sip:user@[2001:db8::10]"},
	{file: "rfc5118/ipv4-mapped-ipv6", final: []int{200}, stream: []int{200, 0}, closes: true, user: "sip:user@example.com"},
	{file: "rfc5118/ipv6-bug-abnf-3-colons", final: []int{400}},
	{file: "rfc5118/ipv6-correct-abnf-2-colons", final: []int{200}, user: "sip:user@[2001:db8::192.0.2.1]"},
}

// text returns the bytes of the message. Some files end with their last header field.
func (c torture) text(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../sip/testdata", c.file+".dat"))
	require.NoError(t, err)
	if !bytes.Contains(b, []byte("\r\n\r\n")) {
		b = append(b, "\r\n"...)
	}
	return b
}

func (c torture) onStream() []int {
	if c.stream != nil {
		return c.stream
	}
	return c.final
}

func TestEveryTortureMessageHasAVerdict(t *testing.T) {
	files, err := filepath.Glob("../../sip/testdata/rfc[45]*/*.dat")
	require.NoError(t, err)
	require.Len(t, files, 62)
	for _, f := range files {
		rel, err := filepath.Rel("../../sip/testdata", strings.TrimSuffix(f, ".dat"))
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(tortures, func(c torture) bool { return c.file == filepath.ToSlash(rel) }), rel)
	}
}

// runTorture runs f for each message, with a server of its own that serves all their domains, and with the user
// registered at a phone.
func runTorture(t *testing.T, link siptest.Link, f func(b *bench, c torture, callee *siptest.Phone)) {
	for _, c := range tortures {
		t.Run(c.file, func(t *testing.T) {
			runBench(t, siptest.Options{Link: link, Record: 1000}, func(b *bench) {
				b.proxy.domains = []string{"example.com", "example.net", "example.org", "chair-dnrc.example.com", "registrar.example.com",
					"[2001:db8::10]", "[2001:db8::192.0.2.1]"}
				b.sender = b.net.Host("sender", "10.0.0.7")
				callee := siptest.NewPhone(b.T, b.net.Host("callee", "10.0.0.9"), "sip:callee@example.com", siptest.PhoneOptions{Proxy: b.host.AddrPort(5060), Lenient: true})
				callee.On(sip.INVITE, siptest.Respond(200))
				if c.user != "" {
					callee.Register(time.Hour, siptest.Header(sip.To, "<"+c.user+">")).WantStatus(200)
				}
				f(b, c, callee)
				// Nobody acknowledges: the phone repeats its 200 until it gives up.
				time.Sleep(time.Minute)
			})
		})
	}
}

// answer is a response, read from its text alone: what the server copied from a bad request need not be good.
type answer string

func (a answer) status() int {
	status, _, _ := strings.Cut(strings.TrimPrefix(string(a), "SIP/2.0 "), " ")
	n, _ := strconv.Atoi(status)
	return n
}

// fields returns the values of the header fields of a name.
func (a answer) fields(name string) (values []string) {
	head, _, _ := strings.Cut(string(a), "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(n, name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

// check looks at what came back for a message: provisional responses, then one final one, perhaps repeated.
func (c torture) check(b *bench, final []int, text []byte, answers []answer) {
	b.Helper()
	var p sip.Parser
	sent, _ := p.Parse(text, netip.AddrPort{})
	status := 0
	for _, a := range answers {
		require.NotZero(b, a.status(), "%s", a)
		if a.status() < 200 || c.file == "rfc4475/dblreq" && a.fields(sip.CSeq)[0] == "8 INVITE" {
			continue
		}
		require.True(b, status == 0 || status == a.status(), "a second final response %d", a.status())
		status = a.status()
		for _, name := range []string{sip.From, sip.CallID, sip.CSeq} {
			require.Equal(b, sent.Get(name), a.fields(name)[0], name)
		}
		require.Regexp(b, `;\s*tag\s*=`, a.fields(sip.To)[0])
		require.Len(b, a.fields(sip.Via), len(slices.Collect(sent.Lines(sip.Via))))
		if c.header != "" {
			require.Contains(b, strings.Join(a.fields(c.header), ", "), c.value)
		}
	}
	require.Contains(b, final, status, "%v\n%s", b.net.Ladder(), text)
}
