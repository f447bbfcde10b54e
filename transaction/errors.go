package transaction

import (
	"errors"
	"fmt"
)

// The errors of this package; compare with [errors.Is].
var (
	// ErrTimeout: no final response in time (Timers B and F, or 64*T1 after CANCEL); of a server transaction, the user gave none
	// to a non-INVITE request.
	ErrTimeout = errors.New("transaction: timeout")
	// ErrTransport: a message could not be sent. What the Sender said is wrapped as well.
	ErrTransport = errors.New("transaction: transport error")
	// ErrNoACK: the final response to an INVITE was never acknowledged (Timer H).
	ErrNoACK = errors.New("transaction: no ACK received")

	// ErrEnded: the transaction has ended.
	ErrEnded = errors.New("transaction: has ended")
	// ErrFinal: a final response has been sent already.
	ErrFinal = errors.New("transaction: final response was sent already")
	// ErrProvisional: RFC 4320 section 4.1 forbids this provisional response.
	ErrProvisional = errors.New("transaction: provisional response to a non-INVITE request")
	// ErrStatus: no status code of SIP.
	ErrStatus = errors.New("transaction: bad status code")
	// ErrMethod: there is no client transaction for ACK (RFC 3261 section 17.1), and those for CANCEL are made by [Client.Cancel].
	ErrMethod = errors.New("transaction: no client transaction for this method")
	// ErrBranch: another client transaction uses the branch.
	ErrBranch = errors.New("transaction: branch is in use")
	// ErrTooMany: Config.MaxClient is reached.
	ErrTooMany = errors.New("transaction: too many transactions")
	// ErrClosed: the table was shut down, and the transaction with it.
	ErrClosed = errors.New("transaction: table is shut down")
)

func transportFailure(err error) error { return fmt.Errorf("%w: %w", ErrTransport, err) }
