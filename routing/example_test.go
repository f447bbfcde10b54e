package routing_test

import (
	"context"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
)

// A proxy that listens until it is interrupted.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	server := &routing.Server{
		Handler: routing.HandlerFunc(func(ctx context.Context, r *routing.Request) error {
			if r.InDialog() {
				return r.FollowRoute()
			}
			r.RecordRoute()
			return r.Relay(routing.Via("sip:192.0.2.1"))
		}),
	}
	if err := server.Listen(ctx, "udp::5060", "tcp::5060"); err != nil {
		log.Fatal(err)
	}
	<-ctx.Done()
	server.Shutdown(context.Background())
}

// Serial forking with a failure route: two gateways, then voicemail.
func ExampleRequest_Forward() {
	route := func(ctx context.Context, r *routing.Request) error {
		for _, gateway := range []string{"sip:192.0.2.1", "sip:192.0.2.2"} {
			target := routing.Via(gateway)
			target.NoAnswer = 3 * time.Second // a dead gateway costs three seconds, not 32
			if res := r.Forward(ctx, target); res.Done() {
				return nil // answered, declined everywhere, or the caller gave up
			}
		}
		r.Forward(ctx, routing.To("sip:voicemail@192.0.2.9")) // the failure route is the next statement
		return nil                                            // the best response goes upstream
	}
	_ = routing.Server{Handler: routing.HandlerFunc(route)}
}

// Parallel forking: both phones ring, the first to answer gets the call.
func ExampleRequest_Forward_parallel() {
	route := func(ctx context.Context, r *routing.Request) error {
		r.Forward(ctx, routing.To("sip:bob@192.0.2.7"), routing.To("sip:bob@192.0.2.8"))
		return nil
	}
	_ = routing.Server{Handler: routing.HandlerFunc(route)}
}

// Recursion on redirects, and a header field added to every answer.
func ExampleRequest_Fork() {
	route := func(ctx context.Context, r *routing.Request) error {
		for res := range r.Fork(ctx) {
			switch {
			case res.Status/100 == 3 && !res.Local():
				for contact, err := range res.Message.Contacts() {
					if err == nil && contact.URI.IsSIP() {
						res.Recurse(routing.Target{URI: contact.URI})
					}
				}
			case res.Status/100 == 2:
				res.Edit().Add("X-Answered-By", res.Message.Get(sip.UserAgent))
			}
		}
		return nil
	}
	_ = routing.Server{Handler: routing.HandlerFunc(route)}
}

// What every request passes through, and then a handler for each method.
func ExampleMiddleware() {
	refuseScanners := func(next routing.Handler) routing.Handler {
		return routing.HandlerFunc(func(ctx context.Context, r *routing.Request) error {
			if strings.Contains(r.Message.Get(sip.UserAgent), "friendly-scanner") {
				return routing.ErrDrop // counted, not answered
			}
			return next.ServeSIP(ctx, r)
		})
	}
	methods := routing.Methods{
		sip.OPTIONS: routing.HandlerFunc(func(ctx context.Context, r *routing.Request) error {
			return r.Respond(sip.NewResponse(sip.StatusOK))
		}),
	}
	_ = routing.Server{Handler: routing.Chain(methods, refuseScanners)}
}
