package sip

import (
	"math"
	"strings"
	"time"
)

// Validate checks the syntax of every known header field, and so all that Parse has left unread: what it lets pass is read
// without an error by [Message.Addresses], [Message.Contacts], [Message.Vias] and [Message.Uint]. The error is a [*ParseError] of
// status 400. A proxy has no reason to call it: it must not refuse what it does not need (RFC 3261 section 16.3).
func (m *Message) Validate() error {
	for i := range m.lines {
		f := m.lines[i].field
		if fault := m.check(fields[f].syntax, m.value(i)); fault != "" {
			return fault.error(fields[f].name)
		}
	}
	return nil
}

// syntax is the grammar of a header field's value.
type syntax uint8

const (
	textSyntax        syntax = iota // any text
	viaSyntax                       // a list of via-parm
	addressSyntax                   // one name-addr or addr-spec with parameters
	addressesSyntax                 // a list of these
	contactSyntax                   // a list of these, or "*"
	callIDSyntax                    // callid
	callIDsSyntax                   // a list of callid
	cseqSyntax                      // number LWS Method
	rackSyntax                      // number LWS number LWS Method
	numberSyntax                    // 1*DIGIT
	deltaSyntax                     // delta-seconds with parameters
	retryAfterSyntax                // delta-seconds [ comment ] with parameters
	timestampSyntax                 // 1*DIGIT [ "." *DIGIT ] [ LWS delay ]
	dateSyntax                      // SIP-date
	tokenSyntax                     // token
	tokensSyntax                    // a list of token
	tokens0Syntax                   // a list of token, which may be empty
	eventSyntax                     // token with parameters
	paramsSyntax                    // a list of these, which may be empty
	mediaTypeSyntax                 // type / subtype with parameters
	acceptSyntax                    // a list of these, which may be empty
	infosSyntax                     // a list of <absoluteURI> with parameters
	replacesSyntax                  // callid with parameters
	credentialsSyntax               // scheme LWS a list of auth-param
	authParamsSyntax                // a list of auth-param
	warningsSyntax                  // a list of code SP agent SP quoted-string
	productSyntax                   // products and comments
)

// hasQuotes reports whether there may be quoted strings in a value.
func (s syntax) hasQuotes() bool {
	switch s {
	case viaSyntax, addressSyntax, addressesSyntax, contactSyntax, deltaSyntax, retryAfterSyntax, eventSyntax, paramsSyntax,
		mediaTypeSyntax, acceptSyntax, infosSyntax, replacesSyntax, credentialsSyntax, authParamsSyntax, warningsSyntax:
		return true
	}
	return false
}

// check checks a value against a grammar (RFC 3261 section 25.1 and the RFCs of the extensions).
func (m *Message) check(s syntax, v string) fault {
	switch s {
	case viaSyntax:
		return each(v, m.checkVia)
	case addressSyntax:
		return m.checkAddress(v)
	case addressesSyntax:
		return each(v, m.checkAddress)
	case contactSyntax:
		if v == "*" {
			return ""
		}
		return each(v, m.checkContact)
	case callIDSyntax:
		return must(isCallID(v), "not a Call-ID")
	case callIDsSyntax:
		return each(v, func(v string) fault { return must(isCallID(v), "not a Call-ID") })
	case cseqSyntax:
		return checkCSeq(v)
	case rackSyntax:
		return checkRAck(v)
	case numberSyntax:
		return checkNumber(v)
	case deltaSyntax:
		return m.checkHead(v, checkNumber)
	case retryAfterSyntax:
		return m.checkRetryAfter(v)
	case timestampSyntax:
		return checkTimestamp(v)
	case dateSyntax:
		return must(isDate(v), "not a date in GMT")
	}
	return m.checkMore(s, v)
}

