package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

const (
	// chunkSize is what is read at once from a connection of the operating system. Chunks are shared by all
	// connections, and held only while there is something to read. A chunk is 16 KiB, a size that the allocator has.
	chunkSize = 16<<10 - 8
	// minBuffer is the smallest buffer that a connection has for itself.
	minBuffer = 512
)

type chunk struct {
	refs atomic.Int32 // the connection that reads into it, and detached messages in it
	buf  [chunkSize]byte
}

func (l *Layer) newChunk() *chunk {
	ch, _ := l.pools.chunks.Get().(*chunk)
	if ch == nil {
		ch = new(chunk)
	}
	ch.refs.Store(1)
	return ch
}

func (l *Layer) freeChunk(ch *chunk) {
	if ch.refs.Add(-1) == 0 {
		l.pools.chunks.Put(ch)
	}
}

// reader is the receiving half of a connection. buf[r:w] has arrived and was not consumed. buf is the chunk's, or the
// connection's own: a message that does not arrive at once is moved to a buffer of its own that doubles as the message
// grows, so that a thousand slow senders hold what they have sent and not a thousand chunks.
type reader struct {
	splitter Splitter
	buf      []byte
	r, w     int
	chunk    *chunk
	shared   bool // buf[:r] belongs to detached messages

	partial bool          // buf[r:w] is the beginning of a message,
	since   time.Duration // which came then
	corked  bool          // what is sent is held back
	pushed  time.Duration // when it was written last
	first   bool          // the first message is still to come
	last    time.Duration // when something was read
	rested  bool          // nothing was since the goroutine that waits was started
	armed   time.Duration // the read deadline that was set; forever if none

	patience patience
	ready    func(fd uintptr) bool // conn.readReady, bound once
	n        int                   // what it returned
	err      error
}

// errDetached tells a goroutine that another one reads.
var errDetached = errors.New("detached")

// read reads until the connection ends or a Receive detaches.
func (c *conn) read() {
	for {
		err := c.receive()
		if err == nil {
			err = c.fill()
		}
		switch err {
		case nil:
		case errDetached:
			return
		default:
			c.finish(err)
			return
		}
	}
}

