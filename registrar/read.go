package registrar

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// malformedExpires is what an unreadable expiry means, in seconds (RFC 3261 section 10.2).
const malformedExpires = 3600

// maxUserAgent is the length to which a User-Agent is cut.
const maxUserAgent = 128

// read returns what req asks for, or why it is refused: the steps of RFC 3261 section 10.3 that need no bindings.
func (r *Registrar) read(req *sip.Message, from transport.Flow, now time.Time) (*registration, *refusal) {
	if req.Method() != sip.REGISTER {
		return nil, &refusal{status: sip.StatusMethodNotAllowed, header: sip.Allow, text: string(sip.REGISTER)}
	}
	if refused := r.checkRequire(req); refused != nil {
		return nil, refused
	}
	reg := &registration{callID: req.CallID(), cseq: req.CSeq().Number, now: now, most: r.maxContacts()}
	reg.contacts = reg.one[:0]
	var refused *refusal
	if reg.aor, refused = r.addressOfRecord(req); refused != nil {
		return nil, refused
	}
	if reg.path, refused = readPath(req); refused != nil {
		return nil, refused
	}
	if refused = r.readContacts(reg, req, from); refused != nil {
		return nil, refused
	}
	return reg, nil
}

// checkRequire is step 2: "the registrar MUST process the Require header field values as described for UASs in Section 8.2.2".
func (r *Registrar) checkRequire(req *sip.Message) *refusal {
	if !req.Has(sip.Require) {
		return nil
	}
	var unsupported []string
	for tag := range req.Values(sip.Require) {
		same := func(s string) bool { return strings.EqualFold(s, tag) }
		if !same("path") && !slices.ContainsFunc(r.Extensions, same) {
			unsupported = append(unsupported, tag)
		}
	}
	if unsupported == nil {
		return nil
	}
	return &refusal{status: sip.StatusBadExtension, header: sip.Unsupported, text: strings.Join(unsupported, ", ")}
}

// addressOfRecord is step 5.
func (r *Registrar) addressOfRecord(req *sip.Message) (string, *refusal) {
	u := req.To().URI
	if !u.IsSIP() {
		return "", badRequest("Address of Record Not SIP")
	}
	if r.Domains != nil && !r.Domains(u.Host) {
		return "", &refusal{status: sip.StatusNotFound}
	}
	return u.AOR(), nil
}

// readContacts is of steps 6 and 7 what concerns the request alone.
func (r *Registrar) readContacts(reg *registration, req *sip.Message, from transport.Flow) *refusal {
	if !req.Has(sip.Contact) {
		return nil
	}
	base := Binding{
		CallID:     reg.callID,
		CSeq:       reg.cseq,
		Path:       reg.path,
		UserAgent:  cut(req.Get(sip.UserAgent), maxUserAgent),
		Received:   received(req),
		Registered: reg.now,
	}
	header, given := req.Get(sip.Expires), req.Has(sip.Expires)
	count := 0
	for addr, err := range req.Contacts() {
		if err != nil {
			return badRequest("Bad Contact")
		}
		if count++; count > 2*reg.most { // as many to remove as to add; more make no sense
			return errTooManyContacts
		}
		if addr.Star {
			reg.all = true
			continue
		}
		c := reg.contact(addr.URI)
		c.Binding = base
		c.Flow = wayTo(addr.URI, req, from, &base)
		if refused := r.readContact(c, reg.aor, addr, header, given); refused != nil {
			return refused
		}
	}
	if count == 0 {
		return badRequest("Empty Contact") // no fetch, which has none
	}
	if reg.all && (count > 1 || !given || parseExpires(header) != 0) {
		return badRequest(`Contact "*" Not Alone Or Not With Expires 0`)
	}
	return nil
}

