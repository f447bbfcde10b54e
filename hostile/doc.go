// Package hostile tests whole servers against peers that mean harm or do not stop: malformed and oversized messages,
// connections that are slow, silent or never read, floods, and soaks of many calls. It holds tests only.
//
// # The model
//
// A server registers, relays and answers as a real one does. Good phones call each other through it before, during and
// after each attack; what the attackers send must be refused with a counted reason ([routing.Stats]), and when they have
// gone goroutines, connections, tables and the heap are back where they were.
//
// Most of it runs on the network of package siptest, in virtual time, so that every timeout is waited for. Where the
// operating system matters (its socket buffers, its connections) the tests use loopback sockets.
//
// GOSER_SOAK is the number of calls of the soak in memory, 20000 without it.
package hostile
