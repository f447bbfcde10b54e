package transaction_test

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transaction"
	"github.com/goser-project/goser/transport"
)

// wire stands for a [transport.Layer]: it prints what is sent.
type wire struct{}

func (wire) Send(f transport.Flow, b []byte) error {
	line, _, _ := strings.Cut(string(b), "\r\n")
	fmt.Println("to", f.Remote, line)
	return nil
}

// server is a user agent server that knows OPTIONS only.
type server struct{ table *transaction.Table }

func (s *server) Request(tx *transaction.Server, m *sip.Message, p *transport.Packet) {
	if tx == nil {
		return // an ACK
	}
	res := sip.NewResponse(sip.StatusOK)
	switch {
	case tx.Merged():
		res.Status = sip.StatusLoopDetected
	case m.Method() != sip.OPTIONS:
		res.Status = sip.StatusMethodNotAllowed
		res.Set(sip.Allow, "OPTIONS")
	}
	if err := tx.Respond(res.Status, sip.AppendResponse(nil, m, res, s.table.ToTag(m))); err != nil {
		fmt.Println(err) // on a connection that is gone: SetFlow, and Respond again
	}
}

func (s *server) Cancel(tx *transaction.Server, m *sip.Message) {}
func (s *server) Response(m *sip.Message, f transport.Flow)     {}
func (s *server) Ended(tx *transaction.Server, err error)       {}

var flow = transport.Flow{
	Protocol: transport.UDP,
	Local:    netip.MustParseAddrPort("192.0.2.1:5060"),
	Remote:   netip.MustParseAddrPort("192.0.2.9:5060"),
}

// A server answers a request; its retransmission gets the same response without the server's doing.
func Example() {
	s := new(server)
	s.table = transaction.New(transaction.Config{Sender: wire{}, User: s})
	defer s.table.Shutdown()

	m, err := sip.Parse([]byte("OPTIONS sip:192.0.2.1 SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK776asdhds\r\n" +
		"From: <sip:alice@example.com>;tag=1928301774\r\n" +
		"To: <sip:192.0.2.1>\r\n" +
		"Call-ID: a84b4c76e66710\r\n" +
		"CSeq: 63104 OPTIONS\r\n" +
		"Max-Forwards: 70\r\n" +
		"Content-Length: 0\r\n\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	packet := &transport.Packet{Flow: flow}
	s.table.Receive(m, packet)
	s.table.Receive(m, packet)
	fmt.Println(s.table.Stats().NonInviteServer.Created, "transaction")
	// Output:
	// to 192.0.2.9:5060 SIP/2.0 200 OK
	// to 192.0.2.9:5060 SIP/2.0 200 OK
	// 1 transaction
}

// caller hears what becomes of a request.
type caller struct{}

func (caller) Response(c *transaction.Client, m *sip.Message, f transport.Flow) {
	fmt.Println("got", m.Status(), m.ReasonPhrase())
}
func (caller) Failed(c *transaction.Client, err error) { fmt.Println(err) }
func (caller) TimerC(c *transaction.Client)            { c.Cancel("") }
func (caller) Ended(c *transaction.Client)             {}

// A request is sent, and its final response acknowledged.
func ExampleTable_NewClient() {
	table := transaction.New(transaction.Config{Sender: wire{}, User: new(server)})
	defer table.Shutdown()

	const branch = "z9hG4bKnashds8"
	invite := "INVITE sip:bob@192.0.2.9 SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP 192.0.2.1;branch=" + branch + "\r\n" +
		"From: <sip:alice@example.com>;tag=1928301774\r\n" +
		"To: <sip:bob@example.com>\r\n" +
		"Call-ID: a84b4c76e66710\r\n" +
		"CSeq: 1 INVITE\r\n" +
		"Max-Forwards: 70\r\n" +
		"Content-Length: 0\r\n\r\n"
	c, err := table.NewClient(flow, sip.INVITE, "a84b4c76e66710", branch, []byte(invite), caller{})
	if err != nil {
		fmt.Println(err) // could not be sent; try the next server
		return
	}
	fmt.Println("sent to", c.Flow().Remote)

	m, err := sip.Parse([]byte(invite))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, status := range []int{sip.StatusRinging, sip.StatusBusyHere} {
		b := sip.AppendResponse(nil, m, sip.NewResponse(status), "a6c85cf")
		if response, err := sip.Parse(b); err == nil {
			table.Receive(response, &transport.Packet{Flow: flow})
		}
	}
	// Output:
	// to 192.0.2.9:5060 INVITE sip:bob@192.0.2.9 SIP/2.0
	// sent to 192.0.2.9:5060
	// got 180 Ringing
	// to 192.0.2.9:5060 ACK sip:bob@192.0.2.9 SIP/2.0
	// got 486 Busy Here
}
