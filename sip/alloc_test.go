package sip_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

func TestParseAllocs(t *testing.T) {
	var p sip.Parser
	for name, test := range map[string]struct {
		text   string
		source netip.AddrPort
	}{
		"request":    {invite, netip.AddrPort{}},
		"received":   {invite, source},
		"source":     {strings.Replace(invite, ";rport", "", 1), netip.MustParseAddrPort("[2001:db8::1]:5060")},
		"response":   {ringing, source},
		"small":      {options(), netip.AddrPort{}},
		"32 headers": {options(strings.Repeat("Z: y\r\n", 26) + "Z: y"), source},
		"method":     {strings.ReplaceAll(invite, "INVITE", "XINVITE"), netip.AddrPort{}},
	} {
		data := []byte(test.text)
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
			if _, err := p.Parse(data, test.source); err != nil {
				t.Fatal(err)
			}
		}), 2.0, name)
	}
}

func TestReadAllocs(t *testing.T) {
	m := parse(t, strings.Replace(invite, "Supported:", "Route: \"R, \" <sip:p1;lr>;x=\"a,b\", <sip:p2;lr>\r\nX-Foo: bar, baz\r\nSupported:", 1))
	n := 0
	for name, read := range map[string]func(){
		"Method":     func() { n += len(m.Method()) },
		"RequestURI": func() { n += len(m.RequestURI().Host) },
		"CallID":     func() { n += len(m.CallID()) },
		"CSeq":       func() { n += int(m.CSeq().Number) },
		"From":       func() { n += len(m.From().Tag) + len(m.FromTag()) },
		"To":         func() { n += len(m.To().Display) + len(m.ToTag()) },
		"Via":        func() { n += len(m.Via().Branch) },
		"Get":        func() { n += len(m.Get(sip.UserAgent)) + len(m.Get("x-foo")) + len(m.Get("l")) },
		"Has":        func() { n += len(m.Body()); _ = m.Has(sip.Require) },
		"Uint": func() {
			v, _, err := m.Uint(sip.MaxForwards)
			require.NoError(t, err)
			n += int(v)
		},
		"HasOption": func() { _ = m.HasOption(sip.Supported, "timer") },
		"Lines": func() {
			for v := range m.Lines(sip.Via) {
				n += len(v)
			}
		},
		"Values": func() {
			for v := range m.Values(sip.Allow) {
				n += len(v)
			}
			for v := range m.Values("X-Foo") {
				n += len(v)
			}
		},
		"Headers": func() {
			for name, value := range m.Headers() {
				n += len(name) + len(value)
			}
		},
		"Contacts": func() {
			for a, err := range m.Contacts() {
				if err == nil {
					n += len(a.URI.Transport())
				}
			}
		},
		"Addresses": func() {
			for a, err := range m.Addresses(sip.Route) {
				if err == nil && a.URI.Params.Has("lr") {
					n += len(a.Display)
				}
			}
		},
		"Vias": func() {
			for v, err := range m.Vias() {
				if err == nil {
					v, _ := v.Params.Get("received")
					n += len(v)
				}
			}
		},
		"Params": func() {
			for name, value := range m.Via().Params.All() {
				n += len(name) + len(value)
			}
		},
		"Addr":  func() { _, _ = m.From().URI.Addr() },
		"Equal": func() { _ = m.To().URI.Equal(m.RequestURI()) },
		"Elements": func() {
			for v := range sip.Elements("a, b") {
				n += len(v)
			}
		},
		"Validate": func() { _ = m.Validate() },
	} {
		require.Zero(t, testing.AllocsPerRun(100, read), name)
	}
	require.NotZero(t, n)
}

func TestWriteAllocs(t *testing.T) {
	m := parse(t, invite)
	target := uri(t, "sip:bob@192.0.2.4:5070;transport=udp")
	res := sip.NewResponse(200)
	res.Set(sip.Contact, "<sip:a>")
	buf := make([]byte, 0, 4096)
	for name, write := range map[string]func(){
		"copy": func() { buf = sip.AppendMessage(buf[:0], m, nil) },
		"patch": func() {
			var p sip.Patch
			p.SetRequestURI(target)
			p.Prepend(sip.Via, "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK87asdks7;rport")
			p.Prepend(sip.RecordRoute, "<sip:192.0.2.2;lr>")
			p.Set(sip.MaxForwards, "68")
			p.RemoveFirst(sip.Route)
			p.Remove("X-Internal")
			p.Add("X-Other", "value")
			p.SetBody("text/plain", "body")
			buf = sip.AppendMessage(buf[:0], m, &p)
		},
		"response": func() { buf = sip.AppendResponse(buf[:0], m, res, "tag") },
		"ACK":      func() { buf = sip.AppendACK(buf[:0], m, m) },
		"CANCEL":   func() { buf = sip.AppendCancel(buf[:0], m, "SIP;cause=200") },
		"URI":      func() { buf = target.AppendTo(buf[:0]) },
	} {
		require.Zero(t, testing.AllocsPerRun(100, write), name)
	}
}

func TestSplitAllocs(t *testing.T) {
	stream := []byte(invite + "\r\n")
	s := newSplitter()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if _, size, err := s.Split(stream); size == 0 || err != nil {
			t.Fatal(err)
		}
	}))
}