// checkMore is the rest of check.
func (m *Message) checkMore(s syntax, v string) fault {
	switch s {
	case tokenSyntax:
		return checkToken(v)
	case tokensSyntax:
		return each(v, checkToken)
	case tokens0Syntax:
		return eachOrNone(v, checkToken)
	case eventSyntax:
		return m.checkHead(v, checkToken)
	case paramsSyntax:
		return eachOrNone(v, func(v string) fault { return m.checkHead(v, checkToken) })
	case mediaTypeSyntax:
		return m.checkHead(v, checkMediaType)
	case acceptSyntax:
		return eachOrNone(v, func(v string) fault { return m.checkHead(v, checkMediaType) })
	case infosSyntax:
		return each(v, m.checkInfo)
	case replacesSyntax:
		return m.checkHead(v, func(v string) fault { return must(isCallID(v), "not a Call-ID") })
	case credentialsSyntax:
		return checkCredentials(v)
	case authParamsSyntax:
		return each(v, checkAuthParam)
	case warningsSyntax:
		return each(v, checkWarning)
	case productSyntax:
		return checkComments(v, int(m.maxNesting))
	}
	return ""
}

func must(ok bool, otherwise fault) fault {
	if ok {
		return ""
	}
	return otherwise
}

// each checks every element of a list. Unlike those who read a list, it does not pass over empty elements.
func each(v string, check func(string) fault) fault {
	for {
		end := elementEnd(v)
		element := trimSpace(v[:end])
		if element == "" {
			return "empty element"
		}
		if f := check(element); f != "" || end == len(v) {
			return f
		}
		v = v[end+1:]
	}
}

func eachOrNone(v string, check func(string) fault) fault {
	if v == "" {
		return ""
	}
	return each(v, check)
}

func (m *Message) checkVia(v string) fault {
	var x viaIndex
	return x.index(v, int(m.maxParams))
}

func (m *Message) checkAddress(v string) fault {
	var x addrIndex
	return x.index(v, int(m.maxParams))
}

func (m *Message) checkContact(v string) fault {
	var x addrIndex
	if f := x.index(v, int(m.maxParams)); f != "" {
		return f
	}
	params := Params(v[x.params:x.paramsEnd])
	if q, ok := params.Get("q"); ok && !isQValue(q) {
		return "bad q"
	}
	if expires, ok := params.Get("expires"); ok {
		return checkNumber(expires)
	}
	return ""
}

// isQValue: qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )
func isQValue(s string) bool {
	whole, digits, _ := strings.Cut(s, ".")
	return len(digits) <= 3 && all(digits, isDigit) && (whole == "0" || whole == "1" && strings.Trim(digits, "0") == "")
}

func checkNumber(v string) fault {
	_, ok := parseUint(v, math.MaxUint32)
	return must(ok, "not a number below 2**32")
}

func checkToken(v string) fault { return must(isTokenString(v), "not a token") }

func checkMediaType(v string) fault {
	main, sub, _ := strings.Cut(v, "/")
	return must(isTokenString(trimSpace(main)) && isTokenString(trimSpace(sub)), "not a media type")
}

func checkRAck(v string) fault {
	number, rest, _ := strings.Cut(v, " ")
	if f := checkNumber(number); f != "" {
		return f
	}
	return checkCSeq(trimSpace(rest))
}

func checkCSeq(v string) fault {
	number, method := splitCSeq(v)
	_, ok := parseUint(number, maxSequence)
	return must(ok && isTokenString(method), "not a sequence number and a method")
}

// checkHead checks a value with parameters.
func (m *Message) checkHead(v string, check func(string) fault) fault {
	head := v
	if semicolon := strings.IndexByte(v, ';'); semicolon >= 0 {
		head = v[:semicolon]
	}
	if f := check(trimSpace(head)); f != "" {
		return f
	}
	return m.checkParams(v[len(head):])
}

func (m *Message) checkParams(v string) fault {
	r := paramReader{s: v, left: int(m.maxParams)}
	for r.next() {
	}
	return r.fault
}

func (m *Message) checkInfo(v string) fault {
	end := strings.IndexByte(v, '>')
	if v[0] != '<' || end < 0 {
		return "URI without < >"
	}
	var x uriIndex
	if f := x.index(v[1:end], int(m.maxParams)); f != "" {
		return f
	}
	return m.checkParams(v[end+1:])
}

