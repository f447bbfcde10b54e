// Package registrartest checks location stores: whether a [registrar.Store] keeps its promises, whatever it is built on.
//
//	func TestStore(t *testing.T) {
//		registrartest.TestStore(t, func(t *testing.T) registrar.Store { return open(t) })
//	}
//
// It uses nothing but the two methods of the interface, needs no clock of its own (what is to have expired has expired when it is
// stored) and nothing but the standard library.
package registrartest
