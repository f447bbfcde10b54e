package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

const ping = "OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/%s 10.0.0.7:5060;branch=z9hG4bKping%d\r\nMax-Forwards: 70\r\n" +
	"From: <sip:a@example.com>;tag=1\r\nTo: <sip:example.com>\r\nCall-ID: ping\r\nCSeq: %[2]d OPTIONS\r\nContent-Length: 0\r\n\r\n"

func isPing(text []byte) bool { return bytes.Contains(text, []byte("\r\nCall-ID: ping\r\n")) }

func TestTortureOverUDP(t *testing.T) {
	runTorture(t, siptest.Link{}, func(b *bench, c torture, callee *siptest.Phone) {
		pc, err := b.sender.ListenPacket(b.Context(), "udp", "10.0.0.7:5060")
		require.NoError(b, err)
		defer pc.Close()
		text := c.text(b)
		server := net.UDPAddrFromAddrPort(b.host.AddrPort(5060))
		_, err = pc.WriteTo(text, server)
		require.NoError(b, err)
		time.Sleep(10 * time.Second)
		c.check(b, c.final, text, b.packets(text))
		c.checkRelayed(b, text, callee)

		b.net.Forget()
		alive := fmt.Appendf(nil, ping, "UDP", 1)
		_, err = pc.WriteTo(alive, server)
		require.NoError(b, err)
		time.Sleep(time.Second)
		requireAlive(b, b.packets(alive))
	})
}

