package siptest

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goser-project/goser/sip"
)

func itoa(n int) string { return strconv.Itoa(n) }

// incomingKey matches requests to those that came before (RFC 3261 section 17.2.3).
type incomingKey struct {
	branch, sentBy, method string
}

func keyOf(m *sip.Message, method sip.Method) incomingKey {
	v := m.Via()
	return incomingKey{v.Branch, strings.ToLower(v.Host) + ":" + itoa(int(v.Port)), string(method)}
}

// maxUnwanted is how many requests a phone keeps for WantRequest.
const maxUnwanted = 4096

// Incoming is a request that a phone received, and what it answered: its server transaction. The embedded message is
// the request.
type Incoming struct {
	*sip.Message
	phone *Phone
	text  string
	from  hop
	tag   string // of the responses' To

	// Under the phone's lock.
	status   int // of the latest response
	last     string
	ack      *Incoming // nil until one came
	cancel   *Incoming
	dialog   *Dialog
	repeated int
	script   *time.Timer
	resend   *time.Timer
	giveUp   *time.Timer
	interval time.Duration
}

// request takes a request in. The lock is held.
func (p *Phone) request(m *sip.Message, text string, from hop) {
	if m.Method() == sip.ACK {
		p.acknowledged(m, text, from)
		return
	}
	key := keyOf(m, m.Method())
	if in := p.incoming[key]; in != nil {
		in.again(text)
		return
	}
	in := &Incoming{Message: m, phone: p, text: text, from: from, tag: p.name("tag")}
	p.checkRequest(in)
	p.incoming[key] = in
	p.keep(in)
	switch {
	case p.merged(in):
		in.respond(sip.StatusLoopDetected, "Request Merged", nil)
	case m.Method() == sip.CANCEL:
		p.cancelled(in)
	case m.ToTag() != "":
		p.inDialog(in)
	default:
		p.answer(in)
	}
}

// keep puts a request where WantRequest finds it. The lock is held.
func (p *Phone) keep(in *Incoming) {
	if len(p.requests) == maxUnwanted {
		p.requests = p.requests[1:]
	}
	p.requests = append(p.requests, in)
}

// mergeKey is what requests have in common that were one before they were forked.
type mergeKey struct {
	callID, fromTag string
	cseq            sip.Sequence
}

// merged tells whether a request that is not answered yet has come a second time by another way (RFC 3261 section
// 8.2.2.2). The lock is held.
func (p *Phone) merged(in *Incoming) bool {
	if in.ToTag() != "" || in.Method() == sip.CANCEL {
		return false
	}
	key := mergeKey{in.CallID(), in.FromTag(), in.CSeq()}
	if first := p.merging[key]; first != nil && first.status < 200 {
		return true
	}
	p.merging[key] = in
	return false
}

// answer runs the script for a request. The lock is held.
func (p *Phone) answer(in *Incoming) {
	s, scripted := p.scripts[in.Method()]
	switch {
	case in.Method() == sip.INVITE && in.ToTag() != "" && scripted:
		in.respond(sip.StatusOK, "", nil)
	case scripted:
		s.play(in)
	case in.Method() != sip.INVITE:
		in.respond(sip.StatusOK, "", nil)
	}
}

// inDialog takes a request in that says it belongs to a dialog (RFC 3261 section 12.2.2). The lock is held.
func (p *Phone) inDialog(in *Incoming) {
	d := p.living(in.Message)
	if d == nil {
		in.respond(sip.StatusCallTransactionDoesNotExist, "", nil)
		return
	}
	p.checkTarget(in)
	if in.CSeq().Number < d.remoteSeq {
		in.respond(sip.StatusServerInternalError, "CSeq Out Of Order", nil)
		return
	}
	d.remoteSeq = in.CSeq().Number
	in.dialog = d
	d.refresh(in.Message)
	if in.Method() == sip.INVITE {
		d.invites[in.CSeq().Number] = in
	}
	p.answer(in)
	if in.Method() == sip.BYE {
		d.ended = true
		d.drain()
	}
}

