package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// burst sends a message for each number from 1 to count, over UDP, as fast as the server answers.
type burst struct {
	from, to int // ports on 127.0.0.1
	count    int
	message  opening
	answer   int // the status that is an answer; what is less is none, what is more is an error

	conn     *net.UDPConn
	answered []atomic.Bool
	window   chan struct{} // holds one for each message without an answer
	refused  chan int      // the status that is an error
	pending  []sent
	resent   int
}

type sent struct {
	n  int
	at time.Time
}

const (
	inFlight    = 100                    // few enough that no socket's buffer is ever full
	resendAfter = 500 * time.Millisecond // as RFC 3261 and SIPp have it
)

// run returns how many messages were sent again.
func (b *burst) run(ctx context.Context) (resent int, err error) {
	b.conn, err = net.DialUDP("udp4", local(b.from), local(b.to))
	if err != nil {
		return 0, err
	}
	b.answered = make([]atomic.Bool, b.count+1)
	b.window, b.refused = make(chan struct{}, inFlight), make(chan int, 1)
	received := make(chan struct{})
	go func() {
		defer close(received)
		b.receive()
	}()
	err = b.send(ctx)
	b.conn.Close()
	<-received
	return b.resent, err
}

func local(port int) *net.UDPAddr { return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port} }

// send returns when all have been answered.
func (b *burst) send(ctx context.Context) error {
	again := time.NewTicker(resendAfter / 5)
	defer again.Stop()
	for next := 1; next <= b.count || len(b.pending) > 0; {
		window := b.window
		if next > b.count {
			window = nil
		}
		select {
		case window <- struct{}{}:
			b.pending = append(b.pending, sent{next, time.Now()})
			b.write(next)
			next++
		case now := <-again.C:
			b.resend(now)
		case status := <-b.refused:
			return fmt.Errorf("the server answers %d", status)
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages sent, %d not answered: %w", next-1, b.count, len(b.pending), context.Cause(ctx))
		}
	}
	return nil
}

func (b *burst) resend(now time.Time) {
	left := b.pending[:0]
	for _, s := range b.pending {
		if b.answered[s.n].Load() {
			continue
		}
		if now.Sub(s.at) > resendAfter {
			s.at = now
			b.resent++
			b.write(s.n)
		}
		left = append(left, s)
	}
	b.pending = left
}

// write ignores errors: what was not sent is not answered.
func (b *burst) write(n int) { _, _ = b.conn.Write(b.message.message(n)) }

func (b *burst) receive() {
	buf := make([]byte, 65536)
	for {
		size, err := b.conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		n, status, ok := response(buf[:max(size, 0)])
		if err != nil || !ok || n < 1 || n > b.count || status < b.answer {
			continue
		}
		if status > b.answer {
			select {
			case b.refused <- status:
			default:
			}
		}
		if !b.answered[n].Swap(true) {
			<-b.window
		}
	}
}
