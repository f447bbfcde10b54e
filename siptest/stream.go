package siptest

import (
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Stream is a living connection between two hosts, as the network sees it: a handle for what a network does to
// connections. The ends are the net.Conn of Host.Dial and of the listener.
type Stream struct {
	net            *Network
	client, server *streamConn
	rand           *rand.Rand

	// Under the network's lock.
	stalled, cut bool
}

// Streams returns the living connections in the order in which they were opened: those between two hosts in either
// direction, where nil stands for any host.
func (n *Network) Streams(a, b *Host) []*Stream {
	n.mu.Lock()
	defer n.mu.Unlock()
	is := func(h, want *Host) bool { return want == nil || h == want }
	var out []*Stream
	for _, s := range n.streams {
		c, v := s.client.host, s.server.host
		if is(c, a) && is(v, b) || is(c, b) && is(v, a) {
			out = append(out, s)
		}
	}
	return out
}

// Client returns the address that dialed.
func (s *Stream) Client() netip.AddrPort { return s.client.local }

// Server returns the address that was dialed.
func (s *Stream) Server() netip.AddrPort { return s.server.local }

// Stall stops everything on the stream, in both directions, until Resume: bytes wait, and writers wait when the
// window is full, as with a peer that does not read.
func (s *Stream) Stall() {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.stalled = true
}

// Resume ends Stall; what waited arrives.
func (s *Stream) Resume() {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.stalled = false
	s.release()
}

// Cut lets everything on the stream vanish from now on, in both directions, without a word to either end: a NAT that
// forgot, a peer without power. The ends go on until their own timers or writes end them.
func (s *Stream) Cut() {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.cut = true
}

// Reset breaks the stream at once: both ends get ECONNRESET.
func (s *Stream) Reset() {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.client.broken()
	s.server.broken()
}

// release sends on what was held. The lock is held.
func (s *Stream) release() {
	for _, c := range [...]*streamConn{s.client, s.server} {
		if len(c.held) == 0 || s.stalled || s.net.cutOff(c.peer.host, c.host) {
			continue
		}
		now, held := time.Now(), c.held
		c.held = nil
		for _, g := range held {
			s.net.wire.at(now, c.peer.host, func() { c.arrive(g) })
		}
	}
}

// segment is what one end sends to the other.
type segment struct {
	data     []byte
	whole    bool // ends a Read
	fin, rst bool
}

// streamConn is one end of a stream.
type streamConn struct {
	host          *Host
	local, remote netip.AddrPort
	addr, peerTCP *net.TCPAddr
	peer          *streamConn
	stream        *Stream

	// Under the network's lock, which is the lock of cond.
	cond     sync.Cond
	in       []segment // arrived, not yet read
	unread   int       // bytes that the peer wrote and that were not read here
	held     []segment // due, but stalled
	latest   time.Time // when the latest segment to the peer arrives
	read     deadline
	write    deadline
	writing  bool // one Write at a time, so that none is torn
	sent     framer
	abort    bool // Close resets
	eof      bool // the peer has closed its direction
	reset    bool
	shutDown bool // our direction is closed
	closed   bool
}

// connect makes both ends. The lock is held.
func (n *Network) connect(from *Host, local netip.AddrPort, to *Host, remote netip.AddrPort) *Stream {
	end := func(h *Host, local, remote netip.AddrPort) *streamConn {
		c := &streamConn{host: h, local: local, remote: remote, addr: net.TCPAddrFromAddrPort(local), peerTCP: net.TCPAddrFromAddrPort(remote)}
		c.cond.L = &n.mu
		return c
	}
	s := &Stream{net: n, client: end(from, local, remote), server: end(to, remote, local)}
	s.rand = n.random(from.name, to.name, local.String(), remote.String())
	s.client.peer, s.server.peer = s.server, s.client
	s.client.stream, s.server.stream = s, s
	n.streams = append(n.streams, s)
	return s
}

// transmit sends a segment to the peer, after those before it. The lock is held.
func (c *streamConn) transmit(g segment) {
	n := c.host.net
	l := n.link(c.host, c.peer.host)
	due := time.Now().Add(l.delay() + time.Duration(c.stream.rand.Float64()*float64(l.Jitter)))
	if due.Before(c.latest) {
		due = c.latest
	}
	c.latest = due
	if l.Chunk <= 0 || len(g.data) == 0 {
		n.wire.at(due, c.host, func() { c.peer.arrive(g) })
		return
	}
	for piece := range slices.Chunk(g.data, l.Chunk) {
		n.wire.at(due, c.host, func() { c.peer.arrive(segment{data: piece, whole: true}) })
	}
}

// arrive takes a segment in. It runs on the wire.
func (c *streamConn) arrive(g segment) {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case c.stream.cut, c.reset:
		return
	case c.stream.stalled || len(c.held) > 0 || n.cutOff(c.peer.host, c.host):
		c.held = append(c.held, g)
		return
	case g.rst:
		c.broken()
		return
	case c.closed && len(g.data) > 0: // nobody will read this: TCP answers with a reset
		if !c.peer.reset {
			c.transmit(segment{rst: true})
		}
		return
	case g.fin:
		c.eof = true
		c.ended()
	default:
		c.in = append(c.in, g)
	}
	c.cond.Broadcast()
}

// Read implements net.Conn.
func (c *streamConn) Read(p []byte) (int, error) {
	c.cond.L.Lock()
	defer c.cond.L.Unlock()
	for {
		switch {
		case c.closed:
			return 0, opError("read", "tcp", c.addr, net.ErrClosed)
		case c.read.passed:
			return 0, opError("read", "tcp", c.addr, os.ErrDeadlineExceeded)
		case len(p) == 0:
			return 0, nil
		case len(c.in) > 0:
			return c.fill(p), nil
		case c.reset:
			return 0, opError("read", "tcp", c.addr, os.NewSyscallError("read", syscall.ECONNRESET))
		case c.eof:
			return 0, io.EOF
		}
		c.cond.Wait()
	}
}

