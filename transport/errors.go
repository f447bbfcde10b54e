package transport

import (
	"errors"
	"fmt"
	"net/netip"
)

// Errors of [Layer.Send], [Layer.Connect] and [Layer.Listen], and causes that are given to [Config].Closed.
var (
	// ErrClosed: the Layer was shut down, or is being.
	ErrClosed = errors.New("transport: layer is shut down")
	// ErrFlowGone: the flow's connection has ended, or there is no (more) socket with its local address.
	ErrFlowGone = errors.New("transport: flow is gone")
	// ErrTooLarge: the message does not fit: into a datagram, into the write queue at all, or into [Config].MaxMessage.
	ErrTooLarge = errors.New("transport: message too large")
	// ErrQueueFull: the peer does not read, its write queue is full, the connection is being closed.
	ErrQueueFull = errors.New("transport: write queue full")
	// ErrOverload: [Config].MaxBuffered is reached; the connection that wanted more is closed.
	ErrOverload = errors.New("transport: too many bytes buffered")
	// ErrTooManyConnections: [Config].MaxDialed is reached.
	ErrTooManyConnections = errors.New("transport: too many connections")
	// ErrNoListener: nothing listens with the protocol and address family that are needed. The error is a
	// [*NoListenerError].
	ErrNoListener = errors.New("transport: no listener")
	// ErrDialTimeout: [Config].DialTimeout passed.
	ErrDialTimeout = errors.New("transport: dial timeout")
	// ErrUnsupported: the Layer does not speak the protocol.
	ErrUnsupported = errors.New("transport: protocol not supported")
	// ErrGarbage: the Splitter refused what arrived; its error is wrapped.
	ErrGarbage = errors.New("transport: not a message")
	// ErrIdle: nothing was sent or received for [Config].IdleTimeout.
	ErrIdle = errors.New("transport: connection idle")
	// ErrMessageTimeout: a message was not complete [Config].MessageTimeout after its first byte.
	ErrMessageTimeout = errors.New("transport: message not complete in time")
	// ErrFirstMessageTimeout: no message was complete [Config].FirstMessageTimeout after the connection was accepted.
	ErrFirstMessageTimeout = errors.New("transport: no message in time")
	// ErrWriteTimeout: the peer took or acknowledged no bytes for [Config].WriteTimeout, or has stopped answering.
	ErrWriteTimeout = errors.New("transport: peer does not read")
)

// NoListenerError says which kind of listener is missing. It is an [ErrNoListener].
type NoListenerError struct {
	Protocol Protocol
	Remote   netip.AddrPort // what was to be reached
}

func (e *NoListenerError) Error() string {
	family := "IPv6"
	if e.Remote.Addr().Unmap().Is4() {
		family = "IPv4"
	}
	return fmt.Sprintf("transport: no %v listener for %s that reaches %v", e.Protocol, family, e.Remote)
}

// Is makes the error an ErrNoListener.
func (e *NoListenerError) Is(target error) bool { return target == ErrNoListener }

var (
	errNoReceive  = errors.New("Config.Receive is not set")
	errNoSplitter = errors.New("Config.NewSplitter is not set")
)
