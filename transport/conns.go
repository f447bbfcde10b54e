package transport

import (
	"hash/maphash"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// connShards is how many locks share the tables of connections. A power of two.
const connShards = 64

// conns finds connections: by id for Send, until they have ended; by where they lead for Connect, until they begin to
// end.
type conns struct {
	lastID           atomic.Uint64
	accepted, dialed atomic.Int64 // connections and dials that have not ended
	seed             maphash.Seed
	byID             [connShards]shard[uint64, *conn]
	byHop            [connShards]shard[Hop, *conn] // the latest; the others hang from it by conn.sameHop
}

type shard[K comparable, V any] struct {
	sync.RWMutex
	m map[K]V
}

func (t *conns) init() {
	t.seed = maphash.MakeSeed()
	for i := range connShards {
		t.byID[i].m = make(map[uint64]*conn)
		t.byHop[i].m = make(map[Hop]*conn)
	}
}

func (t *conns) hop(h Hop) *shard[Hop, *conn] {
	return &t.byHop[maphash.Comparable(t.seed, h)%connShards]
}

// get returns the connection of f. All of f must fit, for a stored flow may be from before a restart, when the ids
// began anew.
func (t *conns) get(f Flow) *conn {
	s := &t.byID[f.Conn%connShards]
	s.RLock()
	c := s.m[f.Conn]
	s.RUnlock()
	if c == nil || c.flow != f || c.ending.Load() {
		return nil
	}
	return c
}

// to returns a connection to h, if there is one from local, else any.
func (t *conns) to(h Hop, local netip.Addr) *conn {
	s := t.hop(h)
	s.RLock()
	defer s.RUnlock()
	first := s.m[h]
	for c := first; c != nil; c = c.sameHop {
		if c.flow.Local.Addr() == local {
			return c
		}
	}
	return first
}

// add enters c, unless closing is set. Shutdown sets it before it walks the table, so it meets every connection that
// was entered.
func (t *conns) add(c *conn, closing *atomic.Bool) bool {
	s := &t.byID[c.flow.Conn%connShards]
	s.Lock()
	defer s.Unlock()
	if closing.Load() {
		return false
	}
	s.m[c.flow.Conn] = c
	hop := c.flow.Hop()
	h := t.hop(hop)
	h.Lock() // within the other lock, so that nobody finds half of an entry; never the other way round
	c.sameHop = h.m[hop]
	h.m[hop] = c
	h.Unlock()
	return true
}

// unlink makes c unknown as a way to its hop.
func (t *conns) unlink(c *conn) {
	hop := c.flow.Hop()
	s := t.hop(hop)
	s.Lock()
	defer s.Unlock()
	if s.m[hop] == c {
		if c.sameHop == nil {
			delete(s.m, hop)
		} else {
			s.m[hop] = c.sameHop
		}
		return
	}
	for o := s.m[hop]; o != nil; o = o.sameHop {
		if o.sameHop == c {
			o.sameHop = c.sameHop
			return
		}
	}
}

// forget takes c, which has ended, out of the table.
func (t *conns) forget(c *conn) {
	s := &t.byID[c.flow.Conn%connShards]
	s.Lock()
	delete(s.m, c.flow.Conn)
	s.Unlock()
}

// each calls f for every connection, with no lock held.
func (t *conns) each(f func(*conn)) {
	var all []*conn
	for i := range t.byID {
		s := &t.byID[i]
		s.RLock()
		all = slices.AppendSeq(all, maps.Values(s.m))
		s.RUnlock()
	}
	for _, c := range all {
		f(c)
	}
}

// reserve takes one of max places that n counts.
func reserve(n *atomic.Int64, max int) bool {
	if n.Add(1) <= int64(max) {
		return true
	}
	n.Add(-1)
	return false
}

// sources counts the accepted connections by where they come from.
type sources struct {
	mu sync.Mutex
	n  map[netip.Addr]int
}

// sourceKey makes an IPv6 address its /64: who has one address there has them all (RFC 4291 section 2.5.1).
func sourceKey(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, _ := a.WithZone("").Prefix(64)
	return p.Addr()
}

func (s *sources) reserve(a netip.Addr, max int) bool {
	a = sourceKey(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[a] >= max {
		return false
	}
	if s.n == nil {
		s.n = make(map[netip.Addr]int)
	}
	s.n[a]++
	return true
}

func (s *sources) release(a netip.Addr) {
	a = sourceKey(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n[a]--; s.n[a] == 0 {
		delete(s.n, a)
	}
}
