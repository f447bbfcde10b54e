// Package sip reads, changes and builds SIP messages (RFC 3261).
package sip
