package routing

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// Handlers run on the goroutine that read their request, as long as they are
// quick: no wake-up, no hand-over, no stack to grow, and the order is that of
// arrival. A goroutine for each request costs 1.4 times the CPU.
//
// That holds only while no handler waits. A handler that is about to wait in
// one of our own methods leaves the reader first: another goroutine reads on,
// and this one is the handler's alone. For a handler that waits elsewhere (a
// database, a lock) a timer does the same after a moment; then that method's
// handlers run in goroutines of their own for a while, so that a moment is
// lost rarely and not for each request.
const patience = time.Millisecond

// reading is a handler that runs on its reader's goroutine.
type reading struct {
	timer *time.Timer

	mu      sync.Mutex
	request *Request // nil when none runs
	packet  *transport.Packet
}

// serveInline runs a request's handler on the reader's goroutine, which calls it.
func (s *Server) serveInline(r *Request, p *transport.Packet) {
	g, _ := s.readings.Get().(*reading)
	if g == nil {
		g = &reading{}
		g.timer = time.AfterFunc(patience, g.late)
	}
	g.mu.Lock()
	g.request, g.packet = r, p
	g.mu.Unlock()
	r.reading = g
	g.timer.Reset(patience)
	ended := false
	defer func() {
		if !ended { // runtime.Goexit in the handler ends this goroutine
			g.leave(r)
			r.pass()
		}
	}()
	s.serve(r)
	ended = true
	g.mu.Lock()
	g.request, g.packet = nil, nil
	g.mu.Unlock()
	if g.timer.Stop() { // else late may be about to look, and must not find another request
		s.readings.Put(g)
	}
}

// late is the timer's: the handler has run for longer than a quick one.
func (g *reading) late() {
	g.mu.Lock()
	r := g.request
	g.mu.Unlock()
	if r != nil && g.leave(r) {
		r.server.trust.lose(r.Method())
		r.server.counters.lateHandlers.Add(1)
	}
}

// leave makes another goroutine read on, unless r's handler has ended or left
// before. The lock is held so that the handler cannot end meanwhile.
func (g *reading) leave(r *Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.request != r || g.packet == nil {
		return false
	}
	r.takeTurn()
	g.packet.Detach()
	g.packet = nil
	return true
}

// detach is called before a handler waits.
func (r *Request) detach() {
	if g := r.reading; g != nil {
		g.leave(r)
	}
}

// trust says whether handlers of a method may run on the reader's goroutine.
type trust struct{ methods [5]distrust }

type distrust struct {
	left atomic.Int64 // requests that get a goroutine of their own
	term atomic.Int64 // how many the next loss of trust costs
}

const (
	firstTerm = 1000
	maxTerm   = 1 << 20
)

func (t *trust) of(m sip.Method) *distrust {
	switch m {
	case sip.INVITE:
		return &t.methods[0]
	case sip.ACK, sip.BYE:
		return &t.methods[1]
	case sip.REGISTER:
		return &t.methods[2]
	case sip.OPTIONS:
		return &t.methods[3]
	}
	return &t.methods[4]
}

// allows counts one request.
func (t *trust) allows(m sip.Method) bool {
	d := t.of(m)
	return d.left.Load() <= 0 || d.left.Add(-1) < 0
}

// lose takes the trust away, each time for longer.
func (t *trust) lose(m sip.Method) {
	d := t.of(m)
	term := min(max(firstTerm, d.term.Load()), maxTerm)
	d.term.Store(2 * term)
	d.left.Store(term)
}
