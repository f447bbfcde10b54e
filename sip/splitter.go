package sip

import "bytes"

// Splitter finds the messages in a stream (RFC 3261 section 18.3): it looks for the end of the header fields and for
// Content-Length, and leaves all else to [Parser.Parse]. It never looks at a byte of a head twice, so a message that arrives byte
// by byte costs no more than one that arrives at once. One Splitter serves one stream, one goroutine at a time.
type Splitter struct {
	limits
	at      int   // how far the head of the message has been looked at
	line    int   // where the physical line begins that at is in
	field   int   // where the header field begins that the line belongs to; it may be folded
	lines   int   // how many physical lines there were
	length  int64 // Content-Length, or -1
	body    int   // where the body begins, or 0 if that is not known yet
	refused error
}

// NewSplitter returns a Splitter with the limits of p.
func (p *Parser) NewSplitter() *Splitter {
	return &Splitter{limits: p.limits(), length: -1}
}

// Split looks for the next message in buf, which begins where the one before ended. The first skip bytes belong to no message
// (line ends between messages, section 7.5) and are to be dropped; the message is the size bytes after them. If size is 0 the
// message is not complete: Split is to be called with the same bytes, without those to be dropped, and more.
//
// An error (a [*ParseError]) means that nobody can know where the next message begins: what comes is no SIP, has no
// Content-Length, or several that differ, or one that is no number or too large, or is larger than the limits. The connection
// has to be closed.
func (s *Splitter) Split(buf []byte) (skip, size int, err error) {
	if s.refused != nil {
		return 0, 0, s.refused
	}
	if s.at == 0 {
		for skip+1 < len(buf) && buf[skip] == '\r' && buf[skip+1] == '\n' {
			skip += 2
		}
		buf = buf[skip:]
		if len(buf) == 0 || len(buf) == 1 && buf[0] == '\r' {
			return skip, 0, nil
		}
	}
	if s.body == 0 {
		if err := s.head(buf); err != nil {
			s.refused = err
			return 0, 0, err
		}
	}
	if s.body == 0 || int64(len(buf)-s.body) < s.length {
		return skip, 0, nil
	}
	size = s.body + int(s.length)
	*s = Splitter{limits: s.limits, length: -1}
	return skip, size, nil
}

// head looks at the lines of the head that are new in buf, until it has seen the empty one.
func (s *Splitter) head(buf []byte) error {
	for s.body == 0 {
		lf := bytes.IndexByte(buf[s.at:], '\n')
		end := s.at + lf
		if lf < 0 {
			end = len(buf)
		}
		if s.lines == 0 && !isStartLine(buf[max(s.at-1, 0):end]) { // from one before: a CR there must be the last
			return s.refuse(CauseControl, "Bad Character")
		}
		if end-s.field > s.limits.line || end > s.size {
			return s.refuse(CauseLineTooLong, "Header Field Too Long")
		}
		s.at = end
		if lf < 0 {
			return nil
		}
		if end == s.line || buf[end-1] != '\r' {
			return s.refuse(CauseLineEnd, "Bad Line End")
		}
		s.at = end + 1
		if err := s.endLine(buf, end-1); err != nil {
			return err
		}
	}
	return nil
}

// isStartLine looks for what cannot be in a start line, so that somebody who speaks TLS is refused with his first bytes.
func isStartLine(b []byte) bool {
	i := nextControl(b, 0)
	return i == len(b) || b[i] == '\r' && i == len(b)-1
}

// endLine takes note of the physical line that ends at end, before its CR.
func (s *Splitter) endLine(buf []byte, end int) error {
	line := s.line
	folded := end > line && isSpace(buf[line])
	s.line = s.at
	s.lines++
	if s.lines == 1 {
		s.field = s.at
		return s.checkStartLine(buf[:end])
	}
	if folded {
		return nil
	}
	if line > s.field {
		if err := s.readField(buf[s.field : line-2]); err != nil {
			return err
		}
	}
	s.field = line
	if end > line {
		return nil
	}
	// The empty line.
	switch {
	case s.length < 0:
		return s.refuse(CauseContentLength, "Missing Content-Length")
	case s.length > int64(s.size-s.at):
		return s.refuse(CauseTooLarge, "Message Too Large")
	}
	s.body = s.at
	return nil
}

// checkStartLine refuses what is not SIP of any version. White space at its end is for the parser to refuse: where the message
// ends is clear.
func (s *Splitter) checkStartLine(line []byte) error {
	line = bytes.TrimRight(line, " \t\r\n")
	version := line[bytes.LastIndexByte(line, ' ')+1:]
	if len(line) >= 4 && equalFold(string(line[:4]), "SIP/") || isVersion(string(version)) {
		return nil
	}
	return s.refuse(CauseStartLine, "Bad Start Line")
}

// readField looks whether a header field, which may have folded lines, is Content-Length.
func (s *Splitter) readField(b []byte) error {
	if c := lower(b[0]); c != 'c' && c != 'l' {
		return nil
	}
	name, value, ok := bytes.Cut(b, []byte(":"))
	name = bytes.TrimRight(name, " \t\r\n")
	if !ok || len(name) > len(ContentLength) || fieldOf(string(name)) != fieldContentLength {
		return nil
	}
	n, ok := parseLength(string(bytes.Trim(value, " \t\r\n")))
	switch {
	case !ok:
		return s.refuse(CauseContentLength, "Bad Content-Length")
	case s.length >= 0 && s.length != n:
		return s.refuse(CauseContentLength, "Conflicting Content-Length")
	}
	s.length = n
	return nil
}

func (s *Splitter) refuse(c Cause, reason string) error {
	status := StatusBadRequest
	if c == CauseTooLarge || c == CauseLineTooLong {
		status = StatusMessageTooLarge
	}
	return &ParseError{Status: status, Reason: reason, Cause: c}
}
