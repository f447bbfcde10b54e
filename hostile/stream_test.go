package hostile_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// manyConnections is what one source may have by default.
const manyConnections = 1000

// dial opens connections to the server.
func (b *bench) dial(count int) []net.Conn {
	b.Helper()
	conns := make([]net.Conn, count)
	for i := range conns {
		c, err := b.mallory.Dial(b.Context(), "tcp", "", b.host.AddrPort(5060).String())
		require.NoError(b, err)
		conns[i] = c
	}
	b.conns = append(b.conns, conns...)
	return conns
}

// requireClosed wants the server to have closed a connection.
func (b *bench) requireClosed(c net.Conn) {
	b.Helper()
	require.NoError(b, c.SetReadDeadline(time.Now().Add(time.Second)))
	buf := make([]byte, 4096)
	for {
		if _, err := c.Read(buf); err != nil {
			require.False(b, errors.Is(err, os.ErrDeadlineExceeded), "it is open")
			c.Close()
			return
		}
	}
}

// What nobody can find the end of, or nobody wants to, closes the connection, and no more is held than a message may have.
func TestMonstrousStreams(t *testing.T) {
	head := "OPTIONS sip:example.org SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.66;branch=z9hG4bKm\r\nMax-Forwards: 70\r\n" +
		"From: <sip:m@example.org>;tag=1\r\nTo: <sip:example.org>\r\nCall-ID: m\r\nCSeq: 1 OPTIONS\r\n"
	for _, c := range []struct{ name, text string }{
		{"200,000 header fields", head + strings.Repeat("a: b\r\n", 200_000) + "Content-Length: 0\r\n\r\n"},
		{"an endless header field", head + "X: " + strings.Repeat("x", 10<<20)},
		{"an endless folded one", head + "X: a" + strings.Repeat("\r\n x", 1<<20)},
		{"an endless start line", "OPTIONS sip:" + strings.Repeat("x", 1<<20)},
		{"Content-Length 10^18", head + "Content-Length: 1000000000000000000\r\n\r\n" + strings.Repeat("x", 1<<20)},
		{"Content-Length 2^64", head + "Content-Length: 18446744073709551616\r\n\r\n"},
		{"Content-Length 2^32", head + "Content-Length: 4294967296\r\n\r\n"},
		{"two Content-Lengths", head + "Content-Length: 0\r\nl: 5\r\n\r\n"},
		{"no Content-Length", head + "\r\n"},
		{"a body of 100 MB", head + "Content-Length: 100000000\r\n\r\n"},
		{"HTTP", "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
		{"zeros", strings.Repeat("\x00", 1<<20)},
		{"line feeds", strings.Repeat("\n", 1<<20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			runBench(t, func(b *bench) {
				ends := b.server.Stats().Transport.Stream.Closed
				conn := b.dial(1)[0]
				most := int64(0)
				for text := c.text; len(text) > 0; text = text[min(len(text), 8192):] {
					if _, err := conn.Write([]byte(text[:min(len(text), 8192)])); err != nil {
						break
					}
					most = max(most, b.server.Stats().Transport.Stream.Buffered)
				}
				b.call()
				b.requireClosed(conn)
				require.LessOrEqual(b, most, int64(256<<10))
				got := b.server.Stats().Transport.Stream.Closed
				require.Equal(b, ends.Garbage+ends.TooLarge+1, got.Garbage+got.TooLarge)
			})
		})
	}
}

// A thousand connections that send a byte a second never get a message done.
func TestSlowBytes(t *testing.T) {
	runBench(t, func(b *bench) {
		before := b.server.Stats().Transport.Stream
		conns := b.dial(manyConnections)
		slow := func(text string, seconds int) {
			for i := range seconds {
				if i == seconds/2 {
					b.call()
				}
				for _, c := range conns {
					_, _ = c.Write([]byte(text[i : i+1]))
				}
				time.Sleep(time.Second)
			}
		}
		// The source has all that it may have.
		extra := b.dial(1)[0]
		b.requireClosed(extra)
		require.EqualValues(b, 1, b.server.Stats().Transport.Stream.RefusedSource-before.RefusedSource)

		// Half of them have sent a message before.
		for i, c := range conns[:manyConnections/2] {
			_, err := c.Write([]byte(message("OPTIONS", "sip:example.org", "10.0.0.66", i)))
			require.NoError(b, err)
		}
		slow("INVITE sip:bob@example.org SIP/2.0\r\n", 21)
		for _, c := range conns {
			b.requireClosed(c)
		}
		closed := b.server.Stats().Transport.Stream.Closed
		require.EqualValues(b, manyConnections/2, closed.FirstMessageTimeout-before.Closed.FirstMessageTimeout)
		require.EqualValues(b, manyConnections/2, closed.MessageTimeout-before.Closed.MessageTimeout)
	})
}

func TestSilentConnections(t *testing.T) {
	runBench(t, func(b *bench) {
		before := b.server.Stats().Transport.Stream.Closed
		conns := b.dial(manyConnections)
		// Line ends are no messages.
		for _, c := range conns[:100] {
			_, err := c.Write([]byte("\r\n\r\n"))
			require.NoError(b, err)
		}
		b.call()
		time.Sleep(21 * time.Second)
		for _, c := range conns {
			b.requireClosed(c)
		}
		closed := b.server.Stats().Transport.Stream.Closed
		require.EqualValues(b, manyConnections, closed.FirstMessageTimeout-before.FirstMessageTimeout)
	})
}

// Connections that ask and never read hold a bounded queue each, and not for long.
func TestDeafConnections(t *testing.T) {
	const count, asked = 30, 400
	runBench(t, func(b *bench) {
		before := b.server.Stats().Transport.Stream.Closed
		conns := b.dial(count)
		for i := range asked {
			for j, c := range conns {
				_, err := c.Write([]byte(message("OPTIONS", "sip:example.org", "10.0.0.66", i*count+j)))
				require.NoError(b, err)
			}
		}
		b.call()
		synctest.Wait()
		require.Positive(b, b.server.Stats().Transport.Stream.Queued)
		time.Sleep(45 * time.Second) // WriteTimeout without any progress, which there may have been once
		closed := b.server.Stats().Transport.Stream.Closed
		require.EqualValues(b, count, closed.WriteTimeout-before.WriteTimeout)
	})
	runBench(t, func(b *bench) {
		before := b.server.Stats().Transport.Stream.Closed
		for i, c := range b.dial(count) {
			for j := range asked {
				if _, err := c.Write([]byte(message("OPTIONS", "sip:example.org", "10.0.0.66", i*asked+j))); err != nil {
					break
				}
			}
		}
		b.call()
		closed := b.server.Stats().Transport.Stream.Closed
		require.EqualValues(b, count, closed.QueueFull-before.QueueFull)
	}, func(b *bench) { b.server.Transport.WriteQueue = 16 << 10 })
}

// Connections that come and go at once, a message half done or not.
func TestHastyConnections(t *testing.T) {
	runBench(t, func(b *bench) {
		for i := range 2000 {
			c := b.dial(1)[0]
			switch i % 4 {
			case 1:
				_, _ = c.Write([]byte("INVITE sip:bob@exam"))
			case 2:
				_, _ = fmt.Fprint(c, message("OPTIONS", "sip:example.org", "10.0.0.66", i))
			case 3:
				_, _ = fmt.Fprint(c, message("INVITE", "sip:dead@example.org", "10.0.0.66", i))
			}
			c.Close()
			if i == 1000 {
				b.call()
			}
		}
	})
}

// Above MaxAccepted further connections are closed at once, those that stand go on, and there is room again when they end.
func TestTooManyConnections(t *testing.T) {
	const most, more = 50, 20
	runBench(t, func(b *bench) {
		before := b.server.Stats().Transport.Stream
		conns := b.dial(most - 1) // bob has one
		for _, c := range b.dial(more) {
			b.requireClosed(c)
		}
		require.EqualValues(b, more, b.server.Stats().Transport.Stream.RefusedTotal-before.RefusedTotal)
		b.call()
		for _, c := range conns {
			_, err := fmt.Fprint(c, message("OPTIONS", "sip:example.org", "10.0.0.66", 1))
			require.NoError(b, err)
			c.Close()
		}
		time.Sleep(time.Second)
		again := b.dial(1)[0]
		_, err := fmt.Fprint(again, message("OPTIONS", "sip:example.org", "10.0.0.66", 2))
		require.NoError(b, err)
		require.NoError(b, again.SetReadDeadline(time.Now().Add(time.Second)))
		_, err = again.Read(make([]byte, 4096))
		require.NoError(b, err)
	}, func(b *bench) { b.server.Transport.MaxAccepted = most })
}
