//go:build unix && !linux

package transport

import (
	"runtime"
	"syscall"
)

func sysRead(fd int, b []byte) (int, error)  { return syscall.Read(fd, b) }
func sysWrite(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }

func sysYield() { runtime.Gosched() }
