package sip

// fieldList is what a message that is being built has of header fields, and its body.
type fieldList struct {
	list []headerField
	body string
	err  error
}

type headerField struct {
	key
	value string
}

// check returns the key of a name that may be set; a field that is reserved may not.
func (l *fieldList) check(name, value string, reserved func(field) bool) (key, string, bool) {
	k, value, err := checkField(name, value)
	if err == nil && reserved(k.field) {
		err = ErrReserved
	}
	if err != nil && l.err == nil {
		l.err = err
	}
	return k, value, err == nil
}

func (l *fieldList) set(name, value string, reserved func(field) bool) {
	if k, value, ok := l.check(name, value, reserved); ok {
		l.replace(k, value)
	}
}

// replace puts the field in the place of the first of its name.
func (l *fieldList) replace(k key, value string) {
	kept, done := l.list[:0], false
	for _, f := range l.list {
		if f.same(k) {
			if done {
				continue
			}
			f.value, done = value, true
		}
		kept = append(kept, f)
	}
	if !done {
		if kept == nil {
			kept = make([]headerField, 0, 4) // one allocation for most
		}
		kept = append(kept, headerField{k, value})
	}
	l.list = kept
}

func (l *fieldList) add(name, value string, reserved func(field) bool) {
	k, value, ok := l.check(name, value, reserved)
	switch {
	case !ok:
	case k.field.isSingle():
		l.replace(k, value)
	default:
		l.list = append(l.list, headerField{k, value})
	}
}

func (l *fieldList) remove(k key) {
	kept := l.list[:0]
	for _, f := range l.list {
		if !f.same(k) {
			kept = append(kept, f)
		}
	}
	l.list = kept
}

func (l *fieldList) setBody(contentType, body string) {
	if contentType = trimSpace(contentType); !isWritable(contentType) {
		if l.err == nil {
			l.err = ErrHeaderValue
		}
		return
	}
	l.body = body
	if body == "" || contentType == "" {
		l.remove(key{field: fieldContentType})
	} else {
		l.replace(key{field: fieldContentType}, contentType)
	}
}

func (l *fieldList) get(name string) string {
	k := keyOf(name)
	for _, f := range l.list {
		if f.same(k) {
			return f.value
		}
	}
	return ""
}

func (k key) same(o key) bool {
	return k.field == o.field && (k.field != other || equalFold(k.name, o.name))
}

// long returns the name to write.
func (k key) long() string {
	if k.field != other {
		return fields[k.field].name
	}
	return k.name
}

// appendTo writes the fields, Content-Length, the empty line and the body.
func (l *fieldList) appendTo(b []byte) []byte {
	for _, f := range l.list {
		b = appendLine(b, f.long(), f.value)
	}
	return l.appendBody(b)
}

// appendBody writes Content-Length, the empty line and the body.
func (l *fieldList) appendBody(b []byte) []byte {
	b = appendContentLength(b, len(l.body))
	return append(append(b, "\r\n"...), l.body...)
}
