package sip_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

const routed = "INVITE sip:bob@example.com SIP/2.0\r\n" +
	"v: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" +
	"Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>\r\n" +
	"From:  <sip:alice@example.com>;tag=a1\r\n" +
	"To: <sip:bob@example.com>\r\n" +
	"X-Secret: one\r\n" +
	"ROUTE: <sip:p3;lr>\r\n" +
	"Call-ID: call1\r\n" +
	"CSeq: 7 INVITE\r\n" +
	"x-SECRET: two\r\n" +
	"Max-Forwards: 70\r\n" +
	"c: text/plain\r\n" +
	"l: 4\r\n" +
	"\r\n" +
	"body"

// patched applies edits and returns what changed: lines that went with "-" before them, lines that came with "+", in order.
func patched(t *testing.T, text string, edit func(p *sip.Patch)) []string {
	t.Helper()
	var p sip.Patch
	edit(&p)
	require.NoError(t, p.Err())
	m := parse(t, text)
	out := string(sip.AppendMessage([]byte("before"), m, &p))
	require.True(t, strings.HasPrefix(out, "before"))
	out = out[len("before"):]
	parse(t, out)
	return difference(strings.Split(m.Text(), "\r\n"), strings.Split(out, "\r\n"))
}

// difference is the shortest way from a to b. Where lines went and others came, those that went are first.
func difference(a, b []string) (script []string) {
	common := make([][]int, len(a)+1) // of a[i:] and b[j:], how many lines
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case i < len(a) && common[i+1][j] == common[i][j]:
			script = append(script, "-"+a[i])
			i++
		default:
			script = append(script, "+"+b[j])
			j++
		}
	}
	return script
}

