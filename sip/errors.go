package sip

import "errors"

// A ParseError says why a message, or a piece of one, was refused.
type ParseError struct {
	Status int    // of the response to a request: 400, 414, 505 or 513
	Reason string // fit for the reason phrase; a constant text, nothing from the message
	Cause  Cause  // for counters
	Detail string // what exactly is wrong; a constant text, may be ""
}

func (e *ParseError) Error() string {
	if e.Detail == "" {
		return "sip: " + e.Reason
	}
	return "sip: " + e.Reason + ": " + e.Detail
}

// SIPStatus returns e.Status.
func (e *ParseError) SIPStatus() int { return e.Status }

// Cause is the kind of a [ParseError].
type Cause uint8

// The causes for which a message is refused.
const (
	CauseEmpty         Cause = iota + 1 // nothing, or nothing but line ends
	CauseStartLine                      // neither a request line nor a status line
	CauseVersion                        // a version other than SIP/2.0
	CauseRequestURI                     // the Request-URI
	CauseLineEnd                        // CR or LF alone
	CauseControl                        // another control character in the head
	CauseHeaderName                     // a header field without a name, or with one that is not a token
	CauseTruncated                      // no empty line after the header fields
	CauseMissing                        // no Via, From, To, Call-ID or CSeq
	CauseDuplicate                      // two of a header field of which there may be one
	CauseSyntax                         // the value of a header field, or a URI that stands alone
	CauseMethod                         // the method of CSeq is not the request's
	CauseContentLength                  // not a number, or more than there is
	CauseTooLarge                       // more than MaxSize
	CauseLineTooLong                    // more than MaxLine or MaxURI
	CauseTooMany                        // more than MaxHeaders, MaxParams or MaxNesting
	causeCount
)

// causeNames is never written.
var causeNames = [causeCount]string{
	CauseEmpty: "empty", CauseStartLine: "start line", CauseVersion: "version", CauseRequestURI: "request uri",
	CauseLineEnd: "line end", CauseControl: "control character", CauseHeaderName: "header name", CauseTruncated: "truncated",
	CauseMissing: "missing header", CauseDuplicate: "duplicate header", CauseSyntax: "syntax", CauseMethod: "method mismatch",
	CauseContentLength: "content length", CauseTooLarge: "too large", CauseLineTooLong: "line too long", CauseTooMany: "too many",
}

// String returns a short name, fit for the label of a counter.
func (c Cause) String() string {
	if c < causeCount && causeNames[c] != "" {
		return causeNames[c]
	}
	return "unknown"
}

// The errors of the setters of [Patch], [Request] and [Response].
var (
	ErrHeaderName  = errors.New("sip: not a header field name")
	ErrHeaderValue = errors.New("sip: control character in a header field value")
	ErrReserved    = errors.New("sip: header field is written by the package itself")
	ErrURI         = errors.New("sip: not a URI")
	ErrStartLine   = errors.New("sip: not a method, status code or reason phrase")
)

// fault is what is wrong with a piece of text, or "" if nothing is. The functions that read pieces return it rather than an
// error, which would have to be allocated before it is known whether anybody wants it.
type fault string

// error makes the error of a piece that is not part of a message.
func (f fault) error(what string) error {
	if f == "" {
		return nil
	}
	return &ParseError{Status: StatusBadRequest, Reason: "Bad " + what, Cause: f.cause(CauseSyntax), Detail: string(f)}
}

func (f fault) cause(c Cause) Cause {
	if f == faultManyParams || f == faultNesting {
		return CauseTooMany
	}
	if f == faultTooLong {
		return CauseLineTooLong
	}
	return c
}

// The faults that are told apart.
const (
	faultManyParams fault = "too many parameters"
	faultNesting    fault = "nested too deeply"
	faultTooLong    fault = "too long"
)