// readContact completes c by what addr says.
func (r *Registrar) readContact(c *contact, aor string, addr sip.NameAddr, header string, given bool) *refusal {
	var buf [256]byte // room for most, on the stack
	c.Contact = string(addr.URI.AppendTo(buf[:0]))
	text, ok := addr.Params.Get("expires")
	if !ok {
		text, ok = header, given
	}
	seconds, refused := r.granted(text, ok)
	if refused != nil {
		return refused
	}
	c.Expires = c.Registered.Add(time.Duration(seconds) * time.Second)
	c.Q = MaxQ
	if q, ok := addr.Params.Get("q"); ok {
		if c.Q, ok = parseQ(q); !ok {
			return badRequest("Bad q")
		}
	}
	if id, ok := addr.Params.Get("reg-id"); ok {
		n, err := strconv.ParseUint(id, 10, 31) // 1 to 2^31-1: RFC 5626 section 4.2
		if err != nil || n == 0 {
			return badRequest("Bad reg-id")
		}
		c.RegID = uint32(n)
	}
	c.Instance, _ = addr.Params.Get("+sip.instance")
	if strings.ContainsAny(c.Instance, "\"\\") {
		return badRequest("Bad +sip.instance") // no URN has them
	}
	if len(aor)+c.textSize() > r.maxBindingSize() {
		return badRequest("Contact Too Long")
	}
	return nil
}

// granted is the expiration interval in seconds for what was asked for, if anything was given.
func (r *Registrar) granted(text string, given bool) (uint32, *refusal) {
	least, most := r.minExpires(), r.maxExpires()
	if !given {
		return min(max(r.defaultExpires(), least), most), nil
	}
	seconds := parseExpires(text)
	// "If and only if the requested expiration interval is greater than zero AND smaller than one hour AND less than a
	// registrar-configured minimum, the registrar MAY reject the registration with a response of 423"
	if seconds > 0 && seconds < 3600 && seconds < least {
		return 0, &refusal{status: sip.StatusIntervalTooBrief, header: sip.MinExpires, text: strconv.FormatUint(uint64(least), 10)}
	}
	return min(seconds, most), nil
}

// parseExpires reads delta-seconds: "Implementations MAY treat values larger than 2**32-1 […] as equivalent to 2**32-1. Malformed
// values SHOULD be treated as equivalent to 3600." (RFC 3261 section 10.2)
func parseExpires(s string) uint32 {
	if s == "" {
		return malformedExpires
	}
	var v uint64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return malformedExpires
		}
		v = min(v*10+uint64(s[i]-'0'), 1<<32-1)
	}
	return uint32(v)
}

// parseQ reads a qvalue in thousandths: ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ) (RFC 3261 section 25.1).
func parseQ(s string) (uint16, bool) {
	if s == "" || len(s) > 5 || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	q, unit := uint16(s[0]-'0')*MaxQ, uint16(100)
	for i := 2; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		q += uint16(s[i]-'0') * unit
		unit /= 10
	}
	return q, q <= MaxQ
}

// received returns where the first hop saw the client, as that wrote it into the client's Via, the last one, if there are others.
func received(req *sip.Message) netip.AddrPort {
	last, hops := "", 0
	for via := range req.Values(sip.Via) {
		last = via
		hops++
	}
	if hops < 2 {
		return netip.AddrPort{}
	}
	via, err := sip.ParseViaParm(last)
	if err != nil || via.Received == "" {
		return netip.AddrPort{}
	}
	addr, err := netip.ParseAddr(strings.Trim(via.Received, "[]"))
	if err != nil || addr.Zone() != "" {
		return netip.AddrPort{}
	}
	port := via.RPort // RFC 3581: where the request came from
	if port == 0 {
		port = via.Port
	}
	return netip.AddrPortFrom(addr.Unmap(), port)
}

// readPath returns the values of all Path header fields as one. It allocates only if there is more than one field.
func readPath(req *sip.Message) (path string, _ *refusal) {
	if !req.Has(sip.Path) {
		return "", nil
	}
	for _, err := range req.Addresses(sip.Path) {
		if err != nil {
			return "", badRequest("Bad Path")
		}
	}
	for line := range req.Lines(sip.Path) {
		if path != "" {
			line = path + "," + line
		}
		path = line
	}
	return path, nil
}

// cut returns the first n bytes of s, or fewer, so as to end with a whole character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
