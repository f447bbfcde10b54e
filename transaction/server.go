package transaction

import (
	"bytes"
	"slices"
	"strings"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// Server is a server transaction (RFC 3261 section 17.2): a request that was received, and its responses. It ends by its state
// machine, not by the user's losing interest: a user that was given one responds with a final response in the end, or drops it.
// All methods may be called from any goroutine.
type Server struct {
	timer
	shard   *shard
	key     key
	method  sip.Method
	flow    transport.Flow
	machine machine
	last    []byte       // the last response, while it may be sent again
	request *sip.Message // while a 100 may have to be made of it
	data    any
	err     error      // of a final response that could not be sent
	legacy  *legacyTag // of an INVITE without magic cookie
	ongoing uint64     // in shard.ongoing, if enlisted

	// What the user has to be told. Only one goroutine at a time does it, and not before the user knows the transaction.
	canceledBy *sip.Message
	ended      bool
	telling    bool
	held       bool

	invite   bool
	own      bool // the table's, for a CANCEL: the user does not know it
	enlisted bool
	merged   bool
}

// legacyTag is the To tag of the final response, by which RFC 3261 section 17.2.3 matches an ACK without magic cookie.
type legacyTag struct{ tag string }

// Method returns the request's method.
func (s *Server) Method() sip.Method { return s.method }

// Flow returns where responses go. At first that is where RFC 3261 section 18.2.2 and RFC 3581 section 4 want them: back on the
// connection, or to the request's source address.
func (s *Server) Flow() transport.Flow {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	return s.flow
}

// SetFlow makes responses, and retransmissions of those that were sent, go to f.
func (s *Server) SetFlow(f transport.Flow) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.flow = f
	s.machine.reliable = f.Protocol.Reliable()
}

// SetData keeps d for [Server.Data]. From then on the user is told of the transaction's end and of a CANCEL, even while Request
// still runs.
func (s *Server) SetData(d any) {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	s.data = d
	s.held = false
	if s.toTell() {
		s.schedule(s.shard.table.now())
	}
}

// Data returns what SetData was given.
func (s *Server) Data() any {
	s.shard.mu.Lock()
	defer s.shard.mu.Unlock()
	return s.data
}

// Merged says that there was another ongoing transaction with the same From tag, Call-ID and CSeq when this one came, and the
// request has no To tag: a user agent server answers 482 (RFC 3261 section 8.2.2.2). A transaction is ongoing until it is
// answered with 300 to 699 or leaves the table.
func (s *Server) Merged() bool { return s.merged }

// Respond sends the response b, whose status code is given. What may have to be sent again is copied; b stays the caller's. It says
// [ErrFinal], [ErrProvisional] or [ErrEnded], and sends nothing, where the state machine wants no such response; only a 2xx to an
// INVITE may be followed by more of them.
//
// With [ErrTransport] the response could not be sent. The transaction stays as it is (RFC 6026 section 8.8) and another final
// response is taken, so that the user can try another flow: SetFlow, and Respond again.
func (s *Server) Respond(status int, b []byte) error {
	if status < 100 || status > 699 {
		return ErrStatus
	}
	sh := s.shard
	now := sh.table.now()
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		return ErrClosed
	}
	todo := s.step(responseEvent(status), now)
	if todo.has(refuse) {
		err := s.refusal()
		sh.mu.Unlock()
		return err
	}
	s.responding(status, b, todo)
	flow := s.flow
	// On a reliable transport a non-INVITE transaction ends with its final response, but not before that is sent.
	last := s.machine.expire <= now
	if !last {
		s.schedule(now)
	}
	sh.mu.Unlock()

	err := sh.table.cfg.Sender.Send(flow, b)
	if err == nil && !last {
		return nil
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if err != nil {
		err = transportFailure(err)
		sh.kinds[s.kind()].TransportErrors++
		if status >= 200 && s.machine.state != terminated {
			s.err = err
			s.step(transportError, now)
		}
	}
	s.schedule(now)
	return err
}

// responding notes what follows from a response that the machine lets pass.
func (s *Server) responding(status int, b []byte, todo actions) {
	s.request = nil
	if todo.has(keep) {
		s.last = bytes.Clone(b)
	}
	if status >= 200 {
		s.err = nil
	}
	if status >= 300 {
		s.shard.release(s)
		if s.legacy != nil {
			s.legacy.tag = toTagOf(b)
		}
	}
}

// refusal is the reason why the machine refused a response.
func (s *Server) refusal() error {
	switch s.machine.state {
	case terminated:
		return ErrEnded
	case trying, proceeding:
		return ErrProvisional
	}
	return ErrFinal
}

// Drop ends the transaction without an answer. A retransmission of its request is a new request.
func (s *Server) Drop() {
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := sh.table.now()
	if !sh.closed && s.step(drop, now).has(end) {
		s.finish(nil)
		s.schedule(now)
	}
}

func (s *Server) kind() kind {
	if s.invite {
		return inviteServer
	}
	return nonInviteServer
}

// begin starts the machine for the request m; nil if no 100 may come of it.
func (s *Server) begin(m *sip.Message, now instant) (todo actions) {
	t := &s.shard.table.timing
	if s.invite {
		todo = (*serverInvite)(&s.machine).start(now, s.flow.Protocol.Reliable(), t)
	} else {
		(*serverNonInvite)(&s.machine).start(now, s.flow.Protocol.Reliable(), t)
	}
	if s.machine.resend != never {
		s.request = m
	}
	s.schedule(now)
	return todo
}

