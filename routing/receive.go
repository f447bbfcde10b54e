package routing

import (
	"bytes"
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transaction"
	"github.com/goser-project/goser/transport"
)

// receive is the way in for all bytes, on the goroutine of their reader.
func (s *Server) receive(p *transport.Packet) {
	if isKeepalive(p.Data) {
		s.counters.keepalives.Add(1)
		return
	}
	m, err := s.Parser.Parse(p.Data, p.Flow.Remote)
	if err != nil {
		s.refuseUnparsed(p, m, err)
		return
	}
	switch {
	case !m.IsRequest():
		s.counters.responsesReceived.Add(1)
		if via := m.Via(); !s.identity.load().isOwnVia(&via) {
			// RFC 3261 18.1.2: "the response MUST be silently discarded".
			s.counters.strayResponses.Add(1)
			return
		}
		if s.stateless(m.CSeq().Method) && hasSecondVia(m) { // else it answers a request of our own
			s.relayResponseStateless(m)
			return
		}
	default:
		s.counters.requestsReceived.Add(1)
		if s.stateless(m.Method()) {
			s.request(nil, m, p)
			return
		}
	}
	s.table.Receive(m, p)
}

// stateless reports whether requests of a method have no transactions.
func (s *Server) stateless(m sip.Method) bool {
	if s.Stateless || len(s.StatelessMethods) == 0 {
		return s.Stateless
	}
	return m != sip.INVITE && m != sip.ACK && m != sip.CANCEL && slices.Contains(s.StatelessMethods, m)
}

// sendFailed takes the news of a message that could not be sent after all.
func (s *Server) sendFailed(f transport.Flow, data []byte, err error) {
	s.table.SendFailed(data, err)
	if told := s.Transport.SendFailed; told != nil {
		told(f, data, err)
	}
}

// isKeepalive recognises datagrams that only keep a NAT binding open: CRLF
// pings (RFC 5626 4.4.1) and the four zero bytes that some servers send.
func isKeepalive(data []byte) bool {
	if len(data) > 4 {
		return false
	}
	for _, c := range data {
		if c != '\r' && c != '\n' && c != 0 {
			return false
		}
	}
	return true
}

// refuseUnparsed answers a request that is readable enough to be answered and
// counts the rest.
func (s *Server) refuseUnparsed(p *transport.Packet, m *sip.Message, err error) {
	if s.OnInvalid != nil {
		s.OnInvalid(p.Data, p.Flow, err)
	}
	var bad *sip.ParseError
	if m == nil || m.Method() == sip.ACK || !errors.As(err, &bad) {
		s.counters.invalidDropped.Add(1)
		return
	}
	s.counters.invalidAnswered.Add(1)
	res := sip.NewResponse(bad.Status)
	res.Reason = bad.Reason
	s.respondStateless(p.Flow, m, res)
}

// user is the Server as the transaction layer's user, apart so that these
// methods are not the Server's.
type user Server

var _ transaction.User = (*user)(nil)

// Request starts a new request, or an ACK that belongs to no transaction.
func (u *user) Request(tx *transaction.Server, m *sip.Message, p *transport.Packet) {
	(*Server)(u).request(tx, m, p)
}

// Cancel ends the request that a CANCEL names (RFC 3261 16.10).
func (u *user) Cancel(tx *transaction.Server, m *sip.Message) {
	if rc, ok := tx.Data().(*responseContext); ok {
		rc.cancelled(m.Get(sip.Reason))
	}
}

// Response counts a response of no transaction of ours. A stateful proxy must
// not forward it (RFC 6026): it would relay forged responses for anybody.
func (u *user) Response(m *sip.Message, f transport.Flow) {
	(*Server)(u).counters.strayResponses.Add(1)
}

// Ended tells the response context that its server transaction is gone.
func (u *user) Ended(tx *transaction.Server, err error) {
	if rc, ok := tx.Data().(*responseContext); ok {
		rc.transactionEnded(err)
	}
}

