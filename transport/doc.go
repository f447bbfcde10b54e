// Package transport is the transport layer of RFC 3261 section 18, without SIP: it owns sockets and connections, hands
// up the datagrams and messages they receive, each with the [Flow] it came on, and sends on flows.
//
// # Model
//
// A [Layer] has listeners, which it opened ([Layer.Listen]) or was given ([Layer.ServePacket], [Layer.ServeStream]),
// and connections, which it accepted or dialed ([Layer.Connect]). A Flow names one way to one peer: a UDP socket and a
// remote address, or one connection. It is a value: what received a message keeps its Flow and later sends on it, so
// responses leave from the socket that the request came to, and requests to a phone behind a NAT take the connection
// that the phone opened. If that has ended, [Layer.Send] says [ErrFlowGone]; no other way is taken silently. Streams
// are cut into messages by a [Splitter], so this package knows nothing of what it carries.
//
// # Goroutines
//
// Each UDP socket, each connection and each listening socket is read by one goroutine of the Layer, on which
// [Config].Receive runs: in the order of arrival, without a hand-over, and so fast that it should parse, match, answer
// and forward right there. It must not block. A Receive that has to calls [Packet.Detach] first: it keeps its goroutine
// and its packet, and another goroutine reads on with what follows, in order. Nothing is paid for that by those who do
// not detach. A connection has a second goroutine only while a peer reads more slowly than we send. [Layer.Shutdown]
// ends all of them and waits for that.
//
// # Bytes
//
// Packet.Data belongs to the Layer and is valid until Receive returns, detached or not. What is given to Send is copied
// or written before Send returns. Datagrams are read in batches (recvmmsg on Linux) into places that are used again; a
// connection that is idle has no buffer; a message that arrives in pieces has one of its own that grows with what has
// arrived, never with what was announced. Neither receiving nor sending allocates.
//
// # System calls
//
// They are most of what a message costs. While a reader works on several messages that one call brought, what is sent,
// by anybody, is held back, and goes out in its order when they are done: datagrams with one sendmmsg on Linux, and one
// write for each connection. Between two messages nothing is held for more than half a millisecond. A Receive that takes
// longer keeps back what was sent before, until somebody sends again, or it detaches; what is sent later is not held. What
// the kernel then refuses is told to [Config].SendFailed. A single message is sent at once. Where a reader that found
// nothing more has often found something a moment later, it lets other threads run and looks again before it sleeps. On
// Linux the scheduler is not told of these calls, as they never wait.
//
// # Bounds
//
// Everything a peer can make us hold has a limit in [Config]: connections in total, by source, and by time; messages by
// length and by time; what waits for a peer that does not read. A limit that is reached costs the peer its datagram or
// its connection, is counted in [Stats] by its reason, and is told to [Config].Closed.
//
// # RFC sections
//
//   - RFC 3261 section 18: connections are indexed by the far end's address, port and protocol, are used in both
//     directions, and are kept for long after the last message; 18.1.1: datagrams of any length; 18.2.2: responses on
//     the connection of the request; 18.4: a failure to send is an error for the sender.
//   - RFC 3581 section 4: responses over UDP leave from the address and port where the request came in.
//   - RFC 5626 section 5.4: keepalives between messages can be answered, see [Config].Skipped.
//
// # What it does not do
//
// It parses nothing and touches no Via. It does not resolve names (RFC 3263) and does not retransmit. It does not
// choose TCP for messages that are too long for UDP (section 18.1.1), nor a second way when the first is gone. It does
// not hear ICMP errors of UDP. TLS, WS and WSS are names here, but cannot be listened on or dialed yet.
package transport
