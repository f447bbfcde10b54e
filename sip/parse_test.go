package sip_test

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

func TestParseRequest(t *testing.T) {
	m := parse(t, invite)
	require.True(t, m.IsRequest())
	require.Equal(t, sip.INVITE, m.Method())
	require.Equal(t, sip.URI{Scheme: "sip", User: "bob", Host: "biloxi.example.com"}, m.RequestURI())
	require.Zero(t, m.Status())
	require.Empty(t, m.ReasonPhrase())
	require.Equal(t, "a84b4c76e66710@pc33.atlanta.example.com", m.CallID())
	require.Equal(t, sip.Sequence{Number: 314159, Method: sip.INVITE}, m.CSeq())
	require.Equal(t, sip.NameAddr{
		Display: "Alice",
		URI:     sip.URI{Scheme: "sip", User: "alice", Host: "atlanta.example.com"},
		Params:  "tag=1928301774",
		Tag:     "1928301774",
	}, m.From())
	require.Equal(t, sip.NameAddr{Display: "Bob", URI: sip.URI{Scheme: "sip", User: "bob", Host: "biloxi.example.com"}}, m.To())
	require.Equal(t, sip.ViaParm{
		Transport: "UDP", Host: "192.0.2.1", Port: 5060, Branch: "z9hG4bKnashds8", HasRPort: true,
		Params: "branch=z9hG4bKnashds8;rport",
	}, m.Via())
	require.Equal(t, "1928301774", m.FromTag())
	require.Empty(t, m.ToTag())
	require.Equal(t, "v=0\r\n", m.Body()[:5])
	require.Equal(t, invite, m.Text())
}

func TestParseResponse(t *testing.T) {
	m := parse(t, ringing)
	require.False(t, m.IsRequest())
	require.Equal(t, 180, m.Status())
	require.Equal(t, "Ringing", m.ReasonPhrase())
	require.Equal(t, sip.INVITE, m.Method())
	require.True(t, m.RequestURI().IsZero())
	require.Equal(t, "a6c85cf", m.To().Tag)
}

// RFC 3261 7.2: "Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF". RFC 4475 3.1.1.13: "a liberal receiver would accept
// it anyway" of one without the space.
func TestStatusLine(t *testing.T) {
	for line, reason := range map[string]string{
		"200":           "",
		"200 ":          "",
		"200 OK":        "OK",
		"200  OK then ": "OK then",
		"699 Ünïcode":   "Ünïcode",
	} {
		m := parse(t, response(line))
		require.Equal(t, reason, m.ReasonPhrase(), line)
	}
	for _, line := range []string{"", "20", "2000", "099", "700", "20x OK", "+20 OK", " 200 OK"} {
		m, err := refused(t, response(line))
		require.Nil(t, m)
		require.Equal(t, sip.CauseStartLine, err.Cause, line)
	}
	_, err := refused(t, strings.Replace(response("200 OK"), "SIP/2.0 200", "SIP/3.0 200", 1))
	require.Equal(t, sip.CauseVersion, err.Cause)
}

// RFC 3261 7.1: "SIP-Version […] The SIP-Version string is case-insensitive, but implementations MUST send upper-case."
func TestVersion(t *testing.T) {
	parse(t, strings.Replace(options(), "SIP/2.0\r\n", "sip/2.0\r\n", 1))
	for version, status := range map[string]int{
		"SIP/7.0": 505, "SIP/2.1": 505, "SIP/02.0": 505, "SIP/2": 400, "SIP/2.x": 400, "HTTP/1.1": 400, "": 400, "SIP/2.0 ": 400,
	} {
		m, err := refused(t, strings.Replace(options(), "SIP/2.0\r\n", version+"\r\n", 1))
		require.Equal(t, status, err.Status, version)
		require.NotNil(t, m, "it can be answered")
		require.Equal(t, "a1", m.From().Tag)
	}
}

