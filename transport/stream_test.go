package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

const server = "192.0.2.1:5060"

// phone dials the server of n, as a peer that is no Layer.
func phone(t testing.TB, n *memNet, local string) net.Conn {
	t.Helper()
	c, err := n.Dial(t.Context(), "tcp4", local, server)
	require.NoError(t, err)
	return c
}

func write(t testing.TB, c net.Conn, s string) {
	t.Helper()
	_, err := io.WriteString(c, s)
	require.NoError(t, err)
}

// RFC 3261 section 18: "These connections are indexed by the tuple formed from the address, port, and transport
// protocol at the far end of the connection."
func TestStreamBothWaysOverOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		a, b := start(t, transport.Config{Network: n}), start(t, transport.Config{Network: n})
		ls := a.listen(transport.TCP, server)

		bf := b.connect(transport.TCP, ls.Addr)
		require.NoError(t, b.layer.Send(bf, []byte("hello\n")))
		af := a.want("hello\n")
		require.Equal(t, transport.TCP, af.Protocol)
		require.Equal(t, ls.Addr, af.Local)
		require.Equal(t, bf.Local, af.Remote)

		require.NoError(t, a.layer.Send(af, []byte("welcome\n")))
		require.Equal(t, bf, b.want("welcome\n"))

		// "When a connection is opened by the transport layer, this index is set to the destination IP, port and
		// transport."
		require.Equal(t, bf, b.connect(transport.TCP, ls.Addr))
		// "When the connection is accepted by the transport layer, this index is set to the source IP address, port
		// number, and transport."
		require.Equal(t, af, a.connect(transport.TCP, af.Remote))
		require.Equal(t, 1, n.dials)
	})
}

func TestStreamPipelinedMessagesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n})
		r.listen(transport.TCP, server)
		c := phone(t, n, "192.0.2.9:5060")
		var all strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&all, "\n\n%d %s\n", i, strings.Repeat("x", i%700))
		}
		write(t, c, all.String())
		for i := range 5000 {
			r.want(fmt.Sprintf("%d %s\n", i, strings.Repeat("x", i%700)))
		}
		synctest.Wait()
		r.nothing()
		require.EqualValues(t, 5000, r.layer.Stats().Stream.In)
		require.EqualValues(t, all.Len(), r.layer.Stats().Stream.BytesIn)
		c.Close()
		r.wantEnd(io.EOF)
	})
}

func TestStreamByteByByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n})
		r.listen(transport.TCP, server)
		c := phone(t, n, "192.0.2.9:5060")
		long := strings.Repeat("y", 3000) + "\n"
		for _, b := range []byte("first\n\n" + long) {
			write(t, c, string(b))
			synctest.Wait()
		}
		r.want("first\n")
		r.want(long)
		c.Close()
		r.wantEnd(io.EOF)
		require.Zero(t, r.layer.Stats().Stream.Buffered)
	})
}

// RFC 5626 section 5.4: "When a server receives a double CRLF sequence between SIP messages on a connection-oriented
// transport such as TCP or SCTP, it MUST immediately respond with a single CRLF over the same connection." Here lines
// end with LF.
func TestStreamKeepaliveIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		var r *recorder
		r = start(t, transport.Config{Network: n, Skipped: func(f transport.Flow, b []byte) {
			require.Equal(t, "\n\n", string(b))
			require.NoError(t, r.layer.Send(f, b[:1]))
		}})
		r.listen(transport.TCP, server)
		c := phone(t, n, "")
		write(t, c, "\n\none\n\n\n")
		r.want("one\n")
		b := make([]byte, 2)
		_, err := io.ReadFull(c, b)
		require.NoError(t, err)
		require.Equal(t, "\n\n", string(b), "two answers")
	})
}

func TestStreamGarbageClosesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n})
		r.listen(transport.TCP, server)
		c := phone(t, n, "192.0.2.9:5060")
		write(t, c, "good\nbad\x00\nnever seen\n")
		r.want("good\n")
		f := r.wantEnd(transport.ErrGarbage)
		synctest.Wait()
		r.nothing()
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.EqualValues(t, 1, r.layer.Stats().Stream.Closed.Garbage)
		require.ErrorIs(t, r.layer.Send(f, []byte("x\n")), transport.ErrFlowGone)
		require.EqualValues(t, 1, r.layer.Stats().Stream.SendGone)
	})
}

