package transport_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

func TestProtocol(t *testing.T) {
	for _, tc := range []struct {
		p                transport.Protocol
		name             string
		port             uint16
		reliable, secure bool
	}{
		{0, "", 0, false, false},
		{transport.UDP, "UDP", 5060, false, false},
		{transport.TCP, "TCP", 5060, true, false},
		{transport.TLS, "TLS", 5061, true, true},
		{transport.WS, "WS", 80, true, false},
		{transport.WSS, "WSS", 443, true, true},
		{99, "Protocol(99)", 0, false, false},
	} {
		require.Equal(t, tc.name, tc.p.String())
		require.Equal(t, tc.port, tc.p.DefaultPort())
		require.Equal(t, tc.reliable, tc.p.Reliable())
		require.Equal(t, tc.secure, tc.p.Secure())
		require.Equal(t, tc.port != 0, tc.p.Valid())
		p, err := transport.ParseProtocol(tc.name)
		if !tc.p.Valid() {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, tc.p, p)
	}
	// RFC 3261 section 7.3.1: "Unless otherwise stated in the definition of a particular header field, field values, parameter
	// names, and parameter values are case-insensitive."
	p, err := transport.ParseProtocol("uDp")
	require.NoError(t, err)
	require.Equal(t, transport.UDP, p)
	_, err = transport.ParseProtocol("SCTP")
	require.EqualError(t, err, `transport: unknown protocol "SCTP"`)
}

func TestStrings(t *testing.T) {
	local, remote := netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("[2001:db8::9]:5070")
	f := transport.Flow{Protocol: transport.UDP, Local: local, Remote: remote}
	require.Equal(t, "UDP 192.0.2.1:5060>[2001:db8::9]:5070", f.String())
	require.Equal(t, "UDP [2001:db8::9]:5070", f.Hop().String())
	require.False(t, f.IsZero())
	f.Protocol, f.Conn = transport.TCP, 7
	require.Equal(t, "TCP#7 192.0.2.1:5060>[2001:db8::9]:5070", f.String())
	require.Equal(t, "none", transport.Flow{}.String())
	require.True(t, transport.Flow{}.IsZero())
	ls := transport.Listener{Protocol: transport.UDP, Addr: local}
	require.Equal(t, "UDP 192.0.2.1:5060", ls.String())
	ls.Advertise = "sip.example.com"
	require.Equal(t, "UDP 192.0.2.1:5060 (sip.example.com)", ls.String())
}
