package main

import (
	"context"
	"fmt"
	"time"
)

// calls is SIPp's load: calls to an answering SIPp through a relay, or REGISTERs.
type calls struct {
	over     string // transport
	scenario string // uac or register
	rate     int    // per second
}

func (c calls) transport() string { return c.over }

func (c calls) patience(o options) time.Duration {
	return time.Duration(o.seconds)*time.Second + 3*time.Minute
}

func (c calls) measure(ctx context.Context, l *lab, s *process) (sample, error) {
	if c.scenario == "uac" {
		answering, err := l.startCallee(ctx, c.over)
		if err != nil {
			return nil, err
		}
		defer answering.stop()
	}
	before, err := s.usage()
	if err != nil {
		return nil, err
	}
	n := c.rate * l.seconds
	stats, err := l.call(ctx, c, n)
	if err != nil {
		return nil, err
	}
	after, err := s.usage()
	if err != nil {
		return nil, err
	}
	spent := after.since(before)
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
	return sample{
		cpuTotal.key: each(spent.cpu()), cpuUser.key: each(spent.user), cpuSystem.key: each(spent.system),
		growth.key: float64(spent.pss) / 1024 / float64(n), memory.key: float64(after.pss) / (1 << 20),
		failedCalls.key: float64(n - stats.successful), retrans.key: float64(stats.retransmissions),
	}, nil
}

// startCallee starts the SIPp that answers.
func (l *lab) startCallee(ctx context.Context, transport string) (*process, error) {
	p, err := l.start(l.sipp(transport, "uas", l.calleePort()))
	if err != nil {
		return nil, err
	}
	if err := p.waitListening(ctx, transport, l.calleePort()); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// sipp is the command that both sides have in common.
func (l *lab) sipp(transport, scenario string, port int) []string {
	socket := map[string]string{"udp": "u1", "tcp": "t1"}[transport]
	return []string{l.sippPath, "-sf", l.scenario(scenario), "-i", "127.0.0.1", "-p", fmt.Sprint(port), "-t", socket,
		"-nostdin", "-buff_size", "4000000"}
}

// call lets SIPp make n calls. Those that have not ended a minute after they should have are given up.
func (l *lab) call(ctx context.Context, c calls, n int) (sippStats, error) {
	file := l.binary("sipp.csv")
	argv := append(l.sipp(c.over, c.scenario, l.callerPort()), fmt.Sprintf("127.0.0.1:%d", l.port),
		"-r", fmt.Sprint(c.rate), "-m", fmt.Sprint(n), "-l", "1000000", "-timeout", fmt.Sprint(n/c.rate+60),
		"-trace_stat", "-stf", file, "-fd", "3600")
	p, err := l.start(argv)
	if err != nil {
		return sippStats{}, err
	}
	defer p.stop()
	// SIPp's exit code says whether calls failed, which is measured, not an error.
	ended := p.wait(ctx)
	if ctx.Err() != nil {
		return sippStats{}, context.Cause(ctx)
	}
	stats, err := readSIPpStats(file)
	if err != nil || stats.successful == 0 {
		return stats, fmt.Errorf("no call succeeded (SIPp: %v) %w\n%s", ended, err, p.lastWords())
	}
	return stats, nil
}
