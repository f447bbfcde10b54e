package transaction

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"strings"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// key tells transactions of one side apart: a hash of what RFC 3261 sections 17.1.3 and 17.2.3 compare. Its 128 bits come from two
// seeds that nobody outside the process knows, so that equal keys mean equal values, nothing of a message has to be kept for the
// comparison, and looking up allocates nothing.
type key struct{ a, b uint64 }

// hasher makes the keys of a table.
type hasher struct{ a, b, tag maphash.Seed }

func newHasher() hasher {
	return hasher{maphash.MakeSeed(), maphash.MakeSeed(), maphash.MakeSeed()}
}

func (h *hasher) key(identity []byte) key {
	return key{maphash.Bytes(h.a, identity), maphash.Bytes(h.b, identity)}
}

// identity is a buffer for what a key is made of. It holds that of all but strange messages, without allocation.
type identity [256]byte

const cookie = "z9hG4bK"

// methods are those that a CANCEL may be meant for; the more likely come first.
var methods = [...]sip.Method{sip.INVITE, sip.REGISTER, sip.SUBSCRIBE, sip.NOTIFY, sip.MESSAGE, sip.OPTIONS, sip.INFO, sip.REFER,
	sip.PUBLISH, sip.UPDATE, sip.PRACK, sip.BYE}

// forMethod makes the key of one method out of that of all methods. An ACK belongs to the INVITE.
func (h *hasher) forMethod(k key, m sip.Method) key {
	switch m {
	case sip.INVITE, sip.ACK:
		return k
	case sip.CANCEL:
		k.a ^= 1
		return k
	}
	k.a ^= maphash.String(h.a, string(m))
	return k
}

// client is the key of a client transaction: "the same value of the branch parameter in the top Via header field" and "the method
// parameter in the CSeq header field" (17.1.3).
func (h *hasher) client(branch string, m sip.Method) key {
	var buf identity
	return h.forMethod(h.key(append(buf[:0], branch...)), m)
}

// server is the key of the server transactions that m may belong to, but for the method; and for requests of RFC 2543, but for the To
// tag.
func (h *hasher) server(m *sip.Message, via *sip.ViaParm) key {
	var buf identity
	return h.key(appendIdentity(buf[:0], m, via))
}

// toTag is a To tag for m, the same for an INVITE and its CANCEL.
func (h *hasher) toTag(m *sip.Message) string {
	var buf identity
	var sum [8]byte
	via := m.Via()
	binary.BigEndian.PutUint64(sum[:], maphash.Bytes(h.tag, appendIdentity(buf[:0], m, &via)))
	const digits = "0123456789abcdef"
	var tag [16]byte
	for i, c := range sum {
		tag[2*i], tag[2*i+1] = digits[c>>4], digits[c&15]
	}
	return string(tag[:])
}

// merged is equal for requests that may have been one before they were forked (8.2.2.2).
func (h *hasher) merged(m *sip.Message) uint64 {
	var buf identity
	seq := m.CSeq()
	b := binary.BigEndian.AppendUint32(buf[:0], seq.Number)
	b = appendPart(b, string(seq.Method))
	b = appendPart(b, m.FromTag())
	return maphash.Bytes(h.b, appendPart(b, m.CallID()))
}

// withTag adds the To tag, for requests of RFC 2543.
func (h *hasher) withTag(k key, tag string) key {
	if tag != "" {
		k.a ^= maphash.String(h.b, tag)
	}
	return k
}

// hasCookie says whether RFC 3261 made the branch, which then is unique (8.1.1.7).
func hasCookie(branch string) bool {
	return len(branch) > len(cookie) && strings.HasPrefix(branch, cookie)
}

// appendIdentity appends what a request and its retransmissions, its ACK and its CANCEL have in common by section 17.2.3: branch and
// sent-by; without a cookie also the Request-URI, From tag, Call-ID, and number of CSeq. URIs are compared as they are written: a
// retransmission is the same bytes, and the ACK and CANCEL of an RFC 2543 client copy them.
func appendIdentity(b []byte, m *sip.Message, via *sip.ViaParm) []byte {
	b = appendPart(b, via.Branch)
	b = binary.BigEndian.AppendUint16(b, via.Port)
	for i := range len(via.Host) {
		c := via.Host[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	if hasCookie(via.Branch) {
		return b
	}
	b = appendPart(append(b, 0), m.FromTag())
	b = appendPart(b, m.CallID())
	b = binary.BigEndian.AppendUint32(b, m.CSeq().Number)
	uri := m.RequestURI()
	return uri.AppendTo(b)
}

// appendPart appends s so that it cannot be taken for the end of one part and the beginning of the next.
func appendPart(b []byte, s string) []byte { return append(append(b, s...), 0) }

// ResponseFlow returns where the response to a request goes, given its topmost Via and where it came from (RFC 3261 section
// 18.2.2, RFC 3581 section 4): back on the connection; or to the source address, and there to the source port if the Via has
// rport, else to the port of its sent-by. A maddr is not followed: it would let a request choose who gets the response.
func ResponseFlow(via *sip.ViaParm, f transport.Flow) transport.Flow {
	if f.Protocol.Reliable() || via.HasRPort {
		return f
	}
	port := via.Port
	if port == 0 {
		port = f.Protocol.DefaultPort()
	}
	f.Remote = netip.AddrPortFrom(f.Remote.Addr(), port)
	return f
}
