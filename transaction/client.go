package transaction

import (
	"net/netip"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// Client is a client transaction (RFC 3261 section 17.1): a request that is sent, and the responses to it. All methods may be
// called from any goroutine.
type Client struct {
	timer
	shard   *shard
	key     key
	flow    transport.Flow
	machine machine
	sent    []byte     // the request, while it may be sent again or an ACK or CANCEL be made of it; then the ACK
	user    ClientUser // may be nil
	outbox  *outbox
	telling bool // a goroutine does what the outbox says
	invite  bool
	own     bool // the table's, a CANCEL
}

// outbox is what a client transaction seldom needs.
type outbox struct {
	reason  string   // of a CANCEL that waits for a provisional response
	notices []notice // what there is to do when the goroutine that does something now is done
}

// notice is what a step of the machine leads to.
type notice struct {
	todo    actions
	message []byte  // to be sent
	cancel  *Client // to be sent, after it
	m       *sip.Message
	flow    transport.Flow // of m
	err     error          // of a transport error
}

// maxNotices is how many notices wait for a user that is slow.
const maxNotices = 64

// Flow returns where the request was sent.
func (c *Client) Flow() transport.Flow { return c.flow }

// SetTimeout replaces what is left of Timer B or F: without a final response, for an INVITE without any response, until d from
// now, the transaction fails with [ErrTimeout]. So failover to another next hop need not wait for 64*T1.
func (c *Client) SetTimeout(d time.Duration) {
	sh := c.shard
	now := sh.table.now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c.invite {
		(*clientInvite)(&c.machine).timeout(now, d)
	} else {
		(*clientNonInvite)(&c.machine).timeout(now, d)
	}
	c.schedule(now)
}

// Cancel cancels an INVITE (RFC 3261 section 9.1): the CANCEL is sent now if there was a provisional response, else when there is
// one, and not if a final one comes before. reason is the value of its Reason header field (RFC 3326), or "". The INVITE's final
// response still comes; if it does not within 64*T1 the transaction fails with [ErrTimeout]. A second call, and a call for
// another method, do nothing.
func (c *Client) Cancel(reason string) {
	sh := c.shard
	now := sh.table.now()
	sh.mu.Lock()
	if sh.closed || !c.invite || c.machine.canceled {
		sh.mu.Unlock()
		return
	}
	if reason != "" {
		c.box().reason = reason
	}
	n := c.step(cancel, now, nil)
	c.schedule(now)
	sh.mu.Unlock()
	if n.cancel != nil {
		n.cancel.start(n.message)
	}
}

func (c *Client) kind() kind {
	if c.invite {
		return inviteClient
	}
	return nonInviteClient
}

func (c *Client) box() *outbox {
	if c.outbox == nil {
		c.outbox = new(outbox)
	}
	return c.outbox
}

// start sends the request for the first time. The user is not told of an error.
func (c *Client) start(b []byte) error {
	sh := c.shard
	err := sh.table.cfg.Sender.Send(c.flow, b)
	if err == nil {
		return nil
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.kinds[c.kind()].TransportErrors++
	// If there is a response nevertheless, that counts.
	if c.machine.state == calling || c.machine.state == trying {
		c.step(transportError, sh.table.now(), nil)
		return transportFailure(err)
	}
	return nil
}

// step tells the machine, and does what needs nobody else. As all that follows, it is called with the shard's lock held.
func (c *Client) step(e event, now instant, m *sip.Message) notice {
	t := &c.shard.table.timing
	n := notice{m: m}
	if c.invite {
		n.todo = (*clientInvite)(&c.machine).step(e, now, t)
	} else {
		n.todo = (*clientNonInvite)(&c.machine).step(e, now, t)
	}
	if n.todo.has(makeACK) {
		c.sent = c.makeACK(m)
	}
	if n.todo.has(sendRequest | makeACK | sendACK) {
		n.message = c.sent
	}
	if n.todo.has(sendCancel) {
		n.cancel, n.message = c.makeCancel(now)
	}
	if n.todo.has(forget) {
		c.sent = nil
	}
	if n.todo.has(end) {
		c.shard.removeClient(c)
	}
	return n
}

// makeACK builds the ACK for a final response other than 2xx (RFC 3261 section 17.1.1.3) from what was sent; nil if that was no
// INVITE.
func (c *Client) makeACK(final *sip.Message) []byte {
	invite, err := parseSent(c.sent)
	if err != nil {
		return nil
	}
	return trim(sip.AppendACK(nil, invite, final))
}

// makeCancel builds a CANCEL from what was sent, and a transaction for it (RFC 3261 section 9.1); nil if what was sent was no INVITE.
func (c *Client) makeCancel(now instant) (*Client, []byte) {
	invite, err := parseSent(c.sent)
	if err != nil {
		return nil, nil
	}
	sh := c.shard
	k := sh.table.hash.client(invite.Via().Branch, sip.CANCEL)
	if sh.clients[k] != nil {
		return nil, nil
	}
	var reason string
	if c.outbox != nil {
		reason = c.outbox.reason
	}
	b := trim(sip.AppendCancel(nil, invite, reason))
	own := sh.newClient(k, c.flow, sip.CANCEL, b, nil, now)
	own.own = true
	return own, b
}

// parseSent reads a message that was sent. It is held to no limit: what a proxy sends has more header fields than what it received,
// which may have had as many as its parser allows, and an INVITE without ACK and CANCEL cannot be ended.
func parseSent(b []byte) (*sip.Message, error) {
	p := sip.Parser{MaxSize: -1, MaxLine: -1, MaxURI: -1, MaxHeaders: -1, MaxParams: -1, MaxNesting: -1}
	return p.Parse(b, netip.AddrPort{})
}

func (c *Client) due(now instant) event {
	if c.invite {
		return (*clientInvite)(&c.machine).due(now)
	}
	return (*clientNonInvite)(&c.machine).due(now)
}

func (c *Client) schedule(now instant) {
	switch {
	case c.shard.closed:
	case c.machine.waiting():
		c.shard.scheduleWaiting(&c.timer, c.machine.expire, now)
	default:
		c.shard.schedule(&c.timer, c.machine.next(), now)
	}
}

// fire implements [expirer].
func (c *Client) fire(now instant) {
	if n, ok := c.expire(now); ok {
		c.dispatch(n, now)
		return
	}
	c.schedule(now)
}

// expire steps the machine for a timer that has fired, if any.
func (c *Client) expire(now instant) (notice, bool) {
	e := c.due(now)
	if e == nothing {
		return notice{}, false
	}
	c.shard.fired[e]++
	return c.step(e, now, nil), true
}

// dispatch does what n says, and what comes of it; the lock is given up meanwhile. If another goroutine is at that already it
// is left to it, so that the user hears everything in order.
func (c *Client) dispatch(n notice, now instant) {
	if c.telling {
		c.leave(n)
		return
	}
	c.telling = true
	for more := true; more; {
		c.shard.mu.Unlock()
		err := c.perform(n)
		c.shard.mu.Lock()
		if err != nil {
			c.failed(n, err, now)
		}
		if n, more = c.nextNotice(); !more {
			n, more = c.expire(now)
		}
	}
	c.telling = false
	c.schedule(now)
}

// close ends the transaction with its table: nothing more is sent.
func (c *Client) close(now instant) {
	n := notice{todo: end}
	if c.machine.state < completed {
		n.todo |= tellTransport
		n.err = ErrClosed
	}
	c.machine.terminate()
	c.sent = nil
	if c.outbox != nil {
		for i := range c.outbox.notices {
			waiting := &c.outbox.notices[i]
			waiting.message, waiting.cancel = nil, nil
		}
	}
	c.dispatch(n, now)
}

// leave puts n in the outbox. What would come again, or does not matter, is dropped when the user is too slow.
func (c *Client) leave(n notice) {
	box := c.box()
	if len(box.notices) >= maxNotices && n.todo&^(passUp|sendRequest|sendACK) == 0 {
		c.shard.dropped++
		return
	}
	box.notices = append(box.notices, n)
}

func (c *Client) nextNotice() (notice, bool) {
	box := c.outbox
	if box == nil || len(box.notices) == 0 {
		return notice{}, false
	}
	n := box.notices[0]
	if box.notices = box.notices[1:]; len(box.notices) == 0 {
		box.notices = nil
	}
	return n, true
}

// failed notes that the message of n could not be sent.
func (c *Client) failed(n notice, err error, now instant) {
	c.shard.kinds[c.kind()].TransportErrors++
	n = c.step(transportError, now, nil)
	n.err = transportFailure(err)
	if n.todo != 0 {
		c.leave(n)
	}
}

// perform sends, and calls the user, without the lock. The error is that of sending a message of c itself.
func (c *Client) perform(n notice) (err error) {
	switch {
	case n.cancel != nil:
		n.cancel.start(n.message)
	case n.message != nil:
		err = c.shard.table.cfg.Sender.Send(c.flow, n.message)
	}
	if c.user == nil {
		return err
	}
	if n.todo.has(passUp) {
		c.user.Response(c, n.m, n.flow)
	}
	switch {
	case n.todo.has(tellTimeout):
		c.user.Failed(c, ErrTimeout)
	case n.todo.has(tellTransport):
		c.user.Failed(c, n.err)
	case n.todo.has(tellTimerC):
		c.user.TimerC(c)
	}
	if n.todo.has(end) {
		c.user.Ended(c)
	}
	return err
}
