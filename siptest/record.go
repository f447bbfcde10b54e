package siptest

import (
	"net/netip"
	"slices"
	"time"
)

// Fate is what became of a message.
type Fate uint8

// The fates of a message.
const (
	Delivered Fate = iota // or still under way
	Twice                 // delivered, and once more
	Late                  // delivered, but held back by Link.Reorder
	Lost                  // by Link.Loss
	Dropped               // by a Drop function
	TooLarge              // for Link.MTU
	Severed               // by Network.Partition
	NoSocket              // no host has the address, or no socket the port
	Overflow              // the inbox of the socket was full
	Cut                   // sent on a stream after Stream.Cut
	fates
)

// String returns the fate as a word.
func (f Fate) String() string {
	names := [fates]string{
		"delivered", "twice", "late", "lost", "dropped", "too large", "severed", "no socket", "overflow", "cut",
	}
	return names[min(f, fates-1)]
}

// arrow returns how a ladder draws the fate.
func (f Fate) arrow() string {
	switch f {
	case Delivered:
		return "->"
	case Twice:
		return "=>"
	case Late:
		return "~>"
	}
	return "-x"
}

// Event is one message on the network: a datagram, or a message on a stream.
type Event struct {
	Time        time.Duration // when it was sent, since the network was made
	From, To    string        // names of hosts; the address if no host has it
	Source      netip.AddrPort
	Destination netip.AddrPort
	Stream      bool
	Fate        Fate
	Data        []byte // not to be changed
}

// event is an Event with what orders it.
type event struct {
	Event
	host int
	seq  int
}

// recorder keeps what passed. Its fields are under the network's lock.
type recorder struct {
	limit  int
	events []*event
	seq    int
	sent   int
	missed int // sent, but not recorded
	counts [fates]int
}

// add records a message that is being sent and returns the record, nil if there is none. The lock is held.
func (r *recorder) add(e event) *event {
	r.sent++
	if len(r.events) >= r.limit {
		r.missed++
		return nil
	}
	r.seq++
	e.seq = r.seq
	r.events = append(r.events, &e)
	return r.events[len(r.events)-1]
}

// fate says what became of a message; e is nil if it was not recorded. The lock is held.
func (r *recorder) fate(e *event, f Fate) {
	r.counts[f]++
	if e != nil {
		e.Fate = f
	}
}

// Events returns what was recorded so far, in the order of ladders: by time; at the same instant by host, in the
// order in which the hosts were added; and for one host as it sent.
func (n *Network) Events() []Event {
	n.mu.Lock()
	records := make([]event, len(n.recorder.events))
	for i, e := range n.recorder.events {
		records[i] = *e
	}
	n.mu.Unlock()
	slices.SortStableFunc(records, func(a, b event) int {
		if a.Time != b.Time {
			return int(min(max(a.Time-b.Time, -1), 1))
		}
		if a.host != b.host {
			return a.host - b.host
		}
		return a.seq - b.seq
	})
	events := make([]Event, len(records))
	for i, e := range records {
		events[i] = e.Event
	}
	return events
}

// Sent returns the number of messages that were sent since the network was made.
func (n *Network) Sent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.recorder.sent
}

// Count returns how often something other than Delivered has become of a message since the network was made.
func (n *Network) Count(f Fate) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f >= fates {
		return 0
	}
	return n.recorder.counts[f]
}

// Forget drops what was recorded so far, so that the next ladder begins here. Times go on from the start of the
// network.
func (n *Network) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recorder.events, n.recorder.missed = nil, 0
}

// nameOf returns the name of the host that has an address, or the address. The lock is held.
func (n *Network) nameOf(a netip.AddrPort) string {
	if h := n.byAddr[a.Addr()]; h != nil {
		return h.name
	}
	return a.String()
}
