package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// memNet is a small network in memory, for tests in virtual time. Streams are buffered in both directions, as TCP is.
type memNet struct {
	mu      sync.Mutex
	host    []netip.Addr // what Addrs returns; the first of a family is the source of what is not bound
	packets map[netip.AddrPort]*memPacketConn
	streams map[netip.AddrPort]*memListener
	port    uint16
	window  int           // bytes in flight in one direction of a stream
	dialing time.Duration // how long a dial takes
	dials   int
}

var (
	errRefused = errors.New("connection refused")
	errInUse   = errors.New("address in use")
)

func newMemNet(host ...string) *memNet {
	n := &memNet{
		packets: make(map[netip.AddrPort]*memPacketConn),
		streams: make(map[netip.AddrPort]*memListener),
		port:    40000,
		window:  64 << 10,
	}
	for _, h := range host {
		n.host = append(n.host, netip.MustParseAddr(h))
	}
	return n
}

func (n *memNet) Addrs() ([]netip.Addr, error) { return n.host, nil }

// bind completes an address. The caller holds mu.
func (n *memNet) bind(network, address string) (netip.AddrPort, error) {
	var ap netip.AddrPort
	if address != "" {
		var err error
		if ap, err = netip.ParseAddrPort(address); err != nil {
			return ap, err
		}
	}
	if !ap.IsValid() {
		for _, a := range n.host {
			if a.Is4() == (network[3] == '4') && !ap.IsValid() {
				ap = netip.AddrPortFrom(a, 0)
			}
		}
		if !ap.IsValid() {
			return ap, errors.New("no route")
		}
	}
	if ap.Port() == 0 {
		n.port++
		ap = netip.AddrPortFrom(ap.Addr(), n.port)
	}
	return ap, nil
}

func (n *memNet) ListenPacket(_ context.Context, network, address string) (net.PacketConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ap, err := n.bind(network, address)
	if err != nil {
		return nil, err
	}
	if n.packets[ap] != nil {
		return nil, errInUse
	}
	pc := &memPacketConn{net: n, addr: ap}
	pc.cond = sync.NewCond(&pc.mu)
	n.packets[ap] = pc
	return pc, nil
}

func (n *memNet) Listen(_ context.Context, network, address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ap, err := n.bind(network, address)
	if err != nil {
		return nil, err
	}
	if n.streams[ap] != nil {
		return nil, errInUse
	}
	ln := &memListener{net: n, addr: ap, conns: make(chan net.Conn, 1024), closed: make(chan struct{})}
	n.streams[ap] = ln
	return ln, nil
}

func (n *memNet) Dial(ctx context.Context, network, local, remote string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(remote)
	if err != nil {
		return nil, err
	}
	if network[:3] == "tcp" && n.dialing > 0 {
		t := time.NewTimer(n.dialing)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n.mu.Lock()
	from, err := n.bind(network, local)
	ln := n.streams[to]
	if network[:3] == "tcp" {
		n.dials++
	}
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	a, b := newMemPipe(n.window, net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to))
	if network[:3] == "udp" {
		return a, nil
	}
	if ln == nil {
		return nil, errRefused
	}
	select {
	case ln.conns <- b:
		return a, nil
	case <-ln.closed:
		return nil, errRefused
	}
}

// memListener is a net.Listener.
type memListener struct {
	net    *memNet
	addr   netip.AddrPort
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (ln *memListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(ln.addr) }

func (ln *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-ln.conns:
		return c, nil
	case <-ln.closed:
		return nil, net.ErrClosed
	}
}

func (ln *memListener) Close() error {
	ln.once.Do(func() {
		ln.net.mu.Lock()
		delete(ln.net.streams, ln.addr)
		ln.net.mu.Unlock()
		close(ln.closed)
	})
	return nil
}

// memPacketConn is a net.PacketConn.
type memPacketConn struct {
	net    *memNet
	addr   netip.AddrPort
	mu     sync.Mutex
	cond   *sync.Cond
	queue  []memPacket
	closed bool
}

type memPacket struct {
	from netip.AddrPort
	data string
}

func (pc *memPacketConn) ReadFrom(b []byte) (int, net.Addr, error) {
	pc.mu.Lock()
	defer pc.mu.Unlock()
	for len(pc.queue) == 0 && !pc.closed {
		pc.cond.Wait()
	}
	if pc.closed {
		return 0, nil, net.ErrClosed
	}
	p := pc.queue[0]
	pc.queue = pc.queue[1:]
	return copy(b, p.data), net.UDPAddrFromAddrPort(p.from), nil
}

