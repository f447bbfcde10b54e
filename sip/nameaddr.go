package sip

import "strings"

// NameAddr is a name-addr or addr-spec with header parameters, as in From, To, Contact and Route (RFC 3261 section 20.10).
type NameAddr struct {
	Display string // without its quotes
	URI     URI
	Params  Params // of the header field, not of the URI
	Tag     string // the tag parameter as it came. To write another one use [NameAddr.WithTag], or Params
	Star    bool   // a Contact of "*"; all else is zero
}

// addrIndex is where the parts of a name-addr lie in its text, which has at most 65535 bytes.
type addrIndex struct {
	display, displayEnd uint16 // with its quotes
	begin               uint16 // of the URI
	uri                 uriIndex
	params, paramsEnd   uint16
	tag, tagEnd         uint16
}

// nameAddr returns the name-addr of which x is the index and s begins with the text.
func (x *addrIndex) nameAddr(s string) NameAddr {
	return NameAddr{
		Display: unquote(s[x.display:x.displayEnd]),
		URI:     x.uri.uri(s[x.begin:]),
		Params:  Params(s[x.params:x.paramsEnd]),
		Tag:     s[x.tag:x.tagEnd],
	}
}

// ParseNameAddr reads one name-addr or addr-spec with its parameters. "*" is read too.
// The error is a [*ParseError] of status 400.
func ParseNameAddr(s string) (NameAddr, error) {
	s = trimSpace(s)
	if s == "*" {
		return NameAddr{Star: true}, nil
	}
	var x addrIndex
	if f := x.index(s, defaultMaxParams); f != "" {
		return NameAddr{}, f.error("Address")
	}
	return x.nameAddr(s), nil
}

// index reads the name-addr or addr-spec that is all of s, which has no space at its ends.
func (x *addrIndex) index(s string, maxParams int) fault {
	if len(s) > maxOffset {
		return faultTooLong
	}
	*x = addrIndex{}
	i := 0
	if s != "" && s[0] == '"' {
		if i = quotedEnd(s, 0); i < 0 {
			return "unterminated quoted string"
		}
		x.displayEnd = uint16(i)
		if i = skipSpace(s, i); i == len(s) || s[i] != '<' {
			return "no < after the display name"
		}
	} else {
		// A display name without quotes consists of tokens. Other characters that cannot be mistaken for something else are
		// let through, for telephones write their names in UTF-8 without quotes.
		for i < len(s) && (classes[s[i]]&isDisplay != 0 || isSpace(s[i])) {
			i++
		}
		if i < len(s) && s[i] == '<' {
			x.displayEnd = uint16(len(trimSpace(s[:i])))
		}
	}
	if i == len(s) || s[i] != '<' {
		return x.indexAddrSpec(s, maxParams)
	}
	end := strings.IndexByte(s[i:], '>')
	if end < 0 {
		return "no >"
	}
	end += i
	x.begin = uint16(i + 1)
	if f := x.uri.index(s[i+1:end], maxParams); f != "" {
		return f
	}
	return x.indexParams(s, end+1, maxParams)
}

// indexAddrSpec reads an address without angle brackets. "If the URI contains a comma, question mark or semicolon, the URI MUST
// be enclosed in angle brackets" (RFC 3261 section 20): what comes after the first semicolon belongs to the header field.
func (x *addrIndex) indexAddrSpec(s string, maxParams int) fault {
	end := 0
	for end < len(s) && s[end] != ';' && !isSpace(s[end]) {
		if s[end] == ',' || s[end] == '?' {
			return "URI with , or ? outside of < >"
		}
		end++
	}
	if f := x.uri.index(s[:end], maxParams); f != "" {
		return f
	}
	return x.indexParams(s, end, maxParams)
}

