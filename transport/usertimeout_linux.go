package transport

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// setUserTimeout ends a connection whose peer has acknowledged nothing for d (RFC 5482) and a little more, so that a write
// deadline of d is first. What the kernel has taken is out of reach of that: without this, a phone that has vanished is
// sent to for a quarter of an hour.
//
// It is not less than keepalive takes: the kernel ends an idle connection by the same limit, counted from the last packet
// of the peer, as soon as a single probe is lost.
func setUserTimeout(raw syscall.RawConn, d time.Duration) {
	ms := min((max(d, keepAliveTime) + 2*time.Second).Milliseconds(), 1<<31-1)
	// If it fails the kernel's own patience counts.
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ms)) })
}
