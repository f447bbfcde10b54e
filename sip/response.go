package sip

// Response is the answer to a request, as far as it is not copied from the request: see [AppendResponse]. It must not be used by
// several goroutines while it is changed.
type Response struct {
	Status int
	Reason string // "" is the registered phrase

	fields fieldList
}

// NewResponse returns a response with a status code from 100 to 699.
func NewResponse(status int) *Response { return &Response{Status: status} }

// Set makes value the only header field of that name. Via, From, To, Call-ID and CSeq are the request's and are refused.
func (r *Response) Set(name, value string) { r.fields.set(name, value, isCopied) }

// Add adds a header field. Of one that may stand only once it does what Set does.
func (r *Response) Add(name, value string) { r.fields.add(name, value, isCopied) }

// isCopied reports whether every response has the field from its request.
func isCopied(f field) bool { return fieldVia <= f && f <= fieldCSeq }

// Get returns the value of the first header field of that name that was set or added, or "".
func (r *Response) Get(name string) string { return r.fields.get(name) }

// SetBody sets the body and its Content-Type.
func (r *Response) SetBody(contentType, body string) { r.fields.setBody(contentType, body) }

// Err returns the first refusal of a setter, as [Patch.Err] does.
func (r *Response) Err() error {
	if r.fields.err == nil && (r.Status < 100 || r.Status > 699 || !isWritable(r.Reason)) {
		return ErrStartLine
	}
	return r.fields.err
}

// AppendResponse appends res to dst as the answer to req (RFC 3261 section 8.2.6), which may be the message that came with a
// [*ParseError]. From req come all Vias, From, To, Call-ID and CSeq; Record-Route where the response may establish a dialog
// (section 12.1.1: 101 to 299, to INVITE, SUBSCRIBE, REFER and NOTIFY); Timestamp into a 100 (section 8.2.6.1). To gets toTag if it has no
// tag and the status is above 100. The fields of res follow; one that stands only once takes the place of the copied one.
func AppendResponse(dst []byte, req *Message, res *Response, toTag string) []byte {
	dst = appendStatusLine(dst, res.Status, res.Reason)
	for i := range req.lines {
		switch f := req.lines[i].field; f {
		case fieldVia:
			dst = req.appendField(dst, i)
		case fieldFrom, fieldCallID, fieldCSeq:
			if req.find(0, key{field: f}) == i {
				dst = req.appendField(dst, i)
			}
		case fieldTo:
			if req.find(0, key{field: f}) == i {
				dst = req.appendTo(dst, i, res.Status, toTag)
			}
		case fieldRecordRoute:
			if res.Status > 100 && res.Status < 300 && createsDialog(req.method) {
				dst = req.appendField(dst, i)
			}
		case fieldTimestamp:
			if res.Status == 100 && res.fields.get(Timestamp) == "" {
				dst = req.appendField(dst, i)
			}
		}
	}
	return res.fields.appendTo(dst)
}

func createsDialog(m Method) bool {
	return m == INVITE || m == SUBSCRIBE || m == REFER || m == NOTIFY
}

// appendField writes line i as it came, its name in the long form.
func (m *Message) appendField(b []byte, i int) []byte {
	return appendLine(b, fields[m.lines[i].field].name, m.value(i))
}

// appendTo writes To, with a tag if it has none and is to have one.
func (m *Message) appendTo(b []byte, i, status int, tag string) []byte {
	b = append(append(b, "To: "...), m.value(i)...)
	if m.to.tagEnd == 0 && status > 100 && isTokenString(tag) && !m.brokenToHasTag(i) {
		b = append(append(b, ";tag="...), tag...)
	}
	return append(b, "\r\n"...)
}

// brokenToHasTag looks for a tag in a To that could not be read, so that none is added behind another.
func (m *Message) brokenToHasTag(i int) bool {
	if m.to.uri.colon != 0 {
		return false
	}
	return Params(m.value(i)).Has("tag")
}
