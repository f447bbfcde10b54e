package sip

import (
	"iter"
	"math"
	"strings"
)

// Get returns the value of the first header field of that name, or "" if there is none. The compact and the long form, in any
// case, are one name; names that are in no registry work as well.
func (m *Message) Get(name string) string {
	if i := m.find(0, keyOf(name)); i >= 0 {
		return m.value(i)
	}
	return ""
}

// Has reports whether there is a header field of that name.
func (m *Message) Has(name string) bool { return m.find(0, keyOf(name)) >= 0 }

// Headers yields the name, in its canonical form, and the value of each header field in order.
func (m *Message) Headers() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) { m.eachHeader(yield) }
}

func (m *Message) eachHeader(yield func(string, string) bool) {
	for i := range m.lines {
		f := m.lines[i].field
		name := fields[f].name
		if f == other {
			name = m.name(i)
		}
		if !yield(name, m.value(i)) {
			return
		}
	}
}

// Lines yields the value of each header field of that name.
func (m *Message) Lines(name string) iter.Seq[string] {
	return func(yield func(string) bool) { m.eachLine(name, yield) }
}

func (m *Message) eachLine(name string, yield func(string) bool) {
	k := keyOf(name)
	for i := m.find(0, k); i >= 0; i = m.find(i+1, k) {
		if !yield(m.value(i)) {
			return
		}
	}
}

// Values yields each element of the header fields of that name, which are split at the commas outside of quoted strings and
// angle brackets; empty elements are left out. The value of a known header field that is not a list is one element
// (Date: Sat, 13 Nov 2010 …). The order is that of the text: "Route: a, b" and two fields a and b are the same
// (RFC 3261 section 7.3.1).
func (m *Message) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) { m.eachValue(name, yield) }
}

func (m *Message) eachValue(name string, yield func(string) bool) {
	k := keyOf(name)
	for i := m.find(0, k); i >= 0; i = m.find(i+1, k) {
		rest := m.value(i)
		if !fields[k.field].list {
			if rest != "" && !yield(rest) {
				return
			}
			continue
		}
		for rest != "" {
			var v string
			if v, rest = nextElement(rest); v != "" && !yield(v) {
				return
			}
		}
	}
}

// nextElement takes the first element off a list.
func nextElement(s string) (element, rest string) {
	end := elementEnd(s)
	if end < len(s) {
		rest = s[end+1:]
	}
	return trimSpace(s[:end]), rest
}

// elementEnd returns the position of the first comma of s that is not in a quoted string or in angle brackets, or len(s).
func elementEnd(s string) int {
	if strings.IndexByte(s, ',') < 0 { // faster than looking at every byte, and the usual case
		return len(s)
	}
	inAngle := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ',':
			if !inAngle {
				return i
			}
		case '<':
			inAngle = true
		case '>':
			inAngle = false
		case '"':
			if !inAngle {
				i = skipQuoted(s, i) - 1
			}
		}
	}
	return len(s)
}

// Addresses yields each element of the header fields of that name as an address: Route, Record-Route, Path, … An element that
// is not an address comes as an error ([*ParseError], status 400) in its place, and the next ones follow.
func (m *Message) Addresses(name string) iter.Seq2[NameAddr, error] {
	return func(yield func(NameAddr, error) bool) { m.eachAddress(name, yield) }
}

// Contacts yields the addresses of Contact. "*" comes as a NameAddr with Star.
func (m *Message) Contacts() iter.Seq2[NameAddr, error] {
	return func(yield func(NameAddr, error) bool) { m.eachAddress(Contact, yield) }
}

func (m *Message) eachAddress(name string, yield func(NameAddr, error) bool) {
	isContact := fieldOf(name) == fieldContact
	m.eachValue(name, func(v string) bool {
		if isContact && v == "*" {
			return yield(NameAddr{Star: true}, nil)
		}
		var x addrIndex
		if f := x.index(v, int(m.maxParams)); f != "" {
			return yield(NameAddr{}, f.error(name))
		}
		return yield(x.nameAddr(v), nil)
	})
}

// Vias yields the via-parms, the topmost first.
func (m *Message) Vias() iter.Seq2[ViaParm, error] {
	return func(yield func(ViaParm, error) bool) { m.eachVia(yield) }
}

func (m *Message) eachVia(yield func(ViaParm, error) bool) {
	m.eachValue(Via, func(v string) bool {
		var x viaIndex
		if f := x.index(v, int(m.maxParams)); f != "" {
			return yield(ViaParm{}, f.error(Via))
		}
		return yield(x.via(v), nil)
	})
}

// Uint returns the number in the first header field of that name: Max-Forwards, Expires, Min-Expires, Max-Breadth, … ok is
// false if there is none. The error is a [*ParseError] of status 400 if it is not a number below 2**32. Of Session-Expires,
// Min-SE, Retry-After and unknown fields it is the number before the first semicolon, space or parenthesis.
func (m *Message) Uint(name string) (v uint32, ok bool, err error) {
	k := keyOf(name)
	i := m.find(0, k)
	if i < 0 {
		return 0, false, nil
	}
	s := m.value(i)
	if fields[k.field].syntax != numberSyntax {
		if end := strings.IndexAny(s, "; \t("); end >= 0 {
			s = s[:end]
		}
	}
	n, valid := parseUint(s, math.MaxUint32)
	if !valid {
		return 0, true, fault("not a number below 2**32").error(CanonicalName(name))
	}
	return uint32(n), true, nil
}

// HasOption reports whether the list in the header fields of that name has the token: an option tag in Require, Supported, …
// or a method in Allow. Tokens are compared without regard to case (RFC 3261 section 7.3.1).
func (m *Message) HasOption(name, token string) bool {
	found := false
	m.eachValue(name, func(v string) bool {
		found = equalFold(v, token)
		return !found
	})
	return found
}

// Elements yields the elements of a header field value that is a list (Route,
// Path, Contact, Via, …): split at commas outside quotes and angle brackets,
// without white space around them. It allocates nothing.
func Elements(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := value; rest != ""; {
			var element string
			element, rest = nextElement(rest)
			if element != "" && !yield(element) {
				return
			}
		}
	}
}
