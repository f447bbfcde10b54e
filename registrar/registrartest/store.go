package registrartest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goser-project/goser/registrar"
	"github.com/goser-project/goser/transport"
)

// TestStore runs the suite. Each of its subtests calls newStore once for a store of its own, which need not be empty as long as it
// holds nothing of the suite's addresses of record (those of the domain registrartest.invalid, and some odd texts); newStore ends
// it by t.Cleanup. What the suite expects of a store is said at [registrar.Store].
func TestStore(t *testing.T, newStore func(t *testing.T) registrar.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, suite)
	}{
		{"Empty", testEmpty},
		{"RoundTrip", testRoundTrip},
		{"Order", testOrder},
		{"Append", testAppend},
		{"Replace", testReplace},
		{"OldIsOwn", testOldIsOwn},
		{"Remove", testRemove},
		{"Failure", testFailure},
		{"Expired", testExpired},
		{"Keys", testKeys},
		{"ManyAORs", testManyAORs},
		{"NoEffectAfterReturn", testNoEffectAfterReturn},
		{"Cancelled", testCancelled},
		{"CancelledInside", testCancelledInside},
		{"ConcurrentUpdates", testConcurrentUpdates},
		{"ConcurrentLookups", testConcurrentLookups},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(t, suite{newStore(t), time.UnixMilli(time.Now().UnixMilli())})
		})
	}
}

const aor = "sip:alice@registrartest.invalid"

// suite is a store with the operations that the tests are made of.
type suite struct {
	registrar.Store
	now time.Time // when the test began, in whole milliseconds
}

// lookup returns the bindings of aor.
func (s suite) lookup(t *testing.T, aor string) []registrar.Binding {
	t.Helper()
	got, err := s.Lookup(t.Context(), aor, nil)
	if err != nil {
		t.Fatalf("Lookup(%q): %v", aor, err)
	}
	return got
}

// set makes bindings those of aor.
func (s suite) set(t *testing.T, aor string, bindings ...registrar.Binding) {
	t.Helper()
	err := s.Update(t.Context(), aor, func([]registrar.Binding) ([]registrar.Binding, error) { return bindings, nil })
	if err != nil {
		t.Fatalf("Update(%q): %v", aor, err)
	}
}

// expect checks the bindings of aor, for Lookup and for Update.
func (s suite) expect(t *testing.T, aor string, want ...registrar.Binding) {
	t.Helper()
	check(t, "Lookup", s.lookup(t, aor), want)
	stop := errors.New("only looking")
	err := s.Update(t.Context(), aor, func(old []registrar.Binding) ([]registrar.Binding, error) {
		check(t, "Update", old, want)
		return nil, stop
	})
	if !errors.Is(err, stop) {
		t.Fatalf("Update with an f that fails: got %v, want an error that wraps f's", err)
	}
}

// check fails t if got is not want, by all fields, the times to the millisecond.
func check(t *testing.T, what string, got, want []registrar.Binding) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d bindings, want %d:\n%s\n%s", what, len(got), len(want), list(got), list(want))
		return
	}
	for i := range got {
		if rounded(got[i]) != rounded(want[i]) {
			t.Errorf("%s: binding %d:\ngot  %+v\nwant %+v", what, i, got[i], want[i])
		}
	}
}

// rounded makes equal what a store need not tell apart: zones and fractions of times.
func rounded(b registrar.Binding) registrar.Binding {
	b.Registered = time.UnixMilli(b.Registered.UnixMilli()).UTC()
	b.Expires = time.UnixMilli(b.Expires.UnixMilli()).UTC()
	return b
}

func list(bindings []registrar.Binding) string {
	var contacts []string
	for _, b := range bindings {
		contacts = append(contacts, b.Contact)
	}
	return "[" + strings.Join(contacts, " ") + "]"
}

// phone returns the binding of a usual phone, live for an hour; for the same n always the same.
func (s suite) phone(n int) registrar.Binding {
	return registrar.Binding{
		Contact:    fmt.Sprintf("sip:alice@192.0.2.%d:5060;transport=udp", n),
		CallID:     fmt.Sprintf("call-%d@192.0.2.1", n),
		CSeq:       uint32(n),
		Q:          registrar.MaxQ,
		UserAgent:  "registrartest",
		Registered: s.now,
		Expires:    s.now.Add(time.Hour),
		Flow: transport.Flow{
			Protocol: transport.UDP,
			Local:    netip.MustParseAddrPort("198.51.100.1:5060"),
			Remote:   netip.MustParseAddrPort("192.0.2.1:5060"),
		},
	}
}

