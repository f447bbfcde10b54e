package siptest

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Options are the settings of a Network. The zero value is a network of 5 ms each way without faults.
type Options struct {
	// Seed decides every draw of loss, duplication, reordering and jitter. The same seed and the same traffic
	// give the same run.
	Seed uint64
	// Link is the way between any two hosts for which SetLink says nothing else.
	Link Link
	// Drop, if not nil, is asked for every datagram, whatever its link, and loses it by returning true.
	// Calls come one at a time, in the order in which the datagrams leave; no lock is held.
	Drop func(Datagram) bool
	// Inbox is the number of datagrams that a socket holds for its reader; what comes on top is lost, as with a
	// full receive buffer. 0 means 1024.
	Inbox int
	// Window is the number of bytes of one direction of a stream that may be sent and not yet read; a writer
	// waits for more room. 0 means 65536.
	Window int
	// Record is the number of messages that are kept for ladders; later ones pass unrecorded and are only
	// counted. 0 means 65536, negative records nothing.
	Record int
}

// Network is an internet of a few hosts in memory. Everything that passes between their sockets passes here, takes
// its time, meets the faults of its link and is recorded for a Ladder.
//
// All methods may be called from any goroutine of the bubble in which the network was made. The network has no
// goroutine of its own: between two arrivals there is only a timer.
type Network struct {
	opt   Options
	start time.Time

	mu       sync.Mutex
	hosts    []*Host
	byAddr   map[netip.Addr]*Host
	links    map[pair]Link
	severed  map[pair]bool
	paths    map[pair]*path
	streams  []*Stream
	wire     wire
	recorder recorder
}

// pair is one direction between two hosts; nil stands for any host.
type pair struct{ from, to *Host }

// NewNetwork makes a network without hosts. Its clock starts now: times of ladders and datagrams count from here.
// In a test with virtual time it is made inside the bubble.
func NewNetwork(opt Options) *Network {
	opt.Inbox = defaultInt(opt.Inbox, 1024)
	opt.Window = defaultInt(opt.Window, 64<<10)
	opt.Record = defaultInt(opt.Record, 64<<10)
	n := &Network{
		opt:     opt,
		start:   time.Now(),
		byAddr:  map[netip.Addr]*Host{},
		links:   map[pair]Link{},
		severed: map[pair]bool{},
		paths:   map[pair]*path{},
	}
	n.recorder.limit = opt.Record
	n.wire.mu = &n.mu
	return n
}

func defaultInt(v, standard int) int {
	if v == 0 {
		return standard
	}
	return v
}

// Host adds a host. The name is what ladders call it; the addresses are IP literals of either family, any at all,
// since nothing leaves the process. A host without an address, an address that does not parse and one that another
// host has already are mistakes of the test and panic.
func (n *Network) Host(name string, addrs ...string) *Host {
	if len(addrs) == 0 {
		panic(fmt.Sprintf("siptest: host %q has no address", name))
	}
	h := &Host{net: n, name: name, packets: map[netip.AddrPort]*packetConn{}, listeners: map[netip.AddrPort]*listener{}, port: firstEphemeral}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range addrs {
		a := netip.MustParseAddr(s).Unmap()
		if other := n.byAddr[a]; other != nil {
			panic(fmt.Sprintf("siptest: host %q: %s has the address %v already", name, other.name, a))
		}
		n.byAddr[a] = h
		h.addrs = append(h.addrs, a)
	}
	h.index = len(n.hosts)
	n.hosts = append(n.hosts, h)
	return h
}

// Elapsed returns the time since the network was made.
func (n *Network) Elapsed() time.Duration { return time.Since(n.start) }

// SetLink changes the way from one host to another, from now on; what is under way is not touched. It is one
// direction: call it twice for both. A nil host stands for every host. What is set for two hosts comes before what
// is set for the sender, then for the receiver, then for all.
func (n *Network) SetLink(from, to *Host, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links[pair{from, to}] = l
}

// Partition cuts two hosts off from each other, in both directions: datagrams are lost, streams stand still, and
// dialing waits, until Heal. A nil host stands for every host.
func (n *Network) Partition(a, b *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.severed[pair{a, b}], n.severed[pair{b, a}] = true, true
}

// Heal takes a Partition of the same two back. What streams held in the meantime arrives now, as TCP's
// retransmissions would.
func (n *Network) Heal(a, b *Host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.severed, pair{a, b})
	delete(n.severed, pair{b, a})
	for _, s := range n.streams {
		s.release()
	}
}

// link returns what holds for one direction. The lock is held.
func (n *Network) link(from, to *Host) Link {
	for _, p := range [...]pair{{from, to}, {from, nil}, {nil, to}, {nil, nil}} {
		if l, ok := n.links[p]; ok {
			return l
		}
	}
	return n.opt.Link
}

// cutOff tells whether a partition lies between two hosts. The lock is held.
func (n *Network) cutOff(from, to *Host) bool {
	if len(n.severed) == 0 {
		return false
	}
	for _, p := range [...]pair{{from, to}, {from, nil}, {nil, to}, {nil, nil}} {
		if n.severed[p] {
			return true
		}
	}
	return false
}

// Close closes every socket and resets every stream. Readers get net.ErrClosed.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.hosts {
		for _, c := range h.packets {
			c.shut()
		}
		for _, l := range h.listeners {
			l.shut()
		}
	}
	for _, s := range append([]*Stream(nil), n.streams...) {
		s.client.shut()
		s.server.shut()
	}
	n.wire.clear()
}
