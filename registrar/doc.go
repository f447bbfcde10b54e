// Package registrar answers REGISTER requests and keeps where each address of record can be reached: the registrar and the location
// service of RFC 3261 section 10.
//
// # Model
//
// A [Registrar] reads a REGISTER into what it asks for, refuses it or gives the rules of section 10.3 to a [Store] as one
// function over the bindings that are there. The store calls it and commits what it returns, so all contacts of a REGISTER are
// taken in one step or none is, and every store gets the rules right. A store knows nothing of SIP: it keeps lists of [Binding]
// by key until they expire. [MemoryStore] does that in memory; the suite in registrartest tells whether another does.
//
// [Registrar.Answer] returns the response to send, [Registrar.Lookup] the bindings to forward to. A binding has the flow on which its
// REGISTER came: what is sent there reaches a contact behind a NAT, with the contact's URI, which means nothing to others, as the
// Request-URI.
//
// # Ownership
//
// No goroutine runs in this package but those of a MemoryStore's timers, which exist while it has bindings that expire and end with
// Close. Nothing that is kept refers to a message: bindings that come out of a MemoryStore refer to its records, which are immutable,
// and so do events of bindings that expire; those of a REGISTER refer to its text. User code (Domains, OnChange, OnExpire, a Store's f) is called with no lock held.
//
// # Rules
//
// Contacts are compared as URIs (RFC 3261 section 19.1.4), not as text. The order of Call-ID and CSeq is kept for each binding that a
// REGISTER changes or removes, with "*" too. The intervals that are granted, refused with 423 (Interval Too Brief) and understood
// where they are malformed are those of sections 10.2 and 10.3. Further:
//
//   - a contact may have any scheme; an address of record only sip or sips, others get 400 (RFC 4475 section 3.3.4)
//   - an unknown Require gets 420 (Bad Extension), an address of record of another domain 404 (Not Found)
//   - more contacts than MaxContacts get 403 (Forbidden), a store that is full gives 503 with Retry-After
//   - Path is kept, and copied into the 200 for clients that support it (RFC 3327). Like a contact it says where calls go: take it off
//     REGISTERs that no proxy of your own has sent
//
// # What it does not do
//
// It does not authenticate, and does not ask whether a user may register an address of record: that comes before. It keeps
// +sip.instance and reg-id without the rules of RFC 5626, and no GRUU (RFC 5627). It sends nothing: no
// keepalives, no redirection to another registrar. A REGISTER that comes again is known by its Call-ID and CSeq, and changes nothing.
package registrar
