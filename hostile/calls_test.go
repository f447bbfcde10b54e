package hostile_test

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
)

// sdp is the session description of either side.
const sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n" +
	"a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"

// caller makes calls as fast as they are asked for: INVITE, and ACK and BYE when the 200 comes. It keeps two bits of a call: what it
// needs comes back in the responses. It reads and writes on one datagram socket and owns one goroutine.
type caller struct {
	pc    net.PacketConn
	proxy net.Addr
	local string // of the socket
	onEnd func() // if set, is called when a call has ended
	done  chan struct{}

	calls      []callState  // of the reading goroutine
	ended      atomic.Int64 // calls whose BYE was answered
	unexpected atomic.Int64 // responses that are not 100, 180 or 200, and what is none
}

type callState uint8

const (
	calling callState = iota
	answered
	over
)

// newCaller makes a caller of so many calls on a socket, which it owns.
func newCaller(pc net.PacketConn, proxy net.Addr, calls int, onEnd func()) *caller {
	c := &caller{pc: pc, proxy: proxy, local: pc.LocalAddr().String(), onEnd: onEnd, done: make(chan struct{}), calls: make([]callState, calls)}
	go c.read()
	return c
}

// invite starts a call.
func (c *caller) invite(number int) {
	b := make([]byte, 0, 1024)
	b = fmt.Appendf(b, "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKi%d\r\nMax-Forwards: 70\r\n"+
		"From: <sip:alice@example.org>;tag=a%[2]d\r\nTo: <sip:bob@example.org>\r\nCall-ID: soak%[2]d\r\nCSeq: 1 INVITE\r\n"+
		"Contact: <sip:alice@%[1]s>\r\nContent-Type: application/sdp\r\nContent-Length: %[3]d\r\n\r\n%[4]s", c.local, number, len(sdp), sdp)
	_, _ = c.pc.WriteTo(b, c.proxy)
}

func (c *caller) read() {
	defer close(c.done)
	buf := make([]byte, 65536)
	for {
		n, _, err := c.pc.ReadFrom(buf)
		if err != nil {
			return
		}
		c.response(buf[:n])
	}
}

func (c *caller) response(text []byte) {
	status, seq := statusOf(text), field(text, "CSeq")
	number, err := strconv.Atoi(strings.TrimPrefix(string(field(text, "Call-ID")), "soak"))
	switch {
	case err != nil || number >= len(c.calls):
		c.unexpected.Add(1)
	case status == 100 || status == 180:
	case status == 200 && bytes.HasSuffix(seq, []byte("INVITE")):
		c.follow(text, "ACK", 1)
		if c.calls[number] == calling {
			c.calls[number] = answered
			c.follow(text, "BYE", 2)
		}
	case status == 200 && bytes.HasSuffix(seq, []byte("BYE")):
		if c.calls[number] != over {
			c.calls[number] = over
			c.ended.Add(1)
			if c.onEnd != nil {
				c.onEnd()
			}
		}
	default:
		c.unexpected.Add(1)
	}
}

// follow sends a request of the dialog that a 200 has made, along its route.
func (c *caller) follow(text []byte, method string, seq int) {
	b := make([]byte, 0, 1024)
	contact := field(text, "Contact")
	b = fmt.Appendf(b, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%s\r\nMax-Forwards: 70\r\nRoute: %s\r\nFrom: %s\r\nTo: %s\r\n"+
		"Call-ID: %s\r\nCSeq: %d %s\r\nContent-Length: 0\r\n\r\n",
		method, contact[1:len(contact)-1], c.local, method, field(text, "Call-ID"), field(text, "Record-Route"),
		field(text, "From"), field(text, "To"), field(text, "Call-ID"), seq, method)
	_, _ = c.pc.WriteTo(b, c.proxy)
}

func (c *caller) close() {
	c.pc.Close()
	<-c.done
}

// callee answers every call at once: 180, 200, and 200 for the BYE.
type callee struct {
	pc         net.PacketConn
	local      string
	done       chan struct{}
	acks       atomic.Int64
	unexpected atomic.Int64
}

func newCallee(pc net.PacketConn) *callee {
	c := &callee{pc: pc, local: pc.LocalAddr().String(), done: make(chan struct{})}
	go c.read()
	return c
}

func (c *callee) read() {
	defer close(c.done)
	buf := make([]byte, 65536)
	for {
		n, from, err := c.pc.ReadFrom(buf)
		if err != nil {
			return
		}
		switch method, _, _ := bytes.Cut(buf[:n], []byte(" ")); string(method) {
		case "INVITE":
			c.respond(buf[:n], from, 180, "")
			c.respond(buf[:n], from, 200, sdp)
		case "BYE":
			c.respond(buf[:n], from, 200, "")
		case "ACK":
			c.acks.Add(1)
		default:
			c.unexpected.Add(1)
		}
	}
}

// respond copies what a response has of its request (RFC 3261 section 8.2.6.2).
func (c *callee) respond(text []byte, to net.Addr, status int, body string) {
	b := make([]byte, 0, 1024)
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, " OK\r\n"...)
	for line := range bytes.SplitSeq(text[:bytes.Index(text, []byte("\r\n\r\n"))], []byte("\r\n")) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "Via", "Record-Route", "From", "Call-ID", "CSeq":
			b = append(append(b, line...), "\r\n"...)
		case "To":
			b = append(b, line...)
			if !bytes.Contains(line, []byte("tag=")) {
				b = append(b, ";tag=b"...)
			}
			b = append(b, "\r\n"...)
		}
	}
	b = fmt.Appendf(b, "Contact: <sip:bob@%s>\r\nContent-Length: %d\r\n\r\n%s", c.local, len(body), body)
	_, _ = c.pc.WriteTo(b, to)
}

func (c *callee) close() {
	c.pc.Close()
	<-c.done
}

// field returns the value of the first header field of that name.
func field(text []byte, name string) []byte {
	at := bytes.Index(text, []byte("\r\n"+name+": "))
	if at < 0 {
		return nil
	}
	value, _, _ := bytes.Cut(text[at+len(name)+4:], []byte("\r\n"))
	return value
}