func TestPatch(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(p *sip.Patch)
		want []string
	}{
		"nothing": {func(p *sip.Patch) {}, nil},
		"uri":     {func(p *sip.Patch) { p.SetRequestURI(uri(t, "sip:bob@192.0.2.4;x?h=v")) }, []string{"-INVITE sip:bob@example.com SIP/2.0", "+INVITE sip:bob@192.0.2.4;x SIP/2.0"}},
		"uri text": {func(p *sip.Patch) { p.SetRequestURI(uri(t, "sip:x")); p.SetRequestURIText("URN:service:sos") },
			[]string{"-INVITE sip:bob@example.com SIP/2.0", "+INVITE URN:service:sos SIP/2.0"}},
		"set":            {func(p *sip.Patch) { p.Set("max-forwards", " 69 ") }, []string{"-Max-Forwards: 70", "+Max-Forwards: 69"}},
		"set all":        {func(p *sip.Patch) { p.Set("X-Secret", "three") }, []string{"-X-Secret: one", "+X-Secret: three", "-x-SECRET: two"}},
		"set new":        {func(p *sip.Patch) { p.Set("s", "hi"); p.Set("X-New", "") }, []string{"+Subject: hi", "+X-New: "}},
		"prepend":        {func(p *sip.Patch) { p.Prepend(sip.Via, "SIP/2.0/UDP b"); p.Prepend(sip.Via, "SIP/2.0/UDP c") }, []string{"+Via: SIP/2.0/UDP c", "+Via: SIP/2.0/UDP b"}},
		"prepend new":    {func(p *sip.Patch) { p.Prepend(sip.RecordRoute, "<sip:a>"); p.Prepend(sip.RecordRoute, "<sip:b>") }, []string{"+Record-Route: <sip:b>", "+Record-Route: <sip:a>"}},
		"prepend route":  {func(p *sip.Patch) { p.Prepend(sip.Route, "<sip:p0>") }, []string{"+Route: <sip:p0>"}},
		"prepend single": {func(p *sip.Patch) { p.Prepend(sip.MaxForwards, "1") }, []string{"-Max-Forwards: 70", "+Max-Forwards: 1"}},
		"add":            {func(p *sip.Patch) { p.Add("x-secret", "three"); p.Add("X-secret", "four") }, []string{"+x-secret: three", "+X-secret: four"}},
		"add new":        {func(p *sip.Patch) { p.Add("Z", "1"); p.Add("Z", "2") }, []string{"+Z: 1", "+Z: 2"}},
		"remove":         {func(p *sip.Patch) { p.Remove("X-SECRET") }, []string{"-X-Secret: one", "-x-SECRET: two"}},
		"remove nothing": {func(p *sip.Patch) { p.Remove("X-Other"); p.RemoveFirst("X-Other"); p.ReplaceFirst("X-Other", "x") }, nil},
		"remove first":   {func(p *sip.Patch) { p.RemoveFirst(sip.Route) }, []string{"-Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>", "+Route: <sip:p2;x=\"a,b\";lr>"}},
		"remove two":     {func(p *sip.Patch) { p.RemoveFirst(sip.Route); p.RemoveFirst("route") }, []string{"-Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>"}},
		"remove three": {func(p *sip.Patch) {
			for range 3 {
				p.RemoveFirst(sip.Route)
			}
		}, []string{"-Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>", "-ROUTE: <sip:p3;lr>"}},
		"remove too many": {func(p *sip.Patch) {
			for range 9 {
				p.RemoveFirst(sip.Route)
			}
		}, []string{"-Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>", "-ROUTE: <sip:p3;lr>"}},
		"replace":         {func(p *sip.Patch) { p.ReplaceFirst(sip.Route, "<sip:q>") }, []string{"-Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>", "+Route: <sip:q>, <sip:p2;x=\"a,b\";lr>"}},
		"replace second":  {func(p *sip.Patch) { p.RemoveFirst(sip.Route); p.ReplaceFirst(sip.Route, "<sip:q>") }, []string{"-Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>", "+Route: <sip:q>"}},
		"replace third":   {func(p *sip.Patch) { p.RemoveFirst("Route"); p.RemoveFirst("Route"); p.ReplaceFirst("Route", "<sip:q>") }, []string{"-Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>", "-ROUTE: <sip:p3;lr>", "+ROUTE: <sip:q>"}},
		"replace, remove": {func(p *sip.Patch) { p.ReplaceFirst(sip.Route, "<sip:q>"); p.RemoveFirst(sip.Route) }, []string{"-Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>", "+Route: <sip:p2;x=\"a,b\";lr>"}},
		"replace twice":   {func(p *sip.Patch) { p.ReplaceFirst("X-Secret", "a"); p.ReplaceFirst("X-Secret", "b") }, []string{"-X-Secret: one", "+X-Secret: b"}},
		"replace by none": {func(p *sip.Patch) { p.ReplaceFirst("X-Secret", "") }, []string{"-X-Secret: one"}},
		"own route":       {func(p *sip.Patch) { p.RemoveFirst(sip.Route); p.Prepend(sip.Route, "<sip:n>") }, []string{"-Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>", "+Route: <sip:n>", "+Route: <sip:p2;x=\"a,b\";lr>"}},
		"prepend, remove": {func(p *sip.Patch) { p.Prepend(sip.Route, "<sip:n>"); p.RemoveFirst(sip.Route) }, nil},
		"prepend list": {func(p *sip.Patch) {
			p.Prepend("Path", "<sip:n>, <sip:m>, <sip:l>")
			p.RemoveFirst("Path")
			p.ReplaceFirst("Path", "<sip:k>")
		}, []string{"+Path: <sip:k>, <sip:l>"}},
		"set, remove": {func(p *sip.Patch) {
			p.Set("Path", "<sip:n>, <sip:m>")
			p.RemoveFirst("Path")
			p.RemoveFirst("Path")
			p.RemoveFirst("Path")
		}, nil},
		"set, replace":    {func(p *sip.Patch) { p.Set("X-Secret", "a, b"); p.ReplaceFirst("x-secret", "c") }, []string{"-X-Secret: one", "+X-Secret: c, b", "-x-SECRET: two"}},
		"set after all":   {func(p *sip.Patch) { p.Prepend("X-Secret", "a"); p.Add("X-Secret", "b"); p.Set("X-Secret", "c") }, []string{"-X-Secret: one", "+X-Secret: c", "-x-SECRET: two"}},
		"around set":      {func(p *sip.Patch) { p.Set("X-Secret", "c"); p.Prepend("X-Secret", "a"); p.Add("X-Secret", "b") }, []string{"-X-Secret: one", "+X-Secret: a", "+X-Secret: c", "-x-SECRET: two", "+X-Secret: b"}},
		"remove, add":     {func(p *sip.Patch) { p.Remove("X-Secret"); p.Add("X-Secret", "n"); p.RemoveFirst("X-Secret") }, []string{"-X-Secret: one", "-x-SECRET: two", "+X-Secret: n"}},
		"remove, replace": {func(p *sip.Patch) { p.Remove("X-Secret"); p.ReplaceFirst("X-Secret", "n") }, []string{"-X-Secret: one", "-x-SECRET: two"}},
		"body":            {func(p *sip.Patch) { p.SetBody("text/html", "<body>") }, []string{"-c: text/plain", "-l: 4", "+Content-Type: text/html", "+Content-Length: 6", "-body", "+<body>"}},
		"no body":         {func(p *sip.Patch) { p.SetBody("", "") }, []string{"-c: text/plain", "-l: 4", "+Content-Length: 0", "-body", "+"}},
		"status":          {func(p *sip.Patch) { p.SetStatus(200, "OK") }, nil}, // not a response
		"many": {func(p *sip.Patch) {
			for _, v := range strings.Split("abcdefghijkl", "") {
				p.Add("Z", v)
				p.Set("Y-"+v, "gone")
				p.Remove("Y-" + v)
			}
		}, strings.Split("+Z: a +Z: b +Z: c +Z: d +Z: e +Z: f +Z: g +Z: h +Z: i +Z: j +Z: k +Z: l", " +")},
	} {
		if name == "many" {
			for i := range test.want {
				test.want[i] = "+" + strings.TrimPrefix(test.want[i], "+")
			}
		}
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, patched(t, routed, test.edit)) })
	}
	require.Equal(t, []string{"-SIP/2.0 180 Ringing", "+SIP/2.0 183 Session Progress"}, patched(t, response("180 Ringing", "l: 0"), func(p *sip.Patch) {
		p.SetStatus(183, "")
		p.SetRequestURIText("sip:x")
	}))
	require.Equal(t, []string{"-SIP/2.0 180", "+SIP/2.0 603 No & no"}, patched(t, response("180", "l: 0"), func(p *sip.Patch) { p.SetStatus(603, "No & no") }))
}

