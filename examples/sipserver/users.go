package main

import "sync"

// userSet is the users that have ever registered, as long as there is no table
// of subscribers to ask. It is bounded: who comes later stays unknown.
type userSet struct {
	mu    sync.Mutex
	users map[string]struct{}
}

const maxUsers = 1_000_000

func (s *userSet) add(aor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = make(map[string]struct{})
	}
	if len(s.users) < maxUsers {
		s.users[aor] = struct{}{}
	}
}

func (s *userSet) has(aor string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.users[aor]
	return ok
}
