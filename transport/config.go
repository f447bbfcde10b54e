package transport

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Splitter finds the messages in the bytes of one connection. The Layer makes one for each connection and calls it from
// one goroutine at a time.
type Splitter interface {
	// Split looks at what has arrived and was not consumed yet. It returns how many bytes to drop (skip), and the
	// length of the message that follows them once that is complete (size), else 0. Bytes of an incomplete message are
	// shown again, from the same start, when more have arrived, so Split can go on where it stopped. Only when it
	// returns a size is the next call about the next message. An error closes the connection. buf is only lent.
	Split(buf []byte) (skip, size int, err error)
}

// Network opens sockets. The networks are "udp4", "udp6", "tcp4" and "tcp6"; addresses are "ip:port". What it returns
// may be of any concrete type; sockets of the operating system get faster paths.
type Network interface {
	ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, network, address string) (net.Listener, error)
	// Dial connects from local, which may be "" and may have port 0. A UDP connection is dialed only to learn which
	// source address the host takes for remote; nothing is sent on it.
	Dial(ctx context.Context, network, local, remote string) (net.Conn, error)
	// Addrs returns the host's addresses, for listening on an unspecified one.
	Addrs() ([]netip.Addr, error)
}

// Config says what a Layer does with what arrives, and its bounds. A zero bound is the default, a negative one means
// none. A Config must not be changed after it was given to [New]; it may be used for several Layers.
//
// All functions are called without a lock held.
type Config struct {
	// Receive is called for each datagram and each message of a stream, on the goroutine that reads the socket or
	// connection, in the order of arrival. The packet and its Data are valid until Receive returns. It must not block,
	// for nothing else is read from that socket or connection meanwhile, unless it calls [Packet.Detach] first.
	Receive func(*Packet)
	// NewSplitter makes the Splitter of a new connection. It is needed for streams.
	NewSplitter func() Splitter
	// Skipped, if set, is called with what the Splitter skips, in pieces as it comes: keepalives, which a server may
	// want to answer (RFC 5626 section 5.4). The rules are those of Receive; it cannot detach.
	Skipped func(Flow, []byte)
	// SendFailed, if set, is called with a message for which Send returned nil and which was held back and then not sent, and
	// why (see the errors of Send): by the goroutine of a reader, in Shutdown too, never inside of a Send. It may send. The
	// data must not be kept.
	SendFailed func(to Flow, data []byte, err error)
	// Opened, if set, is called for each connection, accepted or dialed, before anything is received from it.
	Opened func(Flow)
	// Closed, if set, is called once for each connection for which Opened was (or would have been) called, after the
	// last Receive for it began. The error is the cause: nil after [Layer.Close], [io.EOF] if the peer closed it, one
	// of the Err values of this package, or what the socket said. Use [errors.Is].
	Closed func(Flow, error)

	// Network opens the sockets; nil means the operating system's.
	Network Network
	// Logger gets the few things an operator should know (a clamped receive buffer, accept errors); nil is silent.
	// There is never a line per message or connection.
	Logger *slog.Logger

	// MaxMessage is the longest message taken, in bytes, from a datagram or a stream. A longer datagram is dropped and
	// counted; a stream with a longer message is closed. Default 65,535.
	MaxMessage int
	// ReadBuffer is the receive buffer asked of the kernel for each UDP socket, in bytes. It holds what arrives while
	// the reader is busy. Default 4 MiB.
	ReadBuffer int
	// WriteQueue is how many bytes wait for a connection whose peer reads slowly. When it is full the connection is
	// closed: a message left out in the middle of a stream cannot be told from one that arrived. Default 1 MiB.
	WriteQueue int
	// MaxBuffered bounds what is held for all connections together, in bytes: write queues and messages that are not
	// complete. A connection that needs more is closed. Default 512 MiB.
	MaxBuffered int64

	// MaxAccepted and MaxDialed bound the connections of either kind; they are apart so that those who call us cannot
	// keep us from calling. Connections being dialed count. Defaults 50,000 and 10,000.
	MaxAccepted, MaxDialed int
	// MaxPerSource bounds the accepted connections from one address, for IPv6 from one /64. Many phones behind one NAT
	// are one source. Default 1,000.
	MaxPerSource int

	// FirstMessageTimeout is how long an accepted connection may take until its first message is complete.
	// Default 20 s.
	FirstMessageTimeout time.Duration
	// MessageTimeout is how long a message may take from its first byte to its last. Default 20 s.
	MessageTimeout time.Duration
	// IdleTimeout is how long a connection is kept after the last byte in either direction. Phones that register over a
	// stream can be called only while it stands, so it should be longer than the registrations last. Default 2 h.
	IdleTimeout time.Duration
	// WriteTimeout is how long a peer may take no bytes at all while some wait for it; on Linux also, and two
	// seconds more, how long it may leave sent bytes unacknowledged, if that is more than the three minutes that a
	// vanished peer is waited for anyway. Default 20 s.
	WriteTimeout time.Duration
	// DialTimeout is how long a connection may take to be established. Default 5 s.
	DialTimeout time.Duration
}

// bound returns def where v is zero, and none where v is negative.
func bound[T int | int64 | time.Duration](v, def, none T) T {
	switch {
	case v == 0:
		return def
	case v < 0:
		return none
	}
	return v
}
