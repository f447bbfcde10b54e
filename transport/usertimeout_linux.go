package transport

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// setUserTimeout ends a connection whose peer has acknowledged nothing for d (RFC 5482). What the kernel has taken is out
// of reach of a write deadline: without this, a phone that has vanished is sent to for a quarter of an hour.
func setUserTimeout(raw syscall.RawConn, d time.Duration) {
	ms := min(max(d.Milliseconds(), 1), 1<<31-1)
	// If it fails the kernel's own patience counts.
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ms)) })
}
