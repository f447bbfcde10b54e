package hostile_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// BenchmarkCall is a whole call (INVITE, 180, 200, ACK, BYE, 200) from a caller through a record-routing relay to a callee
// and back, over the network in memory without delay; the work of the caller, the callee and the network is in it.
//
//	go test -run - -bench Call -benchmem ./hostile
func BenchmarkCall(b *testing.B) {
	net := siptest.NewNetwork(siptest.Options{Record: -1, Link: siptest.Link{Delay: -1}})
	alice, proxy, bob := net.Host("alice", "10.0.0.2"), net.Host("relay", "10.0.0.1"), net.Host("bob", "10.0.0.3")
	server := &routing.Server{Handler: relay("sip:10.0.0.3"), Transport: transport.Config{Network: proxy}}
	require.NoError(b, server.Listen(b.Context(), "udp:10.0.0.1"))
	defer func() { require.NoError(b, server.Shutdown(context.Background())) }()
	pc, err := bob.ListenPacket(b.Context(), "udp", "10.0.0.3:5060")
	require.NoError(b, err)
	uas := newCallee(pc)
	defer uas.close()
	pc, err = alice.ListenPacket(b.Context(), "udp", "10.0.0.2:5060")
	require.NoError(b, err)
	room := make(chan struct{}, 20)
	uac := newCaller(pc, udpAddr(proxy.AddrPort(5060)), b.N, func() { <-room })
	defer uac.close()
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		room <- struct{}{}
		uac.invite(i)
	}
	for range cap(room) {
		room <- struct{}{}
	}
	b.StopTimer()
	require.EqualValues(b, b.N, uac.ended.Load())
	require.Zero(b, uac.unexpected.Load())
}
