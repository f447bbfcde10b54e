package siptest

import (
	"cmp"
	"container/heap"
	"sync"
	"time"
)

// wire is the one queue in which everything that is under way waits for its time. It does one thing at a time and
// lets at least a nanosecond pass between two: in virtual time the clock moves only when every goroutine waits, so
// each arrival is dealt with to the end before the next one comes. That, and the order among things due at the same
// instant, which depends on hosts and not on goroutines, is what makes a run reproducible.
type wire struct {
	mu      *sync.Mutex // the network's
	queue   happenings
	seq     uint64
	timer   *time.Timer
	running bool
}

// happening is something that is due at a time: a datagram leaves or arrives, a segment arrives.
type happening struct {
	due  time.Time
	host int // index of the host that caused it
	seq  uint64
	do   func() // called with no lock held
}

// at puts a happening into the queue. The lock is held.
func (w *wire) at(due time.Time, host *Host, do func()) {
	w.seq++
	heap.Push(&w.queue, &happening{due: due, host: host.index, seq: w.seq, do: do})
	w.arm()
}

// arm sets the timer to the first happening. The lock is held.
func (w *wire) arm() {
	if w.running || len(w.queue) == 0 {
		return
	}
	d := max(time.Until(w.queue[0].due), time.Nanosecond)
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.run)
		return
	}
	w.timer.Reset(d)
}

// run does the first happening that is due.
func (w *wire) run() {
	w.mu.Lock()
	if w.running || len(w.queue) == 0 || w.queue[0].due.After(time.Now()) {
		w.arm()
		w.mu.Unlock()
		return
	}
	h := heap.Pop(&w.queue).(*happening)
	w.running = true
	w.mu.Unlock()
	h.do()
	w.mu.Lock()
	w.running = false
	w.arm()
	w.mu.Unlock()
}

// clear forgets what is under way. The lock is held.
func (w *wire) clear() {
	w.queue = nil
	if w.timer != nil {
		w.timer.Stop()
	}
}

type happenings []*happening

func (q happenings) Len() int      { return len(q) }
func (q happenings) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q happenings) Less(i, j int) bool {
	a, b := q[i], q[j]
	return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.host, b.host), cmp.Compare(a.seq, b.seq)) < 0
}
func (q *happenings) Push(x any) { *q = append(*q, x.(*happening)) }
func (q *happenings) Pop() any {
	old := *q
	h := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return h
}
