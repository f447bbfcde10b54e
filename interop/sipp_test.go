//go:build interop

package interop

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// party is one SIPp process of a case. In its strings {callee0} and {callee1} stand for the callees' addresses, and
// {transport} for its own transport.
type party struct {
	scenario  string   // below testdata/sipp, without .xml; a callee without one is only registered
	transport string   // "udp" if empty
	users     []string // whom it registers as before the call, from its own port
	contact   string   // what it registers, if not itself; in it {user} and {addr} stand for its own
	fields    []string // further fields of its REGISTER
	args      []string // further arguments for SIPp
	inject    string   // a line of values for the scenario's [field0], [field1], …
	status    string   // replaces the word STATUS in the scenario
	open      bool     // the caller leaves the call open: this callee waits for a BYE in vain and is not waited for
	sees      []string // expressions that its messages must match
}

// sippCase is a call, or whatever else the caller does, through a server of its own.
type sippCase struct {
	shows   string // what is true when it passes
	ip      string // "6": all parties are at [::1]
	callees []party
	before  []party // they run to their end, one after the other, before the caller starts
	caller  party
	service string   // whom the caller asks for; bob if empty
	calls   int      // one if zero
	rate    int      // calls per second
	server  []string // further arguments of the server
	example string   // sipserver if empty
}

// sippPatience bounds a case. SIPp gives up by itself before that and says why.
const sippPatience = 30 * time.Second

func TestSIPp(t *testing.T) {
	for name, c := range sippCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Log(c.shows)
			c.run(t)
		})
	}
}

func (c *sippCase) run(t *testing.T) {
	serverIP, calleeIP, callerIP := serverIP, calleeIP, callerIP
	if c.ip == "6" {
		serverIP, calleeIP, callerIP = netip.IPv6Loopback(), netip.IPv6Loopback(), netip.IPv6Loopback()
	}
	var at []netip.AddrPort
	for range c.callees {
		at = append(at, freePort(t, calleeIP))
	}
	b := &bench{sippCase: c, callees: at}
	b.server = b.startServer(t, serverIP)

	var parties []*sipp
	for i, p := range c.callees {
		b.register(t, p, at[i])
		if p.scenario != "" {
			callee := b.start(t, p, at[i])
			callee.waitBound(t)
			parties = append(parties, callee)
		}
	}
	for _, p := range c.before {
		first := b.start(t, p, freePort(t, callerIP))
		first.wait(t, sippPatience)
		parties = append(parties, first)
	}
	from := freePort(t, callerIP)
	b.register(t, c.caller, from)
	caller := b.start(t, c.caller, from)
	caller.wait(t, sippPatience)
	for _, p := range append(parties, caller) {
		if !p.party.open {
			p.wait(t, sippPatience)
		}
		p.check(t)
	}
	if c.example == "" {
		newPhone(t, "udp", netip.AddrPortFrom(callerIP, 0), b.server.addr).ping(t, hostOf(serverIP))
	}
}

// bench is a case with its server and its callees' addresses.
type bench struct {
	*sippCase
	server  *server
	callees []netip.AddrPort
}

func (b *bench) startServer(t *testing.T, ip netip.Addr) *server {
	t.Helper()
	example, args := cmp.Or(b.example, "sipserver"), slices.Clone(b.sippCase.server)
	switch example {
	case "sipserver":
		args = append(args, "-domain", hostOf(ip))
	case "relay":
		args = append(args, "-to", b.expand("sip:{callee0};transport={transport}", b.sippCase.callees[0]))
	}
	return startServer(t, example, ip, args...)
}

// expand fills in what the strings of a party may stand for.
func (b *bench) expand(s string, p party) string {
	s = strings.ReplaceAll(s, "{transport}", cmp.Or(p.transport, "udp"))
	for i, addr := range b.callees {
		s = strings.ReplaceAll(s, fmt.Sprintf("{callee%d}", i), addr.String())
		s = strings.ReplaceAll(s, fmt.Sprintf("{callee%d;}", i), fmt.Sprintf("%v;%d", addr.Addr(), addr.Port()))
	}
	return s
}