func testEmpty(t *testing.T, s suite) {
	s.expect(t, aor)
}

// A store keeps every field, at the ends of its range and where it is empty.
func testRoundTrip(t *testing.T, s suite) {
	full := registrar.Binding{
		Contact:    `sips:alice:s%20ecret@[2001:db8::9]:65535;transport=wss;ob?Route=%3Csip:a.example;lr%3E`,
		CallID:     `(x)"y"\z'; -- <w>@{h}?` + strings.Repeat("long", 50),
		CSeq:       math.MaxUint32,
		Q:          registrar.MaxQ,
		RegID:      math.MaxUint32,
		Instance:   "<urn:uuid:00000000-0000-1000-8000-000A95A0E128>",
		Path:       "<sip:P3.EXAMPLEHOME.COM;lr>,<sip:token%3D%25@p1.example.com;lr;ob>",
		UserAgent:  "Größe 😀 \t1.0",
		Registered: time.UnixMilli(1_000_000_000_001),
		Expires:    time.UnixMilli(1_000_000_000_000 * 4),
		Flow: transport.Flow{
			Protocol: transport.WSS,
			Local:    netip.MustParseAddrPort("[2001:db8::1]:443"),
			Remote:   netip.MustParseAddrPort("[fe80::1%eth0]:65535"),
			Conn:     math.MaxUint64,
		},
		Received: netip.MustParseAddrPort("203.0.113.7:1"),
	}
	bare := registrar.Binding{Contact: "tel:+15551234", Expires: full.Expires}
	s.set(t, aor, full, bare)
	s.expect(t, aor, full, bare)
}

// Lookup returns the bindings in the order in which Update stored them, whatever their fields say.
func testOrder(t *testing.T, s suite) {
	a, b, c := s.phone(1), s.phone(2), s.phone(3)
	a.Q, b.Q, c.Q = 1, 500, 0
	b.Registered = b.Registered.Add(-time.Minute)
	s.set(t, aor, c, a, b)
	s.expect(t, aor, c, a, b)
	s.set(t, aor, b, c, a)
	s.expect(t, aor, b, c, a)
}

// Lookup appends the bindings of aor to dst.
func testAppend(t *testing.T, s suite) {
	first, second := s.phone(1), s.phone(2)
	s.set(t, aor, second)
	dst := append(make([]registrar.Binding, 0, 8), first)
	got, err := s.Lookup(t.Context(), aor, dst)
	if err != nil {
		t.Fatalf("Lookup: %v", err)
	}
	check(t, "Lookup", got, []registrar.Binding{first, second})
	got, err = s.Lookup(t.Context(), "sip:nobody@registrartest.invalid", dst)
	if err != nil {
		t.Fatalf("Lookup of nobody: %v", err)
	}
	check(t, "Lookup of nobody", got, []registrar.Binding{first})
}

// Update replaces the bindings of aor by what f returns for them.
func testReplace(t *testing.T, s suite) {
	s.set(t, aor, s.phone(1), s.phone(2), s.phone(3))
	changed := s.phone(2)
	changed.CSeq, changed.Contact = 77, "sip:elsewhere@192.0.2.200"
	s.set(t, aor, changed, s.phone(4))
	s.expect(t, aor, changed, s.phone(4))
}

// The slice old is f's own, to change and to return.
func testOldIsOwn(t *testing.T, s suite) {
	s.set(t, aor, s.phone(1), s.phone(2))
	before := s.lookup(t, aor)
	stop := errors.New("no")
	err := s.Update(t.Context(), aor, func(old []registrar.Binding) ([]registrar.Binding, error) {
		if len(old) != 2 {
			return nil, fmt.Errorf("got %d old bindings, want 2", len(old))
		}
		old[0].Contact, old[1].CSeq = "sip:changed@192.0.2.200", 99
		return old, stop
	})
	if !errors.Is(err, stop) {
		t.Fatalf("Update: %v", err)
	}
	s.expect(t, aor, s.phone(1), s.phone(2))
	err = s.Update(t.Context(), aor, func(old []registrar.Binding) ([]registrar.Binding, error) {
		if len(old) != 2 {
			return nil, fmt.Errorf("got %d old bindings, want 2", len(old))
		}
		old[0], old[1] = old[1], old[0]
		return append(old[:1], s.phone(3)), nil
	})
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	s.expect(t, aor, s.phone(2), s.phone(3))
	check(t, "what an earlier Lookup returned", before, []registrar.Binding{s.phone(1), s.phone(2)})
}

