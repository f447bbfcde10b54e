// Package sip reads, inspects, changes and builds SIP messages.
//
// # Model
//
// A [Message] is what was received: one immutable text and an index of offsets into it. [Parser.Parse] copies the bytes once, checks
// what every element on the way needs - the start line, the top Via, From, To, Call-ID, CSeq, Content-Length, and that no field which
// must be alone stands twice - and leaves all other values alone until somebody asks for them. What a Message returns are parts of
// its text: [NameAddr], [ViaParm], [URI] and [Params] are small values made of substrings.
//
// What is sent is a Message and a [Patch]: [AppendMessage] writes both in one pass, and copies untouched runs of lines as they
// are, with unknown fields, their order and spelling. A Patch is written to and never read from, so nobody can read a value that
// another edit has changed meanwhile. [Request] and [Response] build messages of our own; [AppendResponse], [AppendACK] and
// [AppendCancel] derive messages from one that was received or sent.
//
// A [Splitter] finds the messages in a stream.
//
// Header fields have one name: the compact form, the long form and any case are the same everywhere. White space before the colon
// and folded lines are normalised when a message is read, once. Control characters, bare CR and LF and duplicates of fields that
// steer a message are refused, so that the next element cannot see another message than this one did; the setters refuse what
// would make such a message.
//
// # Ownership
//
// A Message belongs to nobody and to everybody: it may be kept and read by any goroutine without a lock, and there is nothing to
// release. A substring keeps the whole text alive; Clone is for pieces that are stored for long. The bytes given to Parse and Split
// are the caller's again when they return. Appended bytes are the caller's. Patch, Request, Response and Splitter are for one
// goroutine at a time. The package starts no goroutine and has no state.
//
// # Errors and limits
//
// Every error of reading is a [*ParseError], with the status that answers it and a [Cause] to count it by. All that could grow has
// a limit in [Parser]; nothing is allocated from a declared length. No input makes the package panic.
//
// # Cost
//
// An INVITE of 900 bytes is read with two allocations, its text and the Message with its index, in about a microsecond (the best
// of many runs on a core of an AMD EPYC). Reading fields and writing a patched copy into a buffer with room allocate nothing. The
// benchmarks are in bench_test.go, the guards in alloc_test.go.
//
// # References
//
// RFC 3261 sections 7, 8.2.6, 9.1, 17.1.1.3, 18.2.1, 18.3, 19.1, 20 and 25; RFC 3581 section 4 (rport); RFC 3966 (tel); RFC 5118
// (IPv6); RFC 4475 as a test.
//
// # What it does not do
//
// It does not read bodies (package sip/sdp reads SDP), nor escaped headers of a URI into a request (RFC 3261 section 19.1.5), nor
// compute digests. It knows no transport, no transaction and no dialog, and does not decide whether a request is acceptable: an
// unknown method, scheme, transport or a Via without the magic cookie is none of its business.
package sip
