package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// benchCase is one load, the servers that get it, and what has been measured.
type benchCase struct {
	name, title string
	metrics     []metric
	subjects    []subject
	ratios      [][2]string // names of subjects
	maxRounds   int         // if not 0: what is measured hardly varies, and takes long
	sipp        bool        // the load is SIPp's
	mustSucceed bool        // a failed call is an error

	samples map[string][]sample // by name of subject
}

// subject is a server, and the load for it.
type subject struct {
	name    string // in tables
	peer    peer
	command func(l *lab) ([]string, error)
	load    load
}

type peer int

const (
	goser peer = iota
	kamailio
	sipgo
)

// load puts a load on a server and returns what it cost.
type load interface {
	transport() string // that the server must listen on: udp or tcp
	measure(ctx context.Context, l *lab, s *process) (sample, error)
	// patience is how long that takes, at the very most.
	patience(o options) time.Duration
}

// sample is what was measured of one server in one round, by key of metric.
type sample map[string]float64

// choose returns the cases of these names, all if there are none.
func choose(cases []benchCase, names []string) ([]benchCase, error) {
	if len(names) == 0 {
		return cases, nil
	}
	var known []string
	for _, c := range cases {
		known = append(known, c.name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no case %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(cases, func(c benchCase) bool { return !slices.Contains(names, c.name) }), nil
}

// run measures every server once a round, so that what else the machine does hits all of them.
func (c *benchCase) run(ctx context.Context, l *lab) error {
	c.subjects = slices.DeleteFunc(c.subjects, func(s subject) bool { return !l.has(s.peer) })
	c.samples = make(map[string][]sample)
	rounds := l.rounds
	if c.maxRounds > 0 {
		rounds = min(rounds, c.maxRounds)
	}
	for round := range rounds {
		for _, s := range c.subjects {
			got, err := s.measure(ctx, l)
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", s.name, round+1, err)
			}
			c.samples[s.name] = append(c.samples[s.name], got)
			fmt.Fprintf(os.Stderr, "%s %d/%d  %s: %s\n", c.name, round+1, rounds, s.name, progress(c.metrics, got))
		}
	}
	return c.verdict()
}

// verdict is an error if calls failed that must not.
func (c *benchCase) verdict() error {
	if !c.mustSucceed {
		return nil
	}
	for _, s := range c.subjects {
		if n := combine(failedCalls, c.samples[s.name]).value; n > 0 {
			return fmt.Errorf("%s: %.0f calls failed", s.name, n)
		}
	}
	return nil
}

// measure starts the server, measures it, and ends it.
func (s subject) measure(ctx context.Context, l *lab) (got sample, err error) {
	argv, err := s.command(l)
	if err != nil {
		return nil, err
	}
	if err := requireFree(s.load.transport(), l.port, l.calleePort(), l.callerPort()); err != nil {
		return nil, err
	}
	server, err := l.start(argv)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	ctx, cancel := context.WithTimeoutCause(ctx, s.load.patience(l.options), errors.New("it took too long"))
	defer cancel()
	ctx, cancel = server.whileRunning(ctx)
	defer cancel()
	if err := server.waitListening(ctx, s.load.transport(), l.port); err != nil {
		return nil, err
	}
	// Kamailio's workers start, and Go's first collections end: all that is not the load's.
	if err := pause(ctx, time.Second); err != nil {
		return nil, err
	}
	got, err = s.load.measure(ctx, l, server)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, server.lastWords())
	}
	return got, nil
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