// request validates a request, prepares its route and brings it to the handler
// in the order of its call. tx is nil for ACKs and what is stateless.
func (s *Server) request(tx *transaction.Server, m *sip.Message, p *transport.Packet) {
	r := newRequest(s, tx, m, p.Flow)
	if res := s.validate(m); res != nil {
		s.counters.refused.Add(1)
		if s.OnInvalid != nil {
			s.OnInvalid(p.Data, p.Flow, Refuse(res))
		}
		r.refuse(res)
		return
	}
	r.preprocess()
	if n := s.counters.handlers.Add(1); s.ctx.Err() != nil || n > int64(defaultInt(s.MaxHandlers, DefaultMaxHandlers)) {
		s.overloaded(r)
		return
	}
	if s.trust.allows(m.Method()) && s.order.free(r) {
		s.serveInline(r, p)
		return
	}
	run, refused := s.order.enter(r)
	switch {
	case refused:
		s.overloaded(r)
	case run:
		s.runHandler(r)
	}
}

// overloaded refuses a request that no handler is left for.
func (s *Server) overloaded(r *Request) {
	s.counters.handlers.Add(-1)
	s.counters.overloaded.Add(1)
	res := sip.NewResponse(sip.StatusServiceUnavailable)
	res.Set(sip.RetryAfter, "10")
	r.refuse(res)
}

// serve runs the handler and does what its return says, also if it does not
// return but ends its goroutine (runtime.Goexit, as failed assertions do).
func (s *Server) serve(r *Request) {
	err := errPanic
	defer func() {
		if err == errPanic {
			s.counters.panics.Add(1)
		}
		r.returned(err)
		r.pass()
		s.counters.handlers.Add(-1)
	}()
	err = s.callHandler(r)
}

// callHandler turns a panic of user code into an error: it must not end the
// service of everybody else.
func (s *Server) callHandler(r *Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.logError("handler panicked", "method", string(r.Method()), "panic", v, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return s.Handler.ServeSIP(r.Context(), r)
}

// errPanic is the outcome of a handler that did not return.
var errPanic = errors.New("routing: handler did not return")

// passOn lets the next request of the call start.
func (s *Server) passOn(r *Request) {
	if next := s.order.leave(r.turnKey()); next != nil {
		s.runHandler(next)
	}
}

// respondStateless answers without a transaction. The To tag is a keyed hash
// of the request, so that a retransmission gets the same (RFC 3261 8.2.7).
func (s *Server) respondStateless(f transport.Flow, m *sip.Message, res *sip.Response) {
	if res.Err() != nil {
		s.counters.badEdits.Add(1)
		res = sip.NewResponse(sip.StatusServerInternalError)
	}
	s.counters.responsesSent.Add(1)
	sc := s.takeScratch()
	defer s.putScratch(sc)
	sc.text = sip.AppendResponse(sc.text[:0], m, res, s.toTag(m))
	via := m.Via()
	f = transaction.ResponseFlow(&via, f)
	if err := s.layer.Send(f, sc.text); err != nil && f.Protocol.Reliable() {
		b := bytes.Clone(sc.text)
		s.background(func() { s.sendAnew(&via, f, b) })
	}
}

// responseGrace bounds opening a connection for a response.
const responseGrace = 5 * time.Second

// sendAnew sends a response over a new connection when the one that the
// request came on is gone (RFC 3261 18.2.2).
func (s *Server) sendAnew(via *sip.ViaParm, f transport.Flow, b []byte) {
	ctx, cancel := context.WithTimeout(s.ctx, responseGrace)
	defer cancel()
	hop, err := responseHop(via, f.Protocol)
	if err == nil {
		f, err = s.layer.Connect(ctx, hop, f.Local)
	}
	if err == nil {
		err = s.layer.Send(f, b)
	}
	if err != nil {
		s.counters.branchErrors.Add(1)
	}
}
