package routing

import (
	"sync/atomic"
	"time"

	"github.com/goser-project/goser/sip"
)

// trust says whether handlers of a method may run on the reader's goroutine.
// They earn the place by being quick nearly always: a slow one costs what a
// dozen quick ones earn, a long one more. Who had to be taken from the reader loses the place
// for a while, and for a longer one if that happens again soon after. A handler
// that seldom waits long holds up its reader for at most a few hundredths of
// the time so, and a machine that stood still for a moment is forgotten.
type trust struct {
	epoch   time.Time
	methods [5]record
}

const (
	quickTime  = 500 * time.Microsecond // what counts as quick
	longTime   = 4 * time.Millisecond   // longer than a processor is kept from a thread, mostly: it has waited
	slowCost   = 10                     // quick handlers that make up for one that is not
	longCost   = 50                     // and for a long one
	firstTerm  = 100                    // quick handlers, less those costs, that earn the place
	minPenalty = time.Second
	maxPenalty = 5 * time.Minute
	tougher    = 8 // by how much the next penalty is longer, if the place is lost again soon
)

type record struct {
	score   atomic.Int64 // quick handlers, less what slow ones cost
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
	score := rec.score.Load()
	switch took := time.Since(began); {
	case r.waited.Load() || took >= longTime:
		rec.score.Store(max(0, score-longCost))
	case took >= quickTime && r.reading == nil:
		// A goroutine of its own takes its turn on the processor with others, which says little about the handler.
	case took >= quickTime:
		rec.score.Store(max(0, score-slowCost))
	case score >= 2*firstTerm:
	case score > 0 || int64(began.Sub(t.epoch)) >= rec.until.Load():
		rec.score.Store(score + 1)
	}
}

// lose takes the place away.
func (t *trust) lose(m sip.Method, now time.Time) {
	rec := t.of(m)
	at, penalty := int64(now.Sub(t.epoch)), rec.penalty.Load()
	if penalty > 0 && at-rec.until.Load() < 3*penalty {
		penalty = min(penalty*tougher, int64(maxPenalty))
	} else {
		penalty = int64(minPenalty)
	}
	rec.penalty.Store(penalty)
	rec.until.Store(at + penalty)
	rec.score.Store(0)
}
