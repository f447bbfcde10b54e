package siptest

import (
	"fmt"
	"strings"

	"github.com/goser-project/goser/sip"
)

// Edit changes a message before a phone sends it. It comes last: what it sets is what leaves.
type Edit func(*sip.Patch)

// Header returns an edit that sets a header field, in the place of all others of the name.
func Header(name, value string) Edit { return func(p *sip.Patch) { p.Set(name, value) } }

// AddHeader returns an edit that adds a header field.
func AddHeader(name, value string) Edit { return func(p *sip.Patch) { p.Add(name, value) } }

// NoHeader returns an edit that removes all header fields of a name.
func NoHeader(name string) Edit { return func(p *sip.Patch) { p.Remove(name) } }

// Body returns an edit that sets the body and its type.
func Body(contentType, body string) Edit {
	return func(p *sip.Patch) { p.SetBody(contentType, body) }
}

// draft is the text of a message while a phone writes it. Phones write by themselves, so that a mistake of package
// sip in writing does not hide one in reading; edits go through its Patch.
type draft struct{ strings.Builder }

func newDraft(format string, args ...any) *draft {
	d := &draft{}
	fmt.Fprintf(d, format+"\r\n", args...)
	return d
}

func (d *draft) field(name, format string, args ...any) {
	fmt.Fprintf(d, name+": "+format+"\r\n", args...)
}

// finish returns the text after the edits. The text is written by the phone, so that it does not parse is a mistake
// of an earlier edit or of an argument; then it is sent as it is.
func (d *draft) finish(p *Phone, body string, edits []Edit) string {
	if body != "" {
		d.field(sip.ContentType, "application/sdp")
	}
	d.field(sip.ContentLength, "%d", len(body))
	d.WriteString("\r\n" + body)
	text := d.String()
	if len(edits) == 0 {
		return text
	}
	m, err := sip.Parse([]byte(text))
	if err != nil {
		p.t.Errorf("%s: a message cannot be edited: %v\n%s", p, err, indent(text))
		return text
	}
	var patch sip.Patch
	for _, edit := range edits {
		edit(&patch)
	}
	if err := patch.Err(); err != nil {
		p.t.Errorf("%s: an edit is refused: %v\n%s", p, err, indent(text))
	}
	return string(sip.AppendMessage(nil, m, &patch))
}

// fieldOf returns the first value of a header field, read from the text alone.
func fieldOf(text, name string) string {
	for v := range fieldLines(text, name) {
		return v
	}
	return ""
}

// branchOf returns the branch of the topmost Via, read from the text alone, so that it works for what does not parse.
func branchOf(text string) string {
	via, _, _ := strings.Cut(fieldOf(text, "Via"), ",")
	for param := range strings.SplitSeq(via, ";") {
		if name, value, _ := strings.Cut(param, "="); strings.EqualFold(strings.TrimSpace(name), "branch") {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
