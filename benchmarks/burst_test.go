package main

import (
	"bytes"
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// server answers what comes for a number for the second time, with a status; before, it says 100.
func server(t *testing.T, status int) (port int) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", local(0))
	require.NoError(t, err)
	ended := make(chan struct{})
	t.Cleanup(func() {
		conn.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		seen := map[string]bool{}
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			id, _, _ := bytes.Cut(buf[:n], []byte("\r\n"))
			code := 100
			if seen[string(id)] {
				code = status
			}
			seen[string(id)] = true
			_, _ = conn.WriteToUDPAddrPort(fmt.Appendf(nil, "SIP/2.0 %d Status\r\n%s\r\n\r\n", code, id), from)
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// More messages than are in flight at a time, each lost once: all are answered in the end.
func TestBurstSendsAgain(t *testing.T) {
	b := burst{to: server(t, 180), count: inFlight + 1, message: opening{"Call-ID: [call_number]-1\r\n\r\n"}, answer: 180}
	resent, err := b.run(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, resent, b.count)
}

func TestBurstIsRefused(t *testing.T) {
	b := burst{to: server(t, 503), count: 1, message: opening{"Call-ID: [call_number]-1\r\n\r\n"}, answer: 200}
	_, err := b.run(t.Context())
	require.ErrorContains(t, err, "503")
}
