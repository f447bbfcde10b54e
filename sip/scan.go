package sip

import (
	"bytes"
	"net/netip"
	"unsafe"
)

// scanner reads one message. It lives on the stack of Parse; what is to stay is copied into the Message at the end.
type scanner struct {
	limits
	data []byte
	// view is data seen as a string, so that one set of functions reads messages, URIs and addresses alike. It is used during
	// the parse only, while nobody changes data; nothing that outlives the parse refers to it.
	view string

	lines    []line
	seen     uint64 // the single fields that have been seen, by number
	first    [needed]uint16
	length   int64 // of the body by Content-Length, or -1
	head     int   // where the header fields begin
	body     int   // where the body begins
	unfolded bool
	err      ParseError // the first
	local    bool       // the message is ours and has no Via yet

	method Method
	status uint16
	number uint32
	uri    uriIndex
	via    viaIndex
	from   addrIndex
	to     addrIndex

	buf [64]line // for lines, as long as they fit
}

// The fields that every message has are the first ones, so that their number is an index.
const (
	needed = fieldCSeq + 1
	none   = maxOffset // instead of a position in lines
)

// fail records what is wrong, if nothing was before.
func (s *scanner) fail(status int, reason string, cause Cause, detail fault) {
	if s.err.Status == 0 {
		s.err = ParseError{Status: status, Reason: reason, Cause: cause, Detail: string(detail)}
	}
}

func (s *scanner) parse(data []byte, source netip.AddrPort, l limits) (*Message, error) {
	s.limits = l
	for len(data) >= 2 && data[0] == '\r' && data[1] == '\n' {
		data = data[2:]
	}
	switch {
	case len(data) == 0:
		return nil, &ParseError{Status: StatusBadRequest, Reason: "Empty Message", Cause: CauseEmpty}
	case len(data) > s.size:
		return nil, &ParseError{Status: StatusMessageTooLarge, Reason: "Message Too Large", Cause: CauseTooLarge}
	}
	if !s.scan(data) {
		s.unfolded = true
		s.scan(unfold(data))
	}
	s.readStartLine()
	s.readFields()
	s.checkBody()
	if s.err.Status != 0 {
		return s.refuse()
	}
	return s.message(source), nil
}

// refuse returns what is needed to answer the message, if it can be answered.
func (s *scanner) refuse() (*Message, error) {
	err := s.err // a copy, so that s itself stays on the stack
	if s.method == "" || s.method == ACK || s.status != 0 {
		return nil, &err
	}
	for f := fieldVia; f < needed; f++ {
		if s.first[f] == none {
			return nil, &err
		}
	}
	s.length = 0
	return s.message(netip.AddrPort{}), &err
}

// scan finds the lines. It returns false if the head has to be unfolded first.
func (s *scanner) scan(data []byte) bool {
	s.data, s.lines, s.seen, s.length, s.err = data, s.buf[:0], 0, -1, ParseError{}
	// See the comment on view. The slice is not empty.
	s.view = unsafe.String(unsafe.SliceData(data), len(data))
	for f := range s.first {
		s.first[f] = none
	}
	s.body = len(data)
	i, ok := s.lineEnd(0, false)
	s.head = i
	if !ok {
		s.method = "" // without a start line there is nothing to answer
		return true
	}
	for {
		if i+1 < len(data) && data[i] == '\r' && data[i+1] == '\n' {
			s.body = i + 2
			return true
		}
		if i >= len(data) {
			s.fail(StatusBadRequest, "Truncated Message", CauseTruncated, "no empty line after the header fields")
			s.skip(i)
			return true
		}
		if len(s.lines) >= s.headers {
			s.fail(StatusMessageTooLarge, "Too Many Header Fields", CauseTooMany, "")
			s.skip(i)
			return true
		}
		next, folded := s.scanLine(i)
		if folded {
			return false
		}
		i = next
	}
}

// skip notes that at position i there is something that is not a header field: the line before ends here.
func (s *scanner) skip(i int) {
	s.lines = append(s.lines, line{start: uint32(i), field: invalid})
}

// scanLine reads the header field at position i. It returns where the next line begins.
func (s *scanner) scanLine(i int) (next int, folded bool) {
	data := s.data
	colon := i
	for colon < len(data) && classes[data[colon]]&isToken != 0 {
		colon++
	}
	if n := colon - i; colon == len(data) || data[colon] != ':' || n == 0 || n > 255 {
		for j := colon; j < len(data) && n > 0 && isSpace(data[j]) && !s.unfolded; {
			if j++; j < len(data) && data[j] == ':' {
				return 0, true
			}
		}
		s.fail(StatusBadRequest, "Bad Header Field Name", CauseHeaderName, "")
		s.skip(i)
		next, _ = s.lineEnd(i, false)
		return next, false
	}
	f := fieldOf(s.view[i:colon])
	value := colon + 1
	for value < len(data) && isSpace(data[value]) {
		value++
	}
	next, ok := s.lineEnd(value, fields[f].syntax != textSyntax && f != other)
	switch {
	case !ok:
		s.skip(i)
		return next, false
	case next < len(data) && isSpace(data[next]) && !s.unfolded:
		return 0, true
	case next-2-i > s.line:
		s.fail(StatusMessageTooLarge, "Header Field Too Long", CauseLineTooLong, "")
		s.skip(i)
		return next, false
	}
	s.note(f, data[value:next-2])
	s.lines = append(s.lines, line{start: uint32(i), value: uint16(value - i), name: uint8(colon - i), field: f})
	return next, false
}

