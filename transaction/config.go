package transaction

import (
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// Sender sends the bytes of a message. [transport.Layer] is one. Send must not block, must not keep b, and must not call the table
// back. An error means that the message has certainly not been sent. One that was taken and could not be sent later is told with
// [Table.SendFailed], not from within Send.
type Sender interface {
	Send(f transport.Flow, b []byte) error
}

// User is the transaction user of server transactions (RFC 3261 section 17). Its methods are called with no lock held, on the
// goroutine that delivered the message or on a timer's. But for Request they must not block; they may call everything in this
// package but [Table.Shutdown].
//
// Cancel and Ended of one transaction come in that order and one at a time. They are held back until Request has returned or
// has called [Server.SetData], whichever is first: by then the user knows the transaction. They are never called from within a
// method of Server or Client, so those may be called with the user's own locks held.
type User interface {
	// Request gets a new request, with the transaction that answers it. tx is nil for an ACK that does not belong to a transaction:
	// one for a 2xx, or a stray one. It may block only where [transport.Config].Receive may.
	Request(tx *Server, m *sip.Message, p *transport.Packet)
	// Cancel says that the request of tx, an INVITE without final response, is cancelled by m (RFC 3261 section 9.2), which the
	// table has answered with 200. It comes once. The user is to answer the INVITE soon, with 487 if nothing better comes.
	Cancel(tx *Server, m *sip.Message)
	// Response gets a response that matches no client transaction. A proxy must not forward it (RFC 6026 section 8.9).
	Response(m *sip.Message, f transport.Flow)
	// Ended says that tx has left the table. It is called once for every transaction that Request was given. The error is nil;
	// or [ErrNoACK]; or [ErrTimeout] where a non-INVITE request was not answered in time; or the [ErrTransport] of a final
	// response that never could be sent; or [ErrClosed] where the table was shut down before.
	Ended(tx *Server, err error)
}

// ClientUser is told what happens to one client transaction, in order and one at a time. Its methods are called with no lock
// held, on the goroutine that delivered the message or on a timer's, and must not block; they may call everything in this package
// but [Table.Shutdown]. They may be called before [Table.NewClient] has returned, but never from within it or another method of
// Server or Client, so those may be called with the user's own locks held.
type ClientUser interface {
	// Response gets each response that the machine passes up: all provisional ones, the first final one, and every 2xx to an INVITE,
	// retransmitted ones too (RFC 6026), even after another final response. f is where it came from.
	Response(c *Client, m *sip.Message, f transport.Flow)
	// Failed comes at most once: [ErrTimeout] (Timer B or F, or 64*T1 after the CANCEL), [ErrTransport] or [ErrClosed], instead
	// of a final response; or [ErrTransport] after it, if an ACK could not be sent.
	Failed(c *Client, err error)
	// TimerC says that the INVITE got no response, other than 100 ones, for the time of Timer C (RFC 3261 section 16.8). The user
	// calls [Client.Cancel]; else Timer C runs once more. It comes only when a provisional response was received.
	TimerC(c *Client)
	// Ended is the last call: the transaction has left the table.
	Ended(c *Client)
}

// Config says what a [Table] works with. It must not be changed after it was given to [New].
type Config struct {
	Sender Sender // needed
	User   User   // needed
	Timers Timers

	// Shards is how many parts the table has, rounded up to a power of two. Each has its lock and its timer. Default 8 for each
	// processor.
	Shards int

	// MaxServer and MaxClient bound the live transactions of either side. Above, a request is answered with 503 and forgotten,
	// and NewClient fails with [ErrTooMany]. ACK and CANCEL are always handled. Zero: 500,000; negative: no bound.
	MaxServer, MaxClient int
	// RetryAfter is what the 503 says (RFC 3261 section 21.5.4), in whole seconds. Default 10 s.
	RetryAfter time.Duration

	// ToTag returns the To tag of the responses that the table makes: 200 and 481 to CANCEL, 503. It should return the same for
	// an INVITE and its CANCEL, and the user should use it for its own responses to the INVITE (RFC 3261 section 9.2). Default: a
	// keyed hash of what matches a request to its transaction; [Table.ToTag] returns it.
	ToTag func(m *sip.Message) string
}
