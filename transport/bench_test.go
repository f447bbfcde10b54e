//go:build unix

package transport_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

// BenchmarkEcho sends messages of 700 bytes, about an INVITE, to a Layer that returns them, with so many on the way.
// One operation is two messages sent and two received. cpu-ns/op is the time on all processors, user's and kernel's,
// which other load on the machine disturbs less.
//
//	go test -run '^$' -bench Echo -benchmem ./transport
func BenchmarkEcho(b *testing.B) {
	for _, bc := range []struct {
		name     string
		protocol transport.Protocol
		network  transport.Network
		window   int
		detach   bool
	}{
		{"UDP/1", transport.UDP, nil, 1, false},
		{"UDP/32", transport.UDP, nil, 32, false},
		{"UDP/detached/1", transport.UDP, nil, 1, true},
		{"UDP/detached/32", transport.UDP, nil, 32, true},
		{"UDP/one-by-one/32", transport.UDP, oneByOne{}, 32, false},
		{"UDP/any-PacketConn/32", transport.UDP, plainNet{}, 32, false},
		{"TCP/1", transport.TCP, nil, 1, false},
		{"TCP/32", transport.TCP, nil, 32, false},
		{"TCP/detached/32", transport.TCP, nil, 32, true},
	} {
		b.Run(bc.name, func(b *testing.B) {
			msg := bytes.Repeat([]byte("x"), 700)
			msg[len(msg)-1] = '\n'
			var server *recorder
			server = start(b, transport.Config{Network: bc.network, Receive: func(p *transport.Packet) {
				if bc.detach {
					p.Detach()
				}
				if err := server.layer.Send(p.Flow, p.Data); err != nil {
					b.Error(err)
				}
			}})
			left, done := 0, make(chan bool)
			var client *recorder
			client = start(b, transport.Config{Network: bc.network, Receive: func(p *transport.Packet) {
				if left--; left >= bc.window {
					if err := client.layer.Send(p.Flow, p.Data); err != nil {
						b.Error(err)
					}
				} else if left == 0 {
					close(done)
				}
			}})
			to := server.listen(bc.protocol, "127.0.0.1:0")
			client.listen(bc.protocol, "127.0.0.1:0")
			f, err := client.layer.Connect(b.Context(), transport.Hop{Protocol: bc.protocol, Addr: to.Addr}, netip.AddrPort{})
			require.NoError(b, err)
			left = max(b.N, bc.window)
			b.ReportAllocs()
			b.ResetTimer()
			began := cpu(b)
			for range bc.window {
				require.NoError(b, client.layer.Send(f, msg))
			}
			<-done
			b.ReportMetric(float64(cpu(b)-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu returns the processor time that the process has used.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u.Utime.Nano() + u.Stime.Nano()
}

// oneByOne is the host's network with sockets that are read without batches.
type oneByOne struct{ plainNet }

type oneByOneConn struct{ *net.UDPConn }

func (oneByOne) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	pc, err := new(net.ListenConfig).ListenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return oneByOneConn{pc.(*net.UDPConn)}, nil
}