// note keeps what is needed of a field before it becomes a line.
func (s *scanner) note(f field, value []byte) {
	if f < needed && s.first[f] == none {
		s.first[f] = uint16(len(s.lines))
	}
	if !fields[f].single {
		return
	}
	if s.seen&(1<<f) != 0 {
		s.fail(StatusBadRequest, "Duplicate Header Field", CauseDuplicate, fault(fields[f].name))
	}
	s.seen |= 1 << f
	if f == fieldContentLength {
		n, ok := parseLength(value)
		if !ok {
			s.fail(StatusBadRequest, "Bad Content-Length", CauseContentLength, "")
		}
		s.length = n
	}
}

// parseLength reads the value of Content-Length. A number too large for anything is cut at a value that is.
func parseLength(value []byte) (int64, bool) {
	const most = 1 << 40
	var n int64
	value = bytes.TrimRight(value, " \t")
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), most)
	}
	return n, len(value) > 0
}

// lineEnd returns where the line after position i begins. It is not ok if there is a character that may not be in a line; then
// the next line begins after the next LF. In a field with quoted strings even a control character may be escaped with a
// backslash ("quoted-pair", RFC 3261 section 25.1; RFC 4475 section 3.1.1.2 has an example).
func (s *scanner) lineEnd(i int, quotes bool) (next int, ok bool) {
	data := s.data
	begin := i
	for {
		i = nextControl(data, i)
		switch {
		case i == len(data):
			s.fail(StatusBadRequest, "Truncated Message", CauseTruncated, "no line end")
			return i, false
		case data[i] == '\t':
			i++
			continue
		case data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n':
			return i + 2, true
		case data[i] == '\r' || data[i] == '\n':
			s.fail(StatusBadRequest, "Bad Line End", CauseLineEnd, "")
		case quotes && data[i-1] == '\\':
			if next := quotedLineEnd(data, begin); next > 0 {
				return next, true
			}
			fallthrough
		default:
			s.fail(StatusBadRequest, "Bad Character", CauseControl, "control character in the head")
		}
		lf := bytes.IndexByte(data[i:], '\n')
		if lf < 0 {
			return len(data), false
		}
		return i + lf + 1, false
	}
}

// quotedLineEnd is lineEnd for a value in which control characters may be escaped, or 0.
func quotedLineEnd(data []byte, i int) int {
	inQuotes := false
	for ; i+1 < len(data); i++ {
		switch c := data[i]; {
		case c == '\r':
			if data[i+1] == '\n' {
				return i + 2
			}
			return 0
		case c == '"':
			inQuotes = !inQuotes
		case c == '\\' && inQuotes:
			if i++; data[i] == '\r' || data[i] == '\n' {
				return 0
			}
		case c < 0x20 && c != '\t' || c == 0x7f:
			return 0
		}
	}
	return 0
}

// unfold returns a copy of data whose header fields have no folded lines and no white space before the colon. "All linear white
// space, including folding, has the same semantics as SP" (RFC 3261 section 25.1).
func unfold(data []byte) []byte {
	out := make([]byte, 0, len(data))
	i := bytes.IndexByte(data, '\n') + 1
	out = append(out, data[:i]...)
	for i < len(data) {
		if data[i] == '\r' && i+1 < len(data) && data[i+1] == '\n' {
			break
		}
		name := i
		for i < len(data) && classes[data[i]]&isToken != 0 {
			i++
		}
		out = append(out, data[name:i]...)
		colon := i
		for colon < len(data) && isSpace(data[colon]) {
			colon++
		}
		if colon < len(data) && data[colon] == ':' && i > name {
			i = colon
		}
		for {
			lf := bytes.IndexByte(data[i:], '\n')
			if lf < 0 {
				return append(out, data[i:]...)
			}
			next := i + lf + 1
			if lf == 0 || data[next-2] != '\r' || next == len(data) || !isSpace(data[next]) {
				out = append(out, data[i:next]...)
				i = next
				break
			}
			out = append(bytes.TrimRight(append(out, data[i:next-2]...), " \t"), ' ')
			for i = next; i < len(data) && isSpace(data[i]); {
				i++
			}
		}
	}
	return append(out, data[i:]...)
}
