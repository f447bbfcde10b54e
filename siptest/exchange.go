package siptest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goser-project/goser/sip"
)

// exchangeKey matches responses to requests (RFC 3261 section 17.1.3).
type exchangeKey struct {
	branch string
	method string
}

// Exchange is a request that a phone sent, and what came back: its client transaction.
type Exchange struct {
	phone  *Phone
	method string
	text   string
	to     hop

	// Under the phone's lock.
	queue       []*sip.Message // not yet wanted
	all         []*sip.Message // each once
	seen        map[string]int // by text
	provisional bool
	final       *sip.Message
	timedOut    bool
	sent        int
	interval    time.Duration
	retransmit  *time.Timer
	timeout     *time.Timer
	whenRings   []func() // what waits for a provisional response: a CANCEL
	dialog      *Dialog  // that the request belongs to
}

// begin sends a request and waits for its responses. The lock is held.
func (p *Phone) begin(method, text string, to hop, d *Dialog) *Exchange {
	e := p.expect(method, text, to, d)
	e.start()
	return e
}

// expect makes an exchange without sending its request. The lock is held.
func (p *Phone) expect(method, text string, to hop, d *Dialog) *Exchange {
	e := &Exchange{phone: p, method: method, text: text, to: to, seen: map[string]int{}, dialog: d}
	p.exchanges[exchangeKey{branchOf(text), method}] = e
	return e
}

// start sends the request, and again with the intervals of RFC 3261 sections 17.1.1.2 and 17.1.2.2. The lock is held.
func (e *Exchange) start() {
	e.transmit()
	p := e.phone
	e.timeout = p.after(64*p.opt.T1, func() {
		e.stop()
		e.timedOut = true
		p.cond.Broadcast()
	})
	if !e.to.reliable() && !p.opt.NoRetransmit {
		e.interval = p.opt.T1
		e.retransmit = p.after(e.interval, e.again)
	}
}

// again is Timer A and Timer E. The lock is held.
func (e *Exchange) again() {
	e.transmit()
	e.interval *= 2
	if e.method != string(sip.INVITE) {
		e.interval = min(e.interval, e.phone.opt.T2)
		if e.provisional {
			e.interval = e.phone.opt.T2
		}
	}
	e.retransmit.Reset(e.interval)
}

func (e *Exchange) transmit() {
	e.sent++
	e.phone.send(e.to, e.text)
}

func (e *Exchange) stop() {
	for _, t := range [...]*time.Timer{e.retransmit, e.timeout} {
		if t != nil {
			t.Stop()
		}
	}
}

// response takes a response in. The lock is held.
func (p *Phone) response(m *sip.Message, text string) {
	e := p.exchanges[exchangeKey{m.Via().Branch, string(m.Method())}]
	if e == nil {
		p.violate(text, "a response matches no request (RFC 3261 section 17.1.3)")
		return
	}
	e.check(m, text)
	e.seen[text]++
	e.advance(m, text)
	if e.seen[text] == 1 && (m.Status() >= 200 || e.final == nil) {
		e.queue = append(e.queue, m)
		e.all = append(e.all, m)
	}
	if m.Status() >= 200 && e.final == nil {
		e.final = m
	}
}

// advance does what the transaction does with a response. The lock is held.
func (e *Exchange) advance(m *sip.Message, text string) {
	p, status, invite := e.phone, m.Status(), e.method == string(sip.INVITE)
	if status < 200 {
		if e.final != nil {
			return // overtaken by the final response
		}
		e.provisional = true
		if invite {
			e.stop()
		}
		for _, f := range e.whenRings {
			f()
		}
		e.whenRings = nil
	} else {
		e.stop()
		e.whenRings = nil
		e.checkFinal(m, text)
	}
	switch {
	case !invite:
		if e.dialog != nil && e.method == string(sip.BYE) && status >= 200 {
			e.dialog.ended = true
		}
	case status >= 300:
		p.send(e.to, e.hopRequest(sip.ACK, m))
	case status > 100 && m.ToTag() != "":
		d := p.dialogOf(e, m)
		if ack, ok := d.acks[m.CSeq().Number]; ok && status >= 200 {
			p.send(ack.to, ack.text) // RFC 3261 section 13.2.2.4: for each retransmission
		}
	}
}

