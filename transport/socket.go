package transport

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
)

// maxDatagram is the longest datagram there can be, and a little more.
const maxDatagram = 65535

// socket receives and sends datagrams.
type socket struct {
	layer  *Layer
	ls     Listener
	addr   netip.AddrPort // ls.Addr
	pc     net.PacketConn
	fast   addrPortConn // pc, if it has the methods
	sender *sender      // nil if pc is no socket of the operating system

	readBuffer int // what the kernel granted; 0 if unknown
	in, out    datagrams
}

// datagrams counts one direction of a socket. It has a cache line of its own, for reader and senders run on different
// processors.
type datagrams struct {
	packets, bytes, errors, truncated atomic.Uint64

	_ [32]byte
}

// addrPortConn is the part of *net.UDPConn that reads and writes without allocating.
type addrPortConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
}

// bufferedConn is the part of *net.UDPConn that is about its receive buffer.
type bufferedConn interface {
	syscall.Conn
	SetReadBuffer(bytes int) error
}

// newSocket makes a socket of pc, or closes it.
func (l *Layer) newSocket(pc net.PacketConn, advertise string) (*socket, error) {
	ls, err := l.newListener(UDP, pc.LocalAddr(), advertise)
	if err != nil {
		pc.Close()
		return nil, err
	}
	s := &socket{layer: l, ls: ls, addr: ls.Addr, pc: pc}
	s.fast, _ = pc.(addrPortConn)
	s.sender = newSender(s)
	if u, ok := pc.(bufferedConn); ok && l.cfg.ReadBuffer > 0 {
		s.setReadBuffer(u, l.cfg.ReadBuffer)
	}
	return s, nil
}

// setReadBuffer asks for a receive buffer of size and finds out what it came to. The kernel clamps silently.
func (s *socket) setReadBuffer(u bufferedConn, size int) {
	err := u.SetReadBuffer(size)
	s.readBuffer = grantedReadBuffer(u)
	if err == nil && (s.readBuffer == 0 || s.readBuffer >= size) {
		return
	}
	s.layer.clamped.Do(func() {
		s.layer.cfg.Logger.Warn("UDP receive buffer is smaller than asked for (sysctl net.core.rmem_max); bursts may be lost",
			"asked", size, "granted", s.readBuffer, "listener", s.ls.String())
	})
}

func (s *socket) listener() Listener { return s.ls }

func (s *socket) Close() error {
	s.sender.close() // what was sent is sent
	return s.pc.Close()
}

func (s *socket) serve() { newBatch(s).read() }

// send sends one datagram.
func (s *socket) send(to netip.AddrPort, b []byte) error {
	err := s.write(to, b)
	if err == nil {
		return nil
	}
	s.out.errors.Add(1)
	return s.sendError(err)
}

// sendFailed tells that a datagram could not be sent after all.
func (s *socket) sendFailed(to netip.AddrPort, b []byte, err error) {
	s.out.errors.Add(1)
	if told := s.layer.cfg.SendFailed; told != nil {
		told(Flow{Protocol: UDP, Local: s.addr, Remote: to}, b, s.sendError(err))
	}
}

// sendError makes one of our errors of the kernel's.
func (s *socket) sendError(err error) error {
	switch {
	case errors.Is(err, net.ErrClosed):
		return s.layer.gone()
	case errors.Is(err, syscall.EMSGSIZE):
		return ErrTooLarge
	}
	return err
}

func (s *socket) write(to netip.AddrPort, b []byte) (err error) {
	if len(b) > maxDatagram-8 { // less the UDP header; IPv4 leaves 20 bytes less, which the kernel knows
		return ErrTooLarge
	}
	if done, err := s.sender.send(to, b); done {
		return err
	}
	if s.fast != nil {
		_, err = s.fast.WriteToUDPAddrPort(b, to)
	} else {
		_, err = s.pc.WriteTo(b, net.UDPAddrFromAddrPort(to))
	}
	if err == nil {
		s.out.packets.Add(1)
		s.out.bytes.Add(uint64(len(b)))
	}
	return err
}
