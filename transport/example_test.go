package transport_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/goser-project/goser/transport"
)

// byLine is a Splitter for lines of text.
type byLine struct{}

func (byLine) Split(buf []byte) (skip, size int, err error) {
	return 0, bytes.IndexByte(buf, '\n') + 1, nil
}

func ExampleLayer() {
	var l *transport.Layer
	l = transport.New(transport.Config{
		NewSplitter: func() transport.Splitter { return byLine{} },
		Receive: func(p *transport.Packet) {
			// The answer takes the way that the question came, back.
			if err := l.Send(p.Flow, bytes.ToUpper(p.Data)); err != nil {
				fmt.Println(err)
			}
		},
	})
	defer l.Shutdown(context.Background())

	for _, p := range []transport.Protocol{transport.UDP, transport.TCP} {
		listeners, err := l.Listen(context.Background(), p, netip.MustParseAddrPort("127.0.0.1:0"), "sip.example.com")
		if err != nil {
			fmt.Println(err)
			return
		}
		c, err := net.Dial(strings.ToLower(p.String()), listeners[0].Addr.String())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Fprintln(c, "hello")
		answer := make([]byte, 100)
		n, _ := c.Read(answer)
		fmt.Printf("%v: %s", p, answer[:n])
		c.Close()
	}
	// Output:
	// UDP: HELLO
	// TCP: HELLO
}

func ExampleLayer_Connect() {
	received := make(chan string)
	bob := transport.New(transport.Config{
		NewSplitter: func() transport.Splitter { return byLine{} },
		Receive:     func(p *transport.Packet) { received <- string(p.Data) },
	})
	defer bob.Shutdown(context.Background())
	alice := transport.New(transport.Config{
		NewSplitter: func() transport.Splitter { return byLine{} },
		Receive:     func(*transport.Packet) {},
	})
	defer alice.Shutdown(context.Background())

	listeners, err := bob.Listen(context.Background(), transport.TCP, netip.MustParseAddrPort("[::1]:0"), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	hop := transport.Hop{Protocol: transport.TCP, Addr: listeners[0].Addr}
	for _, text := range []string{"one\n", "two\n"} {
		// The first time this dials, the second time it finds the connection.
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		flow, err := alice.Connect(ctx, hop, netip.AddrPort{})
		cancel()
		if err == nil {
			err = alice.Send(flow, []byte(text))
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(<-received)
	}
	fmt.Println("dialed:", alice.Stats().Stream.Dialed)
	// Output:
	// one
	// two
	// dialed: 1
}

func ExamplePacket_Detach() {
	lookup := func(netip.AddrPort) { /* asks a database */ }
	done := make(chan string)
	l := transport.New(transport.Config{Receive: func(p *transport.Packet) {
		if !bytes.HasPrefix(p.Data, []byte("INVITE")) {
			return // what is quick is done right here
		}
		p.Detach() // the socket is read on meanwhile
		lookup(p.Flow.Remote)
		done <- string(p.Data) // still the same
	}})
	defer l.Shutdown(context.Background())
	listeners, err := l.Listen(context.Background(), transport.UDP, netip.MustParseAddrPort("127.0.0.1:0"), "")
	if err != nil {
		fmt.Println(err)
		return
	}
	self, err := l.Connect(context.Background(), transport.Hop{Protocol: transport.UDP, Addr: listeners[0].Addr}, netip.AddrPort{})
	if err == nil {
		err = l.Send(self, []byte("INVITE"))
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-done)
	// Output:
	// INVITE
}
