package main

import (
	"context"
	"errors"
	"net"
	"time"
)

// live is calls beside others that ring and are not answered, each one server and one client transaction.
type live struct {
	calls
	transactions int
}

func (v live) patience(o options) time.Duration { return v.calls.patience(o) + 2*time.Minute }

func (v live) measure(ctx context.Context, l *lab, s *process) (sample, error) {
	before, err := s.usage()
	if err != nil {
		return nil, err
	}
	if err := v.ring(ctx, l); err != nil {
		return nil, err
	}
	// What is left to do for them is not the measured calls' cost.
	if err := pause(ctx, 2*time.Second); err != nil {
		return nil, err
	}
	after, err := s.usage()
	if err != nil {
		return nil, err
	}
	// The phone is gone, SIPp takes its place. Nobody misses it: what rings is not sent again.
	got, err := v.calls.measure(ctx, l, s)
	if err != nil {
		return nil, err
	}
	got[perItem.key] = float64(after.since(before).pss) / float64(v.transactions)
	return got, nil
}

// ring makes the calls that ring, and is the phone that they ring at.
func (v live) ring(ctx context.Context, l *lab) error {
	message, err := l.opening("uac")
	if err != nil {
		return err
	}
	phone, err := net.ListenUDP("udp4", local(l.calleePort()))
	if err != nil {
		return err
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		answerRinging(phone)
	}()
	b := burst{from: l.callerPort(), to: l.port, count: v.transactions / 2, message: message, answer: 180}
	_, err = b.run(ctx)
	phone.Close()
	<-answered
	return err
}

func answerRinging(phone *net.UDPConn) {
	buf := make([]byte, 65536)
	for {
		n, from, err := phone.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = phone.WriteToUDPAddrPort(ringing(buf[:n]), from) // the relay asks again
		}
	}
}
