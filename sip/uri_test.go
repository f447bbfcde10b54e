package sip_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

func TestParseURI(t *testing.T) {
	for text, want := range map[string]sip.URI{
		// RFC 3261 19.1.3
		"sip:alice@atlanta.com":                                      {Scheme: "sip", User: "alice", Host: "atlanta.com"},
		"sip:alice:secretword@atlanta.com;transport=tcp":             {Scheme: "sip", User: "alice", Password: "secretword", Host: "atlanta.com", Params: "transport=tcp"},
		"sips:alice@atlanta.com?subject=project%20x&priority=urgent": {Scheme: "sips", User: "alice", Host: "atlanta.com", Headers: "subject=project%20x&priority=urgent"},
		"sip:+1-212-555-1212:1234@gateway.com;user=phone":            {Scheme: "sip", User: "+1-212-555-1212", Password: "1234", Host: "gateway.com", Params: "user=phone"},
		"sips:1212@gateway.com":                                      {Scheme: "sips", User: "1212", Host: "gateway.com"},
		"sip:alice@192.0.2.4":                                        {Scheme: "sip", User: "alice", Host: "192.0.2.4"},
		"sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com":     {Scheme: "sip", Host: "atlanta.com", Params: "method=REGISTER", Headers: "to=alice%40atlanta.com"},
		"sip:alice;day=tuesday@atlanta.com":                          {Scheme: "sip", User: "alice;day=tuesday", Host: "atlanta.com"},

		"SIP:a@B":                                     {Scheme: "sip", User: "a", Host: "B"},
		"sip:a:@b":                                    {Scheme: "sip", User: "a", Host: "b"},
		"sip:*21#@pbx_1.example.com.":                 {Scheme: "sip", User: "*21#", Host: "pbx_1.example.com."},
		"sip:jürgen@b":                                {Scheme: "sip", User: "jürgen", Host: "b"},
		"sip:%00%2f@b":                                {Scheme: "sip", User: "%00%2f", Host: "b"},
		"sip:[2001:db8::9:1]:5070;x":                  {Scheme: "sip", Host: "[2001:db8::9:1]", Port: 5070, Params: "x"},
		"sip:a@[::FFFF:192.0.2.1]":                    {Scheme: "sip", User: "a", Host: "[::FFFF:192.0.2.1]"},
		"sip:b;lr;maddr=[::1]:5?a=b?c/d":              {Scheme: "sip", Host: "b", Params: "lr;maddr=[::1]:5", Headers: "a=b?c/d"},
		`sip:b;x="q;r?>";lr`:                          {Scheme: "sip", Host: "b", Params: `x="q;r?>";lr`},
		"sip:b;x==?h=":                                {Scheme: "sip", Host: "b", Params: "x==", Headers: "h="},
		"sip:b;x=":                                    {Scheme: "sip", Host: "b", Params: "x="},
		"tel:+1-201-555-0123":                         {Scheme: "tel", User: "+1-201-555-0123"},
		"tel:7042;phone-context=example.com":          {Scheme: "tel", User: "7042", Params: "phone-context=example.com"},
		"TEL:863-1234;phone-context=+1-914-555;x=%3b": {Scheme: "tel", User: "863-1234", Params: "phone-context=+1-914-555;x=%3b"},
		"urn:service:sos":                             {Scheme: "urn", Opaque: "service:sos"},
		"URN:service:sos.fire;x?y":                    {Scheme: "urn", Opaque: "service:sos.fire;x?y"},
		"http://user@www.example.com/a?b#c":           {Scheme: "http", Opaque: "//user@www.example.com/a?b#c"},
		"soap.beep://192.0.2.103:3002":                {Scheme: "soap.beep", Opaque: "//192.0.2.103:3002"},
		"mailto:a@b":                                  {Scheme: "mailto", Opaque: "a@b"},
		"sip+x:a":                                     {Scheme: "sip+x", Opaque: "a"},
	} {
		u, err := sip.ParseURI(text)
		require.NoError(t, err, text)
		require.Equal(t, want, u, text)
		again, err := sip.ParseURI(u.String())
		require.NoError(t, err, text)
		require.Equal(t, u, again, text)
		require.True(t, u.Equal(again), text)
		require.True(t, u.Equal(u.Clone()), text)
	}
}

