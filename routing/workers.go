package routing

import (
	"sync"
	"time"
)

// workers are goroutines that have run a handler and wait for another one: a
// new goroutine's stack would have to grow to a handler's depth first, which
// costs more than all else about it. The watchdog dismisses them when there is
// nothing to do.
type workers struct {
	mu    sync.Mutex
	idle  []chan *Request // those that waited last are at the end
	given uint64          // requests that found an idle one
	seen  uint64          // given at the watchdog's last look
	ended bool
}

const maxIdle = 64 // handlers that wait at the same time are seldom more, but for calls that ring

// give hands r to an idle worker, if there is one.
func (w *workers) give(r *Request) bool {
	w.mu.Lock()
	n := len(w.idle)
	if n == 0 {
		w.mu.Unlock()
		return false
	}
	next := w.idle[n-1]
	w.idle = w.idle[:n-1]
	w.given++
	w.mu.Unlock()
	next <- r // there is room for one
	return true
}

// enlist enters a worker as idle; false if it is not needed.
func (w *workers) enlist(next chan *Request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || len(w.idle) >= maxIdle {
		return false
	}
	w.idle = append(w.idle, next)
	return true
}

// dismiss ends the idle workers, and with ended those that become idle later.
func (w *workers) dismiss(ended bool) {
	w.mu.Lock()
	idle := w.idle
	w.idle, w.ended = nil, w.ended || ended
	w.mu.Unlock()
	for _, next := range idle {
		next <- nil
	}
}

// used reports whether one had something to do since it was asked last.
func (w *workers) used() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	used := w.given != w.seen
	w.seen = w.given
	return used
}

// runHandler runs the handler of a request whose turn it is on a worker.
func (s *Server) runHandler(r *Request) {
	if s.workers.give(r) {
		return
	}
	if !s.start(func() { s.serveMany(r) }) {
		s.counters.handlers.Add(-1)
		s.passOn(r)
	}
}

// serveMany is a worker.
func (s *Server) serveMany(r *Request) {
	next := make(chan *Request, 1)
	for r != nil {
		began := time.Now()
		s.serve(r)
		s.trust.note(r, began)
		r = nil // it is not to be kept alive
		if !s.workers.enlist(next) {
			return
		}
		if !s.readings.watching.Load() {
			s.startWatchdog()
		}
		r = <-next
	}
}
