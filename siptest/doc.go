// Package siptest runs SIP servers and phones in memory and in virtual time, and shows what passed between them as a
// call flow.
//
// # The model
//
// A [Network] has a few hosts. A [Host] opens datagram sockets, listeners and connections like the operating system,
// so the real stack runs on it; what passes takes its time and meets the faults of its [Link]: loss, duplication,
// reordering, partitions, connections that stall or break. A [Phone] is a scripted user agent, strict enough to
// notice what a server does wrong and simple enough to be asked to do wrong itself. A [Ladder] is the record of all
// of it; [Ladder.Require] is how a routing test says what should have happened:
//
//	net.Ladder().Require(t, `
//	  0.000  alice  -> proxy   INVITE
//	  0.005  proxy  -> alice   100 (INVITE)
//	  0.005  proxy  -> desk    INVITE
//	`)
//
// # Time
//
// Everything is made for testing/synctest: waiting is durable blocking, so the clock jumps to the next thing that is
// due, and a transaction timer of 32 s takes a millisecond. Arrivals are a nanosecond apart even if they are due at
// the same instant, so each is dealt with to the end before the next one comes, and the same seed gives the same run.
// Without a bubble it works too, in real time and without that promise.
//
// # Ownership
//
// Bytes given to a socket are copied; bytes in a [Datagram] or an [Event] are shared and not to be changed. The
// network has no goroutine. A phone has one for each of its sockets and connections; they end when the phone is
// closed, which the end of its test does. Sockets that a test or a stack opens are its own to close. A lock that is
// held while a Read, Write or Dial waits stops the clock: waiting for a sync.Mutex is not durable blocking.
//
// # What it does not do
//
// There are no names: addresses are literals. What looks names up must be given a resolver of its own, for package net
// keeps what its first lookup made for the whole process, and in a bubble that breaks the lookups of all later ones.
// There is no ICMP (nobody hears of a datagram to a closed port), no congestion and no fragmentation. A ladder shows
// streams as they are written, so TLS and WebSocket do not show.
//
// # RFC sections
//
// Phones keep, and hold others to, RFC 3261 sections 8 (requests and responses), 9 (CANCEL), 10.2 (REGISTER), 12
// (dialogs, route sets), 13.2, 13.3 and 14 (INVITE and its 2xx), 15 (BYE), 17 (the timers of transactions), 18.2.2
// (where responses go) and 22 (challenges); RFC 3581 (rport); RFC 5626 section 4.4.1 (keepalive on streams).
package siptest
