package sip

import "strings"

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
	space := max(strings.IndexByte(text, ' '), 0)
	method, known := internMethod(text[:space])
	if !known && !isTokenString(text[:space]) {
		s.fail(StatusBadRequest, "Bad Request Line", CauseStartLine, "no method")
		return
	}
	s.method, s.known = method, known
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
	const code = len("SIP/2.0 ") // where the status code begins
	if len(text) < code || text[code-1] != ' ' || text[:code-1] != "SIP/2.0" && !equalFold(text[:code-1], "SIP/2.0") {
		s.fail(StatusVersionNotSupported, "Version Not Supported", CauseVersion, "")
	}
	s.status = 100 // a response in any case
	if len(text) >= code+3 && (len(text) == code+3 || text[code+3] == ' ') {
		if status, ok := parseUint(text[code:code+3], 699); ok && status >= 100 {
			s.status = uint16(status)
			return
		}
	}
	s.fail(StatusBadRequest, "Bad Status Line", CauseStartLine, "bad status code")
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
	s.readAddress(fieldFrom, &s.from, "Bad From")
	s.readAddress(fieldTo, &s.to, "Bad To")
	if v, ok := s.value(fieldCallID); ok && !isCallID(v) {
		s.fail(StatusBadRequest, "Bad Call-ID", CauseSyntax, "")
	}
	if v, ok := s.value(fieldCSeq); ok {
		s.readCSeq(v)
	}
}

func (s *scanner) readAddress(f field, x *addrIndex, reason string) {
	if v, ok := s.value(f); ok {
		if fault := x.index(v, s.params); fault != "" {
			s.fail(StatusBadRequest, reason, fault.cause(CauseSyntax), fault)
			*x = addrIndex{}
		}
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
	number, method := splitCSeq(v)
	n, ok := parseUint(number, maxSequence)
	m, known := internMethod(method)
	switch {
	case !ok || !known && !isTokenString(method):
		s.fail(StatusBadRequest, reason, CauseSyntax, "")
	case s.status != 0:
		s.number, s.method, s.known = uint32(n), m, known
	case s.method != m && s.method != "":
		s.fail(StatusBadRequest, "CSeq Method Mismatch", CauseMethod, "")
	default:
		s.number = uint32(n)
	}
}

// maxSequence is the largest number in CSeq.
const maxSequence = 1<<31 - 1

// splitCSeq returns the two parts of a CSeq, which must have space between them.
func splitCSeq(v string) (number, method string) {
	i := 0
	for i < len(v) && !isSpace(v[i]) {
		i++
	}
	return v[:i], v[skipSpace(v, i):]
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
