package siptest

import (
	"fmt"
	"strings"
)

// What returns the short name of a message, as ladders show it: the method of a request, the status and method of a
// response as "180 (INVITE)", "CRLF" and "CRLFCRLF" for keepalives, and "data (20 bytes)" for what is not SIP. It
// reads the text by itself and no further than it must, so that it can show what a parser refuses.
func What(data []byte) string {
	text := string(data)
	switch strings.ReplaceAll(text, "\r", "") {
	case "":
		return "empty"
	case "\n":
		return "CRLF"
	case "\n\n":
		return "CRLFCRLF"
	}
	start, _, _ := strings.Cut(strings.TrimLeft(text, "\r\n"), "\n")
	start = strings.TrimRight(start, "\r ")
	if rest, ok := strings.CutPrefix(start, "SIP/2.0 "); ok {
		status, _, _ := strings.Cut(rest, " ")
		return fmt.Sprintf("%s (%s)", status, methodOfCSeq(text))
	}
	if method, rest, ok := strings.Cut(start, " "); ok && strings.HasSuffix(rest, " SIP/2.0") && printable(method) {
		return method
	}
	return fmt.Sprintf("data (%d bytes)", len(data))
}

func printable(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

func methodOfCSeq(text string) string {
	for v := range fieldLines(text, "CSeq") {
		if f := strings.Fields(v); len(f) == 2 {
			return f[1]
		}
	}
	return "?"
}

// fieldLines yields the values of the header fields of a name, in their long or compact form, as they are in the
// text.
func fieldLines(text, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		_, text, _ = strings.Cut(text, "\n")
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\r\n")
			if line == "" {
				return
			}
			n, v, ok := strings.Cut(line, ":")
			if n = strings.TrimSpace(n); !ok || !(strings.EqualFold(n, name) || strings.EqualFold(n, compactForm(name))) {
				continue
			}
			if !yield(strings.TrimSpace(v)) {
				return
			}
		}
	}
}

// compactForm returns the one-letter form of a header field name (RFC 3261 section 7.3.3 and its extensions), or the
// name.
func compactForm(name string) string {
	switch strings.ToLower(name) {
	case "call-id":
		return "i"
	case "contact":
		return "m"
	case "content-encoding":
		return "e"
	case "content-length":
		return "l"
	case "content-type":
		return "c"
	case "event":
		return "o"
	case "from":
		return "f"
	case "refer-to":
		return "r"
	case "session-expires":
		return "x"
	case "subject":
		return "s"
	case "supported":
		return "k"
	case "to":
		return "t"
	case "via":
		return "v"
	}
	return name
}

// requestURI returns the Request-URI of a request as it is in the text, "" for everything else.
func requestURI(text string) string {
	start, _, _ := strings.Cut(text, "\n")
	_, rest, ok := strings.Cut(strings.TrimRight(start, "\r "), " ")
	uri, isRequest := strings.CutSuffix(rest, " SIP/2.0")
	if !ok || !isRequest {
		return ""
	}
	return uri
}