// brokenSplitter returns numbers that do not fit.
type brokenSplitter struct{ skip, size int }

func (s brokenSplitter) Split([]byte) (int, int, error) { return s.skip, s.size, nil }

func TestStreamBrokenSplitter(t *testing.T) {
	for _, s := range []brokenSplitter{{-1, 0}, {0, -1}, {100, 0}, {1, 5}, {0, 6}, {math.MaxInt/2 + 1, math.MaxInt/2 + 1}} {
		synctest.Test(t, func(t *testing.T) {
			n := newMemNet("192.0.2.1")
			r := start(t, transport.Config{Network: n, NewSplitter: func() transport.Splitter { return s }})
			r.listen(transport.TCP, server)
			write(t, phone(t, n, ""), "12345")
			r.wantEnd(transport.ErrGarbage)
		})
	}
}

func TestStreamMessageTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n, MaxMessage: 1000})
		r.listen(transport.TCP, server)
		c := phone(t, n, "")
		fits := strings.Repeat("f", 999) + "\n"
		write(t, c, fits+strings.Repeat("l", 1001))
		r.want(fits)
		r.wantEnd(transport.ErrTooLarge)
		write(t, phone(t, n, ""), strings.Repeat("l", 1000)+"\n") // complete at once
		r.wantEnd(transport.ErrTooLarge)
		require.EqualValues(t, 2, r.layer.Stats().Stream.Closed.TooLarge)
	})
}

func TestStreamDeadlines(t *testing.T) {
	const (
		first = 10 * time.Second
		whole = 20 * time.Second
		idle  = time.Hour
	)
	for _, tc := range []struct {
		name  string
		play  func(t *testing.T, c net.Conn)
		cause error
		after time.Duration
	}{
		{"silent from the start", func(*testing.T, net.Conn) {}, transport.ErrFirstMessageTimeout, first},
		{"keepalives do not count as a first message", func(t *testing.T, c net.Conn) {
			for range 4 {
				time.Sleep(first / 5)
				write(t, c, "\n\n")
			}
		}, transport.ErrFirstMessageTimeout, first},
		{"slow first message", func(t *testing.T, c net.Conn) {
			for range 9 {
				time.Sleep(first / 10)
				write(t, c, "a")
			}
		}, transport.ErrFirstMessageTimeout, first},
		{"slow second message", func(t *testing.T, c net.Conn) {
			write(t, c, "one\n")
			time.Sleep(time.Minute)
			for range 19 {
				write(t, c, "a")
				time.Sleep(whole / 20)
			}
		}, transport.ErrMessageTimeout, time.Minute + whole},
		{"second message begins in the packet of the first", func(t *testing.T, c net.Conn) {
			write(t, c, "one\ntw")
			time.Sleep(whole - 1)
			write(t, c, "o")
		}, transport.ErrMessageTimeout, whole},
		{"each message has its own time", func(t *testing.T, c net.Conn) {
			write(t, c, "one\ntw")
			time.Sleep(whole - 1)
			write(t, c, "o\nthr")
			time.Sleep(whole - 1)
			write(t, c, "e")
		}, transport.ErrMessageTimeout, 2*whole - 1},
		{"idle", func(t *testing.T, c net.Conn) { write(t, c, "one\n") }, transport.ErrIdle, idle},
		{"idle after a slow message", func(t *testing.T, c net.Conn) {
			write(t, c, "o")
			time.Sleep(first - 1)
			write(t, c, "ne\n")
		}, transport.ErrIdle, first - 1 + idle},
		{"keepalives keep it", func(t *testing.T, c net.Conn) {
			write(t, c, "one\n")
			for range 10 {
				time.Sleep(idle - 1)
				write(t, c, "\n\n")
			}
		}, transport.ErrIdle, 10*(idle-1) + idle},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newMemNet("192.0.2.1")
				r := start(t, transport.Config{
					Network: n, FirstMessageTimeout: first, MessageTimeout: whole, IdleTimeout: idle,
				})
				r.listen(transport.TCP, server)
				began := time.Now()
				c := phone(t, n, "192.0.2.9:5060")
				tc.play(t, c)
				_, err := c.Read(make([]byte, 1))
				require.ErrorIs(t, err, io.EOF)
				require.Equal(t, tc.after, time.Since(began))
				for g := range r.events {
					if g.end {
						require.ErrorIs(t, g.err, tc.cause)
						break
					}
				}
			})
		})
	}
}

