package sip_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

func TestGet(t *testing.T) {
	m := parse(t, options("k: timer, 100rel", "X-Foo:  a, b ", "x-foo: c", "Subject:", "Supported: path"))
	for _, name := range []string{"k", "K", "Supported", "supported", "SUPPORTED"} {
		require.Equal(t, "timer, 100rel", m.Get(name))
		require.True(t, m.Has(name))
	}
	require.Equal(t, "a, b", m.Get("X-FOO"))
	require.Empty(t, m.Get("Subject"))
	require.True(t, m.Has("s"))
	require.Empty(t, m.Get("X-Bar"))
	require.False(t, m.Has("X-Bar"))
	require.False(t, m.Has(""))
	require.False(t, m.Has("z"))
	require.Equal(t, []string{"a, b", "c"}, collect(m.Lines("X-Foo")))
	require.Equal(t, []string{"a", "b", "c"}, collect(m.Values("X-Foo")))
	require.True(t, m.HasOption(sip.Supported, "PATH"))
	require.True(t, m.HasOption("K", "100rel"))
	require.False(t, m.HasOption(sip.Supported, "gruu"))
	require.False(t, m.HasOption(sip.Require, "path"))
	for range m.Lines("X-Foo") {
		break
	}
	for range m.Values("X-Foo") {
		break
	}
	for range m.Headers() {
		break
	}
	var names []string
	for name := range m.Headers() {
		names = append(names, name)
	}
	require.Equal(t, []string{"Via", "From", "To", "Call-ID", "CSeq", "Supported", "X-Foo", "x-foo", "Subject", "Supported"}, names)
}

// RFC 3261 7.3.1: "Route: <sip:alice@atlanta.com>, Route: <sip:bob@biloxi.com>" is the same as one row with both, in that order.
func TestValues(t *testing.T) {
	m := parse(t, options(
		`Route: <sip:a?x=b,c>, "x,\",>" <sip:b>;y="<,",,`,
		"Route: ,",
		"Route: sip:c;d",
		"Date: Sat, 13 Nov 2010 23:29:00 GMT",
		`WWW-Authenticate: Digest realm="a,b", nonce="c"`,
		"Subject: hello, world",
		"Organization:",
	))
	require.Equal(t, []string{"<sip:a?x=b,c>", `"x,\",>" <sip:b>;y="<,"`, "sip:c;d"}, collect(m.Values(sip.Route)))
	require.Equal(t, []string{"Sat, 13 Nov 2010 23:29:00 GMT"}, collect(m.Values(sip.Date)))
	require.Equal(t, []string{`Digest realm="a,b", nonce="c"`}, collect(m.Values(sip.WWWAuthenticate)))
	require.Equal(t, []string{"hello, world"}, collect(m.Values(sip.Subject)))
	require.Empty(t, collect(m.Values(sip.Organization)))
	require.Equal(t, []string{"a", "b"}, collect(sip.Elements(" a ,, b,")))
	require.Empty(t, collect(sip.Elements(" ")))
}

func TestAddresses(t *testing.T) {
	m := parse(t, options("Contact: <sip:a>;q=1, bad, \"B\" <tel:1>", "m: *", "Path: <sip:p;lr>,*", "P-Asserted-Identity: sip:x@y;z"))
	var hosts []string
	for a, err := range m.Contacts() {
		switch {
		case err != nil:
			require.ErrorContains(t, err, "sip: Bad Contact: no scheme")
			hosts = append(hosts, "error")
		case a.Star:
			hosts = append(hosts, "*")
		default:
			hosts = append(hosts, a.URI.String())
		}
	}
	require.Equal(t, []string{"sip:a", "error", "tel:1", "*"}, hosts)
	for a, err := range m.Addresses(sip.Path) {
		if err != nil {
			require.Equal(t, sip.NameAddr{}, a, "* is for Contact only")
			continue
		}
		require.True(t, a.URI.Params.Has("lr"))
	}
	for a, err := range m.Addresses(sip.PAssertedIdentity) {
		require.NoError(t, err)
		require.Equal(t, "sip:x@y", a.URI.String())
	}
	for range m.Addresses(sip.ServiceRoute) {
		t.Fatal("there is none")
	}
}

func TestVias(t *testing.T) {
	m := parse(t, options("Via: SIP/2.0/UDP a;branch=1, SIP/2.0/TCP b:5070", "v: nonsense", "Via: SIP/2.0/TLS c"))
	var hosts []string
	for v, err := range m.Vias() {
		if err != nil {
			require.ErrorContains(t, err, "sip: Bad Via")
		}
		hosts = append(hosts, v.Transport+v.Host)
	}
	require.Equal(t, []string{"UDPa", "TCPb", "", "TLSc"}, hosts)
	require.Error(t, m.Validate())
}

func TestUint(t *testing.T) {
	m := parse(t, options("Max-Forwards: 0070", "Expires: 4294967295", "Min-Expires: 4294967296", "Max-Breadth: -1", "x: 1800;refresher=uac", "Retry-After: 120 (lunch);duration=60", "RSeq: 1;2"))
	for name, want := range map[string]uint32{sip.MaxForwards: 70, sip.Expires: 4294967295, sip.SessionExpires: 1800, sip.RetryAfter: 120} {
		v, ok, err := m.Uint(name)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, want, v)
	}
	for _, name := range []string{"min-expires", sip.MaxBreadth, sip.RSeq} {
		_, ok, err := m.Uint(name)
		require.True(t, ok)
		require.ErrorContains(t, err, "sip: Bad "+sip.CanonicalName(name)+": not a number")
	}
	_, ok, err := m.Uint(sip.FlowTimer)
	require.NoError(t, err)
	require.False(t, ok)
}

