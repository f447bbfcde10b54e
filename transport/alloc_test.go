//go:build !race

// The race detector makes sync.Pool forget on purpose.

package transport_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

func TestAllocations(t *testing.T) {
	msg := bytes.Repeat([]byte("x"), 700)
	msg[len(msg)-1] = '\n'
	for _, p := range []transport.Protocol{transport.UDP, transport.TCP} {
		for _, detach := range []bool{false, true} {
			got := make(chan bool, 1)
			receive := func(pk *transport.Packet) {
				if detach {
					pk.Detach()
				}
				got <- len(pk.Data) == len(msg)
			}
			a, b := start(t, transport.Config{Receive: receive}), start(t, transport.Config{Receive: receive})
			ls := a.listen(p, "127.0.0.1:0")
			b.listen(p, "127.0.0.1:0")
			f := b.connect(p, ls.Addr)
			n := testing.AllocsPerRun(1000, func() {
				if err := b.layer.Send(f, msg); err != nil {
					t.Error(err)
				}
				if !<-got {
					t.Error("wrong length")
				}
			})
			if detach {
				require.LessOrEqual(t, n, 2.0, "%v: detached", p)
			} else {
				require.Zero(t, n, "%v: sending and receiving", p)
			}
		}
	}
}

func TestConnectAllocations(t *testing.T) {
	r := start(t, transport.Config{})
	a, b := r.listen(transport.UDP, "127.0.0.1:0"), r.listen(transport.UDP, "127.0.0.2:0")
	tcp := r.listen(transport.TCP, "127.0.0.1:0")
	for _, h := range []transport.Hop{{Protocol: transport.UDP, Addr: a.Addr}, {Protocol: transport.TCP, Addr: tcp.Addr}} {
		require.Zero(t, testing.AllocsPerRun(100, func() {
			f, err := r.layer.Connect(t.Context(), h, b.Addr)
			if _, ok := r.layer.ListenerFor(f); !ok || err != nil {
				t.Error(f, err)
			}
		}), h)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			_, _ = r.layer.Connect(t.Context(), h, netip.AddrPort{})
		}), h)
	}
}
