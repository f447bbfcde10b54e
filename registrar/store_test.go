package registrar_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/registrar"
	"github.com/goser-project/goser/registrar/registrartest"
)

func TestStore(t *testing.T) {
	registrartest.TestStore(t, func(t *testing.T) registrar.Store {
		s := &registrar.MemoryStore{}
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return s
	})
}
