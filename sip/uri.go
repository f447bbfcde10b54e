package sip

import (
	"net/netip"
	"strconv"
	"strings"
)

// URI is a SIP, SIPS or tel URI (RFC 3261 section 19.1, RFC 3966), or any other in Opaque. Its parts are as they came: escaped
// characters stay escaped, only the scheme is in lower case. The zero URI is none. Two URIs are compared with [URI.Equal].
type URI struct {
	Scheme   string // in lower case
	User     string // sip, sips: the user; tel: the number
	Password string
	Host     string // a name, an IPv4 address, or an IPv6 address in its brackets
	Port     uint16 // 0 if there is none
	Params   Params
	Headers  string // what comes after "?"
	Opaque   string // what comes after the scheme's colon, of all schemes but sip, sips and tel
}

// The schemes that are known.
const (
	schemeSIP  = "sip"
	schemeSIPS = "sips"
	schemeTel  = "tel"
)

// uriIndex is where the parts of a URI lie in its text, which has at most 65535 bytes.
// A part that is absent is empty.
type uriIndex struct {
	colon         uint16 // after the scheme; 0: no URI
	user          uint16 // end of the user, which begins after the colon
	password      uint16 // end of the password, which begins after the user and a colon
	host, hostEnd uint16
	port          uint16 // its number
	params        uint16 // begin of the parameters
	paramsEnd     uint16
	headers       uint16 // begin of the headers, which reach to the end
	end           uint16
}

// uri returns the URI of which x is the index and s begins with the text.
func (x *uriIndex) uri(s string) URI {
	if x.colon == 0 {
		return URI{}
	}
	u := URI{Scheme: lowerScheme(s[:x.colon])}
	begin := x.colon + 1
	if !hasParts(u.Scheme) {
		u.Opaque = s[begin:x.end]
		return u
	}
	u.User = s[begin:max(begin, x.user)]
	if x.password > 0 {
		u.Password = s[x.user+1 : x.password]
	}
	u.Host = s[x.host:x.hostEnd]
	u.Port = x.port
	u.Params = Params(s[x.params:x.paramsEnd])
	if x.headers > 0 {
		u.Headers = s[x.headers:x.end]
	}
	return u
}

func hasParts(scheme string) bool {
	return scheme == schemeSIP || scheme == schemeSIPS || scheme == schemeTel
}

// lowerScheme allocates only for a scheme that has capitals and is none of the three that have parts.
func lowerScheme(s string) string {
	switch {
	case s == schemeSIP: // nearly always
		return schemeSIP
	case equalFold(s, schemeSIP):
		return schemeSIP
	case equalFold(s, schemeSIPS):
		return schemeSIPS
	case equalFold(s, schemeTel):
		return schemeTel
	}
	return strings.ToLower(s)
}

// ParseURI reads a URI. Of a scheme other than sip, sips and tel nothing is checked but that it has no spaces, control
// characters, quotes and angle brackets. The error is a [*ParseError] of status 400.
func ParseURI(s string) (URI, error) {
	var x uriIndex
	if f := x.index(s, defaultMaxParams); f != "" {
		return URI{}, f.error("URI")
	}
	return x.uri(s), nil
}

// index reads the URI that is all of s. If there is a fault, x is of no use.
func (x *uriIndex) index(s string, maxParams int) fault {
	if len(s) > maxOffset {
		return faultTooLong
	}
	*x = uriIndex{end: uint16(len(s))}
	if len(s) > 4 && s[:4] == "sip:" { // nearly always
		x.colon = 3
		return x.indexSIP(s, 4, maxParams)
	}
	i := 0
	for i < len(s) && classes[s[i]]&isScheme != 0 {
		i++
	}
	if i == 0 || i == len(s) || s[i] != ':' || classes[s[0]]&isAlpha == 0 {
		return "no scheme"
	}
	x.colon = uint16(i)
	switch scheme := s[:i]; {
	case equalFold(scheme, schemeSIP), equalFold(scheme, schemeSIPS):
		return x.indexSIP(s, i+1, maxParams)
	case equalFold(scheme, schemeTel):
		return x.indexTel(s, i+1, maxParams)
	}
	return checkOpaque(s[i+1:])
}

func checkOpaque(s string) fault {
	if s == "" {
		return "nothing after the scheme"
	}
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&isVisible == 0 || s[i] == '<' || s[i] == '>' || s[i] == '"' {
			return "bad character in a URI"
		}
	}
	return ""
}

