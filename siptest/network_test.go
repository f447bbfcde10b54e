package siptest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/siptest"
)

func listenPacket(t *testing.T, h *siptest.Host, addr string) net.PacketConn {
	t.Helper()
	c, err := h.ListenPacket(context.Background(), "udp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// inbox reads a socket to its end in the background.
func inbox(c net.PacketConn) <-chan string {
	got := make(chan string, 1000)
	go func() {
		defer close(got)
		b := make([]byte, 65536)
		for {
			n, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			got <- string(b[:n])
		}
	}()
	return got
}

func send(t *testing.T, c net.PacketConn, to *siptest.Host, what string) {
	t.Helper()
	_, err := c.WriteTo([]byte(what), net.UDPAddrFromAddrPort(to.AddrPort(5060)))
	require.NoError(t, err)
}

func sendNumbers(t *testing.T, c net.PacketConn, to *siptest.Host, count int) {
	for i := range count {
		send(t, c, to, fmt.Sprint(i))
	}
}

// drain waits long enough for everything to arrive and returns it.
func drain(got <-chan string) []string {
	time.Sleep(time.Minute)
	synctest.Wait()
	var out []string
	for len(got) > 0 {
		out = append(out, <-got)
	}
	return out
}

type pairOfHosts struct {
	net        *siptest.Network
	a, b       *siptest.Host
	from, to   net.PacketConn
	fromA, toB <-chan string
}

func newPair(t *testing.T, opt siptest.Options) *pairOfHosts {
	p := &pairOfHosts{net: siptest.NewNetwork(opt)}
	p.a, p.b = p.net.Host("a", "10.0.0.1"), p.net.Host("b", "10.0.0.2")
	p.from, p.to = listenPacket(t, p.a, "10.0.0.1:5060"), listenPacket(t, p.b, "10.0.0.2:5060")
	p.fromA, p.toB = inbox(p.from), inbox(p.to)
	return p
}

func TestDatagramTakesItsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		a, b := n.Host("a", "10.0.0.1"), n.Host("b", "10.0.0.2", "2001:db8::2")
		from, to := listenPacket(t, a, "10.0.0.1:0"), listenPacket(t, b, "0.0.0.0:5060")
		start := time.Now()
		data := []byte("hello")
		send(t, from, b, "hello")
		data[0] = 'j' // the network has its own copy
		buf := make([]byte, 3)
		k, addr, err := to.ReadFrom(buf)
		require.NoError(t, err)
		require.Equal(t, "hel", string(buf[:k]), "the rest is lost as in a real socket")
		require.Equal(t, from.LocalAddr().String(), addr.String())
		require.IsType(t, (*net.UDPAddr)(nil), addr)
		require.Equal(t, siptest.DefaultDelay, time.Since(start).Truncate(time.Millisecond))

		_, err = to.WriteTo([]byte("back"), addr)
		require.NoError(t, err)
		k, addr, err = from.ReadFrom(buf)
		require.NoError(t, err)
		require.Equal(t, "10.0.0.2:5060", addr.String(), "an unspecified socket answers from an address of its host")
		require.Equal(t, "bac", string(buf[:k]))
	})
}

func TestSocketErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		h := n.Host("a", "10.0.0.1", "2001:db8::1")
		ctx := context.Background()
		c := listenPacket(t, h, "[2001:db8::1]:5060")
		for _, addr := range []string{"10.0.0.9:5060", "example.org:5060", "10.0.0.1:x", "10.0.0.1", "[2001:db8::1]:5060"} {
			_, err := h.ListenPacket(ctx, "udp", addr)
			require.Error(t, err, addr)
		}
		_, err := h.ListenPacket(ctx, "tcp", "10.0.0.1:5060")
		require.Error(t, err)
		_, err = h.Dial(ctx, "sctp", "", "10.0.0.1:5060")
		require.Error(t, err)

		_, err = c.WriteTo(make([]byte, 70000), net.UDPAddrFromAddrPort(h.AddrPort(1)))
		require.ErrorIs(t, err, syscall.EMSGSIZE)
		_, err = c.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(h.AddrPort(1)))
		require.ErrorIs(t, err, syscall.EAFNOSUPPORT)

		require.NoError(t, c.SetReadDeadline(time.Now().Add(3*time.Second)))
		start := time.Now()
		_, _, err = c.ReadFrom(make([]byte, 10))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var timeout net.Error
		require.True(t, errors.As(err, &timeout) && timeout.Timeout())
		require.Equal(t, 3*time.Second, time.Since(start))

		require.NoError(t, c.SetReadDeadline(time.Time{}))
		time.AfterFunc(time.Hour, func() { c.Close() })
		_, _, err = c.ReadFrom(make([]byte, 10))
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		_, err = c.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(h.AddrPort(1)))
		require.ErrorIs(t, err, net.ErrClosed)
		_ = listenPacket(t, h, "[2001:db8::1]:5060") // free again

		require.Panics(t, func() { n.Host("other", "10.0.0.1") })
		require.Panics(t, func() { n.Host("none") })
	})
}

func TestConnectedDatagramSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, siptest.Options{})
		c, err := p.a.Dial(context.Background(), "udp", "", "10.0.0.2:5060")
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		require.Equal(t, "x", <-p.toB)
		_, err = p.from.WriteTo([]byte("from a stranger"), c.LocalAddr())
		require.NoError(t, err)
		_, err = p.to.WriteTo([]byte("from the peer"), c.LocalAddr())
		require.NoError(t, err)
		b := make([]byte, 100)
		k, err := c.Read(b)
		require.NoError(t, err)
		require.Equal(t, "from the peer", string(b[:k]))
	})
}

func TestFaults(t *testing.T) {
	const count = 400
	numbers := func(from, to int) (out []string) {
		for i := from; i < to; i++ {
			out = append(out, fmt.Sprint(i))
		}
		return out
	}
	for name, test := range map[string]struct {
		opt   siptest.Options
		fate  siptest.Fate
		check func(t *testing.T, got []string, counted int)
	}{
		"none": {fate: siptest.Lost, check: func(t *testing.T, got []string, counted int) {
			require.Equal(t, numbers(0, count), got)
			require.Zero(t, counted)
		}},
		"loss": {opt: siptest.Options{Link: siptest.Link{Loss: 0.25}}, fate: siptest.Lost, check: func(t *testing.T, got []string, counted int) {
			require.Len(t, got, count-counted)
			require.InDelta(t, count/4, counted, 30)
			require.IsIncreasing(t, lengths(got))
		}},
		"duplication": {opt: siptest.Options{Link: siptest.Link{Duplicate: 0.25}}, fate: siptest.Twice, check: func(t *testing.T, got []string, counted int) {
			require.Len(t, got, count+counted)
			require.InDelta(t, count/4, counted, 30)
		}},
		"reordering": {opt: siptest.Options{Link: siptest.Link{Reorder: 0.25}}, fate: siptest.Late, check: func(t *testing.T, got []string, counted int) {
			require.ElementsMatch(t, numbers(0, count), got)
			require.InDelta(t, count/4, counted, 30)
			require.NotEqual(t, numbers(0, count), got)
		}},
		"jitter keeps the order": {opt: siptest.Options{Link: siptest.Link{Jitter: time.Second}}, fate: siptest.Late, check: func(t *testing.T, got []string, counted int) {
			require.Equal(t, numbers(0, count), got)
		}},
		"overflow": {opt: siptest.Options{Inbox: 10, Link: siptest.Link{Delay: -1}}, fate: siptest.Overflow, check: func(t *testing.T, got []string, counted int) {
			require.Equal(t, numbers(0, count), got, "a reader that reads loses nothing")
		}},
		"mtu": {opt: siptest.Options{Link: siptest.Link{MTU: 2}}, fate: siptest.TooLarge, check: func(t *testing.T, got []string, counted int) {
			require.Equal(t, numbers(0, 100), got)
			require.Equal(t, count-100, counted)
		}},
		"drop": {opt: siptest.Options{Link: siptest.Link{Drop: func(d siptest.Datagram) bool { return d.Number%2 == 0 }}}, fate: siptest.Dropped, check: func(t *testing.T, got []string, counted int) {
			require.Len(t, got, count/2)
			require.Equal(t, []string{"0", "2", "4"}, got[:3])
		}},
		"drop everywhere": {opt: siptest.Options{Drop: siptest.DropFirst(3, "")}, fate: siptest.Dropped, check: func(t *testing.T, got []string, counted int) {
			require.Equal(t, numbers(3, count), got)
		}},
		"drop numbers": {opt: siptest.Options{Drop: siptest.DropNumbers("data (1 bytes)", 2, 4)}, fate: siptest.Dropped, check: func(t *testing.T, got []string, counted int) {
			require.Equal(t, append([]string{"0", "2"}, numbers(4, count)...), got)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, test.opt)
				sendNumbers(t, p.from, p.b, count)
				got := drain(p.toB)
				test.check(t, got, p.net.Count(test.fate))
				require.Equal(t, count, p.net.Sent())
			})
		})
	}
}

