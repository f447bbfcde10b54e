package sip

// Patch is what shall be different in one copy of a message: see [AppendMessage]. The zero value changes nothing. A Patch is
// written to and never read from; it does not know the message, and can be used for several.
//
// Edits of one header field work as if they were made one after the other. Set and Remove leave nothing of what was there
// before them, in the message or by an earlier edit. Header names are taken in any form. A setter that is given something that
// cannot be written - a control character such as CR, LF or NUL, a name that is not a token - does nothing, and [Patch.Err]
// tells.
//
// Up to eight edits need no memory. A Patch must not be copied once it is in use, nor used by several goroutines at once.
type Patch struct {
	few  [8]edit
	more []edit // those after the first eight
	n    int
	err  error

	uri     URI
	uriText string
	hasBody bool
	body    string
	status  uint16
	reason  string
}

type editKind uint8

const (
	prependEdit editKind = 1 << iota // a line before the first of the name
	setEdit                          // one line in place of all
	removeEdit                       // no line
	dropEdit                         // without the first count elements
	replaceEdit                      // without the first count elements, and value instead of the one after them
	addEdit                          // a line after the last of the name

	noEdit  editKind = 0
	whole            = setEdit | removeEdit
	partial          = dropEdit | replaceEdit
)

type edit struct {
	key
	value string
	kind  editKind
	count uint16
}

func (p *Patch) edit(i int) *edit {
	if i < len(p.few) {
		return &p.few[i]
	}
	return &p.more[i-len(p.few)]
}

func (p *Patch) append(e edit) {
	for p.n > 0 && p.edit(p.n-1).kind == noEdit {
		p.n--
	}
	if over := p.n - len(p.few); len(p.more) > max(over, 0) {
		p.more = p.more[:max(over, 0)]
	}
	if p.n < len(p.few) {
		p.few[p.n] = e
	} else {
		p.more = append(p.more, e)
	}
	p.n++
}

// forget takes back all edits of a name.
func (p *Patch) forget(k key) {
	for i := range p.n {
		if e := p.edit(i); e.same(k) {
			*e = edit{}
		}
	}
}

// latest returns the last edit of a name that is of one of the kinds, or nil.
func (p *Patch) latest(k key, kinds editKind) *edit {
	for i := p.n - 1; i >= 0; i-- {
		if e := p.edit(i); e.kind&kinds != 0 && e.same(k) {
			return e
		}
	}
	return nil
}

// check returns the key of a name that may be edited, with the value without space around it.
func (p *Patch) check(name, value string) (key, string, bool) {
	k, value, err := checkField(name, value)
	if err != nil && p.err == nil {
		p.err = err
	}
	return k, value, err == nil
}

// checkField checks a header field that somebody wants to write.
func checkField(name, value string) (key, string, error) {
	k := keyOf(name)
	switch {
	case k.field == fieldContentLength:
		return key{}, "", ErrReserved
	case k.field == other && (!isTokenString(name) || len(name) > 255):
		return key{}, "", ErrHeaderName
	}
	if value = trimSpace(value); !isWritable(value) {
		return key{}, "", ErrHeaderValue
	}
	return k, value, nil
}

// isWritable reports whether s has no control characters but HTAB.
func isWritable(s string) bool {
	for i := 0; ; i++ {
		if i = nextControl([]byte(s), i); i == len(s) { // the conversion copies nothing: nextControl only reads
			return true
		}
		if s[i] != '\t' {
			return false
		}
	}
}

// Set makes value the only header field of that name, in the place of the first one or else at the end of the header fields.
func (p *Patch) Set(name, value string) {
	if k, value, ok := p.check(name, value); ok {
		p.forget(k)
		p.append(edit{key: k, value: value, kind: setEdit})
	}
}

// Prepend puts a line before all others of that name, or right after the start line if there is none: Via, Route, Record-Route.
// Of a header field that may stand only once (From, Max-Forwards, …) it does what Set does.
func (p *Patch) Prepend(name, value string) {
	p.insert(prependEdit, name, value)
}

// Add puts a line after the last of that name, or at the end of the header fields if there is none. Of a header field that may
// stand only once it does what Set does.
func (p *Patch) Add(name, value string) {
	p.insert(addEdit, name, value)
}

func (p *Patch) insert(kind editKind, name, value string) {
	k, value, ok := p.check(name, value)
	if !ok {
		return
	}
	if k.field.isSingle() {
		p.forget(k)
		kind = setEdit
	}
	p.append(edit{key: k, value: value, kind: kind})
}

// Remove removes all header fields of that name.
func (p *Patch) Remove(name string) {
	if k, _, ok := p.check(name, ""); ok {
		p.forget(k)
		p.append(edit{key: k, kind: removeEdit})
	}
}

// RemoveFirst removes the first element of the header fields of that name, be it a line of its own or the first of a list. What
// Prepend and Set have put there comes first; then come the message's own. Lines of Add are not looked at. Where there is none
// left nothing is removed.
func (p *Patch) RemoveFirst(name string) {
	k, _, ok := p.check(name, "")
	if !ok {
		return
	}
	if e := p.latest(k, prependEdit); e != nil {
		if e.value = k.dropFirst(e.value); e.value == "" {
			*e = edit{}
		}
		return
	}
	if e := p.latest(k, setEdit); e != nil {
		if e.value = k.dropFirst(e.value); e.value == "" {
			e.kind = removeEdit
		}
		return
	}
	switch e := p.latest(k, removeEdit|partial); {
	case e == nil:
		p.append(edit{key: k, kind: dropEdit, count: 1})
	case e.kind == replaceEdit && k.dropFirst(e.value) != "":
		e.value = k.dropFirst(e.value)
	case e.kind != removeEdit && e.count < maxOffset:
		e.kind, e.value = dropEdit, ""
		e.count++
	}
}

// ReplaceFirst puts value in the place of what RemoveFirst would remove. Where there is none nothing is changed.
func (p *Patch) ReplaceFirst(name, value string) {
	k, value, ok := p.check(name, value)
	if !ok {
		return
	}
	if value == "" {
		p.RemoveFirst(name)
		return
	}
	if e := p.latest(k, prependEdit); e != nil {
		e.value = k.replaceFirst(e.value, value)
		return
	}
	if e := p.latest(k, setEdit); e != nil {
		e.value = k.replaceFirst(e.value, value)
		return
	}
	switch e := p.latest(k, removeEdit|partial); {
	case e == nil:
		p.append(edit{key: k, value: value, kind: replaceEdit})
	case e.kind == replaceEdit:
		e.value = k.replaceFirst(e.value, value)
	case e.kind == dropEdit:
		e.kind, e.value = replaceEdit, value
	}
}

// firstElement returns the first element of a value that has one, and what is left, which is "" if there is no other.
func (k key) firstElement(value string) (element, rest string) {
	if !fields[k.field].list {
		return value, ""
	}
	element, rest = nextElement(trimCommas(value))
	return element, trimCommas(rest)
}

// trimCommas removes the empty elements from the begin of a list.
func trimCommas(s string) string {
	for s != "" && (s[0] == ',' || isSpace(s[0])) {
		s = s[1:]
	}
	return s
}

func (k key) dropFirst(value string) string {
	_, rest := k.firstElement(value)
	return rest
}

func (k key) replaceFirst(value, by string) string {
	if rest := k.dropFirst(value); rest != "" {
		return by + ", " + rest
	}
	return by
}

// SetRequestURI sets the Request-URI of a request. Headers in u are left out, for they have no place there (RFC 3261 section
// 19.1.1).
func (p *Patch) SetRequestURI(u URI) {
	u.Headers = ""
	if !u.isWritable() {
		p.fail(ErrURI)
		return
	}
	p.uri, p.uriText = u, ""
}

// SetRequestURIText sets the Request-URI of a request to a text, which has to be a URI without headers.
func (p *Patch) SetRequestURIText(s string) {
	var x uriIndex
	if f := x.index(s, maxOffset); f != "" || x.headers != 0 {
		p.fail(ErrURI)
		return
	}
	p.uri, p.uriText = URI{}, s
}

// SetBody sets the body, with its Content-Type and Content-Length. Where there is no body or no type, there is no Content-Type.
func (p *Patch) SetBody(contentType, body string) {
	contentType = trimSpace(contentType)
	if !isWritable(contentType) {
		p.fail(ErrHeaderValue)
		return
	}
	p.hasBody, p.body = true, body
	if body == "" || contentType == "" {
		p.Remove(ContentType)
	} else {
		p.Set(ContentType, contentType)
	}
}

// SetStatus sets status code and reason phrase of a response. An empty reason is the registered one.
func (p *Patch) SetStatus(status int, reason string) {
	if status < 100 || status > 699 || !isWritable(reason) {
		p.fail(ErrStartLine)
		return
	}
	p.status, p.reason = uint16(status), reason
}

func (p *Patch) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// Err returns the first refusal of a setter: [ErrHeaderName], [ErrHeaderValue], [ErrReserved], [ErrURI] or [ErrStartLine].
func (p *Patch) Err() error { return p.err }

// IsZero reports whether p changes nothing.
func (p *Patch) IsZero() bool {
	for i := range p.n {
		if p.edit(i).kind != noEdit {
			return false
		}
	}
	return p.uri.IsZero() && p.uriText == "" && !p.hasBody && p.status == 0
}

// Reset makes p the zero Patch, but keeps its memory.
func (p *Patch) Reset() {
	more := p.more[:0]
	clear(p.more)
	*p = Patch{more: more}
}

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