// indexSIP reads what comes after "sip:" or "sips:".
func (x *uriIndex) indexSIP(s string, i, maxParams int) fault {
	end := i
	for end < len(s) && classes[s[end]]&isUser != 0 {
		end++
	}
	// Nearly always this is the user, or else the end of a URI without one: of what may follow the user only "@", ":" and escaped
	// characters are not in isUser, and of what may be in a host nothing.
	if end < len(s) && s[end] == '@' && end > i {
		x.user = uint16(end)
		i = end + 1
	} else if at := strings.IndexByte(s[end:], '@'); at >= 0 {
		// An "@" must be escaped everywhere but after the userinfo, so the first one ends it.
		if f := x.indexUserinfo(s, i, end+at); f != "" {
			return f
		}
		i = end + at + 1
	}
	host, f := hostEnd(s, i)
	if f != "" {
		return f
	}
	x.host, x.hostEnd = uint16(i), uint16(host)
	i = host
	if i < len(s) && s[i] == ':' {
		if x.port, i = portEnd(s, i+1); x.port == 0 {
			return "bad port"
		}
	}
	return x.indexTail(s, i, maxParams)
}

// indexUserinfo reads user and password, which lie between i and the "@".
func (x *uriIndex) indexUserinfo(s string, i, at int) fault {
	user := at
	if colon := strings.IndexByte(s[i:at], ':'); colon >= 0 {
		user = i + colon
		if !allEscaped(s[user+1:at], isPassword) {
			return "bad character in the password"
		}
		x.password = uint16(at)
	}
	if user == i {
		return "empty user"
	}
	if !allEscaped(s[i:user], isUser) {
		return "bad character in the user"
	}
	x.user = uint16(user)
	return ""
}

// indexTel reads what comes after "tel:" (RFC 3966 section 3). That a local number must have a phone-context is not asked for:
// it is often left out, and means nothing to one who forwards.
func (x *uriIndex) indexTel(s string, i, maxParams int) fault {
	begin := i
	for i < len(s) && classes[s[i]]&isPhone != 0 {
		i++
	}
	if i == begin {
		return "no number"
	}
	x.user = uint16(i)
	return x.indexTail(s, i, maxParams)
}

// indexTail reads the parameters and headers.
func (x *uriIndex) indexTail(s string, i, maxParams int) fault {
	if i < len(s) && s[i] == ';' {
		end, f := uriParamsEnd(s, i+1, maxParams)
		if f != "" {
			return f
		}
		x.params, x.paramsEnd = uint16(i+1), uint16(end)
		i = end
	}
	if i < len(s) && s[i] == '?' {
		x.headers = uint16(i + 1)
		return checkURIHeaders(s[i+1:], maxParams)
	}
	if i < len(s) {
		return "bad character in a URI"
	}
	return ""
}

// uriParamsEnd checks uri-parameters (RFC 3261 section 25.1) from s[i] on. A quoted string as a value is more than the grammar
// has; it is taken, since it is seen and, kept as it came, does no harm.
func uriParamsEnd(s string, i, maxParams int) (int, fault) {
	begin := i // of the name, or of the value
	inValue := false
	for ; ; i++ {
		if i == len(s) || s[i] == ';' || s[i] == '?' {
			if i == begin && !inValue {
				return i, "empty parameter"
			}
			if i == len(s) || s[i] == '?' {
				return i, ""
			}
			if maxParams--; maxParams <= 0 {
				return i, faultManyParams
			}
			begin, inValue = i+1, false
			continue
		}
		switch c := s[i]; {
		case classes[c]&isParam != 0:
		case c == '%' && allEscaped(s[i:min(i+3, len(s))], 0):
			i += 2
		case c == '=' && !inValue:
			if i == begin {
				return i, "parameter without a name"
			}
			begin, inValue = i+1, true
		case c == '=':
		case c == '"' && inValue && i == begin:
			end := quotedEnd(s, i)
			if end < 0 {
				return i, "unterminated quoted string"
			}
			i = end - 1
		default:
			return i, "bad character in a URI parameter"
		}
	}
}

// checkURIHeaders checks headers (RFC 3261 section 25.1), without their "?".
func checkURIHeaders(s string, most int) fault {
	for more := true; more; {
		if most--; most < 0 {
			return faultManyParams
		}
		var header string
		header, s, more = strings.Cut(s, "&")
		name, value, ok := strings.Cut(header, "=")
		if !ok || name == "" || !allEscaped(name, isHeader) || !allEscaped(value, isHeader) {
			return "bad headers in a URI"
		}
	}
	return ""
}

