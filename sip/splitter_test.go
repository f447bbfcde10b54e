package sip_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// feed hands the pieces to a Splitter as a connection does, and returns the messages and the error that ended it.
func feed(s *sip.Splitter, pieces ...string) (messages []string, err error) {
	var buf []byte
	for _, piece := range pieces {
		buf = append(buf, piece...)
		for {
			skip, size, err := s.Split(buf)
			if err != nil {
				return messages, err
			}
			if size == 0 {
				buf = buf[skip:]
				break
			}
			messages = append(messages, string(buf[skip:skip+size]))
			buf = buf[skip+size:]
		}
	}
	return messages, nil
}

func newSplitter() *sip.Splitter {
	var p sip.Parser
	return p.NewSplitter()
}

// inPieces cuts text into pieces of n bytes.
func inPieces(text string, n int) (pieces []string) {
	for ; len(text) > n; text = text[n:] {
		pieces = append(pieces, text[:n])
	}
	return append(pieces, text)
}

// framed are the messages of the torture sets; where one does not say where it ends, it is written by us.
func framed(t testing.TB) (all []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/*/*.*")
	require.NoError(t, err)
	for _, file := range files {
		text := withEmptyLine(strings.TrimLeft(read(t, strings.TrimPrefix(file, "testdata/")), "\r\n"))
		skip, size, err := newSplitter().Split([]byte(text))
		if err == nil && size > 0 {
			all = append(all, text[skip:skip+size])
		} else if m, err := sip.Parse([]byte(text)); err == nil {
			all = append(all, string(sip.AppendMessage(nil, m, nil)))
		}
	}
	require.Greater(t, len(all), 400)
	return all
}

// RFC 3261 18.3: "In the case of stream-oriented transports such as TCP, the Content-Length header field indicates the size of the
// body. The Content-Length header field MUST be used with stream oriented transports."
func TestSplitterAtEveryByte(t *testing.T) {
	all := framed(t)
	for i, text := range all {
		next := all[(i+1)%len(all)]
		stream := "\r\n" + text + "\r\n\r\n" + next
		for at := range len(stream) {
			if at > 600 && at < len(text)-20 && len(text) > 3000 {
				continue // within one long body
			}
			messages, err := feed(newSplitter(), stream[:at], stream[at:])
			require.NoError(t, err)
			if len(messages) != 2 || messages[0] != text || messages[1] != next {
				require.Equal(t, []string{text, next}, messages)
			}
		}
	}
}

func TestSplitterPipeline(t *testing.T) {
	all := framed(t)
	stream := strings.Join(all, "\r\n")
	for _, n := range []int{1, 2, 3, 7, 100, 1460, len(stream)} {
		messages, err := feed(newSplitter(), inPieces(stream, n)...)
		require.NoError(t, err)
		require.Equal(t, all, messages)
	}
}

func TestSplitterContentLength(t *testing.T) {
	for _, field := range []string{
		"Content-Length: 4", "l:4", "L :\t0004 ", "CONTENT-LENGTH\r\n :\r\n 4", "content-length: \r\n\t4\r\n ", "l: 4\r\nContent-Length: 4",
		"Subject: Content-Length: 9\r\nContent-Length: 4", "X: y\r\n l: 9\r\nl: 4", "ll: 9\r\nC: 9\r\nContent-Lengths: 9\r\nl: 4",
	} {
		stream := "OPTIONS sip:a SIP/2.0\r\n" + field + "\r\n\r\nbody"
		for n := 1; n <= len(stream); n++ {
			messages, err := feed(newSplitter(), inPieces(stream+stream, n)...)
			require.NoError(t, err)
			require.Equal(t, []string{stream, stream}, messages)
		}
	}
}

func TestSplitterRefuses(t *testing.T) {
	request := "OPTIONS sip:a SIP/2.0\r\n"
	for _, test := range []struct {
		stream string
		cause  sip.Cause
	}{
		{"GET / HTTP/1.1\r\n", sip.CauseStartLine},
		{"\r\nPRI * HTTP/2.0\r\n", sip.CauseStartLine},
		{"OPTIONS sip:a\r\n", sip.CauseStartLine},
		{"\x16\x03\x01\x02\x00", sip.CauseControl},
		{"\x00", sip.CauseControl},
		{"\n", sip.CauseLineEnd},
		{"\rX", sip.CauseControl},
		{"OPTIONS sip:a SIP/2.0\n", sip.CauseLineEnd},
		{"OPTIONS\rsip:a SIP/2.0\r\n", sip.CauseControl},
		{request + "To: x\n", sip.CauseLineEnd},
		{request + "\n", sip.CauseLineEnd},
		{request + "\r\n", sip.CauseContentLength},
		{request + "l: 1\r\nContent-Length: 2\r\n\r\n", sip.CauseContentLength},
		{request + "l: -1\r\n\r\n", sip.CauseContentLength},
		{request + "l: five\r\n\r\n", sip.CauseContentLength},
		{request + "l:\r\n\r\n", sip.CauseContentLength},
		{request + "l: 5\r\n 0\r\n\r\n", sip.CauseContentLength},
		{request + "l: 5, 5\r\n\r\n", sip.CauseContentLength},
		{request + "l: 1000000000000000000\r\n\r\n", sip.CauseTooLarge},
		{request + "l: 18446744073709551620\r\n\r\n", sip.CauseTooLarge},
		{request + "l: 4294967300\r\n\r\n", sip.CauseTooLarge},
		{request + "l: 65535\r\n\r\n", sip.CauseTooLarge},
		{strings.Repeat("A", 16400), sip.CauseLineTooLong},
		{request + "X: " + strings.Repeat("A", 16400), sip.CauseLineTooLong},
		{request + "X: A" + strings.Repeat("\r\n A", 16400), sip.CauseLineTooLong},
		{request + strings.Repeat("X: "+strings.Repeat("A", 1000)+"\r\n", 100), sip.CauseLineTooLong},
	} {
		good := request + "l: 0\r\n\r\n"
		for _, n := range []int{1, 2, 5, 1 << 20} {
			if len(test.stream) > 5000 && n < 5 {
				continue
			}
			s := newSplitter()
			messages, err := feed(s, append([]string{good}, inPieces(test.stream, n)...)...)
			require.Equal(t, []string{good}, messages, "what came before is fine")
			var refusal *sip.ParseError
			require.ErrorAs(t, err, &refusal, "%.60q", test.stream)
			require.Equal(t, test.cause, refusal.Cause, "%.60q %v", test.stream, err)
			require.Contains(t, []int{400, 513}, refusal.Status)
			_, _, again := s.Split([]byte(good))
			require.Equal(t, err, again, "there is no way back")
		}
	}
}

// Other versions are for the parser, which can answer: 505; and so is white space at the end of the start line: 400.
func TestSplitterVersion(t *testing.T) {
	for _, text := range []string{"OPTIONS sip:a SIP/7.0\r\nl: 0\r\n\r\n", "OPTIONS sip:a SIP/2.0  \r\nl: 0\r\n\r\n", "SIP/3.0 200 OK\r\nl: 0\r\n\r\n", "sip/2.0 200\r\nl: 0\r\n\r\n"} {
		messages, err := feed(newSplitter(), text)
		require.NoError(t, err)
		require.Equal(t, []string{text}, messages)
	}
}

func TestSplitterSkips(t *testing.T) {
	s := newSplitter()
	for i, test := range []struct {
		buf        string
		skip, size int
	}{
		{"", 0, 0}, {"\r", 0, 0}, {"\r\n", 2, 0}, {"\r\n\r\n", 4, 0}, {"\r\n\r", 2, 0}, {"\r\nOPTIONS", 2, 0}, {"OPTIONS sip:a SIP/2.0\r\nl:0\r", 0, 0},
		{"OPTIONS sip:a SIP/2.0\r\nl:0\r\n\r\n\r\n", 0, 30}, {"\r\n", 2, 0},
	} {
		skip, size, err := s.Split([]byte(test.buf))
		require.NoError(t, err)
		require.Equal(t, [2]int{test.skip, test.size}, [2]int{skip, size}, strconv.Itoa(i))
	}
}