// lengths turns numbers into something that can be compared.
func lengths(numbers []string) (out []int) {
	for _, s := range numbers {
		var v int
		fmt.Sscan(s, &v)
		out = append(out, v)
	}
	return out
}

func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{Inbox: 10})
		a, b := n.Host("a", "10.0.0.1"), n.Host("b", "10.0.0.2")
		from, to := listenPacket(t, a, "10.0.0.1:5060"), listenPacket(t, b, "10.0.0.2:5060")
		sendNumbers(t, from, b, 15)
		time.Sleep(time.Second)
		require.Len(t, drain(inbox(to)), 10, "nobody read in time")
		require.Equal(t, 5, n.Count(siptest.Overflow))
	})
}

func TestNoSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, siptest.Options{})
		p.to.Close()
		send(t, p.from, p.b, "OPTIONS sip:b SIP/2.0\r\n\r\n")
		_, err := p.from.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9})
		require.NoError(t, err)
		time.Sleep(time.Second)
		require.Equal(t, 2, p.net.Count(siptest.NoSocket))
		p.net.Ladder().Require(t, `
			0.000  a  -x b             OPTIONS
			0.000  a  -x 192.0.2.1:9   data (1 bytes)`)
	})
}

func TestLinksAndPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, siptest.Options{Link: siptest.Link{Delay: time.Second}})
		start := time.Now()
		took := func() time.Duration {
			d := time.Since(start).Truncate(time.Millisecond)
			start = time.Now()
			return d
		}
		forth := func() time.Duration { send(t, p.from, p.b, "x"); <-p.toB; return took() }
		back := func() time.Duration { send(t, p.to, p.a, "x"); <-p.fromA; return took() }
		require.Equal(t, time.Second, forth())
		p.net.SetLink(nil, p.b, siptest.Link{Delay: 2 * time.Second})
		require.Equal(t, 2*time.Second, forth())
		require.Equal(t, time.Second, back())
		p.net.SetLink(p.b, nil, siptest.Link{Delay: 3 * time.Second})
		require.Equal(t, 3*time.Second, back())
		p.net.SetLink(p.b, p.a, siptest.Link{Delay: 4 * time.Second})
		require.Equal(t, 4*time.Second, back())

		p.net.Partition(p.a, nil)
		sendNumbers(t, p.from, p.b, 3)
		send(t, p.to, p.a, "x")
		require.Empty(t, drain(p.toB))
		require.Empty(t, p.fromA)
		require.Equal(t, 4, p.net.Count(siptest.Severed))
		p.net.Heal(p.a, nil)
		took()
		require.Equal(t, 2*time.Second, forth())
	})
}

// run has three hosts that answer each other over a bad network and returns the ladder.
func badRun(t *testing.T, seed uint64) (ladder string) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{Seed: seed, Link: siptest.Link{
			Jitter: 20 * time.Millisecond, Loss: 0.1, Duplicate: 0.1, Reorder: 0.1,
		}})
		var hosts []*siptest.Host
		for i := range 3 {
			hosts = append(hosts, n.Host(fmt.Sprint("host", i), fmt.Sprintf("10.0.0.%d", i+1)))
		}
		for i, h := range hosts {
			c := listenPacket(t, h, h.AddrPort(5060).String())
			go func() {
				b := make([]byte, 1000)
				for {
					k, addr, err := c.ReadFrom(b)
					if err != nil {
						return
					}
					if k < 12 {
						_, _ = c.WriteTo(append(b[:k], 'x'), addr)
					}
				}
			}()
			for j, to := range hosts {
				if i != j {
					sendNumbers(t, c, to, 20)
				}
			}
		}
		time.Sleep(time.Minute)
		ladder = n.Ladder().With("Body").String()
	})
	return ladder
}

func TestSameSeedSameRun(t *testing.T) {
	first := badRun(t, 1)
	for range 5 {
		require.Equal(t, first, badRun(t, 1))
	}
	require.NotEqual(t, first, badRun(t, 2))
}

func TestNetworkClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, siptest.Options{})
		ln, err := p.a.Listen(context.Background(), "tcp", "10.0.0.1:5060")
		require.NoError(t, err)
		go func() { _, _ = ln.Accept() }()
		conn, err := p.b.Dial(context.Background(), "tcp", "", "10.0.0.1:5060")
		require.NoError(t, err)
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		send(t, p.from, p.b, "under way")
		p.net.Close()
		_, ok := <-p.toB
		require.False(t, ok)
	})
}

func udpAddr(s string) *net.UDPAddr { return net.UDPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
