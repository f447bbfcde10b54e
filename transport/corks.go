package transport

import (
	"sync"
	"sync/atomic"
)

// corks holds back what is written to connections while a reader works on several messages, so that each connection gets
// one write, and the network one packet, for what comes of them. A connection that is held is busy: others append to its
// queue, as if a goroutine were writing it.
type corks struct {
	readers atomic.Int32 // that work on several messages; changed under mu

	mu    sync.Mutex
	held  []*conn
	spare []*conn // room for the next ones
}

// begin holds what is written from now on.
func (k *corks) begin() {
	k.mu.Lock()
	k.readers.Add(1)
	k.mu.Unlock()
}

// end is called for each begin.
func (k *corks) end() {
	k.mu.Lock()
	k.readers.Add(-1)
	k.mu.Unlock()
	k.push()
}

// hold takes c, which has just become busy, if a reader will write it.
func (k *corks) hold(c *conn) bool {
	if k.readers.Load() == 0 {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.readers.Load() == 0 {
		return false
	}
	k.held = append(k.held, c)
	return true
}

// push writes what is held.
func (k *corks) push() {
	k.mu.Lock()
	held := k.held
	if len(held) == 0 {
		k.mu.Unlock()
		return
	}
	k.held, k.spare = k.spare, nil
	k.mu.Unlock()
	for _, c := range held {
		c.writeHeld()
	}
	clear(held)
	k.mu.Lock()
	k.spare = held[:0]
	k.mu.Unlock()
}
