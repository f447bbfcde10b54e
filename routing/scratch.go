package routing

import "github.com/goser-project/goser/sip"

// scratch is what a copy is written with: its patch and its text. Most copies
// are sent at once and not kept, so the memory is used again.
type scratch struct {
	patch sip.Patch
	text  []byte
}

// oneCopy is the target and the way of a copy that is sent at once, and
// nobody waits for.
type oneCopy struct {
	target Target
	way    way
}

func (s *Server) takeCopy() *oneCopy {
	one, _ := s.copies.Get().(*oneCopy)
	if one == nil {
		one = new(oneCopy)
	}
	return one
}

func (s *Server) putCopy(one *oneCopy) {
	*one = oneCopy{}
	s.copies.Put(one)
}

// maxScratch is the largest text that is kept for the next copy.
const maxScratch = 16 << 10

func (s *Server) takeScratch() *scratch {
	sc, _ := s.scratches.Get().(*scratch)
	if sc == nil {
		sc = &scratch{text: make([]byte, 0, 2048)}
	}
	return sc
}

func (s *Server) putScratch(sc *scratch) {
	if cap(sc.text) <= maxScratch {
		sc.patch.Reset()
		s.scratches.Put(sc)
	}
}
