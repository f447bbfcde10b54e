package registrar

import (
	"slices"
	"time"

	"github.com/goser-project/goser/sip"
)

// registration is what a REGISTER asks for, checked as far as that needs no bindings.
type registration struct {
	aor      string
	callID   string
	cseq     uint32
	path     string
	now      time.Time // when the REGISTER was received
	all      bool      // the contact is "*": remove all
	contacts []contact // no two of them equal
	most     int       // bindings that the address of record may have

	one [1]contact // what contacts begins with: most have one
}

// contact is one Contact of a REGISTER: the binding that it is to become, with its URI parsed. If the binding is not live when the
// REGISTER is received, the contact is to be removed.
type contact struct {
	Binding
	uri sip.URI
}

// contact adds a contact, to be filled in. The same one once more in a REGISTER takes the place of the first, as if they had been
// taken in turn; as it may be equal to several that are not equal to one another, it takes the place of all.
func (r *registration) contact(uri sip.URI) *contact {
	r.contacts = slices.DeleteFunc(r.contacts, func(c contact) bool { return c.uri.Equal(uri) })
	r.contacts = append(r.contacts, contact{uri: uri})
	return &r.contacts[len(r.contacts)-1]
}

// fetches says whether the REGISTER only asks for the bindings (RFC 3261 section 10.2.3).
func (r *registration) fetches() bool { return !r.all && len(r.contacts) == 0 }

// apply is what RFC 3261 section 10.3 asks for in steps 6 and 7, of all contacts together: it returns the bindings that the
// address of record has after the REGISTER, as they are to be tried, if it had old before; and what that changes, if watched. On
// error nothing is to change. It reuses old and depends on nothing else but r.
func (r *registration) apply(old []Binding, watched bool) (bindings []Binding, events []Event, err error) {
	note := func(kind EventKind, b Binding) {
		if watched {
			events = append(events, Event{kind, r.aor, b})
		}
	}
	bindings = old
	if r.all {
		for _, b := range old {
			if !r.follows(&b) {
				return nil, nil, errOutOfOrder
			}
			note(Removed, b)
		}
		return old[:0], events, nil
	}
	if r.repeats(old) {
		return old, nil, nil
	}
	added := 0
	for i := range r.contacts {
		c := &r.contacts[i]
		at, live := c.find(bindings), c.Live(r.now)
		switch {
		case at < 0 && live:
			bindings = append(bindings, c.Binding)
			added++
			note(Registered, c.Binding)
		case at < 0:
			// Nothing to remove.
		case !r.follows(&bindings[at]):
			return nil, nil, errOutOfOrder
		case live:
			bindings[at] = c.Binding
			note(Refreshed, c.Binding)
		default:
			note(Removed, bindings[at])
			bindings = slices.Delete(bindings, at, at+1)
		}
	}
	if added > 0 && len(bindings) > r.most {
		return nil, nil, errTooManyContacts
	}
	slices.SortStableFunc(bindings, preferred)
	return bindings, events, nil
}

// follows says whether the REGISTER may change b: it is of another Call-ID, or later than the one that b is from.
func (r *registration) follows(b *Binding) bool {
	return r.callID != b.CallID || r.cseq > b.CSeq
}

// repeats says whether the REGISTER was here before: every contact is bound with its Call-ID and CSeq, or gone. "UAs MUST NOT send a
// new registration … until they have received a final response from the registrar for the previous one or the previous REGISTER
// request has timed out" (RFC 3261 section 10.2), so a repetition comes before anything that it could undo. A removal that finds
// what it removes is no repetition.
func (r *registration) repeats(old []Binding) bool {
	done := false
	for i := range r.contacts {
		c := &r.contacts[i]
		at := c.find(old)
		switch {
		case !c.Live(r.now) && at < 0:
			// It is removed.
		case c.Live(r.now) && at >= 0 && old[at].CallID == r.callID && old[at].CSeq == r.cseq:
			done = true
		default:
			return false
		}
	}
	return done
}

// find returns the place of the binding that c is about, -1 if there is none. URI equality is not transitive, so more than one may
// be equal to c; then it is the one with the same text, if there is, and else the first.
func (c *contact) find(bindings []Binding) int {
	for i := range bindings {
		if bindings[i].Contact == c.Contact {
			return i
		}
	}
	for i := range bindings {
		if bindings[i].URI().Equal(c.uri) {
			return i
		}
	}
	return -1
}

var (
	// Section 10.3 has 500 (Server Error) for what fails in step 7. The client's next REGISTER, with a higher CSeq, will be in order.
	errOutOfOrder = &refusal{status: sip.StatusServerInternalError, reason: "CSeq Out Of Order"}
	// Not 503, from which clients and proxies conclude that the whole registrar is overloaded, and go elsewhere: it is this address
	// of record that has enough, and trying again does not help.
	errTooManyContacts = &refusal{status: sip.StatusForbidden, reason: "Too Many Contacts"}
)
