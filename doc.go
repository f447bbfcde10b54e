// Package goser is the root of SIP Express Router as a Go library: what OpenSER, Kamailio and OpenSIPS do, as
// packages that a Go program embeds. It holds no code itself; use the packages.
//
//	sip          messages: parse, inspect, patch, build; URIs, addresses, methods, status codes
//	transport    flows over UDP and TCP: listeners, connections, which way out
//	transaction  client and server transactions (RFC 3261 17, RFC 6026)
//	routing      Server, Handler, Request: the proxy core (RFC 3261 16)
//	registrar    REGISTER (RFC 3261 10.3), bindings, location stores
//	siptest      an in-memory network, phones, call ladders for tests in virtual time
//	examples     whole programs, one folder each
//	hostile      tests of whole servers against malformed input, floods and many calls
//	interop      tests of the examples against real peers
//
// Start with package routing and examples/sipserver, a registrar and proxy in one short file.
//
// A package imports only what stands above it in this list and only where it must: sip and transport know nothing
// of each other, and components such as registrar do not know the proxy core. TestImports beside this file holds
// these rules as data.
//
// There is no package-level mutable state: any number of servers live side by side in one process.
package goser
