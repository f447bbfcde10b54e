//go:build !linux

package transport

import (
	"syscall"
	"time"
)

// setUserTimeout does nothing: the kernel's own patience counts.
func setUserTimeout(syscall.RawConn, time.Duration) {}
