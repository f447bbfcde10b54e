// Package sipgophone puts emiago/sipgo user agents on a siptest network: real endpoints, written by others, in memory
// and in virtual time.
//
// # The model
//
// A [Phone] is a sipgo UserAgent, Server and Client that share one datagram socket of a host, and the few lines that a
// phone needs around sipgo's dialogs: [Phone.Register], [Phone.Call], [Call.Hangup], and a handler that answers. What
// sipgo does is its own business; a [siptest.Phone] is the one that judges. The parts are exported, so a test can use
// sipgo for everything else.
//
// # What sipgo needs
//
// It finds its sockets by the text of addresses: those of the host are IP literals and ports, and the client is bound
// to the socket's. Where it does not find one, it opens a socket of the operating system, on which a bubble hangs;
// therefore requests go out with the local address set, an outbound proxy is a preloaded Route (a CANCEL follows that
// and not a destination), and what would go to a host name is refused before sipgo looks that up. sipgo dials TCP of
// the operating system only, so its phones send over UDP; Options.TCP lets others connect to them.
//
// # Ownership
//
// NewPhone starts the goroutines of sipgo in the bubble. Close ends the transactions and closes the sockets, the end
// of the test calls it, and then the bubble ends cleanly. sipgo's timers are package variables of sipgo (RFC 3261
// table 4 by default); they are the same for all phones.
package sipgophone