// step tells the machine. As all that follows, it is called with the shard's lock held.
func (s *Server) step(e event, now instant) (todo actions) {
	t := &s.shard.table.timing
	if s.invite {
		todo = (*serverInvite)(&s.machine).step(e, now, t)
	} else {
		todo = (*serverNonInvite)(&s.machine).step(e, now, t)
	}
	if todo.has(forget) {
		s.last = nil
	}
	return todo
}

func (s *Server) due(now instant) event {
	if s.invite {
		return (*serverInvite)(&s.machine).due(now)
	}
	return (*serverNonInvite)(&s.machine).due(now)
}

func (s *Server) schedule(now instant) {
	switch {
	case s.shard.closed:
	case s.held && s.machine.expire <= now:
		// It ends when Request returns.
	case s.toTell() && !s.telling && !s.held:
		s.shard.schedule(&s.timer, 0, now)
	case s.machine.waiting():
		s.shard.scheduleWaiting(&s.timer, s.machine.expire, now)
	default:
		s.shard.schedule(&s.timer, s.machine.next(), now)
	}
}

// finish takes an ended transaction out of the table.
func (s *Server) finish(err error) {
	s.request, s.legacy = nil, nil
	if s.err == nil {
		s.err = err
	}
	s.shard.removeServer(s)
	s.ended = true
}

// close ends the transaction with its table.
func (s *Server) close(now instant) {
	s.step(drop, now)
	s.canceledBy = nil
	s.finish(ErrClosed)
	s.tell()
}

// again handles a retransmission of the request.
func (s *Server) again(m *sip.Message, now instant) {
	sh := s.shard
	sh.kinds[s.kind()].Absorbed++
	todo := s.step(request, now)
	s.schedule(now)
	if !todo.has(sendAgain) {
		return
	}
	if s.last != nil {
		s.send(s.last)
		return
	}
	// The last response was a 100 of ours, which is made again rather than kept, or there is none yet.
	s.request = nil
	s.sendTrying(m, 0)
}

// send sends b; the lock is given up meanwhile. That it cannot be sent changes nothing: it is a provisional response, or not sent
// for the first time.
func (s *Server) send(b []byte) {
	sh, flow := s.shard, s.flow
	sh.mu.Unlock()
	err := sh.table.cfg.Sender.Send(flow, b)
	sh.mu.Lock()
	if err != nil {
		sh.kinds[s.kind()].TransportErrors++
	}
}

// sendTrying sends a 100 for the request m, which came the given time ago; the lock is given up meanwhile.
func (s *Server) sendTrying(m *sip.Message, ago instant) {
	sh, flow := s.shard, s.flow
	sh.mu.Unlock()
	err := sh.table.reply(flow, m, sh.table.tryingAfter(m, ago), "")
	sh.mu.Lock()
	if err != nil {
		sh.kinds[s.kind()].TransportErrors++
	}
}

// fire implements [expirer].
func (s *Server) fire(now instant) {
	for e := s.due(now); e != nothing; e = s.due(now) {
		s.shard.fired[e]++
		todo := s.step(e, now)
		switch {
		case todo.has(send100):
			m := s.request
			s.request = nil
			s.sendTrying(m, s.tryingDelay())
		case todo.has(sendAgain):
			s.send(s.last)
		case todo.has(tellNoACK):
			s.finish(ErrNoACK)
		case todo.has(tellTimeout):
			s.finish(ErrTimeout)
		case todo.has(end):
			s.finish(nil)
		}
	}
	if s.machine.state != terminated {
		s.schedule(now)
	}
	s.tell()
}

// tryingDelay is how long after the request a 100 is sent.
func (s *Server) tryingDelay() instant {
	if s.invite {
		return s.shard.table.timing.Trying
	}
	return s.shard.table.timing.late
}

// toTell says whether there is something to tell the user.
func (s *Server) toTell() bool { return s.canceledBy != nil || s.ended }

// tell tells the user of a CANCEL and of the end, unless another goroutine does or the user does not know the transaction yet;
// the lock is given up meanwhile. Where the user must not be called, schedule makes the timer's goroutine do it.
func (s *Server) tell() {
	if s.telling || s.held {
		return
	}
	s.telling = true
	for s.toTell() {
		m, ended, err := s.canceledBy, s.ended, s.err
		s.canceledBy, s.ended = nil, false
		if s.own {
			continue
		}
		user := s.shard.table.cfg.User
		s.shard.mu.Unlock()
		if m != nil {
			user.Cancel(s, m)
		}
		if ended {
			user.Ended(s, err)
		}
		s.shard.mu.Lock()
	}
	s.telling = false
}

// trim returns b without much unused memory behind it.
func trim(b []byte) []byte {
	if cap(b)-len(b) <= len(b)/4 {
		return b
	}
	return append(make([]byte, 0, len(b)), b...)
}

// toTagOf reads the To tag of a response.
func toTagOf(b []byte) string {
	m, err := parseSent(b)
	if err != nil {
		return ""
	}
	return strings.Clone(m.ToTag())
}

// keepMethod returns m without keeping a message alive.
func keepMethod(m sip.Method) sip.Method {
	if m == sip.CANCEL || slices.Contains(methods[:], m) {
		return m // a constant, see sip.Method
	}
	return sip.Method(strings.Clone(string(m)))
}
