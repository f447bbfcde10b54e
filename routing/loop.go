package routing

import (
	"hash/maphash"
	"strconv"
	"strings"

	"github.com/goser-project/goser/sip"
)

// A branch of ours is the magic cookie, a random part that nobody can guess,
// a dot, and a hash of what routing depends on. A request that comes back with
// the same hash in a Via of ours has looped; one whose hash differs spirals
// (RFC 3261 16.6 step 8, RFC 5393 4.2).
const magicCookie = "z9hG4bK"

// newVia makes the Via of a new copy that leaves from out, with a new branch at
// its end; in is where the request came to.
func (r *Request) newVia(in, out *place) string {
	var a [192]byte
	b := append(append(a[:0], out.via...), magicCookie...)
	if r.stateless() {
		return string(r.appendStateless(b, in.number))
	}
	b = strconv.AppendUint(b, r.server.rand(), 36)
	b = append(b, '.')
	b = strconv.AppendUint(b, r.loopHash(), 36)
	return string(b)
}

// stateless reports whether nothing is kept of the request, so that its branch
// has to tell where responses go. An ACK has none, outside of stateless servers.
func (r *Request) stateless() bool { return !r.own && r.server.stateless(r.Method()) }

// loopHash covers what decides about the routing of the request as it came:
// RFC 5393 4.2.1 names these, and leaves out the topmost Via. The socket is
// added, as an maddr may lead from one of ours to another (16.4).
func (r *Request) loopHash() uint64 {
	if r.loopKey != 0 {
		return r.loopKey
	}
	m := r.Message
	var h maphash.Hash
	h.SetSeed(r.server.seed)
	sep := func() { h.WriteByte(0) }
	var a [256]byte
	h.Write(m.RequestURI().AppendTo(a[:0]))
	sep()
	h.WriteString(m.From().Tag)
	sep()
	h.WriteString(m.To().Tag)
	sep()
	h.WriteString(m.CallID())
	sep()
	h.Write(strconv.AppendUint(a[:0], uint64(m.CSeq().Number), 10))
	h.WriteByte(byte(r.flow.Protocol))
	h.Write(strconv.AppendUint(a[:0], uint64(r.flow.Local.Port()), 10))
	for _, name := range [...]string{sip.Route, sip.ProxyRequire, sip.ProxyAuthorization} {
		sep()
		for v := range m.Lines(name) {
			h.WriteString(v)
			sep()
		}
	}
	r.loopKey = h.Sum64() | 1
	return r.loopKey
}

// looped reports whether the request was here before with the same routing. A
// request without a transaction cannot be told, and cannot fork either: Max-Forwards ends its loops.
func (r *Request) looped() bool {
	if r.stateless() {
		return false
	}
	id := r.server.identity.load()
	var key string
	for v, err := range r.Message.Vias() {
		if err != nil || !strings.HasPrefix(v.Branch, magicCookie) || !id.isOwnVia(&v) {
			continue
		}
		if key == "" {
			key = strconv.FormatUint(r.loopHash(), 36)
		}
		if _, hash, ok := strings.Cut(v.Branch, "."); ok && hash == key {
			return true
		}
	}
	return false
}

// toTag is the To tag of all responses that this server makes to a request: a
// keyed hash, so that retransmissions, and the 200 to a CANCEL, get the same.
func (s *Server) toTag(m *sip.Message) string {
	v := m.Via()
	var h maphash.Hash
	h.SetSeed(s.seed)
	h.WriteString(m.CallID())
	h.WriteByte(0)
	h.WriteString(m.From().Tag)
	h.WriteByte(0)
	h.WriteString(v.Branch)
	h.WriteString(v.Host)
	var a [20]byte
	return string(strconv.AppendUint(a[:0], h.Sum64(), 36))
}