func (m *Message) checkRetryAfter(v string) fault {
	digits := 0
	for digits < len(v) && classes[v[digits]]&isDigit != 0 {
		digits++
	}
	if f := checkNumber(v[:digits]); f != "" {
		return f
	}
	v = trimSpace(v[digits:])
	if v != "" && v[0] == '(' {
		end, f := commentEnd(v, 0, int(m.maxNesting))
		if f != "" {
			return f
		}
		v = v[end:]
	}
	return m.checkParams(v)
}

func checkTimestamp(v string) fault {
	stamp, delay, _ := strings.Cut(v, " ")
	whole, fraction, _ := strings.Cut(stamp, ".")
	delayWhole, delayFraction, _ := strings.Cut(trimSpace(delay), ".")
	ok := whole != "" && all(whole, isDigit) && all(fraction, isDigit) && all(delayWhole, isDigit) && all(delayFraction, isDigit)
	return must(ok, "not a timestamp")
}

// isDate: SIP-date = rfc1123-date, which is always in GMT ("SIP restricts the time zone in SIP-date to "GMT"", RFC 3261 section
// 20.17). It is case-sensitive; the reading is not, for nothing hangs on it.
func isDate(v string) bool {
	const gmt = " GMT"
	if len(v) < len(gmt) || !equalFold(v[len(v)-len(gmt):], gmt) {
		return false
	}
	_, err := time.Parse("Mon, 02 Jan 2006 15:04:05", v[:len(v)-len(gmt)])
	return err == nil
}

// checkCredentials checks Authorization, WWW-Authenticate and the two for proxies: a scheme and a list of auth-param, or as
// other schemes have it (Basic) one text without spaces.
func checkCredentials(v string) fault {
	scheme, params, _ := strings.Cut(v, " ")
	if !isTokenString(scheme) {
		return "no authentication scheme"
	}
	params = trimSpace(params)
	if params != "" && strings.IndexByte(params, ' ') < 0 && all(strings.TrimRight(params, "="), isToken|isParam) && !equalFold(scheme, "Digest") {
		return ""
	}
	return each(params, checkAuthParam)
}

// checkAuthParam: auth-param = auth-param-name EQUAL ( token / quoted-string ). The uri of a response is not quoted by all.
func checkAuthParam(v string) fault {
	name, value, ok := strings.Cut(v, "=")
	if !ok || !isTokenString(trimSpace(name)) {
		return "not name=value"
	}
	value = trimSpace(value)
	if value != "" && value[0] == '"' {
		return must(quotedEnd(value, 0) == len(value), "bad quoted string")
	}
	return must(value != "" && all(value, isValue), "bad value")
}

// checkWarning: warning-value = warn-code SP warn-agent SP warn-text
func checkWarning(v string) fault {
	code, rest, _ := strings.Cut(v, " ")
	agent, text, _ := strings.Cut(trimSpace(rest), " ")
	text = trimSpace(text)
	ok := len(code) == 3 && all(code, isDigit) && agent != "" && text != "" && text[0] == '"' && quotedEnd(text, 0) == len(text)
	return must(ok, "not a code, an agent and a quoted text")
}

// checkComments checks that comments are closed and not nested too deeply. What is outside of them are products by the grammar,
// but in truth anything.
func checkComments(v string, nesting int) fault {
	for i := 0; i < len(v); {
		if v[i] != '(' {
			i++
			continue
		}
		var f fault
		if i, f = commentEnd(v, i, nesting); f != "" {
			return f
		}
	}
	return ""
}

// commentEnd returns the position after the comment that begins at v[i]: LPAREN *(ctext / quoted-pair / comment) RPAREN.
func commentEnd(v string, i, nesting int) (int, fault) {
	depth := 0
	for ; i < len(v); i++ {
		switch v[i] {
		case '(':
			if depth++; depth > nesting {
				return i, faultNesting
			}
		case ')':
			if depth--; depth == 0 {
				return i + 1, ""
			}
		case '\\':
			i++
		}
	}
	return i, "unterminated comment"
}