func (x *addrIndex) indexParams(s string, i, maxParams int) fault {
	r := paramReader{s: s, pos: i, left: maxParams}
	for r.next() {
		if r.name == "tag" || equalFold(r.name, "tag") {
			if x.tagEnd != 0 {
				return "two tags"
			}
			if r.common&isToken == 0 {
				return "bad tag"
			}
			x.tag, x.tagEnd = uint16(r.begin), uint16(r.end)
		}
	}
	x.params, x.paramsEnd = uint16(r.first), uint16(len(s))
	return r.fault
}

// paramReader reads the parameters of a header field: *( SEMI generic-param ) from s[pos] to the end of s.
// generic-param's value is a token, a host or a quoted string (RFC 3261 section 25.1); of a value without quotes only that is
// refused which could be taken for something else.
type paramReader struct {
	s          string
	pos        int
	left       int    // how many more there may be
	first      int    // where the first name begins, or len(s)
	name       string // of the current parameter
	begin, end int    // of its value, with its quotes; end is 0 if there is none
	nameEnd    int
	common     class // what all characters of the value are; 0 if it is quoted or empty
	fault      fault
}

// next reads the next parameter. It returns false at the end and when there is a fault.
func (r *paramReader) next() bool {
	s := r.s
	i := skipSpace(s, r.pos)
	if i == len(s) {
		if r.first == 0 {
			r.first = i
		}
		return false
	}
	if s[i] != ';' {
		r.fault = "bad character before a parameter"
		return false
	}
	if r.left--; r.left < 0 {
		r.fault = faultManyParams
		return false
	}
	i = skipSpace(s, i+1)
	if r.first == 0 {
		r.first = i
	}
	begin := i
	for i < len(s) && classes[s[i]]&isToken != 0 {
		i++
	}
	if i == begin {
		r.fault = "empty parameter"
		return false
	}
	r.name, r.nameEnd = s[begin:i], i
	r.begin, r.end, r.common = 0, 0, 0
	r.pos = i
	if i = skipSpace(s, i); i == len(s) || s[i] != '=' {
		return true
	}
	i = skipSpace(s, i+1)
	r.begin = i
	if i < len(s) && s[i] == '"' {
		if i = quotedEnd(s, i); i < 0 {
			r.fault = "unterminated quoted string"
			return false
		}
	} else {
		common := ^class(0)
		for i < len(s) && classes[s[i]]&isValue != 0 {
			common &= classes[s[i]]
			i++
		}
		if i > r.begin {
			r.common = common
		}
	}
	r.end, r.pos = i, i
	return true
}

// WithTag returns a with its tag parameter set, or removed if tag is "".
func (a NameAddr) WithTag(tag string) NameAddr {
	if tag == "" {
		a.Params = a.Params.Without("tag")
	} else {
		a.Params = a.Params.With("tag", tag)
	}
	a.Tag = tag
	return a
}

// String returns the address as text.
func (a NameAddr) String() string { return string(a.AppendTo(nil)) }

// AppendTo appends the address as text to b. The URI is always put in angle brackets, the display name in quotes. If Tag is set
// and Params have no tag it is written too.
func (a NameAddr) AppendTo(b []byte) []byte {
	if a.Star {
		return append(b, '*')
	}
	if a.Display != "" {
		b = append(appendQuoted(b, a.Display), ' ')
	}
	b = append(b, '<')
	b = a.URI.AppendTo(b)
	b = append(b, '>')
	if a.Params != "" {
		b = append(b, ';')
		b = append(b, a.Params...)
	}
	if a.Tag != "" && !a.Params.Has("tag") {
		b = append(b, ";tag="...)
		b = append(b, a.Tag...)
	}
	return b
}

// isWritable reports whether a can be written so that nothing in it becomes a line of its own.
func (a NameAddr) isWritable() bool {
	return a.URI.isWritable() && isWritable(string(a.Params)) && (a.Tag == "" || isTokenString(a.Tag))
}

// Clone returns a copy of a that does not keep the message's text alive.
func (a NameAddr) Clone() NameAddr {
	a.Display = strings.Clone(a.Display)
	a.URI = a.URI.Clone()
	a.Params = Params(strings.Clone(string(a.Params)))
	a.Tag = strings.Clone(a.Tag)
	return a
}
