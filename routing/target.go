package routing

import (
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// A Target says where one branch goes. Its zero value sends the request on to
// where its Route and Request-URI point. A Target is a value and may be used
// for several requests.
type Target struct {
	// URI becomes the Request-URI. The zero URI leaves it as it is.
	URI sip.URI

	// Flow, if set, is the way out: the connection, or the socket and remote
	// address, on which a phone registered. It comes before NextHop and Route.
	Flow transport.Flow

	// NextHop, if set, is where the request is sent whatever its Request-URI
	// and Route say, as to an outbound proxy. It is not written into the request.
	NextHop sip.URI

	// Route is put on top of the Route header field, as one value or several
	// separated by commas: the Path under which a phone registered (RFC 3327).
	// Its first element is the next hop unless Flow or NextHop says otherwise.
	Route string

	// Timeout ends the branch if it has no final response after that time: an
	// INVITE is cancelled, and the outcome is 408 with ErrTimeout. 0 leaves it
	// to the transaction timers and Timer C.
	Timeout time.Duration

	// NoAnswer ends the branch if nothing at all came back after that time, so
	// that a dead target is left sooner than after Timer B or F (64*T1, 32 s).
	NoAnswer time.Duration

	// Edit changes this branch's copy of the request, after the engine's own
	// changes and those of [Request.Edit]. It must not keep the patch.
	Edit func(*sip.Patch)
}

// To returns the target of a URI. Text that is no URI gives a target that
// fails as unreachable when it is used; use [sip.ParseURI] for text that is
// not one's own.
func To(uri string) Target { return Target{URI: parseTarget(uri)} }

// Via returns the target that leaves the Request-URI as it is and sends the
// request to the next hop of a URI. Text that is no URI is treated as in To.
func Via(nextHop string) Target { return Target{NextHop: parseTarget(nextHop)} }

func parseTarget(text string) sip.URI {
	u, err := sip.ParseURI(text)
	if err != nil {
		return sip.URI{Scheme: "invalid", Opaque: "target"} // no next hop has that scheme
	}
	return u
}

// Response is what came of a target: a message received from it, or an
// outcome made here when there is none. It is a value, never an error.
type Response struct {
	// Status is the status code: the message's, or 408, 487, 500 or 503 for an outcome made here.
	Status int
	// Message is the response as it was received, nil for an outcome made here.
	Message *sip.Message
	// Target is the target that it came of.
	Target Target
	// Err says why an outcome was made here: ErrTimeout, ErrUnreachable, ErrCancelled, … or nil.
	Err error

	done bool
}

// Done reports whether there is nothing left to try: the request was answered
// with a 2xx, declined everywhere with a 6xx, or the caller gave up.
func (r Response) Done() bool { return r.done }

// Local reports whether the outcome was made here, as no message came.
func (r Response) Local() bool { return r.Message == nil }