// RFC 3261 section 18: "It is RECOMMENDED that connections be kept open for some implementation-defined duration after
// the last message was sent or received over that connection."
func TestStreamSendingKeepsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n, IdleTimeout: time.Hour})
		r.listen(transport.TCP, server)
		began := time.Now()
		c := phone(t, n, "")
		write(t, c, "one\n")
		f := r.want("one\n")
		time.Sleep(50 * time.Minute)
		require.NoError(t, r.layer.Send(f, []byte("two\n")))
		r.wantEnd(transport.ErrIdle)
		require.Equal(t, 110*time.Minute, time.Since(began))
	})
}

func TestStreamNoDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{
			Network: n, FirstMessageTimeout: -1, MessageTimeout: -1, IdleTimeout: -1, WriteTimeout: -1, DialTimeout: -1,
		})
		r.listen(transport.TCP, server)
		c := phone(t, n, "")
		write(t, c, "o")
		time.Sleep(10 * 365 * 24 * time.Hour)
		write(t, c, "ne\n")
		f := r.want("one\n")
		require.NoError(t, r.layer.Send(f, []byte("two\n")))
		b := make([]byte, 10)
		m, err := c.Read(b)
		require.NoError(t, err)
		require.Equal(t, "two\n", string(b[:m]))
	})
}

func TestStreamSlowLoris(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const attackers = 1000
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n, MaxPerSource: attackers})
		r.listen(transport.TCP, server)
		var conns []net.Conn
		for range attackers {
			conns = append(conns, phone(t, n, "192.0.2.66:0"))
		}
		for range 19 {
			time.Sleep(time.Second)
			for _, c := range conns {
				write(t, c, "INVITE and so on ")
			}
		}
		synctest.Wait()
		st := r.layer.Stats().Stream
		require.Equal(t, attackers, st.Connections)
		require.LessOrEqual(t, st.Buffered, int64(attackers*1024), "no more than twice what was sent")

		good := phone(t, n, "192.0.2.9:5060") // others are served
		write(t, good, "one\n")
		r.want("one\n")

		time.Sleep(time.Second)
		for range attackers {
			r.wantEnd(transport.ErrFirstMessageTimeout)
		}
		st = r.layer.Stats().Stream
		require.Equal(t, 1, st.Connections)
		require.EqualValues(t, attackers, st.Closed.FirstMessageTimeout)
		for _, c := range conns {
			c.Close()
		}
	})
}

func TestStreamNeverReadingPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		n.window = 1000
		r := start(t, transport.Config{Network: n, WriteQueue: 10_000})
		r.listen(transport.TCP, server)
		c := phone(t, n, "")
		write(t, c, "one\n")
		f := r.want("one\n")
		msg := []byte(strings.Repeat("m", 99) + "\n")
		began, sent := time.Now(), 0
		var err error
		for err == nil {
			synctest.Wait()
			err = r.layer.Send(f, msg)
			sent++
		}
		require.ErrorIs(t, err, transport.ErrQueueFull)
		require.Equal(t, 10+100+1, sent, "what is in flight, what is queued, and the one that was refused")
		require.Zero(t, time.Since(began), "Send waited")
		r.wantEnd(transport.ErrQueueFull)
		st := r.layer.Stats().Stream
		require.EqualValues(t, 1, st.Closed.QueueFull)
		require.EqualValues(t, 1, st.SendErrors)
		require.EqualValues(t, 110, st.Out)
		require.Zero(t, st.Queued)
		require.ErrorIs(t, r.layer.Send(f, msg), transport.ErrFlowGone)
	})
}

func TestStreamWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		n.window = 1000
		r := start(t, transport.Config{Network: n, WriteTimeout: 20 * time.Second})
		r.listen(transport.TCP, server)
		c := phone(t, n, "")
		write(t, c, "one\n")
		f := r.want("one\n")
		began := time.Now()
		require.NoError(t, r.layer.Send(f, []byte(strings.Repeat("m", 5000)+"\n")))
		// A peer that takes a little now and then is slow, not dead.
		for range 3 {
			time.Sleep(19 * time.Second)
			_, err := io.ReadFull(c, make([]byte, 100))
			require.NoError(t, err)
		}
		require.EqualValues(t, 5001-1200, r.layer.Stats().Stream.Queued, "progress is counted when a write ends")
		r.wantEnd(transport.ErrWriteTimeout)
		// Each of the first three periods of 20 s took 100 bytes, the fourth nothing.
		require.Equal(t, 80*time.Second, time.Since(began))
		require.Zero(t, r.layer.Stats().Stream.Queued)
	})
}

func TestStreamSendTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n, WriteQueue: 100})
		r.listen(transport.TCP, server)
		c := phone(t, n, "")
		write(t, c, "one\n")
		f := r.want("one\n")
		require.ErrorIs(t, r.layer.Send(f, make([]byte, 101)), transport.ErrTooLarge)
		require.NoError(t, r.layer.Send(f, make([]byte, 100)), "the connection lives")
	})
}

func TestStreamOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n, MaxBuffered: 8 << 10})
		r.listen(transport.TCP, server)
		a, b := phone(t, n, ""), phone(t, n, "")
		write(t, a, strings.Repeat("a", 3000))
		synctest.Wait()
		require.LessOrEqual(t, r.layer.Stats().Stream.Buffered, int64(8<<10))
		write(t, b, strings.Repeat("b", 5000))
		f := r.wantEnd(transport.ErrOverload)
		require.Equal(t, b.LocalAddr().String(), f.Remote.String())
		write(t, a, "\n")
		af := r.want(strings.Repeat("a", 3000) + "\n")
		require.EqualValues(t, 1, r.layer.Stats().Stream.Closed.Overload)

		n.window = 0
		require.ErrorIs(t, r.layer.Send(af, make([]byte, 9<<10)), transport.ErrOverload)
		r.wantEnd(transport.ErrOverload)
	})
}

func TestStreamPerSourceLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1", "2001:db8::1")
		r := start(t, transport.Config{Network: n, MaxPerSource: 2})
		r.listen(transport.TCP, server)
		r.listen(transport.TCP, "[2001:db8::1]:5060")
		dial := func(local, remote string) net.Conn {
			c, err := n.Dial(t.Context(), "tcp", local, remote)
			require.NoError(t, err)
			return c
		}
		refused := func(c net.Conn) {
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, io.EOF)
		}
		a := dial("192.0.2.7:1", server)
		dial("192.0.2.7:2", server)
		refused(dial("192.0.2.7:3", server))
		dial("192.0.2.8:1", server)

		a.Close()
		r.wantEnd(io.EOF)
		dial("192.0.2.7:4", server) // there is room again

		// Who has one address of an IPv6 /64 has them all.
		dial("[2001:db8:0:1::1]:1", "[2001:db8::1]:5060")
		dial("[2001:db8:0:1::2]:1", "[2001:db8::1]:5060")
		refused(dial("[2001:db8:0:1::3]:1", "[2001:db8::1]:5060"))
		dial("[2001:db8:0:2::1]:1", "[2001:db8::1]:5060")

		synctest.Wait()
		st := r.layer.Stats().Stream
		require.EqualValues(t, 2, st.RefusedSource)
		require.EqualValues(t, 7, st.Accepted)
		require.Equal(t, 6, st.Connections)
	})
}

func TestStreamTotalLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		peer := start(t, transport.Config{Network: n})
		peer.listen(transport.TCP, "192.0.2.9:5060")
		r := start(t, transport.Config{Network: n, MaxAccepted: 1, MaxDialed: 1})
		r.listen(transport.TCP, server)
		a := phone(t, n, "")
		b := phone(t, n, "")
		_, err := b.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.EqualValues(t, 1, r.layer.Stats().Stream.RefusedTotal)

		// Those who call us do not keep us from calling.
		f := r.connect(transport.TCP, netip.MustParseAddrPort("192.0.2.9:5060"))
		hop := transport.Hop{Protocol: transport.TCP, Addr: netip.MustParseAddrPort("192.0.2.9:5070")}
		_, err = r.layer.Connect(t.Context(), hop, netip.AddrPort{})
		require.ErrorIs(t, err, transport.ErrTooManyConnections)
		require.EqualValues(t, 1, r.layer.Stats().Stream.DialRefused)
		require.NoError(t, r.layer.Close(f))
		r.wantEnd(nil)
		_, err = r.layer.Connect(t.Context(), hop, netip.AddrPort{})
		require.ErrorIs(t, err, errRefused)
		_, err = r.layer.Connect(t.Context(), hop, netip.AddrPort{})
		require.ErrorIs(t, err, errRefused, "the place is free again")
		require.EqualValues(t, 2, r.layer.Stats().Stream.DialErrors)
		a.Close()
		r.wantEnd(io.EOF)
	})
}

func TestConnectDialsOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		n.dialing = time.Second
		peer, r := start(t, transport.Config{Network: n}), start(t, transport.Config{Network: n})
		peer.listen(transport.TCP, "192.0.2.9:5060")
		hop := transport.Hop{Protocol: transport.TCP, Addr: netip.MustParseAddrPort("192.0.2.9:5060")}

		began := time.Now()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		var wg sync.WaitGroup
		flows := make([]transport.Flow, 100)
		for i := range flows {
			wg.Go(func() {
				if i == 0 { // the one who may have started it goes, the others stay
					_, err := r.layer.Connect(impatient, hop, netip.AddrPort{})
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.Equal(t, time.Second/2, time.Since(began))
					return
				}
				f, err := r.layer.Connect(t.Context(), hop, netip.AddrPort{})
				require.NoError(t, err)
				require.Equal(t, time.Second, time.Since(began))
				flows[i] = f
			})
		}
		wg.Wait()
		require.Equal(t, 1, n.dials)
		flows = slices.Compact(flows[1:])
		require.Len(t, flows, 1)
		require.Equal(t, hop.Addr, flows[0].Remote)
		require.EqualValues(t, 1, r.layer.Stats().Stream.Dialed)

		// A context that has ended is no obstacle where there is nothing to wait for.
		f, err := r.layer.Connect(impatient, hop, netip.AddrPort{})
		require.NoError(t, err)
		require.Equal(t, flows[0], f)
	})
}

func TestConnectDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		n.dialing = time.Hour
		r := start(t, transport.Config{Network: n, DialTimeout: 5 * time.Second})
		began := time.Now()
		hop := transport.Hop{Protocol: transport.TCP, Addr: netip.MustParseAddrPort("192.0.2.9:5060")}
		_, err := r.layer.Connect(t.Context(), hop, netip.AddrPort{})
		require.ErrorIs(t, err, transport.ErrDialTimeout)
		require.ErrorContains(t, err, "TCP 192.0.2.9:5060")
		require.Equal(t, 5*time.Second, time.Since(began))
		st := r.layer.Stats().Stream
		require.EqualValues(t, 1, st.DialTimeouts)
		require.Zero(t, st.DialErrors)
		require.Zero(t, st.Connections)
	})
}

func TestCloseWritesWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		n.window = 100
		r := start(t, transport.Config{Network: n})
		r.listen(transport.TCP, server)
		c := phone(t, n, "192.0.2.9:5060")
		write(t, c, "one\n")
		f := r.want("one\n")
		last := strings.Repeat("b", 5000) + "\n"
		require.NoError(t, r.layer.Send(f, []byte(last)))
		require.NoError(t, r.layer.Close(f))
		require.ErrorIs(t, r.layer.Close(f), transport.ErrFlowGone)
		require.ErrorIs(t, r.layer.Send(f, []byte("x\n")), transport.ErrFlowGone)
		write(t, c, "not received\n")
		all, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, last, string(all))
		require.Equal(t, f, r.wantEnd(nil))
		synctest.Wait()
		r.nothing()
		require.EqualValues(t, 1, r.layer.Stats().Stream.Closed.Local)
		require.Zero(t, r.layer.Stats().Stream.Connections)
	})
}

func TestCloseInsideReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		var r *recorder
		r = start(t, transport.Config{Network: n, Receive: func(p *transport.Packet) {
			r.events <- got{flow: p.Flow, text: string(p.Data)}
			require.NoError(t, r.layer.Close(p.Flow))
		}})
		r.listen(transport.TCP, server)
		write(t, phone(t, n, ""), "one\ntwo\n")
		r.want("one\n")
		r.wantEnd(nil)
		synctest.Wait()
		r.nothing()
	})
}

// Every way to end is tried at the same moment; the recorder fails the test if Closed is not called exactly once.
func TestClosedExactlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			n := newMemNet("192.0.2.1")
			n.window = 10
			r := start(t, transport.Config{Network: n, WriteQueue: 50})
			r.listen(transport.TCP, server)
			c := phone(t, n, "")
			write(t, c, "one\n")
			f := r.want("one\n")
			var wg sync.WaitGroup
			wg.Go(func() { r.layer.Close(f) })
			wg.Go(func() { c.Close() })
			wg.Go(func() { io.WriteString(c, "\x00") })
			for range 4 {
				wg.Go(func() { r.layer.Send(f, make([]byte, 50)) })
			}
			wg.Go(func() { require.NoError(t, r.layer.Shutdown(t.Context())) })
			wg.Wait()
			g := <-r.events
			for !g.end {
				g = <-r.events
			}
			synctest.Wait()
			r.nothing()
			st := r.layer.Stats().Stream
			require.Zero(t, st.Connections)
			require.Zero(t, st.Queued)
			require.Zero(t, st.Buffered)
		}
	})
}

// failingListener fails a number of times before it accepts.
type failingListener struct {
	net.Listener
	fail  int
	times []time.Time
}

func (ln *failingListener) Accept() (net.Conn, error) {
	ln.times = append(ln.times, time.Now())
	if len(ln.times) <= ln.fail {
		return nil, errors.New("too many open files")
	}
	return ln.Listener.Accept()
}

func TestAcceptBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n})
		inner, err := n.Listen(t.Context(), "tcp4", server)
		require.NoError(t, err)
		ln := &failingListener{Listener: inner, fail: 11}
		_, err = r.layer.ServeStream(ln, "sip.example.com")
		require.NoError(t, err)
		write(t, phone(t, n, ""), "one\n")
		r.want("one\n")
		synctest.Wait()
		var pauses []time.Duration
		for i, at := range ln.times[1 : ln.fail+1] {
			pauses = append(pauses, at.Sub(ln.times[i]))
		}
		var want []time.Duration
		for _, ms := range []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000} {
			want = append(want, ms*time.Millisecond)
		}
		require.Equal(t, want, pauses)
		require.EqualValues(t, 11, r.layer.Stats().Stream.AcceptErrors)
	})
}

func TestListenerEndsWhenItsSocketIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newMemNet("192.0.2.1")
		r := start(t, transport.Config{Network: n})
		ln, err := n.Listen(t.Context(), "tcp4", server)
		require.NoError(t, err)
		ls, err := r.layer.ServeStream(ln, "")
		require.NoError(t, err)
		pc, err := n.ListenPacket(t.Context(), "udp4", server)
		require.NoError(t, err)
		_, err = r.layer.ServePacket(pc, "")
		require.NoError(t, err)
		pc.Close()
		synctest.Wait()
		require.Equal(t, []transport.Listener{ls}, r.layer.Listeners())
		ln.Close()
		synctest.Wait()
		require.Empty(t, r.layer.Listeners())
	})
}