// RFC 3261 7.1: "Request-Line = Method SP Request-URI SP SIP-Version CRLF"
func TestRequestLine(t *testing.T) {
	for line, cause := range map[string]sip.Cause{
		"OPTIONS": sip.CauseStartLine, "OPTIONS sip:a": sip.CauseStartLine, "OP(TIONS sip:a SIP/2.0": sip.CauseStartLine, " OPTIONS sip:a SIP/2.0": sip.CauseStartLine,
		"OPTIONS\tsip:a SIP/2.0": sip.CauseStartLine, "OPTIONS SIP/2.0": sip.CauseStartLine, "OPTIONS  SIP/2.0": sip.CauseRequestURI, "OPTIONS sip:a\tSIP/2.0": sip.CauseStartLine,
		"OPTIONS sip:a@ SIP/2.0": sip.CauseRequestURI, "OPTIONS sip:a?h=v SIP/2.0": sip.CauseRequestURI, "OPTIONS a SIP/2.0": sip.CauseRequestURI,
	} {
		_, err := refused(t, message(line, nil, strings.Split(strings.TrimSpace(options()), "\r\n")[1:]))
		require.Equal(t, cause, err.Cause, line)
		require.Equal(t, 400, err.Status)
	}
	for _, u := range []string{"urn:service:sos", "tel:+1-201-555-0123;phone-context=example.com", "nobodyKnowsThisScheme:totallyopaquecontent", "http://a/b?c"} {
		m := parse(t, strings.Replace(options(), "sip:bob@example.com", u, 1))
		require.Equal(t, strings.ToLower(u), strings.ToLower(m.RequestURI().String()))
	}
}

// RFC 3261 7.3.1: "Any whitespace preceding the colon" is allowed, and names are case-insensitive. What is written has none, so that
// a field that is removed by its name is gone whatever its form.
func TestHeaderNames(t *testing.T) {
	m := parse(t, options("X-Secret : 1", "x-secret\t :2", "X-SECRET:3", "S: subject", "sUBJECt2: x", "f : <sip:carol@example.com>;tag=c"))
	require.Equal(t, []string{"1", "2", "3"}, collect(m.Lines("x-Secret")))
	require.Equal(t, "subject", m.Get(sip.Subject))
	require.Equal(t, "c", m.From().Tag)
	require.Contains(t, m.Text(), "\r\nX-Secret: 1\r\nx-secret:2\r\nX-SECRET:3\r\n")
	var p sip.Patch
	p.Remove("X-secret")
	out := string(sip.AppendMessage(nil, m, &p))
	require.NotContains(t, strings.ToLower(out), "x-secret")

	for _, line := range []string{"To\x01: <sip:a@b>", ": no name", "No Name: x", "Na(me: x", "Nämè: x", "nocolon: \r\nnocolon", " folded first: x"} {
		m, err := refused(t, strings.Replace(options(), "Via:", line+"\r\nVia:", 1))
		require.Nil(t, m)
		require.Contains(t, []sip.Cause{sip.CauseHeaderName, sip.CauseControl}, err.Cause, line)
	}
}

// RFC 3261 25.1: "All linear white space, including folding, has the same semantics as SP."
func TestFolding(t *testing.T) {
	m := parse(t, options("Subject: I know you're there,\r\n\t pick up   \r\n  the phone\r\n   ", "To:\r\n <sip:bob@example.com>\r\n ;tag=b", "X:\r\n \r\n y"))
	require.Equal(t, "I know you're there, pick up the phone", m.Get("s"))
	require.Equal(t, "b", m.To().Tag)
	require.Equal(t, "y", m.Get("X"))
	require.NotContains(t, m.Text(), "\r\n ")
	require.NotContains(t, m.Text(), "\r\n\t")

	// What looks like folding in the body is none.
	m = parse(t, options("Subject: a\r\n b")+"body\r\n is kept\r\nX : y\r\n")
	require.Equal(t, "body\r\n is kept\r\nX : y\r\n", m.Body())
}

