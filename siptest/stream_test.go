package siptest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/siptest"
)

// twoEnds is a network of two hosts with one connection.
type twoEnds struct {
	net            *siptest.Network
	a, b           *siptest.Host
	client, server net.Conn
}

func dial(t *testing.T, opt siptest.Options) *twoEnds {
	t.Helper()
	d := &twoEnds{net: siptest.NewNetwork(opt)}
	d.a, d.b = d.net.Host("a", "10.0.0.1"), d.net.Host("b", "10.0.0.2")
	ln, err := d.b.Listen(context.Background(), "tcp", "10.0.0.2:5060")
	require.NoError(t, err)
	defer ln.Close()
	d.client, err = d.a.Dial(context.Background(), "tcp", "", "10.0.0.2:5060")
	require.NoError(t, err)
	d.server, err = ln.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { d.client.Close(); d.server.Close() })
	return d
}

func read(t *testing.T, c net.Conn) string {
	t.Helper()
	b := make([]byte, 1000)
	n, err := c.Read(b)
	require.NoError(t, err)
	return string(b[:n])
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	_, err := io.WriteString(c, s)
	require.NoError(t, err)
}

func readError(c net.Conn) error {
	_, err := c.Read(make([]byte, 10))
	return err
}

func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		d := dial(t, siptest.Options{})
		require.Equal(t, 2*siptest.DefaultDelay, time.Since(start).Truncate(time.Millisecond), "dialing takes a round trip")
		require.Equal(t, "10.0.0.2:5060", d.client.RemoteAddr().String())
		require.Equal(t, d.client.LocalAddr(), d.server.RemoteAddr())
		start = time.Now()
		write(t, d.client, "one")
		write(t, d.client, "two")
		time.Sleep(time.Second)
		require.Equal(t, "onetwo", read(t, d.server), "what waits is joined")
		write(t, d.server, "three")
		require.Equal(t, "three", read(t, d.client))
		require.Len(t, d.net.Streams(d.b, d.a), 1)
		require.Equal(t, d.client.LocalAddr().String(), d.net.Streams(nil, nil)[0].Client().String())

		require.NoError(t, d.client.Close())
		require.ErrorIs(t, readError(d.server), io.EOF)
		require.ErrorIs(t, readError(d.client), net.ErrClosed)
		require.ErrorIs(t, d.client.Close(), net.ErrClosed)
		write(t, d.server, "nobody reads this")
		require.ErrorIs(t, readError(d.server), io.EOF)
		time.Sleep(time.Second)
		_, err := d.server.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		require.Empty(t, d.net.Streams(nil, nil))
	})
}

func TestDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		a, b := n.Host("a", "10.0.0.1"), n.Host("b", "10.0.0.2")
		_, err := a.Dial(context.Background(), "tcp", "", "10.0.0.2:5060")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		_, err = a.Dial(context.Background(), "tcp", "10.0.0.2:0", "10.0.0.2:5060")
		require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
		_, err = a.Dial(context.Background(), "tcp", "", "[2001:db8::1]:5060")
		require.ErrorIs(t, err, syscall.ENETUNREACH)
		_, err = a.Dial(context.Background(), "tcp", "", "example.org:5060")
		require.Error(t, err)

		ln, err := b.Listen(context.Background(), "tcp", ":5060")
		require.NoError(t, err)
		_, err = b.Listen(context.Background(), "tcp", ":5060")
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		n.Partition(a, b)
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 32*time.Second)
		defer cancel()
		_, err = a.Dial(ctx, "tcp", "", "10.0.0.2:5060")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 32*time.Second, time.Since(start))

		time.AfterFunc(10*time.Second, func() { n.Heal(a, b) })
		c, err := a.Dial(context.Background(), "tcp", "10.0.0.1:5070", "10.0.0.2:5060")
		require.NoError(t, err, "the SYN is sent again")
		require.Equal(t, "10.0.0.1:5070", c.LocalAddr().String())
		require.NoError(t, ln.Close())
		require.ErrorIs(t, readError(c), syscall.ECONNRESET, "nobody accepted it")
		_, err = ln.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		c.Close()
	})
}