// register registers the users of a party at addr.
func (b *bench) register(t *testing.T, p party, addr netip.AddrPort) {
	t.Helper()
	for _, user := range p.users {
		contact := b.expand(cmp.Or(p.contact, "<sip:{user}@{addr};transport={transport}>"), p)
		contact = strings.NewReplacer("{user}", user, "{addr}", addr.String()).Replace(contact)
		b.server.register(t, p.transport, addr, user, contact, p.fields...)
	}
}

// sipp is a running scenario.
type sipp struct {
	*process
	party party
	addr  netip.AddrPort
	trace string // file with all its messages
}

func (b *bench) start(t *testing.T, p party, addr netip.AddrPort) *sipp {
	t.Helper()
	dir := t.TempDir()
	name := strings.ReplaceAll(p.scenario, "/", "-")
	calls := max(b.calls, 1)
	s := &sipp{party: p, addr: addr, trace: filepath.Join(dir, name+".messages")}
	errors := filepath.Join(dir, name+".errors")
	args := []string{
		b.server.addr.String(), "-sf", b.scenarioFile(t, p, dir),
		"-i", hostOf(addr.Addr()), "-p", fmt.Sprint(addr.Port()), "-mi", addr.Addr().String(),
		"-t", map[string]string{"udp": "u1", "tcp": "t1"}[cmp.Or(p.transport, "udp")],
		"-s", cmp.Or(b.service, "bob"), "-m", fmt.Sprint(calls), "-l", fmt.Sprint(calls), "-r", fmt.Sprint(max(b.rate, 20)),
		"-timeout", fmt.Sprint((sippPatience - 5*time.Second).Seconds()), "-timeout_error", "-recv_timeout", "10000",
		"-nostdin", "-skip_rlimit", "-trace_err", "-error_file", errors,
	}
	if calls <= 10 {
		args = append(args, "-trace_msg", "-message_file", s.trace)
	}
	if p.inject != "" {
		values := filepath.Join(dir, "values.csv")
		require.NoError(t, os.WriteFile(values, []byte("SEQUENTIAL\n"+b.expand(p.inject, p)+"\n"), 0o600))
		args = append(args, "-inf", values)
	}
	for _, arg := range p.args {
		args = append(args, b.expand(arg, p))
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, file := range []string{errors, s.trace} {
				if text, err := os.ReadFile(file); err == nil {
					t.Logf("%s:\n%s", filepath.Base(file), text)
				}
			}
		}
	})
	cmd := exec.Command("sipp", args...)
	cmd.Stdout = io.Discard // screens for a terminal
	s.process = start(t, name, cmd)
	return s
}

// scenarioFile is the party's scenario. SIPp takes no variable for the status of a response, so it is written in.
func (b *bench) scenarioFile(t *testing.T, p party, dir string) string {
	t.Helper()
	file := filepath.Join("testdata", "sipp", filepath.FromSlash(p.scenario)+".xml")
	if p.status == "" {
		return file
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), "STATUS")
	file = filepath.Join(dir, "scenario.xml")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "STATUS", p.status)), 0o600))
	return file
}

// waitBound waits until SIPp has opened its port. Trying to open it here as well would take it away from SIPp.
func (s *sipp) waitBound(t *testing.T) {
	t.Helper()
	table := "/proc/net/" + cmp.Or(s.party.transport, "udp")
	if s.addr.Addr().Is6() {
		table += "6"
	}
	socket := socketName(s.addr)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		text, err := os.ReadFile(table)
		require.NoError(t, err)
		if strings.Contains(string(text), " "+socket+" ") {
			return
		}
		select {
		case <-tick.C:
		case <-s.ended:
			require.FailNow(t, s.name+" ended: "+exitText(s.err))
		case <-deadline:
			require.FailNow(t, s.name+" has not opened "+s.addr.String())
		}
	}
}

// socketName writes an address as /proc/net does: 32-bit words in the byte order of the machine, which is
// little-endian wherever these tests run.
func socketName(addr netip.AddrPort) string {
	b := addr.Addr().AsSlice()
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	return strings.ToUpper(fmt.Sprintf("%s:%04x", hex.EncodeToString(b), addr.Port()))
}

// check looks for what the party must have seen in its messages.
func (s *sipp) check(t *testing.T) {
	t.Helper()
	if len(s.party.sees) == 0 {
		return
	}
	text, err := os.ReadFile(s.trace)
	require.NoError(t, err)
	for _, expr := range s.party.sees {
		require.Regexp(t, regexp.MustCompile(expr), string(text), s.name)
	}
}
