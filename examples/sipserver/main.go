// Sipserver is a registrar and proxy for its domains: phones register with it
// and call each other.
//
//	go run ./examples/sipserver
//	go run ./examples/sipserver -listen udp:192.0.2.1:5060,tcp:192.0.2.1:5060 -domain example.org
//
// With -v it logs each registration and each call.
//
// There is no authentication: anybody may register as anybody. Run it where
// only those reach it who may.
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

	"github.com/goser-project/goser/registrar"
	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
)

func main() {
	listen := flag.String("listen", "udp::5060,tcp::5060", "comma-separated `addresses` to listen on, like udp:127.0.0.1:5060,tcp:[::1]:5060")
	advertise := flag.String("advertise", "", "`host[:port]` at which others reach us, if not the listeners' own")
	verbose := flag.Bool("v", false, "log each registration and each call")
	var domains list
	flag.Var(&domains, "domain", "`domain` to serve, repeatable (default: every address and name of this server)")
	flag.Parse()
	if err := run(*listen, *advertise, *verbose, domains); err != nil {
		fmt.Fprintln(os.Stderr, "sipserver:", err)
		os.Exit(1)
	}
}

func run(listen, advertise string, verbose bool, domains []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	store := &registrar.MemoryStore{}
	defer store.Close()

	p := newProxy(store, domains, log)
	store.OnExpire = p.logRegistration // a phone that went away without a word
	p.server.Advertise = advertise
	if err := p.server.Listen(ctx, strings.Split(listen, ",")...); err != nil {
		return err
	}
	for _, l := range p.server.Listeners() {
		fmt.Printf("listening on %v\n", l)
	}
	fmt.Println("serving", p.serves())

	<-ctx.Done()
	fmt.Println("ending")
	grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return p.server.Shutdown(grace)
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// newProxy makes the server of a location store and its domains.
func newProxy(store registrar.Store, domains []string, log *slog.Logger) *proxy {
	p := &proxy{log: log, domains: domains, known: newUserSet()}
	if len(domains) == 0 {
		if name, err := os.Hostname(); err == nil {
			p.names = []string{name, "localhost"}
		}
	}
	p.registrar = &registrar.Registrar{Store: store, Domains: p.isDomain, OnChange: p.logRegistration}
	p.register = routing.Answer(p.registrar)
	p.server = &routing.Server{
		Names:   append(p.names, domains...),
		Logger:  log,
		Handler: routing.HandlerFunc(p.route),
		// The registrar answers a repeated REGISTER as it answered the first.
		StatelessMethods: []sip.Method{sip.REGISTER},
	}
	return p
}
