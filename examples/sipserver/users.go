package main

import (
	"hash/maphash"
	"sync"
)

// userSet is the users that have ever registered, as long as there is no table
// of subscribers to ask; hashes of them, which take less than half the room. It is
// bounded: who comes later stays unknown.
type userSet struct {
	seed maphash.Seed

	mu    sync.Mutex
	users map[uint64]struct{}
}

const maxUsers = 1_000_000

func newUserSet() *userSet {
	return &userSet{seed: maphash.MakeSeed(), users: make(map[uint64]struct{})}
}

func (s *userSet) add(aor string) {
	h := maphash.String(s.seed, aor)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.users) < maxUsers {
		s.users[h] = struct{}{}
	}
}

func (s *userSet) has(aor string) bool {
	h := maphash.String(s.seed, aor)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.users[h]
	return ok
}
