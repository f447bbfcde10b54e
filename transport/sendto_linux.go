package transport

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendNow sends b if that takes no waiting.
func (d *sender) sendNow(to netip.AddrPort, b []byte) (done bool, err error) {
	c := d.calls.Get().(*sendCall)
	c.nameLen = setName(&c.name, to)
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
	d.socket.out.packets.Add(1)
	d.socket.out.bytes.Add(uint64(len(b)))
	return true, nil
}

// sendCall is the arguments and the result of one sendto(2).
type sendCall struct {
	run     func(fd uintptr) // send, bound once
	b       []byte
	name    unix.RawSockaddrInet6
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

// setName writes an address, of either family, and returns its length.
func setName(name *unix.RawSockaddrInet6, to netip.AddrPort) uintptr {
	port := (*[2]byte)(unsafe.Pointer(&name.Port)) // in network order, at the same place in both families
	port[0], port[1] = byte(to.Port()>>8), byte(to.Port())
	if to.Addr().Is4() {
		name4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		name4.Family, name4.Addr = unix.AF_INET, to.Addr().As4()
		return unix.SizeofSockaddrInet4
	}
	name.Family, name.Addr = unix.AF_INET6, to.Addr().As16()
	return unix.SizeofSockaddrInet6
}
