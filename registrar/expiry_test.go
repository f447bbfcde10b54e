package registrar

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// RFC 3261 section 10.2.2: "Registrations are soft state and expire unless refreshed".
func TestExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.register("Contact: <sip:a@192.0.2.4>;expires=600, <sip:b@192.0.2.4>;expires=1000")
		wait(500 * time.Second)
		p.register("Contact: <sip:a@192.0.2.4>;expires=600").
			lists("<sip:a@192.0.2.4>;expires=600", "<sip:b@192.0.2.4>;expires=500")
		wait(500*time.Second - time.Millisecond)
		require.Len(t, p.bindings(), 2)
		wait(time.Millisecond)
		require.Equal(t, []string{"sip:a@192.0.2.4"}, contacts(p.bindings()))
		wait(100 * time.Second)
		require.Empty(t, p.bindings())
	})
}

// An expired binding's CSeq counts no more: the phone that comes back is a new one.
func TestExpiredBindingHasNoOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, p *phone) {
		p.cseq = 99
		p.register("Contact: <sip:a@192.0.2.4>;expires=60")
		wait(60 * time.Second)
		p.cseq = 0
		p.register("Contact: <sip:a@192.0.2.4>;expires=60").lists("<sip:a@192.0.2.4>;expires=60")
	})
}

// Expired bindings leave by themselves, within a second, and are told about.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var ended []string
		gone := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(ended)
		}
		s := &MemoryStore{OnExpire: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			require.Equal(t, Expired, e.Kind)
			require.LessOrEqual(t, time.Since(e.Binding.Expires), time.Second)
			ended = append(ended, e.AOR+" "+e.Binding.CallID)
		}}
		defer s.Close()
		bind := func(id string, ends time.Duration) Binding {
			return Binding{Contact: "sip:x", CallID: id, Expires: time.Now().Add(ends)}
		}
		require.NoError(t, set(s, "a", bind("1", 1500*time.Millisecond), bind("2", time.Minute)))
		require.NoError(t, set(s, "b", bind("3", time.Minute)))
		require.Equal(t, MemoryStats{2, 3}, s.Stats())
		wait(1500 * time.Millisecond)
		got, err := s.Lookup(t.Context(), "a", nil)
		require.NoError(t, err)
		require.Len(t, got, 1, "at once, whether swept or not")
		wait(500 * time.Millisecond)
		require.Equal(t, []string{"a 1"}, gone())
		require.Equal(t, MemoryStats{2, 2}, s.Stats())

		require.NoError(t, set(s, "b", bind("3", time.Hour))) // refreshed: its time in the queue comes for nothing
		wait(58 * time.Second)
		require.Equal(t, []string{"a 1", "a 2"}, gone())
		require.Equal(t, MemoryStats{1, 1}, s.Stats())
		require.NoError(t, set(s, "b", bind("3", time.Second))) // shortened: it comes earlier
		wait(time.Second)
		require.Equal(t, []string{"a 1", "a 2", "b 3"}, gone())
		require.Equal(t, MemoryStats{}, s.Stats())
		checkQueues(t, s)
	})
}

// What expired before the sweep came is told by the Update that finds it, once.
func TestExpiryFoundByUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := 0
		s := &MemoryStore{OnExpire: func(Event) { gone++ }}
		defer s.Close()
		wait(300 * time.Millisecond)
		require.NoError(t, set(s, "a", Binding{Contact: "sip:x", Expires: time.Now().Add(100 * time.Millisecond)}))
		wait(200 * time.Millisecond)
		require.Error(t, s.Update(t.Context(), "a", func(old []Binding) ([]Binding, error) {
			require.Empty(t, old)
			return nil, context.Canceled
		}))
		require.Zero(t, gone)
		require.Equal(t, MemoryStats{1, 1}, s.Stats())
		require.NoError(t, set(s, "a", Binding{Contact: "sip:x", Expires: time.Now().Add(time.Minute)}))
		require.Equal(t, 1, gone)
		wait(10 * time.Second)
		require.Equal(t, 1, gone)
	})
}

