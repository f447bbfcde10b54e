package registrar

// entry is an address of record in a shard.
type entry struct {
	record record
	at     int // its place in the shard's expiry queue
}

// expiryQueue is a binary heap of a shard's entries, the one due first on top. An entry stands in it once, at a time that is not
// after its first expiry: a refresh, which only moves that into the future, leaves the queue alone, and the entry moves when its
// time in the queue has come. So refreshes cost nothing here, and the queue is never longer than the shard has entries.
type expiryQueue []dueEntry

type dueEntry struct {
	due   int64 // Unix time in seconds: bindings that end in the same second leave together
	entry *entry
}

// dueSecond returns the first full second at which a binding that expires at millis is gone.
func dueSecond(millis int64) int64 { return (millis + 999) / 1000 }

func (q *expiryQueue) push(e *entry, due int64) {
	e.at = len(*q)
	*q = append(*q, dueEntry{due, e})
	q.up(e.at)
}

func (q *expiryQueue) remove(e *entry) {
	old, at := *q, e.at
	last := len(old) - 1
	old.swap(at, last)
	old[last] = dueEntry{}
	*q = old[:last]
	if at < last {
		q.move((*q)[at].entry, (*q)[at].due)
	}
}

// move gives e another time.
func (q expiryQueue) move(e *entry, due int64) {
	q[e.at].due = due
	q.up(e.at)
	q.down(e.at)
}

// hasten moves e if it were to come after due.
func (q expiryQueue) hasten(e *entry, due int64) {
	if due < q[e.at].due {
		q.move(e, due)
	}
}

func (q expiryQueue) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if q[parent].due <= q[i].due {
			return
		}
		q.swap(i, parent)
		i = parent
	}
}

func (q expiryQueue) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(q) {
			return
		}
		if right := child + 1; right < len(q) && q[right].due < q[child].due {
			child = right
		}
		if q[i].due <= q[child].due {
			return
		}
		q.swap(i, child)
		i = child
	}
}

func (q expiryQueue) swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].entry.at = i
	q[j].entry.at = j
}
