package registrar

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	shards             = 64
	defaultMaxBindings = 2_000_000
	// sweepSize is the number of due entries that are looked at under one lock.
	sweepSize = 256
)

// MemoryStore is a [Store] in the memory of the process; what it holds ends with it. The zero value is ready for use. It is safe for
// concurrent use and must not be copied.
//
// Each address of record has an immutable record, which an Update replaces: readers never wait for an Update's f, and Updates of
// different addresses of record do not wait for one another. A phone's binding takes about 300 bytes, everything included.
//
// No goroutine runs in it. While it holds bindings, timers are set for their ends; nothing ticks.
type MemoryStore struct {
	// MaxBindings is the number of bindings, of all addresses of record together, beyond which Update returns [ErrFull]; it bounds
	// the number of addresses of record too. 0 means 2,000,000, which take about 0.6 GB; negative means no bound. Refreshing and
	// removing always work.
	MaxBindings int
	// OnExpire is called with each binding that ended because it was not refreshed, within a second of its end or by the next Update
	// of its address of record; not with those that Update took away, and not for what Close drops. It is called with no lock held
	// and one after the other within one call or timer; an event may come after one of a later Update of the same address of
	// record, which Binding.Registered shows. It must not call Close.
	OnExpire func(Event)

	once     sync.Once
	seed     maphash.Seed
	shards   [shards]shard
	bindings atomic.Int64
	aors     atomic.Int64
	sweeps   sync.WaitGroup // timers' callbacks that are at work
}

// shard holds the addresses of record of one hash value.
type shard struct {
	mu      sync.RWMutex // guards all below
	closed  bool
	entries map[string]*entry // the keys are parts of the records
	expiry  expiryQueue
	timer   *time.Timer
	due     int64    // the second that timer is set for; 0 if it is not
	_       [48]byte // keeps the locks of neighbours on cache lines of their own
}

// MemoryStats is what a MemoryStore holds, expired bindings that have not been swept yet included.
type MemoryStats struct {
	AORs, Bindings int64
}

// Stats returns what s holds.
func (s *MemoryStore) Stats() MemoryStats {
	return MemoryStats{AORs: s.aors.Load(), Bindings: s.bindings.Load()}
}

// Lookup implements [Store]. It never waits and allocates nothing beyond dst. After Close it returns [ErrClosed].
func (s *MemoryStore) Lookup(_ context.Context, aor string, dst []Binding) ([]Binding, error) {
	r, err := s.shard(aor).load(aor)
	if err != nil {
		return dst, err
	}
	return r.appendTo(dst, nil, time.Now()), nil
}

// Update implements [Store]. It calls f with no lock held, and again if another Update of aor was faster. After Close it returns
// [ErrClosed].
func (s *MemoryStore) Update(ctx context.Context, aor string, f func(old []Binding) ([]Binding, error)) error {
	sh := s.shard(aor)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		before, err := sh.load(aor)
		if err != nil {
			return err
		}
		var old, expired []Binding
		now := time.Now()
		if n := before.count(); n > 0 {
			old = before.appendTo(make([]Binding, 0, n), s.collector(&expired), now)
		}
		bindings, err := f(old)
		if err != nil {
			return err
		}
		after := packRecord(aor, bindings, now)
		done, err := s.replace(sh, aor, before, after)
		if err != nil {
			return err
		}
		if done {
			s.report(aor, expired)
			return nil
		}
	}
}

// Close drops everything, stops the timers and waits until those at work are done. Nothing runs afterwards.
func (s *MemoryStore) Close() error {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.closed = true
		for _, e := range sh.entries {
			s.bindings.Add(-int64(e.record.count()))
		}
		s.aors.Add(-int64(len(sh.entries)))
		sh.entries, sh.expiry = nil, nil
		sh.disarm()
		sh.mu.Unlock()
	}
	s.sweeps.Wait()
	return nil
}

func (s *MemoryStore) shard(aor string) *shard {
	s.once.Do(func() { s.seed = maphash.MakeSeed() })
	return &s.shards[maphash.String(s.seed, aor)%shards]
}

// collector returns where expired bindings are to be collected, nil if nobody wants them.
func (s *MemoryStore) collector(expired *[]Binding) *[]Binding {
	if s.OnExpire == nil {
		return nil
	}
	return expired
}

