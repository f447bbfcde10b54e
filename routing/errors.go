package routing

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goser-project/goser/sip"
)

// ErrDrop, returned by a handler, ends the request without an answer. It is
// counted. Retransmissions of the request come to the handler again.
var ErrDrop = errors.New("routing: request dropped by its handler")

// ErrMethodNotAllowed, returned by a handler, is answered 405. RFC 3261 8.2.1
// wants a 405 to name the methods that are allowed: [Methods] does that.
var ErrMethodNotAllowed error = Status(sip.StatusMethodNotAllowed)

// ErrNotRouted is FollowRoute's for a request whose Route does not name this
// server. It is answered 404; an ACK is dropped.
var ErrNotRouted error = Status(sip.StatusNotFound)

// Errors that a [Response] made here carries, and that Respond returns.
var (
	// ErrTimeout: the branch got no (final) response in time; its status is 408.
	ErrTimeout = errors.New("routing: no response in time")
	// ErrUnreachable: no address, no connection, or the sending failed; its status is 503.
	ErrUnreachable = errors.New("routing: target unreachable")
	// ErrCancelled: the caller gave up; its status is 487.
	ErrCancelled = errors.New("routing: cancelled by the caller")
	// ErrAnswered: a final response has gone upstream already.
	ErrAnswered = errors.New("routing: request already answered")
	// ErrStateless: the request has no transaction (Server.Stateless or StatelessMethods), so there is nothing to wait for.
	ErrStateless = errors.New("routing: without a transaction there are no responses to wait for")
	// ErrServerClosed: the server was shut down.
	ErrServerClosed = errors.New("routing: server closed")
)

// errTransactionEnded is the cause with which a handler's ctx ends in the end.
var errTransactionEnded = errors.New("routing: transaction ended")

// Status is an error that is answered with this status code and its default
// reason phrase: return routing.Status(404).
type Status int

// Error returns the status code and its reason phrase.
func (s Status) Error() string { return fmt.Sprintf("%d %s", int(s), sip.ReasonPhrase(int(s))) }

// SIPStatus returns the status code.
func (s Status) SIPStatus() int { return int(s) }

// Refusal is an error that is answered with a whole response, for answers
// that need header fields of their own.
type Refusal struct{ Response *sip.Response }

// Refuse makes an error of a response.
func Refuse(res *sip.Response) error { return &Refusal{Response: res} }

// Error returns the status code and the reason phrase.
func (e *Refusal) Error() string {
	return fmt.Sprintf("%d %s", e.Response.Status, reason(e.Response))
}

// SIPStatus returns the response's status code.
func (e *Refusal) SIPStatus() int { return e.Response.Status }

// SIPResponse returns the response.
func (e *Refusal) SIPResponse() *sip.Response { return e.Response }

func reason(res *sip.Response) string {
	if res.Reason != "" {
		return res.Reason
	}
	return sip.ReasonPhrase(res.Status)
}

// answerOf returns the response that err stands for, or nil if err is not an
// answer. Only final failures can be answers: a success is never an error.
func answerOf(err error) *sip.Response {
	var whole interface{ SIPResponse() *sip.Response }
	if errors.As(err, &whole) {
		if res := whole.SIPResponse(); res != nil && finalFailure(res.Status) {
			return res
		}
	}
	var status interface{ SIPStatus() int }
	if errors.As(err, &status) && finalFailure(status.SIPStatus()) {
		return sip.NewResponse(status.SIPStatus())
	}
	return nil
}

func finalFailure(status int) bool { return status >= 300 && status <= 699 }

// methodNotAllowed is the 405 of a method map; RFC 3261 8.2.1 demands Allow.
func methodNotAllowed(m Methods) error {
	var names []string
	for method := range m {
		if method != "" {
			names = append(names, string(method))
		}
	}
	slices.Sort(names)
	res := sip.NewResponse(sip.StatusMethodNotAllowed)
	res.Set(sip.Allow, strings.Join(names, ", "))
	return Refuse(res)
}
