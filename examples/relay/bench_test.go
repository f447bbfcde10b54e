package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// bench is a network with one server, "relay", that sends everything to the host "gateway".
type bench struct {
	*testing.T
	net       *siptest.Network
	host      *siptest.Host
	gw        *siptest.Host
	server    *routing.Server
	stateless bool
	gateways  []*siptest.Phone
}

// runBench runs f in virtual time with a relay to next, then waits for everything to end.
func runBench(t *testing.T, next string, stateless bool, options siptest.Options, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, net: siptest.NewNetwork(options), stateless: stateless}
		b.host, b.gw = b.net.Host("relay", "10.0.0.1"), b.net.Host("gateway", "10.0.0.3")
		uri, err := sip.ParseURI(next)
		require.NoError(t, err)
		b.server = &routing.Server{
			Handler:   route(routing.Target{NextHop: uri}),
			Stateless: stateless,
			Transport: transport.Config{Network: b.host},
		}
		t.Cleanup(func() { require.NoError(t, b.server.Shutdown(context.Background())) })
		require.NoError(t, b.server.Listen(t.Context(), "udp:10.0.0.1", "tcp:10.0.0.1"))
		f(b)
		b.settle()
	})
}

// settle waits until every transaction has ended.
func (b *bench) settle() {
	b.Helper()
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	s := b.server.Stats()
	require.Zero(b, s.Contexts, "response contexts left")
	require.Zero(b, s.Handlers, "handlers left")
	live := s.Transaction
	require.Zero(b, live.InviteServer.Live+live.NonInviteServer.Live+live.InviteClient.Live+live.NonInviteClient.Live, "transactions left")
	for _, gw := range b.gateways {
		for _, v := range gw.Violations() {
			require.Contains(b, v, "has 2 Vias instead of one")
		}
	}
	if b.stateless {
		require.Zero(b, live.InviteServer.Created+live.NonInviteServer.Created+live.InviteClient.Created+live.NonInviteClient.Created)
	}
}

// alice starts the caller, whose outbound proxy is the relay.
func (b *bench) alice(transport string) *siptest.Phone {
	b.Helper()
	return siptest.NewPhone(b.T, b.net.Host("alice", "10.0.0.2"), "sip:alice@example.org", siptest.PhoneOptions{
		Proxy: b.host.AddrPort(5060), Transport: transport, Listen: []string{"UDP", "TCP"},
	})
}

// gateway starts the next hop. Behind a stateless proxy it gets the caller's own CANCEL and ACK with a Via more than these
// have anywhere else (RFC 3261 section 16.11), which it cannot know; nothing else may be wrong.
func (b *bench) gateway(transport string) *siptest.Phone {
	b.Helper()
	gw := siptest.NewPhone(b.T, b.gw, "sip:gateway@example.org", siptest.PhoneOptions{
		Transport: transport, Listen: []string{"UDP", "TCP"}, Lenient: b.stateless,
	})
	b.gateways = append(b.gateways, gw)
	return gw
}