// A bare CR or LF, NUL and other control characters mean different things to different readers.
func TestControlCharacters(t *testing.T) {
	for _, c := range []string{"\x00", "\x01", "\x0b", "\x1f", "\x7f"} {
		for _, line := range []string{"Subject: a" + c + "b", "Subject: \"a\\" + c + "b\"", "X-Any: \"a\\" + c + "\"", "Contact: <sip:a@b>" + c} {
			m, err := refused(t, options(line))
			require.Nil(t, m)
			require.Equal(t, sip.CauseControl, err.Cause, "%q", line)
		}
		// RFC 3261 25.1: quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F)
		parse(t, options("Contact: \"a\\"+c+"b\" <sip:a@b>"))
	}
	for _, line := range []string{"Subject: a\rb", "Subject: a\nX: b", "Contact: \"a\\\rb\" <sip:a@b>", "Contact: \"\\\n\" <sip:a@b>"} {
		_, err := refused(t, options(line))
		require.Equal(t, sip.CauseLineEnd, err.Cause, "%q", line)
	}
	_, err := refused(t, strings.ReplaceAll(options(), "\r\n", "\n"))
	require.Equal(t, sip.CauseLineEnd, err.Cause)
	parse(t, options("Subject: tab\tis fine", "X: Größe 大停電"))
}

// RFC 3261 7.3.1: "Multiple header field rows with the same field-name MAY be present in a message if and only if the entire
// field-value for that header field is defined as a comma-separated list".
func TestDuplicates(t *testing.T) {
	for _, lines := range [][]string{
		{"Call-ID: 1", "i: 2"},
		{"CSeq: 7 OPTIONS", "CSEQ: 7 OPTIONS"},
		{"From: <sip:a@b>;tag=1", "f: <sip:a@b>;tag=1"},
		{"To: <sip:a@b>", "t: <sip:a@c>"},
		{"Max-Forwards: 70", "max-forwards : 70"},
		{"Content-Length: 0", "l: 0"},
		{"Content-Type: text/plain", "c: text/html"},
		{"Max-Breadth: 60", "Max-Breadth: 1"},
		{"Expires: 1", "Expires: 2"},
	} {
		m, err := refused(t, options(lines...))
		require.Equal(t, sip.CauseDuplicate, err.Cause, lines)
		require.Equal(t, 400, err.Status)
		require.NotNil(t, m, "it can be answered")
	}
	parse(t, options("Route: <sip:a>", "Route: <sip:b>", "Subject: 1", "Subject: 2"))
}

func TestMissing(t *testing.T) {
	for _, name := range []string{sip.Via, sip.From, sip.To, sip.CallID, sip.CSeq} {
		m, err := refused(t, options(name))
		require.Equal(t, sip.CauseMissing, err.Cause, name)
		require.Equal(t, name, err.Detail)
		require.Nil(t, m)
	}
}

// RFC 3261 20.16: "The CSeq method is case-sensitive"; 8.1.1.5: "less than 2**31".
func TestCSeq(t *testing.T) {
	for value, number := range map[string]uint32{
		"1 OPTIONS": 1, "0 OPTIONS": 0, "0009 OPTIONS": 9, "1 \t  OPTIONS": 1, "2147483647 OPTIONS": 1<<31 - 1, "1   OPTIONS  ": 1,
	} {
		m := parse(t, options("CSeq: "+value))
		require.Equal(t, sip.Sequence{Number: number, Method: sip.OPTIONS}, m.CSeq(), value)
	}
	for value, cause := range map[string]sip.Cause{
		"2147483648 OPTIONS": sip.CauseSyntax, "4294967296 OPTIONS": sip.CauseSyntax, "-1 OPTIONS": sip.CauseSyntax, "OPTIONS": sip.CauseSyntax,
		"1": sip.CauseSyntax, "": sip.CauseSyntax, "1OPTIONS": sip.CauseSyntax, "1 OPT IONS": sip.CauseSyntax, "1 OPTIONS,": sip.CauseSyntax,
		"1 options": sip.CauseMethod, "1 INVITE": sip.CauseMethod,
	} {
		m, err := refused(t, options("CSeq: "+value))
		require.Equal(t, cause, err.Cause, value)
		require.NotNil(t, m)
	}
}