func TestListenerWakesItsAcceptor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		ln, err := n.Host("a", "10.0.0.1").Listen(context.Background(), "tcp", "10.0.0.1:0")
		require.NoError(t, err)
		time.AfterFunc(time.Second, func() { ln.Close() })
		_, err = ln.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dial(t, siptest.Options{})
		write(t, d.client, "last words")
		require.NoError(t, d.client.(interface{ CloseWrite() error }).CloseWrite())
		require.Equal(t, "last words", read(t, d.server))
		require.ErrorIs(t, readError(d.server), io.EOF)
		write(t, d.server, "answer")
		require.Equal(t, "answer", read(t, d.client))
		_, err := d.client.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
	})
}

func TestReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dial(t, siptest.Options{})
		time.AfterFunc(time.Second, func() { d.net.Streams(d.a, d.b)[0].Reset() })
		require.ErrorIs(t, readError(d.client), syscall.ECONNRESET)
		require.ErrorIs(t, readError(d.server), syscall.ECONNRESET)
		require.Empty(t, d.net.Streams(nil, nil))

		d = dial(t, siptest.Options{})
		write(t, d.server, "x")
		require.NoError(t, d.client.(interface{ SetLinger(int) error }).SetLinger(0))
		require.NoError(t, d.client.Close())
		require.ErrorIs(t, readError(d.server), syscall.ECONNRESET)
	})
}

func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dial(t, siptest.Options{Window: 100})
		require.NoError(t, d.client.SetWriteDeadline(time.Now().Add(time.Minute)))
		n, err := d.client.Write(make([]byte, 250))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 100, n)
		require.NoError(t, d.client.SetWriteDeadline(time.Time{}))

		wrote := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := d.client.Write([]byte(strings.Repeat("a", 70) + strings.Repeat("b", 70)))
				wrote <- err
			}()
		}
		synctest.Wait()
		require.Empty(t, wrote)
		b := make([]byte, 100+280)
		_, err = io.ReadFull(d.server, b)
		require.NoError(t, err)
		ab := strings.Repeat("a", 70) + strings.Repeat("b", 70)
		require.Equal(t, ab+ab, string(b[100:]), "writes are not torn")
		require.NoError(t, errors.Join(<-wrote, <-wrote))
	})
}

func TestStallResumeCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dial(t, siptest.Options{Window: 1000})
		s := d.net.Streams(d.a, d.b)[0]
		s.Stall()
		write(t, d.client, "held")
		require.NoError(t, d.client.(interface{ CloseWrite() error }).CloseWrite())
		require.NoError(t, d.server.SetReadDeadline(time.Now().Add(time.Hour)))
		require.ErrorIs(t, readError(d.server), os.ErrDeadlineExceeded)
		require.NoError(t, d.server.SetReadDeadline(time.Time{}))
		s.Resume()
		require.Equal(t, "held", read(t, d.server))
		require.ErrorIs(t, readError(d.server), io.EOF)

		d.net.Partition(d.a, d.b)
		write(t, d.server, "through the partition")
		time.Sleep(time.Hour)
		d.net.Heal(d.a, d.b)
		require.Equal(t, "through the partition", read(t, d.client))

		s.Cut()
		write(t, d.server, "OPTIONS sip:a SIP/2.0\r\n\r\n")
		require.NoError(t, d.client.SetReadDeadline(time.Now().Add(time.Hour)))
		require.ErrorIs(t, readError(d.client), os.ErrDeadlineExceeded)
		require.NoError(t, d.server.SetWriteDeadline(time.Now().Add(time.Hour)))
		_, err := d.server.Write(make([]byte, 1000))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "what is never acknowledged fills the window")
		require.Equal(t, 1, d.net.Count(siptest.Cut))
	})
}

func TestChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dial(t, siptest.Options{Link: siptest.Link{Chunk: 3}})
		write(t, d.client, "abcdefgh")
		time.Sleep(time.Second)
		require.Equal(t, "abc", read(t, d.server))
		require.Equal(t, "def", read(t, d.server))
		require.Equal(t, "gh", read(t, d.server))
	})
}

func TestDialGivenUpAfterTheSYN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{Link: siptest.Link{Delay: time.Second}})
		ln, err := n.Host("b", "10.0.0.2").Listen(t.Context(), "tcp", "10.0.0.2:5060")
		require.NoError(t, err)
		defer ln.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		_, err = n.Host("a", "10.0.0.1").Dial(ctx, "tcp", "", "10.0.0.2:5060")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		c, err := ln.Accept()
		require.NoError(t, err)
		require.ErrorIs(t, readError(c), io.EOF, "the other end is gone")
		require.NoError(t, c.Close())
		require.Empty(t, n.Streams(nil, nil))
	})
}
