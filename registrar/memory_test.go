package registrar

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

func newMemoryStore(t testing.TB) *MemoryStore {
	s := &MemoryStore{}
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// set makes bindings those of aor.
func set(s Store, aor string, bindings ...Binding) error {
	return s.Update(context.Background(), aor, func([]Binding) ([]Binding, error) { return bindings, nil })
}

func typicalBinding(n int) Binding {
	now := time.Now().Truncate(time.Millisecond)
	return Binding{
		Contact:    fmt.Sprintf("sip:user%07d@203.0.113.9:40000;transport=UDP", n),
		CallID:     fmt.Sprintf("%07d-31337@203.0.113.9", n),
		CSeq:       1,
		Q:          MaxQ,
		UserAgent:  "Grandstream GXP2170 1.0.11.48",
		Flow:       udpFlow,
		Registered: now,
		Expires:    now.Add(time.Hour),
	}
}

func typicalAOR(n int) string { return fmt.Sprintf("sip:user%07d@example.org", n) }

// heap returns the bytes of live objects.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first has finalised
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A phone's binding takes at most 450 bytes, everything included, also when it has been refreshed, from a message that is gone.
func TestMemoryPerBinding(t *testing.T) {
	const n, limit = 100_000, 450
	rest := strings.Repeat("a REGISTER's other header fields", 50)
	s := newMemoryStore(t)
	before := heap()
	for range 2 {
		for i := range n {
			b, aor := typicalBinding(i), typicalAOR(i)
			message := rest + aor + b.Contact // of which a store is to keep nothing
			aor, b.Contact = message[len(rest):][:len(aor)], message[len(rest)+len(aor):]
			if err := set(s, aor, b); err != nil {
				t.Fatal(err)
			}
		}
		per := float64(heap()-before) / n
		t.Logf("%.0f bytes per binding", per)
		require.Less(t, per, float64(limit))
		require.Equal(t, MemoryStats{n, n}, s.Stats())
	}
	runtime.KeepAlive(s)
}

// What is gone takes no room, and many refreshes take no more than one.
func TestMemoryIsGivenBack(t *testing.T) {
	const n = 10_000
	s := newMemoryStore(t)
	before := heap()
	for range 3 {
		for i := range n {
			if err := set(s, typicalAOR(i), typicalBinding(i)); err != nil {
				t.Fatal(err)
			}
		}
		require.Equal(t, MemoryStats{n, n}, s.Stats())
		checkQueues(t, s)
		for i := range n {
			if err := set(s, typicalAOR(i)); err != nil {
				t.Fatal(err)
			}
		}
		require.Equal(t, MemoryStats{}, s.Stats())
	}
	require.Less(t, float64(heap()-before), float64(n*20))
	checkQueues(t, s)
}

// AllocsPerRun: a Lookup allocates nothing beyond dst.
func TestLookupAllocations(t *testing.T) {
	s := newMemoryStore(t)
	six := typicalBinding(2)
	six.Flow.Remote = netip.MustParseAddrPort("[2001:db8::7]:5060")
	six.Path, six.Received = "<sip:p1.example.org;lr>", udpFlow.Remote
	require.NoError(t, set(s, bobsKey, typicalBinding(1), six))
	dst := make([]Binding, 0, 4)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		got, err := s.Lookup(context.Background(), bobsKey, dst)
		if err != nil || len(got) != 2 {
			t.Error("no bindings")
		}
	}))
}

func TestMaxBindings(t *testing.T) {
	s := newMemoryStore(t)
	s.MaxBindings = 3
	require.NoError(t, set(s, "a", typicalBinding(1), typicalBinding(2)))
	require.NoError(t, set(s, "b", typicalBinding(1)))
	require.ErrorIs(t, set(s, "c", typicalBinding(1)), ErrFull)
	require.ErrorIs(t, set(s, "b", typicalBinding(1), typicalBinding(2)), ErrFull)
	require.Equal(t, MemoryStats{AORs: 2, Bindings: 3}, s.Stats())
	require.NoError(t, set(s, "b", typicalBinding(7)), "replacing one by another takes no room")
	require.NoError(t, set(s, "a", typicalBinding(1)))
	require.NoError(t, set(s, "c", typicalBinding(1)))
	require.Equal(t, MemoryStats{AORs: 3, Bindings: 3}, s.Stats())

	s.MaxBindings = 1 // lowered: removing works
	require.NoError(t, set(s, "a"))
	require.ErrorIs(t, set(s, "a", typicalBinding(1)), ErrFull)
	s.MaxBindings = -1
	require.NoError(t, set(s, "a", typicalBinding(1)))
}

func TestClose(t *testing.T) {
	s := &MemoryStore{OnExpire: func(Event) { t.Error("Close is no expiry") }}
	require.NoError(t, set(s, "a", typicalBinding(1)))
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.Equal(t, MemoryStats{}, s.Stats())
	require.ErrorIs(t, set(s, "a", typicalBinding(1)), ErrClosed)
	dst := []Binding{typicalBinding(3)}
	got, err := s.Lookup(context.Background(), "a", dst)
	require.ErrorIs(t, err, ErrClosed)
	require.Equal(t, dst, got)

	s = &MemoryStore{}
	require.NoError(t, s.Close(), "never used")
	closing := &MemoryStore{}
	require.ErrorIs(t, closing.Update(context.Background(), "a", func([]Binding) ([]Binding, error) {
		return []Binding{typicalBinding(1)}, closing.Close()
	}), ErrClosed)
}

