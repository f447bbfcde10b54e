package transport_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

// peersEnv makes the test binary a crowd of TCP peers: "port count". Each sends one message, awaits the answer, and
// stays until standard input ends. They are a process of their own for the sake of what is measured, and of the limit
// on open files.
const peersEnv = "TRANSPORT_TEST_PEERS"

func TestMain(m *testing.M) {
	if crowd := os.Getenv(peersEnv); crowd != "" {
		var port, count int
		fmt.Sscan(crowd, &port, &count)
		if err := peers(port, count); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func peers(port, count int) error {
	buf := make([]byte, 100)
	conns := make([]net.Conn, 0, count) // what is not referred to is closed
	for range count {
		c, err := net.DialTCP("tcp4", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			return err
		}
		conns = append(conns, c)
		if _, err := c.Write([]byte("REGISTER\n")); err != nil {
			return err
		}
		if _, err := c.Read(buf); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	_, err := io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(conns)
	return err
}

// BenchmarkIdleConnection accepts connections, gets and answers one message on each, and reports what one costs the
// process while it is idle. What it costs the kernel is not counted.
//
//	go test -run '^$' -bench IdleConnection -benchtime 19900x ./transport
func BenchmarkIdleConnection(b *testing.B) {
	var r *recorder
	r = start(b, transport.Config{MaxAccepted: -1, MaxPerSource: -1, Receive: func(p *transport.Packet) {
		if err := r.layer.Send(p.Flow, p.Data); err != nil {
			b.Error(err)
		}
	}})
	crowd := exec.Command(os.Args[0])
	crowd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", peersEnv, r.listen(transport.TCP, "127.0.0.1:0").Addr.Port(), b.N))
	crowd.Stderr = os.Stderr
	in, err := crowd.StdinPipe()
	require.NoError(b, err)
	out, err := crowd.StdoutPipe()
	require.NoError(b, err)
	before := resident(b)
	b.ResetTimer()
	require.NoError(b, crowd.Start())
	_, err = fmt.Fscanln(out, new(string))
	require.NoError(b, err)
	b.StopTimer()
	require.Equal(b, b.N, r.layer.Stats().Stream.Connections)
	b.ReportMetric(float64(resident(b)-before)/float64(b.N), "B/conn")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse)/float64(b.N), "heap-B/conn")
	b.ReportMetric(float64(m.StackInuse)/float64(b.N), "stack-B/conn")
	require.NoError(b, in.Close())
	require.NoError(b, crowd.Wait())
}

// resident returns the memory that the process has, after garbage was collected.
func resident(b *testing.B) int {
	runtime.GC()
	debug.FreeOSMemory()
	f, err := os.Open("/proc/self/statm")
	require.NoError(b, err)
	defer f.Close()
	var size, pages int
	_, err = fmt.Fscan(f, &size, &pages)
	require.NoError(b, err)
	return pages * os.Getpagesize()
}