// RFC 3261 18.3: "If there are additional bytes in the transport packet beyond the end of the body, they MUST be discarded. If the
// transport packet ends before the end of the message body, this is considered an error. […] If the message is a request, the
// server MUST respond with 400 (Bad Request) […] If there is no Content-Length […] the message body is assumed to end at the end
// of the transport packet."
func TestContentLength(t *testing.T) {
	m := parse(t, options("Content-Length: 4")+"bodyINVITE")
	require.Equal(t, "body", m.Body())
	require.NotContains(t, m.Text(), "INVITE")
	m = parse(t, options()+"body to the end")
	require.Equal(t, "body to the end", m.Body())
	m = parse(t, options("l : 0004  ")+"body")
	require.Equal(t, "body", m.Body())
	for _, value := range []string{"5", "-1", "+4", "", "4 4", "4,4", "0x4", "five", "1000000000000000000", "18446744073709551620", strings.Repeat("9", 5000)} {
		m, err := refused(t, options("Content-Length: "+value)+"body")
		require.Equal(t, sip.CauseContentLength, err.Cause, value)
		require.Equal(t, 400, err.Status)
		require.NotNil(t, m)
		require.Empty(t, m.Body())
	}
}

// RFC 3261 7.5: "Implementations processing SIP messages over stream-oriented transports MUST ignore any CRLF appearing before the
// start-line".
func TestLeadingLineEnds(t *testing.T) {
	parse(t, "\r\n\r\n"+options())
	for _, text := range []string{"", "\r\n", "\r\n\r\n"} {
		_, err := refused(t, text)
		require.Equal(t, sip.CauseEmpty, err.Cause)
	}
	_, err := refused(t, "\n"+options())
	require.Equal(t, sip.CauseLineEnd, err.Cause)
}

// Every beginning of a message is refused, and none of them crashes. One that ends with the line of the last field that an answer
// needs, or a later line, can be answered.
func TestTruncated(t *testing.T) {
	head := strings.Index(invite, "\r\n\r\n") + 4
	needed := strings.Index(invite, "CSeq:")
	for i := range len(invite) {
		m, err := refused(t, invite[:i])
		if i >= head {
			require.Equal(t, sip.CauseContentLength, err.Cause)
			require.NotNil(t, m)
			continue
		}
		require.Contains(t, []sip.Cause{sip.CauseEmpty, sip.CauseTruncated, sip.CauseLineEnd}, err.Cause, "%q", invite[:i])
		require.Equal(t, i > needed && strings.HasSuffix(invite[:i], "\r\n"), m != nil, "%q", invite[:i])
	}
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("x", 20000)
	for name, test := range map[string]struct {
		text   string
		cause  sip.Cause
		status int
	}{
		"size":       {options() + strings.Repeat("x", 65535), sip.CauseTooLarge, 513},
		"line":       {options("Subject: " + long), sip.CauseLineTooLong, 513},
		"start line": {strings.Replace(options(), "OPTIONS", long, 1), sip.CauseLineTooLong, 513},
		"uri":        {strings.Replace(options(), "sip:bob", "sip:"+long[:9000], 1), sip.CauseLineTooLong, 414},
		"endless":    {"OPTIONS sip:a SIP/2.0\r\nSubject: " + long, sip.CauseTruncated, 400},
		"headers":    {options(strings.Repeat("Z: y\r\n", 260) + "Z: y"), sip.CauseTooMany, 513},
		"folds":      {options("Subject: x" + strings.Repeat("\r\n x", 10000)), sip.CauseLineTooLong, 513},
		"uri params": {strings.Replace(options(), "bob@example.com", "b"+strings.Repeat(";p", 65), 1), sip.CauseTooMany, 400},
		"params":     {options("To: <sip:b>" + strings.Repeat(";p", 65)), sip.CauseTooMany, 400},
		"via params": {options("Via: SIP/2.0/UDP a" + strings.Repeat(";p", 65)), sip.CauseTooMany, 400},
		"name":       {options(long[:256] + ": x"), sip.CauseHeaderName, 400},
		"binary":     {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", sip.CauseTruncated, 400},
		"200000":     {options(strings.Repeat("Z: y\r\n", 200000) + "Z: y"), sip.CauseTooLarge, 513},
		"huge line":  {options("X: " + strings.Repeat("y", 10<<20)), sip.CauseTooLarge, 513},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := refused(t, test.text)
			require.Equal(t, test.cause, err.Cause, "%v", err)
			require.Equal(t, test.status, err.Status, "%v", err)
		})
	}
	// With other limits.
	p := sip.Parser{MaxSize: -1, MaxLine: -1, MaxHeaders: -1, MaxParams: -1, MaxURI: -1}
	for _, text := range []string{
		options("Subject: "+long, strings.Repeat("Z: y\r\n", 30000)+"Z: y") + strings.Repeat("x", 1<<17),
		options("To: <sip:b>" + strings.Repeat(";p", 1000)),
		strings.Replace(options(), "sip:bob", "sip:"+long, 1),
	} {
		m, err := p.Parse([]byte(text), sourceNone)
		require.NoError(t, err)
		require.Equal(t, text, m.Text())
		require.NoError(t, m.Validate())
	}
	p = sip.Parser{MaxHeaders: 5}
	_, err := p.Parse([]byte(options()), sourceNone)
	require.NoError(t, err)
	_, err = p.Parse([]byte(options("Z: y")), sourceNone)
	require.Error(t, err)
}