func TestParseURIRefuses(t *testing.T) {
	for _, text := range []string{
		"", ":", "sip", "sip:", "sips:", "tel:", "urn:", "1sip:a", "sip :a", "sip: a", " sip:a", "<sip:a>", "a@b", "alice",
		"sip:@a", "sip:a@", "sip::pw@a", "sip:a@b@c", "sip:a b@c", "sip:a<b@c", "sip:a\"b@c", "sip:a\x00@b", "sip:%@b", "sip:%4@b", "sip:%4g@b", "sip:a[@b",
		"sip:a:b:c@d", "sip:a:b;c@d", "sip:a@b:", "sip:a@b:0", "sip:a@b:65536", "sip:a@b:99999999999999999999", "sip:a@b:80x", "sip:a@b:-1",
		"sip:a@b:5060:1", "sip:a@b,c", "sip:a@b/", "sip:a@b c", "sip:a@[::1", "sip:a@[]", "sip:a@[192.0.2.1]", "sip:a@[::1%25eth0]", "sip:a@[::1]x",
		"sip:a@[2001:db8:::192.0.2.1]", "sip:a@2001:db8::1", "sip:a@b;", "sip:a@b;;c", "sip:a@b;c;", "sip:a@b;=c", "sip:a@b;c d", "sip:a@b;c<d",
		`sip:a@b;c="d`, `sip:a@b;c=d"e"`, "sip:a@b;c=%1", "sip:a@b;c=é", "sip:a@b;c?", "sip:a@b?c", "sip:a@b?=c", "sip:a@b?c=d&", "sip:a@b?c=d&&e=f", "sip:a@b?c=<d>",
		"tel:", "tel:;x", "tel:12 3", "tel:xyz", "tel:1@b", "urn:a b", "urn:<a>", `urn:"a"`, "urn:a\x7f",
		"sip:" + strings.Repeat("a", 70000), "sip:a" + strings.Repeat(";p", 100), "sip:a?h=" + strings.Repeat("&h=", 100),
	} {
		_, err := sip.ParseURI(text)
		require.Error(t, err, text)
	}
}

// RFC 3261 19.1.4, the examples.
func TestURIEqual(t *testing.T) {
	for _, set := range [][]string{
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;security=on"},
		{"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"},
		{"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"},
		{"sip:alice@atlanta.com?subject=project%20x&priority=urgent", "sip:alice@atlanta.com?priority=urgent&subject=project%20x"},
		// "Note that equality is not transitive"
		{"sip:carol@chicago.com", "sip:carol@chicago.com;security=off"},

		{"SIP:a@b", "sip:a@B"},
		{"sip:a@b;user=1;user=2", "sip:a@b;user=1"},
		{"sip:a@b;LR", "sip:a@b;lr;x=y"},
		{"sip:a@b;%6cr;x=%41", "sip:a@b;lr;x=a"},
		{"sip:a@b;tr%61nsport=tcp", "sip:a@b;transport=tcp"},
		{"sip:a:%70w@b", "sip:a:pw@b"},
		{"sip:a@b;x=%3B", "sip:a@b;x=%3b"},
		{"sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0::1]"},
		{"sip:a@b?X=%41", "sip:a@b?x=a"},
		// RFC 3966 4
		{"tel:+1-201-555-0123", "tel:+12015550123", "TEL:+1(201)555.0123"},
		{"tel:7042;phone-context=example.com;ext=1", "tel:7042;EXT=1;phone-context=EXAMPLE.com"},
		{"tel:863-1234;phone-context=+1-914-555", "tel:8631234;phone-context=+1914555"},
		{"urn:service:sos", "URN:service:sos"},
	} {
		for _, a := range set {
			for _, b := range set {
				require.True(t, uri(t, a).Equal(uri(t, b)), "%s %s", a, b)
			}
		}
	}
	for _, set := range [][2]string{
		{"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"},
		{"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"},
		{"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"},

		// "A SIP and SIPS URI are never equivalent."
		{"sip:a@b", "sips:a@b"},
		{"sip:a@b", "sip:b"},
		{"sip:a:pw@b", "sip:a@b"},
		{"sip:a:pw@b", "sip:a:PW@b"},
		// "Characters other than those in the "reserved" set"
		{"sip:a%3Bb@c", "sip:a;b@c"},
		{"sip:a@b;user=phone", "sip:a@b"},
		{"sip:a@b;ttl=1", "sip:a@b"},
		{"sip:a@b;method=INVITE", "sip:a@b"},
		{"sip:a@b;maddr=192.0.2.1", "sip:a@b"},
		{"sip:a@b;x=1", "sip:a@b;x"},
		{"sip:a@b?x=1", "sip:a@b?x=1&y=2"},
		{"sip:a@b?x=1&x=1", "sip:a@b?x=1&y=2"},
		{"sip:a@b?x=1&y=2", "sip:a@b?x=1&x=1"},
		{"sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]"},
		{"sip:a@[2001:db8::1]", "sip:a@b"},
		{"tel:+123", "tel:123"},
		{"tel:123", "tel:1234"},
		{"tel:123;ext=1", "tel:123"},
		{"tel:123;ext=1", "tel:123;ext=2"},
		{"tel:123;phone-context=a.example", "tel:123;phone-context=b.example"},
		{"urn:service:sos", "urn:service:SOS"},
		{"urn:a", "mailto:a"},
	} {
		require.False(t, uri(t, set[0]).Equal(uri(t, set[1])), "%s %s", set[0], set[1])
		require.False(t, uri(t, set[1]).Equal(uri(t, set[0])), "%s %s", set[1], set[0])
	}
	require.True(t, sip.URI{}.Equal(sip.URI{}))
	require.False(t, sip.URI{}.Equal(uri(t, "sip:a")))
}