// fill moves arrived bytes to p, not beyond the end of a chunk. The lock is held.
func (c *streamConn) fill(p []byte) int {
	n := 0
	for n < len(p) && len(c.in) > 0 {
		g := &c.in[0]
		k := copy(p[n:], g.data)
		n += k
		if g.data = g.data[k:]; len(g.data) > 0 {
			break
		}
		whole := g.whole
		c.in[0] = segment{}
		if c.in = c.in[1:]; whole {
			break
		}
	}
	c.unread -= n
	c.peer.cond.Broadcast()
	return n
}

// Write implements net.Conn. It waits while the window is full.
func (c *streamConn) Write(p []byte) (int, error) {
	c.cond.L.Lock()
	defer c.cond.L.Unlock()
	for c.writing {
		if err := c.writable(); err != nil {
			return 0, opError("write", "tcp", c.addr, err)
		}
		c.cond.Wait()
	}
	c.writing = true
	defer func() {
		c.writing = false
		c.cond.Broadcast()
	}()
	n := 0
	for {
		if err := c.writable(); err != nil {
			return n, opError("write", "tcp", c.addr, err)
		}
		if n == len(p) {
			return n, nil
		}
		room := c.host.net.opt.Window - c.peer.unread
		if room <= 0 {
			c.cond.Wait()
			continue
		}
		data := append([]byte(nil), p[n:min(len(p), n+room)]...)
		n += len(data)
		c.peer.unread += len(data)
		c.record(data)
		c.transmit(segment{data: data})
	}
}

// writable returns why nothing can be written. The lock is held.
func (c *streamConn) writable() error {
	switch {
	case c.closed:
		return net.ErrClosed
	case c.reset:
		return os.NewSyscallError("write", syscall.ECONNRESET)
	case c.shutDown:
		return os.NewSyscallError("write", syscall.EPIPE)
	case c.write.passed:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// record notes the messages that these bytes complete. The lock is held.
func (c *streamConn) record(data []byte) {
	n := c.host.net
	for _, m := range c.sent.add(data) {
		e := n.recorder.add(event{Event: Event{
			Time: time.Since(n.start), From: c.host.name, To: c.peer.host.name,
			Source: c.local, Destination: c.remote, Stream: true, Data: m,
		}, host: c.host.index})
		if c.stream.cut {
			n.recorder.fate(e, Cut)
		}
	}
}

// CloseWrite closes our direction: the peer reads to the end and then gets io.EOF.
func (c *streamConn) CloseWrite() error {
	c.cond.L.Lock()
	defer c.cond.L.Unlock()
	if err := c.writable(); err != nil {
		return opError("close", "tcp", c.addr, err)
	}
	c.shutDown = true
	c.transmit(segment{fin: true})
	c.ended()
	c.cond.Broadcast()
	return nil
}

// SetLinger with 0 makes Close reset the connection, as of a *net.TCPConn.
func (c *streamConn) SetLinger(sec int) error {
	c.cond.L.Lock()
	defer c.cond.L.Unlock()
	c.abort = sec == 0
	return nil
}

// Close ends both directions: the peer gets io.EOF after what was sent, and a reset when it goes on writing.
func (c *streamConn) Close() error {
	c.cond.L.Lock()
	defer c.cond.L.Unlock()
	if c.closed {
		return opError("close", "tcp", c.addr, net.ErrClosed)
	}
	c.shut()
	return nil
}

// shut closes with the lock held.
func (c *streamConn) shut() {
	if c.closed {
		return
	}
	switch {
	case c.reset:
	case c.abort:
		c.transmit(segment{rst: true})
	case !c.shutDown:
		c.transmit(segment{fin: true})
	}
	c.closed, c.shutDown = true, true
	c.in = nil
	c.read.stop()
	c.write.stop()
	c.ended()
	c.cond.Broadcast()
}

// broken ends this end as a reset does. The lock is held.
func (c *streamConn) broken() {
	c.reset, c.in, c.held = true, nil, nil
	c.ended()
	c.cond.Broadcast()
}

// ended forgets the stream when neither end can use it any more. The lock is held.
func (c *streamConn) ended() {
	over := func(c *streamConn) bool { return c.reset || c.closed || c.shutDown && c.eof }
	if over(c) && over(c.peer) {
		n := c.host.net
		n.streams = slices.DeleteFunc(n.streams, func(s *Stream) bool { return s == c.stream })
	}
}

// LocalAddr returns a *net.TCPAddr.
func (c *streamConn) LocalAddr() net.Addr { return c.addr }

// RemoteAddr returns a *net.TCPAddr.
func (c *streamConn) RemoteAddr() net.Addr { return c.peerTCP }

// SetDeadline implements net.Conn.
func (c *streamConn) SetDeadline(t time.Time) error { return c.setDeadline(t, &c.read, &c.write) }

// SetReadDeadline implements net.Conn.
func (c *streamConn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, &c.read) }

// SetWriteDeadline implements net.Conn.
func (c *streamConn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, &c.write) }

func (c *streamConn) setDeadline(t time.Time, ds ...*deadline) error {
	c.cond.L.Lock()
	defer c.cond.L.Unlock()
	if c.closed {
		return opError("set", "tcp", c.addr, net.ErrClosed)
	}
	for _, d := range ds {
		d.set(&c.cond, t)
	}
	return nil
}
