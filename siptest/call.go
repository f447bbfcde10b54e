package siptest

import "github.com/goser-project/goser/sip"

// Call is an INVITE that a phone sent, and the dialogs that came of it: several if it was forked. Its own methods are
// about the dialog of the response that was wanted last. It belongs to the goroutine of the test.
type Call struct {
	*Exchange
	current *sip.Message
}

// Invite sends an INVITE with a session description.
func (p *Phone) Invite(uri string, edits ...Edit) *Call {
	p.mu.Lock()
	defer p.release()
	o := p.outline(sip.INVITE, uri)
	o.body = p.sdp()
	return &Call{Exchange: p.initial(o, edits)}
}

// WantStatus is Exchange.WantStatus; the response's dialog becomes the current one.
func (c *Call) WantStatus(status int) *sip.Message {
	c.phone.t.Helper()
	c.current = c.Exchange.WantStatus(status)
	return c.current
}

// WantFinal is Exchange.WantFinal; the response's dialog becomes the current one.
func (c *Call) WantFinal(status int) *sip.Message {
	c.phone.t.Helper()
	c.current = c.Exchange.WantFinal(status)
	return c.current
}

// WantAnswer waits for the 200, passing provisional responses over, and acknowledges it.
func (c *Call) WantAnswer() *sip.Message {
	c.phone.t.Helper()
	m := c.WantFinal(sip.StatusOK)
	c.Ack()
	return m
}

// Leg returns the dialog of a response to the INVITE.
func (c *Call) Leg(res *sip.Message) *Dialog {
	c.phone.t.Helper()
	var d *Dialog
	if res != nil {
		c.phone.mu.Lock()
		d = c.phone.dialogs[dialogKey{res.CallID(), res.FromTag(), res.ToTag()}]
		c.phone.mu.Unlock()
	}
	if d == nil {
		c.phone.fatal("the call has no dialog: want a response that makes one first")
	}
	return d
}

// Dialog returns the dialog of the response that was wanted last.
func (c *Call) Dialog() *Dialog {
	c.phone.t.Helper()
	return c.Leg(c.current)
}

// Ack sends the ACK for the 2xx that was wanted last, now and each time when it comes again.
func (c *Call) Ack(edits ...Edit) {
	c.phone.t.Helper()
	c.Dialog().Ack(edits...)
}

// Bye hangs up.
func (c *Call) Bye(edits ...Edit) *Exchange {
	c.phone.t.Helper()
	return c.Dialog().Bye(edits...)
}

// Request sends a request within the dialog.
func (c *Call) Request(method sip.Method, edits ...Edit) *Exchange {
	c.phone.t.Helper()
	return c.Dialog().Request(method, edits...)
}

// Again is Exchange.Again for the INVITE; the new call has dialogs of its own.
func (c *Call) Again(edits ...Edit) *Call { return &Call{Exchange: c.Exchange.Again(edits...)} }

// Authorize is Exchange.Authorize for the INVITE.
func (c *Call) Authorize(username, password string, edits ...Edit) *Call {
	c.phone.t.Helper()
	return &Call{Exchange: c.Exchange.Authorize(username, password, edits...)}
}
