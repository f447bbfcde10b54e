package sip

import "strconv"

// AppendMessage appends a copy of m to dst, with the changes of p, which may be nil. Runs of lines that p does not touch are
// copied in one piece, with the names, white space and order that they came with. Content-Length is set if the body is another,
// or if it was missing. If dst has room no memory is allocated.
func AppendMessage(dst []byte, m *Message, p *Patch) []byte {
	if p == nil {
		p = &noPatch
	}
	w := writer{b: dst, m: m, p: p, body: m.Body()}
	if p.hasBody {
		w.body = p.body
	}
	w.startLine()
	w.newPrepends()
	w.lines()
	w.newAtEnd()
	w.b = append(w.b, "\r\n"...)
	return append(w.b, w.body...)
}

// noPatch is never written.
var noPatch Patch

// writer writes one message.
type writer struct {
	b    []byte
	m    *Message
	p    *Patch
	body string
	from uint32 // where the run of lines begins that is to be copied
}

func (w *writer) startLine() {
	m, p := w.m, w.p
	switch {
	case m.status == 0 && (p.uriText != "" || !p.uri.IsZero()):
		w.b = append(append(w.b, m.method...), ' ')
		if p.uriText != "" {
			w.b = append(w.b, p.uriText...)
		} else {
			w.b = p.uri.AppendTo(w.b)
		}
		w.b = append(w.b, " SIP/2.0\r\n"...)
	case m.status != 0 && p.status != 0:
		w.b = appendStatusLine(w.b, int(p.status), p.reason)
	default:
		w.b = append(w.b, m.text[:m.head]...)
	}
	w.from = m.head
}

func appendStatusLine(b []byte, status int, reason string) []byte {
	if reason == "" {
		reason = ReasonPhrase(status)
	}
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(b, ' '), reason...)
	return append(b, "\r\n"...)
}

func appendLine(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
}

func appendContentLength(b []byte, n int) []byte {
	b = strconv.AppendInt(append(b, "Content-Length: "...), int64(n), 10)
	return append(b, "\r\n"...)
}

// line writes the line of an edit.
func (w *writer) line(e *edit) {
	name := e.name
	if e.field != other {
		name = fields[e.field].name
	}
	w.b = appendLine(w.b, name, e.value)
}

// flush copies the lines before position end that have not been written yet, and goes on after the line which ends at next.
func (w *writer) flush(end, next uint32) {
	w.b = append(w.b, w.m.text[w.from:end]...)
	w.from = next
}

// newPrepends writes what is to be before fields that the message does not have, the last edit first.
func (w *writer) newPrepends() {
	for i := w.p.n - 1; i >= 0; i-- {
		if e := w.p.edit(i); e.kind == prependEdit && w.m.find(0, e.key) < 0 {
			w.line(e)
		}
	}
}

// newAtEnd writes what the message does not have and is not put in front.
func (w *writer) newAtEnd() {
	for i := range w.p.n {
		e := w.p.edit(i)
		if (e.kind == setEdit || e.kind == addEdit) && w.m.find(0, e.key) < 0 {
			w.line(e)
		}
	}
	if w.m.find(0, key{field: fieldContentLength}) < 0 {
		w.b = appendContentLength(w.b, len(w.body))
	}
}

// lines writes the header fields of the message with their edits.
func (w *writer) lines() {
	m, p := w.m, w.p
	var edited [4]uint64 // the fields that have edits
	for i := range p.n {
		f := p.edit(i).field
		edited[f>>6] |= 1 << (f & 63)
	}
	if p.hasBody {
		edited[fieldContentLength>>6] |= 1 << (fieldContentLength & 63)
	}
	for i := range m.lines {
		if f := m.lines[i].field; edited[f>>6]&(1<<(f&63)) != 0 {
			if f == fieldContentLength {
				w.flush(m.lines[i].start, m.lineEnd(i))
				w.b = appendContentLength(w.b, len(w.body))
			} else {
				w.edited(i)
			}
		}
	}
	w.flush(m.body-2, m.body-2)
}

// edited writes line i, whose field may have edits.
func (w *writer) edited(i int) {
	m, p := w.m, w.p
	k := key{m.name(i), m.lines[i].field}
	first, last := m.find(0, k) == i, m.find(i+1, k) < 0
	start, next := m.lines[i].start, m.lineEnd(i)
	if first {
		for j := p.n - 1; j >= 0; j-- {
			if e := p.edit(j); e.kind == prependEdit && e.same(k) {
				w.flush(start, start)
				w.line(e)
			}
		}
	}
	if e := p.latest(k, setEdit, removeEdit, dropEdit, replaceEdit); e != nil {
		switch {
		case e.kind == setEdit || e.kind == removeEdit:
			w.flush(start, next)
			if first && e.kind == setEdit {
				w.line(e)
			}
		default:
			w.withoutFirst(i, e)
		}
	}
	if last {
		for j := range p.n {
			if e := p.edit(j); e.kind == addEdit && e.same(k) {
				w.flush(next, next)
				w.line(e)
			}
		}
	}
}

// withoutFirst writes line i without those of its elements that e takes away.
func (w *writer) withoutFirst(i int, e *edit) {
	m := w.m
	before := 0 // elements in the lines before
	for j := m.find(0, e.key); j < i; j = m.find(j+1, e.key) {
		before += e.key.elements(m.value(j))
	}
	value := m.value(i)
	total := e.key.elements(value)
	count := int(e.count)
	replaced := e.kind == replaceEdit && before <= count && count < before+total
	if count <= before && !replaced {
		return
	}
	rest := value
	for n := before; n < count && rest != ""; n++ {
		rest = e.key.dropFirst(rest)
	}
	if replaced {
		rest = e.key.dropFirst(rest)
	}
	w.flush(m.lines[i].start, m.lineEnd(i))
	if rest == "" && !replaced {
		return
	}
	w.b = append(append(w.b, m.name(i)...), ": "...)
	if replaced {
		w.b = append(w.b, e.value...)
		if rest != "" {
			w.b = append(w.b, ", "...)
		}
	}
	w.b = append(append(w.b, rest...), "\r\n"...)
}

// elements counts the elements of a value.
func (k key) elements(value string) (n int) {
	for value != "" {
		var e string
		if e, value = k.firstElement(value); e != "" {
			n++
		}
	}
	return n
}

// isWritable reports whether u can be written so that it is read as the same again.
func (u URI) isWritable() bool {
	if u.IsZero() || u.Scheme == "" || classes[u.Scheme[0]]&isAlpha == 0 || !all(u.Scheme, isScheme) {
		return false
	}
	if !hasParts(u.Scheme) {
		return checkOpaque(u.Opaque) == ""
	}
	if f := checkURIHeaders(u.Headers); f != "" {
		return false
	}
	if u.Params != "" {
		if end, f := uriParamsEnd(string(u.Params), 0, maxOffset); f != "" || end != len(u.Params) {
			return false
		}
	}
	if u.Scheme == schemeTel {
		return u.User != "" && all(u.User, isPhone) && u.Host == ""
	}
	end, f := hostEnd(u.Host, 0)
	return f == "" && end == len(u.Host) && allEscaped(u.User, isUser) && allEscaped(u.Password, isPassword) &&
		(u.Password == "" || u.User != "")
}
