package registrartest_test

import (
	"testing"

	"github.com/goser-project/goser/registrar"
	"github.com/goser-project/goser/registrar/registrartest"
)

// The test of a store of one's own: here of the one in memory.
func ExampleTestStore() {
	var t *testing.T // of func TestMyStore(t *testing.T)
	registrartest.TestStore(t, func(t *testing.T) registrar.Store {
		store := &registrar.MemoryStore{}
		t.Cleanup(func() { store.Close() })
		return store
	})
}