// hostEnd returns the end of the host that begins at s[i].
func hostEnd(s string, i int) (int, fault) {
	if i < len(s) && s[i] == '[' {
		end := strings.IndexByte(s[i:], ']')
		if end < 0 {
			return i, "unterminated IPv6 address"
		}
		if _, ok := parseIPv6(s[i+1 : i+end]); !ok {
			return i, "bad IPv6 address"
		}
		return i + end + 1, ""
	}
	begin := i
	for i < len(s) && classes[s[i]]&isHost != 0 {
		i++
	}
	if i == begin {
		return i, "empty host"
	}
	return i, ""
}

// parseIPv6 reads an IPv6 address without brackets. RFC 3261 knows no zones.
func parseIPv6(s string) (netip.Addr, bool) {
	if strings.IndexByte(s, ':') < 0 || strings.IndexByte(s, '%') >= 0 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	return a, err == nil
}

// portEnd reads the port that begins at s[i]; it is 0 if there is none, or not one from 1 to 65535.
func portEnd(s string, i int) (uint16, int) {
	var port uint
	for begin := i; i < len(s) && classes[s[i]]&isDigit != 0; i++ {
		if port = port*10 + uint(s[i]-'0'); port > 65535 {
			return 0, begin
		}
	}
	return uint16(port), i
}

// IsZero reports whether u is no URI at all.
func (u URI) IsZero() bool { return u.Scheme == "" }

// IsSIP reports whether u is a SIP or SIPS URI.
func (u URI) IsSIP() bool { return u.Scheme == schemeSIP || u.Scheme == schemeSIPS }

// Transport returns the transport parameter as it came, or "".
func (u URI) Transport() string {
	t, _ := u.Params.Get("transport")
	return t
}

// Addr returns the address if the host is an IP address rather than a name.
func (u URI) Addr() (netip.Addr, bool) { return hostAddr(u.Host) }

// hostAddr returns the address that a host is, unmapped, if it is one.
func hostAddr(host string) (netip.Addr, bool) {
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	if a, ok := parseIPv6(host); ok {
		return a.Unmap(), true
	}
	for i := 0; i < len(host); i++ {
		if host[i] != '.' && classes[host[i]]&isDigit == 0 {
			return netip.Addr{}, false // a name: the error of ParseAddr would be allocated
		}
	}
	a, err := netip.ParseAddr(host)
	return a, err == nil
}

// String returns the URI as text.
func (u URI) String() string { return string(u.AppendTo(nil)) }

// AppendTo appends the URI as text to b.
func (u URI) AppendTo(b []byte) []byte {
	if u.Scheme == "" {
		return b
	}
	b = append(b, u.Scheme...)
	b = append(b, ':')
	if !hasParts(u.Scheme) {
		return append(b, u.Opaque...)
	}
	b = append(b, u.User...)
	if u.Password != "" {
		b = append(b, ':')
		b = append(b, u.Password...)
	}
	if u.User != "" && u.Scheme != schemeTel {
		b = append(b, '@')
	}
	b = append(b, u.Host...)
	if u.Port != 0 {
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(u.Port), 10)
	}
	if u.Params != "" {
		b = append(b, ';')
		b = append(b, u.Params...)
	}
	if u.Headers != "" {
		b = append(b, '?')
		b = append(b, u.Headers...)
	}
	return b
}

// Clone returns a copy of u that does not keep the message's text alive.
func (u URI) Clone() URI {
	u.Scheme = strings.Clone(u.Scheme)
	u.User = strings.Clone(u.User)
	u.Password = strings.Clone(u.Password)
	u.Host = strings.Clone(u.Host)
	u.Params = Params(strings.Clone(string(u.Params)))
	u.Headers = strings.Clone(u.Headers)
	u.Opaque = strings.Clone(u.Opaque)
	return u
}

// isWritable reports whether u can be written so that it is read as the same again.
func (u URI) isWritable() bool {
	if u.Scheme == "" || classes[u.Scheme[0]]&isAlpha == 0 || !all(u.Scheme, isScheme) {
		return false
	}
	if !hasParts(u.Scheme) {
		return checkOpaque(u.Opaque) == ""
	}
	if u.Headers != "" && checkURIHeaders(u.Headers, maxOffset) != "" {
		return false
	}
	if u.Params != "" {
		if end, f := uriParamsEnd(string(u.Params), 0, maxOffset); f != "" || end != len(u.Params) {
			return false
		}
	}
	if u.Scheme == schemeTel {
		return u.User != "" && all(u.User, isPhone) && u.Host == ""
	}
	end, f := hostEnd(u.Host, 0)
	return f == "" && end == len(u.Host) && allEscaped(u.User, isUser) && allEscaped(u.Password, isPassword) &&
		(u.Password == "" || u.User != "")
}
