package registrar

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/goser-project/goser/transport"
)

// A record is the address of record and its bindings, packed into one immutable string: a phone's binding, which is a Binding of 256
// bytes and five texts of its own, takes one allocation of less than that, in which the garbage collector has nothing to follow.
// Reading it makes Bindings whose texts are parts of the string, without an allocation.
//
//	record  = text(aor) uvarint(count) millis(first expiry) binding…
//	binding = millis(expires) millis(registered) uvarint(cseq) uvarint(q) uvarint(reg-id) protocol uvarint(conn)
//	          addr(local) addr(remote) addr(received) text(contact) text(call-id) text(instance) text(path) text(user-agent)
//	text    = uvarint(length) bytes
//	addr    = uvarint(length) netip.AddrPort in its binary form
//	millis  = 8 bytes, Unix time in milliseconds
//
// The zero record is that of no bindings. Records do not leave the process, so what is read is what was written.
type record string

// packRecord returns the record of those bindings that are live at now.
func packRecord(aor string, bindings []Binding, now time.Time) record {
	live, first := 0, int64(0)
	for i := range bindings {
		if b := &bindings[i]; b.Live(now) {
			if e := b.Expires.UnixMilli(); live == 0 || e < first {
				first = e
			}
			live++
		}
	}
	if live == 0 {
		return ""
	}
	var buf [768]byte // room for most, on the stack: the record is allocated once, in its size
	p := appendText(buf[:0], aor)
	p = binary.AppendUvarint(p, uint64(live))
	p = binary.LittleEndian.AppendUint64(p, uint64(first))
	for i := range bindings {
		if b := &bindings[i]; b.Live(now) {
			p = appendBinding(p, b)
		}
	}
	return record(p)
}

func appendBinding(p []byte, b *Binding) []byte {
	p = binary.LittleEndian.AppendUint64(p, uint64(b.Expires.UnixMilli()))
	p = binary.LittleEndian.AppendUint64(p, uint64(b.Registered.UnixMilli()))
	p = binary.AppendUvarint(p, uint64(b.CSeq))
	p = binary.AppendUvarint(p, uint64(b.Q))
	p = binary.AppendUvarint(p, uint64(b.RegID))
	p = append(p, byte(b.Flow.Protocol))
	p = binary.AppendUvarint(p, b.Flow.Conn)
	p = appendAddr(p, b.Flow.Local)
	p = appendAddr(p, b.Flow.Remote)
	p = appendAddr(p, b.Received)
	p = appendText(p, b.Contact)
	p = appendText(p, b.CallID)
	p = appendText(p, b.Instance)
	p = appendText(p, b.Path)
	return appendText(p, b.UserAgent)
}

func appendText(p []byte, s string) []byte {
	return append(binary.AppendUvarint(p, uint64(len(s))), s...)
}

func appendAddr(p []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return append(p, 0)
	}
	var buf [32]byte
	b, _ := a.AppendBinary(buf[:0]) // never fails
	return append(binary.AppendUvarint(p, uint64(len(b))), b...)
}

// aor returns the address of record.
func (r record) aor() string {
	u := unpacker(r)
	return u.text()
}

// count returns the number of bindings.
func (r record) count() int {
	if r == "" {
		return 0
	}
	u := unpacker(r)
	u.text()
	return int(u.uvarint())
}

// firstExpiry returns when the first of the bindings expires, in Unix milliseconds.
func (r record) firstExpiry() int64 {
	u := unpacker(r)
	u.text()
	u.uvarint()
	return u.millis()
}

// appendTo appends the bindings to dst that are live at now, and those that are not to expired, if it is not nil.
func (r record) appendTo(dst []Binding, expired *[]Binding, now time.Time) []Binding {
	if r == "" {
		return dst
	}
	u := unpacker(r)
	u.text()
	n := u.uvarint()
	u.millis()
	for range n {
		dst = append(dst, Binding{})
		b := &dst[len(dst)-1]
		u.binding(b)
		if b.Live(now) {
			continue
		}
		if expired != nil {
			*expired = append(*expired, *b)
		}
		dst = dst[:len(dst)-1]
	}
	return dst
}

// unpacker is the rest of a record that is still to be read.
type unpacker string

func (u *unpacker) binding(b *Binding) {
	b.Expires = time.UnixMilli(u.millis())
	b.Registered = time.UnixMilli(u.millis())
	b.CSeq = uint32(u.uvarint())
	b.Q = uint16(u.uvarint())
	b.RegID = uint32(u.uvarint())
	b.Flow.Protocol = transport.Protocol(u.take(1)[0])
	b.Flow.Conn = u.uvarint()
	b.Flow.Local = u.addr()
	b.Flow.Remote = u.addr()
	b.Received = u.addr()
	b.Contact = u.text()
	b.CallID = u.text()
	b.Instance = u.text()
	b.Path = u.text()
	b.UserAgent = u.text()
}

func (u *unpacker) take(n int) string {
	s := string((*u)[:n])
	*u = (*u)[n:]
	return s
}

func (u *unpacker) uvarint() (v uint64) {
	for i := 0; ; i++ {
		c := (*u)[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			*u = (*u)[i+1:]
			return v
		}
	}
}

func (u *unpacker) millis() int64 {
	var b [8]byte
	copy(b[:], u.take(8))
	return int64(binary.LittleEndian.Uint64(b[:]))
}

func (u *unpacker) text() string { return u.take(int(u.uvarint())) }

func (u *unpacker) addr() (a netip.AddrPort) {
	if s := u.text(); s != "" {
		a.UnmarshalBinary([]byte(s)) // never fails on what appendAddr wrote
	}
	return a
}
