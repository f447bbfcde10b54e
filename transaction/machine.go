package transaction

import (
	"math"
	"strings"
	"time"
)

// The four machines of RFC 3261 section 17 (client_invite.go, client_noninvite.go, server_invite.go, server_noninvite.go) are pure
// values. A machine is told what happened and when, changes its state and its deadlines, and says what is to be done. It sends
// nothing, calls nothing, holds no message and reads no clock. What happened is an event, what is to be done is a set of actions.

// instant is a point in time: how long after the table was made.
type instant = time.Duration

// never is the deadline of a timer that does not run.
const never instant = math.MaxInt64

// state is a state of RFC 3261 section 17 or RFC 6026 section 7. The order matters: from completed on the machine only waits.
type state uint8

const (
	calling state = iota + 1
	trying
	proceeding
	completed
	confirmed
	accepted
	terminated
)

// event is something that happens to a machine.
type event uint8

const (
	nothing event = iota

	// A request that matches a server transaction.
	request // a retransmission of the one that created it
	ack
	// A CANCEL has matched a server transaction, or the user wants a client transaction cancelled.
	cancel

	// A response: from the network for a client transaction, from the user for a server transaction.
	response100
	response1xx // 101 to 199
	response2xx
	response3xx // 300 to 699

	// What was to be sent last could not be sent.
	transportError
	// The user wants no more of a server transaction.
	drop

	timerA // INVITE request retransmission
	timerB // INVITE transaction timeout
	timerC // proxy INVITE transaction timeout
	timerD // wait for response retransmissions
	timerE // non-INVITE request retransmission
	timerF // non-INVITE transaction timeout
	timerG // INVITE response retransmission
	timerH // wait for ACK
	timerI // wait for ACK retransmissions
	timerJ // wait for non-INVITE request retransmissions
	timerK // wait for response retransmissions
	timerL // wait for accepted INVITE request retransmissions, RFC 6026
	timerM // wait for retransmissions of 2xx to INVITE, RFC 6026

	// Timers without a letter.
	timerTrying   // a 100 is due: RFC 3261 section 17.2.1, RFC 4320 section 4.1
	timerCanceled // no final response 64*T1 after the CANCEL: RFC 3261 section 9.1
	timerUseless  // the client has given up on a non-INVITE request: RFC 4320 section 4.2

	events int = iota
)

// responseEvent returns the event that a response with the status is.
func responseEvent(status int) event {
	switch {
	case status == 100:
		return response100
	case status < 200:
		return response1xx
	case status < 300:
		return response2xx
	}
	return response3xx
}

// actions is what is to be done after a step, as a set. It is done in the order of the constants.
type actions uint16

const (
	// refuse: the response is not sent and the user is told so.
	refuse actions = 1 << iota
	// sendRequest sends what the client transaction keeps.
	sendRequest
	// makeACK builds the ACK for this response, keeps it in place of the request, and sends it.
	makeACK
	// sendACK sends the ACK that is kept.
	sendACK
	// sendCancel builds a CANCEL from the request that is kept and starts a transaction for it.
	sendCancel
	// send100 builds a 100 (Trying) and sends it.
	send100
	// sendResponse sends the user's response.
	sendResponse
	// keep keeps the user's response in place of the last one.
	keep
	// sendAgain sends the response that is kept, or builds a 100 anew if none is.
	sendAgain
	// forget drops what is kept.
	forget

	// passUp gives the response, the ACK or the CANCEL to the user.
	passUp
	// tellTimeout, tellTransport: the client transaction has failed.
	tellTimeout
	tellTransport
	// tellTimerC: Timer C has fired.
	tellTimerC
	// tellNoACK: the server transaction has failed.
	tellNoACK

	// end: the machine is in its terminated state, and the transaction leaves the table.
	end
)

func (a actions) has(b actions) bool { return a&b != 0 }

// machine is what all four machines are made of. Two deadlines are enough: one for what is repeated, one for what ends the state.
type machine struct {
	interval time.Duration // after which resend was set
	resend   instant       // Timer A, E or G, or when a 100 is due
	expire   instant       // all other timers
	timerC   instant       // Timer C while Timer B runs; INVITE client transactions only
	state    state
	reliable bool // the transport is
	canceled bool // client: CANCEL wanted or sent; server: CANCEL received
	unsent   bool // server: the final response could not be sent
}

// next is when the earliest timer fires.
func (m *machine) next() instant { return min(m.resend, m.expire) }

// waiting says whether the machine only absorbs what comes, so that nobody sees how exactly its timer fires.
func (m *machine) waiting() bool { return m.state >= completed && m.resend == never }

// fired returns the event of a timer that has fired, given those that the two deadlines stand for.
func (m *machine) fired(now instant, resend, expire event) event {
	switch {
	case m.expire <= now:
		return expire
	case m.resend <= now:
		return resend
	}
	return nothing
}

// enter changes the state and stops the timers; the caller starts those of the new state.
func (m *machine) enter(s state) {
	m.state, m.resend, m.expire = s, never, never
}

// terminate ends the machine.
func (m *machine) terminate() actions {
	m.enter(terminated)
	return end | forget
}

// after is the deadline of a waiting timer which is zero on a reliable transport (Timers D, I, J, K).
func (m *machine) after(now instant, d time.Duration) instant {
	if m.reliable {
		return now
	}
	return now + d
}

var stateNames = [...]string{"", "Calling", "Trying", "Proceeding", "Completed", "Confirmed", "Accepted", "Terminated"}

func (s state) String() string { return stateNames[s] }

var eventNames = [...]string{"nothing", "request", "ACK", "CANCEL", "100", "1xx", "2xx", "300-699", "transport error", "drop",
	"Timer A", "Timer B", "Timer C", "Timer D", "Timer E", "Timer F", "Timer G", "Timer H", "Timer I", "Timer J", "Timer K",
	"Timer L", "Timer M",
	"Timer Trying", "Timer Canceled", "Timer Useless"}

func (e event) String() string { return eventNames[e] }

var actionNames = [...]string{"refuse", "send request", "make ACK", "send ACK", "send CANCEL", "send 100", "send response", "keep",
	"send again", "forget", "pass up", "tell timeout", "tell transport", "tell Timer C", "tell no ACK", "end"}

// String lists the set, for the tests.
func (a actions) String() string {
	var names []string
	for i, name := range actionNames {
		if a.has(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}