// f runs again if another Update was faster, and sees what that has left.
func TestUpdateRunsAgain(t *testing.T) {
	s := newMemoryStore(t)
	runs := 0
	err := s.Update(context.Background(), "a", func(old []Binding) ([]Binding, error) {
		if runs++; runs == 1 {
			require.Empty(t, old)
			require.NoError(t, set(s, "a", typicalBinding(1)))
		}
		return append(old, typicalBinding(2)), nil
	})
	require.NoError(t, err)
	require.Equal(t, 2, runs)
	got, err := s.Lookup(context.Background(), "a", nil)
	require.NoError(t, err)
	require.Equal(t, []string{typicalBinding(1).Contact, typicalBinding(2).Contact}, contacts(got))

	ctx, cancel := context.WithCancel(context.Background())
	err = s.Update(ctx, "a", func([]Binding) ([]Binding, error) {
		cancel() // while another is always faster
		return nil, set(s, "a", typicalBinding(3+runs))
	})
	require.ErrorIs(t, err, context.Canceled)
}

// Registrations of one user from many devices at once: none is lost, none is seen in part, limits hold.
func TestConcurrentRegistrations(t *testing.T) {
	store := newMemoryStore(t)
	var mu sync.Mutex
	changes := map[EventKind]int{}
	reg := &Registrar{Store: store, MaxContacts: 16, OnChange: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		changes[e.Kind]++
	}}
	const devices, rounds = 8, 50
	var wg sync.WaitGroup
	for d := range devices {
		wg.Go(func() {
			for cseq := 1; cseq <= rounds; cseq++ {
				req := parse(t, registerText(bob, fmt.Sprintf("device-%d", d), cseq,
					fmt.Sprintf("Contact: <sip:a%d@192.0.2.4>, <sip:b%d@192.0.2.4>", d, d)))
				res, err := reg.Answer(context.Background(), req, udpFlow)
				if err != nil || res.Status != 200 {
					t.Errorf("%v, %v", res, err)
				}
				bindings, err := reg.Lookup(context.Background(), req.To().URI)
				if err != nil {
					t.Error(err)
				}
				if err := wholeRegistrations(bindings); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	bindings, err := store.Lookup(context.Background(), bobsKey, nil)
	require.NoError(t, err)
	require.Len(t, bindings, 2*devices)
	for _, b := range bindings {
		require.EqualValues(t, rounds, b.CSeq)
	}
	require.Equal(t, map[EventKind]int{Registered: 2 * devices, Refreshed: 2 * devices * (rounds - 1)}, changes)
}

// wholeRegistrations checks that of each Call-ID there are two bindings, of one CSeq.
func wholeRegistrations(bindings []Binding) error {
	seen := map[string][]uint32{}
	for _, b := range bindings {
		seen[b.CallID] = append(seen[b.CallID], b.CSeq)
	}
	for id, cseqs := range seen {
		if len(cseqs) != 2 || cseqs[0] != cseqs[1] {
			return fmt.Errorf("%s: bindings of CSeq %v", id, cseqs)
		}
	}
	return nil
}

// A zone, a zero time and texts of any length come back as they went in.
func TestRecord(t *testing.T) {
	now := time.Now()
	odd := Binding{
		Contact:  strings.Repeat("x", 70000),
		Expires:  now.Add(time.Hour).Truncate(time.Millisecond),
		Received: netip.MustParseAddrPort("[fe80::1%" + strings.Repeat("z", 300) + "]:1"),
		Flow:     transport.Flow{Protocol: transport.WSS, Conn: 1<<64 - 1},
	}
	r := packRecord("key", []Binding{odd}, now)
	require.Equal(t, "key", r.aor())
	require.Equal(t, 1, r.count())
	require.Equal(t, odd.Expires.UnixMilli(), r.firstExpiry())
	got := r.appendTo(nil, nil, now)
	require.Len(t, got, 1)
	require.True(t, got[0].Registered.IsZero())
	got[0].Registered = time.Time{}
	require.Equal(t, odd, got[0])

	require.Empty(t, packRecord("key", nil, now))
	require.Empty(t, packRecord("key", []Binding{odd}, odd.Expires))
	var expired []Binding
	require.Empty(t, r.appendTo(nil, &expired, odd.Expires))
	require.Len(t, expired, 1)
}

func TestClone(t *testing.T) {
	b := typicalBinding(1)
	b.Instance, b.Path = "<urn:x>", "<sip:p>"
	c := b.Clone()
	require.Equal(t, b, c)
	only := Binding{Contact: "sip:a@b"}
	c = only.Clone()
	require.Equal(t, only, c)
	require.NotSame(t, unsafe.StringData(only.Contact), unsafe.StringData(c.Contact), "it shares no text")
	require.Zero(t, (&Binding{Contact: "no URI"}).URI())
}