// hopRequest writes the ACK for a final response that is not a 2xx (RFC 3261 section 17.1.1.3), or the CANCEL (section
// 9.1) of the request; final is nil for a CANCEL.
func (e *Exchange) hopRequest(method sip.Method, final *sip.Message) string {
	d := newDraft("%s %s SIP/2.0", method, requestURI(e.text))
	via := fieldOf(e.text, sip.Via)
	d.field(sip.Via, "%s", via)
	d.field(sip.MaxForwards, "70")
	for r := range fieldLines(e.text, sip.Route) {
		d.field(sip.Route, "%s", r)
	}
	d.field(sip.From, "%s", fieldOf(e.text, sip.From))
	to := fieldOf(e.text, sip.To)
	if final != nil {
		to = final.Get(sip.To)
	}
	d.field(sip.To, "%s", to)
	d.field(sip.CallID, "%s", fieldOf(e.text, sip.CallID))
	number, _, _ := strings.Cut(fieldOf(e.text, sip.CSeq), " ")
	d.field(sip.CSeq, "%s %s", number, method)
	return d.finish(e.phone, "", nil)
}

// Text returns the request as it was sent.
func (e *Exchange) Text() string { return e.text }

// Sent returns how often the request was sent so far.
func (e *Exchange) Sent() int {
	e.phone.mu.Lock()
	defer e.phone.mu.Unlock()
	return e.sent
}

// Responses returns what came so far, in order, repetitions once.
func (e *Exchange) Responses() []*sip.Message {
	e.phone.mu.Lock()
	defer e.phone.mu.Unlock()
	return slices.Clone(e.all)
}

// Retransmit sends the request once more, now.
func (e *Exchange) Retransmit() {
	e.phone.mu.Lock()
	defer e.phone.release()
	e.transmit()
}

// Cancel sends a CANCEL for the request: now if a provisional response has come, else when one comes (RFC 3261 section
// 9.1). A final response makes it pointless.
func (e *Exchange) Cancel() *Exchange {
	p := e.phone
	p.mu.Lock()
	defer p.release()
	c := p.expect(string(sip.CANCEL), e.hopRequest(sip.CANCEL, nil), e.to, nil)
	if e.provisional || e.final != nil {
		c.start()
	} else {
		e.whenRings = append(e.whenRings, c.start)
	}
	return c
}

// next waits for the next response; nil if none comes in time.
func (e *Exchange) next() *sip.Message {
	var m *sip.Message
	e.phone.wait(e.phone.opt.Patience, func() bool {
		if len(e.queue) > 0 {
			m, e.queue = e.queue[0], e.queue[1:]
			return true
		}
		return e.timedOut
	})
	return m
}

// WantStatus waits for the next response, which must have this status, and returns it. A 100 is passed over unless it
// is wanted. Repetitions of a response do not count, those of a 2xx to INVITE have been acknowledged.
func (e *Exchange) WantStatus(status int) *sip.Message {
	e.phone.t.Helper()
	for {
		m := e.next()
		switch {
		case m == nil:
			e.phone.fatal("want %d (%s), nothing came%s", status, e.method, e.why())
		case m.Status() == status:
			return m
		case m.Status() != sip.StatusTrying:
			e.phone.fatal("want %d (%s), got %d", status, e.method, m.Status())
		}
	}
}

// WantFinal waits for the final response, which must have this status, and returns it. Provisional responses are
// passed over.
func (e *Exchange) WantFinal(status int) *sip.Message {
	e.phone.t.Helper()
	for {
		m := e.next()
		switch {
		case m == nil:
			e.phone.fatal("want %d (%s), no final response came%s", status, e.method, e.why())
		case m.Status() == status:
			return m
		case m.Status() >= 200:
			e.phone.fatal("want %d (%s), got %d", status, e.method, m.Status())
		}
	}
}

// WantTimeout waits until the transaction ends without a final response (Timer B or F of RFC 3261).
func (e *Exchange) WantTimeout() {
	e.phone.t.Helper()
	for {
		m := e.next()
		switch {
		case m == nil && e.why() == "":
			e.phone.fatal("want a timeout of %s, it goes on", e.method)
		case m == nil:
			return
		case m.Status() >= 200:
			e.phone.fatal("want a timeout of %s, got %d", e.method, m.Status())
		}
	}
}

// why tells why nothing comes any more.
func (e *Exchange) why() string {
	e.phone.mu.Lock()
	defer e.phone.mu.Unlock()
	if e.timedOut {
		return fmt.Sprintf(", the transaction timed out after %v", 64*e.phone.opt.T1)
	}
	return ""
}
