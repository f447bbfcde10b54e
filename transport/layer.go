package transport

import (
	"context"
	"net"
	"net/netip"
)

// Layer is the transport layer of RFC 3261 section 18: it owns the sockets. Its methods may be called from any goroutine.
type Layer struct {
	cfg Config
}

// New returns a Layer that listens nowhere yet.
func New(cfg Config) *Layer { return &Layer{cfg: cfg} }

// Listen opens a socket on addr and receives from it.
func (l *Layer) Listen(ctx context.Context, p Protocol, addr netip.AddrPort, advertise string) ([]Listener, error) {
	return nil, ErrClosed
}

// ServePacket receives from pc, which the Layer owns from now on.
func (l *Layer) ServePacket(pc net.PacketConn, advertise string) (Listener, error) {
	return Listener{}, ErrClosed
}

// ServeStream accepts connections from ln, which the Layer owns from now on.
func (l *Layer) ServeStream(ln net.Listener, advertise string) (Listener, error) {
	return Listener{}, ErrClosed
}

// Listeners returns the listeners in the order they were added. The slice is a snapshot that is shared: do not change it.
func (l *Layer) Listeners() []Listener { return nil }

// ListenerFor returns the listener that f came in on.
func (l *Layer) ListenerFor(f Flow) (Listener, bool) { return Listener{}, false }

// Send sends one message on f.
func (l *Layer) Send(f Flow, b []byte) error { return ErrClosed }

// Connect returns a flow to hop.
func (l *Layer) Connect(ctx context.Context, hop Hop, via netip.AddrPort) (Flow, error) {
	return Flow{}, ErrClosed
}

// Close ends the connection of f.
func (l *Layer) Close(f Flow) error { return ErrFlowGone }

// Shutdown ends everything.
func (l *Layer) Shutdown(ctx context.Context) error { return nil }

// Stats returns the counters.
func (l *Layer) Stats() Stats { return Stats{} }
