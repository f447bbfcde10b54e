package sip

import (
	"strconv"
	"strings"
)

// Equal reports whether u and v are the same by the rules of RFC 3261 section 19.1.4 and, for tel, of RFC 3966 section 4.
// URIs of other schemes are equal if they are the same text. The zero URI equals only itself.
//
// The relation is not transitive: sip:carol@chicago.com equals itself with ;newparam=5 and with ;security=on, which are equal
// to each other too, but with ;security=off the latter two are not.
func (u URI) Equal(v URI) bool {
	if u.Scheme != v.Scheme {
		return false
	}
	switch u.Scheme {
	case schemeSIP, schemeSIPS:
		// "Comparison of the userinfo of SIP and SIPS URIs is case-sensitive. […] Comparison of all other components of the
		// URI is case-insensitive unless explicitly defined otherwise."
		return equalUnescaped(u.User, v.User, false) && equalUnescaped(u.Password, v.Password, false) &&
			equalHost(u.Host, v.Host) && u.Port == v.Port && equalURIParams(u.Params, v.Params) && equalURIHeaders(u.Headers, v.Headers)
	case schemeTel:
		return equalPhone(u.User, v.User) && equalTelParams(u.Params, v.Params)
	}
	return u.Opaque == v.Opaque
}

// equalHost compares IPv6 addresses by value and all else as text.
func equalHost(a, b string) bool {
	if equalFold(a, b) {
		return true
	}
	if a == "" || b == "" || a[0] != '[' || b[0] != '[' {
		return false
	}
	x, ok := parseIPv6(strings.Trim(a, "[]"))
	y, ok2 := parseIPv6(strings.Trim(b, "[]"))
	return ok && ok2 && x == y
}

// equalURIParams: "Any uri-parameter appearing in both URIs must match. A user, ttl, or method uri-parameter appearing in only
// one URI never matches […] A URI that includes an maddr parameter will not match a URI that contains no maddr parameter. All
// other uri-parameters appearing in only one URI are ignored". That transport has to be in both is said of default values before.
func equalURIParams(a, b Params) bool {
	return paramsMatch(a, b, true) && paramsMatch(b, a, false)
}

// paramsMatch checks each parameter of a against b. "Any given parameter-name MUST NOT appear more than once" (section 19.1.1); if
// one does the first counts.
func paramsMatch(a, b Params, compare bool) bool {
	for rest := string(a); rest != ""; {
		var name string
		if name, _, rest = nextParam(rest); name == "" {
			continue
		}
		value, _ := findParam(a, name)
		w, ok := findParam(b, name)
		if !ok && mustMatch(name) || ok && compare && !equalUnescaped(value, w, true) {
			return false
		}
	}
	return true
}

// findParam is [Params.Get] for names that may hold escaped characters, and leaves the value as it came.
func findParam(p Params, name string) (string, bool) {
	for rest := string(p); rest != ""; {
		var n, v string
		if n, v, rest = nextParam(rest); equalUnescaped(n, name, true) {
			return v, true
		}
	}
	return "", false
}

func mustMatch(param string) bool {
	for _, p := range [...]string{"user", "ttl", "method", "maddr", "transport"} {
		if equalUnescaped(param, p, true) {
			return true
		}
	}
	return false
}

// equalURIHeaders: "URI header components are never ignored. Any present header component MUST be present in both URIs and
// match for the URIs to match." Their order does not count. How values match is section 20's matter for each header; here they
// match as text without regard to case, which can only miss an equality.
func equalURIHeaders(a, b string) bool {
	if a == b {
		return true
	}
	return strings.Count(a, "&") == strings.Count(b, "&") && headersWithin(a, b) && headersWithin(b, a)
}

func headersWithin(a, b string) bool {
	for a != "" {
		var h string
		h, a, _ = strings.Cut(a, "&")
		found := false
		for rest := b; rest != "" && !found; {
			var g string
			g, rest, _ = strings.Cut(rest, "&")
			found = equalURIHeader(h, g)
		}
		if !found {
			return false
		}
	}
	return true
}

func equalURIHeader(a, b string) bool {
	name, value, _ := strings.Cut(a, "=")
	name2, value2, _ := strings.Cut(b, "=")
	return equalUnescaped(name, name2, true) && equalUnescaped(value, value2, true)
}

