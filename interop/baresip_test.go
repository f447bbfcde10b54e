//go:build interop

package interop

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// domain is served by the test's server; the phones reach it through their outbound proxy.
const domain = "example.org"

// baresipConfig is a phone without sound devices: it plays a sine and records what it hears.
const baresipConfig = `
poll_method     epoll
net_interface   %[1]v
sip_listen      %[2]v
call_max_calls  4
rtp_ports       %[3]d-%[4]d
audio_source    ausine,440
ausrc_srate     48000
ausrc_channels  2
audio_player    aufile,%[5]s/heard.wav
audio_alert     aufile,%[5]s/alert.wav
module_path     /usr/lib/baresip/modules
module          g711.so
module          ausine.so
module          aufile.so
module_tmp      uuid.so
module_tmp      account.so
module_app      menu.so
module_app      ctrl_tcp.so
ctrl_tcp_listen %[6]v
`

// baresip is a phone: a process that takes commands over TCP and tells there what happens.
type baresip struct {
	*process
	user   string
	aor    string
	conn   net.Conn
	in     *bufio.Reader
	events []event // those that nobody has waited for yet
}

// event is a message of baresip's: an event or the response to a command.
type event struct {
	Event    bool   `json:"event"`
	Type     string `json:"type"`
	AOR      string `json:"accountaor"`
	PeerURI  string `json:"peeruri"`
	Param    string `json:"param"`
	Response bool   `json:"response"`
	OK       bool   `json:"ok"`
	Data     string `json:"data"`
}

// startBaresip starts the phone of user, registers it through the server over the transport, and waits for REGISTER_OK.
func startBaresip(t *testing.T, s *server, ip netip.Addr, user, transport string) *baresip {
	t.Helper()
	dir := t.TempDir()
	sip := freePort(t, ip)
	ctrl := netip.AddrPortFrom(ip, sip.Port()+2) // port+1 is TLS
	rtp := sip.Port() + 4
	config := fmt.Sprintf(baresipConfig, ip, sip, rtp, rtp+5, dir, ctrl)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "accounts"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "contacts"), nil, 0o600))

	b := &baresip{user: user, aor: "sip:" + user + "@" + domain}
	b.process = start(t, "baresip "+user, exec.Command("baresip", "-f", dir, "-v", "-s"))
	b.waitLine(t, "baresip is ready", 10*time.Second)
	conn, err := net.Dial("tcp", ctrl.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	b.conn, b.in = conn, bufio.NewReader(conn)

	b.command(t, "uanew", fmt.Sprintf(`<%s;transport=%s>;regint=600;auth_pass=none;outbound="sip:%v;transport=%[2]s"`,
		b.aor, transport, s.addr))
	b.expect(t, "REGISTER_OK")
	return b
}

// quit lets the phone unregister and end.
func (b *baresip) quit(t *testing.T) {
	t.Helper()
	b.command(t, "quit", "")
	b.expect(t, "EXIT")
	b.wait(t, 10*time.Second)
}

func (b *baresip) command(t *testing.T, name, params string) {
	t.Helper()
	require.NoError(t, b.conn.SetReadDeadline(time.Now().Add(2*patience)))
	m, err := json.Marshal(map[string]string{"command": name, "params": params, "token": name})
	require.NoError(t, err)
	_, err = fmt.Fprintf(b.conn, "%d:%s,", len(m), m)
	require.NoError(t, err)
	for {
		e := b.read(t, name)
		if e.Response {
			require.True(t, e.OK, "%s: %s: %s", b.user, name, e.Data)
			return
		}
		b.events = append(b.events, e)
	}
}

// expect returns the next event of the given type; events of other types before it are passed over, but not the end
// of a call when another event is expected.
func (b *baresip) expect(t *testing.T, typ string) event {
	t.Helper()
	require.NoError(t, b.conn.SetReadDeadline(time.Now().Add(2*patience)))
	for {
		var e event
		if len(b.events) > 0 {
			e, b.events = b.events[0], b.events[1:]
		} else {
			e = b.read(t, typ)
		}
		if e.Type == typ {
			return e
		}
		require.False(t, e.Type == "CALL_CLOSED" || e.Type == "REGISTER_FAIL", "%s waits for %s, has %s (%s)", b.user, typ, e.Type, e.Param)
	}
}

// read reads one netstring: the length, a colon, JSON and a comma.
func (b *baresip) read(t *testing.T, want string) event {
	t.Helper()
	size, err := b.in.ReadString(':')
	require.NoError(t, err, "%s waits for %s", b.user, want)
	n, err := strconv.Atoi(strings.TrimSuffix(size, ":"))
	require.NoError(t, err)
	text := make([]byte, n+1)
	_, err = io.ReadFull(b.in, text)
	require.NoError(t, err)
	var e event
	require.NoError(t, json.Unmarshal(text[:n], &e), "%s", text)
	_, _ = fmt.Fprintf(b.output, "%s\n", text[:n]) // beside the trace of SIP that the phone prints
	return e
}

// call lets b ring at to.
func (b *baresip) call(t *testing.T, to *baresip) {
	t.Helper()
	b.command(t, "dial", to.aor)
	require.Contains(t, to.expect(t, "CALL_INCOMING").PeerURI, b.user)
	b.expect(t, "CALL_RINGING")
}

// talk lets b call to, which answers.
func (b *baresip) talk(t *testing.T, to *baresip) {
	t.Helper()
	b.call(t, to)
	to.command(t, "accept", "")
	b.expect(t, "CALL_ESTABLISHED")
	to.expect(t, "CALL_ESTABLISHED")
}

// hangUp ends the call from b's side.
func (b *baresip) hangUp(t *testing.T, other *baresip) {
	t.Helper()
	b.command(t, "hangup", "")
	b.expect(t, "CALL_CLOSED")
	other.expect(t, "CALL_CLOSED")
}

func TestBaresip(t *testing.T) {
	for _, transports := range [][2]string{{"udp", "udp"}, {"tcp", "tcp"}, {"udp", "tcp"}, {"tcp", "udp"}} {
		t.Run(transports[0]+" to "+transports[1], func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "sipserver", serverIP, "-domain", domain)
			alice := startBaresip(t, s, callerIP, "alice", transports[0])
			bob := startBaresip(t, s, calleeIP, "bob", transports[1])

			alice.talk(t, bob)
			alice.hangUp(t, bob)

			bob.talk(t, alice)
			alice.hangUp(t, bob) // the callee hangs up

			alice.call(t, bob)
			alice.hangUp(t, bob) // CANCEL: bob has not answered

			alice.call(t, bob)
			bob.command(t, "hangup", "") // bob declines
			require.Contains(t, alice.expect(t, "CALL_CLOSED").Param, "486")
			bob.expect(t, "CALL_CLOSED")

			alice.command(t, "dial", "sip:nobody@"+domain)
			require.Contains(t, alice.expect(t, "CALL_CLOSED").Param, "404")

			alice.quit(t)
			require.Empty(t, s.bindings(t, alice.aor), "alice has unregistered")
			require.NotEmpty(t, s.bindings(t, bob.aor))
			bob.quit(t)
			require.Empty(t, s.bindings(t, bob.aor))
		})
	}
}

// bindings asks the server for the Contacts of an address of record.
func (s *server) bindings(t *testing.T, aor string) string {
	t.Helper()
	_, host, _ := strings.Cut(aor, "@")
	p := newPhone(t, "udp", netip.AddrPortFrom(callerIP, 0), s.addr)
	r := p.request(t, "REGISTER", "sip:"+host, aor)
	require.Equal(t, 200, r.status, "%s", r.text)
	return r.field("Contact")
}
