package siptest

import (
	"slices"
	"strings"

	"github.com/goser-project/goser/sip"
)

// What a user agent can see of the rules that others have to keep. All run with the lock held.

// check compares a response with its request: RFC 3261 section 8.2.6.2, and 16.7 step 9 for the Vias that proxies must
// have removed.
func (e *Exchange) check(m *sip.Message, text string) {
	p := e.phone
	if n := count(m, sip.Via); n != 1 {
		p.violate(text, "a response has %d Vias, of which %d are not ours (RFC 3261 section 16.7 step 3)", n, n-1)
	}
	sent, err := sip.ParseViaParm(fieldOf(e.text, sip.Via))
	if got := m.Via(); err == nil && (got.Host != sent.Host || got.Port != sent.Port || got.Transport != sent.Transport) {
		p.violate(text, "the Via of a response is not that of the request (RFC 3261 section 8.2.6.2)")
	}
	for _, name := range [...]string{sip.From, sip.CallID, sip.CSeq} {
		if got, sent := m.Get(name), fieldOf(e.text, name); !sameField(got, sent) {
			p.violate(text, "%s of a response is %q, that of the request %q (RFC 3261 section 8.2.6.2)", name, got, sent)
		}
	}
	if m.Status() > 100 && m.ToTag() == "" {
		p.violate(text, "a response has no To tag (RFC 3261 section 8.2.6.2)")
	}
}

// checkFinal refuses what may not follow a final response: a 2xx to an INVITE may follow anything, from each fork one;
// else only the same one may come again. A user agent server without transactions, as a registrar may be, answers a
// repeated request anew (8.2.7): with the same status and To tag, but perhaps with another list of bindings.
func (e *Exchange) checkFinal(m *sip.Message, text string) {
	if e.final == nil || e.seen[text] > 1 {
		return
	}
	if e.method == string(sip.REGISTER) && e.final.Status() == m.Status() && e.final.ToTag() == m.ToTag() {
		return
	}
	if e.method == string(sip.INVITE) && m.Status() < 300 {
		if e.final.Status() >= 300 || e.final.ToTag() != m.ToTag() {
			return
		}
	}
	e.phone.violate(text, "a second final response came, after %d (RFC 3261 sections 16.7 step 5, 17.2)", e.final.Status())
}

// checkRequest looks at what every request has: RFC 3261 section 8.1.1.
func (p *Phone) checkRequest(in *Incoming) {
	if !in.Has(sip.MaxForwards) {
		p.violate(in.text, "%s has no Max-Forwards (RFC 3261 section 16.6 step 3)", in.Method())
	}
	if !strings.HasPrefix(in.Via().Branch, "z9hG4bK") {
		p.violate(in.text, "the branch of %s does not begin with z9hG4bK (RFC 3261 section 8.1.1.7)", in.Method())
	}
	if in.ToTag() == "" && in.Method() == sip.BYE {
		p.violate(in.text, "BYE outside of a dialog (RFC 3261 section 15.1.1)")
	}
}

// checkTarget wants a request within a dialog to arrive with our Contact as its Request-URI (RFC 3261 section 12.2.1.1
// and, for what strict routers did, 16.4).
func (p *Phone) checkTarget(in *Incoming) {
	want, err := sip.ParseURI(p.opt.Contact)
	if err == nil && !in.RequestURI().Equal(want) {
		p.violate(in.text, "the Request-URI of %s within a dialog is not our Contact %s (RFC 3261 section 12.2.1.1)", in.Method(), p.opt.Contact)
	}
}

// checkHopRequest compares an ACK (RFC 3261 section 17.1.1.3) or CANCEL (section 9.1) with its INVITE.
func (p *Phone) checkHopRequest(invite, in *Incoming) {
	if n := count(in.Message, sip.Via); n != 1 && !sameValues(invite, in, sip.Via) { // the same: by a stateless proxy, section 16.11
		p.violate(in.text, "%s has %d Vias instead of one (RFC 3261 sections 9.1, 17.1.1.3)", in.Method(), n)
	}
	if uri := requestURI(invite.text); requestURI(in.text) != uri {
		p.violate(in.text, "the Request-URI of %s is not that of the INVITE, %s (RFC 3261 sections 9.1, 17.1.1.3)", in.Method(), uri)
	}
	for _, name := range [...]string{sip.From, sip.CallID} {
		if got, want := in.Get(name), invite.Get(name); !sameField(got, want) {
			p.violate(in.text, "%s of %s is %q, that of the INVITE %q (RFC 3261 sections 9.1, 17.1.1.3)", name, in.Method(), got, want)
		}
	}
	if in.CSeq().Number != invite.CSeq().Number {
		p.violate(in.text, "the CSeq of %s is not that of the INVITE (RFC 3261 sections 9.1, 17.1.1.3)", in.Method())
	}
	if !sameValues(invite, in, sip.Route) {
		p.violate(in.text, "the Route of %s is not that of the INVITE (RFC 3261 sections 9.1, 17.1.1.3)", in.Method())
	}
	tag := invite.ToTag()
	if in.Method() == sip.ACK && tag == "" {
		tag = invite.tag
	}
	if in.ToTag() != tag {
		p.violate(in.text, "the To tag of %s is %q instead of %q (RFC 3261 sections 9.1, 17.1.1.3)", in.Method(), in.ToTag(), tag)
	}
}

func sameValues(a, b *Incoming, name string) bool {
	return slices.Equal(slices.Collect(a.Values(name)), slices.Collect(b.Values(name)))
}

func count(m *sip.Message, name string) (n int) {
	for range m.Values(name) {
		n++
	}
	return n
}

// sameField compares values but for white space.
func sameField(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}
