package transport_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/goser-project/goser/transport"
)

// dialedNet remembers what was dialed last.
type dialedNet struct {
	plainNet
	conn *net.TCPConn
}

func (n *dialedNet) Dial(ctx context.Context, network, local, remote string) (net.Conn, error) {
	c, err := n.plainNet.Dial(ctx, network, local, remote)
	n.conn, _ = c.(*net.TCPConn)
	return c, err
}

// RFC 5482: TCP closes a connection by itself when sent data is not acknowledged in time.
func TestHostUserTimeout(t *testing.T) {
	for write, want := range map[time.Duration]int{0: 182_000, 200 * time.Second: 202_000, -1: 0} {
		a, n := start(t, transport.Config{}), new(dialedNet)
		ls := a.listen(transport.TCP, "127.0.0.1:0")
		b := start(t, transport.Config{Network: n, WriteTimeout: write})
		_, err := b.layer.Connect(t.Context(), transport.Hop{Protocol: transport.TCP, Addr: ls.Addr}, netip.AddrPort{})
		require.NoError(t, err)
		raw, err := n.conn.SyscallConn()
		require.NoError(t, err)
		got := -1
		require.NoError(t, raw.Control(func(fd uintptr) {
			got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		}))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// A lost keepalive probe ends no connection: the kernel has time for all of them. The probes of many connections do not
// come at once.
func TestHostKeepAlive(t *testing.T) {
	a, n := start(t, transport.Config{}), new(dialedNet)
	b := start(t, transport.Config{Network: n})
	idles := make(map[int]bool)
	for range 8 {
		ls := a.listen(transport.TCP, "127.0.0.1:0")
		_, err := b.layer.Connect(t.Context(), transport.Hop{Protocol: transport.TCP, Addr: ls.Addr}, netip.AddrPort{})
		require.NoError(t, err)
		option := func(name int) (v int) {
			raw, err := n.conn.SyscallConn()
			require.NoError(t, err)
			require.NoError(t, raw.Control(func(fd uintptr) { v, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, name) }))
			require.NoError(t, err)
			return v
		}
		idle, patience := option(unix.TCP_KEEPIDLE), option(unix.TCP_USER_TIMEOUT)/1000
		require.LessOrEqual(t, idle+option(unix.TCP_KEEPINTVL)*option(unix.TCP_KEEPCNT), patience)
		require.GreaterOrEqual(t, idle, 60)
		idles[idle] = true
	}
	require.Greater(t, len(idles), 1)
}