// cancelled takes a CANCEL in (RFC 3261 section 9.2). The lock is held.
func (p *Phone) cancelled(in *Incoming) {
	invite := p.incoming[keyOf(in.Message, sip.INVITE)]
	if invite == nil {
		in.respond(sip.StatusCallTransactionDoesNotExist, "", nil)
		return
	}
	p.checkHopRequest(invite, in)
	in.tag, invite.cancel = invite.tag, in
	if s, ok := p.scripts[sip.CANCEL]; ok {
		s.play(in)
		return
	}
	in.respond(sip.StatusOK, "", nil)
	if invite.status < 200 {
		invite.respond(sip.StatusRequestTerminated, "", nil)
	}
}

// acknowledged takes an ACK in: for a final response other than 2xx by its branch, for a 2xx by its dialog. The lock is
// held.
func (p *Phone) acknowledged(m *sip.Message, text string, from hop) {
	ack := &Incoming{Message: m, phone: p, text: text, from: from}
	in := p.incoming[keyOf(m, sip.INVITE)]
	hopByHop := in != nil
	// A BYE may have overtaken the ACK, so that the dialog has ended.
	if d := p.dialogs[dialogKey{m.CallID(), m.ToTag(), m.FromTag()}]; in == nil && d != nil {
		in = d.invites[m.CSeq().Number]
		ack.dialog = d
	}
	switch {
	case in == nil:
		p.violate(text, "an ACK matches no INVITE (RFC 3261 sections 13.3.1.4, 17.2.3)")
		return
	case in.status < 200:
		p.violate(text, "an ACK came before any final response")
		return
	case hopByHop && in.status < 300:
		p.violate(text, "the ACK for a 2xx has the branch of the INVITE (RFC 3261 section 8.1.1.7)")
	case hopByHop:
		p.checkHopRequest(in, ack)
	default:
		p.checkTarget(ack)
	}
	in.stop()
	if in.ack != nil {
		in.ack.repeated++
		return
	}
	in.ack = ack
	p.keep(ack)
}

// again takes a retransmission in. The lock is held.
func (in *Incoming) again(text string) {
	in.repeated++
	if text != in.text {
		in.phone.violate(text, "a retransmission of %s differs from what came first:\n%s", in.Method(), indent(in.text))
	}
	// The 2xx of an INVITE has its own retransmissions (RFC 3261 section 13.3.1.4).
	if in.last != "" && !(in.Method() == sip.INVITE && in.status >= 200 && in.status < 300) {
		in.phone.send(in.back(), in.last)
	}
}

// back returns where responses go: the connection of the request, and if that is gone, or over UDP, the address of the
// topmost Via (RFC 3261 section 18.2.2, RFC 3581 section 4).
func (in *Incoming) back() hop {
	h, v := in.from, in.Via()
	host, port := v.Received, v.Port
	if host == "" {
		host = v.Host
	}
	if v.RPort != 0 && !h.reliable() {
		port = v.RPort
	}
	if port == 0 {
		port = 5060
	}
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		h.addr = netip.AddrPortFrom(addr.Unmap(), port)
	}
	return h
}

// respond sends a response. The lock is held.
func (in *Incoming) respond(status int, reason string, edits []Edit) {
	p, invite := in.phone, in.Method() == sip.INVITE
	if reason == "" {
		reason = sip.ReasonPhrase(status)
	}
	in.status = status
	in.last = in.write(status, reason, edits)
	if status >= 200 {
		in.stop()
	}
	p.send(in.back(), in.last)
	if !invite {
		return
	}
	if status > 100 && status < 300 && in.dialog == nil {
		in.dialog = p.acceptDialog(in)
	}
	if status < 200 || p.opt.NoRetransmit || status >= 300 && in.from.reliable() {
		return
	}
	in.interval = p.opt.T1
	in.resend = p.after(in.interval, func() {
		p.send(in.back(), in.last)
		in.interval = min(2*in.interval, p.opt.T2)
		in.resend.Reset(in.interval)
	})
	in.giveUp = p.after(64*p.opt.T1, in.stop)
}

// write writes a response (RFC 3261 section 8.2.6).
func (in *Incoming) write(status int, reason string, edits []Edit) string {
	p, invite := in.phone, in.Method() == sip.INVITE
	d := newDraft("SIP/2.0 %d %s", status, reason)
	for _, name := range [...]string{sip.Via, sip.RecordRoute, sip.From, sip.To, sip.CallID, sip.CSeq} {
		if name == sip.RecordRoute && (status <= 100 || status >= 300) {
			continue
		}
		for v := range in.Lines(name) {
			if name == sip.To && in.ToTag() == "" && status > 100 {
				v += ";tag=" + in.tag
			}
			d.field(name, "%s", v)
		}
	}
	body := ""
	if status > 100 && status < 300 && hasContact(in.Method()) && in.Method() != sip.REGISTER {
		d.field(sip.Contact, "<%s>", p.opt.Contact)
		if invite && status >= 200 {
			body = p.sdp()
		}
	}
	return d.finish(p, body, edits)
}

