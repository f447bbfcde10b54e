//go:build interop

package interop

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 5 * time.Second

// phone speaks just enough SIP to register and to ask whether a server is alive. It is written against the RFC's text
// and not with package sip, so that a mistake there is not made twice.
type phone struct {
	transport string // "udp" or "tcp"
	conn      net.Conn
	server    netip.AddrPort
}

// requests counts the requests of all phones of this run: what has to be unique is made of it.
var requests atomic.Uint32

// newPhone opens a phone that talks to the server from an address; port 0 is any.
func newPhone(t *testing.T, transport string, from, server netip.AddrPort) *phone {
	t.Helper()
	var local net.Addr = net.UDPAddrFromAddrPort(from)
	if transport == "tcp" {
		local = net.TCPAddrFromAddrPort(from)
	}
	d := net.Dialer{LocalAddr: local}
	conn, err := d.Dial(transport, server.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return &phone{transport: transport, conn: conn, server: server}
}

// request sends a request and returns the final response to it; whatever else arrives is dropped.
func (p *phone) request(t *testing.T, method, uri, aor string, fields ...string) response {
	t.Helper()
	seq := requests.Add(1)
	callID := fmt.Sprintf("%d-%d@interop", os.Getpid(), seq)
	b := fmt.Appendf(nil, "%s %s SIP/2.0\r\nVia: SIP/2.0/%s %v;branch=z9hG4bK%d-%d;rport\r\nMax-Forwards: 70\r\n"+
		"From: <%s>;tag=%[6]d\r\nTo: <%[7]s>\r\nCall-ID: %[8]s\r\nCSeq: %[6]d %[1]s\r\n",
		method, uri, strings.ToUpper(p.transport), p.conn.LocalAddr(), os.Getpid(), seq, aor, callID)
	for _, f := range fields {
		b = fmt.Appendf(b, "%s\r\n", f)
	}
	b = append(b, "Content-Length: 0\r\n\r\n"...)
	_, err := p.conn.Write(b)
	require.NoError(t, err)

	require.NoError(t, p.conn.SetReadDeadline(time.Now().Add(patience)))
	for buf := []byte(nil); ; {
		part := make([]byte, 65536)
		n, err := p.conn.Read(part)
		require.NoError(t, err, "no answer to\n%s", b)
		if buf = append(buf, part[:n]...); !bytes.Contains(buf, []byte("\r\n\r\n")) {
			continue // a piece of a stream; the responses that a phone gets have no body
		}
		if r, ok := parseResponse(buf); ok && r.status >= 200 && r.field("Call-ID") == callID {
			return r
		}
		buf = nil
	}
}

// ping requires that the server answers an OPTIONS that is for the host, which is its own.
func (p *phone) ping(t *testing.T, host string) {
	t.Helper()
	r := p.request(t, "OPTIONS", "sip:"+host, "sip:"+host)
	require.Equal(t, 200, r.status, "OPTIONS to the server: %s", r.text)
}

// register binds a contact to user at the server's address, in both forms of the address of record that scenarios
// use: with the server's port and without. Over UDP the REGISTER comes from the address given. Over TCP it comes from
// another port and the connection is closed: from then on the contact is to be connected to.
func (s *server) register(t *testing.T, transport string, from netip.AddrPort, user, contact string, fields ...string) {
	t.Helper()
	if transport == "tcp" {
		from = netip.AddrPortFrom(from.Addr(), 0)
	}
	p := newPhone(t, cmp.Or(transport, "udp"), from, s.addr)
	defer p.conn.Close()
	for _, host := range []string{s.addr.String(), hostOf(s.addr.Addr())} {
		r := p.request(t, "REGISTER", "sip:"+host, "sip:"+user+"@"+host, append(fields, "Contact: "+contact, "Expires: 600")...)
		require.Equal(t, 200, r.status, "%s", r.text)
		require.Contains(t, r.field("Contact"), strings.Trim(strings.Split(contact, ">")[0], "<"))
	}
}

// hostOf writes an address as the host of a URI.
func hostOf(ip netip.Addr) string {
	if ip.Is6() {
		return "[" + ip.String() + "]"
	}
	return ip.String()
}

// response is what a test looks at in a SIP response.
type response struct {
	status int
	text   string
}

func parseResponse(b []byte) (response, bool) {
	rest, ok := bytes.CutPrefix(b, []byte("SIP/2.0 "))
	if !ok || len(rest) < 3 {
		return response{}, false
	}
	status, err := strconv.Atoi(string(rest[:3]))
	return response{status: status, text: string(b)}, err == nil
}

// field returns the value of the first header field of that name, in its long form.
func (r response) field(name string) string {
	head, _, _ := strings.Cut(r.text, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(n), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
