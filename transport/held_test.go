//go:build unix

package transport_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

// A batch is several messages that the reader of a socket or connection finds at once: the first message, "gate", is kept in
// Receive until the others have been sent.
type batch struct {
	*recorder
	peer net.Conn
	gate chan bool
}

// newBatch starts a Layer that calls receive for what follows "gate", and a peer that has sent it those messages.
func newBatch(t *testing.T, p transport.Protocol, cfg transport.Config, receive func(*batch, *transport.Packet), messages ...string) *batch {
	b := &batch{gate: make(chan bool)}
	cfg.Receive = func(p *transport.Packet) {
		if string(p.Data) == "gate\n" {
			<-b.gate
			return
		}
		receive(b, p)
	}
	b.recorder = start(t, cfg)
	to := b.listen(p, "127.0.0.1:0").Addr
	var err error
	b.peer, err = net.Dial(map[transport.Protocol]string{transport.UDP: "udp4", transport.TCP: "tcp4"}[p], to.String())
	require.NoError(t, err)
	t.Cleanup(func() { b.peer.Close() })
	for _, m := range append([]string{"gate\n"}, messages...) {
		_, err := b.peer.Write([]byte(m))
		require.NoError(t, err)
	}
	b.gate <- true
	return b
}

// read reads so many lines from what the peer gets.
func (b *batch) read(lines int) (got []string) {
	b.t.Helper()
	buf := make([]byte, 65536)
	text := ""
	for strings.Count(text, "\n") < lines {
		n, err := b.peer.Read(buf)
		require.NoError(b.t, err)
		text += string(buf[:n])
	}
	return strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
}

func (b *batch) send(f transport.Flow, text string) {
	if err := b.layer.Send(f, []byte(text)); err != nil {
		b.t.Error(err)
	}
}

func numbered(n int) (messages []string) {
	for i := range n {
		messages = append(messages, fmt.Sprintf("%d\n", i))
	}
	return messages
}

func eachProtocol(t *testing.T, test func(t *testing.T, p transport.Protocol)) {
	for _, p := range []transport.Protocol{transport.UDP, transport.TCP} {
		t.Run(p.String(), func(t *testing.T) { test(t, p) })
	}
}

// What is sent while a reader works on a batch leaves in the order in which it was sent, whoever sent it and however long it is.
func TestHeldMessagesKeepTheirOrder(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p transport.Protocol) {
		long := strings.Repeat("x", 3000)
		receive := func(b *batch, p *transport.Packet) {
			n := strings.TrimSpace(string(p.Data))
			b.send(p.Flow, "reader "+n+"\n")
			done := make(chan bool)
			go func() {
				defer close(done)
				b.send(p.Flow, "other "+n+"\n")
				if strings.HasSuffix(n, "9") {
					b.send(p.Flow, long+n+"\n")
				}
			}()
			<-done
			b.send(p.Flow, "reader again "+n+"\n")
		}
		const count = 40 // more than a queue takes
		var want []string
		for _, n := range numbered(count) {
			want = append(want, "reader "+n, "other "+n)
			if strings.HasSuffix(n, "9\n") {
				want = append(want, long+n)
			}
			want = append(want, "reader again "+n)
		}
		b := newBatch(t, p, transport.Config{}, receive, numbered(count)...)
		require.Equal(t, strings.Join(want, ""), strings.Join(b.read(len(want)), "")+"\n")
	})
}

// A Receive that leaves its reader holds nothing back.
func TestHeldMessagesLeaveWithDetach(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p transport.Protocol) {
		wait := make(chan bool)
		b := newBatch(t, p, transport.Config{}, func(b *batch, p *transport.Packet) {
			b.send(p.Flow, string(p.Data))
			if string(p.Data) == "0\n" {
				p.Detach()
				<-wait
			}
		}, numbered(3)...)
		require.Equal(t, "0\n1\n2", strings.Join(b.read(3), ""))
		close(wait)
	})
}

