//go:build interop

package interop

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const examples = "github.com/goser-project/goser/examples/"

// The parties' own addresses. A proxy tells by them which Request-URIs are its own.
var (
	serverIP = netip.MustParseAddr("127.0.0.1")
	calleeIP = netip.MustParseAddr("127.0.0.2")
	callerIP = netip.MustParseAddr("127.0.0.3")
)

// binaries are the example programs, each built once.
var binaries struct {
	sync.Mutex
	dir   string
	built map[string]string
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries.dir, binaries.built = dir, map[string]string{}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func binary(t *testing.T, example string) string {
	t.Helper()
	if own := os.Getenv("GOSER_SIPSERVER"); own != "" && example == "sipserver" {
		return own
	}
	binaries.Lock()
	defer binaries.Unlock()
	if file, ok := binaries.built[example]; ok {
		return file
	}
	file := filepath.Join(binaries.dir, example)
	args := []string{"build", "-o", file}
	if raceDetector {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, examples+example)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	binaries.built[example] = file
	return file
}

// server is an example program that listens on addr over UDP and TCP.
type server struct {
	*process
	addr netip.AddrPort
}

// startServer starts an example and waits until it listens. When the test ends the server gets a SIGTERM and has to
// exit cleanly; a data race makes it exit with an error.
func startServer(t *testing.T, example string, ip netip.Addr, args ...string) *server {
	t.Helper()
	s := &server{addr: freePort(t, ip)}
	args = append([]string{"-listen", fmt.Sprintf("udp:%v,tcp:%v", s.addr, s.addr)}, args...)
	cmd := exec.Command(binary(t, example), args...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=50") // instead of a second for every server
	s.process = start(t, example, cmd)
	s.waitLine(t, "listening", 10*time.Second)
	t.Cleanup(func() { s.stop(t, syscall.SIGTERM, 10*time.Second) })
	return s
}

// ports hands out port numbers below the range from which the system chooses.
var ports atomic.Uint32

// freePort returns a port of ip on which nobody listens, by UDP or TCP, and which no other test of this run gets.
// The nine ports above it are this test's as well.
func freePort(t *testing.T, ip netip.Addr) netip.AddrPort {
	t.Helper()
	const first, last, step = 20000, 32000, 10
	for range (last - first) / step {
		n := (ports.Add(1) + uint32(os.Getpid())) % ((last - first) / step)
		addr := netip.AddrPortFrom(ip, uint16(first+n*step))
		pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		if err != nil {
			continue
		}
		ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
		_ = pc.Close()
		if err != nil {
			continue
		}
		_ = ln.Close()
		return addr
	}
	require.FailNow(t, "no free port on "+ip.String())
	return netip.AddrPort{}
}
