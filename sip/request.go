package sip

import (
	"crypto/rand"
	"net/netip"
	"strconv"
)

// Request is a request that is being built. [NewRequest] fills in what every request needs. It must not be used by several
// goroutines while it is changed.
type Request struct {
	Method Method
	URI    URI
	From   NameAddr // gets a random tag if it has none
	To     NameAddr
	CallID string
	CSeq   uint32

	tag    string
	fields fieldList
}

// NewRequest returns a request outside of a dialog: To is the Request-URI, From is anonymous (RFC 3261 section 8.1.1.3),
// Call-ID and From's tag are random, CSeq is 1 and Max-Forwards 70.
func NewRequest(method Method, uri URI) *Request {
	r := &Request{
		Method: method,
		URI:    uri,
		From:   NameAddr{Display: "Anonymous", URI: URI{Scheme: schemeSIP, User: "anonymous", Host: "anonymous.invalid"}},
		To:     NameAddr{URI: uri},
		CallID: rand.Text(),
		CSeq:   1,
		tag:    rand.Text(),
	}
	r.Set(MaxForwards, "70")
	return r
}

// Set makes value the only header field of that name. From, To, Call-ID and CSeq are fields of Request and are refused.
func (r *Request) Set(name, value string) { r.fields.set(name, value, isRequestField) }

// Add adds a header field. Of one that may stand only once it does what Set does.
func (r *Request) Add(name, value string) { r.fields.add(name, value, isRequestField) }

// SetBody sets the body and its Content-Type.
func (r *Request) SetBody(contentType, body string) { r.fields.setBody(contentType, body) }

// Err returns the first refusal of a setter, as [Patch.Err] does, or what is wrong with the struct's fields.
func (r *Request) Err() error {
	switch {
	case r.fields.err != nil:
		return r.fields.err
	case !isTokenString(string(r.Method)):
		return ErrStartLine
	case !r.URI.isWritable() || r.URI.Headers != "":
		return ErrURI
	case !r.From.isWritable() || !r.To.isWritable() || !isCallID(r.CallID) || !isWritable(r.CallID) || r.CSeq > maxSequence:
		return ErrHeaderValue
	}
	return nil
}

// isRequestField reports whether the field is one of the struct.
func isRequestField(f field) bool { return fieldFrom <= f && f <= fieldCSeq }

// Message returns the request as a message. It may have no Via, which the one who sends it puts there. The error is that of
// [Request.Err], or a [*ParseError] for what [Parse] refuses.
func (r *Request) Message() (*Message, error) {
	if err := r.Err(); err != nil {
		return nil, err
	}
	var p Parser
	s := scanner{local: true}
	m, err := s.parse(r.AppendTo(nil), netip.AddrPort{}, p.limits())
	if err != nil {
		return nil, err
	}
	return m, nil
}

// AppendTo appends the request to dst. There must be no [Request.Err].
func (r *Request) AppendTo(dst []byte) []byte {
	dst = append(append(dst, r.Method...), ' ')
	dst = append(r.URI.AppendTo(dst), " SIP/2.0\r\n"...)
	from := r.From
	if tag, _ := from.Params.Get("tag"); tag == "" && from.Tag == "" {
		from.Tag = r.tag
	}
	for _, f := range r.fields.list {
		if f.field == fieldVia || f.field == fieldRoute {
			dst = appendLine(dst, f.long(), f.value)
		}
	}
	dst = append(from.AppendTo(append(dst, "From: "...)), "\r\nTo: "...)
	dst = append(r.To.AppendTo(dst), "\r\nCall-ID: "...)
	dst = append(append(dst, r.CallID...), "\r\nCSeq: "...)
	dst = append(strconv.AppendUint(dst, uint64(r.CSeq), 10), ' ')
	dst = append(append(dst, r.Method...), "\r\n"...)
	for _, f := range r.fields.list {
		if f.field != fieldVia && f.field != fieldRoute {
			dst = appendLine(dst, f.long(), f.value)
		}
	}
	return r.fields.appendBody(dst)
}

// AppendACK appends the ACK for a response to INVITE that is not 2xx (RFC 3261 section 17.1.1.3) to dst: "values for the Call-ID,
// From, and Request-URI that are equal to the values of those header fields in the request passed to the transport […] The To
// header field in the ACK MUST equal the To header field in the response being acknowledged", one Via, the same Route.
// invite is what was sent.
func AppendACK(dst []byte, invite, final *Message) []byte {
	dst = invite.appendHop(dst, ACK, final)
	return append(dst, "Content-Length: 0\r\n\r\n"...)
}

// AppendCancel appends the CANCEL for a request (RFC 3261 section 9.1) to dst: "The Request-URI, Call-ID, To, the numeric part
// of CSeq, and From header fields in the CANCEL request MUST be identical to those in the request being cancelled, including
// tags", one Via, the same Route. invite is what was sent. reason is the value of a Reason header field (RFC 3326), or "".
func AppendCancel(dst []byte, invite *Message, reason string) []byte {
	dst = invite.appendHop(dst, CANCEL, invite)
	if reason != "" && isWritable(reason) {
		dst = appendLine(dst, Reason, reason)
	}
	return append(dst, "Content-Length: 0\r\n\r\n"...)
}

// appendHop writes what ACK and CANCEL have of the request that they belong to. To is that of another message.
func (m *Message) appendHop(b []byte, method Method, to *Message) []byte {
	b = append(append(b, method...), m.text[len(m.method):m.head]...)
	if v := m.Get(Via); v != "" {
		b = appendLine(b, Via, trimSpace(v[:elementEnd(v)]))
	}
	for i := m.find(0, key{field: fieldRoute}); i >= 0; i = m.find(i+1, key{field: fieldRoute}) {
		b = appendLine(b, Route, m.value(i))
	}
	b = append(b, "Max-Forwards: 70\r\n"...)
	b = appendLine(b, From, m.Get(From))
	b = appendLine(b, To, to.Get(To))
	b = appendLine(b, CallID, m.CallID())
	b = append(strconv.AppendUint(append(b, "CSeq: "...), uint64(m.number), 10), ' ')
	return append(append(b, method...), "\r\n"...)
}