// fill reads what there is, at least a byte.
func (c *conn) fill() error {
	in, l := &c.in, c.layer
	for {
		at, _ := c.due()
		if at = c.restAt(at); at < in.armed {
			c.arm(at)
		}
		var err error
		if c.raw != nil {
			if err = c.raw.Read(in.ready); err == nil {
				err = in.err
			}
		} else {
			err = c.readAny()
		}
		now := l.now()
		if err == nil {
			in.last, in.rested = now, false
			in.w += in.n
			l.counters.streamBytesIn.Add(uint64(in.n))
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		// Deadlines are set when they come nearer, not when they recede, so this may be an old one.
		at, cause := c.due()
		switch rest := c.restAt(at); {
		case at <= now:
			return cause
		case rest <= now:
			c.rest()
			return errDetached
		default:
			c.arm(rest)
		}
	}
}

// restAfter is how long a connection is silent before it rests.
const restAfter = 2 * time.Second

// restAt returns the next deadline of a connection that has to do something at the given one.
func (c *conn) restAt(at time.Duration) time.Duration {
	if c.in.rested {
		return at
	}
	return min(at, c.in.last+restAfter)
}

// rest lets a new goroutine wait in place of this one, whose stack has grown with what its messages took: that is most of
// what an idle connection costs.
func (c *conn) rest() {
	c.in.rested = true
	c.in.armed = forever // what is due is armed anew
	c.layer.start(c.read)
}

// arm sets the read deadline.
func (c *conn) arm(at time.Duration) {
	var t time.Time
	if at < forever {
		t = c.layer.epoch.Add(at)
	}
	c.in.armed = min(at, forever)
	c.nc.SetReadDeadline(t) // if it fails so does the read
}

// readAny reads from a net.Conn of any kind, which needs a buffer to wait with.
func (c *conn) readAny() error {
	in := &c.in
	if in.r == in.w && len(in.buf) > minBuffer {
		in.free(c.layer)
	}
	err := in.room(c.layer)
	if err == nil && in.buf == nil {
		err = in.grow(c.layer, minBuffer)
	}
	if err != nil {
		return err
	}
	in.n, err = c.nc.Read(in.buf[in.w:])
	if in.n > 0 {
		return nil // the error comes again
	}
	return err
}

// readReady is called by the runtime when the socket may be readable; it returns false to wait.
func (c *conn) readReady(fd uintptr) bool {
	in := &c.in
	if in.err = in.room(c.layer); in.err != nil {
		return true
	}
	if in.buf == nil {
		in.chunk = c.layer.newChunk()
		in.buf = in.chunk.buf[:]
	}
	awake := in.n > 0 // it did not sleep since it read something
	var again bool
	in.n, again, in.err = rawRead(fd, in.buf[in.w:])
	if again && awake && in.patience.worth() {
		for i := 0; i < looks && again; i++ {
			sysYield()
			in.n, again, in.err = rawRead(fd, in.buf[in.w:])
		}
		in.patience.note(!again)
	}
	switch {
	case again:
		in.err = in.park(c.layer)
		return in.err != nil
	case in.err == nil && in.n == 0:
		in.err = io.EOF
	}
	return true
}

// room makes free space in buf, if there is a buf.
func (in *reader) room(l *Layer) error {
	switch {
	case in.r == in.w && in.shared:
		in.free(l)
	case in.r > 0 && in.shared:
		return in.grow(l, 2*(in.w-in.r))
	case in.r > 0:
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
	if in.w == len(in.buf) && in.buf != nil {
		return in.grow(l, 2*len(in.buf))
	}
	return nil
}

// park gives back what is not needed while the connection waits.
func (in *reader) park(l *Layer) error {
	if in.r == in.w {
		in.free(l)
		return nil
	}
	if in.chunk != nil {
		return in.grow(l, 2*(in.w-in.r))
	}
	return nil
}

// grow moves what has arrived to a buffer of the connection's own.
func (in *reader) grow(l *Layer, size int) error {
	size = max(size, minBuffer)
	if !l.counters.reserveBuffer(size, l.cfg.MaxBuffered) {
		return ErrOverload
	}
	buf := make([]byte, size)
	w := copy(buf, in.buf[in.r:in.w])
	in.free(l)
	in.buf, in.w = buf, w
	return nil
}

// free gives the buffer back.
func (in *reader) free(l *Layer) {
	if in.chunk != nil {
		l.freeChunk(in.chunk)
	} else {
		l.counters.buffered.Add(-int64(len(in.buf)))
	}
	in.buf, in.chunk, in.r, in.w, in.shared = nil, nil, 0, 0, false
}

// receive hands up the complete messages.
func (c *conn) receive() error {
	in := &c.in
	if in.r == in.w {
		return nil
	}
	msg, _ := c.layer.pools.inbound.Get().(*inbound)
	if msg == nil {
		msg = new(inbound)
	}
	msg.conn, msg.owner = c, msg
	err := c.split(msg)
	if err != errDetached {
		c.uncork()
		c.writeHeld() // another reader may hold it
	}
	if msg.chunk != nil {
		c.layer.freeChunk(msg.chunk)
	}
	*msg = inbound{}
	c.layer.pools.inbound.Put(msg)
	return err
}

func (c *conn) split(msg *inbound) error {
	in, l := &c.in, c.layer
	for in.r < in.w {
		if c.ending.Load() {
			in.r = in.w // what comes now is of no interest
			break
		}
		skip, size, err := in.splitter.Split(in.buf[in.r:in.w])
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrGarbage, err)
		case skip < 0 || size < 0 || skip > in.w-in.r || size > in.w-in.r-skip:
			return fmt.Errorf("%w: the Splitter returned %d, %d for %d bytes", ErrGarbage, skip, size, in.w-in.r)
		case skip > 0:
			if skipped := l.cfg.Skipped; skipped != nil {
				skipped(c.flow, in.buf[in.r:in.r+skip:in.r+skip])
			}
			in.r += skip
			in.partial = false
		}
		switch {
		case size > l.cfg.MaxMessage:
			return ErrTooLarge
		case size > 0:
			msg.Flow, msg.Data = c.flow, in.buf[in.r:in.r+size:in.r+size]
			in.r += size
			in.first, in.partial = false, false
			l.counters.messagesIn.Add(1)
			c.cork()
			if l.cfg.Receive(&msg.Packet); msg.detached {
				return errDetached
			}
		case skip == 0:
			if in.w-in.r > l.cfg.MaxMessage {
				return ErrTooLarge
			}
			if !in.partial {
				in.partial, in.since = true, in.last
			}
			return nil
		}
	}
	in.partial = false
	return nil
}

// cork holds back what is sent while there are more messages to receive, for a while.
func (c *conn) cork() {
	in, l := &c.in, c.layer
	switch {
	case in.corked:
		if now := l.now(); now-in.pushed > maxDelay {
			l.corks.push(now)
			in.pushed = now
		}
	case in.r < in.w:
		in.corked, in.pushed = true, l.now()
		l.corks.begin(in.pushed)
	}
}

func (c *conn) uncork() {
	if c.in.corked {
		c.in.corked = false
		c.layer.corks.end(c.layer)
	}
}

// inbound is a message of a stream while it is received.
type inbound struct {
	Packet
	conn  *conn
	chunk *chunk // where Data is, if it was detached from the connection
}

// detach implements detacher. The connection goes on behind the message in the same buffer.
func (msg *inbound) detach(*Packet) {
	c := msg.conn
	if msg.chunk = c.in.chunk; msg.chunk != nil {
		msg.chunk.refs.Add(1)
	}
	c.in.shared = true
	c.layer.group.add()
	go c.resume()
}

// resume is read on a goroutine of its own.
func (c *conn) resume() {
	defer c.layer.group.leave()
	c.uncork()
	c.read()
}
