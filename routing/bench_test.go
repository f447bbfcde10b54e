package routing_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
	"github.com/stretchr/testify/require"
)

// bench is a network with one server, "proxy", and hosts around it.
type bench struct {
	*testing.T
	net    *siptest.Network
	proxy  *siptest.Host
	server *routing.Server
}

// runBench runs f in a bubble with a server for route; tune may change it
// before it listens on UDP and TCP.
func runBench(t *testing.T, route routing.HandlerFunc, f func(b *bench), tune ...func(*routing.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, net: siptest.NewNetwork(siptest.Options{})}
		b.proxy = b.net.Host("proxy", "10.0.0.1")
		b.server = &routing.Server{Handler: route, Transport: transport.Config{Network: b.proxy}}
		for _, tune := range tune {
			tune(b.server)
		}
		require.NoError(t, b.server.Listen(t.Context(), "udp:10.0.0.1:5060", "tcp:10.0.0.1:5060"))
		t.Cleanup(func() { require.NoError(t, b.server.Shutdown(context.Background())) })
		f(b)
		b.settle()
	})
}

// settle waits until every transaction has ended, and checks that nothing is left.
func (b *bench) settle() {
	b.Helper()
	time.Sleep(5 * time.Minute) // virtual
	synctest.Wait()
	stats := b.server.Stats()
	require.Zero(b, stats.Contexts, "response contexts left")
	require.Zero(b, stats.Handlers, "handlers left")
}

// phone starts a phone on a host of its own that uses the proxy.
func (b *bench) phone(name, addr string, opt ...siptest.PhoneOptions) *siptest.Phone {
	b.Helper()
	var o siptest.PhoneOptions
	if len(opt) > 0 {
		o = opt[0]
	}
	if !o.Proxy.IsValid() {
		o.Proxy = b.proxy.AddrPort(5060)
	}
	return siptest.NewPhone(b.T, b.net.Host(name, addr), "sip:"+name+"@example.org", o)
}
