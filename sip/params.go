package sip

import (
	"iter"
	"strings"
)

// Params are the parameters of a URI or of a header field, as they came and separated by semicolons, without the first
// semicolon: `lr;transport=tcp` or `q=0.7 ; +sip.instance="<urn:uuid:…>"`. Names are compared without regard to case.
type Params string

// Get returns the value of the first parameter of that name. ok is false if there is none; the value is "" if it has none.
// The quotes of a quoted string are removed; only if there are escaped characters within is memory allocated.
func (p Params) Get(name string) (value string, ok bool) {
	for rest := string(p); rest != ""; {
		var n, v string
		n, v, rest = nextParam(rest)
		if equalFold(n, name) {
			return unquote(v), true
		}
	}
	return "", false
}

// Has reports whether there is a parameter of that name.
func (p Params) Has(name string) bool {
	for rest := string(p); rest != ""; {
		var n string
		if n, _, rest = nextParam(rest); equalFold(n, name) {
			return true
		}
	}
	return false
}

// All yields names and values in their order, the values as [Params.Get] returns them.
func (p Params) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) { p.each(yield) }
}

func (p Params) each(yield func(string, string) bool) {
	for rest := string(p); rest != ""; {
		var n, v string
		n, v, rest = nextParam(rest)
		if n != "" && !yield(n, unquote(v)) {
			return
		}
	}
}

// With returns p with the parameter set to value, in the place of the first of that name or at the end; further ones of the
// name are removed. An empty value makes a parameter without value. A value that could not stand there is quoted; control
// characters cannot be written and are left out. A name that is not a token changes nothing.
func (p Params) With(name, value string) Params {
	if !isTokenString(name) {
		return p
	}
	b := make([]byte, 0, len(p)+len(name)+len(value)+4)
	done := false
	for rest := string(p); rest != ""; {
		whole := rest
		var n string
		n, _, rest = nextParam(rest)
		switch {
		case n == "":
		case !equalFold(n, name):
			b = appendSeparated(b, trimSpace(strings.TrimSuffix(whole[:len(whole)-len(rest)], ";")))
		case !done:
			b, done = appendParam(b, name, value), true
		}
	}
	if !done {
		b = appendParam(b, name, value)
	}
	return Params(b)
}

// Without returns p without the parameters of that name.
func (p Params) Without(name string) Params {
	if !p.Has(name) {
		return p
	}
	b := make([]byte, 0, len(p))
	for rest := string(p); rest != ""; {
		whole := rest
		var n string
		if n, _, rest = nextParam(rest); n != "" && !equalFold(n, name) {
			b = appendSeparated(b, trimSpace(strings.TrimSuffix(whole[:len(whole)-len(rest)], ";")))
		}
	}
	return Params(b)
}

func appendSeparated(b []byte, s string) []byte {
	if len(b) > 0 {
		b = append(b, ';')
	}
	return append(b, s...)
}

func appendParam(b []byte, name, value string) []byte {
	b = appendSeparated(b, name)
	if value == "" {
		return b
	}
	b = append(b, '=')
	if all(value, isValue) {
		return append(b, value...)
	}
	return appendQuoted(b, value)
}

// nextParam takes the first parameter off s. The value is as it came, with its quotes.
func nextParam(s string) (name, value, rest string) {
	end, eq := len(s), -1
scan:
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ';':
			end = i
			break scan
		case '=':
			if eq < 0 {
				eq = i
			}
		case '"':
			i = skipQuoted(s, i) - 1
		}
	}
	if end < len(s) {
		rest = s[end+1:]
	}
	if eq < 0 {
		return trimSpace(s[:end]), "", rest
	}
	return trimSpace(s[:eq]), trimSpace(s[eq+1 : end]), rest
}

// skipQuoted returns the position after the quoted string that begins at s[i], or len(s) if it does not end.
func skipQuoted(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(s)
}

// quotedEnd is skipQuoted for text that is being checked: -1 if the quoted string does not end.
func quotedEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// unquote returns the content of a quoted string (RFC 3261 section 25.1), and anything else as it is.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// appendQuoted writes s as a quoted string. CR and LF have no place in one, not even escaped, and are left out.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\r' || c == '\n':
		case c == '"' || c == '\\' || c < 0x20 && c != '\t' || c == 0x7f:
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
