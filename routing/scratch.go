package routing

import "github.com/goser-project/goser/sip"

// scratch is what a copy is written with: its patch and its text. Most copies
// are sent at once and not kept, so the memory is used again.
type scratch struct {
	patch sip.Patch
	text  []byte
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
