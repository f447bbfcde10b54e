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

	seen     uint64         // the single fields that have been seen, by number
	first    [needed]uint16 // the positions in lines of the fields that every message has,
	text     [needed]string // and their values, without space before them
	length   int64          // of the body by Content-Length, or -1
	head     int            // where the header fields begin
	body     int            // where the body begins
	unfolded bool
	broken   bool       // the head has something that is not a line
	err      ParseError // the first
	local    bool       // the message is ours and has no Via yet

	method Method
	known  bool // method is a constant
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

// fail records what is wrong, if nothing was before. It returns false.
func (s *scanner) fail(status int, reason string, cause Cause, detail fault) bool {
	if s.err.Status == 0 {
		s.err = ParseError{Status: status, Reason: reason, Cause: cause, Detail: string(detail)}
	}
	return false
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
		s.scan(unfold(s.view))
	}
	if !s.broken {
		s.readStartLine()
		s.readFields()
		s.checkBody()
	}
	if s.err.Status != 0 {
		return s.refuse(source)
	}
	return s.message(source), nil
}

// refuse returns what is needed to answer the message, if it can be answered. Where a line could not be read nothing can: it may
// have been a Via.
func (s *scanner) refuse(source netip.AddrPort) (*Message, error) {
	err := s.err // a copy, so that s itself stays on the stack
	if s.broken || s.method == "" || s.method == ACK || s.status != 0 {
		return nil, &err
	}
	for f := fieldVia; f < needed; f++ {
		if s.first[f] == none {
			return nil, &err
		}
	}
	s.length = 0
	return s.message(source), &err
}

// scan finds the lines. It returns false if the head has to be unfolded first. It stops where there is something that is not a
// line of a head: s is broken then.
func (s *scanner) scan(data []byte) bool {
	s.data, s.count, s.more, s.seen, s.length, s.err = data, 0, nil, 0, -1, ParseError{}
	// See the comment on view. The slice is not empty.
	s.view = unsafe.String(unsafe.SliceData(data), len(data))
	for f := range s.first {
		s.first[f] = none
	}
	i, ok := s.lineEnd(0, false)
	s.head = i
	for ok {
		switch {
		case i+1 < len(data) && data[i] == '\r' && data[i+1] == '\n':
			s.body = i + 2
			return true
		case i == len(data):
			// Every line that there is could be read, so that this can be answered, once it has an empty line.
			s.fail(StatusBadRequest, "Truncated Message", CauseTruncated, "no empty line after the header fields")
			s.data = append(data[:i:i], "\r\n"...)
			s.view = unsafe.String(unsafe.SliceData(s.data), len(s.data))
			s.body = i + 2
			return true
		case s.count == s.headers:
			ok = s.fail(StatusMessageTooLarge, "Too Many Header Fields", CauseTooMany, "")
		default:
			var folded bool
			if i, folded, ok = s.scanLine(i); folded {
				return false
			}
		}
	}
	s.broken = true
	return true
}

// scanLine reads the header field at position i. It returns where the next line begins.
func (s *scanner) scanLine(i int) (next int, folded, ok bool) {
	f, name := s.name(i)
	if name == 0 {
		if _, ok = s.lineEnd(i, false); ok {
			s.fail(StatusBadRequest, "Bad Header Field Name", CauseHeaderName, "")
		}
		return 0, false, false
	}
	if name < 0 {
		return 0, true, true
	}
	value := skipSpace(s.view, i+name+1)
	if end := nextControl(s.data, value); end+1 < len(s.data) && s.data[end] == '\r' && s.data[end+1] == '\n' {
		next = end + 2 // nearly always: lineEnd without the call
	} else if next, ok = s.lineEnd(value, fields[f].syntax.hasQuotes()); !ok {
		return 0, false, false
	}
	if next < len(s.data) && isSpace(s.data[next]) && !s.unfolded {
		return 0, true, true
	}
	if next-2-i > s.limits.line {
		return 0, false, s.fail(StatusMessageTooLarge, "Header Field Too Long", CauseLineTooLong, "")
	}
	if f < firstList && f != other {
		s.note(f, s.view[value:next-2])
	}
	s.append(line{start: uint32(i), value: uint16(value - i), name: uint8(name), field: f})
	return next, false, true
}

// name reads the name of a header field at position i, and returns its length: 0 if there is none, -1 if there is white space
// between it and the colon.
func (s *scanner) name(i int) (field, int) {
	const most = 255
	if f, n := knownField(s.data[i:]); f != other { // nearly always; and a name that is known is a token
		return f, n
	}
	end := i
	for end < len(s.view) && classes[s.view[end]]&isToken != 0 {
		end++
	}
	switch {
	case end == i || end-i > most || end == len(s.view):
	case s.view[end] == ':':
		return fieldOf(s.view[i:end]), end - i
	case !s.unfolded:
		if colon := skipWhite(s.view, end); colon < len(s.view) && s.view[colon] == ':' {
			return other, -1
		}
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

// lineEnd returns where the line after position i begins. It is not ok if there is a character that may not be in a line.
func (s *scanner) lineEnd(i int, quotes bool) (next int, ok bool) {
	data := s.data
	if end := nextControl(data, i); end+1 < len(data) && data[end] == '\r' && data[end+1] == '\n' { // nearly always
		return end + 2, true
	}
	lf := bytes.IndexByte(data[i:], '\n')
	if lf < 0 {
		return 0, s.fail(StatusBadRequest, "Truncated Message", CauseTruncated, "no line end")
	}
	next = i + lf + 1
	if lf == 0 || data[next-2] != '\r' {
		return 0, s.fail(StatusBadRequest, "Bad Line End", CauseLineEnd, "LF without CR")
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
			return s.fail(StatusBadRequest, "Bad Line End", CauseLineEnd, "CR without LF")
		case c == '"' && quotes:
			inQuotes = !inQuotes
		case c == '\\' && inQuotes && i+1 < len(line) && line[i+1] != '\r':
			i++
		case c < 0x20 && c != '\t' || c == 0x7f:
			return s.fail(StatusBadRequest, "Bad Character", CauseControl, "control character in the head")
		}
	}
	return true
}