// RFC 3261 10.3 step 5: "all URI parameters MUST be removed (including the user-param), and any escaped characters MUST be converted
// to their unescaped form."
func TestAOR(t *testing.T) {
	for text, want := range map[string]string{
		"sip:%61lice:pw@AtLanTa.CoM;user=phone?a=b": "sip:alice@atlanta.com",
		"sips:Alice@atlanta.com:5070":               "sips:Alice@atlanta.com:5070",
		"sip:null-%00-null@example.com":             "sip:null-\x00-null@example.com",
		"sip:a@[2001:DB8:0::1]":                     "sip:a@[2001:db8::1]",
		"sip:Example.COM;lr":                        "sip:example.com",
		"tel:+1-201-555-0123;ext=5":                 "tel:+12015550123",
		"urn:service:sos":                           "urn:service:sos",
	} {
		require.Equal(t, want, uri(t, text).AOR(), text)
	}
	require.Empty(t, sip.URI{}.AOR())
}

func TestURIAccessors(t *testing.T) {
	addr, ok := uri(t, "sip:a@[::ffff:192.0.2.1]").Addr()
	require.True(t, ok)
	require.Equal(t, netip.MustParseAddr("192.0.2.1"), addr)
	addr, ok = uri(t, "sip:192.0.2.1:5").Addr()
	require.True(t, ok)
	require.Equal(t, netip.MustParseAddr("192.0.2.1"), addr)
	for _, text := range []string{"sip:a@b1", "sip:1.2.3", "sip:192.0.2.256", "sip:192.0.2.01", "tel:1", "urn:a"} {
		_, ok = uri(t, text).Addr()
		require.False(t, ok, text)
	}
	require.Equal(t, "TCP", uri(t, "sip:a;Transport=TCP").Transport())
	require.Empty(t, uri(t, "sip:a;transport").Transport())
	require.True(t, uri(t, "sips:a").IsSIP())
	require.False(t, uri(t, "tel:1").IsSIP())
	require.True(t, sip.URI{}.IsZero())
	require.Empty(t, sip.URI{}.String())
	require.Equal(t, "sip:a:b@c:5;d?e=f", uri(t, "SIP:a:b@c:5;d?e=f").String())
}

func uri(t testing.TB, text string) sip.URI {
	t.Helper()
	u, err := sip.ParseURI(text)
	require.NoError(t, err, text)
	return u
}

func TestParams(t *testing.T) {
	p := sip.Params(`a=1; B = "x;y\"z" ;c;;D="";a=2`)
	for name, want := range map[string]string{"A": "1", "b": `x;y"z`, "c": "", "d": ""} {
		v, ok := p.Get(name)
		require.True(t, ok)
		require.Equal(t, want, v)
		require.True(t, p.Has(name))
	}
	_, ok := p.Get("x")
	require.False(t, ok)
	require.False(t, p.Has("y"))
	var all []string
	for name, value := range p.All() {
		all = append(all, name+"="+value)
		if len(all) == 4 {
			break
		}
	}
	require.Equal(t, []string{"a=1", `B=x;y"z`, "c=", "D="}, all)

	require.Equal(t, sip.Params(`a=3;B = "x;y\"z";c;D=""`), p.With("a", "3"))
	require.Equal(t, sip.Params(`a=1;B;c;D="";a=2`), p.With("B", ""))
	require.Equal(t, sip.Params("e"), sip.Params("").With("e", ""))
	require.Equal(t, sip.Params(`c;e="a b\"\\"`), sip.Params("c").With("e", "a b\"\\\r\n"))
	require.Equal(t, sip.Params("c"), sip.Params("c").With("no token", "x"))
	require.Equal(t, sip.Params(`B = "x;y\"z";c;D=""`), p.Without("A"))
	require.Equal(t, p, p.Without("x"))
	require.Equal(t, sip.Params(""), sip.Params("lr").Without("LR"))
}