func (pc *memPacketConn) WriteTo(b []byte, to net.Addr) (int, error) {
	ap := to.(*net.UDPAddr).AddrPort()
	pc.net.mu.Lock()
	dst := pc.net.packets[ap]
	pc.net.mu.Unlock()
	if dst != nil {
		dst.mu.Lock()
		dst.queue = append(dst.queue, memPacket{pc.addr, string(b)})
		dst.cond.Signal()
		dst.mu.Unlock()
	}
	return len(b), nil
}

func (pc *memPacketConn) Close() error {
	pc.net.mu.Lock()
	delete(pc.net.packets, pc.addr)
	pc.net.mu.Unlock()
	pc.mu.Lock()
	defer pc.mu.Unlock()
	pc.closed = true
	pc.cond.Broadcast()
	return nil
}

func (pc *memPacketConn) LocalAddr() net.Addr              { return net.UDPAddrFromAddrPort(pc.addr) }
func (pc *memPacketConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (pc *memPacketConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (pc *memPacketConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// memConn is one end of a buffered connection.
type memConn struct {
	local, remote net.Addr
	in, out       *memHalf
}

func newMemPipe(window int, a, b net.Addr) (*memConn, *memConn) {
	ab, ba := newMemHalf(window), newMemHalf(window)
	return &memConn{a, b, ba, ab}, &memConn{b, a, ab, ba}
}

func (c *memConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *memConn) Write(b []byte) (int, error) { return c.out.write(b) }
func (c *memConn) LocalAddr() net.Addr         { return c.local }
func (c *memConn) RemoteAddr() net.Addr        { return c.remote }

func (c *memConn) Close() error {
	c.in.close(net.ErrClosed, io.ErrClosedPipe)
	c.out.close(io.EOF, net.ErrClosed)
	return nil
}

func (c *memConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}
func (c *memConn) SetReadDeadline(t time.Time) error  { c.in.deadline(&c.in.rd, t); return nil }
func (c *memConn) SetWriteDeadline(t time.Time) error { c.out.deadline(&c.out.wd, t); return nil }

// memHalf is one direction of a connection.
type memHalf struct {
	mu         sync.Mutex
	cond       *sync.Cond
	buf        []byte
	window     int
	rd, wd     memDeadline
	rerr, werr error // what readers get when buf is empty, and writers
}

type memDeadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *memDeadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newMemHalf(window int) *memHalf {
	h := &memHalf{window: window}
	h.cond = sync.NewCond(&h.mu)
	return h
}

func (h *memHalf) deadline(d *memDeadline, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.cond.Broadcast()
		})
	}
	h.cond.Broadcast()
}

func (h *memHalf) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.rd.passed():
			return 0, os.ErrDeadlineExceeded
		case h.rerr == net.ErrClosed:
			return 0, h.rerr
		case len(h.buf) > 0:
			n := copy(b, h.buf)
			h.buf = h.buf[n:]
			h.cond.Broadcast()
			return n, nil
		case h.rerr != nil:
			return 0, h.rerr
		}
		h.cond.Wait()
	}
}

func (h *memHalf) write(b []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.werr != nil:
			return n, h.werr
		case n == len(b):
			return n, nil
		case h.wd.passed():
			return n, os.ErrDeadlineExceeded
		}
		if free := h.window - len(h.buf); free > 0 {
			m := min(free, len(b)-n)
			h.buf = append(h.buf, b[n:n+m]...)
			n += m
			h.cond.Broadcast()
			continue
		}
		h.cond.Wait()
	}
}

func (h *memHalf) close(rerr, werr error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range []*memDeadline{&h.rd, &h.wd} {
		if d.timer != nil && (rerr == net.ErrClosed) == (d == &h.rd) {
			d.timer.Stop()
		}
	}
	if h.rerr == nil || rerr == net.ErrClosed {
		h.rerr = rerr
	}
	if h.werr == nil {
		h.werr = werr
	}
	h.cond.Broadcast()
}

// lines is a Splitter for lines: blank lines between are skipped, a line with a NUL is garbage.
type lines struct{ seen int }

func (s *lines) Split(buf []byte) (skip, size int, err error) {
	if s.seen == 0 {
		for skip < len(buf) && buf[skip] == '\n' {
			skip++
		}
	}
	for i := skip + s.seen; i < len(buf); i++ {
		switch buf[i] {
		case 0:
			return 0, 0, fmt.Errorf("NUL at %d", i)
		case '\n':
			s.seen = 0
			return skip, i + 1 - skip, nil
		}
	}
	s.seen = len(buf) - skip
	return skip, 0, nil
}
