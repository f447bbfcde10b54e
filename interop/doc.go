// Package interop tests the example programs against real peers on real sockets: SIPp's scenarios, two baresip
// phones, and the torture messages of RFC 4475 and RFC 5118 written to the wire byte for byte. It is all tests, behind
// a build tag, because the peers are programs that have to be installed:
//
//	make interop
//	go test -race -tags interop -v ./interop/...
//
// Each test starts its own server as a process of its own, stops it with SIGTERM and requires a clean exit; with -race
// the server is built with the race detector too. The parties of a call have their own loopback addresses (127.0.0.1
// is the server, 127.0.0.2 the callee, 127.0.0.3 the caller), so that an address in a Request-URI says whose it is. What a
// process printed is shown when its test fails.
//
// GOSER_SIPSERVER names a program to test in place of examples/sipserver. Given a script that starts another proxy with
// the same flags, it tells whether a failure is the server's or the scenario's.
//
// SIPp's scenarios, where they come from, and why some are left out: testdata/sipp/README.md.
package interop
