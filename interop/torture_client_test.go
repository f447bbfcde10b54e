//go:build interop

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// udpClient has a socket on each of some ports of one address; it sends from the first.
type udpClient struct {
	conns     []*net.UDPConn
	responses chan response
}

func newUDPClient(t *testing.T, ip netip.Addr, ports ...uint16) *udpClient {
	t.Helper()
	c := &udpClient{responses: make(chan response, 100)}
	for _, port := range ports {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, port)))
		require.NoError(t, err)
		c.conns = append(c.conns, conn)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.receive(conn)
		}()
		t.Cleanup(func() {
			_ = conn.Close()
			<-done
		})
	}
	return c
}

func (c *udpClient) receive(conn *net.UDPConn) {
	buf := make([]byte, 65536)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if r, ok := parseResponse(buf[:n]); ok && r.status >= 200 {
			select {
			case c.responses <- r:
			default: // nobody wants that many
			}
		}
	}
}

func (c *udpClient) send(t *testing.T, message []byte, to netip.AddrPort) {
	t.Helper()
	_, err := c.conns[0].WriteToUDPAddrPort(message, to)
	require.NoError(t, err)
}

// final waits for the final response. Where silence will do it waits until the server has answered others.
func (c *udpClient) final(t *testing.T, tt *torture, want []int, s *server) response {
	t.Helper()
	wait := patience
	if slices.Contains(want, silence) {
		tt.alive(t, s)
		wait = 100 * time.Millisecond
	}
	select {
	case r := <-c.responses:
		return r
	case <-time.After(wait):
		return response{text: "silence"}
	}
}

func (c *udpClient) acknowledge(t *testing.T, message []byte, got response, to netip.AddrPort) {
	t.Helper()
	if ack := ackFor(message, got); ack != nil {
		c.send(t, ack, to)
	}
}

// tcpClient reads responses from a stream.
type tcpClient struct {
	conn net.Conn
	buf  []byte
}

// final waits for the first final response. Where silence will do it lets the server answer others first.
func (c *tcpClient) final(t *testing.T, want []int, alive func()) response {
	t.Helper()
	wait := patience
	if slices.Contains(want, silence) {
		alive()
		wait = 20 * time.Millisecond
	}
	require.NoError(t, c.conn.SetReadDeadline(time.Now().Add(wait)))
	part := make([]byte, 65536)
	for {
		for {
			head, rest, ok := bytes.Cut(c.buf, []byte("\r\n\r\n"))
			if !ok {
				break
			}
			c.buf = rest // the server's own responses and those of the phone have no body
			if r, ok := parseResponse(head); ok && r.status >= 200 {
				return r
			}
		}
		n, err := c.conn.Read(part)
		c.buf = append(c.buf, part[:n]...)
		if err != nil {
			return response{text: "silence"}
		}
	}
}

// closes reports whether the server ends the connection.
func (c *tcpClient) closes(t *testing.T) bool {
	t.Helper()
	require.NoError(t, c.conn.SetReadDeadline(time.Now().Add(patience)))
	_, err := io.Copy(io.Discard, c.conn)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// ackFor is the ACK of a failed INVITE (RFC 3261 17.1.1.3), nil for what needs none.
func ackFor(message []byte, got response) []byte {
	if !bytes.HasPrefix(message, []byte("INVITE ")) || got.status < 300 {
		return nil
	}
	req, res := fieldsOf(string(message)), fieldsOf(got.text)
	if len(req["via"]) == 0 || len(req["cseq"]) == 0 || len(res["to"]) == 0 || len(req["from"]) == 0 || len(req["call-id"]) == 0 {
		return nil
	}
	via, _, _ := strings.Cut(req["via"][0], ",")
	number, _, _ := strings.Cut(req["cseq"][0], " ")
	uri := strings.Fields(string(message))[1]
	return fmt.Appendf(nil, "ACK %s SIP/2.0\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		uri, via, req["from"][0], res["to"][0], req["call-id"][0], number)
}
