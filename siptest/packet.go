package siptest

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxDatagram is the most that a UDP datagram over IPv4 carries.
const maxDatagram = 65507

// packetConn is a datagram socket: a net.PacketConn, and a net.Conn once it is connected.
type packetConn struct {
	host   *Host
	local  netip.AddrPort
	addr   *net.UDPAddr
	remote netip.AddrPort // of a connected socket

	// Under the network's lock, which is the lock of cond.
	cond   sync.Cond
	inbox  []Datagram
	read   deadline
	closed bool
}

// bind opens a socket. The lock is held.
func (h *Host) bind(addr netip.AddrPort) (*packetConn, error) {
	if err := h.owns(addr.Addr()); err != nil {
		return nil, err
	}
	if addr.Port() == 0 {
		addr = netip.AddrPortFrom(addr.Addr(), h.freePort(func(p uint16) bool {
			return h.packets[netip.AddrPortFrom(addr.Addr(), p)] == nil
		}))
	}
	if h.packets[addr] != nil || addr.Port() == 0 {
		return nil, os.NewSyscallError("bind", syscall.EADDRINUSE)
	}
	c := &packetConn{host: h, local: addr, addr: net.UDPAddrFromAddrPort(addr)}
	c.cond.L = &h.net.mu
	h.packets[addr] = c
	return c, nil
}

func (h *Host) dialPacket(network string, from, to netip.AddrPort) (net.Conn, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	c, err := h.bind(from)
	if err != nil {
		return nil, opError("dial", network, nil, err)
	}
	c.remote = to
	return c, nil
}

// socket returns the socket that a datagram is for. The lock is held.
func (h *Host) socket(to netip.AddrPort) *packetConn { return lookup(h.packets, to) }

// put adds an arrived datagram; it reports false if there is no room. The lock is held.
func (c *packetConn) put(d Datagram) bool {
	if c.remote.IsValid() && d.Source != c.remote {
		return false
	}
	if len(c.inbox) >= c.host.net.opt.Inbox {
		return false
	}
	c.inbox = append(c.inbox, d)
	c.cond.Signal()
	return true
}

// take waits for a datagram.
func (c *packetConn) take() (Datagram, error) {
	c.cond.L.Lock()
	defer c.cond.L.Unlock()
	for {
		switch {
		case c.closed:
			return Datagram{}, net.ErrClosed
		case c.read.passed:
			return Datagram{}, os.ErrDeadlineExceeded
		case len(c.inbox) > 0:
			d := c.inbox[0]
			c.inbox[0] = Datagram{}
			c.inbox = c.inbox[1:]
			return d, nil
		}
		c.cond.Wait()
	}
}

// ReadFrom implements net.PacketConn. What does not fit into p is lost.
func (c *packetConn) ReadFrom(p []byte) (int, net.Addr, error) {
	d, err := c.take()
	if err != nil {
		return 0, nil, opError("read", "udp", c.addr, err)
	}
	return copy(p, d.Data), net.UDPAddrFromAddrPort(d.Source), nil
}

// ReadFromUDPAddrPort is ReadFrom as of a *net.UDPConn.
func (c *packetConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	d, err := c.take()
	if err != nil {
		return 0, netip.AddrPort{}, opError("read", "udp", c.addr, err)
	}
	return copy(p, d.Data), d.Source, nil
}

// WriteTo implements net.PacketConn. It never waits; what happens to the datagram is not its business.
func (c *packetConn) WriteTo(p []byte, to net.Addr) (int, error) {
	addr, err := addrPort(to)
	if err != nil {
		return 0, opError("write", "udp", c.addr, err)
	}
	return c.WriteToUDPAddrPort(p, addr)
}

// WriteToUDPAddrPort is WriteTo as of a *net.UDPConn.
func (c *packetConn) WriteToUDPAddrPort(p []byte, to netip.AddrPort) (int, error) {
	if err := c.send(p, unmap(to)); err != nil {
		return 0, opError("write", "udp", c.addr, err)
	}
	return len(p), nil
}

func (c *packetConn) send(p []byte, to netip.AddrPort) error {
	n := c.host.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	if len(p) > maxDatagram {
		return os.NewSyscallError("sendto", syscall.EMSGSIZE)
	}
	source := c.local
	if source.Addr().IsUnspecified() {
		a, ok := c.host.sourceFor(to.Addr())
		if !ok {
			return os.NewSyscallError("sendto", syscall.ENETUNREACH)
		}
		source = netip.AddrPortFrom(a, source.Port())
	}
	if source.Addr().Is4() != to.Addr().Is4() {
		return os.NewSyscallError("sendto", syscall.EAFNOSUPPORT)
	}
	now := time.Now()
	d := Datagram{Time: now.Sub(n.start), From: c.host, Source: source, Destination: to, Data: append([]byte(nil), p...)}
	e := n.recorder.add(event{Event: Event{
		Time: d.Time, From: c.host.name, To: n.nameOf(to),
		Source: source, Destination: to, Data: d.Data,
	}, host: c.host.index})
	n.wire.at(now, c.host, func() { n.depart(d, e) })
	return nil
}

// Read implements net.Conn.
func (c *packetConn) Read(p []byte) (int, error) {
	d, err := c.take()
	if err != nil {
		return 0, opError("read", "udp", c.addr, err)
	}
	return copy(p, d.Data), nil
}

// Write implements net.Conn.
func (c *packetConn) Write(p []byte) (int, error) {
	if !c.remote.IsValid() {
		return 0, opError("write", "udp", c.addr, os.NewSyscallError("write", syscall.EDESTADDRREQ))
	}
	return c.WriteToUDPAddrPort(p, c.remote)
}

// Close frees the address. A waiting reader gets net.ErrClosed, and so does every later call.
func (c *packetConn) Close() error {
	c.cond.L.Lock()
	defer c.cond.L.Unlock()
	if c.closed {
		return opError("close", "udp", c.addr, net.ErrClosed)
	}
	c.shut()
	return nil
}

// shut closes with the lock held.
func (c *packetConn) shut() {
	c.closed = true
	c.inbox = nil
	c.read.stop()
	delete(c.host.packets, c.local)
	c.cond.Broadcast()
}

// LocalAddr returns a *net.UDPAddr.
func (c *packetConn) LocalAddr() net.Addr { return c.addr }

// RemoteAddr returns a *net.UDPAddr, or nil if the socket is not connected.
func (c *packetConn) RemoteAddr() net.Addr {
	if !c.remote.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(c.remote)
}

// SetReadDeadline implements net.PacketConn.
func (c *packetConn) SetReadDeadline(t time.Time) error {
	c.cond.L.Lock()
	defer c.cond.L.Unlock()
	if c.closed {
		return opError("set", "udp", c.addr, net.ErrClosed)
	}
	c.read.set(&c.cond, t)
	return nil
}

// SetWriteDeadline has no effect: writing never waits.
func (c *packetConn) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline is SetReadDeadline.
func (c *packetConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }
