package sip

// Append makes the edits of q after those of p, as if their setters were called on p now. q is not changed.
func (p *Patch) Append(q *Patch) {
	for i := range q.n {
		p.repeat(q.edit(i))
	}
	if !q.uri.IsZero() || q.uriText != "" {
		p.uri, p.uriText = q.uri, q.uriText
	}
	if q.hasBody {
		p.hasBody, p.body = true, q.body
	}
	if q.status != 0 {
		p.status, p.reason = q.status, q.reason
	}
	if q.err != nil {
		p.fail(q.err)
	}
}

// repeat makes an edit again, which its setter has checked.
func (p *Patch) repeat(e *edit) {
	name := e.name
	switch e.kind {
	case prependEdit:
		p.Prepend(name, e.value)
	case setEdit:
		p.Set(name, e.value)
	case removeEdit:
		p.Remove(name)
	case addEdit:
		p.Add(name, e.value)
	case dropEdit, replaceEdit:
		for range e.count {
			p.RemoveFirst(name)
		}
		if e.kind == replaceEdit {
			p.ReplaceFirst(name, e.value)
		}
	}
}
