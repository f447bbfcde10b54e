package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// bindings registers users, whose bindings are then held.
type bindings struct{ count int }

func (bindings) transport() string                { return "udp" }
func (bindings) patience(o options) time.Duration { return o.settle + 5*time.Minute }

func (b bindings) measure(ctx context.Context, l *lab, s *process) (sample, error) {
	message, err := l.opening("register")
	if err != nil {
		return nil, err
	}
	resent := 0
	got, err := hold(ctx, l, s, func() (int, error) {
		load := burst{from: l.callerPort(), to: l.port, count: b.count, message: message, answer: 200}
		resent, err = load.run(ctx)
		return b.count, err
	})
	if err == nil {
		got[retrans.key] = float64(resent)
	}
	return got, err
}

// idle opens connections, which then say nothing.
type idle struct{ count int }

func (idle) transport() string                { return "tcp" }
func (idle) patience(o options) time.Duration { return o.settle + 5*time.Minute }

// spareFiles are what the server and we have open besides connections.
const spareFiles = 100

func (i idle) measure(ctx context.Context, l *lab, s *process) (sample, error) {
	var c crowd
	defer c.close()
	got, err := hold(ctx, l, s, func() (int, error) {
		err := c.join(ctx, l.port, min(i.count, l.openFiles-spareFiles))
		return c.size(), err
	})
	if err != nil {
		return nil, err
	}
	if now := float64(c.size()); now != got[held.key] {
		return nil, fmt.Errorf("of %.0f connections %.0f are left", got[held.key], now)
	}
	return got, nil
}

// hold measures what something costs the server once it is at rest: transactions have ended, after 32 seconds at most;
// Go collects garbage every two minutes at least; and what is free has been given back.
func hold(ctx context.Context, l *lab, s *process, fill func() (count int, err error)) (sample, error) {
	before, err := s.usage()
	if err != nil {
		return nil, err
	}
	count, err := fill()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "holding %d, settling for %v\n", count, l.settle)
	if err := pause(ctx, l.settle); err != nil {
		return nil, err
	}
	after, err := s.usage()
	if err != nil {
		return nil, err
	}
	return sample{
		held.key: float64(count), memory.key: float64(after.pss) / (1 << 20),
		perItem.key: float64(after.since(before).pss) / float64(max(count, 1)),
	}, nil
}
