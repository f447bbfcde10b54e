package registrar

import (
	"context"
	"errors"
)

// Store keeps the bindings of addresses of record. [MemoryStore] is one; [registrartest.TestStore] tells whether another is.
//
// The keys are canonical addresses of record, as [sip.URI.AOR] writes them; to a store they are any text, of which no two are equal.
// A store is safe for concurrent use. It keeps every field of [Binding], of the times at least the milliseconds, and the order of
// bindings. It does not keep the strings that Update's f returns, which are parts of a received message: it clones them
// ([Binding.Clone]) or writes them elsewhere.
//
// Bindings end at Binding.Expires: from then on neither Lookup nor Update shows them. An address of record without bindings takes no
// room. What is there cannot be told apart from what is not: an error is an error, never an empty list.
//
// [registrartest.TestStore]: https://pkg.go.dev/github.com/goser-project/goser/registrar/registrartest#TestStore
type Store interface {
	// Lookup appends the bindings of aor to dst, in the order in which Update stored them; it appends nothing if there are none.
	// On error it returns dst as it was.
	Lookup(ctx context.Context, aor string, dst []Binding) ([]Binding, error)

	// Update replaces the bindings of aor by what f returns for them; no other Update of aor comes in between, and no Lookup sees
	// a part. If f fails nothing changes and Update's error wraps f's. f may run more than once and has no effects of its own, but
	// it does not run after Update has returned. The slice old is f's own, to change and to return.
	//
	// An error means that nothing has changed, as far as the store can know; a store that is full returns one that wraps [ErrFull].
	Update(ctx context.Context, aor string, f func(old []Binding) ([]Binding, error)) error
}

var (
	// ErrFull is a Store's refusal to keep more bindings; the registrar answers 503 with a Retry-After.
	ErrFull = errors.New("registrar: store is full")
	// ErrClosed is what a closed Store returns.
	ErrClosed = errors.New("registrar: store is closed")
)
