package transaction

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// popAll turns w to now and takes out what is due.
func popAll(w *wheel, now instant) (due []*timer) {
	w.turn(now)
	for t := w.pop(now); t != nil; t = w.pop(now) {
		due = append(due, t)
	}
	return due
}

// A wheel gives out every timer at its exact deadline, when it is looked at whenever it asks for it.
func TestWheelExact(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(2, seed))
		var w wheel
		now := instant(rng.Int64N(int64(time.Hour)))
		live := map[*timer]instant{}
		spread := []instant{time.Millisecond, time.Second, 40 * time.Second, 20 * time.Minute, 5 * time.Hour}[seed%5]
		for range 2000 {
			switch rng.IntN(4) {
			case 0, 1:
				tm := new(timer)
				due := now + instant(rng.Int64N(int64(spread)))
				live[tm] = due
				w.add(tm, due, now)
			case 2:
				for tm := range live {
					w.remove(tm)
					delete(live, tm)
					break
				}
			case 3:
				next := w.next()
				if len(live) == 0 {
					require.Equal(t, never, next)
					continue
				}
				first := never
				for _, due := range live {
					first = min(first, due)
				}
				require.LessOrEqual(t, next, first, "it must not ask too late")
				now = max(now, next)
				due := popAll(&w, now)
				for _, tm := range due {
					require.LessOrEqual(t, live[tm], now, "too early")
					delete(live, tm)
				}
				if next == first {
					require.NotEmpty(t, due)
				}
			}
			require.Equal(t, len(live), w.len)
		}
		asked, allowed := 0, len(live)+int(spread>>(tickBits+slotBits))+1
		for len(live) > 0 {
			next := w.next()
			require.Greater(t, next, now-1)
			now = max(now, next)
			for _, tm := range popAll(&w, now) {
				require.Equal(t, live[tm], now, "not at its deadline")
				delete(live, tm)
			}
			asked++
		}
		require.Equal(t, never, w.next())
		require.Equal(t, slotSet{}, w.near)
		require.Equal(t, slotSet{}, w.far)
		require.LessOrEqual(t, asked, allowed, "asks too often for nothing")
	}
}

// A wheel that was not looked at for long gives out all that is due then, and no more.
func TestWheelLate(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(3, seed))
		var w wheel
		now := instant(0)
		live := map[*timer]instant{}
		for range 20 {
			for range rng.IntN(50) {
				tm := new(timer)
				live[tm] = now + instant(rng.Int64N(int64(30*time.Minute)))
				w.add(tm, live[tm], now)
			}
			now += instant(rng.Int64N(int64(time.Duration(1<<rng.IntN(12)) * time.Second)))
			for _, tm := range popAll(&w, now) {
				require.LessOrEqual(t, live[tm], now)
				delete(live, tm)
			}
			for _, due := range live {
				require.Greater(t, due, now, "left behind")
			}
		}
	}
}

// Timers of one deadline come in the order in which they were added, so that what happens is reproducible.
func TestWheelOrder(t *testing.T) {
	var w wheel
	var timers []*timer
	for range 100 {
		tm := new(timer)
		timers = append(timers, tm)
		w.add(tm, 40*time.Second, 0)
	}
	require.Equal(t, instant(18)<<31, w.next(), "when the far slot of 40 s becomes near")
	require.Empty(t, popAll(&w, 39*time.Second))
	require.Equal(t, 40*time.Second, w.next())
	require.True(t, slices.Equal(timers, popAll(&w, 40*time.Second)))
}

func TestSlotSet(t *testing.T) {
	var s slotSet
	_, ok := s.first(5)
	require.False(t, ok)
	for _, c := range []struct{ slot, from, want int64 }{
		{5, 0, 5}, {5, 5, 5}, {5, 6, 256 + 5}, {255, 1000, 1023}, {0, 1, 256}, {63, 64, 256 + 63}, {64, 63, 64}, {200, 512, 712},
	} {
		s.set(int(c.slot), true)
		got, ok := s.first(c.from)
		require.True(t, ok)
		require.Equal(t, c.want, got)
		s.set(int(c.slot), false)
	}
}
