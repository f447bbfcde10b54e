package transport_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

func TestConnectChoosesTheSocket(t *testing.T) {
	n := newMemNet("192.0.2.2", "127.0.0.1", "192.0.2.1", "2001:db8::1") // 192.0.2.2 is the host's source for IPv4
	listen := func(addrs ...string) *recorder {
		r := start(t, transport.Config{Network: n})
		for _, a := range addrs {
			r.listen(transport.UDP, a)
		}
		return r
	}
	v4 := listen("127.0.0.1:5060", "192.0.2.1:5060", "192.0.2.2:5060", "192.0.2.2:5070", "[2001:db8::1]:5060")
	elsewhere := listen("192.0.2.3:5060", "192.0.2.4:5060")
	onlyLoopback := listen("127.0.0.1:5061", "[::1]:5060")
	linkLocal := listen("[fe80::1%eth0]:5060", "[fe80::1%eth1]:5060", "[2001:db8::2]:5060")
	for _, tc := range []struct {
		name string
		r    *recorder
		to   string
		via  string // "" is none
		want string // "" is ErrNoListener
	}{
		{"the host's source address", v4, "198.51.100.9:5060", "", "192.0.2.2:5060"},
		{"the preferred one", v4, "198.51.100.9:5060", "192.0.2.1:5060", "192.0.2.1:5060"},
		{"the preferred one, of several at the address", v4, "198.51.100.9:5060", "192.0.2.2:5070", "192.0.2.2:5070"},
		{"a preferred address at which another port listens", v4, "198.51.100.9:5060", "192.0.2.1:5099", "192.0.2.1:5060"},
		{"never loopback for another host, even if preferred", v4, "198.51.100.9:5060", "127.0.0.1:5060", "192.0.2.2:5060"},
		{"a preferred one of the other family is none", v4, "198.51.100.9:5060", "[2001:db8::1]:5060", "192.0.2.2:5060"},
		{"a preferred one that is not ours is none", v4, "198.51.100.9:5060", "203.0.113.1:5060", "192.0.2.2:5060"},
		{"the only one of its family", v4, "[2001:db8::99]:5060", "", "[2001:db8::1]:5060"},
		{"mapped addresses are IPv4", v4, "[::ffff:198.51.100.9]:5060", "[::ffff:192.0.2.1]:5060", "192.0.2.1:5060"},
		{"none at the host's source address", elsewhere, "198.51.100.9:5060", "", "192.0.2.3:5060"},
		{"loopback for loopback", v4, "127.0.0.9:5060", "", "127.0.0.1:5060"},
		{"only loopback is none for another host", onlyLoopback, "198.51.100.9:5060", "", ""},
		{"only loopback is none for another host, IPv6", onlyLoopback, "[2001:db8::99]:5060", "", ""},
		{"only loopback for loopback", onlyLoopback, "[::1]:5070", "", "[::1]:5060"},
		{"no such family", elsewhere, "[2001:db8::99]:5060", "", ""},
		{"the link of the address", linkLocal, "[fe80::9%eth1]:5060", "[fe80::1%eth0]:5060", "[fe80::1%eth1]:5060"},
		{"link-local never leaves the link", linkLocal, "[2001:db8::99]:5060", "[fe80::1%eth0]:5060", "[2001:db8::2]:5060"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to := netip.MustParseAddrPort(tc.to)
			var via netip.AddrPort
			if tc.via != "" {
				via = netip.MustParseAddrPort(tc.via)
			}
			for range 2 { // the second time from what was learnt
				f, err := tc.r.layer.Connect(t.Context(), transport.Hop{Protocol: transport.UDP, Addr: to}, via)
				if tc.want == "" {
					require.ErrorIs(t, err, transport.ErrNoListener)
					var missing *transport.NoListenerError
					require.ErrorAs(t, err, &missing)
					require.Equal(t, transport.UDP, missing.Protocol)
					require.Equal(t, to, missing.Remote)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, tc.want, f.Local.String())
				ls, ok := tc.r.layer.ListenerFor(f)
				require.True(t, ok)
				require.Equal(t, f.Local, ls.Addr)
			}
		})
	}
}

func TestNoListenerNamesProtocolAndFamily(t *testing.T) {
	l := transport.New(transport.Config{})
	defer l.Shutdown(t.Context())
	for to, want := range map[string]string{
		"198.51.100.9:5060":   "transport: no UDP listener for IPv4 that reaches 198.51.100.9:5060",
		"[2001:db8::99]:5060": "transport: no UDP listener for IPv6 that reaches [2001:db8::99]:5060",
	} {
		hop := transport.Hop{Protocol: transport.UDP, Addr: netip.MustParseAddrPort(to)}
		_, err := l.Connect(t.Context(), hop, netip.AddrPort{})
		require.EqualError(t, err, want)
	}
}