func (s *MemoryStore) report(aor string, expired []Binding) {
	for i := range expired {
		s.OnExpire(Event{Expired, aor, expired[i]})
	}
}

func (sh *shard) load(aor string) (record, error) {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if sh.closed {
		return "", ErrClosed
	}
	if e := sh.entries[aor]; e != nil {
		return e.record, nil
	}
	return "", nil
}

// replace makes after the record of aor if before still is; it says whether it was.
func (s *MemoryStore) replace(sh *shard, aor string, before, after record) (bool, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return false, ErrClosed
	}
	e := sh.entries[aor]
	var current record
	if e != nil {
		current = e.record
	}
	if current != before { // often the same string, which costs nothing to see
		return false, nil
	}
	if !s.admit(int64(after.count() - before.count())) {
		return false, ErrFull
	}
	s.put(sh, e, after)
	s.arm(sh)
	return true, nil
}

// admit adds n to the number of bindings if MaxBindings allows it.
func (s *MemoryStore) admit(n int64) bool {
	limit := int64(s.MaxBindings)
	if limit == 0 {
		limit = defaultMaxBindings
	}
	if s.bindings.Add(n) > limit && limit > 0 && n > 0 {
		s.bindings.Add(-n)
		return false
	}
	return true
}

// put gives e, nil for a new one, the record r. sh.mu is held.
func (s *MemoryStore) put(sh *shard, e *entry, r record) {
	switch {
	case e == nil && r == "":
		return
	case r == "":
		sh.expiry.remove(e)
		delete(sh.entries, e.record.aor())
		s.aors.Add(-1)
		if len(sh.entries) == 0 { // a map does not shrink
			sh.entries, sh.expiry = nil, nil
		}
		return
	case e == nil:
		if sh.entries == nil {
			sh.entries = make(map[string]*entry)
		}
		e = &entry{record: r}
		sh.expiry.push(e, dueSecond(r.firstExpiry()))
		s.aors.Add(1)
	default:
		e.record = r
		sh.expiry.hasten(e, dueSecond(r.firstExpiry()))
	}
	sh.entries[r.aor()] = e // renews the key, which would keep the former record alive
}

// arm sees that the timer comes when the first entry is due. sh.mu is held.
func (s *MemoryStore) arm(sh *shard) {
	if len(sh.expiry) == 0 {
		sh.disarm()
		return
	}
	due := sh.expiry[0].due
	if sh.due != 0 && sh.due <= due {
		return // too early is not too late: the callback looks and sets it anew
	}
	sh.due = due
	wait := max(time.Until(time.Unix(due, 0)), 0)
	if sh.timer == nil {
		sh.timer = time.AfterFunc(wait, func() { s.expire(sh) })
	} else {
		sh.timer.Reset(wait)
	}
}

func (sh *shard) disarm() {
	if sh.timer != nil {
		sh.timer.Stop()
	}
	sh.due = 0
}

// expire is the timer's callback.
func (s *MemoryStore) expire(sh *shard) {
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		return
	}
	s.sweeps.Add(1) // before Close can wait, as Close has not come here yet
	sh.due = 0
	sh.mu.Unlock()
	defer s.sweeps.Done()

	for more := true; more; {
		var ended []Event
		ended, more = s.sweep(sh)
		for i := range ended {
			s.OnExpire(ended[i])
		}
	}
}

// sweep takes away what has expired of the entries that are due, but of not more than sweepSize entries, and says whether there are
// more. It returns events only if somebody wants them.
func (s *MemoryStore) sweep(sh *shard) (ended []Event, more bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := time.Now()
	var live, expired []Binding
	for range sweepSize {
		if len(sh.expiry) == 0 || sh.expiry[0].due > now.Unix() {
			s.arm(sh)
			return ended, false
		}
		e := sh.expiry[0].entry
		if first := e.record.firstExpiry(); first > now.UnixMilli() {
			sh.expiry.move(e, dueSecond(first))
			continue
		}
		aor, before := e.record.aor(), e.record.count()
		live = e.record.appendTo(live[:0], s.collector(&expired), now)
		after := packRecord(aor, live, now)
		s.bindings.Add(int64(after.count() - before))
		if s.put(sh, e, after); after != "" {
			sh.expiry.move(e, dueSecond(after.firstExpiry()))
		}
		for i := range expired {
			ended = append(ended, Event{Expired, aor, expired[i]})
		}
		expired = expired[:0]
	}
	return ended, true
}