// 200,000 header fields are refused before memory is taken for them.
func TestManyHeadersMemory(t *testing.T) {
	data := []byte(options(strings.Repeat("Z: y\r\n", 200000) + "Z: y"))
	p := sip.Parser{MaxSize: -1}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := p.Parse(data, sourceNone)
	runtime.ReadMemStats(&after)
	require.Error(t, err)
	require.Nil(t, m)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<10))
}

// An answer can be given to requests only, and never to ACK (RFC 3261 17).
func TestUnanswerable(t *testing.T) {
	for _, text := range []string{
		strings.ReplaceAll(options("To: <"), "OPTIONS", "ACK"),
		response("200 OK", "To: <"),
		options("To: <sip:b>\x00"),
	} {
		m, _ := refused(t, text)
		require.Nil(t, m)
	}
	m, err := refused(t, options("To: \"unterminated <sip:b>", "Record-Route: <sip:p;lr>"))
	require.Equal(t, "Bad To", err.Reason)
	require.Equal(t, sip.NameAddr{}, m.To())
	require.Equal(t, "a1", m.From().Tag)
	require.Equal(t, sip.OPTIONS, m.Method())
	checkAnswer(t, m, err)
}

// A Message owns its text: what happens to the buffer does not matter.
func TestParseCopies(t *testing.T) {
	for _, text := range []string{invite, strings.Replace(invite, "INVITE", "XINVITE", 1), options("Subject: a\r\n b")} {
		text = strings.Replace(text, "CSeq: 314159 INVITE", "CSeq: 314159 "+text[:strings.IndexByte(text, ' ')], 1)
		for _, source := range []string{"192.0.2.1:5060", "203.0.113.9:1"} {
			data := []byte(text)
			m := parseBytes(t, data, source)
			before := []string{m.Text(), string(m.Method()), string(m.CSeq().Method), m.From().String(), m.RequestURI().String(), m.Via().String()}
			clear(data)
			require.Equal(t, before, []string{m.Text(), string(m.Method()), string(m.CSeq().Method), m.From().String(), m.RequestURI().String(), m.Via().String()})
		}
	}
}

// Known methods are constants, which do not keep a message's text alive.
func TestMethodsAreConstants(t *testing.T) {
	m := parse(t, invite)
	require.Equal(t, unsafe.StringData(string(sip.INVITE)), unsafe.StringData(string(m.Method())))
	m = parse(t, ringing)
	require.Equal(t, unsafe.StringData(string(sip.INVITE)), unsafe.StringData(string(m.Method())))
}

func TestErrors(t *testing.T) {
	_, err := refused(t, options("CSeq: x"))
	require.Equal(t, "sip: Bad CSeq", err.Error())
	require.Equal(t, 400, err.SIPStatus())
	_, err = refused(t, options("To: <sip:>"))
	require.Equal(t, "sip: Bad To: empty host", err.Error())
	require.Equal(t, "syntax", err.Cause.String())
	require.Equal(t, "unknown", sip.Cause(0).String())
	require.Equal(t, "unknown", sip.Cause(200).String())
	for c := sip.CauseEmpty; c <= sip.CauseTooMany; c++ {
		require.NotEqual(t, "unknown", c.String())
	}
}
