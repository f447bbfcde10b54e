package sip_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// seeds are all the messages of testdata, and a few more.
func seeds(f *testing.F) (all []string) {
	files, err := filepath.Glob("testdata/*/*.*")
	require.NoError(f, err)
	for i, file := range files {
		if strings.Contains(file, "nist") && i%10 != 0 {
			continue // many are much the same
		}
		b, err := os.ReadFile(file)
		require.NoError(f, err)
		all = append(all, string(b))
	}
	crashers, err := filepath.Glob("testdata/sipgo/*")
	require.NoError(f, err)
	for _, file := range crashers {
		b, err := os.ReadFile(file)
		require.NoError(f, err)
		_, quoted, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(string(b)), ")"), "string(")
		text, err := strconv.Unquote(quoted)
		require.NoError(f, err)
		all = append(all, text, text+"\r\n")
	}
	return append(all, invite, ringing, routed)
}

// FuzzParse: nothing crashes; what is written is read as the same; what Validate lets pass is read without an error, and the
// other way round; what is refused can be answered, or not.
func FuzzParse(f *testing.F) {
	for i, text := range seeds(f) {
		f.Add(text, i%2 == 0)
	}
	f.Fuzz(checkParse)
}

func checkParse(t *testing.T, text string, sourced bool) {
	var p sip.Parser
	var from netip.AddrPort
	if sourced {
		from = source
	}
	m, err := p.Parse([]byte(text), from)
	if err != nil {
		var refusal *sip.ParseError
		require.ErrorAs(t, err, &refusal)
		require.NotZero(t, refusal.Cause)
		require.Contains(t, []int{400, 414, 505, 513}, refusal.Status)
		if m != nil {
			checkAnswer(t, m, refusal)
		}
		return
	}
	checkFixedPoint(t, m)
	checkEager(t, m)
	if m.IsRequest() {
		res := sip.NewResponse(200)
		answer, err := sip.Parse(sip.AppendResponse(nil, m, res, "tag"))
		require.NoError(t, err)
		require.Equal(t, m.CSeq(), answer.CSeq())
		require.NotEmpty(t, answer.To().Tag)
		_, err = sip.Parse(sip.AppendCancel(nil, m, ""))
		require.NoError(t, err)
	}
	if sourced && m.IsRequest() {
		again, err := p.Parse([]byte(m.Text()), from)
		require.NoError(t, err)
		require.Equal(t, m.Text(), again.Text())
		v := m.Via()
		require.True(t, !v.HasRPort || v.RPort == from.Port())
	}
}

// checkEager compares what is read when it is asked for with what Validate says.
func checkEager(t *testing.T, m *sip.Message) {
	var lazy error
	note := func(err error) {
		if err != nil {
			lazy = err
		}
	}
	for _, name := range []string{sip.From, sip.To, sip.Route, sip.RecordRoute, sip.Path, sip.ServiceRoute, sip.PAssertedIdentity, sip.ReferTo, sip.ReplyTo, sip.Diversion} {
		for _, err := range m.Addresses(name) {
			note(err)
		}
	}
	for a, err := range m.Contacts() {
		note(err)
		if err == nil {
			again, err := sip.ParseNameAddr(a.String())
			require.NoError(t, err, "%q", a.String())
			require.Equal(t, a, again)
			require.True(t, a.Star || a.URI.Equal(again.URI))
			require.Equal(t, a.URI.AOR(), again.URI.AOR())
		}
	}
	for v, err := range m.Vias() {
		note(err)
		if err == nil {
			again, err := sip.ParseViaParm(v.String())
			require.NoError(t, err, "%q", v.String())
			require.Equal(t, v, again)
		}
	}
	for _, name := range []string{sip.MaxForwards, sip.Expires, sip.MinExpires, sip.MaxBreadth, sip.ContentLength, sip.RSeq} {
		_, _, err := m.Uint(name)
		note(err)
	}
	if eager := m.Validate(); eager == nil {
		require.NoError(t, lazy)
	}
	for name, value := range m.Headers() {
		require.True(t, m.Has(name))
		require.Contains(t, collect(m.Lines(name)), value)
	}
}

// FuzzSplitter: however a stream is cut, the messages are the same, and so is whether it ends with an error. What a Splitter takes
// for a message has the body that Parse sees.
func FuzzSplitter(f *testing.F) {
	for i, text := range seeds(f) {
		f.Add(text, []byte{byte(i), 1, 200})
	}
	f.Add("OPTIONS sip:a SIP/2.0\r\nl: 1\r\n\r\nxOPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n", []byte{1})
	f.Fuzz(checkSplit)
}

func checkSplit(t *testing.T, stream string, cuts []byte) {
	p := sip.Parser{MaxSize: 4096, MaxLine: 500}
	whole, wholeErr := feed(p.NewSplitter(), stream)
	var pieces []string
	rest := stream
	for i := 0; rest != "" && len(cuts) > 0; i++ {
		n := min(int(cuts[i%len(cuts)])+1, len(rest))
		pieces = append(pieces, rest[:n])
		rest = rest[n:]
	}
	cut, cutErr := feed(p.NewSplitter(), append(pieces, rest)...)
	require.Equal(t, whole, cut)
	require.Equal(t, wholeErr == nil, cutErr == nil, "%v %v", wholeErr, cutErr)
	for _, text := range whole {
		if m, err := sip.Parse([]byte(text)); err == nil {
			require.True(t, strings.HasSuffix(text, "\r\n\r\n"+m.Body()) || strings.HasSuffix(text, "\n"+m.Body()))
			length, ok, err := m.Uint(sip.ContentLength)
			require.NoError(t, err)
			require.True(t, ok)
			require.Len(t, m.Body(), int(length))
		}
	}
}