// An address of record for which f returns nothing has no bindings, and can have some again.
func testRemove(t *testing.T, s suite) {
	s.set(t, aor, s.phone(1), s.phone(2))
	s.set(t, aor)
	s.expect(t, aor)
	s.set(t, aor)
	s.expect(t, aor)
	s.set(t, aor, s.phone(3))
	s.expect(t, aor, s.phone(3))
}

// If f fails nothing changes and Update's error wraps f's.
func testFailure(t *testing.T, s suite) {
	wrong := errors.New("wrong")
	fail := func([]registrar.Binding) ([]registrar.Binding, error) { return []registrar.Binding{s.phone(9)}, wrong }
	for _, want := range [][]registrar.Binding{nil, {s.phone(1), s.phone(2)}} {
		s.set(t, aor, want...)
		if err := s.Update(t.Context(), aor, fail); !errors.Is(err, wrong) {
			t.Errorf("Update: got %v, want an error that wraps f's", err)
		}
		s.expect(t, aor, want...)
	}
}

// Bindings end at Binding.Expires: from then on neither Lookup nor Update shows them.
func testExpired(t *testing.T, s suite) {
	gone, live, longGone := s.phone(1), s.phone(2), s.phone(3)
	gone.Expires = gone.Expires.Add(-time.Hour - time.Second)
	longGone.Expires = longGone.Expires.Add(-10000 * time.Hour)
	s.set(t, aor, gone, live, longGone)
	s.expect(t, aor, live)
	s.set(t, aor, longGone, gone)
	s.expect(t, aor)
	s.set(t, aor, live)
	s.expect(t, aor, live)
}

// Keys are any text, of which no two are equal.
func testKeys(t *testing.T, s suite) {
	keys := []string{
		"sip:alice@registrartest.invalid", "sips:alice@registrartest.invalid", "sip:Alice@registrartest.invalid",
		"sip:alic@registrartest.invalid", "sip:alice@registrartest.invalid.", "sip:alice@registrartest.invalid ",
		" sip:alice@registrartest.invalid", "sip:alicé@registrartest.invalid", "sip:alice\u0301@registrartest.invalid",
		"sip:%61lice@registrartest.invalid", "sip:_lice@registrartest.invalid", "sip:*@registrartest.invalid",
		`sip:'; DROP TABLE location; --@registrartest.invalid`, `sip:"\@registrartest.invalid`, "sip:a\tb@registrartest.invalid",
		"sip:{alice}:bindings@registrartest.invalid", "sip:" + strings.Repeat("a", 100) + "@registrartest.invalid",
		"sip:" + strings.Repeat("a", 101) + "@registrartest.invalid", "sip:registrartest.invalid",
	}
	for i, key := range keys {
		s.set(t, key, s.phone(i+1))
	}
	for i, key := range keys {
		s.expect(t, key, s.phone(i+1))
	}
	for _, key := range keys {
		s.set(t, key)
		s.expect(t, key)
	}
}

// Addresses of record have nothing to do with one another, however many they are.
func testManyAORs(t *testing.T, s suite) {
	const n = 1000
	key := func(i int) string { return fmt.Sprintf("sip:user%d@registrartest.invalid", i) }
	for i := range n {
		s.set(t, key(i), s.phone(i))
	}
	for i := 0; i < n; i += 2 {
		s.set(t, key(i))
	}
	for i := range n {
		got, want := s.lookup(t, key(i)), []registrar.Binding(nil)
		if i%2 == 1 {
			want = []registrar.Binding{s.phone(i)}
		}
		check(t, key(i), got, want)
	}
}

