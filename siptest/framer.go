package siptest

import (
	"bytes"
	"strconv"
	"strings"
)

// framer finds the messages in one direction of a stream, for ladders and phones. It knows what RFC 3261 section 18.3
// says and nothing else: it does not judge, and goes silent where the bytes are not SIP, as those of TLS.
type framer struct {
	buf    []byte
	silent bool
}

// maxFrame is where a framer gives up.
const maxFrame = 256 << 10

// add takes bytes as they were written and returns the messages that are complete with them, keepalives included.
func (f *framer) add(data []byte) [][]byte {
	if f.silent {
		return nil
	}
	f.buf = append(f.buf, data...)
	var out [][]byte
	for len(f.buf) > 0 {
		n := frame(f.buf)
		if n < 0 || n == 0 && len(f.buf) > maxFrame {
			f.silent, f.buf = true, nil
			break
		}
		if n == 0 {
			break
		}
		out = append(out, bytes.Clone(f.buf[:n]))
		f.buf = f.buf[n:]
	}
	return out
}

// frame returns the length of the first message, 0 if it is not complete, -1 if this is not SIP. CRLFs before a
// message are a keepalive (RFC 5626 section 4.4.1): two of them a ping, one a pong.
func frame(buf []byte) int {
	if buf[0] == '\r' || buf[0] == '\n' {
		if bytes.HasPrefix(buf, []byte("\r\n\r\n")) {
			return 4
		}
		if bytes.HasPrefix(buf, []byte("\r\n")) {
			return 2
		}
		return min(1, len(buf)-1)
	}
	if buf[0] < 'A' || buf[0] > 'z' {
		return -1
	}
	head := bytes.Index(buf, []byte("\r\n\r\n"))
	if head < 0 {
		return 0
	}
	head += 4
	for v := range fieldLines(string(buf[:head]), "Content-Length") {
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil || n < 0 || n > maxFrame {
			return -1
		}
		if head+n > len(buf) {
			return 0
		}
		return head + n
	}
	return head
}