// equalUnescaped compares with "%" HEX HEX being the same as the character that it stands for: "Characters other than those in
// the "reserved" set (see RFC 2396) are equivalent to their "%" HEX HEX encoding." A reserved character and its escaped form
// are therefore different.
func equalUnescaped(a, b string, fold bool) bool {
	if a == b {
		return true
	}
	for a != "" && b != "" {
		x, escX, n := unescapeByte(a)
		y, escY, m := unescapeByte(b)
		if fold {
			x, y = lower(x), lower(y)
		}
		if x != y || escX != escY && isReserved(x) {
			return false
		}
		a, b = a[n:], b[m:]
	}
	return a == b
}

// unescapeByte returns the first character of s, whether it was escaped, and its length in s.
func unescapeByte(s string) (c byte, escaped bool, size int) {
	if s[0] == '%' && len(s) >= 3 && classes[s[1]]&classes[s[2]]&isHex != 0 {
		return unhex(s[1])<<4 | unhex(s[2]), true, 3
	}
	return s[0], false, 1
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0x0f + 9
}

// isReserved is "reserved" of RFC 3261 section 25.1, and "%" itself.
func isReserved(c byte) bool { return strings.IndexByte(";/?:@&=+$,%", c) >= 0 }

// equalPhone: "Both must be either a 'local-number' or a 'global-number'. […] The 'global-number-digits' and the
// 'local-number-digits' must be equal, after removing all visual separators." (RFC 3966 section 4)
func equalPhone(a, b string) bool {
	for {
		a, b = skipSeparators(a), skipSeparators(b)
		if a == "" || b == "" {
			return a == b
		}
		if lower(a[0]) != lower(b[0]) {
			return false
		}
		a, b = a[1:], b[1:]
	}
}

func skipSeparators(s string) string { return strings.TrimLeft(s, "-.()") }

// equalTelParams: "For mandatory additional parameters […] the 'phone-context' parameter value is compared […] parameters are
// compared […] regardless of the order they appeared in the URI", and every parameter must be in both.
func equalTelParams(a, b Params) bool {
	return telParamsWithin(a, b) && telParamsWithin(b, a)
}

func telParamsWithin(a, b Params) bool {
	for rest := string(a); rest != ""; {
		var name string
		if name, _, rest = nextParam(rest); name == "" {
			continue
		}
		value, _ := findParam(a, name)
		w, ok := findParam(b, name)
		if !ok {
			return false
		}
		isNumber := equalFold(name, "ext") || equalFold(name, "phone-context") && strings.HasPrefix(value, "+")
		if isNumber && !equalPhone(value, w) || !isNumber && !equalUnescaped(value, w, true) {
			return false
		}
	}
	return true
}

// AOR returns the canonical form of an address of record, to be used as a key (RFC 3261 section 10.3 step 5): "all URI
// parameters MUST be removed (including the user-param), and any escaped characters MUST be converted to their unescaped
// form". The host is in lower case, the user stays as it is, password and headers are gone, a port stays. Of a tel URI it is
// "tel:" and the number without visual separators. The result is a string of its own.
func (u URI) AOR() string {
	switch u.Scheme {
	case schemeSIP, schemeSIPS:
		var buf [128]byte // room for most, on the stack
		b := append(buf[:0], u.Scheme...)
		b = append(b, ':')
		if u.User != "" {
			b = appendUnescaped(b, u.User)
			b = append(b, '@')
		}
		return string(appendAORHost(b, u))
	case schemeTel:
		b := append(make([]byte, 0, 4+len(u.User)), "tel:"...)
		for s := skipSeparators(u.User); s != ""; s = skipSeparators(s[1:]) {
			b = append(b, lower(s[0]))
		}
		return string(b)
	}
	return URI{Scheme: u.Scheme, Opaque: u.Opaque}.String()
}

func appendUnescaped(b []byte, s string) []byte {
	for s != "" {
		c, _, n := unescapeByte(s)
		b = append(b, c)
		s = s[n:]
	}
	return b
}

func appendAORHost(b []byte, u URI) []byte {
	if a, ok := parseIPv6(strings.Trim(u.Host, "[]")); ok { // one address, many ways to write it
		b = append(a.AppendTo(append(b, '[')), ']')
	} else {
		for i := 0; i < len(u.Host); i++ {
			b = append(b, lower(u.Host[i]))
		}
	}
	if u.Port != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(u.Port), 10)
	}
	return b
}
