//go:build !unix

package transport

import (
	"net"
	"syscall"
)

// rawConn returns nil: connections are read and written as any net.Conn is.
func rawConn(net.Conn) syscall.RawConn { return nil }

func rawRead(uintptr, []byte) (n int, again bool, err error)  { return 0, false, syscall.EINVAL }
func rawWrite(uintptr, []byte) (n int, again bool, err error) { return 0, false, syscall.EINVAL }

func sysYield() {}
