package transport

import (
	"math/rand/v2"
	"net"
	"time"
)

// TCP keepalive finds peers that have vanished, and keeps NAT bindings of TCP, which last for hours (RFC 5382 section 5).
const (
	minKeepIdle   = time.Minute
	maxKeepIdle   = 2 * time.Minute
	keepInterval  = 15 * time.Second
	keepProbes    = 4
	keepAliveTime = maxKeepIdle + keepProbes*keepInterval // until a silent peer is given up
)

// keepAlive turns it on for a socket of the operating system. Each connection has another interval: kernels fire timers
// that are far away many at a time, and the probes of ten thousand connections at once overflow their queues.
func keepAlive(nc net.Conn) {
	if t, ok := nc.(*net.TCPConn); ok {
		idle := minKeepIdle + rand.N(maxKeepIdle-minKeepIdle).Truncate(time.Second)
		// If it fails the connection ends by IdleTimeout.
		_ = t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: idle, Interval: keepInterval, Count: keepProbes})
	}
}