// FuzzPatch: edits that are made at random have the result that they have when they are made one after the other on a list of
// fields, and nothing else changes.
func FuzzPatch(f *testing.F) {
	for i, text := range seeds(f) {
		f.Add(text, []byte{byte(i), byte(i / 3), 3, 7, 9, 100, 44, byte(i / 2)})
	}
	f.Add(routed, []byte{3, 10, 3, 11, 1, 12, 30, 31, 60, 200})
	f.Fuzz(checkPatch)
}

func checkPatch(t *testing.T, text string, edits []byte) {
	m, err := sip.Parse([]byte(text))
	if err != nil || len(edits) > 40 {
		return
	}
	var p sip.Patch
	want := newModel(m)
	for _, b := range edits {
		want.edit(&p, int(b))
	}
	require.NoError(t, p.Err())
	written := sip.AppendMessage(nil, m, &p)
	got, err := sip.Parse(written)
	require.NoError(t, err, "%s", written)
	require.Equal(t, want.uri, got.RequestURI())
	require.Equal(t, m.Status(), got.Status())
	require.Equal(t, want.body, got.Body())
	result := newModel(got)
	for name := range result.fields {
		require.Equal(t, values(want.fields[name]), values(result.fields[name]), "%s\n%s", name, written)
	}
	for name := range want.fields {
		require.Equal(t, values(want.fields[name]), values(result.fields[name]), "%s\n%s", name, written)
	}
	require.Equal(t, want.others(m), want.others(got), "what was not edited is as it was, in its order")

	var q sip.Patch
	q.Append(&p)
	require.Equal(t, string(written), string(sip.AppendMessage(nil, m, &q)))
}

// model is a message as a list of values for each name.
type model struct {
	fields map[string][]modelLine
	edited map[string]bool
	uri    sip.URI
	body   string
}

type modelLine struct {
	value string
	added bool // by Add: RemoveFirst and ReplaceFirst do not look at it
}

func newModel(m *sip.Message) *model {
	md := &model{fields: map[string][]modelLine{}, edited: map[string]bool{sip.ContentLength: true}, uri: m.RequestURI(), body: m.Body()}
	for name, value := range m.Headers() {
		if name != sip.ContentLength {
			name = strings.ToLower(name)
			md.fields[name] = append(md.fields[name], modelLine{value: value})
		}
	}
	return md
}

// values returns the values, with one way of separating the elements of a list.
func values(lines []modelLine) (all []string) {
	for _, l := range lines {
		all = append(all, strings.Join(collect(sip.Elements(l.value)), ", "))
	}
	return all
}

// others returns the fields that have not been edited.
func (md *model) others(m *sip.Message) (all []string) {
	for name, value := range m.Headers() {
		if !md.edited[name] && !md.edited[strings.ToLower(name)] {
			all = append(all, name+": "+value)
		}
	}
	return all
}

// edit makes one edit on the patch and on the model.
func (md *model) edit(p *sip.Patch, b int) {
	names := []string{"Route", "Record-Route", "X-Foo", "Path", "m"}
	values := []string{"<sip:n>", "<sip:n>;x=\"a,b\", <sip:m>", "*", "x"}
	name, value := names[b%5], values[b/5%4]
	key := strings.ToLower(sip.CanonicalName(name))
	lines := md.fields[key]
	md.edited[key] = true
	switch b / 20 % 10 {
	case 0:
		p.Set(name, value)
		lines = []modelLine{{value: value}}
	case 1, 2:
		p.Prepend(name, value)
		lines = slices.Insert(slices.Clone(lines), 0, modelLine{value: value})
	case 3:
		p.Add(name, value)
		lines = append(slices.Clone(lines), modelLine{value, true})
	case 4:
		p.Remove(name)
		lines = nil
	case 5, 6, 7:
		p.RemoveFirst(name)
		lines = replaceFirst(lines, "")
	case 8:
		p.ReplaceFirst(name, value)
		lines = replaceFirst(lines, value)
	default:
		md.editOther(p, value)
	}
	if len(lines) == 0 {
		delete(md.fields, key)
	} else {
		md.fields[key] = lines
	}
}

func (md *model) editOther(p *sip.Patch, value string) {
	if value == "x" {
		p.SetBody("text/x", value)
		md.edited["content-type"], md.body = true, value
		md.fields["content-type"] = []modelLine{{value: "text/x"}}
		return
	}
	u := sip.URI{Scheme: "sip", User: "n", Host: "b", Params: "x"}
	p.SetRequestURI(u)
	if !md.uri.IsZero() {
		md.uri = u
	}
}

// replaceFirst puts by in the place of the first element of the lines, or removes it. Lines before it that have no element go with
// it if it is removed.
func replaceFirst(lines []modelLine, by string) (kept []modelLine) {
	for i, l := range lines {
		elements := collect(sip.Elements(l.value))
		if l.added || len(elements) == 0 {
			if l.added || by != "" {
				kept = append(kept, l)
			}
			continue
		}
		if by != "" {
			elements[0] = by
		} else {
			elements = elements[1:]
		}
		if len(elements) > 0 {
			kept = append(kept, modelLine{value: strings.Join(elements, ", ")})
		}
		return append(kept, lines[i+1:]...)
	}
	return kept
}
