package routing

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/goser-project/goser/transport"
)

// order holds back the later requests of a call on a flow until the earlier
// one has been passed on. A turn exists only while a handler has not passed;
// calls that are quiet cost nothing.
type order struct {
	seed   maphash.Seed
	turns  atomic.Int64 // how many there are
	shards [orderShards]orderShard
}

const (
	orderShards = 64 // a power of two
	maxHeldBack = 64 // requests of one call that wait behind a handler
)

type orderShard struct {
	mu    sync.Mutex
	turns map[turnKey]*turn
}

// turnKey names a call on a flow. The string is a message's, but the entry
// lives no longer than the handler that owns it.
type turnKey struct {
	flow   transport.Flow
	callID string
}

type turn struct {
	waiting []*Request
}

func (o *order) init(seed maphash.Seed) {
	o.seed = seed
	for i := range o.shards {
		o.shards[i].turns = make(map[turnKey]*turn)
	}
}

func (o *order) shard(k turnKey) *orderShard {
	return &o.shards[maphash.String(o.seed, k.callID)&(orderShards-1)]
}

// free reports whether nothing of r's call and flow has a turn.
func (o *order) free(r *Request) bool {
	if o.turns.Load() == 0 {
		return true // nobody waits anywhere: the usual case
	}
	k := r.turnKey()
	sh := o.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.turns[k] == nil
}

// enter says whether r may run now. If not it waits for its turn, unless too
// many wait already.
func (o *order) enter(r *Request) (run, refused bool) {
	k := r.turnKey()
	sh := o.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.turns[k]
	if t == nil {
		sh.turns[k] = &turn{}
		o.turns.Add(1)
		r.turn.Store(hasTurn)
		return true, false
	}
	if len(t.waiting) >= maxHeldBack {
		return false, true
	}
	t.waiting = append(t.waiting, r)
	return false, false
}

// claim gives r the turn of its call if nobody has it.
func (o *order) claim(r *Request) bool {
	k := r.turnKey()
	sh := o.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.turns[k] != nil {
		return false
	}
	sh.turns[k] = &turn{}
	o.turns.Add(1)
	return true
}

// leave ends r's turn and returns the request whose turn it is now, or nil.
func (o *order) leave(k turnKey) *Request {
	sh := o.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.turns[k]
	if t == nil {
		return nil
	}
	if len(t.waiting) == 0 {
		delete(sh.turns, k)
		o.turns.Add(-1)
		return nil
	}
	next := t.waiting[0]
	t.waiting = t.waiting[1:]
	next.turn.Store(hasTurn)
	return next
}
