// Package routing is the proxy core of RFC 3261 section 16 as a library: a
// [Server] receives requests, a [Handler] written as ordinary blocking Go
// decides where each of them goes, and the engine does everything between.
//
//	func route(ctx context.Context, r *routing.Request) error {
//		for _, gateway := range []string{"sip:gw1.example.net", "sip:gw2.example.net"} {
//			if res := r.Forward(ctx, routing.To(gateway)); res.Done() {
//				return nil // answered, declined everywhere, or the caller gave up
//			}
//		}
//		return nil // nothing answered: the best response goes upstream
//	}
//
// A for loop is serial forking, an argument list is parallel forking, the
// statement after a call is the failure route.
//
// # Model
//
// A received request passes validation (16.3) and route preprocessing (16.4)
// and then runs through the handler, which may block: no socket reader waits
// for it. (Handlers of a method that have been quick a hundred times, nearly
// always, run on the reader's goroutine, and lose that place, after twenty
// milliseconds at the most, when one of them is not.) The handler calls one of
//
//   - [Request.Forward]: fork to targets in parallel, wait for the outcome;
//   - [Request.Relay]: hand the request over and return at once;
//   - [Request.Fork]: like Forward, and see each response before it is relayed;
//   - [Request.FollowRoute]: loose routing of a request inside a dialog;
//   - [Request.Respond]: answer here;
//
// or returns an error, which becomes the answer. The handler's return ends the
// handler, not the transaction: responses are relayed and branches cancelled
// for as long as the state machines live.
//
// The engine owns the hop-by-hop work: Via, Max-Forwards, Max-Breadth,
// Record-Route (doubled where the socket changes), Route, Timer C, CANCEL in
// both directions, the ACK for non-2xx responses, the choice of the best
// response (16.7), loop detection. It does that work first; the edits of
// [Request.Edit] and [Target] run after it, so what a handler sets is what leaves.
//
// # Order
//
// Requests that arrive in order on one flow and belong to one call leave in
// that order: a handler that has not yet passed its request on (by forwarding,
// relaying, answering or returning) holds back the later requests of its call,
// and nothing else. CANCEL is never held back. Responses are handled on the
// goroutine that read them and are never reordered.
//
// # Ownership
//
// A [Request] and the messages it shows are immutable and may be kept; a
// handler's ctx ends on CANCEL, when the transaction ends and at shutdown. The
// engine keeps a request's message until its final response has gone upstream
// and nothing but a few words afterwards. Every goroutine is the Server's and has
// ended when [Server.Shutdown] returns nil; a handler that ignores its ctx
// holds Shutdown up, and the sockets open until then.
//
// # Sources
//
// RFC 3261 sections 8.2, 9, 16 and 18.2, RFC 3581 (rport), RFC 4320
// (non-INVITE), RFC 5393 (loops and Max-Breadth), RFC 5658 (double
// Record-Route), RFC 6026 (2xx and INVITE transactions), RFC 3326 (Reason of
// CANCELs).
//
// # What it does not do
//
// It does not keep dialogs, change session descriptions or answer as a user
// agent would: a 2xx to an INVITE that a handler makes itself is not
// retransmitted. Names are looked up as addresses only (A and AAAA); a
// [Resolver] of one's own may do more.
package routing