// stop ends the script and the retransmissions. The lock is held.
func (in *Incoming) stop() {
	for _, t := range [...]*time.Timer{in.script, in.resend, in.giveUp} {
		if t != nil {
			t.Stop()
		}
	}
}

// Text returns the request as it came.
func (in *Incoming) Text() string { return in.text }

// Source returns where the request came from.
func (in *Incoming) Source() netip.AddrPort { return in.from.addr }

// Respond sends a response, whatever was sent before. A final one to an INVITE is repeated until its ACK comes, or for
// 64*T1.
func (in *Incoming) Respond(status int, edits ...Edit) { in.RespondReason(status, "", edits...) }

// RespondReason sends a response with a reason phrase of its own.
func (in *Incoming) RespondReason(status int, reason string, edits ...Edit) {
	in.phone.mu.Lock()
	defer in.phone.release()
	in.respond(status, reason, edits)
}

// Retransmit sends the latest response once more, now.
func (in *Incoming) Retransmit() {
	in.phone.mu.Lock()
	defer in.phone.release()
	if in.last != "" {
		in.phone.send(in.back(), in.last)
	}
}

// Retransmissions returns how often the request has come again.
func (in *Incoming) Retransmissions() int {
	in.phone.mu.Lock()
	defer in.phone.mu.Unlock()
	return in.repeated
}

// Status returns the status of the latest response, 0 if there is none.
func (in *Incoming) Status() int {
	in.phone.mu.Lock()
	defer in.phone.mu.Unlock()
	return in.status
}

// Dialog returns the dialog that the request belongs to, or that the response to an INVITE has made; nil if there is
// none.
func (in *Incoming) Dialog() *Dialog {
	in.phone.mu.Lock()
	defer in.phone.mu.Unlock()
	return in.dialog
}

// WantACK waits for the ACK for the final response to an INVITE.
func (in *Incoming) WantACK() *Incoming {
	in.phone.t.Helper()
	if !in.phone.wait(in.phone.opt.Patience, func() bool { return in.ack != nil }) {
		in.phone.fatal("want ACK, none came")
	}
	in.phone.drop(in.ack)
	return in.ack
}

// WantCancel waits for a CANCEL of an INVITE. Unless there is a script for CANCEL, it has been answered, and the
// INVITE too.
func (in *Incoming) WantCancel() *Incoming {
	in.phone.t.Helper()
	if !in.phone.wait(in.phone.opt.Patience, func() bool { return in.cancel != nil }) {
		in.phone.fatal("want CANCEL, none came")
	}
	in.phone.drop(in.cancel)
	return in.cancel
}

// drop removes a request from those that WantRequest returns.
func (p *Phone) drop(in *Incoming) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = slices.DeleteFunc(p.requests, func(r *Incoming) bool { return r == in })
}

// WantRequest waits for a request of the method and returns it, the earliest first, each once. Retransmissions do not
// count. An ACK has nothing to respond.
func (p *Phone) WantRequest(method sip.Method) *Incoming {
	p.t.Helper()
	var found *Incoming
	p.wait(p.opt.Patience, func() bool {
		i := slices.IndexFunc(p.requests, func(in *Incoming) bool { return in.Method() == method })
		if i < 0 {
			return false
		}
		found = p.requests[i]
		p.requests = slices.Delete(p.requests, i, i+1)
		return true
	})
	if found == nil {
		p.fatal("want %s, none came", method)
	}
	return found
}

// WantNoRequest waits for d and fails the test if a request came that nobody has wanted, other than one of these methods.
func (p *Phone) WantNoRequest(d time.Duration, but ...sip.Method) {
	p.t.Helper()
	var found *Incoming
	p.wait(d, func() bool {
		for _, in := range p.requests {
			if !slices.Contains(but, in.Method()) {
				found = in
			}
		}
		return found != nil
	})
	if found != nil {
		p.fatal("want no request, got %s", found.Method())
	}
}
