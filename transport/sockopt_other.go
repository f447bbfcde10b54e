//go:build !unix

package transport

import "net"

// grantedReadBuffer returns 0: it cannot be had.
func grantedReadBuffer(*net.UDPConn) int { return 0 }
