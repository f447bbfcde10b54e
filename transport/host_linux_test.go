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
	for write, want := range map[time.Duration]int{0: 22_000, 5 * time.Second: 7_000, -1: 0} {
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
