// Package transaction is the transaction layer of SIP: RFC 3261 section 17 with the corrections of RFC 6026 and RFC 4320.
//
// A [Table] takes all messages that were received ([Table.Receive]) and matches them to transactions. It absorbs retransmissions,
// repeats requests and responses as their state machines want it, acknowledges final responses other than 2xx, answers CANCEL,
// and sends 100 (Trying) where nobody else does. What remains goes to the transaction user: new requests with a [Server] to
// answer them, and ACKs without transaction, to the [User]; the responses to a request that was sent by [Table.NewClient] to its
// [ClientUser].
//
// # Model
//
// The four state machines are pure values: step(event, now) returns what is to be done. The table is divided into shards by
// Call-ID; a shard has one lock, its transactions by key, and one wheel with all their timers, which runs on one [time.Timer]. An
// event is handled under the lock: match, step, set the timer; then the lock is given up, and what the step said is done. A table
// that has no transactions does nothing, and a transaction has no goroutine.
//
// What a user is told of one transaction is told in order and one at a time: a goroutine that finds another one at it leaves it
// the rest to do. Requests and responses are sent by the goroutine that handles the event.
//
// # Who owns what
//
// The bytes given to [Table.NewClient] and [Server.Respond] stay the caller's. A transaction copies what it may have to send
// again, and keeps that only so long: a client transaction its request until there is a final response, for ACK and CANCEL are
// made of it, then at most the ACK; a server transaction its last response, and nothing once an INVITE has got a 2xx. Messages
// are not kept, but for a request that may still have to be answered with 100, and while they wait for a user that is busy. What
// is sent is lent to the [Sender].
//
// The table starts no goroutines but those of its timers, and [Table.Shutdown] ends them. The user's methods run on them, on the
// goroutine that called Receive, or at the end on that of Shutdown, without a lock held.
//
// # Matching
//
// Responses match by branch and method (section 17.1.3). Requests match by branch, sent-by and method, without the magic cookie
// by the rules for RFC 2543 (section 17.2.3). Both only within a Call-ID.
//
// # Choices where the RFCs leave one, or are not enough
//
//   - A 2xx that comes after another final response of an INVITE is passed up: it is a call that somebody has answered.
//   - A non-INVITE request is answered with 100 when RFC 4320 section 4.1 wants it, and its transaction ends when 64*T1 have passed without
//     an answer, as none may be sent then (section 4.2). An INVITE waits for its answer as long as the user does.
//   - A CANCEL that matches nothing is answered with 481 without a transaction.
//   - Timer C does not end anything, nor is the time of the 100 responses to an INVITE bounded by anything but Timer C: see [ClientUser].TimerC.
//   - Where Timers D, I, J and K are zero the transaction still ends on a timer's goroutine if the user caused it, as the user is
//     not called from within its own calls.
//
// # What it costs
//
// A retransmission is absorbed without allocating. A new transaction is one allocation, and one more for what it may have to send
// again. On UDP a transaction that waits for its end needs about 400 bytes (INVITE server), 620 (another server, with a response
// of 270 bytes that it may send again) or 300 (client); all four of a relayed call 1.6 KB (go test -run 'Memory|Allocations' -v).
// Timers cost the same among 10,000 and among 200,000 (go test -bench 'Wheel|Among').
//
// # What it does not do
//
// It resolves no names, chooses no flow and dials nothing: what cannot be sent is reported to the user, who may try elsewhere. It
// does not retransmit 2xx responses to INVITE, nor acknowledge them (sections 13.2.2.4 and 13.3.1.4). It does not check what is
// in a message but for what matching needs.
package transaction
