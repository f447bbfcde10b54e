package routing

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
	"github.com/stretchr/testify/require"
)

func listener(p transport.Protocol, addr, advertise string) transport.Listener {
	return transport.Listener{Protocol: p, Addr: netip.MustParseAddrPort(addr), Advertise: advertise}
}

// Every URI and Via that we emit is one that we recognise, however the
// listener is bound and advertised.
func TestIdentityRecognisesWhatItEmits(t *testing.T) {
	for _, l := range []transport.Listener{
		listener(transport.UDP, "192.0.2.1:5060", ""),
		listener(transport.UDP, "192.0.2.1:5999", ""),
		listener(transport.TCP, "192.0.2.1:5060", ""),
		listener(transport.TLS, "192.0.2.1:5061", ""),
		listener(transport.TLS, "192.0.2.1:6061", ""),
		listener(transport.UDP, "[2001:db8::1]:5060", ""),
		listener(transport.TCP, "[2001:db8::1]:6060", ""),
		listener(transport.UDP, "10.0.0.1:5060", "sip.example.org"),
		listener(transport.UDP, "10.0.0.1:6060", "sip.example.org"),
		listener(transport.UDP, "10.0.0.1:6060", "SIP.example.org:5060"),
		listener(transport.TCP, "10.0.0.1:6060", "203.0.113.9:5080"),
		listener(transport.TCP, "10.0.0.1:6060", "[2001:db8::9]:5080"),
		listener(transport.TCP, "10.0.0.1:5060", "2001:db8::9"),
		listener(transport.WS, "10.0.0.1:80", "ws.example.org"),
	} {
		t.Run(l.String(), func(t *testing.T) {
			var id identity
			id.set([]transport.Listener{listener(transport.UDP, "192.0.2.77:7777", ""), l}, nil)
			s := id.load()
			p := &s.places[1]
			for _, text := range []string{p.route, p.contact} {
				u, err := sip.ParseURI(text)
				require.NoError(t, err)
				require.True(t, s.isLocal(&u), text)
				require.Equal(t, 1, s.placeFor(&u), text)
			}
			v, err := sip.ParseViaParm(p.via + "z9hG4bKx")
			require.NoError(t, err)
			require.True(t, s.isOwnVia(&v), p.via)
		})
	}
}

// The same for any set of listeners, bound and advertised at random.
func TestIdentityRecognisesWhatItEmitsAtRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	port := func() string { return pick("5060", "5061", "5070", "80", "443", "1", "65535") }
	for range 500 {
		var listeners []transport.Listener
		seen := map[string]bool{}
		for range 1 + rnd.IntN(5) {
			l := listener(transport.Protocol(1+rnd.IntN(5)), pick("10.0.0.1", "192.0.2.1", "[2001:db8::1]", "[2001:db8:0:0:1::]")+":"+port(), "")
			switch rnd.IntN(4) {
			case 0:
				l.Advertise = pick("sip.example.org", "SIP.Example.ORG", "sip.example.org.", "198.51.100.7", "2001:DB8::77", "[2001:db8::78]")
			case 1:
				l.Advertise = pick("sip.example.org", "EDGE.example.net", "198.51.100.7", "[2001:DB8::77]") + ":" + port()
			}
			p := newPlace(l)
			if key := fmt.Sprint(l.Protocol, p.sentBy); !seen[key] { // two that call themselves the same cannot be told apart
				seen[key] = true
				listeners = append(listeners, l)
			}
		}
		var id identity
		id.set(listeners, nil)
		s := id.load()
		for i := range s.places {
			p := &s.places[i]
			for _, text := range []string{p.route, p.contact, p.route + ";r2=on"} {
				a, err := sip.ParseNameAddr("<" + text + ">")
				require.NoError(t, err, text)
				require.True(t, s.isLocal(&a.URI), "%s of %v", text, listeners)
				require.Equal(t, i, s.placeFor(&a.URI), "%s of %v", text, listeners)
				for _, other := range []string{a.URI.String(), strings.ToUpper(a.URI.Host)} { // as others may spell it
					u := a.URI
					if other != a.URI.String() {
						u.Host = other
					}
					require.True(t, s.isLocal(&u), "%s of %v", u, listeners)
				}
				foreign := a.URI
				foreign.Port = 4242
				require.False(t, s.isLocal(&foreign), "%s of %v", foreign, listeners)
				foreign = a.URI
				foreign.Host = "elsewhere.example"
				require.False(t, s.isLocal(&foreign), "%s of %v", foreign, listeners)
			}
			v, err := sip.ParseViaParm(p.via + "z9hG4bKx")
			require.NoError(t, err, p.via)
			require.True(t, s.isOwnVia(&v), "%s of %v", p.via, listeners)
			v.Port = 4242
			require.False(t, s.isOwnVia(&v), "%s of %v", p.via, listeners)
		}
	}
}

