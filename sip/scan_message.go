package sip

import "net/netip"

// message makes the message of what has been read.
func (s *scanner) message(source netip.AddrPort) *Message {
	m := newMessage(s.count)
	copy(m.lines[copy(m.lines, s.few[:min(s.count, len(s.few))]):], s.more)
	m.method, m.number, m.status = s.method, s.number, s.status
	m.uri, m.via, m.from, m.to = s.uri, s.via, s.from, s.to
	m.viaLine, m.fromLine, m.toLine = s.first[fieldVia], s.first[fieldFrom], s.first[fieldTo]
	m.callIDLine, m.cseqLine = s.first[fieldCallID], s.first[fieldCSeq]
	m.maxParams, m.maxNesting = uint16(s.params), uint8(s.nesting)
	m.head, m.body = uint32(s.head), uint32(s.body)

	text := s.data[:s.body+int(s.length)]
	if !source.IsValid() || s.status != 0 || s.via.transportEnd == 0 || !s.addSource(m, text, source) {
		m.text = string(text)
	}
	if !s.known {
		m.intern()
	}
	return m
}

// intern makes a method that is no constant a part of the message's text. Until now it was part of the scanner's view.
func (m *Message) intern() {
	if m.status == 0 {
		m.method = Method(m.text[:len(m.method)])
		return
	}
	_, method := splitCSeq(m.value(int(m.cseqLine)))
	m.method = Method(method)
}

// The message with room for its lines beside it, so that both are one allocation.
type (
	message10 struct {
		Message
		room [10]line
	}
	message14 struct {
		Message
		room [14]line
	}
	message20 struct {
		Message
		room [20]line
	}
	message32 struct {
		Message
		room [32]line
	}
)

// newMessage returns a message with n lines.
func newMessage(n int) *Message {
	switch {
	case n <= 10:
		m := new(message10)
		m.lines = m.room[:n:n]
		return &m.Message
	case n <= 14:
		m := new(message14)
		m.lines = m.room[:n:n]
		return &m.Message
	case n <= 20:
		m := new(message20)
		m.lines = m.room[:n:n]
		return &m.Message
	case n <= 32:
		m := new(message32)
		m.lines = m.room[:n:n]
		return &m.Message
	}
	return &Message{lines: make([]line, n)}
}