// packets returns what the server has sent back for a message that came over UDP.
func (b *bench) packets(text []byte) (answers []answer) {
	b.Helper()
	for _, e := range b.net.Events() {
		a := answer(e.Data)
		if e.From != "server" || e.To != "sender" || isPing(text) != isPing(e.Data) {
			continue
		}
		answers = append(answers, a)
		// RFC 3261 section 18.2.2: to "the address in the "received" parameter, using the port indicated in the "sent-by"
		// value, or using port 5060 if none is specified explicitly".
		port := uint16(5060)
		if via, err := sip.ParseViaParm(a.fields(sip.Via)[0]); err == nil && via.Port != 0 && !via.HasRPort {
			port = via.Port
		}
		require.Equal(b, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.7"), port), e.Destination, "%s", e.Data)
	}
	return answers
}

// requireAlive wants the answer to ping.
func requireAlive(b *bench, answers []answer) {
	b.Helper()
	require.NotEmpty(b, answers)
	last := answers[len(answers)-1]
	require.Equal(b, 200, last.status())
	require.Equal(b, []string{"ping"}, last.fields(sip.CallID))
}

// checkRelayed: what has reached the phone is the message, with its start line, unknown header fields and body.
func (c torture) checkRelayed(b *bench, text []byte, callee *siptest.Phone) {
	if c.user == "" || c.final[0] == sip.StatusTooManyHops {
		callee.WantNoRequest(time.Second)
		return
	}
	sent, err := sip.Parse(text)
	require.NoError(b, err)
	in := callee.WantRequest(sent.Method())
	require.Equal(b, sent.Body(), in.Body())
	for name, value := range sent.Headers() {
		switch name {
		case sip.Via, sip.MaxForwards, sip.RecordRoute, sip.Route, sip.ContentLength:
			continue
		}
		require.Contains(b, slices.Collect(in.Lines(name)), value, name)
	}
}

func TestTortureOverTCP(t *testing.T) {
	runTorture(t, siptest.Link{}, func(b *bench, c torture, callee *siptest.Phone) {
		text := c.text(b)
		answers, open := exchange(b, text)
		c.check(b, c.onStream(), text, answers)
		require.Equal(b, c.closes, !open, "the connection is closed")
		if !c.closes {
			c.checkRelayed(b, text, callee)
		}
	})
}

// Byte by byte: each is a read of its own.
func TestTortureOverTCPInBytes(t *testing.T) {
	runTorture(t, siptest.Link{Chunk: 1}, func(b *bench, c torture, callee *siptest.Phone) {
		text := c.text(b)
		answers, open := exchange(b, text)
		c.check(b, c.onStream(), text, answers)
		require.Equal(b, c.closes, !open, "the connection is closed")
	})
}

// Cut in two at every byte, one copy after the other on the same connection: each copy counts as one message of its kind,
// and the connection stays in step.
func TestTortureOverTCPInTwoPieces(t *testing.T) {
	runTorture(t, siptest.Link{}, func(b *bench, c torture, callee *siptest.Phone) {
		if c.closes {
			return
		}
		text := c.text(b)
		before := counted(b)
		_, open := exchange(b, text)
		require.True(b, open)
		one := counted(b).minus(before)
		require.EqualValues(b, 2, one.messages, "the message and the ping")

		var pieces [][]byte
		for i := 1; i < len(text); i++ {
			pieces = append(pieces, text[:i], text[i:])
		}
		before = counted(b)
		_, open = exchange(b, pieces...)
		require.True(b, open)
		n := uint64(len(text) - 1)
		got := counted(b).minus(before)
		require.Equal(b, n+1, got.messages)
		require.Equal(b, n*one.invalid, got.invalid)
	})
}

// kinds counts messages from streams: all, and those that are malformed.
type kinds struct{ messages, invalid uint64 }

func (k kinds) minus(o kinds) kinds { return kinds{k.messages - o.messages, k.invalid - o.invalid} }

func counted(b *bench) kinds {
	s := b.proxy.server.Stats()
	return kinds{s.Transport.Stream.In, s.InvalidAnswered + s.InvalidDropped}
}

// exchange writes pieces on a new connection, each when the one before has been read, then asks for a sign of life: on that
// connection, or on another one if the server has closed it. It returns all answers but the last, and whether the
// connection was open.
func exchange(b *bench, pieces ...[]byte) (answers []answer, open bool) {
	b.Helper()
	conn := b.dial()
	defer conn.Close()
	for _, piece := range pieces {
		if _, err := conn.Write(piece); err != nil {
			break // closed already
		}
		time.Sleep(20 * time.Millisecond)
	}
	data, open := conn.receive(30 * time.Second)
	answers = split(b, data)
	if !open {
		conn = b.dial()
		defer conn.Close()
	}
	_, err := conn.Write(fmt.Appendf(nil, ping, "TCP", 1))
	require.NoError(b, err)
	data, _ = conn.receive(time.Second)
	requireAlive(b, split(b, data))
	return answers, open
}

// client is a connection that is read all the time.
type client struct {
	net.Conn
	mu    sync.Mutex
	data  []byte
	ended bool
}

func (b *bench) dial() *client {
	b.Helper()
	conn, err := b.sender.Dial(b.Context(), "tcp", "", b.host.AddrPort(5060).String())
	require.NoError(b, err)
	c := &client{Conn: conn}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			c.mu.Lock()
			c.data = append(c.data, buf[:n]...)
			c.ended = err != nil
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return c
}

// receive returns what has come after a while, and whether the connection is still open.
func (c *client) receive(d time.Duration) (data []byte, open bool) {
	time.Sleep(d)
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	data, c.data = c.data, nil
	return data, !c.ended
}

// split returns the messages of a stream.
func split(b *bench, data []byte) (answers []answer) {
	b.Helper()
	var p sip.Parser
	s := p.NewSplitter()
	for len(data) > 0 {
		skip, size, err := s.Split(data)
		require.NoError(b, err)
		require.NotZero(b, size, "an incomplete message: %q", data)
		answers = append(answers, answer(data[skip:skip+size]))
		data = data[skip+size:]
	}
	return answers
}

// Everything that others have written to break parsers, one after the other: each datagram is in one of the counters, and
// the server lives.
func TestWholeCorpus(t *testing.T) {
	runBench(t, siptest.Options{Record: -1}, func(b *bench) {
		pc, err := b.net.Host("sender", "10.0.0.7").ListenPacket(b.Context(), "udp", "10.0.0.7:5060")
		require.NoError(b, err)
		defer pc.Close()
		sent := 0
		require.NoError(b, filepath.WalkDir("../../sip/testdata", func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, text := range [][]byte{data, append(data, "\r\n"...)} {
				if len(text) > 0 && len(text) < 65000 {
					_, err = pc.WriteTo(text, net.UDPAddrFromAddrPort(b.host.AddrPort(5060)))
					require.NoError(b, err)
					sent++
				}
			}
			time.Sleep(10 * time.Millisecond)
			return nil
		}))
		require.Greater(b, sent, 900)
		b.settle()
		s := b.proxy.server.Stats()
		require.EqualValues(b, sent, s.Transport.UDP.In)
		require.EqualValues(b, sent, s.RequestsReceived+s.ResponsesReceived+s.Keepalives+s.InvalidAnswered+s.InvalidDropped)
		alice := b.phone("alice", "10.0.0.2", "UDP")
		alice.Request(sip.OPTIONS, "sip:example.org").WantStatus(200)
	})
}
