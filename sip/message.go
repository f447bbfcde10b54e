package sip

// Message is a request or a response (RFC 3261 section 7). It is immutable: it may be kept, shared and read from any goroutine.
// All strings that its methods return are parts of its text; a small one that is kept for long keeps all of the text alive,
// unless it is cloned.
//
// Via, From, To, Call-ID, CSeq and the Request-URI have been checked by [Parser.Parse]; all else is read when it is asked for.
// No method allocates memory, but for a display name with escaped characters, an unknown scheme in capitals, and errors.
type Message struct {
	text   string
	lines  []line // of the header fields, in order
	method Method // of a response: of its CSeq
	head   uint32 // where the header fields begin
	body   uint32 // where the body begins, after the empty line
	number uint32 // of CSeq
	status uint16 // 0 for a request

	// The places of the fields that Parse has checked, as positions in lines, and the parts of their values.
	viaLine, fromLine, toLine, callIDLine, cseqLine uint16

	uri      uriIndex // of the Request-URI, relative to the end of the method and its space
	via      viaIndex // the topmost, relative to its field's value
	from, to addrIndex

	maxParams  uint16
	maxNesting uint8
}

// maxOffset is the largest position within a line: indexes hold 16 bits.
const maxOffset = 1<<16 - 1

// line is one header field. Its value ends where the next line begins: a text has no folded lines.
type line struct {
	start uint32 // of the name, in the text
	value uint16 // offset of the value from start
	name  uint8  // length of the name
	field field
}

// Sequence is the value of CSeq (RFC 3261 section 20.16).
type Sequence struct {
	Number uint32
	Method Method
}

// IsRequest reports whether m is a request.
func (m *Message) IsRequest() bool { return m.status == 0 }

// Method returns the method of a request, or that in the CSeq of a response.
func (m *Message) Method() Method { return m.method }

// RequestURI returns the Request-URI, or the zero URI for a response.
func (m *Message) RequestURI() URI {
	if m.status != 0 {
		return URI{}
	}
	return m.uri.uri(m.text[len(m.method)+1:])
}

// Status returns the status code of a response, or 0 for a request.
func (m *Message) Status() int { return int(m.status) }

// ReasonPhrase returns the reason phrase of a response; it may be empty.
func (m *Message) ReasonPhrase() string {
	if m.status == 0 {
		return ""
	}
	return trimSpace(m.text[len("SIP/2.0 200") : m.head-2])
}

// CallID returns the value of Call-ID.
func (m *Message) CallID() string {
	if int(m.callIDLine) >= len(m.lines) {
		return ""
	}
	return m.value(int(m.callIDLine))
}

// CSeq returns the value of CSeq.
func (m *Message) CSeq() Sequence { return Sequence{m.number, m.method} }

// From returns the value of From.
func (m *Message) From() NameAddr { return m.from.nameAddr(m.valueFrom(m.fromLine)) }

// To returns the value of To.
func (m *Message) To() NameAddr { return m.to.nameAddr(m.valueFrom(m.toLine)) }

// Via returns the topmost via-parm.
func (m *Message) Via() ViaParm { return m.via.via(m.valueFrom(m.viaLine)) }

// FromTag returns From().Tag, without reading the rest.
func (m *Message) FromTag() string { return m.valueFrom(m.fromLine)[m.from.tag:m.from.tagEnd] }

// ToTag returns To().Tag, without reading the rest.
func (m *Message) ToTag() string { return m.valueFrom(m.toLine)[m.to.tag:m.to.tagEnd] }

// Body returns the body.
func (m *Message) Body() string { return m.text[m.body:] }

// Text returns the whole text, as [AppendMessage] would copy it.
func (m *Message) Text() string { return m.text }

// valueFrom returns the text from the begin of a line's value on.
func (m *Message) valueFrom(i uint16) string {
	if int(i) >= len(m.lines) {
		return ""
	}
	l := &m.lines[i]
	return m.text[l.start+uint32(l.value):]
}

// value returns the value of line i without space around it.
func (m *Message) value(i int) string {
	l := &m.lines[i]
	begin, end := l.start+uint32(l.value), m.lineEnd(i)-2
	for end > begin && isSpace(m.text[end-1]) {
		end--
	}
	return m.text[begin:end]
}

// name returns the name of line i as it came.
func (m *Message) name(i int) string {
	l := &m.lines[i]
	return m.text[l.start : l.start+uint32(l.name)]
}

// lineEnd returns where the line after line i begins.
func (m *Message) lineEnd(i int) uint32 {
	if i+1 < len(m.lines) {
		return m.lines[i+1].start
	}
	return m.body - 2
}

// key is a header field's name, looked up.
type key struct {
	name  string // if field is other
	field field
}

func keyOf(name string) key {
	return key{name, fieldOf(name)}
}

// find returns the first line from i on that has the name, or -1.
func (m *Message) find(i int, k key) int {
	for ; i < len(m.lines); i++ {
		if m.lines[i].field == k.field && (k.field != other || equalFold(m.name(i), k.name)) {
			return i
		}
	}
	return -1
}
