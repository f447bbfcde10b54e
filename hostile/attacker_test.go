package hostile_test

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/siptest"
)

// attacker is a datagram socket that sends whatever it likes and counts the answers.
type attacker struct {
	t      testing.TB
	pc     net.PacketConn
	server net.Addr
	done   chan struct{}

	mu       sync.Mutex
	statuses map[int]int // by status; 0 is what is no response
}

func newAttacker(t testing.TB, h *siptest.Host, addr string, server netip.AddrPort) *attacker {
	t.Helper()
	pc, err := h.ListenPacket(t.Context(), "udp", addr)
	require.NoError(t, err)
	a := &attacker{t: t, pc: pc, server: udpAddr(server), done: make(chan struct{}), statuses: map[int]int{}}
	go a.read()
	t.Cleanup(a.close) // if the test fails
	return a
}

func (a *attacker) read() {
	defer close(a.done)
	buf := make([]byte, 65536)
	for {
		n, _, err := a.pc.ReadFrom(buf)
		if err != nil {
			return
		}
		status := statusOf(buf[:n])
		a.mu.Lock()
		a.statuses[status]++
		a.mu.Unlock()
	}
}

// statusOf returns the status of a response, 0 of everything else.
func statusOf(b []byte) int {
	if len(b) < 12 || string(b[:8]) != "SIP/2.0 " {
		return 0
	}
	status, _ := strconv.Atoi(string(b[8:11]))
	return status
}

func (a *attacker) send(text string) {
	a.t.Helper()
	_, err := a.pc.WriteTo([]byte(text), a.server)
	require.NoError(a.t, err)
}

// got returns how many answers with a status have come so far.
func (a *attacker) got(status int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.statuses[status]
}

func (a *attacker) close() {
	a.pc.Close()
	<-a.done
}

func udpAddr(a netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(a) }

// replaceTo puts another To into a message.
func replaceTo(text, to string) string {
	head, rest, _ := strings.Cut(text, "\r\nTo: ")
	_, rest, _ = strings.Cut(rest, "\r\n")
	return head + "\r\nTo: " + to + "\r\n" + rest
}

// message writes a request: numbered, so that each is another one. Further header fields end with CRLF each.
func message(method, uri, sentBy string, number int, fields ...string) string {
	to := uri
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKflood%d\r\nMax-Forwards: 70\r\n"+
		"From: <sip:mallory@example.org>;tag=%d\r\nTo: <%s>\r\nCall-ID: %d@mallory\r\nCSeq: 1 %s\r\n%sContent-Length: 0\r\n\r\n",
		method, uri, sentBy, number, number, to, number, method, strings.Join(fields, ""))
}
