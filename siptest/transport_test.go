package siptest_test

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// newEcho starts a transport layer on a host that sends every message back on its flow.
func newEcho(t *testing.T, h *siptest.Host) *transport.Layer {
	var l *transport.Layer
	l = transport.New(transport.Config{
		Network:     h,
		NewSplitter: func() transport.Splitter { return new(sip.Parser).NewSplitter() },
		Receive: func(p *transport.Packet) {
			if err := l.Send(p.Flow, p.Data); err != nil {
				t.Errorf("echo: %v", err)
			}
		},
	})
	t.Cleanup(func() { require.NoError(t, l.Shutdown(context.Background())) })
	return l
}

func TestTransportLayerOnHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{Link: siptest.Link{Chunk: 10}})
		server, client := n.Host("server", "10.0.0.1", "2001:db8::1"), n.Host("client", "10.0.0.2")
		echo := newEcho(t, server)
		for _, p := range []transport.Protocol{transport.UDP, transport.TCP} {
			listeners, err := echo.Listen(t.Context(), p, netip.AddrPortFrom(netip.IPv4Unspecified(), 5060), "")
			require.NoError(t, err)
			require.Equal(t, server.AddrPort(5060), listeners[0].Addr)
		}
		got := make(chan string, 10)
		l := transport.New(transport.Config{
			Network:     client,
			NewSplitter: func() transport.Splitter { return new(sip.Parser).NewSplitter() },
			Receive:     func(p *transport.Packet) { got <- p.Flow.Protocol.String() + " " + siptest.What(p.Data) },
		})
		defer func() { require.NoError(t, l.Shutdown(context.Background())) }()
		_, err := l.Listen(t.Context(), transport.UDP, client.AddrPort(5060), "")
		require.NoError(t, err)
		for _, p := range []transport.Protocol{transport.UDP, transport.TCP} {
			flow, err := l.Connect(t.Context(), transport.Hop{Protocol: p, Addr: server.AddrPort(5060)}, client.AddrPort(0))
			require.NoError(t, err)
			require.NoError(t, l.Send(flow, []byte(message("OPTIONS sip:x SIP/2.0", "Content-Length: 0"))))
			require.Equal(t, p.String()+" OPTIONS", <-got)
		}
		n.Ladder().Require(t, `
			0.000  client  -> server   OPTIONS
			0.005  server  -> client   OPTIONS
			0.020  client  -> server   OPTIONS
			0.025  server  -> client   OPTIONS`)
	})
}