// f does not run after Update has returned.
func testNoEffectAfterReturn(t *testing.T, s suite) {
	for i := range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		var returned atomic.Bool
		err := s.Update(ctx, aor, func([]registrar.Binding) ([]registrar.Binding, error) {
			if returned.Load() {
				t.Error("f runs after Update has returned")
			}
			if i%2 == 0 {
				cancel()
			}
			return []registrar.Binding{s.phone(i)}, nil
		})
		returned.Store(true)
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("Update: %v", err)
		}
	}
}

// An Update whose context has ended either fails with the context's error and changes nothing, or it succeeds as a whole.
func testCancelled(t *testing.T, s suite) {
	s.set(t, aor, s.phone(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Update(ctx, aor, func([]registrar.Binding) ([]registrar.Binding, error) {
		return []registrar.Binding{s.phone(2), s.phone(3)}, nil
	})
	s.expectCancelled(t, err, s.phone(1))

	dst := []registrar.Binding{s.phone(9)}
	got, err := s.Lookup(ctx, aor, dst)
	switch {
	case errors.Is(err, context.Canceled):
		check(t, "Lookup that was cancelled", got, dst)
	case err != nil:
		t.Errorf("Lookup with a context that has ended: got %v, want context.Canceled or none", err)
	case len(got) < 2:
		t.Error("Lookup with a context that has ended returned neither an error nor the bindings")
	}
}

func testCancelledInside(t *testing.T, s suite) {
	s.set(t, aor, s.phone(1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.Update(ctx, aor, func([]registrar.Binding) ([]registrar.Binding, error) {
		cancel()
		return []registrar.Binding{s.phone(2), s.phone(3)}, nil
	})
	s.expectCancelled(t, err, s.phone(1))
}

// expectCancelled checks what an Update with a cancelled context has left, which was to replace old by phones 2 and 3.
func (s suite) expectCancelled(t *testing.T, err error, old registrar.Binding) {
	t.Helper()
	switch {
	case err == nil:
		s.expect(t, aor, s.phone(2), s.phone(3))
	case errors.Is(err, context.Canceled):
		s.expect(t, aor, old)
	default:
		t.Errorf("Update with a context that has ended: got %v, want context.Canceled or none", err)
	}
}

// No other Update of aor comes in between.
func testConcurrentUpdates(t *testing.T, s suite) {
	const workers, rounds = 8, 25
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range rounds {
				err := s.Update(t.Context(), aor, func(old []registrar.Binding) ([]registrar.Binding, error) {
					mine := -1
					for i := range old {
						if old[i].RegID == uint32(w) {
							mine = i
						}
					}
					if mine < 0 {
						b := s.phone(w)
						b.RegID, b.CSeq = uint32(w), 0
						mine, old = len(old), append(old, b)
					}
					old[mine].CSeq++
					return old, nil
				})
				if err != nil {
					t.Errorf("Update: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	got := s.lookup(t, aor)
	if len(got) != workers {
		t.Fatalf("got %d bindings, want %d, one of each worker", len(got), workers)
	}
	for _, b := range got {
		if b.CSeq != rounds {
			t.Errorf("worker %d: %d of %d updates are there", b.RegID, b.CSeq, rounds)
		}
	}
}

// No Lookup sees a part of an Update.
func testConcurrentLookups(t *testing.T, s suite) {
	const rounds = 100
	s.set(t, aor, s.phone(0), s.phone(0))
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range rounds {
			b := s.phone(i)
			bindings := []registrar.Binding{b, b}
			if i%3 == 0 {
				bindings = append(bindings, b, b)
			}
			err := s.Update(t.Context(), aor, func([]registrar.Binding) ([]registrar.Binding, error) { return bindings, nil })
			if err != nil {
				t.Errorf("Update: %v", err)
				return
			}
		}
	})
	for range 2 {
		wg.Go(func() {
			var dst []registrar.Binding
			for range rounds {
				var err error
				if dst, err = s.Lookup(t.Context(), aor, dst[:0]); err != nil {
					t.Errorf("Lookup: %v", err)
					return
				}
				if len(dst) != 2 && len(dst) != 4 {
					t.Errorf("got %d bindings, want 2 or 4", len(dst))
					return
				}
				for i := range dst {
					if dst[i].Contact != dst[0].Contact || dst[i].CSeq != dst[0].CSeq || dst[i].CallID != dst[0].CallID {
						t.Errorf("bindings of two Updates: %+v and %+v", dst[0], dst[i])
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
