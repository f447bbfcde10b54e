package routing

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/goser-project/goser/transport"
)

// Handlers that have proved quick run on the goroutine that read their request:
// no wake-up, no hand-over, no stack to grow, and the order is that of arrival.
// A goroutine for each request costs 1.4 times the CPU.
//
// Each method's handlers start in goroutines of their own and earn the place by
// being quick (see trust). One that is about to wait in our own methods leaves
// the reader first: another goroutine reads on, and this one is the handler's
// alone. For one that waits elsewhere (a database, a lock) a watchdog does the
// same after ten to twenty milliseconds, and the place is lost. It looks at
// intervals, as a timer for each request would cost more than the request's
// goroutine.
const (
	watchEvery = 10 * time.Millisecond
	watchIdle  = 20 // looks without anything new after which the watchdog ends
)

// reading is a handler that runs on its reader's goroutine. Each reader uses
// one at a time.
type reading struct {
	mu      sync.Mutex
	request *Request // nil when none runs
	packet  *transport.Packet
	runs    uint64 // handlers so far
	seen    uint64 // runs at the watchdog's last look
}

// readings are all of a server's, and its watchdog.
type readings struct {
	mu       sync.Mutex
	free     []*reading
	all      []*reading
	watching atomic.Bool
}

func (rs *readings) take() *reading {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if n := len(rs.free); n > 0 {
		g := rs.free[n-1]
		rs.free = rs.free[:n-1]
		return g
	}
	g := &reading{}
	rs.all = append(rs.all, g)
	return g
}

func (rs *readings) put(g *reading) {
	rs.mu.Lock()
	rs.free = append(rs.free, g)
	rs.mu.Unlock()
}

// serveInline runs a request's handler on the reader's goroutine, which calls it.
func (s *Server) serveInline(r *Request, p *transport.Packet) {
	g := s.readings.take()
	g.mu.Lock()
	g.request, g.packet = r, p
	g.runs++
	g.mu.Unlock()
	// After the entry: a watchdog that ends now takes a last look after it has said so.
	if !s.readings.watching.Load() {
		s.startWatchdog()
	}
	r.reading = g
	ended := false
	defer func() {
		if !ended { // runtime.Goexit in the handler ends this goroutine
			g.leave(r)
		}
		if g.release(r) {
			s.readings.put(g)
		}
	}()
	began := time.Now()
	s.serve(r)
	ended = true
	s.trust.note(r, began)
}

// startWatchdog starts the goroutine that looks for late handlers; it ends
// when there has been nothing to look at for a while.
func (s *Server) startWatchdog() {
	if s.readings.watching.CompareAndSwap(false, true) && !s.start(s.watch) {
		s.readings.watching.Store(false)
	}
}

func (s *Server) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for idle := 0; idle < watchIdle; idle++ {
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
		if active, used := s.look(), s.workers.used(); active || used {
			idle = 0
		}
	}
	// A handler that starts now, and a worker that becomes idle, starts the next
	// watchdog; those from before are seen by a last look.
	s.readings.watching.Store(false)
	s.workers.dismiss(false)
	if s.look() {
		s.startWatchdog()
	}
}

// look finds the handlers that were running at the last look already, and
// reports whether anything has run since.
func (s *Server) look() (active bool) {
	s.readings.mu.Lock()
	all := s.readings.all
	s.readings.mu.Unlock()
	for _, g := range all {
		g.mu.Lock()
		r := g.request
		late := r != nil && g.runs == g.seen
		active = active || r != nil || g.runs != g.seen
		g.seen = g.runs
		g.mu.Unlock()
		if late && g.leave(r) {
			s.trust.lose(r.Method(), time.Now())
			s.counters.lateHandlers.Add(1)
		}
	}
	return active
}

// leave makes another goroutine read on, unless r's handler has ended or left
// before. The lock is held so that the handler cannot end meanwhile.
func (g *reading) leave(r *Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.request != r {
		return false
	}
	r.takeTurn()
	g.packet.Detach()
	g.request, g.packet = nil, nil
	r.server.readings.put(g)
	return true
}

// release ends r's use of g; false if it has left already.
func (g *reading) release(r *Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.request != r {
		return false
	}
	g.request, g.packet = nil, nil
	return true
}

// detach is called before a handler waits.
func (r *Request) detach() {
	r.waited.Store(true)
	if g := r.reading; g != nil && g.leave(r) {
		r.server.trust.of(r.Method()).score.Store(0)
	}
}
