package sip

import "strconv"

// AppendMessage appends a copy of m to dst, with the changes of p, which may be nil. Runs of lines that p does not touch are
// copied in one piece, with the names, white space and order that they came with. Content-Length is set if the body is another,
// or if it was missing. If dst has room no memory is allocated.
func AppendMessage(dst []byte, m *Message, p *Patch) []byte {
	if p == nil {
		p = &noPatch
	}
	body := m.Body()
	if p.hasBody {
		body = p.body
	}
	w := writer{b: appendStartLine(dst, m, p), from: m.head}
	w.newPrepends(m, p)
	w.lines(m, p, len(body))
	w.newAtEnd(m, p, len(body))
	w.b = append(w.b, "\r\n"...)
	return append(w.b, body...)
}

// noPatch is never written.
var noPatch Patch

func appendStartLine(b []byte, m *Message, p *Patch) []byte {
	switch {
	case m.status == 0 && (p.uriText != "" || !p.uri.IsZero()):
		b = append(append(b, m.method...), ' ')
		if p.uriText != "" {
			b = append(b, p.uriText...)
		} else {
			b = p.uri.AppendTo(b)
		}
		return append(b, " SIP/2.0\r\n"...)
	case m.status != 0 && p.status != 0:
		return appendStatusLine(b, int(p.status), p.reason)
	}
	return append(b, m.text[:m.head]...)
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

// writer is a message being written. Message and Patch are not its fields: what is reached through a writer escapes to the heap,
// and a Patch shall live on its user's stack.
type writer struct {
	b    []byte
	from uint32 // where the run of lines begins that is to be copied
}

// line writes the line of an edit.
func (w *writer) line(e *edit) {
	w.b = appendLine(w.b, e.long(), e.value)
}

// flush copies the lines before position end that have not been written yet, and goes on after the line which ends at next.
func (w *writer) flush(m *Message, end, next uint32) {
	w.b = append(w.b, m.text[w.from:end]...)
	w.from = next
}

// newPrepends writes what is to be before fields that the message does not have, the last edit first.
func (w *writer) newPrepends(m *Message, p *Patch) {
	for i := p.n - 1; i >= 0; i-- {
		if e := p.edit(i); e.kind == prependEdit && m.find(0, e.key) < 0 {
			w.line(e)
		}
	}
}

// newAtEnd writes what the message does not have and is not put in front.
func (w *writer) newAtEnd(m *Message, p *Patch, bodySize int) {
	for i := range p.n {
		e := p.edit(i)
		if (e.kind == setEdit || e.kind == addEdit) && m.find(0, e.key) < 0 {
			w.line(e)
		}
	}
	if m.find(0, key{field: fieldContentLength}) < 0 {
		w.b = appendContentLength(w.b, bodySize)
	}
}

// lines writes the header fields of the message with their edits.
func (w *writer) lines(m *Message, p *Patch, bodySize int) {
	var edited [4]uint64 // the fields that have edits, as a set
	for i := range p.n {
		f := p.edit(i).field
		edited[f>>6] |= 1 << (f & 63)
	}
	if p.hasBody {
		edited[fieldContentLength>>6] |= 1 << (fieldContentLength & 63)
	}
	for i := range m.lines {
		f := m.lines[i].field
		switch {
		case edited[f>>6]&(1<<(f&63)) == 0:
		case f == fieldContentLength:
			w.flush(m, m.lines[i].start, m.lineEnd(i))
			w.b = appendContentLength(w.b, bodySize)
		default:
			w.edited(m, p, i)
		}
	}
	w.flush(m, m.body-2, m.body-2)
}

// edited writes line i, whose field may have edits.
func (w *writer) edited(m *Message, p *Patch, i int) {
	k := key{m.name(i), m.lines[i].field}
	start, next := m.lines[i].start, m.lineEnd(i)
	first := m.find(0, k) == i
	for j := p.n - 1; first && j >= 0; j-- {
		if e := p.edit(j); e.kind == prependEdit && e.same(k) {
			w.flush(m, start, start)
			w.line(e)
		}
	}
	if e := p.latest(k, whole); e != nil {
		w.flush(m, start, next)
		if first && e.kind == setEdit {
			w.line(e)
		}
	} else if e := p.latest(k, partial); e != nil {
		w.withoutFirst(m, i, e)
	}
	if m.find(i+1, k) >= 0 {
		return
	}
	for j := range p.n {
		if e := p.edit(j); e.kind == addEdit && e.same(k) {
			w.flush(m, next, next)
			w.line(e)
		}
	}
}

// withoutFirst writes line i without those of its elements that e takes away.
func (w *writer) withoutFirst(m *Message, i int, e *edit) {
	value, count := m.value(i), int(e.count)
	before := 0 // elements in the lines before, or more than count
	for j := m.find(0, e.key); j < i && before <= count; j = m.find(j+1, e.key) {
		before += e.elements(m.value(j))
	}
	replaced := e.kind == replaceEdit && before <= count && count < before+e.elements(value)
	if count <= before && !replaced {
		return
	}
	for n := before; n < count && value != ""; n++ {
		value = e.dropFirst(value)
	}
	w.flush(m, m.lines[i].start, m.lineEnd(i))
	switch {
	case replaced:
		w.b = append(append(append(w.b, m.name(i)...), ": "...), e.value...)
		if value = e.dropFirst(value); value != "" {
			w.b = append(append(w.b, ", "...), value...)
		}
		w.b = append(w.b, "\r\n"...)
	case value != "":
		w.b = appendLine(w.b, m.name(i), value)
	}
}

// elements counts the elements of a value.
func (k key) elements(value string) (n int) {
	for value != "" {
		var element string
		if element, value = k.firstElement(value); element != "" {
			n++
		}
	}
	return n
}
