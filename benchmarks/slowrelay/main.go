// Slowrelay is examples/relay with a handler that sleeps in every tenth call, as one does that asks a database: the calls
// between must neither wait for it nor overtake themselves.
//
//	go run ./benchmarks/slowrelay -listen udp:127.0.0.1:5070 -to sip:127.0.0.1:5080
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
)

func main() {
	listen := flag.String("listen", "udp::5070", "`address` to listen on")
	to := flag.String("to", "", "next hop, a SIP `URI` like sip:127.0.0.1:5080")
	nap := flag.Duration("sleep", 20*time.Millisecond, "how long every tenth call is held")
	flag.Parse()
	if err := run(*listen, *to, *nap); err != nil {
		fmt.Fprintln(os.Stderr, "slowrelay:", err)
		os.Exit(1)
	}
}

func run(listen, to string, nap time.Duration) error {
	next, err := sip.ParseURI(to)
	if err != nil || !next.IsSIP() {
		return fmt.Errorf("-to %q: want a SIP URI like sip:127.0.0.1:5080", to)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &routing.Server{
		Handler: route(routing.Target{NextHop: next}, nap),
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if err := server.Listen(ctx, listen); err != nil {
		return err
	}
	<-ctx.Done()
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

func route(next routing.Target, nap time.Duration) routing.HandlerFunc {
	var calls atomic.Uint64
	return func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		if r.Method() == sip.INVITE && calls.Add(1)%10 == 0 {
			time.Sleep(nap)
		}
		if r.Method() == sip.INVITE || r.Method() == sip.SUBSCRIBE {
			r.RecordRoute()
		}
		return r.Relay(next)
	}
}
