package sip

import (
	"bytes"
	"net/netip"
	"strings"
	"unsafe"
)

// scanner reads one message. It lives on the stack of Parse; what is to stay is copied into the Message at the end.
type scanner struct {
	limits
	data []byte
	// view is data seen as a string, so that one set of functions reads messages, URIs and addresses alike. It is used during
	// the parse only, while nobody changes data; nothing that outlives the parse refers to it.
	view string

	seen     uint64         // the single fields that have been seen, by number
	first    [needed]uint16 // the positions in lines of the fields that every message has,
	text     [needed]string // and their values, without space before them
	length   int64          // of the body by Content-Length, or -1
	head     int            // where the header fields begin
	body     int            // where the body begins
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

	// The lines. A slice of few would make the scanner escape to the heap.
	count int
	few   [40]line
	more  []line
}

// line returns line i.
func (s *scanner) line(i int) *line {
	if i < len(s.few) {
		return &s.few[i]
	}
	return &s.more[i-len(s.few)]
}

func (s *scanner) append(l line) {
	if s.count < len(s.few) {
		s.few[s.count] = l
	} else {
		s.more = append(s.more, l)
	}
	s.count++
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
		data = unfold(data)
		s.unfolded = true
		s.scan(data)
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
	s.data, s.count, s.more, s.seen, s.length, s.err = data, 0, nil, 0, -1, ParseError{}
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
		if s.count >= s.headers {
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
	s.append(line{start: uint32(i), field: invalid})
}

// scanLine reads the header field at position i. It returns where the next line begins.
func (s *scanner) scanLine(i int) (next int, folded bool) {
	data := s.data
	f, name := s.name(i)
	if name <= 0 {
		if name < 0 && !s.unfolded {
			return 0, true
		}
		s.fail(StatusBadRequest, "Bad Header Field Name", CauseHeaderName, "")
		s.skip(i)
		next, _ = s.lineEnd(i, false)
		return next, false
	}
	value := i + name + 1
	for value < len(data) && isSpace(data[value]) {
		value++
	}
	next, ok := s.lineEnd(value, fields[f].syntax.hasQuotes())
	switch {
	case !ok:
		s.skip(i)
		return next, false
	case next < len(data) && isSpace(data[next]) && !s.unfolded:
		return 0, true
	case next-2-i > s.limits.line:
		s.fail(StatusMessageTooLarge, "Header Field Too Long", CauseLineTooLong, "")
		s.skip(i)
		return next, false
	}
	if f < firstList && f != other {
		s.note(f, s.view[value:next-2])
	}
	s.append(line{start: uint32(i), value: uint16(value - i), name: uint8(name), field: f})
	return next, false
}

// name reads the name of a header field at position i, and returns its length: 0 if there is none, negative if there is white
// space between it and the colon.
func (s *scanner) name(i int) (field, int) {
	const most = 255
	n := strings.IndexByte(s.view[i:min(i+most+1, len(s.view))], ':')
	if n <= 0 {
		return other, 0
	}
	name := s.view[i : i+n]
	if f := fieldOf(name); f != other {
		return f, n // a name that is known is a token
	}
	token := 0
	for token < n && classes[name[token]]&isToken != 0 {
		token++
	}
	switch {
	case token == n:
		return other, n
	case token > 0 && skipSpace(name, token) == n:
		return other, -1
	}
	return other, 0
}

// note keeps what is needed of Via and of the fields that may stand only once, before they become lines.
func (s *scanner) note(f field, value string) {
	if f < needed && s.first[f] == none {
		s.first[f], s.text[f] = uint16(s.count), value
	}
	if !f.isSingle() {
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
func parseLength(value string) (int64, bool) {
	const most = 1 << 40
	var n int64
	value = trimSpace(value)
	for i := 0; i < len(value); i++ {
		if classes[value[i]]&isDigit == 0 {
			return 0, false
		}
		n = min(n*10+int64(value[i]-'0'), most)
	}
	return n, value != ""
}

// lineEnd returns where the line after position i begins. It is not ok if there is a character that may not be in a line; then
// the next line begins after the next LF.
func (s *scanner) lineEnd(i int, quotes bool) (next int, ok bool) {
	data := s.data
	if end := nextControl(data, i); end+1 < len(data) && data[end] == '\r' && data[end+1] == '\n' { // nearly always
		return end + 2, true
	}
	lf := bytes.IndexByte(data[i:], '\n')
	if lf < 0 {
		s.fail(StatusBadRequest, "Truncated Message", CauseTruncated, "no line end")
		return len(data), false
	}
	next = i + lf + 1
	if lf == 0 || data[next-2] != '\r' {
		s.fail(StatusBadRequest, "Bad Line End", CauseLineEnd, "LF without CR")
		return next, false
	}
	return next, s.checkLine(data[i:next-2], quotes)
}

// checkLine looks for characters that may not be in a line. In a field with quoted strings even a control character may be
// escaped with a backslash ("quoted-pair", RFC 3261 section 25.1; RFC 4475 section 3.1.1.2 has an example).
func (s *scanner) checkLine(line []byte, quotes bool) bool {
	inQuotes := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\r':
			s.fail(StatusBadRequest, "Bad Line End", CauseLineEnd, "CR without LF")
			return false
		case c == '"' && quotes:
			inQuotes = !inQuotes
		case c == '\\' && inQuotes && i+1 < len(line) && line[i+1] != '\r':
			i++
		case c < 0x20 && c != '\t' || c == 0x7f:
			s.fail(StatusBadRequest, "Bad Character", CauseControl, "control character in the head")
			return false
		}
	}
	return true
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
