//go:build !unix

package transport

// grantedReadBuffer returns 0: it cannot be had.
func grantedReadBuffer(bufferedConn) int { return 0 }
