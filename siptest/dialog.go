package siptest

import (
	"maps"
	"slices"

	"github.com/goser-project/goser/sip"
)

// dialogKey is the dialog ID of RFC 3261 section 12.
type dialogKey struct{ callID, localTag, remoteTag string }

// sentACK is the ACK of a 2xx, for when that comes again.
type sentACK struct {
	to   hop
	text string
}

// Dialog is a dialog as one phone sees it (RFC 3261 section 12).
type Dialog struct {
	phone         *Phone
	key           dialogKey
	local, remote string // the values of From and To, with tags

	// Under the phone's lock.
	localSeq, remoteSeq uint32
	routes              []string
	target              string
	confirmed           bool
	unacked             uint32               // CSeq of the INVITE whose 2xx came last
	acks                map[uint32]sentACK   // by CSeq
	invites             map[uint32]*Incoming // by CSeq
	ended               bool
}

// dialogOf returns the dialog that a response to an INVITE belongs to, and makes it if there is none (RFC 3261 section
// 12.1.2). The lock is held.
func (p *Phone) dialogOf(e *Exchange, m *sip.Message) *Dialog {
	key := dialogKey{m.CallID(), m.FromTag(), m.ToTag()}
	d := p.dialogs[key]
	if d == nil {
		d = p.newDialog(key, m.Get(sip.From), m.Get(sip.To))
		d.localSeq = m.CSeq().Number
		p.dialogs[key] = d
	}
	d.refresh(m)
	if e.dialog == nil && !d.confirmed {
		// The 2xx replaces what a provisional response said (section 13.2.2.4).
		d.routes = slices.Collect(m.Values(sip.RecordRoute))
		slices.Reverse(d.routes)
	}
	if m.Status() >= 200 {
		d.confirmed = true
		d.unacked = m.CSeq().Number
	}
	return d
}

// acceptDialog makes the dialog of a response to an INVITE that the phone received (RFC 3261 section 12.1.1). The lock is
// held.
func (p *Phone) acceptDialog(in *Incoming) *Dialog {
	key := dialogKey{in.CallID(), in.tag, in.FromTag()}
	d := p.newDialog(key, in.Get(sip.To)+";tag="+in.tag, in.Get(sip.From))
	d.routes = slices.Collect(in.Values(sip.RecordRoute))
	d.remoteSeq = in.CSeq().Number
	d.invites[d.remoteSeq] = in
	d.refresh(in.Message)
	p.dialogs[key] = d
	return d
}

func (p *Phone) newDialog(key dialogKey, local, remote string) *Dialog {
	return &Dialog{phone: p, key: key, local: local, remote: remote, acks: map[uint32]sentACK{}, invites: map[uint32]*Incoming{}}
}

// refresh takes the remote target from a message that has one (RFC 3261 section 12.2.1.2). The lock is held.
func (d *Dialog) refresh(m *sip.Message) {
	if !hasContact(m.Method()) {
		return
	}
	for c, err := range m.Contacts() {
		if err == nil && !c.Star {
			d.target = c.URI.String()
		}
		return
	}
}

// drain ends what is left of the INVITEs of a dialog when its BYE has come: who hangs up has seen the 2xx, and what has
// not been answered gets a 487 (RFC 3261 section 15.1.2). The lock is held.
func (d *Dialog) drain() {
	for _, seq := range slices.Sorted(maps.Keys(d.invites)) {
		in := d.invites[seq]
		in.stop()
		if in.status < 200 {
			in.respond(sip.StatusRequestTerminated, "", nil)
		}
	}
}

// living returns the dialog that a message belongs to, nil if there is none or it has ended. The lock is held.
func (p *Phone) living(m *sip.Message) *Dialog {
	d := p.dialogs[dialogKey{m.CallID(), m.ToTag(), m.FromTag()}]
	if d == nil || d.ended {
		return nil
	}
	return d
}

// request sends a request within the dialog (RFC 3261 section 12.2.1.1). The lock is held.
func (d *Dialog) request(method sip.Method, seq uint32, edits []Edit) (text string, to hop) {
	p := d.phone
	o := outline{method: method, uri: d.target, from: d.local, to: d.remote, callID: d.key.callID, seq: seq, routes: d.routes}
	to, ok := p.way(o.uri, o.routes, true)
	if !ok {
		p.t.Errorf("%s: no way to %s: neither an address nor a proxy", p, o.uri)
	}
	if len(d.routes) > 0 {
		if first, err := sip.ParseNameAddr(d.routes[0]); err == nil && !first.URI.Params.Has("lr") { // a strict router
			o.uri = first.URI.String()
			o.routes = append(slices.Clone(d.routes[1:]), "<"+d.target+">")
		}
	}
	if method == sip.INVITE {
		o.body = p.sdp()
	}
	return p.write(o, to, edits), to
}

// Request sends a request within the dialog, along its route set. The 2xx of an INVITE is acknowledged by Ack.
func (d *Dialog) Request(method sip.Method, edits ...Edit) *Exchange {
	d.phone.mu.Lock()
	defer d.phone.release()
	d.localSeq++
	text, to := d.request(method, d.localSeq, edits)
	return d.phone.begin(string(method), text, to, d)
}

// Bye sends a BYE.
func (d *Dialog) Bye(edits ...Edit) *Exchange { return d.Request(sip.BYE, edits...) }

// Ack sends the ACK for the latest 2xx to an INVITE within the dialog, now and each time when the 2xx comes again.
func (d *Dialog) Ack(edits ...Edit) {
	d.phone.mu.Lock()
	defer d.phone.release()
	if d.unacked == 0 {
		d.phone.t.Errorf("%s: an ACK, but no INVITE of the dialog has got a 2xx", d.phone)
		return
	}
	text, to := d.request(sip.ACK, d.unacked, edits)
	d.acks[d.unacked] = sentACK{to, text}
	d.phone.send(to, text)
}

// Routes returns the route set.
func (d *Dialog) Routes() []string {
	d.phone.mu.Lock()
	defer d.phone.mu.Unlock()
	return slices.Clone(d.routes)
}

// Target returns the remote target: the URI of the other side's Contact.
func (d *Dialog) Target() string {
	d.phone.mu.Lock()
	defer d.phone.mu.Unlock()
	return d.target
}

// Ended tells whether a BYE has come, or has been answered.
func (d *Dialog) Ended() bool {
	d.phone.mu.Lock()
	defer d.phone.mu.Unlock()
	return d.ended
}
