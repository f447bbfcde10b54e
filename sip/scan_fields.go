package sip

import (
	"net/netip"
	"strings"
)

// readStartLine reads Request-Line or Status-Line (RFC 3261 sections 7.1, 7.2).
func (s *scanner) readStartLine() {
	text := s.view[:s.head-2]
	if len(text) > s.limits.line {
		s.fail(StatusMessageTooLarge, "Start Line Too Long", CauseLineTooLong, "")
	}
	if len(text) >= 4 && equalFold(text[:4], "SIP/") {
		s.readStatusLine(text)
		return
	}
	space := strings.IndexByte(text, ' ')
	if space < 0 || !isTokenString(text[:space]) {
		s.fail(StatusBadRequest, "Bad Request Line", CauseStartLine, "no method")
		return
	}
	s.method = internMethod(text[:space])
	last := strings.LastIndexByte(text, ' ')
	if last == space {
		s.fail(StatusBadRequest, "Bad Request Line", CauseStartLine, "no version")
		return
	}
	s.checkVersion(text[last+1:])
	s.readRequestURI(text[space+1 : last])
}

func (s *scanner) checkVersion(v string) {
	if v == "SIP/2.0" || equalFold(v, "SIP/2.0") {
		return
	}
	if isVersion(v) {
		s.fail(StatusVersionNotSupported, "Version Not Supported", CauseVersion, "")
		return
	}
	s.fail(StatusBadRequest, "Bad Request Line", CauseStartLine, "no version")
}

// isVersion: SIP-Version = "SIP" "/" 1*DIGIT "." 1*DIGIT
func isVersion(v string) bool {
	if len(v) < 4 || !equalFold(v[:4], "SIP/") {
		return false
	}
	major, minor, ok := strings.Cut(v[4:], ".")
	return ok && major != "" && minor != "" && all(major, isDigit) && all(minor, isDigit)
}

func (s *scanner) readRequestURI(text string) {
	const reason = "Bad Request-URI"
	if len(text) > s.limits.uri {
		s.fail(StatusRequestURITooLong, "Request-URI Too Long", CauseLineTooLong, "")
		return
	}
	f := s.uri.index(text, s.params)
	if f == "" && s.uri.headers != 0 {
		f = "headers in the Request-URI" // section 19.1.1, table 1: not allowed
	}
	if f != "" {
		s.fail(StatusBadRequest, reason, f.cause(CauseRequestURI), f)
		s.uri = uriIndex{}
	}
}

// readStatusLine reads a status line. The space after the status code may be missing when there is no reason phrase.
func (s *scanner) readStatusLine(text string) {
	const versionEnd = len("SIP/2.0")
	version, rest, _ := strings.Cut(text, " ")
	if !equalFold(version, "SIP/2.0") {
		s.fail(StatusVersionNotSupported, "Version Not Supported", CauseVersion, "")
	}
	code, _, _ := strings.Cut(rest, " ")
	status, ok := parseUint(code, 699)
	if !ok || len(code) != 3 || status < 100 {
		s.fail(StatusBadRequest, "Bad Status Line", CauseStartLine, "bad status code")
		status = 100 // a response in any case
	}
	s.status = uint16(status)
}

// readFields reads the fields that every message has.
func (s *scanner) readFields() {
	for f := fieldVia; f < needed; f++ {
		if s.first[f] == none && !(f == fieldVia && s.local) {
			s.fail(StatusBadRequest, "Missing Header Field", CauseMissing, fault(fields[f].name))
		}
	}
	if v, ok := s.value(fieldVia); ok {
		if f := s.via.index(trimSpace(v[:elementEnd(v)]), s.params); f != "" {
			s.fail(StatusBadRequest, "Bad Via", f.cause(CauseSyntax), f)
			s.via = viaIndex{}
		}
	}
	if v, ok := s.value(fieldFrom); ok {
		if f := s.from.index(v, s.params); f != "" {
			s.fail(StatusBadRequest, "Bad From", f.cause(CauseSyntax), f)
			s.from = addrIndex{}
		}
	}
	if v, ok := s.value(fieldTo); ok {
		if f := s.to.index(v, s.params); f != "" {
			s.fail(StatusBadRequest, "Bad To", f.cause(CauseSyntax), f)
			s.to = addrIndex{}
		}
	}
	if v, ok := s.value(fieldCallID); ok && !isCallID(v) {
		s.fail(StatusBadRequest, "Bad Call-ID", CauseSyntax, "")
	}
	if v, ok := s.value(fieldCSeq); ok {
		s.readCSeq(v)
	}
}

