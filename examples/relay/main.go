// Relay forwards every call to one next hop and stays in its path.
//
//	go run ./examples/relay -listen udp:127.0.0.1:5070 -to sip:127.0.0.1:5080
//
// With -stateless it keeps nothing of a call (RFC 3261 16.11).
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
)

func main() {
	listen := flag.String("listen", "udp::5070,tcp::5070", "comma-separated `addresses` to listen on")
	advertise := flag.String("advertise", "", "`host[:port]` at which others reach us, if not the listeners' own")
	to := flag.String("to", "", "next hop, a SIP `URI` like sip:127.0.0.1:5080 or sip:gw.example.net;transport=tcp")
	stateless := flag.Bool("stateless", false, "relay without transactions")
	flag.Parse()
	if err := run(*listen, *advertise, *to, *stateless); err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
		os.Exit(1)
	}
}

func run(listen, advertise, to string, stateless bool) error {
	next, err := sip.ParseURI(to)
	if err != nil || !next.IsSIP() {
		return fmt.Errorf("-to %q: want a SIP URI like sip:127.0.0.1:5080", to)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &routing.Server{
		Handler:   route(routing.Target{NextHop: next}),
		Advertise: advertise,
		Stateless: stateless,
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if err := server.Listen(ctx, strings.Split(listen, ",")...); err != nil {
		return err
	}
	for _, l := range server.Listeners() {
		fmt.Printf("listening on %v, relaying to %v\n", l, next)
	}
	<-ctx.Done()
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

// route sends requests outside dialogs to the next hop and lets those inside
// follow the route that they recorded.
func route(next routing.Target) routing.HandlerFunc {
	return func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			err := r.FollowRoute()
			if err == routing.ErrNotRouted && r.Server().Stateless && r.Method() == sip.ACK {
				return r.Relay(next) // for a failure, which only transactions would know
			}
			return err
		}
		if r.Method() == sip.INVITE || r.Method() == sip.SUBSCRIBE {
			r.RecordRoute()
		}
		return r.Relay(next)
	}
}
