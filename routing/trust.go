package routing

import (
	"sync/atomic"
	"time"

	"github.com/goser-project/goser/sip"
)

// trust says whether handlers of a method may run on the reader's goroutine.
// They earn the place by being quick there where they are no burden, and keep
// it as long as they take little time on the mean: who waits often, or computes
// for long, would hold up the reader for a good part of the time. Who loses the
// place, or had to be taken from the reader, has to be away for a while, and
// for a longer one if that happens again soon after. So a handler that should
// not have the place has it for less than a hundredth of the time, and a machine
// that stood still for a moment is forgotten.
type trust struct {
	epoch   time.Time
	methods [5]record
}

const (
	quickTime  = 500 * time.Microsecond // what counts as quick
	longTime   = 4 * time.Millisecond   // longer than a thread waits for a processor, mostly: the handler has waited
	firstTerm  = 100                    // quick handlers, less what long ones cost, that earn the place
	longCost   = 50                     // quick handlers that make up for a long one
	maxMean    = 150 * time.Microsecond // of those on the reader, with which the place is lost
	clip       = 5 * time.Millisecond   // more than this is the machine's fault, or the watchdog's business
	minPenalty = time.Second
	maxPenalty = 5 * time.Minute
	tougher    = 8 // by how much the next penalty is longer, if the place is lost again soon
)

type record struct {
	score   atomic.Int64 // quick handlers off the reader, less what long ones cost
	mean    atomic.Int64 // of the time of those on the reader, weighted by 1/64
	penalty atomic.Int64 // the last one
	until   atomic.Int64 // its end, since the epoch
}

func (t *trust) of(m sip.Method) *record {
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

func (t *trust) allows(m sip.Method) bool { return t.of(m).score.Load() >= firstTerm }

// note counts the handler of r, which began then and has ended now. What two
// goroutines write at once may count once.
func (t *trust) note(r *Request, began time.Time) {
	rec := t.of(r.Method())
	took := time.Since(began)
	if r.reading != nil {
		mean := rec.mean.Load()
		mean += (int64(min(took, clip)) - mean) / 64
		if rec.mean.Store(mean); mean > int64(maxMean) {
			t.lose(r.Method(), began)
		}
		return
	}
	score := rec.score.Load()
	switch {
	case r.waited.Load() || took >= longTime:
		rec.score.Store(max(0, score-longCost))
	case took >= quickTime:
		// A goroutine of its own takes its turn on the processor with others, which says little about the handler.
	case score < firstTerm && int64(began.Sub(t.epoch)) >= rec.until.Load():
		rec.score.CompareAndSwap(score, score+1) // not if it was lost meanwhile
	}
}

// lose takes the place away.
func (t *trust) lose(m sip.Method, now time.Time) {
	rec := t.of(m)
	at, penalty := int64(now.Sub(t.epoch)), rec.penalty.Load()
	if rec.score.Load() < firstTerm {
		return // it has been lost
	}
	if penalty > 0 && at-rec.until.Load() < 3*penalty {
		penalty = min(penalty*tougher, int64(maxPenalty))
	} else {
		penalty = int64(minPenalty)
	}
	rec.penalty.Store(penalty)
	rec.until.Store(at + penalty)
	rec.mean.Store(0)
	rec.score.Store(0)
}
