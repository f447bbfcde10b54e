package sip

import (
	"strconv"
	"strings"
)

// ViaParm is one element of Via (RFC 3261 section 20.42).
type ViaParm struct {
	Transport string // as it came: "UDP"
	Host      string // of sent-by: a name, an IPv4 address, or an IPv6 address in its brackets
	Port      uint16 // of sent-by, 0 if there is none
	Branch    string
	Received  string // as it came: an address, an IPv6 one with or without brackets, or what the last hop took for one
	RPort     uint16 // the value of rport (RFC 3581), 0 if it has none
	HasRPort  bool   // there is an rport, with or without value
	Params    Params // all parameters, these included
}

// viaIndex is where the parts of a via-parm lie in its text, which has at most 65535 bytes.
type viaIndex struct {
	transport, transportEnd uint16 // transportEnd is 0 if there is no via-parm
	host, hostEnd           uint16
	port                    uint16
	params, paramsEnd       uint16
	branch, branchEnd       uint16
	received, receivedEnd   uint16
	rportName, rportEnd     uint16 // end of the name "rport" and of its value; 0 if there is none
	rport                   uint16 // its number
	end                     uint16
}

func (x *viaIndex) via(s string) ViaParm {
	return ViaParm{
		Transport: s[x.transport:x.transportEnd],
		Host:      s[x.host:x.hostEnd],
		Port:      x.port,
		Branch:    s[x.branch:x.branchEnd],
		Received:  s[x.received:x.receivedEnd],
		RPort:     x.rport,
		HasRPort:  x.rportName != 0,
		Params:    Params(s[x.params:x.paramsEnd]),
	}
}

// ParseViaParm reads one via-parm. A branch without the magic cookie, and no branch at all, are fine (RFC 2543 had none), and so
// are unknown transports. The error is a [*ParseError] of status 400.
func ParseViaParm(s string) (ViaParm, error) {
	s = trimSpace(s)
	var x viaIndex
	if f := x.index(s, defaultMaxParams); f != "" {
		return ViaParm{}, f.error("Via")
	}
	return x.via(s), nil
}

// index reads the via-parm that is all of s, which has no space at its ends.
func (x *viaIndex) index(s string, maxParams int) fault {
	if len(s) > maxOffset {
		return faultTooLong
	}
	*x = viaIndex{}
	begin, end, f := sentProtocol(s)
	if f != "" {
		return f
	}
	x.transport, x.transportEnd = uint16(begin), uint16(end)
	i := skipSpace(s, end)
	if i == end {
		return "no sent-by"
	}
	if end, f = hostEnd(s, i); f != "" {
		return f
	}
	x.host, x.hostEnd = uint16(i), uint16(end)
	// sent-by = host [ COLON port ], and COLON may have space around it.
	if i = skipSpace(s, end); i < len(s) && s[i] == ':' {
		if x.port, end = portEnd(s, skipSpace(s, i+1)); x.port == 0 {
			return "bad port"
		}
	}
	x.end = uint16(len(s))
	return x.indexParams(s, end, maxParams)
}

// sentProtocol reads "SIP / 2.0 / UDP" and returns the place of the last part. Name and version may be others: a message is
// answered or refused by the version in its start line.
func sentProtocol(s string) (begin, end int, f fault) {
	if len(s) >= 8 && s[:8] == "SIP/2.0/" { // nearly always
		begin = 8
	} else {
		i := 0
		for range 2 {
			token := i
			for i < len(s) && classes[s[i]]&isToken != 0 {
				i++
			}
			if i == token {
				return 0, 0, "bad protocol"
			}
			if i = skipSpace(s, i); i == len(s) || s[i] != '/' {
				return 0, 0, "bad protocol"
			}
			i = skipSpace(s, i+1)
		}
		begin = i
	}
	begin = skipSpace(s, begin)
	end = begin
	for end < len(s) && classes[s[end]]&isToken != 0 {
		end++
	}
	if end == begin {
		return 0, 0, "no transport"
	}
	return begin, end, ""
}

func (x *viaIndex) indexParams(s string, i, maxParams int) fault {
	own := 2 // received and rport do not count, for we may have put them there
	r := paramReader{s: s, pos: i, left: maxParams + own}
	for r.next() {
		switch len(r.name) {
		case 6:
			if r.name != "branch" && !equalFold(r.name, "branch") {
				break
			}
			if x.branchEnd != 0 {
				return "two branches"
			}
			if r.common&isToken == 0 {
				return "bad branch"
			}
			x.branch, x.branchEnd = uint16(r.begin), uint16(r.end)
		case 8:
			if !equalFold(r.name, "received") {
				break
			}
			if x.receivedEnd != 0 {
				return "two received"
			}
			if r.common&isAddress == 0 {
				return "bad received"
			}
			x.received, x.receivedEnd = uint16(r.begin), uint16(r.end)
		case 5:
			if r.name != "rport" && !equalFold(r.name, "rport") {
				break
			}
			if x.rportName != 0 {
				return "two rports"
			}
			x.rportName, x.rportEnd = uint16(r.nameEnd), uint16(max(r.nameEnd, r.end))
			if r.end > r.begin {
				var end int
				if x.rport, end = portEnd(s, r.begin); x.rport == 0 || end != r.end {
					return "bad rport"
				}
			}
		}
	}
	x.params, x.paramsEnd = uint16(r.first), uint16(len(s))
	if x.receivedEnd != 0 {
		own--
	}
	if x.rportName != 0 {
		own--
	}
	if r.fault == "" && r.left < own {
		return faultManyParams
	}
	return r.fault
}

// String returns the via-parm as text.
func (v ViaParm) String() string { return string(v.AppendTo(nil)) }

// AppendTo appends the via-parm as text to b. Branch, Received, RPort and HasRPort are written where Params do not have them.
func (v ViaParm) AppendTo(b []byte) []byte {
	b = append(b, "SIP/2.0/"...)
	b = append(b, v.Transport...)
	b = append(b, ' ')
	b = append(b, v.Host...)
	if v.Port != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(v.Port), 10)
	}
	if v.Params != "" {
		b = append(append(b, ';'), v.Params...)
	}
	if v.Branch != "" && !v.Params.Has("branch") {
		b = append(append(b, ";branch="...), v.Branch...)
	}
	if v.Received != "" && !v.Params.Has("received") {
		b = append(append(b, ";received="...), v.Received...)
	}
	if v.HasRPort && !v.Params.Has("rport") {
		b = append(b, ";rport"...)
		if v.RPort != 0 {
			b = strconv.AppendUint(append(b, '='), uint64(v.RPort), 10)
		}
	}
	return b
}

// Clone returns a copy of v that does not keep the message's text alive.
func (v ViaParm) Clone() ViaParm {
	v.Transport = strings.Clone(v.Transport)
	v.Host = strings.Clone(v.Host)
	v.Branch = strings.Clone(v.Branch)
	v.Received = strings.Clone(v.Received)
	v.Params = Params(strings.Clone(string(v.Params)))
	return v
}