// value returns the value of the first field f, without space around it.
func (s *scanner) value(f field) (string, bool) {
	return trimSpace(s.text[f]), s.first[f] != none
}

// isCallID: callid = word [ "@" word ]. All that is not white space is let through, for nothing else can be mistaken, and Call-IDs
// in base64 are common.
func isCallID(s string) bool {
	return s != "" && strings.IndexByte(s, ' ') < 0 && strings.IndexByte(s, '\t') < 0
}

// readCSeq: "The sequence number MUST be expressible as a 32-bit unsigned integer and MUST be less than 2**31." (section 8.1.1.5)
// "the method MUST match that of the request."
func (s *scanner) readCSeq(v string) {
	const reason = "Bad CSeq"
	number, method, ok := parseCSeq(v)
	if !ok {
		s.fail(StatusBadRequest, reason, CauseSyntax, "")
		return
	}
	s.number = number
	if s.status != 0 {
		s.method = internMethod(method)
	} else if s.method != Method(method) && s.method != "" {
		s.fail(StatusBadRequest, "CSeq Method Mismatch", CauseMethod, "")
	}
}

// maxSequence is the largest number in CSeq.
const maxSequence = 1<<31 - 1

func parseCSeq(v string) (uint32, string, bool) {
	i := 0
	for i < len(v) && classes[v[i]]&isDigit != 0 {
		i++
	}
	number, ok := parseUint(v[:i], maxSequence)
	method := v[skipSpace(v, i):]
	return uint32(number), method, ok && len(method) < len(v)-i && isTokenString(method)
}

// checkBody cuts the text after the body that Content-Length announces.
func (s *scanner) checkBody() {
	rest := int64(len(s.data) - s.body)
	if s.length > rest {
		s.fail(StatusBadRequest, "Content-Length Too Large", CauseContentLength, "more than there is")
	}
	if s.length < 0 {
		s.length = rest
	}
}

// The message with room for its lines beside it, so that both are one allocation.
type (
	message10 struct {
		Message
		room [10]line
	}
	message14 struct {
		Message
		room [14]line
	}
	message20 struct {
		Message
		room [20]line
	}
	message32 struct {
		Message
		room [32]line
	}
)

// newMessage returns a message with n lines.
func newMessage(n int) *Message {
	switch {
	case n <= 10:
		m := new(message10)
		m.lines = m.room[:n:n]
		return &m.Message
	case n <= 14:
		m := new(message14)
		m.lines = m.room[:n:n]
		return &m.Message
	case n <= 20:
		m := new(message20)
		m.lines = m.room[:n:n]
		return &m.Message
	case n <= 32:
		m := new(message32)
		m.lines = m.room[:n:n]
		return &m.Message
	}
	return &Message{lines: make([]line, n)}
}

// message makes the message of what has been read.
func (s *scanner) message(source netip.AddrPort) *Message {
	m := newMessage(s.count)
	copy(m.lines[copy(m.lines, s.few[:min(s.count, len(s.few))]):], s.more)
	m.method, m.number, m.status = s.method, s.number, s.status
	m.uri, m.via, m.from, m.to = s.uri, s.via, s.from, s.to
	m.viaLine, m.fromLine, m.toLine = s.first[fieldVia], s.first[fieldFrom], s.first[fieldTo]
	m.callIDLine, m.cseqLine = s.first[fieldCallID], s.first[fieldCSeq]
	m.maxParams, m.maxNesting = uint16(s.params), uint8(s.nesting)
	m.head, m.body = uint32(s.head), uint32(s.body)

	text := s.data[:s.body+int(s.length)]
	if source.IsValid() && s.status == 0 && s.via.transportEnd != 0 {
		if s.addSource(m, text, source) {
			return s.intern(m)
		}
	}
	m.text = string(text)
	return s.intern(m)
}

// intern makes the method a part of the message's text, unless it is a constant. Until now it was part of the view.
func (s *scanner) intern(m *Message) *Message {
	if m.status == 0 {
		m.method = internMethod(m.text[:len(m.method)])
	} else if v := m.value(int(m.cseqLine)); len(v) >= len(m.method) {
		m.method = internMethod(v[len(v)-len(m.method):])
	}
	return m
}