func TestConnectRefusesWhatCannotBeReached(t *testing.T) {
	r := start(t, transport.Config{})
	r.listen(transport.UDP, "127.0.0.1:0")
	for _, h := range []transport.Hop{
		{},
		{Protocol: transport.UDP},
		{Protocol: transport.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")},
		{Protocol: transport.UDP, Addr: netip.MustParseAddrPort("0.0.0.0:5060")},
		{Protocol: transport.TCP, Addr: netip.MustParseAddrPort("[::]:5060")},
	} {
		_, err := r.layer.Connect(t.Context(), h, netip.AddrPort{})
		require.ErrorContains(t, err, "is not an address that can be reached")
	}
	for _, p := range []transport.Protocol{0, transport.TLS, transport.WS, transport.WSS, 99} {
		hop := transport.Hop{Protocol: p, Addr: netip.MustParseAddrPort("127.0.0.1:5060")}
		_, err := r.layer.Connect(t.Context(), hop, netip.AddrPort{})
		require.ErrorIs(t, err, transport.ErrUnsupported)
		_, err = r.layer.Listen(t.Context(), p, netip.MustParseAddrPort("127.0.0.1:0"), "")
		require.ErrorIs(t, err, transport.ErrUnsupported)
	}
}

// RFC 3261 section 18.2.2: "If that connection is no longer open, the server SHOULD open a connection to the IP address
// in the "received" parameter, if present, using the port in the "sent-by" value": so the sent-by of what leaves on a
// dialed connection is an address that we accept on.
func TestListenerForStreams(t *testing.T) {
	n := newMemNet("192.0.2.2", "192.0.2.1")
	peer, r := start(t, transport.Config{Network: n}), start(t, transport.Config{Network: n})
	p := peer.listen(transport.TCP, "192.0.2.9:5060")
	dial := func(via string) transport.Flow {
		f, err := r.layer.Connect(t.Context(), transport.Hop{Protocol: transport.TCP, Addr: p.Addr}, netip.MustParseAddrPort(via))
		require.NoError(t, err)
		return f
	}
	f := dial("192.0.2.1:5060")
	require.Equal(t, "192.0.2.1", f.Local.Addr().String(), "dialed from the preferred address")
	require.NotEqual(t, 5060, f.Local.Port())
	_, ok := r.layer.ListenerFor(f)
	require.False(t, ok, "nothing listens")

	r.listen(transport.UDP, "192.0.2.1:5060")
	r.listen(transport.TCP, "127.0.0.1:5060")
	r.listen(transport.TCP, "[2001:db8::1]:5060")
	_, ok = r.layer.ListenerFor(f)
	require.False(t, ok, "nothing that fits listens")

	other := r.listen(transport.TCP, "192.0.2.3:5060")
	ls, ok := r.layer.ListenerFor(f)
	require.True(t, ok)
	require.Equal(t, other, ls, "not at the local address, but it can be reached")

	same := r.listen(transport.TCP, "192.0.2.1:5080")
	ls, _ = r.layer.ListenerFor(f)
	require.Equal(t, same, ls)

	// What came in on a connection names the listener that accepted it.
	require.NoError(t, r.layer.Send(f, []byte("one\n")))
	ls, ok = peer.layer.ListenerFor(peer.want("one\n"))
	require.True(t, ok)
	require.Equal(t, p, ls)
}

func TestListenOnUnspecifiedAddress(t *testing.T) {
	host := []string{"127.0.0.1", "::1", "192.0.2.1", "::ffff:192.0.2.2", "2001:db8::1", "fe80::1%eth0", "0.0.0.0", "224.0.0.1"}
	for at, want := range map[string][]string{
		"0.0.0.0:5060": {"127.0.0.1:5060", "192.0.2.1:5060", "192.0.2.2:5060"},
		"[::]:5060":    {"[::1]:5060", "[2001:db8::1]:5060"},
		"":             {"127.0.0.1:5060", "[::1]:5060", "192.0.2.1:5060", "192.0.2.2:5060", "[2001:db8::1]:5060"},
	} {
		addr := netip.AddrPortFrom(netip.Addr{}, 5060)
		if at != "" {
			addr = netip.MustParseAddrPort(at)
		}
		for _, p := range []transport.Protocol{transport.UDP, transport.TCP} {
			r := start(t, transport.Config{Network: newMemNet(host...)})
			ls, err := r.layer.Listen(t.Context(), p, addr, "sip.example.com:5062")
			require.NoError(t, err)
			var got []string
			for _, l := range ls {
				require.Equal(t, p, l.Protocol)
				require.Equal(t, "sip.example.com:5062", l.Advertise)
				got = append(got, l.Addr.String())
			}
			require.Equal(t, want, got)
			require.Equal(t, ls, r.layer.Listeners())
		}
	}
	r := start(t, transport.Config{Network: newMemNet("192.0.2.1")})
	_, err := r.layer.Listen(t.Context(), transport.UDP, netip.MustParseAddrPort("[::]:5060"), "")
	require.EqualError(t, err, "transport: listen UDP [::]:5060: the host has no such address")
}

func TestListenOpensAllOrNone(t *testing.T) {
	n := newMemNet("192.0.2.1", "192.0.2.2", "192.0.2.3")
	other, r := start(t, transport.Config{Network: n}), start(t, transport.Config{Network: n})
	other.listen(transport.UDP, "192.0.2.3:5060")
	_, err := r.layer.Listen(t.Context(), transport.UDP, netip.MustParseAddrPort("0.0.0.0:5060"), "")
	require.ErrorIs(t, err, errInUse)
	require.ErrorContains(t, err, "UDP 192.0.2.3:5060")
	require.Empty(t, r.layer.Listeners())
	other.listen(transport.UDP, "192.0.2.1:5060") // was closed again
}

func TestListenOnTheHost(t *testing.T) {
	r := start(t, transport.Config{})
	ls, err := r.layer.Listen(t.Context(), transport.UDP, netip.MustParseAddrPort("0.0.0.0:0"), "")
	require.NoError(t, err)
	loopback := false
	for _, l := range ls {
		require.False(t, l.Addr.Addr().IsUnspecified())
		require.NotZero(t, l.Addr.Port())
		loopback = loopback || l.Addr.Addr().IsLoopback()
	}
	require.True(t, loopback)
}

func TestListenRefuses(t *testing.T) {
	l := transport.New(transport.Config{})
	defer l.Shutdown(t.Context())
	at := netip.MustParseAddrPort("127.0.0.1:0")
	_, err := l.Listen(t.Context(), transport.UDP, at, "")
	require.ErrorContains(t, err, "Config.Receive is not set")

	l = transport.New(transport.Config{Receive: func(*transport.Packet) {}})
	defer l.Shutdown(t.Context())
	_, err = l.Listen(t.Context(), transport.TCP, at, "")
	require.ErrorContains(t, err, "Config.NewSplitter is not set")
	for _, bad := range []string{"a b", "a\r\nEvil: 1", "sip:a@b", "a;b", "a,b", "<a>", "ä"} {
		_, err = l.Listen(t.Context(), transport.UDP, at, bad)
		require.ErrorContains(t, err, "advertised address")
	}
	for _, good := range []string{"sip.example.com", "sip.example.com:5061", "[2001:db8::1]:5060", "192.0.2.1"} {
		ls, err := l.Listen(t.Context(), transport.UDP, at, good)
		require.NoError(t, err)
		require.Equal(t, good, ls[0].Advertise)
	}

	pc, err := plainNet{}.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	_, err = l.ServePacket(unspecified{pc}, "")
	require.ErrorContains(t, err, "must be concrete")
	_, err = pc.WriteTo(nil, pc.LocalAddr())
	require.Error(t, err, "closed")
}

// Several connections may lead to one hop, if they are to different addresses of ours.
func TestConnectAmongSeveralConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n})
		flows := make(map[string]transport.Flow)
		conns := make(map[string]net.Conn)
		for _, ip := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
			r.listen(transport.TCP, ip+":5060")
			c, err := n.Dial(t.Context(), "tcp4", "192.0.2.9:5060", ip+":5060")
			require.NoError(t, err)
			write(t, c, "one\n")
			flows[ip], conns[ip] = r.want("one\n"), c
		}
		hop := transport.Hop{Protocol: transport.TCP, Addr: netip.MustParseAddrPort("192.0.2.9:5060")}
		connect := func(via string) transport.Flow {
			f, err := r.layer.Connect(t.Context(), hop, netip.MustParseAddrPort(via+":5060"))
			require.NoError(t, err)
			return f
		}
		for ip, f := range flows {
			require.Equal(t, f, connect(ip))
		}
		for _, gone := range []string{"192.0.2.2", "192.0.2.3"} {
			require.NoError(t, conns[gone].Close())
			r.wantEnd(io.EOF)
			require.NotEqual(t, flows[gone], connect(gone))
			require.Equal(t, flows["192.0.2.1"], connect("192.0.2.1"))
		}
		require.NoError(t, conns["192.0.2.1"].Close())
		r.wantEnd(io.EOF)
		_, err := r.layer.Connect(t.Context(), hop, netip.AddrPort{})
		require.ErrorIs(t, err, errRefused, "all are gone, so it dialed")
	})
}