// What was sent before Shutdown is written, also if it was held.
func TestHeldMessagesAreWrittenByShutdown(t *testing.T) {
	eachProtocol(t, func(t *testing.T, p transport.Protocol) {
		sent, wait := make(chan bool, 2), make(chan bool)
		b := newBatch(t, p, transport.Config{}, func(b *batch, p *transport.Packet) {
			if string(p.Data) == "0\n" {
				b.send(p.Flow, "bye\n")
				sent <- true
				<-wait
			}
		}, numbered(2)...)
		<-sent
		ended := make(chan error)
		go func() { ended <- b.layer.Shutdown(context.Background()) }()
		if p == transport.UDP {
			require.Equal(t, []string{"bye"}, b.read(1)) // while Receive still runs
		}
		close(wait)
		require.NoError(t, <-ended)
		if p == transport.TCP {
			require.Equal(t, []string{"bye"}, b.read(1))
		}
	})
}

// A datagram that the kernel refuses after it was queued is told of, and those around it are sent.
func TestHeldDatagramRefused(t *testing.T) {
	nowhere := netip.MustParseAddrPort("127.0.0.1:0")
	type refusal struct {
		to   netip.AddrPort
		text string
	}
	told := make(chan refusal, 1)
	b := newBatch(t, transport.UDP, transport.Config{SendFailed: func(f transport.Flow, data []byte, err error) {
		if err == nil {
			t.Error("without an error")
		}
		told <- refusal{f.Remote, string(data)}
	}}, func(b *batch, p *transport.Packet) {
		b.send(p.Flow, string(p.Data))
		if string(p.Data) == "1\n" {
			lost := p.Flow
			lost.Remote = nowhere
			// Alone it is refused at once, among others later.
			if err := b.layer.Send(lost, []byte("lost")); err != nil {
				told <- refusal{nowhere, "lost"}
			}
		}
	}, numbered(3)...)
	require.Equal(t, "0\n1\n2", strings.Join(b.read(3), ""))
	require.Equal(t, refusal{nowhere, "lost"}, <-told)
	stats := b.layer.Stats().UDP
	require.EqualValues(t, 3, stats.Out)
	require.EqualValues(t, 1, stats.SendErrors)
}

// Who asks is answered although another connection's Receive takes long, and also if he has said that he will say no more.
func TestHeldByAnotherReader(t *testing.T) {
	wait, blocked := make(chan bool), make(chan bool, 1)
	b := newBatch(t, transport.TCP, transport.Config{}, func(b *batch, p *transport.Packet) {
		switch string(p.Data) {
		case "0\n":
			blocked <- true
			<-wait
		case "ask\n":
			b.send(p.Flow, "answer\n")
		}
	}, numbered(2)...)
	defer close(wait)
	<-blocked
	for range 20 {
		c, err := net.Dial("tcp4", b.peer.RemoteAddr().String())
		require.NoError(t, err)
		_, err = c.Write([]byte("ask\n"))
		require.NoError(t, err)
		require.NoError(t, c.(*net.TCPConn).CloseWrite())
		text, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "answer\n", string(text))
		c.Close()
	}
}

// What is held does not count as a peer that does not read.
func TestHeldIsNoFullQueue(t *testing.T) {
	b := newBatch(t, transport.TCP, transport.Config{WriteQueue: 1000, MaxBuffered: 2000}, func(b *batch, p *transport.Packet) {
		b.send(p.Flow, strings.Repeat("x", 400)+"\n")
	}, numbered(30)...)
	require.Len(t, b.read(30), 30)
}

// blocking is a listener whose connections were made blocking by somebody who wanted their file descriptors.
type blocking struct{ net.Listener }

func (l blocking) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return nil, err
	}
	f.Fd()
	return c, f.Close()
}

func TestHostBlockingSocket(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	var r *recorder
	r = start(t, transport.Config{Receive: func(p *transport.Packet) {
		if err := r.layer.Send(p.Flow, p.Data); err != nil {
			t.Error(err)
		}
	}})
	_, err = r.layer.ServeStream(blocking{ln}, "")
	require.NoError(t, err)
	for range 4 { // more than there are processors, perhaps
		c, err := net.Dial("tcp4", ln.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		for range 2 {
			_, err = c.Write([]byte("ask\n"))
			require.NoError(t, err)
			buf := make([]byte, 10)
			n, err := c.Read(buf)
			require.NoError(t, err)
			require.Equal(t, "ask\n", string(buf[:n]))
		}
	}
}
