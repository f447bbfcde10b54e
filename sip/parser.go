package sip

import "net/netip"

// Parser holds the limits for messages. The zero value has the defaults; a field that is negative means no limit of its kind,
// as far as there can be none. A Parser may be used by several goroutines and must not be changed meanwhile.
type Parser struct {
	MaxSize    int // bytes of a message; 65535. More: 513
	MaxLine    int // bytes of a header field or start line, when unfolded; 16384, and at most 65000. More: 513
	MaxURI     int // bytes of the Request-URI; 8192. More: 414
	MaxHeaders int // header fields; 256. More: 513
	MaxParams  int // parameters, or headers, of a URI, parameters of an element of a header field; 64. More: 400
	MaxNesting int // comments within comments, in the fields that have them; 8, and at most 100. More: 400
}

// The defaults of Parser.
const (
	defaultMaxSize    = 65535
	defaultMaxLine    = 16384
	defaultMaxURI     = 8192
	defaultMaxHeaders = 256
	defaultMaxParams  = 64
	defaultMaxNesting = 8

	mostMaxLine = 65000 // so that the positions in it are below maxOffset, even when the source has been written into a Via
)

// limits are the fields of a Parser, with the defaults and bounds applied.
type limits struct {
	size, line, uri, headers, params, nesting int
}

func (p *Parser) limits() limits {
	if *p == (Parser{}) {
		return limits{defaultMaxSize, defaultMaxLine, defaultMaxURI, defaultMaxHeaders, defaultMaxParams, defaultMaxNesting}
	}
	limit := func(v, byDefault, most int) int {
		if v == 0 {
			v = byDefault
		}
		if v < 0 || v > most {
			v = most
		}
		return v
	}
	return limits{
		size:    limit(p.MaxSize, defaultMaxSize, 1<<30),
		line:    limit(p.MaxLine, defaultMaxLine, mostMaxLine),
		uri:     limit(p.MaxURI, defaultMaxURI, mostMaxLine),
		headers: limit(p.MaxHeaders, defaultMaxHeaders, maxOffset-1),
		params:  limit(p.MaxParams, defaultMaxParams, maxOffset),
		nesting: limit(p.MaxNesting, defaultMaxNesting, 100),
	}
}

// Parse reads one message, as it came in a datagram or out of a [Splitter]. data is copied, and not changed.
//
// The start line, the top Via, From, To, Call-ID, CSeq and Content-Length are checked, and that no header field that must be
// alone stands twice. The rest is read when it is asked for; [Message.Validate] checks it at once. In the message's text, folded
// lines have been unfolded and white space before a colon removed; otherwise the text is as it came.
//
// If source is valid and the message is a request, received and rport of the top Via are set as a server must do it (RFC 3261
// section 18.2.1, RFC 3581 section 4): received if rport is there, or if the host in sent-by is not the source's address;
// rport if it is there. Values that the sender wrote there itself are replaced. All who copy the Via have it right.
//
// Line ends before the start line are skipped. Bytes after the body that Content-Length announces are dropped; if it announces
// more than there is, the message is refused (section 18.3). Without Content-Length all the rest is the body.
//
// The error is a [*ParseError]. The message that comes with it is nil if the message cannot be answered: it is a response or an
// ACK, it has no Via, From, To, Call-ID or CSeq, or a line that cannot be told apart from the others (a control character, a
// limit). Otherwise it is a request which is good for being answered by [AppendResponse] with the error's status, and for nothing
// else: what could not be read is zero.
func (p *Parser) Parse(data []byte, source netip.AddrPort) (*Message, error) {
	var s scanner
	return s.parse(data, source, p.limits())
}

// Parse reads one message with the default limits and no source: see [Parser.Parse].
func Parse(data []byte) (*Message, error) {
	var p Parser
	return p.Parse(data, netip.AddrPort{})
}
