package sip

import "strings"

// unfold returns a copy of a message whose header fields have no folded lines and no white space before the colon. "All linear
// white space, including folding, has the same semantics as SP" (RFC 3261 section 25.1).
func unfold(msg string) []byte {
	out := make([]byte, 0, len(msg))
	i := strings.IndexByte(msg, '\n') + 1
	out = append(out, msg[:i]...)
	for i < len(msg) && !strings.HasPrefix(msg[i:], "\r\n") {
		name := i
		for i < len(msg) && classes[msg[i]]&isToken != 0 {
			i++
		}
		out = append(out, msg[name:i]...)
		if colon := skipWhite(msg, i); i > name && colon < len(msg) && msg[colon] == ':' {
			i = colon
		}
		out, i = appendUnfolded(out, msg, i)
	}
	return append(out, msg[i:]...)
}

// appendUnfolded appends msg from i on up to the end of the header field, and returns where the next one begins.
func appendUnfolded(out []byte, msg string, i int) ([]byte, int) {
	for {
		lf := strings.IndexByte(msg[i:], '\n')
		if lf < 0 {
			return append(out, msg[i:]...), len(msg)
		}
		next := i + lf + 1
		if lf == 0 || msg[next-2] != '\r' || next == len(msg) || !isSpace(msg[next]) {
			return append(out, msg[i:next]...), next
		}
		out = append(out, msg[i:next-2]...)
		for isSpace(out[len(out)-1]) {
			out = out[:len(out)-1]
		}
		out = append(out, ' ')
		i = skipSpace(msg, next)
	}
}

// skipWhite returns the first position from i on that holds neither SP nor HTAB nor the line end before one of them.
func skipWhite(s string, i int) int {
	for {
		switch i = skipSpace(s, i); {
		case i+2 < len(s) && s[i] == '\r' && s[i+1] == '\n' && isSpace(s[i+2]):
			i += 3
		default:
			return i
		}
	}
}
