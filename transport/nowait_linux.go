package transport

import (
	"net"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below are made without telling the scheduler. It wants to know of calls that may block, so that another thread can
// take over; these never do, as the sockets are non-blocking. Telling it wakes its monitoring thread whenever the
// process was idle before, as between any two messages of a proxy at 1,000 calls a second, and that thread then looks around
// every 20 microseconds for as long as anything runs: a fifth of all processor time.

func sysRead(fd int, b []byte) (int, error)  { return sysIO(unix.SYS_READ, fd, b) }
func sysWrite(fd int, b []byte) (int, error) { return sysIO(unix.SYS_WRITE, fd, b) }

func sysIO(call uintptr, fd int, b []byte) (int, error) {
	n, _, e := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// datagramSender sends datagrams on a socket of the operating system. Several goroutines may send at once, which the
// kernel sees to; net.UDPConn would let them wait for each other.
type datagramSender struct {
	raw   syscall.RawConn
	is4   bool
	calls sync.Pool // *sendCall
}

// newDatagramSender returns nil if pc is no such socket.
func newDatagramSender(pc net.PacketConn, local netip.AddrPort) *datagramSender {
	u, ok := pc.(*net.UDPConn)
	if !ok {
		return nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil
	}
	d := &datagramSender{raw: raw, is4: local.Addr().Is4()}
	d.calls.New = func() any {
		c := new(sendCall)
		c.run = c.send
		return c
	}
	return d
}

// send sends b if that takes no waiting; done says that it was tried. An address that needs more than to be written down is left
// to package net.
func (d *datagramSender) send(to netip.AddrPort, b []byte) (done bool, err error) {
	if d == nil || len(b) == 0 || to.Addr().Is4() != d.is4 || to.Addr().Zone() != "" {
		return false, nil
	}
	c := d.calls.Get().(*sendCall)
	c.setName(to)
	c.b = b
	err = d.raw.Control(c.run)
	errno := c.errno
	c.b = nil
	d.calls.Put(c)
	switch {
	case err != nil:
		return true, err
	case errno == unix.EAGAIN:
		return false, nil
	case errno != 0:
		return true, errno
	}
	return true, nil
}

// sendCall is the arguments and the result of one sendto(2).
type sendCall struct {
	run     func(fd uintptr) // send, bound once
	b       []byte
	name    unix.RawSockaddrInet6 // or RawSockaddrInet4
	nameLen uintptr
	errno   syscall.Errno
}

func (c *sendCall) send(fd uintptr) {
	for {
		_, _, c.errno = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(c.b))), uintptr(len(c.b)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&c.name)), c.nameLen)
		if c.errno != unix.EINTR {
			return
		}
	}
}

func (c *sendCall) setName(to netip.AddrPort) {
	port := (*[2]byte)(unsafe.Pointer(&c.name.Port)) // in network order, at the same place in both families
	port[0], port[1] = byte(to.Port()>>8), byte(to.Port())
	if to.Addr().Is4() {
		name := (*unix.RawSockaddrInet4)(unsafe.Pointer(&c.name))
		name.Family, name.Addr = unix.AF_INET, to.Addr().As4()
		c.nameLen = unix.SizeofSockaddrInet4
		return
	}
	c.name.Family, c.name.Addr = unix.AF_INET6, to.Addr().As16()
	c.nameLen = unix.SizeofSockaddrInet6
}
