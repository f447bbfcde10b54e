package siptest

import (
	"strings"
	"time"

	"github.com/goser-project/goser/sip"
)

// outline is what a request of a phone says.
type outline struct {
	method   sip.Method
	uri      string
	from, to string
	callID   string
	seq      uint32
	routes   []string
	fields   [][2]string
	body     string
}

// write writes a request for a hop. The lock is held.
func (p *Phone) write(o outline, to hop, edits []Edit) string {
	d := newDraft("%s %s SIP/2.0", o.method, o.uri)
	d.field(sip.Via, "%s", p.via(to, o.method))
	d.field(sip.MaxForwards, "70")
	for _, r := range o.routes {
		d.field(sip.Route, "%s", r)
	}
	d.field(sip.From, "%s", o.from)
	d.field(sip.To, "%s", o.to)
	d.field(sip.CallID, "%s", o.callID)
	d.field(sip.CSeq, "%d %s", o.seq, o.method)
	if hasContact(o.method) {
		d.field(sip.Contact, "<%s>", p.opt.Contact)
	}
	for _, f := range o.fields {
		d.field(f[0], "%s", f[1])
	}
	return d.finish(p, o.body, edits)
}

// via returns the Via of a new transaction. The lock is held.
func (p *Phone) via(to hop, method sip.Method) string {
	via := "SIP/2.0/" + to.proto + " " + p.sentBy(to) + ";branch=z9hG4bK-" + p.name(strings.ToLower(string(method)))
	if !p.opt.NoRPort {
		via += ";rport"
	}
	return via
}

// hasContact tells the methods whose requests have a Contact.
func hasContact(m sip.Method) bool {
	switch m {
	case sip.INVITE, sip.REGISTER, sip.SUBSCRIBE, sip.NOTIFY, sip.REFER, sip.UPDATE:
		return true
	}
	return false
}

// sdp returns a session description of the phone, so that INVITEs and their 2xx have a body.
func (p *Phone) sdp() string {
	family := "IP4"
	if p.host.Addr().Is6() {
		family = "IP6"
	}
	at := family + " " + p.host.Addr().String()
	return "v=0\r\no=- 1 1 IN " + at + "\r\ns=-\r\nc=IN " + at + "\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
}

// initial sends a request outside of a dialog. The lock is held.
func (p *Phone) initial(o outline, edits []Edit) *Exchange {
	to, ok := p.way(o.uri, o.routes, false)
	if !ok {
		p.t.Errorf("%s: no way to %s: neither an address nor a proxy", p, o.uri)
	}
	return p.begin(string(o.method), p.write(o, to, edits), to, nil)
}

// Request sends a request outside of a dialog: to the proxy, or the host of the URI. An INVITE is sent by Invite, a
// REGISTER by Register.
func (p *Phone) Request(method sip.Method, uri string, edits ...Edit) *Exchange {
	p.mu.Lock()
	defer p.release()
	return p.initial(p.outline(method, uri), edits)
}

func (p *Phone) outline(method sip.Method, uri string) outline {
	return outline{
		method: method, uri: uri, seq: 1,
		from: "<" + p.aor + ">;tag=" + p.name("tag"), to: "<" + uri + ">",
		callID: p.name("call") + "@" + p.host.Addr().String(),
	}
}

// Register sends a REGISTER for the phone's address of record and Contact, in whole seconds; 0 takes the binding back.
// All REGISTERs of a phone have one Call-ID and increasing CSeqs.
func (p *Phone) Register(expires time.Duration, edits ...Edit) *Exchange {
	p.mu.Lock()
	defer p.release()
	p.registers++
	domain := p.aor
	if u, err := sip.ParseURI(p.aor); err == nil {
		domain = sip.URI{Scheme: u.Scheme, Host: u.Host, Port: u.Port}.String()
	}
	o := p.outline(sip.REGISTER, domain)
	o.to = "<" + p.aor + ">"
	o.callID = "register-" + p.host.name + "@" + p.host.Addr().String()
	o.seq = uint32(p.registers)
	o.fields = [][2]string{{sip.Expires, itoa(int(expires / time.Second))}}
	return p.initial(o, edits)
}

// SendText sends a text as it is, once, to where a request with its Request-URI goes. Line ends without CR get one
// unless the text has any. The exchange gets what comes back for its branch; no rule is applied to the text.
func (p *Phone) SendText(text string) *Exchange {
	if !strings.Contains(text, "\r") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	p.mu.Lock()
	defer p.release()
	uri := requestURI(text)
	to, ok := p.way(uri, nil, false)
	if !ok {
		p.t.Errorf("%s: no way to %q: neither an address nor a proxy", p, uri)
	}
	_, method, _ := strings.Cut(fieldOf(text, sip.CSeq), " ")
	e := p.expect(strings.TrimSpace(method), text, to, nil)
	e.transmit()
	return e
}
