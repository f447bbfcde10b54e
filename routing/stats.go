package routing

import (
	"sync/atomic"

	"github.com/goser-project/goser/transaction"
	"github.com/goser-project/goser/transport"
)

// counters are the server's own; they only grow, besides the gauges at the end.
type counters struct {
	requestsReceived, responsesReceived, requestsForwarded, responsesSent, keepalives,
	invalidAnswered, invalidDropped, refused, overloaded, dropped, strayResponses, strayACKs,
	loops, tooManyHops, breadthExceeded,
	handlerErrors, panics, unanswered, lateHandlers, badEdits, provisionalsDropped,
	branchTimeouts, branchErrors, movedToTCP, sentFragmented atomic.Uint64

	handlers, contexts, background atomic.Int64 // gauges
}

// Stats is a snapshot of what a server has counted. Every message that was
// received is in one of the counters of this or of the transport's or the
// transactions' part.
type Stats struct {
	RequestsReceived  uint64 // well-formed requests
	ResponsesReceived uint64 // well-formed responses
	RequestsForwarded uint64 // copies of requests sent, ACKs included, CANCELs not
	ResponsesSent     uint64 // responses sent upstream, made here or relayed, retransmissions not counted
	Keepalives        uint64 // datagrams that only keep a NAT binding open

	InvalidAnswered uint64 // malformed requests that were answered 400, 505, …
	InvalidDropped  uint64 // malformed messages that could not be answered
	Refused         uint64 // requests refused by validation (RFC 3261 16.3): 400, 416, 420
	Overloaded      uint64 // requests refused as too many handlers run, or at shutdown; responses and branches given up as too many connections are being opened
	Dropped         uint64 // requests ended by ErrDrop
	StrayResponses  uint64 // responses that belong to no transaction
	StrayACKs       uint64 // ACKs that were not passed on

	Loops           uint64 // 482: loops detected
	TooManyHops     uint64 // 483: Max-Forwards used up
	BreadthExceeded uint64 // 440: more parallel branches than Max-Breadth allows

	HandlerErrors       uint64 // handlers that returned an error that is no answer
	Panics              uint64 // handlers that panicked or ended their goroutine
	Unanswered          uint64 // handlers that returned nil with nothing sent
	LateHandlers        uint64 // handlers that kept a reader waiting, for ten to twenty milliseconds, before it read on without them
	BadEdits            uint64 // responses and branches not sent as an edit was refused
	ProvisionalsDropped uint64 // provisional responses dropped as a Fork does not read them

	BranchTimeouts uint64 // branches that ended without a final response
	BranchErrors   uint64 // branches that ended by a transport error
	MovedToTCP     uint64 // requests too large for UDP sent over TCP
	SentFragmented uint64 // requests too large for UDP sent as they are, as TCP was refused

	Handlers int64 // handlers running or waiting for their turn, now
	Contexts int64 // requests without a final outcome, now

	Transport   transport.Stats
	Transaction transaction.Stats
}

// Stats returns a snapshot of the counters.
func (s *Server) Stats() Stats {
	s.init()
	c := &s.counters
	return Stats{
		RequestsReceived: c.requestsReceived.Load(), ResponsesReceived: c.responsesReceived.Load(),
		RequestsForwarded: c.requestsForwarded.Load(), ResponsesSent: c.responsesSent.Load(),
		Keepalives: c.keepalives.Load(), InvalidAnswered: c.invalidAnswered.Load(), InvalidDropped: c.invalidDropped.Load(),
		Refused: c.refused.Load(), Overloaded: c.overloaded.Load(), Dropped: c.dropped.Load(),
		StrayResponses: c.strayResponses.Load(), StrayACKs: c.strayACKs.Load(),
		Loops: c.loops.Load(), TooManyHops: c.tooManyHops.Load(), BreadthExceeded: c.breadthExceeded.Load(),
		HandlerErrors: c.handlerErrors.Load(), Panics: c.panics.Load(), Unanswered: c.unanswered.Load(),
		LateHandlers: c.lateHandlers.Load(),
		BadEdits:     c.badEdits.Load(), ProvisionalsDropped: c.provisionalsDropped.Load(),
		BranchTimeouts: c.branchTimeouts.Load(), BranchErrors: c.branchErrors.Load(),
		MovedToTCP: c.movedToTCP.Load(), SentFragmented: c.sentFragmented.Load(),
		Handlers: c.handlers.Load(), Contexts: c.contexts.Load(),
		Transport: s.layer.Stats(), Transaction: s.table.Stats(),
	}
}
