package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is TCP connections to a server, on each of which one request was answered. It is in this process: a second one
// would not get beyond the limit on open files, which the server has as well.
type crowd struct {
	conns []net.Conn
	alive atomic.Int64
	reads sync.WaitGroup
}

// perSource keeps below what a server may take from one address.
const perSource = 500

const idleRequest = "OPTIONS sip:example.org SIP/2.0\r\nVia: SIP/2.0/TCP %s;branch=z9hG4bK-%d\r\nMax-Forwards: 70\r\n" +
	"From: <sip:idle@example.org>;tag=%[2]d\r\nTo: <sip:example.org>\r\nCall-ID: %[2]d-idle\r\nCSeq: 1 OPTIONS\r\n" +
	"Content-Length: 0\r\n\r\n"

// join opens n connections.
func (c *crowd) join(ctx context.Context, port, n int) error {
	for i := range n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := c.open(ctx, port, i); err != nil {
			return fmt.Errorf("connection %d: %w", i+1, err)
		}
	}
	return nil
}

func (c *crowd) open(ctx context.Context, port, i int) error {
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/perSource))}}
	conn, err := d.DialContext(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	c.conns = append(c.conns, conn)
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, idleRequest, conn.LocalAddr(), i); err != nil {
		return err
	}
	if err := readAnswer(conn); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	c.watch(conn)
	return nil
}

// readAnswer reads a response. That it has no body is up to the servers here.
func readAnswer(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 2048)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("no answer to OPTIONS: %w", err)
		}
		if strings.TrimSpace(line) == "" {
			return nil
		}
	}
}

// watch counts the connection until the server closes it.
func (c *crowd) watch(conn net.Conn) {
	c.alive.Add(1)
	c.reads.Go(func() {
		var err error
		for buf := make([]byte, 1); err == nil; {
			_, err = conn.Read(buf)
		}
		if !errors.Is(err, net.ErrClosed) {
			c.alive.Add(-1)
		}
	})
}

func (c *crowd) size() int { return int(c.alive.Load()) }

func (c *crowd) close() {
	for _, conn := range c.conns {
		conn.Close()
	}
	c.reads.Wait()
}
