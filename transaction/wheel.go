package transaction

import (
	"cmp"
	"math/bits"
	"slices"
)

// wheel holds the timers of a shard, one for each transaction. It is a hierarchical timing wheel that keeps exact deadlines. Time
// is divided into ticks of 8.4 ms. Timers of the present tick are a list in the order of their deadlines; those of each of the
// next 255 ticks are in a near slot of their own; later ones are in a far slot for each 256 ticks (2.1 s), and move to the near
// slots when its time has come. Lists are sorted when they become present, so that adding and removing cost the same however many
// timers there are.
//
// It is not ticked: next says when it wants to be looked at.
type wheel struct {
	tick    int64 // the present one
	len     int
	lists   [present + 1]*timer // near slots, far slots, the present tick; each a ring
	near    slotSet
	far     slotSet
	scratch []*timer // for sorting
}

// timer is a transaction's place in the wheel.
type timer struct {
	next, prev *timer
	due        instant
	tx         expirer
	slot       uint16 // in lists, plus 1; 0: not in the wheel
}

// expirer is a transaction, to the wheel.
type expirer interface {
	// fire is called with the shard's lock held, and returns with it held.
	fire(now instant)
}

const (
	tickBits = 23 // of nanoseconds
	slotBits = 8
	slots    = 1 << slotBits
	present  = 2 * slots
)

// add puts t, which is in no wheel, in its place.
func (w *wheel) add(t *timer, due, now instant) {
	if w.len == 0 {
		w.tick = int64(now >> tickBits)
	}
	w.len++
	t.due = due
	if slot := w.place(due); slot != present {
		w.push(t, slot)
		return
	}
	// In its order; mostly it is the last.
	head := w.lists[present]
	if head == nil || head.due > due {
		w.push(t, present)
		w.lists[present] = t
		return
	}
	after := head.prev
	for after.due > due {
		after = after.prev
	}
	t.slot = present + 1
	t.prev, t.next = after, after.next
	after.next.prev, after.next = t, t
}

// place is where a timer belongs.
func (w *wheel) place(due instant) int {
	tick := int64(due >> tickBits)
	switch ahead := tick - w.tick; {
	case ahead <= 0:
		return present
	case ahead < slots:
		return int(tick % slots)
	}
	// What is further away than there are far slots is placed anew when the time of its slot has come.
	return slots + int(tick>>slotBits%slots)
}

// push puts t at the end of a list.
func (w *wheel) push(t *timer, slot int) {
	t.slot = uint16(slot) + 1
	head := w.lists[slot]
	if head == nil {
		t.next, t.prev = t, t
		w.lists[slot] = t
		w.mark(slot, true)
		return
	}
	t.next, t.prev = head, head.prev
	head.prev.next = t
	head.prev = t
}

func (w *wheel) mark(slot int, used bool) {
	switch {
	case slot < slots:
		w.near.set(slot, used)
	case slot < present:
		w.far.set(slot-slots, used)
	}
}

// remove takes t out, if it is in.
func (w *wheel) remove(t *timer) {
	if t.slot == 0 {
		return
	}
	w.len--
	slot := int(t.slot) - 1
	if t.next == t {
		w.lists[slot] = nil
		w.mark(slot, false)
	} else {
		t.next.prev, t.prev.next = t.prev, t.next
		if w.lists[slot] == t {
			w.lists[slot] = t.next
		}
	}
	t.next, t.prev, t.slot = nil, nil, 0
}

// pop takes out the timer that is due first, if one is at the time that turn was told last.
func (w *wheel) pop(now instant) *timer {
	t := w.lists[present]
	if t == nil || t.due > now {
		return nil
	}
	w.remove(t)
	return t
}

// turn makes now the present.
func (w *wheel) turn(now instant) {
	tick := int64(now >> tickBits)
	if tick <= w.tick {
		return
	}
	w.scratch = w.drain(w.scratch[:0], present)
	for past, ok := w.firstNear(); ok && past <= tick; past, ok = w.firstNear() {
		w.scratch = w.drain(w.scratch, int(past%slots))
	}
	first, last := w.tick>>slotBits+1, tick>>slotBits
	w.tick = tick
	for far := first; far <= last && far < first+slots; far++ {
		w.unfold(slots + int(far%slots))
	}
	w.sortPresent()
}

// drain takes all timers out of a list.
func (w *wheel) drain(to []*timer, slot int) []*timer {
	head := w.lists[slot]
	if head == nil {
		return to
	}
	w.lists[slot] = nil
	w.mark(slot, false)
	to = append(to, head)
	for t := head.next; t != head; t = t.next {
		to = append(to, t)
	}
	return to
}

// unfold places the timers of a far slot whose time has come. What is of the present goes to scratch.
func (w *wheel) unfold(slot int) {
	head := w.lists[slot]
	if head == nil {
		return
	}
	w.lists[slot] = nil
	w.mark(slot, false)
	for t, last := head, head.prev; ; {
		next := t.next
		if to := w.place(t.due); to == present {
			w.scratch = append(w.scratch, t)
		} else {
			w.push(t, to)
		}
		if t == last {
			return
		}
		t = next
	}
}

// sortPresent makes the present of what is in scratch. Timers of one deadline stay in the order in which they were added.
func (w *wheel) sortPresent() {
	byDue := func(a, b *timer) int { return cmp.Compare(a.due, b.due) }
	if !slices.IsSortedFunc(w.scratch, byDue) {
		slices.SortStableFunc(w.scratch, byDue)
	}
	for _, t := range w.scratch {
		w.push(t, present)
	}
	clear(w.scratch)
	if cap(w.scratch) > 1<<12 {
		w.scratch = nil
	}
}

// next returns when the wheel has to be looked at: at the earliest deadline, or earlier when far timers have to move; never if
// there is no timer.
func (w *wheel) next() instant {
	if t := w.lists[present]; t != nil {
		return t.due
	}
	at := never
	if tick, ok := w.firstNear(); ok {
		head := w.lists[tick%slots]
		at = head.due
		for t := head.next; t != head; t = t.next {
			at = min(at, t.due)
		}
	}
	// What was far when it was added may come before what is near now.
	if far, ok := w.firstFar(); ok {
		at = min(at, instant(far<<(slotBits+tickBits)))
	}
	return at
}

// firstNear returns the tick of the first near slot in use.
func (w *wheel) firstNear() (tick int64, ok bool) { return w.near.first(w.tick + 1) }

// firstFar returns the number of the first far slot in use: its first tick, divided by slots.
func (w *wheel) firstFar() (far int64, ok bool) { return w.far.first(w.tick>>slotBits + 1) }

// slotSet says which slots are in use.
type slotSet [slots / 64]uint64

func (s *slotSet) set(slot int, used bool) {
	if used {
		s[slot/64] |= 1 << (slot % 64)
	} else {
		s[slot/64] &^= 1 << (slot % 64)
	}
}

// first returns the first number from n on whose slot is in use.
func (s *slotSet) first(n int64) (int64, bool) {
	word, bit := n/64, n%64
	if b := s[word%int64(len(s))] >> bit; b != 0 {
		return n + int64(bits.TrailingZeros64(b)), true
	}
	for range s {
		word++
		if b := s[word%int64(len(s))]; b != 0 {
			return word*64 + int64(bits.TrailingZeros64(b)), true
		}
	}
	return 0, false
}
