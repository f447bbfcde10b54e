package sip_test

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMutations does to well-known messages what a fuzzer that knows the grammar would do: it puts tokens where they do not belong,
// and pieces of one message into another. The checks are those of the fuzz targets. The seed is fixed.
func TestMutations(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.*")
	require.NoError(t, err)
	texts := []string{invite, ringing, routed}
	for _, file := range files {
		if text := read(t, strings.TrimPrefix(file, "testdata/")); len(text) < 3000 {
			texts = append(texts, withEmptyLine(strings.TrimLeft(text, "\r\n")))
		}
	}
	r := rand.New(rand.NewPCG(3261, 4475))
	for i := range 2000 {
		text := mutate(r, texts)
		edits := make([]byte, 1+r.IntN(11))
		for j := range edits {
			edits[j] = byte(r.IntN(256))
		}
		if !t.Run("", func(t *testing.T) {
			checkParse(t, text, i%2 == 0)
			checkPatch(t, text, edits)
			checkSplit(t, text+text, edits)
		}) {
			t.Fatalf("%q %v", text, edits)
		}
	}
}

var mutations = []string{
	"\r\n", "\r\n ", "\r\n\t", "\r\n\r\n", "\r", "\n", "\t", " ", "\x00", "\x7f", "\xff", "é", ":", ";", ",", "\"", "\\", "<", ">", "@", "?", "=", "&", "%",
	"%41", "%00", "(", ")", "[", "]", "[::1]", "*", "/", "//", "tag=", ";tag=x", ";rport", ";received=1.2.3.4", ";received=", ";rport=5",
	";branch=z9hG4bK", "sip:", "SIP:", "sips:", "tel:", "tel:+1-2", "urn:x", "SIP/2.0", " SIP/2.0\r\n", "INVITE", "99999999999", "0", ",,", ";;", " ,", " ;",
	"Via: ", "v:", "\r\nv: SIP/2.0/UDP a;rport\r\n", "\r\nVia: SIP/2.0/UDP ", "\r\nFrom: ", "\r\nTo: ", "\r\nContact: ", "\r\nRoute: ",
	"\r\nRoute: <sip:a;lr>,", "\r\nContent-Length: 0\r\n", "\r\nl: 5\r\n", "\r\nCSeq: 1 INVITE\r\n", "\r\nX: y\r\n",
}

// mutate returns one of the texts with up to four changes.
func mutate(r *rand.Rand, texts []string) string {
	text := texts[r.IntN(len(texts))]
	for range r.IntN(5) {
		at := r.IntN(len(text) + 1)
		switch r.IntN(5) {
		case 0, 1:
			text = text[:at] + mutations[r.IntN(len(mutations))] + text[at:]
		case 2: // a few bytes less
			text = text[:at] + text[min(len(text), at+r.IntN(4)):]
		case 3: // a piece twice
			piece := text[at:min(len(text), at+r.IntN(30))]
			at = r.IntN(len(text) + 1)
			text = text[:at] + piece + text[at:]
		case 4: // a piece of another
			other := texts[r.IntN(len(texts))]
			begin := r.IntN(len(other))
			text = text[:at] + other[begin:min(len(other), begin+r.IntN(60))] + text[at:]
		}
	}
	return text
}
