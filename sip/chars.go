package sip

import (
	"encoding/binary"
	"math/bits"
)

// class is a set of the grammar's character classes (RFC 3261 section 25.1).
type class uint16

const (
	isToken    class = 1 << iota // token
	isUser                       // user, besides the percent sign
	isPassword                   // password, besides the percent sign
	isAddress                    // what an IP address is written with, and names
	isHost                       // hostname and IPv4address; the underscore too, which names of containers have
	isParam                      // pname, pvalue, besides the percent sign
	isHeader                     // hname, hvalue, besides the percent sign
	isDisplay                    // a display name without quotes: see addrIndex
	isValue                      // the value of a header parameter without quotes: see paramReader
	isVisible                    // no control, no space
	isPhone                      // digits and visual separators of a tel number (RFC 3966)
	isScheme                     // scheme, from its second character on
	isDigit
	isAlpha
	isHex
)

// classes is never written after its initialisation.
var classes = makeClasses()

func makeClasses() (t [256]class) {
	set := func(c class, chars string) {
		for _, b := range []byte(chars) {
			t[b] |= c
		}
	}
	const (
		digits   = "0123456789"
		letters  = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		alphanum = letters + digits
		mark     = "-_.!~*'()"
	)
	set(isAlpha, letters)
	set(isDigit, digits)
	set(isHex, digits+"abcdefABCDEF")
	set(isToken, alphanum+"-.!%*_+`'~")
	// "#" and all that is not ASCII have to be escaped in a user, but the phones that dial "*21#" do not do it, nor do those whose
	// users have names like Jürgen; neither can be mistaken.
	set(isUser, alphanum+mark+"&=+$,;?/"+"#")
	for b := 0x80; b < 256; b++ {
		t[b] |= isUser
	}
	set(isPassword, alphanum+mark+"&=+$,")
	set(isHost, alphanum+"-._")
	set(isAddress, alphanum+"-._"+":[]")
	set(isParam, alphanum+mark+"[]/:&+$")
	set(isHeader, alphanum+mark+"[]/?:+$")
	set(isPhone, digits+"abcdefABCDEF"+"*#"+"-.()"+"+")
	set(isScheme, alphanum+"+-.")
	for b := 0x21; b < 256; b++ {
		if b != 0x7f {
			t[b] |= isVisible | isDisplay | isValue
		}
	}
	unset := func(c class, chars string) {
		for _, b := range []byte(chars) {
			t[b] &^= c
		}
	}
	unset(isDisplay, `"<>,;:\`)
	unset(isValue, `"<>,;\`)
	return t
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// lower maps the letters A to Z to a to z and leaves all else.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// all reports whether every byte of s is of the class c.
func all(s string, c class) bool {
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&c == 0 {
			return false
		}
	}
	return true
}

// allEscaped reports whether s consists of bytes of the class c and of escaped bytes ("%" HEXDIG HEXDIG).
func allEscaped(s string, c class) bool {
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&c != 0 {
			continue
		}
		if s[i] != '%' || i+2 >= len(s) || classes[s[i+1]]&classes[s[i+2]]&isHex == 0 {
			return false
		}
		i += 2
	}
	return true
}

func isTokenString(s string) bool { return s != "" && all(s, isToken) }

// equalFold compares without regard to the case of ASCII letters, as all of SIP's tokens are compared (RFC 3261 section 7.3.1).
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// trimSpace removes SP and HTAB from both ends.
func trimSpace(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// skipSpace returns the first position from i on that holds neither SP nor HTAB.
func skipSpace(s string, i int) int {
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	return i
}

// The bytes of a word, each 01 or each 80.
const (
	ones = 0x0101010101010101
	high = 0x8080808080808080
)

// nextControl returns the position of the first control character (00 to 1F, 7F) in b from i on, or len(b).
// It looks at eight bytes at a time: every byte of a message's head passes here.
func nextControl(b []byte, i int) int {
	for ; i <= len(b)-8; i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		// Of ASCII, a byte less than 20 borrows into its high bit, and 7F carries into it. Nearly all words end here.
		if ((w-0x20*ones)|(w+ones)|w)&high == 0 {
			continue
		}
		// "&^ w" takes the bytes from 80 on out again. The lowest mark is exact; a borrow may have set some above it.
		del := w ^ 0x7f*ones
		if found := ((w-0x20*ones)&^w | (del-ones)&^del) & high; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] < 0x20 || b[i] == 0x7f {
			return i
		}
	}
	return len(b)
}

// parseUint reads all of s as a decimal number of at most max. Leading zeros are fine ("0068"), signs and spaces are not.
func parseUint(s string, max uint64) (uint64, bool) {
	if s == "" {
		return 0, false
	}
	var v uint64
	for i := 0; i < len(s); i++ {
		d := uint64(s[i] - '0')
		if d > 9 {
			return 0, false
		}
		if v = v*10 + d; v > max {
			return 0, false
		}
	}
	return v, true
}
