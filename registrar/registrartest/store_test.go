package registrartest_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/registrar"
	"github.com/goser-project/goser/registrar/registrartest"
)

// plainStore is the simplest thing that is a Store, but for its fault.
type plainStore struct {
	fault    string
	mu       sync.Mutex
	bindings map[string][]registrar.Binding
	late     func([]registrar.Binding) ([]registrar.Binding, error) // that of the Update before
}

func (s *plainStore) key(aor string) string {
	switch s.fault {
	case "keys without case":
		return strings.ToLower(aor)
	case "keys trimmed":
		return strings.TrimSpace(aor)
	case "keys cut":
		return aor[:min(len(aor), 100)]
	}
	return aor
}

func (s *plainStore) Lookup(_ context.Context, aor string, dst []registrar.Binding) ([]registrar.Binding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == "dst overwritten" {
		dst = dst[:0]
	}
	return append(dst, s.live(aor)...), nil
}

func (s *plainStore) live(aor string) []registrar.Binding {
	all := s.bindings[s.key(aor)]
	if s.fault == "no expiry" {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(b registrar.Binding) bool { return !b.Live(time.Now()) })
}

func (s *plainStore) Update(ctx context.Context, aor string, f func([]registrar.Binding) ([]registrar.Binding, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil && s.fault != "cancelled but done" {
		return err
	}
	if s.late != nil {
		s.late(nil)
	}
	old := s.live(aor)
	switch s.fault {
	case "updates in between":
		s.mu.Unlock()
		for range 10 {
			runtime.Gosched() // one of the others
		}
		defer s.mu.Lock()
	case "old shared":
		old = s.bindings[s.key(aor)]
	case "old not shown":
		old = nil
	}
	bindings, err := f(old)
	if err != nil && s.fault != "failure stored" {
		if s.fault == "error hidden" {
			return errors.New("did not work")
		}
		return err
	}
	bindings = slices.Clone(bindings)
	s.spoil(bindings)
	if s.fault == "updates in between" {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	if s.fault == "added, not replaced" {
		bindings = append(slices.Clone(old), bindings...)
	}
	if s.bindings == nil {
		s.bindings = map[string][]registrar.Binding{}
	}
	if len(bindings) == 0 && s.fault == "empty not stored" {
		return nil
	}
	s.bindings[s.key(aor)] = bindings
	if s.fault == "f after return" {
		s.late = f
	}
	if s.fault == "cancelled but done" {
		return ctx.Err()
	}
	return err
}

// spoil does to bindings what faulty columns of a table would.
func (s *plainStore) spoil(bindings []registrar.Binding) {
	for i := range bindings {
		b := &bindings[i]
		switch s.fault {
		case "signed Conn":
			b.Flow.Conn &= 1<<63 - 1
		case "received lost":
			b.Received = b.Flow.Remote
		case "seconds":
			b.Registered = b.Registered.Truncate(time.Second)
		case "contact cut":
			b.Contact = b.Contact[:min(len(b.Contact), 64)]
		}
	}
	if s.fault == "sorted" {
		slices.SortFunc(bindings, func(a, b registrar.Binding) int { return strings.Compare(a.Contact, b.Contact) })
	}
}

const faultVariable = "REGISTRARTEST_FAULT"

// TestPlainStore passes, unless TestSuiteFindsFaults runs it with a fault.
func TestPlainStore(t *testing.T) {
	registrartest.TestStore(t, func(*testing.T) registrar.Store {
		return &plainStore{fault: os.Getenv(faultVariable)}
	})
}

// The suite can fail, and does for each of these, with the test that is about it.
func TestSuiteFindsFaults(t *testing.T) {
	for fault, finder := range map[string]string{
		"keys without case":   "Keys",
		"keys trimmed":        "Keys",
		"keys cut":            "Keys",
		"dst overwritten":     "Append",
		"no expiry":           "Expired",
		"old shared":          "OldIsOwn",
		"old not shown":       "RoundTrip",
		"updates in between":  "ConcurrentUpdates",
		"failure stored":      "Failure",
		"error hidden":        "Failure",
		"added, not replaced": "Replace",
		"empty not stored":    "Remove",
		"f after return":      "NoEffectAfterReturn",
		"cancelled but done":  "Cancelled",
		"signed Conn":         "RoundTrip",
		"received lost":       "RoundTrip",
		"seconds":             "RoundTrip",
		"contact cut":         "RoundTrip",
		"sorted":              "Order",
	} {
		t.Run(fault, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPlainStore$/^"+finder+"$")
			cmd.Env = append(os.Environ(), faultVariable+"="+fault)
			out, err := cmd.CombinedOutput()
			require.ErrorAs(t, err, new(*exec.ExitError), "%s", out)
			require.Contains(t, string(out), "--- FAIL: TestPlainStore/"+finder+" ")
		})
	}
}
