package sip_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// parse reads a message that must be fine.
func parse(t testing.TB, text string) *sip.Message {
	t.Helper()
	m, err := sip.Parse([]byte(text))
	require.NoError(t, err)
	return m
}

// parseFrom is parse for a message that came from somewhere.
func parseFrom(t testing.TB, text, source string) *sip.Message {
	t.Helper()
	var p sip.Parser
	m, err := p.Parse([]byte(text), netip.MustParseAddrPort(source))
	require.NoError(t, err)
	return m
}

// refused reads a message that must not be fine.
func refused(t testing.TB, text string) (*sip.Message, *sip.ParseError) {
	t.Helper()
	m, err := sip.Parse([]byte(text))
	var refusal *sip.ParseError
	require.ErrorAs(t, err, &refusal)
	return m, refusal
}

// options is a request that has what it needs; lines replace its header fields of the same name or are added. A line that is
// only a name takes the field away.
func options(lines ...string) string {
	return message("OPTIONS sip:bob@example.com SIP/2.0", []string{
		"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
		"From: <sip:alice@example.com>;tag=a1",
		"To: <sip:bob@example.com>",
		"Call-ID: call1",
		"CSeq: 7 OPTIONS",
	}, lines)
}

// response is options for a response.
func response(status string, lines ...string) string {
	return message("SIP/2.0 "+status, []string{
		"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
		"From: <sip:alice@example.com>;tag=a1",
		"To: <sip:bob@example.com>;tag=b1",
		"Call-ID: call1",
		"CSeq: 7 INVITE",
	}, lines)
}

func message(start string, fields, lines []string) string {
	name := func(line string) string {
		n, _, _ := strings.Cut(line, ":")
		return sip.CanonicalName(strings.TrimSpace(n))
	}
	var b strings.Builder
	b.WriteString(start + "\r\n")
	given := map[string]bool{}
	for _, line := range lines {
		given[name(line)] = true
	}
	for _, line := range fields {
		if !given[name(line)] {
			b.WriteString(line + "\r\n")
		}
	}
	for _, line := range lines {
		if strings.Contains(line, ":") {
			b.WriteString(line + "\r\n")
		}
	}
	return b.String() + "\r\n"
}

func collect[T any](seq func(func(T) bool)) (all []T) {
	for v := range seq {
		all = append(all, v)
	}
	return all
}

// sourceNone is the source of a message whose source is of no interest.
var sourceNone netip.AddrPort

func parseBytes(t testing.TB, data []byte, source string) *sip.Message {
	t.Helper()
	var p sip.Parser
	m, err := p.Parse(data, netip.MustParseAddrPort(source))
	require.NoError(t, err)
	return m
}
