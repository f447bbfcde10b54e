//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// torture is what the messages are sent to: one server for calls, whose users all have the same phone, and one for
// registrations, because these would change where calls go.
type torture struct {
	calls, registers *server
	phone            *sink
	messages         map[string][]byte // by name
	sent             map[string]int    // how often a server got a message with this Via
}

func newTorture(t *testing.T) *torture {
	t.Helper()
	var args []string
	for _, d := range tortureDomains {
		args = append(args, "-domain", d)
	}
	tt := &torture{
		calls:     startServer(t, "sipserver", serverIP, args...),
		registers: startServer(t, "sipserver", serverIP, args...),
		messages:  map[string][]byte{},
		sent:      map[string]int{},
	}
	for _, dir := range []string{"rfc4475", "rfc5118"} {
		files, err := filepath.Glob(filepath.Join("..", "sip", "testdata", dir, "*.dat"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			if !bytes.Contains(text, []byte("\r\n\r\n")) {
				text = append(text, "\r\n"...) // the file of baddn lacks the empty line that the RFC's message has
			}
			tt.messages[strings.TrimSuffix(filepath.Base(file), ".dat")] = text
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(tortureCases)), slices.Collect(maps.Keys(tt.messages)), "a case for each file")

	at := freePort(t, calleeIP)
	p := newPhone(t, "udp", at, tt.calls.addr)
	for _, user := range tortureUsers {
		_, host, _ := strings.Cut(user, "@")
		r := p.request(t, "REGISTER", "sip:"+host, "sip:"+user, fmt.Sprintf("Contact: <sip:phone@%v>", at), "Expires: 600")
		require.Equal(t, 200, r.status, "%s: %s", user, r.text)
	}
	require.NoError(t, p.conn.Close())
	tt.phone = newSink(t, at)
	return tt
}

// server is the one that a message is for.
func (tt *torture) server(message []byte) *server {
	if bytes.HasPrefix(message, []byte("REGISTER ")) {
		return tt.registers
	}
	return tt.calls
}

var (
	branchID = regexp.MustCompile(`z9hG4bK(\S)`)
	callID   = regexp.MustCompile(`((?i:\n(?:call-id|i)[ \t]*):[ \t]*)(\S)`)
)

// message returns the message of that name, byte for byte. Another that looks like a retransmission of what its server
// had already gets a branch and a Call-ID of its own: when it is sent again, and for the messages of RFC 5118, which
// share them.
func (tt *torture) message(name string) ([]byte, *server) {
	m := tt.messages[name]
	s := tt.server(m)
	key := s.addr.String() + strings.Join(fieldsOf(string(m))["via"], ",")
	n := tt.sent[key]
	tt.sent[key]++
	if n == 0 {
		return m, s
	}
	m = branchID.ReplaceAll(m, fmt.Appendf(nil, "z9hG4bK%03d$1", n))
	return callID.ReplaceAll(m, fmt.Appendf(nil, "${1}%03d$2", n)), s
}

// alive requires that the server answers others, over both transports.
func (tt *torture) alive(t *testing.T, s *server) {
	t.Helper()
	for _, transport := range []string{"udp", "tcp"} {
		p := newPhone(t, transport, netip.AddrPortFrom(callerIP, 0), s.addr)
		p.ping(t, tortureDomains[0])
		_ = p.conn.Close()
	}
}

func TestTortureUDP(t *testing.T) {
	tt := newTorture(t)
	number := byte(0)
	for _, name := range slices.Sorted(maps.Keys(tortureCases)) {
		number++
		t.Run(name, func(t *testing.T) {
			message, s := tt.message(name)
			// Without rport responses go to the port in the Via: the sender listens on all ports that occur there.
			// An address of its own for each message keeps late responses apart.
			client := newUDPClient(t, netip.AddrFrom4([4]byte{127, 44, 75, number}), 5060, 5050, 6050, 19823)
			client.send(t, message, s.addr)
			got := client.final(t, tt, tortureCases[name].udp, s)
			tortureCases[name].check(t, got, tortureCases[name].udp, message)
			client.acknowledge(t, message, got, s.addr)
			tt.alive(t, s)
			tt.phone.check(t)
		})
	}
}

func TestTortureTCP(t *testing.T) {
	tt := newTorture(t)
	for _, name := range slices.Sorted(maps.Keys(tortureCases)) {
		t.Run(name, func(t *testing.T) {
			s := tt.server(tt.messages[name])
			tt.overTCP(t, name, write)
			between := newPhone(t, "udp", netip.AddrPortFrom(callerIP, 0), s.addr)
			for i := range 7 {
				tt.overTCP(t, name, func(conn net.Conn, message []byte) error {
					return writeCut(t, conn, message, len(message)*(i+1)/8, between)
				})
			}
			tt.alive(t, s)
			tt.phone.check(t)
		})
	}
}

// Some messages byte by byte, and cut at every byte.
func TestTortureTCPBytes(t *testing.T) {
	tt := newTorture(t)
	for _, name := range []string{"wsinv", "intmeth", "mpart01", "dblreq", "cparam01", "badvers", "ncl"} {
		t.Run(name, func(t *testing.T) {
			s := tt.server(tt.messages[name])
			tt.overTCP(t, name, func(conn net.Conn, message []byte) error {
				for i := range message {
					if err := write(conn, message[i:i+1]); err != nil {
						return err
					}
				}
				return nil
			})
			between := newPhone(t, "udp", netip.AddrPortFrom(callerIP, 0), s.addr)
			for cut := 1; cut < len(tt.messages[name]); cut++ {
				tt.overTCP(t, name, func(conn net.Conn, message []byte) error {
					return writeCut(t, conn, message, cut, between)
				})
			}
			tt.alive(t, s)
			tt.phone.check(t)
		})
	}
}

// overTCP lets send write the message to a connection of its own, and checks what comes back there.
func (tt *torture) overTCP(t *testing.T, name string, send func(net.Conn, []byte) error) {
	t.Helper()
	c := tortureCases[name]
	want := c.udp
	if c.tcp != nil {
		want = c.tcp
	}
	message, s := tt.message(name)
	conn, err := net.Dial("tcp", s.addr.String())
	require.NoError(t, err)
	defer conn.Close()
	if err := send(conn, message); !c.closed {
		require.NoError(t, err)
	}
	client := &tcpClient{conn: conn}
	got := client.final(t, want, func() { tt.alive(t, s) })
	c.check(t, got, want, message)
	if ack := ackFor(message, got); ack != nil && !c.closed {
		require.NoError(t, write(conn, ack))
	}
	if c.closed {
		require.True(t, client.closes(t), "the connection has to be closed")
	}
}

func (c tortureCase) check(t *testing.T, got response, want []int, message []byte) {
	t.Helper()
	require.Contains(t, want, got.status, "%s\nafter\n%s", got.text, message)
	if c.field != "" && got.status != silence {
		require.NotEmpty(t, got.field(c.field), "%s", got.text)
	}
}

func write(conn net.Conn, b []byte) error {
	_, err := conn.Write(b)
	return err
}

// writeCut writes b in two pieces. The server answers somebody else in between, so that it has seen the first before
// the second is sent.
func writeCut(t *testing.T, conn net.Conn, b []byte, cut int, between *phone) error {
	t.Helper()
	if err := write(conn, b[:cut]); err != nil {
		return err
	}
	between.ping(t, tortureDomains[0])
	return write(conn, b[cut:])
}