// More entries end at once than are swept under one lock, in all shards, while OnExpire registers others.
func TestManyExpireAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3 * sweepSize * shards
		var gone atomic.Int64
		s := &MemoryStore{}
		s.OnExpire = func(e Event) {
			if gone.Add(1)%1000 == 0 { // no lock is held
				if err := set(s, e.AOR, Binding{Contact: "sip:again", Expires: time.Now().Add(time.Hour)}); err != nil {
					t.Error(err)
				}
			}
		}
		defer s.Close()
		for i := range n {
			require.NoError(t, set(s, fmt.Sprint("aor", i), Binding{Contact: "sip:x", Expires: time.Now().Add(time.Minute)}))
		}
		wait(time.Minute - time.Nanosecond)
		require.Zero(t, gone.Load())
		wait(time.Nanosecond)
		require.EqualValues(t, n, gone.Load())
		require.Equal(t, MemoryStats{n / 1000, n / 1000}, s.Stats())
		checkQueues(t, s)
	})
}

// Random updates in virtual time, against a map: what is there, what is gone, and each end told just once.
func TestRandomUpdates(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) { testRandomUpdates(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func testRandomUpdates(t *testing.T, random *rand.Rand) {
	var ended atomic.Int64
	s := &MemoryStore{OnExpire: func(e Event) { ended.Add(1) }}
	defer s.Close()
	model := map[string][]Binding{}
	modelEnded := 0
	expire := func(aor string) {
		var live []Binding
		for _, b := range model[aor] {
			if b.Live(time.Now()) {
				live = append(live, b)
			} else {
				modelEnded++
			}
		}
		model[aor] = live
	}
	for step := range 500 {
		aor := fmt.Sprint("aor", random.IntN(20))
		expire(aor)
		if random.IntN(3) > 0 {
			var bindings []Binding
			for range random.IntN(4) {
				bindings = append(bindings, Binding{
					Contact: fmt.Sprint("sip:", step),
					Expires: time.Now().Add(time.Duration(1+random.IntN(20000)) * time.Millisecond),
				})
			}
			require.NoError(t, set(s, aor, bindings...))
			model[aor] = bindings
		}
		got, err := s.Lookup(t.Context(), aor, nil)
		require.NoError(t, err)
		require.Equal(t, contacts(model[aor]), contacts(got))
		if step%20 == 0 {
			checkQueues(t, s)
		}
		wait(time.Duration(random.IntN(400)) * time.Millisecond)
	}
	wait(21 * time.Second)
	for aor := range model {
		expire(aor)
	}
	require.EqualValues(t, modelEnded, ended.Load())
	require.Equal(t, MemoryStats{}, s.Stats())
}

// checkQueues checks that the expiry queues are heaps of all entries, of which none comes too late, and that timers are set for them
// and for nothing else.
func checkQueues(t *testing.T, s *MemoryStore) {
	t.Helper()
	for i := range s.shards {
		checkQueue(t, &s.shards[i])
	}
}

func checkQueue(t *testing.T, sh *shard) {
	t.Helper()
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	require.Len(t, sh.expiry, len(sh.entries))
	for at, d := range sh.expiry { // many: without require, which takes its time
		switch {
		case d.entry.at != at, sh.entries[d.entry.record.aor()] != d.entry:
			t.Fatalf("the entry at %d is not where it is thought to be", at)
		case sh.expiry[max(at-1, 0)/2].due > d.due:
			t.Fatalf("the entry at %d is due before its parent", at)
		case d.due > dueSecond(d.entry.record.firstExpiry()):
			t.Fatalf("the entry at %d is due too late", at)
		}
	}
	if len(sh.expiry) == 0 {
		require.Zero(t, sh.due, "nothing ticks when idle")
		require.Nil(t, sh.entries)
		return
	}
	require.NotZero(t, sh.due)
	require.LessOrEqual(t, sh.due, sh.expiry[0].due)
}

// Close waits for an OnExpire that is at work.
func TestCloseWaitsForSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := false
		s := &MemoryStore{OnExpire: func(Event) {
			time.Sleep(time.Minute) // a slow one
			done = true
		}}
		require.NoError(t, set(s, "a", Binding{Expires: time.Now().Add(time.Second)}))
		wait(time.Second)
		require.NoError(t, s.Close())
		require.True(t, done)
	})
}