func TestCanonicalName(t *testing.T) {
	for name, want := range map[string]string{
		"v": "Via", "V": "Via", "call-id": "Call-ID", "CALL-ID": "Call-ID", "cseq": "CSeq", "www-authenticate": "WWW-Authenticate",
		"P-ASSERTED-identity": "P-Asserted-Identity", "x-foo": "x-foo", "Z": "Z", "": "", "ö": "ö", "session-expires": "Session-Expires",
		"x": "Session-Expires", "mime-version": "MIME-Version", "sip-etag": "SIP-ETag", "b": "Referred-By", "r": "Refer-To", "o": "Event", "u": "Allow-Events",
	} {
		require.Equal(t, want, sip.CanonicalName(name))
	}
}

func TestValidate(t *testing.T) {
	for _, line := range []string{
		"Contact: *", "Contact: <sip:a>;q=0.5;expires=60, sip:b", "Route: <sip:a;lr>, <sip:b>", "Max-Forwards: 70", "RAck: 776656 1 INVITE",
		"Session-Expires: 1800;refresher=uac", "Retry-After: 18000;duration=3600", "Retry-After: 120 (I'm in a (long) meeting)", "Timestamp: 54", "Timestamp: 54.1 0.2", "Timestamp: 54. .2",
		"Date: Sat, 13 Nov 2010 23:29:00 GMT", "Priority: emergency", "Require: 100rel, timer", "Supported:", "Supported: a", "Allow:", "Event: presence.winfo;id=1", "Accept:",
		"Accept: application/sdp;level=1, application/x-private, text/html, */*", "Accept-Encoding: ", "Accept-Encoding: gzip;q=1.0, *", "Accept-Language: da, en-gb;q=0.8",
		"Content-Type: multipart/mixed ; boundary=\"a;b,c\"", "Content-Disposition: session;handling=optional", "Alert-Info: <http://www.example.com/sounds/moo.wav>;x, <urn:alert:y>",
		"Replaces: 425928@bobster.example.org;to-tag=7743;from-tag=6472", "Authorization: Digest username=\"bob\", realm=\"a,b\", uri=sip:a, response=\"x\"",
		"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Authentication-Info: nextnonce=\"47364c23432d2e131a5fb210812c\"", "Warning: 307 isi.edu \"Session, parameter\", 399 a:5060 \"b\"",
		"User-Agent: Softphone/Beta1.5 (a \\) (b)) x", "In-Reply-To: 70710@saturn.bell-tel.com, 17320@saturn.bell-tel.com", "Reason: Q.850;cause=16;text=\"Terminated\", SIP;cause=200",
		"SIP-ETag: abc", "X-Unknown: \"<;,", "P-Asserted-Identity: \"A\" <sip:a@b>, tel:+1", "Subject: \"",
	} {
		require.NoError(t, parse(t, options(line)).Validate(), line)
	}
	for _, line := range []string{
		"Contact: *, <sip:a>", "Contact:", "Contact: <sip:a>,", "Contact: <sip:a>;q=2", "Contact: <sip:a>;q=0.1234", "Contact: <sip:a>;q=1.1", "Contact: <sip:a>;expires=x", "Route: a", "Route:", "Max-Forwards: x", "Expires: 4294967296",
		"RAck: 1 INVITE", "RAck: x 1 INVITE", "Session-Expires: x", "Session-Expires: 1;", "Retry-After: soon", "Retry-After: 1 (", "Retry-After: 1 (a) b", "Timestamp: x", "Timestamp: 1.x", "Timestamp: 1 x",
		"Date: Fri, 01 Jan 2010 16:00:00 EST", "Date: now", "Date: GMT", "Priority: a b", "Require:", "Require: a,,b", "Require: a b", "Event: ;id=1", "Accept: text", "Accept: text/html,",
		"Content-Type: text", "Content-Type: text/plain;", "Content-Type:", "Alert-Info: http://x", "Alert-Info: <x>", "Alert-Info: <http://x", "Alert-Info: <http://x>;", "Replaces: ;a", "Authorization: Digest", "Authorization: Digest a",
		"Authorization: Digest a a=\"\",real", "Authorization: Digest a=\"b", "Authorization: Digest a=\"b\"c", "Authorization: Digest a=", "Authorization: @ a=b", "Authentication-Info: x", "Warning: 1812 overture \"In Progress\"", "Warning: 399 a b",
		"User-Agent: (", "User-Agent: ((((((((()))))))))", "In-Reply-To: a b", "SIP-ETag:", "P-Asserted-Identity: \"A\"", "Via: SIP/2.0/UDP a, b",
	} {
		err := parse(t, options(line)).Validate()
		require.Error(t, err, line)
		var refusal *sip.ParseError
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, 400, refusal.Status)
	}
	err := parse(t, options("User-Agent: (((((((((")).Validate().(*sip.ParseError)
	require.Equal(t, sip.CauseTooMany, err.Cause)
}