func TestIdentityIsLocal(t *testing.T) {
	var id identity
	id.set([]transport.Listener{
		listener(transport.UDP, "192.0.2.1:5060", ""),
		listener(transport.TCP, "192.0.2.1:5070", "edge.example.net:5071"),
		listener(transport.UDP, "[2001:db8::1]:5060", ""),
	}, []string{"Example.ORG"})
	s := id.load()
	for uri, want := range map[string]bool{
		"sip:192.0.2.1":                      true,
		"sip:192.0.2.1:5060":                 true,
		"sip:bob@192.0.2.1:5070":             true,
		"sip:192.0.2.1:5061":                 false,
		"sip:192.0.2.2":                      false,
		"sip:[2001:db8::1]":                  true,
		"sip:[2001:DB8:0::1]:5060":           true,
		"sip:[2001:db8::2]":                  false,
		"sip:example.org":                    true,
		"sip:EXAMPLE.org.:5060;lr":           true,
		"sip:example.org:9999":               false,
		"sip:edge.example.net:5071":          true,
		"sip:edge.example.net;transport=tcp": true,
		"sip:other.example.net":              false,
		"tel:+15551234":                      false,
		"urn:service:sos":                    false,
	} {
		u, err := sip.ParseURI(uri)
		require.NoError(t, err, uri)
		require.Equal(t, want, s.isLocal(&u), uri)
	}
}

func TestParseListen(t *testing.T) {
	for text, want := range map[string]transport.Listener{
		"udp:127.0.0.1:5060": listener(transport.UDP, "127.0.0.1:5060", ""),
		"tcp:[::1]:5070":     listener(transport.TCP, "[::1]:5070", ""),
		"tls:127.0.0.1":      listener(transport.TLS, "127.0.0.1:5061", ""),
		"UDP::5060":          transport.Listener{Protocol: transport.UDP, Addr: netip.AddrPortFrom(netip.Addr{}, 5060)},
		"udp":                transport.Listener{Protocol: transport.UDP, Addr: netip.AddrPortFrom(netip.Addr{}, 5060)},
		"udp:::1":            listener(transport.UDP, "[::1]:5060", ""),
		"udp:0.0.0.0:0":      listener(transport.UDP, "0.0.0.0:0", ""),
		"udp:10.0.0.1:1 advertise sip.example.org:5060": listener(transport.UDP, "10.0.0.1:1", "sip.example.org:5060"),
	} {
		p, addr, advertise, err := parseListen(text)
		require.NoError(t, err, text)
		require.Equal(t, want, transport.Listener{Protocol: p, Addr: addr, Advertise: advertise}, text)
	}
	for _, text := range []string{"", "sctp:127.0.0.1:5060", "udp:localhost:5060", "udp:127.0.0.1:99999", "udp:127.0.0.1:5060 as x", "127.0.0.1:5060"} {
		_, _, _, err := parseListen(text)
		require.Error(t, err, text)
	}
}
