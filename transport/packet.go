package transport

// Packet is one datagram, or one message of a stream, and the flow that it came on.
type Packet struct {
	Flow Flow
	// Data is the message's text. It belongs to the reader again when [Config].Receive returns: copy what is to be
	// kept. It may be written to.
	Data []byte

	owner    detacher // nil in a Packet that a test made
	detached bool
}

// detacher is where a packet was read.
type detacher interface {
	// detach lets another goroutine read on; p and its Data belong to the caller until Receive returns.
	detach(p *Packet)
}

// Detach makes the socket or connection be read on by another goroutine from here on, so that the caller of Detach,
// which is the running Receive, may block. What comes later on the same socket or connection is then received at the
// same time. The packet and its Data stay valid until Receive returns. It is called by the goroutine that runs Receive,
// or by another one that keeps Receive from returning meanwhile; a second call does nothing.
func (p *Packet) Detach() {
	if p.detached || p.owner == nil {
		return
	}
	p.detached = true
	p.owner.detach(p)
}
