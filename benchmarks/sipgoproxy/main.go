// Sipgoproxy is a proxy and registrar written with sipgo the way its users do: a server and a client handle that share a
// user agent, and a loop that hands the responses of the client transaction to the server transaction. It is what goser
// is measured beside, so it is to be neither worse than it has to be nor better than one would write.
//
//	go run ./benchmarks/sipgoproxy -listen udp:127.0.0.1:5070 -to 127.0.0.1:5080
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

func main() {
	listen := flag.String("listen", "udp:127.0.0.1:5070", "`transport:address:port` to listen on")
	to := flag.String("to", "", "next hop, an `address:port`, reached over the transport of the listener")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *to); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "sipgoproxy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, to string) error {
	network, address, _ := strings.Cut(listen, ":")
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("-listen %q: want transport:address:port", listen)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("-listen %q: %w", listen, err)
	}
	// 1,300 bytes are sipgo's bound for datagrams; above it would drop what the others relay.
	sip.UDPMTUSize = 65535

	ua, err := sipgo.NewUA()
	if err != nil {
		return err
	}
	defer ua.Close()
	server, err := sipgo.NewServer(ua)
	if err != nil {
		return err
	}
	client, err := sipgo.NewClient(ua, sipgo.WithClientAddr(address))
	if err != nil {
		return err
	}
	p := &proxy{client: client, host: host, port: port, next: to}
	if network == "udp" {
		p.local = sip.Addr{IP: net.ParseIP(host), Port: port}
	}
	server.OnRegister(p.register)
	server.OnOptions(p.options)
	server.OnAck(p.ack)
	server.OnNoRoute(p.relay)
	return server.ListenAndServe(ctx, network, address)
}
