package transport

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

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
	Overload            uint64
}

// counters is where the Layer counts; what belongs to one socket is counted there.
type counters struct {
	datagramGone atomic.Uint64

	messagesIn, streamBytesIn, messagesOut, streamBytesOut atomic.Uint64
	streamGone, streamSendErrors                           atomic.Uint64
	queued, buffered                                       atomic.Int64

	accepted, acceptErrors, refusedTotal, refusedSource atomic.Uint64
	dialedOK, dialErrors, dialTimeouts, dialRefused     atomic.Uint64

	mu   sync.Mutex
	ends Closed
}

// reserveQueue counts n more queued bytes if there may be so many.
func (c *counters) reserveQueue(n int, limit int64) bool {
	if c.queued.Add(int64(n))+c.buffered.Load() <= limit {
		return true
	}
	c.queued.Add(-int64(n))
	return false
}

// reserveBuffer counts n more buffered bytes if there may be so many.
func (c *counters) reserveBuffer(n int, limit int64) bool {
	if c.buffered.Add(int64(n))+c.queued.Load() <= limit {
		return true
	}
	c.buffered.Add(-int64(n))
	return false
}

// closed counts the end of a connection.
func (c *counters) closed(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range []struct {
		cause error
		n     *uint64
	}{
		{nil, &c.ends.Local},
		{ErrClosed, &c.ends.Shutdown},
		{ErrGarbage, &c.ends.Garbage}, // first, for it wraps what the Splitter says
		{io.EOF, &c.ends.Peer},
		{ErrTooLarge, &c.ends.TooLarge},
		{ErrIdle, &c.ends.Idle},
		{ErrFirstMessageTimeout, &c.ends.FirstMessageTimeout},
		{ErrMessageTimeout, &c.ends.MessageTimeout},
		{ErrWriteTimeout, &c.ends.WriteTimeout},
		{ErrQueueFull, &c.ends.QueueFull},
		{ErrOverload, &c.ends.Overload},
	} {
		if errors.Is(cause, k.cause) {
			*k.n++
			return
		}
	}
	c.ends.Error++
}

// Stats returns the counters and gauges. They are read one after the other, so sums may be off by what happens
// meanwhile.
func (l *Layer) Stats() Stats {
	c := &l.counters
	l.mu.Lock()
	st := Stats{UDP: l.past}
	for _, s := range *l.sockets.Load() {
		s.addTo(&st.UDP)
		st.UDP.Sockets++
		if s.readBuffer > 0 && (st.UDP.ReadBuffer == 0 || s.readBuffer < st.UDP.ReadBuffer) {
			st.UDP.ReadBuffer = s.readBuffer
		}
	}
	l.mu.Unlock()
	c.mu.Lock()
	st.Stream.Closed = c.ends
	c.mu.Unlock()
	st.UDP.SendGone = c.datagramGone.Load()

	s := &st.Stream
	s.In, s.BytesIn = c.messagesIn.Load(), c.streamBytesIn.Load()
	s.Out, s.BytesOut = c.messagesOut.Load(), c.streamBytesOut.Load()
	s.SendErrors, s.SendGone = c.streamSendErrors.Load(), c.streamGone.Load()
	s.Accepted, s.AcceptErrors = c.accepted.Load(), c.acceptErrors.Load()
	s.RefusedTotal, s.RefusedSource = c.refusedTotal.Load(), c.refusedSource.Load()
	s.Dialed, s.DialErrors = c.dialedOK.Load(), c.dialErrors.Load()
	s.DialTimeouts, s.DialRefused = c.dialTimeouts.Load(), c.dialRefused.Load()
	s.Connections = int(l.conns.accepted.Load() + l.conns.dialed.Load())
	s.Queued, s.Buffered = c.queued.Load(), c.buffered.Load()
	return st
}

// addTo adds what s has counted.
func (s *socket) addTo(d *DatagramStats) {
	d.In += s.in.packets.Load()
	d.BytesIn += s.in.bytes.Load()
	d.Truncated += s.in.truncated.Load()
	d.ReadErrors += s.in.errors.Load()
	d.Out += s.out.packets.Load()
	d.BytesOut += s.out.bytes.Load()
	d.SendErrors += s.out.errors.Load()
}
