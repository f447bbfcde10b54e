package transport

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"
)

// corks holds back what is written to connections while a reader works on several messages, so that each connection gets
// one write, and the network one packet, for what comes of them. A connection that is held is busy: others append to its
// queue, as if a goroutine were writing it.
//
// A reader that takes long with a message holds up what others have sent before; what they send later is not held.
type corks struct {
	readers atomic.Int32 // that work on several messages; changed under mu
	pushed  atomic.Int64 // time.Duration: when a reader began, or what was held was written last

	mu    sync.Mutex
	held  []*conn // some may have been written since
	spare []*conn // room for the next ones
	lost  []lost  // to be told by a reader, as who sends may hold locks that a user needs who is told
}

// lost is a message that was held and not written.
type lost struct {
	flow Flow
	msg  []byte
	err  error
}

// begin holds what is written from now on.
func (k *corks) begin(now time.Duration) {
	k.mu.Lock()
	k.readers.Add(1)
	k.mu.Unlock()
	k.pushed.Store(int64(now))
}

// end is called for each begin, by the reader.
func (k *corks) end(l *Layer) {
	k.mu.Lock()
	k.readers.Add(-1)
	k.mu.Unlock()
	k.write()
	k.tell(l)
}

// late writes what is held if a reader takes long.
func (k *corks) late(now time.Duration) {
	if k.readers.Load() > 0 && now-time.Duration(k.pushed.Load()) > maxDelay {
		k.write()
	}
}

func (k *corks) failed(f Flow, msg []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lost = append(k.lost, lost{f, bytes.Clone(msg), err})
}

// tell tells of what was lost. It is for readers.
func (k *corks) tell(l *Layer) {
	k.mu.Lock()
	all := k.lost
	k.lost = nil
	k.mu.Unlock()
	for _, m := range all {
		l.counters.streamSendErrors.Add(1)
		if told := l.cfg.SendFailed; told != nil {
			told(m.flow, m.msg, m.err)
		}
	}
}

// hold takes c, which has just become busy, if a reader will write it soon.
func (k *corks) hold(c *conn, now time.Duration) bool {
	if k.readers.Load() == 0 || now-time.Duration(k.pushed.Load()) > maxDelay {
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
func (k *corks) push(now time.Duration) {
	k.pushed.Store(int64(now))
	k.write()
}

func (k *corks) write() {
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
