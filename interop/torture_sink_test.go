//go:build interop

package interop

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// sink is a phone that declines whatever reaches it and remembers what was wrong with it.
type sink struct {
	conn  *net.UDPConn
	wrong chan string
}

func newSink(t *testing.T, addr netip.AddrPort) *sink {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	require.NoError(t, err)
	s := &sink{conn: conn, wrong: make(chan string, 10)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve()
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return s
}

func (s *sink) serve() {
	buf := make([]byte, 65536)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		message := string(buf[:n])
		if text := wrongWith(message); text != "" {
			select {
			case s.wrong <- text + ":\n" + message:
			default:
			}
		}
		if !strings.HasPrefix(message, "ACK ") {
			_, _ = s.conn.WriteToUDPAddrPort(busy(message), from)
		}
	}
}

// check fails the test if a message was wrong that has come since the last check.
func (s *sink) check(t *testing.T) {
	t.Helper()
	select {
	case text := <-s.wrong:
		require.Fail(t, text)
	default:
	}
}

var (
	startLine   = regexp.MustCompile(`^[^ ]+ [^ <>]+ SIP/2\.0$`)
	escapedPair = regexp.MustCompile(`\\.`)
)

// wrongWith says what a proxy must not have forwarded, be it liberal or not.
func wrongWith(message string) string {
	line, _, _ := strings.Cut(message, "\r\n")
	_, body, ok := strings.Cut(message, "\r\n\r\n")
	f := fieldsOf(message)
	names := escapedPair.ReplaceAllString(strings.Join(append(f["to"], f["from"]...), ""), "")
	switch {
	case !ok:
		return "the header does not end"
	case !startLine.MatchString(line):
		return "white space or brackets in the request line"
	case strings.Contains(line, "?Route="):
		return "a header in the Request-URI (RFC 4475 3.1.2.11)"
	case strings.Count(names, `"`)%2 != 0:
		return "a quoted string that does not end"
	case len(f["max-forwards"]) != 1:
		return "not one Max-Forwards"
	case len(f["content-length"]) > 0 && f["content-length"][0] != fmt.Sprint(len(body)):
		return fmt.Sprintf("Content-Length is not %d", len(body))
	case len(f["via"]) == 0 || !strings.Contains(f["via"][0], "branch=z9hG4bK"):
		return "no branch of the proxy's own"
	}
	return ""
}

// busy answers a request with 486.
func busy(message string) []byte {
	f := fieldsOf(message)
	b := []byte("SIP/2.0 486 Busy Here\r\n")
	for _, name := range []string{"via", "from", "to", "call-id", "cseq"} {
		for _, value := range f[name] {
			if name == "to" && !strings.Contains(value, "tag") {
				value += ";tag=busy"
			}
			b = fmt.Appendf(b, "%s: %s\r\n", name, value)
		}
	}
	return append(b, "Content-Length: 0\r\n\r\n"...)
}

var (
	fold    = regexp.MustCompile(`\r\n[ \t]+`)
	compact = map[string]string{"v": "via", "f": "from", "t": "to", "i": "call-id", "l": "content-length", "m": "contact"}
)

// fieldsOf reads a message's header fields: values by long name in lower case.
func fieldsOf(message string) map[string][]string {
	head, _, _ := strings.Cut(message, "\r\n\r\n")
	f := map[string][]string{}
	for _, line := range strings.Split(fold.ReplaceAllString(head, " "), "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if long, ok := compact[name]; ok {
			name = long
		}
		f[name] = append(f[name], strings.TrimSpace(value))
	}
	return f
}
