package transport

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below are made without telling the scheduler. It wants to know of calls that may block, so that another thread can
// take over; these never do, as they do not wait for the peer. Telling it wakes its monitoring thread whenever the
// process was idle before, as between any two messages of a proxy at 1,000 calls a second, and that thread then looks around
// every 20 microseconds for as long as anything runs. That took 38 of the 230 microseconds of a stateless call.

// recv and send take MSG_DONTWAIT, for somebody may have made the socket a blocking one: (*net.TCPConn).File does.

func sysRead(fd int, b []byte) (int, error)  { return sysIO(unix.SYS_RECVFROM, fd, b) }
func sysWrite(fd int, b []byte) (int, error) { return sysIO(unix.SYS_SENDTO, fd, b) }

func sysIO(call uintptr, fd int, b []byte) (int, error) {
	n, _, e := unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// sysYield lets threads that wait for this processor use it. They may keep it for a moment, as they might have at any time.
func sysYield() { unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
