package transport

import (
	"errors"
	"net"
	"net/netip"
	"time"
	"unsafe"
)

// batchSize is how many datagrams one system call may bring.
const batchSize = 32

// maxDelay is how long a datagram is queued, but for the time that a single Receive takes. A batch takes less, mostly.
const maxDelay = 500 * time.Microsecond

// slot is the place of one datagram in a batch. Most fit into buf; memory for a longer one is allocated when it has
// come.
type slot struct {
	Packet // Data is nil if the datagram was refused
	buf    [slotSize]byte
}

// slotSize makes a slot 4 KiB, a size that the allocator has, and larger than nearly every SIP message.
const slotSize = 4096 - int(unsafe.Sizeof(Packet{}))

// set makes data the slot's datagram. What follows the first slotSize bytes is in more.
func (sl *slot) set(f Flow, n int, more []byte) {
	sl.Flow = f
	if n <= slotSize {
		sl.Data = sl.buf[:n:n]
		return
	}
	sl.Data = append(append(make([]byte, 0, n), sl.buf[:]...), more[:n-slotSize]...)
}

func (l *Layer) newSlot() *slot {
	if sl, ok := l.pools.slots.Get().(*slot); ok {
		return sl
	}
	return new(slot)
}

func (l *Layer) freeSlot(sl *slot) {
	sl.Packet = Packet{}
	l.pools.slots.Put(sl)
}

// batchReader reads datagrams from a socket: one at a time, or as many as have come.
type batchReader interface {
	// read waits for datagrams, sets the first n slots, and counts what it refuses.
	read(slots []*slot) (n int, err error)
	// use tells that slots[i] is sl from now on.
	use(i int, sl *slot)
}

// batch is what one read brought. A socket has one batch, and the goroutine that has the batch is the socket's reader.
// Detach takes the detached slot out of it, puts another in, and gives the batch to a new goroutine, which goes on with
// the rest: so nothing is copied, and nothing is paid for by those who do not detach.
type batch struct {
	socket  *socket
	reader  batchReader
	slots   []*slot
	n, next int           // slots[next:n] are still to be received
	corked  bool          // what is sent is held back
	pushed  time.Duration // when it was given to the kernel last
	pause   backoff
	run     func() // read as a member of the group; made once, so that a go statement needs nothing else
}

func newBatch(s *socket) *batch {
	b := &batch{socket: s}
	b.run = func() {
		defer s.layer.group.leave()
		b.push(s.layer.now()) // the rest of the batch may take its time
		b.read()
	}
	var size int
	b.reader, size = newBatchReader(s)
	b.slots = make([]*slot, size)
	for i := range b.slots {
		b.fill(i)
	}
	return b
}

// fill puts a fresh slot at i.
func (b *batch) fill(i int) {
	sl := b.socket.layer.newSlot()
	sl.owner = b
	b.slots[i] = sl
	b.reader.use(i, sl)
}

// read receives until the socket is closed or a Receive detaches.
func (b *batch) read() {
	s := b.socket
	for {
		if detached := b.receive(); detached {
			return
		}
		b.end()
		n, err := b.reader.read(b.slots)
		b.n, b.next = n, 0
		switch {
		case err == nil:
			b.pause.reset()
			s.in.count(b.slots[:n])
			b.begin()
		case errors.Is(err, net.ErrClosed) || s.layer.closing.Load():
			s.layer.remove(s)
			return
		default:
			s.in.errors.Add(1)
			s.layer.pause(b.pause.next())
		}
	}
}

// receive hands up what is left. When it returns true, b belongs to another goroutine.
func (b *batch) receive() (detached bool) {
	l := b.socket.layer
	for b.next < b.n {
		sl := b.slots[b.next]
		b.next++
		if sl.Data == nil {
			continue
		}
		if l.cfg.Receive(&sl.Packet); sl.detached {
			l.freeSlot(sl)
			return true
		}
		if b.next < b.n {
			b.hurry()
		}
	}
	return false
}

// begin holds back what is sent while there are several datagrams to receive.
func (b *batch) begin() {
	if b.n > 1 {
		b.corked, b.pushed = true, b.socket.layer.now()
		b.socket.sender.begin(b.pushed)
		b.socket.layer.corks.begin(b.pushed)
	}
}

// hurry sends it if the batch takes long.
func (b *batch) hurry() {
	if now := b.socket.layer.now(); now-b.pushed > maxDelay {
		b.push(now)
	}
}

func (b *batch) push(now time.Duration) {
	b.pushed = now
	b.socket.sender.push(now)
	b.socket.layer.corks.push(now)
}

func (b *batch) end() {
	if b.corked {
		b.corked = false
		b.socket.sender.end()
		b.socket.layer.corks.end(b.socket.layer)
	}
}

// detach implements detacher.
func (b *batch) detach(*Packet) {
	b.fill(b.next - 1)
	b.socket.layer.group.add()
	go b.run()
}

// count adds up a batch at once, for an atomic operation costs about as much as reading a small message.
func (d *datagrams) count(slots []*slot) {
	var packets, bytes uint64
	for _, sl := range slots {
		if sl.Data != nil {
			packets++
			bytes += uint64(len(sl.Data))
		}
	}
	d.packets.Add(packets)
	d.bytes.Add(bytes)
}

// single is the batchReader for any net.PacketConn.
type single struct {
	socket *socket
	buf    []byte // one byte longer than the longest message
}

func newSingle(s *socket) (batchReader, int) {
	return &single{s, make([]byte, min(s.layer.cfg.MaxMessage, maxDatagram)+1)}, 1
}

func (r *single) use(int, *slot) {}

func (r *single) read(slots []*slot) (int, error) {
	n, from, err := r.readFrom()
	if err != nil {
		return 0, err
	}
	if n == len(r.buf) {
		r.socket.in.truncated.Add(1)
		return 0, nil
	}
	m := copy(slots[0].buf[:], r.buf[:n])
	slots[0].set(Flow{Protocol: UDP, Local: r.socket.addr, Remote: from}, n, r.buf[m:n])
	return 1, nil
}

func (r *single) readFrom() (n int, from netip.AddrPort, err error) {
	if r.socket.fast != nil {
		n, from, err = r.socket.fast.ReadFromUDPAddrPort(r.buf)
		return n, unmap(from), err
	}
	n, addr, err := r.socket.pc.ReadFrom(r.buf)
	if err != nil {
		return 0, from, err
	}
	from, ok := addrPort(addr)
	if !ok {
		return 0, from, errors.New("transport: datagram from an address that is none")
	}
	return n, from, nil
}
