package registrar

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// MaxQ is the q value 1.0, the highest preference, and what a contact without a q parameter gets.
const MaxQ = 1000

// Binding is one contact of an address of record (RFC 3261 section 10.3 step 7), a value. Bindings that a [MemoryStore] returns keep
// nothing alive but their own text; see [Store] for those that go into one.
type Binding struct {
	// Contact is the contact's URI, without angle brackets, display name and header parameters, as the client wrote it but for a
	// scheme in capitals. It becomes the Request-URI of what is sent to the contact, also when the contact is behind a NAT.
	Contact string
	// CallID and CSeq are those of the REGISTER that made or last refreshed the binding.
	CallID string
	CSeq   uint32
	// Q is the q parameter in thousandths, 0 to [MaxQ].
	Q uint16
	// RegID is the reg-id parameter (RFC 5626 section 4.2), 0 if there was none.
	RegID uint32
	// Instance is the +sip.instance parameter (RFC 5626 section 4.1), without its quotes and with its angle brackets:
	// "<urn:uuid:…>"; "" if there was none.
	Instance string
	// Path is the values of the REGISTER's Path header fields in their order, separated by commas (RFC 3327): fit to be the value
	// of a Route header field of what is sent to the contact. It is "" if there were none.
	Path string
	// UserAgent is the REGISTER's User-Agent, cut to a length fit for a list of devices.
	UserAgent string
	// Flow is the flow on which the REGISTER came, if it is the way to the contact: for one behind a NAT, for one on the host that
	// the REGISTER came from, and to the first hop of Path. It is zero where Contact itself tells the way.
	Flow transport.Flow
	// Received is where the first of several hops saw the client, as it wrote into the received and rport parameters of the
	// client's Via; invalid if there was but one hop, which is Flow.Remote, or if it did not say. It is worth what the hops are.
	Received netip.AddrPort
	// Registered is when that REGISTER was received, Expires is when the binding ends; both to the millisecond.
	Registered, Expires time.Time
}

// URI parses Contact. The URI refers to Contact's text. It is the zero URI if Contact is not one, which the registrar never stores.
func (b *Binding) URI() sip.URI {
	u, err := sip.ParseURI(b.Contact)
	if err != nil {
		return sip.URI{}
	}
	return u
}

// Live says whether b has not yet expired at now.
func (b *Binding) Live(now time.Time) bool { return now.Before(b.Expires) }

// Remaining returns the time that b has left at now in whole seconds, rounded up, so that a live binding never says 0, which would
// mean that it is gone (RFC 3261 section 10.2.2).
func (b *Binding) Remaining(now time.Time) int64 {
	left := b.Expires.Sub(now)
	if left <= 0 {
		return 0
	}
	return int64((left + time.Second - 1) / time.Second)
}

// Clone returns a copy of b that shares no text with it.
func (b *Binding) Clone() Binding {
	c := *b
	var all strings.Builder // one allocation
	all.Grow(b.textSize())
	for _, text := range [...]string{b.Contact, b.CallID, b.Instance, b.Path, b.UserAgent} {
		all.WriteString(text)
	}
	rest := all.String()
	for _, text := range [...]*string{&c.Contact, &c.CallID, &c.Instance, &c.Path, &c.UserAgent} {
		n := len(*text)
		*text, rest = rest[:n], rest[n:]
	}
	return c
}

// textSize is the number of bytes of text in b.
func (b *Binding) textSize() int {
	return len(b.Contact) + len(b.CallID) + len(b.Instance) + len(b.Path) + len(b.UserAgent)
}

// preferred orders bindings as they are to be tried: highest q first (RFC 3261 section 16.6), then the one heard of last.
func preferred(a, b Binding) int {
	if c := cmp.Compare(b.Q, a.Q); c != 0 {
		return c
	}
	return b.Registered.Compare(a.Registered)
}

// ByQ groups bindings that are in the order of [Registrar.Lookup] into runs of equal q: the groups are tried one after the other,
// the bindings of a group at once (RFC 3261 section 16.6). The groups are parts of bindings.
func ByQ(bindings []Binding) iter.Seq[[]Binding] {
	return func(yield func([]Binding) bool) {
		for len(bindings) > 0 {
			n := slices.IndexFunc(bindings, func(b Binding) bool { return b.Q != bindings[0].Q })
			if n < 0 {
				n = len(bindings)
			}
			if !yield(bindings[:n:n]) {
				return
			}
			bindings = bindings[n:]
		}
	}
}
