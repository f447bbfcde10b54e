//go:build unix

package transport

import (
	"net"
	"syscall"
)

// rawConn returns the way to read and write nc without waiting, if nc is a socket.
func rawConn(nc net.Conn) syscall.RawConn {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// rawRead reads without waiting. again: there is nothing now. n is 0 without an error at the end of the stream.
func rawRead(fd uintptr, b []byte) (n int, again bool, err error) {
	return retry(sysRead, fd, b)
}

// rawWrite writes without waiting. again: nothing can be taken now.
func rawWrite(fd uintptr, b []byte) (n int, again bool, err error) {
	return retry(sysWrite, fd, b)
}

func retry(call func(int, []byte) (int, error), fd uintptr, b []byte) (int, bool, error) {
	for {
		n, err := call(int(fd), b)
		switch err {
		case nil:
			return n, false, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, true, nil
		default:
			return 0, false, err
		}
	}
}
