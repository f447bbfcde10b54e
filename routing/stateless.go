package routing

import (
	"bytes"
	"hash/maphash"
	"net/netip"
	"strconv"
	"strings"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// forwardWithoutTransaction is Forward and Fork where there is nothing to wait for.
func (r *Request) forwardWithoutTransaction(targets []Target) Response {
	if r.Method() != sip.ACK {
		return Response{Status: sip.StatusServerInternalError, Err: ErrStateless, done: true}
	}
	return Response{Err: r.relayWithoutTransaction(targets), done: true}
}

// relayWithoutTransaction sends the request on and forgets it: an ACK for a
// 2xx, or what is handled without a transaction (RFC 3261 16.11): it sends one copy
// only, to the first target.
func (r *Request) relayWithoutTransaction(targets []Target) error {
	breadth, refusal := r.checkForward(1)
	if refusal != 0 {
		return Status(refusal)
	}
	one := r.server.takeCopy()
	defer r.server.putCopy(one)
	if len(targets) > 0 {
		one.target = targets[0]
	}
	var err error
	one.way, err = r.findWay(r.ctx, &one.target, nil, breadth, draft{r.edit, r.recordRoute})
	var out outbound
	if err == nil {
		out, err = r.prepare(r.ctx, &one.way)
	}
	if err == nil {
		err = r.server.layer.Send(out.flow, out.text)
		out.free(r.server)
	}
	if err != nil {
		r.server.counters.branchErrors.Add(1)
		return Status(sip.StatusServerInternalError)
	}
	r.server.counters.requestsForwarded.Add(1)
	return nil
}

// A stateless branch is the magic cookie, a keyed hash, and the flow that the
// request came on: listener, connection, port. "The value of the branch
// … MUST be computed … as a function of message fields that are constant on
// retransmission" (16.11): of the topmost branch, which an ACK for a non-2xx and
// a CANCEL share with their INVITE; and of the fields that RFC 2543 matches by
// where that branch is not unique. The hash covers the flow too, so that a
// response can be trusted to name one of ours. It has no part for loops: what
// would tell loops from spirals differs between an INVITE and its ACK.

// appendStateless appends a copy's branch without the cookie.
func (r *Request) appendStateless(b []byte, in int) []byte {
	v := r.Message.Via()
	from := origin{place: uint64(in)}
	if r.flow.Conn != 0 {
		from.conn, from.port = r.flow.Conn, uint64(r.flow.Remote.Port())
	}
	b = strconv.AppendUint(b, r.server.statelessHash(r.Message, &v, from), 36)
	for _, part := range [...]uint64{from.place, from.conn, from.port} {
		b = append(b, '-')
		b = strconv.AppendUint(b, part, 36)
	}
	return b
}

// origin is what a stateless branch says of where its request came from.
type origin struct {
	place      uint64 // number of the listener
	conn, port uint64 // connection and the remote port of it, 0 for UDP
}

// statelessHash depends only on what a response brings back: the Via below
// ours, From tag, Call-ID and CSeq number.
func (s *Server) statelessHash(m *sip.Message, below *sip.ViaParm, from origin) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	var a [24]byte
	h.WriteString(below.Branch)
	h.WriteByte(0)
	h.WriteString(below.Host)
	h.Write(strconv.AppendUint(a[:0], uint64(below.Port), 10))
	h.WriteByte(0)
	h.WriteString(below.Received)
	h.Write(strconv.AppendUint(a[:0], uint64(below.RPort), 10))
	if !strings.HasPrefix(below.Branch, magicCookie) {
		h.WriteByte(0)
		h.WriteString(m.From().Tag)
		h.WriteByte(0)
		h.WriteString(m.CallID())
		h.WriteByte(0)
		h.Write(strconv.AppendUint(a[:0], uint64(m.CSeq().Number), 10))
	}
	for _, part := range [...]uint64{from.place, from.conn, from.port} {
		h.WriteByte(0)
		h.Write(strconv.AppendUint(a[:0], part, 10))
	}
	return h.Sum64()
}

// relayResponseStateless sends a response on to the Via below ours (16.11): on
// the flow that our branch names, which its hash proves to be ours.
func (s *Server) relayResponseStateless(m *sip.Message) {
	id := s.identity.load()
	top := m.Via()
	var below sip.ViaParm
	n := 0
	for v, err := range m.Vias() {
		if n++; n == 2 {
			if err == nil {
				below = v
			}
			break
		}
	}
	if !id.isOwnVia(&top) || below.Host == "" {
		s.counters.strayResponses.Add(1)
		return
	}
	flow, ok := s.flowOfBranch(id, m, top.Branch, &below)
	if !ok {
		s.counters.strayResponses.Add(1)
		return
	}
	sc := s.takeScratch()
	defer s.putScratch(sc)
	sc.patch.RemoveFirst(sip.Via)
	sc.text = sip.AppendMessage(sc.text[:0], m, &sc.patch)
	s.counters.responsesSent.Add(1)
	if err := s.layer.Send(flow, sc.text); err != nil && flow.Protocol.Reliable() {
		text := bytes.Clone(sc.text)
		s.background(func() { s.sendAnew(&below, flow, text) })
	}
}

// readStateless reads a branch that appendStateless has made.
func readStateless(branch string) (hash uint64, from origin, ok bool) {
	rest, ok := strings.CutPrefix(branch, magicCookie)
	for _, n := range [...]*uint64{&hash, &from.place, &from.conn, &from.port} {
		part, more, _ := strings.Cut(rest, "-")
		var err error
		if *n, err = strconv.ParseUint(part, 36, 64); err != nil {
			return 0, origin{}, false
		}
		rest = more
	}
	return hash, from, ok && rest == ""
}

// flowOfBranch reads and checks the flow in a stateless branch.
func (s *Server) flowOfBranch(id *identitySnapshot, m *sip.Message, branch string, below *sip.ViaParm) (transport.Flow, bool) {
	hash, from, ok := readStateless(branch)
	if !ok || from.place >= uint64(len(id.places)) || hash != s.statelessHash(m, below, from) {
		return transport.Flow{}, false
	}
	l := id.places[from.place].listener
	hop, err := responseHop(below, l.Protocol)
	if err != nil {
		return transport.Flow{}, false
	}
	f := transport.Flow{Protocol: l.Protocol, Local: l.Addr, Remote: hop.Addr, Conn: from.conn}
	if from.conn != 0 {
		f.Remote = netip.AddrPortFrom(hop.Addr.Addr(), uint16(from.port))
	}
	return f, true
}
