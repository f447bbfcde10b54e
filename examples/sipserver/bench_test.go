package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/registrar"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// bench is a network with one server, "server", that serves example.org on UDP and TCP.
type bench struct {
	*testing.T
	net   *siptest.Network
	host  *siptest.Host
	proxy *proxy

	sender *siptest.Host // of the torture tests
}

// runBench runs f in virtual time, then waits for everything to end and checks that the server has kept nothing but
// what is registered.
func runBench(t *testing.T, options siptest.Options, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := &registrar.MemoryStore{}
		b := &bench{T: t, net: siptest.NewNetwork(options)}
		b.host = b.net.Host("server", "10.0.0.1", "2001:db8::1")
		b.proxy = newProxy(store, []string{"example.org"}, slog.New(slog.DiscardHandler))
		b.proxy.server.Transport.Network = b.host
		b.proxy.server.Resolver = noNames{}
		t.Cleanup(func() {
			require.NoError(t, b.proxy.server.Shutdown(context.Background()))
			store.Close()
		})
		require.NoError(t, b.proxy.server.Listen(t.Context(), "udp:10.0.0.1", "tcp:10.0.0.1", "udp:[2001:db8::1]", "tcp:[2001:db8::1]"))
		f(b)
		b.settle()
	})
}

// noNames is a resolver for a network without names: the system's leaves the bubble.
type noNames struct{}

func (noNames) Resolve(_ context.Context, uri sip.URI) ([]transport.Hop, error) {
	return nil, fmt.Errorf("no such host: %s", uri.Host)
}

// settle waits until every transaction has ended.
func (b *bench) settle() {
	b.Helper()
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	s := b.proxy.server.Stats()
	require.Zero(b, s.Contexts, "response contexts left")
	require.Zero(b, s.Handlers, "handlers left")
	require.Zero(b, s.HandlerErrors, "handlers failed")
	require.Zero(b, s.Panics, "handlers panicked")
	live := s.Transaction
	require.Zero(b, live.InviteServer.Live+live.NonInviteServer.Live+live.InviteClient.Live+live.NonInviteClient.Live, "transactions left")
}

// phone starts a phone of a user of example.org on a host of its own; transport is what it registers and calls by.
func (b *bench) phone(name, addr, transport string) *siptest.Phone {
	b.Helper()
	return b.phoneOf(name, addr, "sip:"+name+"@example.org", transport)
}

// phoneOf is phone for a user of any name and domain, who may have several phones.
func (b *bench) phoneOf(name, addr, aor, transport string) *siptest.Phone {
	b.Helper()
	return siptest.NewPhone(b.T, b.net.Host(name, addr), aor, siptest.PhoneOptions{
		Proxy: b.host.AddrPort(5060), Transport: transport, Listen: []string{"UDP", "TCP"},
	})
}

// register registers phones for an hour.
func register(phones ...*siptest.Phone) {
	for _, p := range phones {
		p.Register(time.Hour).WantStatus(200)
	}
}