// Empty elements do not count, and nothing stays that has only them.
func TestPatchEmptyElements(t *testing.T) {
	text := options("Route: ,", "Route: , <sip:p1> ,,", "Route: <sip:p2>,, <sip:p3>", "l: 0")
	require.Equal(t, []string{"-Route: ,", "-Route: , <sip:p1> ,,"}, patched(t, text, func(p *sip.Patch) { p.RemoveFirst(sip.Route) }))
	require.Equal(t, []string{"-Route: ,", "-Route: , <sip:p1> ,,", "-Route: <sip:p2>,, <sip:p3>", "+Route: <sip:p3>"},
		patched(t, text, func(p *sip.Patch) { p.RemoveFirst(sip.Route); p.RemoveFirst(sip.Route) }))
	require.Equal(t, []string{"-Route: , <sip:p1> ,,", "+Route: <sip:q>"}, patched(t, text, func(p *sip.Patch) { p.ReplaceFirst(sip.Route, "<sip:q>") }))
}

// Without Content-Length a message cannot be sent over a stream, so the copy has one.
func TestContentLengthIsAdded(t *testing.T) {
	m := parse(t, options("Subject: x")+"body")
	out := string(sip.AppendMessage(nil, m, nil))
	require.Equal(t, strings.Replace(m.Text(), "\r\n\r\n", "\r\nContent-Length: 4\r\n\r\n", 1), out)
}

func TestPatchRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(p *sip.Patch)
		want error
	}{
		"CR":         {func(p *sip.Patch) { p.Set("X", "a\rb") }, sip.ErrHeaderValue},
		"LF":         {func(p *sip.Patch) { p.Add("X", "a\nInjected: b") }, sip.ErrHeaderValue},
		"NUL":        {func(p *sip.Patch) { p.Prepend("X", "a\x00") }, sip.ErrHeaderValue},
		"DEL":        {func(p *sip.Patch) { p.ReplaceFirst("X", "a\x7f") }, sip.ErrHeaderValue},
		"type":       {func(p *sip.Patch) { p.SetBody("a/b\r\nX: y", "body") }, sip.ErrHeaderValue},
		"name":       {func(p *sip.Patch) { p.Set("X: y\r\nZ", "a") }, sip.ErrHeaderName},
		"no name":    {func(p *sip.Patch) { p.Remove("") }, sip.ErrHeaderName},
		"space":      {func(p *sip.Patch) { p.RemoveFirst("X Y") }, sip.ErrHeaderName},
		"long name":  {func(p *sip.Patch) { p.Set(strings.Repeat("x", 256), "a") }, sip.ErrHeaderName},
		"length":     {func(p *sip.Patch) { p.Set("l", "5") }, sip.ErrReserved},
		"no length":  {func(p *sip.Patch) { p.Remove("content-length") }, sip.ErrReserved},
		"uri":        {func(p *sip.Patch) { p.SetRequestURI(sip.URI{Scheme: "sip", Host: "a SIP/2.0\r\nX: y"}) }, sip.ErrURI},
		"zero uri":   {func(p *sip.Patch) { p.SetRequestURI(sip.URI{}) }, sip.ErrURI},
		"user":       {func(p *sip.Patch) { p.SetRequestURI(sip.URI{Scheme: "sip", User: "a@b", Host: "c"}) }, sip.ErrURI},
		"password":   {func(p *sip.Patch) { p.SetRequestURI(sip.URI{Scheme: "sip", Password: "b", Host: "c"}) }, sip.ErrURI},
		"params":     {func(p *sip.Patch) { p.SetRequestURI(sip.URI{Scheme: "sip", Host: "c", Params: "a?b=c"}) }, sip.ErrURI},
		"tel":        {func(p *sip.Patch) { p.SetRequestURI(sip.URI{Scheme: "tel", User: "a b"}) }, sip.ErrURI},
		"opaque":     {func(p *sip.Patch) { p.SetRequestURI(sip.URI{Scheme: "urn", Opaque: "a b"}) }, sip.ErrURI},
		"scheme":     {func(p *sip.Patch) { p.SetRequestURI(sip.URI{Scheme: "1", Opaque: "a"}) }, sip.ErrURI},
		"uri text":   {func(p *sip.Patch) { p.SetRequestURIText("sip:a b") }, sip.ErrURI},
		"uri header": {func(p *sip.Patch) { p.SetRequestURIText("sip:a?b=c") }, sip.ErrURI},
		"status":     {func(p *sip.Patch) { p.SetStatus(99, "") }, sip.ErrStartLine},
		"reason":     {func(p *sip.Patch) { p.SetStatus(200, "a\r\nb") }, sip.ErrStartLine},
	} {
		t.Run(name, func(t *testing.T) {
			var p sip.Patch
			test.edit(&p)
			require.ErrorIs(t, p.Err(), test.want)
			require.True(t, p.IsZero())
			p.Set("X", "fine")
			require.ErrorIs(t, p.Err(), test.want)
			p.SetStatus(1000, "")
			require.ErrorIs(t, p.Err(), test.want, "the first stays")
			require.False(t, p.IsZero())
			p.Reset()
			require.NoError(t, p.Err())
			require.True(t, p.IsZero())
			m := parse(t, routed)
			require.Equal(t, routed, string(sip.AppendMessage(nil, m, &p)))
		})
	}
}

func TestPatchAppend(t *testing.T) {
	require.Equal(t, []string{
		"-INVITE sip:bob@example.com SIP/2.0", "+INVITE sip:q SIP/2.0", "+Via: SIP/2.0/UDP b", "-Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>", "+Route: <sip:n>",
		"-ROUTE: <sip:p3;lr>", "+ROUTE: <sip:r>", "-Max-Forwards: 70", "-c: text/plain", "-l: 4", "+Max-Forwards: 69", "+Content-Type: a/b",
		"+Content-Length: 1", "+Z: 1", "-body", "+x",
	}, patched(t, routed, func(p *sip.Patch) {
		p.Prepend(sip.Via, "SIP/2.0/UDP b")
		p.RemoveFirst(sip.Route)
		p.Set(sip.MaxForwards, "70")
		p.Set("Z", "0")
		p.SetBody("", "")
		var q sip.Patch
		q.SetRequestURI(uri(t, "sip:q"))
		q.RemoveFirst(sip.Route)
		q.ReplaceFirst(sip.Route, "<sip:r>")
		q.Prepend(sip.Route, "<sip:n>")
		q.Set(sip.MaxForwards, "69")
		q.Remove("Z")
		q.Add("Z", "1")
		q.SetBody("a/b", "x")
		p.Append(&q)
	}))
	var p, q sip.Patch
	q.Set("X", "\n")
	q.SetStatus(200, "Fine")
	p.Append(&q)
	require.ErrorIs(t, p.Err(), sip.ErrHeaderValue)
	require.Contains(t, string(sip.AppendMessage(nil, parse(t, ringing), &p)), "SIP/2.0 200 Fine\r\n")
}
