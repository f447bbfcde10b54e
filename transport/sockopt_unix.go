//go:build unix

package transport

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// grantedReadBuffer returns the size of u's receive buffer, 0 if it cannot be had.
func grantedReadBuffer(u bufferedConn) int {
	raw, err := u.SyscallConn()
	if err != nil {
		return 0
	}
	size := 0
	err = raw.Control(func(fd uintptr) { size, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
	if err != nil {
		return 0
	}
	if runtime.GOOS == "linux" || runtime.GOOS == "android" {
		size /= 2 // socket(7): the kernel doubles the value, for its bookkeeping
	}
	return size
}
