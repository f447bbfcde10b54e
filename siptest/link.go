package siptest

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultDelay is how long everything takes from one host to another when Link.Delay is 0.
const DefaultDelay = 5 * time.Millisecond

// Link is one direction of the way between two hosts: how long it takes and what goes wrong. The zero value takes
// DefaultDelay and nothing goes wrong. Probabilities are from 0 to 1. Loss, duplication, reordering, MTU and Drop are
// for datagrams; streams only take their time, whatever is set, as TCP hides the rest.
type Link struct {
	// Delay is the time from leaving to arriving. 0 means DefaultDelay, negative none.
	Delay time.Duration
	// Jitter adds between nothing and this to each delay. By itself it keeps the order: who would arrive before an
	// earlier one arrives right after it.
	Jitter time.Duration
	// Loss is the probability that a datagram is lost.
	Loss float64
	// Duplicate is the probability that a datagram arrives twice, the second one after another jitter.
	Duplicate float64
	// Reorder is the probability that a datagram is held back for ReorderBy, so that later ones overtake it.
	Reorder float64
	// ReorderBy is how long; 0 means 10 ms.
	ReorderBy time.Duration
	// MTU loses datagrams with more bytes than this, as a path does where fragments do not pass. 0 is no limit.
	MTU int
	// Drop, if not nil, loses the datagrams for which it returns true; see Options.Drop.
	Drop func(Datagram) bool
	// Chunk delivers streams in pieces of at most this many bytes, each by a Read of its own. 0 delivers as written,
	// and joins what is waiting.
	Chunk int
}

func (l Link) delay() time.Duration {
	if l.Delay == 0 {
		return DefaultDelay
	}
	return max(l.Delay, 0)
}

// Datagram is what a Drop function is asked about.
type Datagram struct {
	Time        time.Duration // when it left, since the network was made
	From        *Host
	To          *Host // nil if no host has the address
	Source      netip.AddrPort
	Destination netip.AddrPort
	Data        []byte // not to be changed
	Number      int    // of the datagrams from From to To: 1 is the first
}

// What returns what a ladder shows for the datagram: the method of a request, or the status and the method of a
// response, as in "180 (INVITE)".
func (d Datagram) What() string { return What(d.Data) }

// DropFirst returns a drop function that loses the first count datagrams that are what (as in a ladder: "INVITE",
// "200 (INVITE)"); the empty string stands for all.
func DropFirst(count int, what string) func(Datagram) bool {
	var seen atomic.Int64
	return func(d Datagram) bool {
		return (what == "" || d.What() == what) && seen.Add(1) <= int64(count)
	}
}

// DropNumbers returns a drop function that loses the datagrams with these numbers among those that are what, 1 being
// the first; the empty string stands for all.
func DropNumbers(what string, numbers ...int) func(Datagram) bool {
	var seen atomic.Int64
	return func(d Datagram) bool {
		if what != "" && d.What() != what {
			return false
		}
		at := int(seen.Add(1))
		for _, n := range numbers {
			if n == at {
				return true
			}
		}
		return false
	}
}

// DropAll returns a drop function that loses every datagram that is one of these.
func DropAll(whats ...string) func(Datagram) bool {
	return func(d Datagram) bool {
		what := d.What()
		for _, w := range whats {
			if strings.EqualFold(w, what) {
				return true
			}
		}
		return false
	}
}

// path is the state of one direction between two hosts.
type path struct {
	rand   *rand.Rand
	count  int
	latest time.Time // arrival of the latest datagram that was not held back
}

// draws are the random numbers of one datagram. All are drawn each time, so that switching one fault on leaves the
// others where they were.
type draws struct{ loss, duplicate, reorder, jitter, jitter2 float64 }

func (p *path) draw() draws {
	return draws{p.rand.Float64(), p.rand.Float64(), p.rand.Float64(), p.rand.Float64(), p.rand.Float64()}
}

// path returns the state of one direction. The lock is held.
func (n *Network) path(from, to *Host) *path {
	key := pair{from, to}
	p := n.paths[key]
	if p == nil {
		p = &path{rand: n.random(from.name, to.name)}
		n.paths[key] = p
	}
	return p
}

// random returns a generator that depends on the seed and the names only, not on who asks first.
func (n *Network) random(names ...string) *rand.Rand {
	const prime = 1099511628211 // FNV-1a, 64 bits
	hash := uint64(14695981039346656037)
	for _, name := range names {
		for i := range len(name) {
			hash = (hash ^ uint64(name[i])) * prime
		}
		hash *= prime
	}
	return rand.New(rand.NewPCG(n.opt.Seed, hash))
}

// depart decides about a datagram that has left its socket. It runs on the wire, one at a time.
func (n *Network) depart(d Datagram, e *event) {
	n.mu.Lock()
	d.To = n.byAddr[d.Destination.Addr()]
	if d.To == nil {
		n.recorder.fate(e, NoSocket)
		n.mu.Unlock()
		return
	}
	l, p := n.link(d.From, d.To), n.path(d.From, d.To)
	p.count++
	d.Number = p.count
	x := p.draw()
	n.mu.Unlock()

	dropped := n.opt.Drop != nil && n.opt.Drop(d)
	dropped = l.Drop != nil && l.Drop(d) || dropped

	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.cutOff(d.From, d.To):
		n.recorder.fate(e, Severed)
		return
	case dropped:
		n.recorder.fate(e, Dropped)
		return
	case l.MTU > 0 && len(d.Data) > l.MTU:
		n.recorder.fate(e, TooLarge)
		return
	case x.loss < l.Loss:
		n.recorder.fate(e, Lost)
		return
	}
	due := time.Now().Add(l.delay() + time.Duration(x.jitter*float64(l.Jitter)))
	if x.reorder < l.Reorder {
		by := l.ReorderBy
		if by == 0 {
			by = 10 * time.Millisecond
		}
		due = due.Add(by)
		n.recorder.fate(e, Late)
	} else {
		if due.Before(p.latest) {
			due = p.latest
		}
		p.latest = due
	}
	n.wire.at(due, d.From, func() { n.arrive(d, e) })
	if x.duplicate < l.Duplicate {
		n.recorder.fate(e, Twice)
		n.wire.at(due.Add(time.Duration(x.jitter2*float64(l.Jitter))), d.From, func() { n.arrive(d, nil) })
	}
}

// arrive puts a datagram into the inbox of the socket that it is for. e is nil for the second of a duplicate.
func (n *Network) arrive(d Datagram, e *event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := d.To.socket(d.Destination)
	switch {
	case c == nil:
		n.recorder.fate(e, NoSocket)
	case !c.put(d):
		n.recorder.fate(e, Overflow)
	}
}
