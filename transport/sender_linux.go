package transport

import (
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// sender sends datagrams on a socket of the operating system.
//
// While the socket's reader works on a batch of datagrams, what anybody sends is queued, and goes out with one
// sendmmsg(2) when the batch is done, or sooner: a registrar takes 8 % less time so. All of it goes
// through the one queue, so that nothing overtakes. Otherwise several goroutines send at once, which the kernel sees to;
// net.UDPConn would let them wait for each other.
type sender struct {
	socket *socket
	raw    syscall.RawConn
	is4    bool
	calls  sync.Pool // *sendCall

	mu      sync.Mutex // also held while the kernel takes what is queued: it never waits, and that keeps the order
	open    bool       // the reader is in a batch
	closed  bool
	pushed  time.Duration // when the batch began, or what was queued was sent last
	queue   sendQueue
	full    bool                  // the kernel had no room for all of the queue
	flush   func(fd uintptr)      // flushQueue, bound once
	reflush func(fd uintptr) bool // flushAgain
	failed  []failure             // to be told without the lock
	telling bool                  // a goroutine does
}

// failure is a datagram that was queued and could not be sent.
type failure struct {
	to  netip.AddrPort
	b   []byte
	err error
}

// newSender returns nil if s is no such socket.
func newSender(s *socket) *sender {
	u, ok := s.pc.(*net.UDPConn)
	if !ok {
		return nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil
	}
	d := &sender{socket: s, raw: raw, is4: s.addr.Addr().Is4()}
	d.flush, d.reflush = d.flushQueue, d.flushAgain
	d.queue.init()
	d.calls.New = func() any {
		c := new(sendCall)
		c.run = c.send
		return c
	}
	return d
}

// send sends or queues b; done says that it did, or why not. An address that takes more than to be written down, and
// waiting for room in the kernel's buffer, are left to package net.
func (d *sender) send(to netip.AddrPort, b []byte) (done bool, err error) {
	if d == nil || len(b) == 0 || to.Addr().Is4() != d.is4 || to.Addr().Zone() != "" {
		return false, nil
	}
	d.mu.Lock()
	if !d.open {
		d.mu.Unlock()
		return d.sendNow(to, b)
	}
	if len(b) > maxQueued || d.socket.layer.now()-d.pushed > maxDelay { // the reader takes long
		d.flushAll()
		d.mu.Unlock()
		return d.sendNow(to, b)
	}
	for d.queue.full() {
		d.flushAll()
	}
	d.queue.add(to, b)
	d.mu.Unlock()
	return true, nil
}

// begin queues what is sent from now on.
func (d *sender) begin(now time.Duration) {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.open, d.pushed = !d.closed, now
	d.mu.Unlock()
}

// push sends what is queued.
func (d *sender) push(now time.Duration) {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.pushed = now
	d.flushAll()
	d.unlock()
}

// end is push, and nothing is queued any more.
func (d *sender) end() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.flushAll()
	d.open = false
	d.unlock()
}

// close sends what the kernel takes now of what is queued; nothing is queued from then on.
func (d *sender) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.open, d.closed = false, true
	_ = d.raw.Control(d.flush)
	d.queue.drop(d)
	d.unlock()
}

// flushAll sends what is queued. It is called with mu held; while it waits for room it gives it up, and others may queue
// more.
func (d *sender) flushAll() {
	for d.queue.n > 0 {
		err := d.raw.Control(d.flush)
		if err == nil && d.full {
			d.mu.Unlock()
			err = d.raw.Write(d.reflush)
			d.mu.Lock()
		}
		if err != nil {
			d.queue.drop(d)
		}
	}
}

// flushQueue gives the kernel what it takes of the queue. The caller of Control holds mu.
func (d *sender) flushQueue(fd uintptr) { d.full = !d.queue.flush(fd, d) }

// flushAgain is called by the runtime when there may be room; it returns false to wait.
func (d *sender) flushAgain(fd uintptr) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushQueue(fd)
	return !d.full
}

// unlock releases mu and tells of failures, one goroutine at a time: what is told may lead to more of them. It is for the
// reader and for who closes the socket; who sends does not tell, for he may hold locks that a user needs who is told.
func (d *sender) unlock() {
	if d.telling {
		d.mu.Unlock()
		return
	}
	d.telling = true
	for len(d.failed) > 0 {
		f := d.failed[0]
		d.failed = d.failed[1:]
		d.mu.Unlock()
		d.socket.sendFailed(f.to, f.b, f.err)
		d.mu.Lock()
	}
	d.failed, d.telling = nil, false
	d.mu.Unlock()
}
