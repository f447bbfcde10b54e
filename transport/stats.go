package transport

// Stats is a snapshot of a Layer's counters, which only grow, and gauges.
type Stats struct {
	UDP    DatagramStats
	Stream StreamStats
}

// DatagramStats counts datagrams.
type DatagramStats struct {
	In, BytesIn   uint64 // handed to Receive
	Out, BytesOut uint64 // taken by the kernel
	Truncated     uint64 // longer than MaxMessage; dropped
	ReadErrors    uint64
	SendErrors    uint64 // Send failed in the kernel, too large ones too
	SendGone      uint64 // Send on a flow whose socket is gone

	Sockets    int // gauge
	ReadBuffer int // gauge: the smallest receive buffer that the kernel granted, in bytes; 0 if unknown
}

// StreamStats counts connections and their messages.
type StreamStats struct {
	In, BytesIn   uint64 // messages handed to Receive; all bytes read
	Out, BytesOut uint64 // messages accepted by Send; bytes taken by the kernel or connection
	SendErrors    uint64 // Send failed for another reason than a flow that is gone
	SendGone      uint64 // Send on a flow whose connection had ended

	Accepted      uint64
	AcceptErrors  uint64
	RefusedTotal  uint64 // not accepted: MaxAccepted
	RefusedSource uint64 // not accepted: MaxPerSource

	Dialed       uint64
	DialErrors   uint64 // dials that failed, timeouts not counted
	DialTimeouts uint64
	DialRefused  uint64 // not dialed: MaxDialed

	Closed Closed

	Connections int   // gauge: both kinds
	Queued      int64 // gauge: bytes that wait in write queues
	Buffered    int64 // gauge: bytes held for messages that are not complete
}

// Closed counts ended connections by cause; their sum is the number of connections that have ended.
type Closed struct {
	Local               uint64 // Layer.Close
	Shutdown            uint64
	Peer                uint64 // the peer closed it
	Error               uint64 // reset, or another error of the socket
	Garbage             uint64
	TooLarge            uint64
	Idle                uint64
	FirstMessageTimeout uint64
	MessageTimeout      uint64
	WriteTimeout        uint64
	QueueFull           uint64
}
