package transaction

import "math/bits"

// wheel holds the timers of a shard, one for each transaction. It is a hashed hierarchical timing wheel of two levels that keeps exact deadlines:
// a near slot is a tick of 8.4 ms and 256 of them are looked at, a far slot is as long as all near slots (2.1 s) and its timers move
// to the near ones when its time has come. Adding and removing cost the same however many timers there are; the exact order
// within a tick is made up for by a look at all timers of the next slot in use.
//
// It is not ticked: next says when it wants to be looked at.
type wheel struct {
	tick  int64 // the first of the near slots
	len   int
	lists [readySlot + 1]*timer // near slots, far slots, ready; each a ring in the order of adding
	near  slotSet
	far   slotSet
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
	tickBits  = 23 // of nanoseconds
	slotBits  = 8
	slots     = 1 << slotBits
	readySlot = 2 * slots // what is due
)

// add puts t, which is in no wheel, in its place. now is only a hint.
func (w *wheel) add(t *timer, due, now instant) {
	if w.len == 0 {
		w.tick = int64(now >> tickBits)
	}
	w.len++
	t.due = due
	w.push(t, w.place(due))
}

// place is where a timer belongs.
func (w *wheel) place(due instant) int {
	tick := max(int64(due>>tickBits), w.tick)
	if tick-w.tick < slots {
		return int(tick % slots)
	}
	// What is too far away goes to the last far slot and is placed anew from there.
	return slots + int(min(tick>>slotBits, w.tick>>slotBits+slots-1)%slots)
}

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
	case slot < readySlot:
		w.far.set(slot-slots, used)
	}
}

// remove takes t out, if it is in.
func (w *wheel) remove(t *timer) {
	if t.slot != 0 {
		w.len--
		w.unlink(t)
	}
}

func (w *wheel) unlink(t *timer) {
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

// pop takes out a timer that is due, in the order of the ticks. [wheel.turn] has made them ready.
func (w *wheel) pop() *timer {
	t := w.lists[readySlot]
	if t != nil {
		w.remove(t)
	}
	return t
}

// turn makes ready what is due.
func (w *wheel) turn(now instant) {
	if tick := int64(now >> tickBits); tick > w.tick {
		for past, ok := w.firstNear(); ok && past < tick; past, ok = w.firstNear() {
			w.move(int(past%slots), func(*timer) int { return readySlot })
		}
		first, last := w.tick>>slotBits+1, tick>>slotBits
		w.tick = tick
		for far := first; far <= last && far < first+slots; far++ {
			w.move(slots+int(far%slots), func(t *timer) int {
				if t.due <= now {
					return readySlot
				}
				return w.place(t.due)
			})
		}
	}
	current := int(w.tick % slots)
	w.move(current, func(t *timer) int {
		if t.due <= now {
			return readySlot
		}
		return current
	})
}

// move empties a slot into those that to says.
func (w *wheel) move(slot int, to func(*timer) int) {
	head := w.lists[slot]
	if head == nil {
		return
	}
	last := head.prev
	for t := head; ; {
		next, done := t.next, t == last
		if target := to(t); target != slot {
			w.unlink(t)
			w.push(t, target)
		}
		if done {
			return
		}
		t = next
	}
}

// next returns when turn has something to do: the earliest deadline, or earlier when far timers have to move; never if there is no timer.
func (w *wheel) next() instant {
	if w.lists[readySlot] != nil {
		return 0
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
func (w *wheel) firstNear() (tick int64, ok bool) { return w.near.first(w.tick) }

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
