package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

func scenario(t *testing.T, name string) opening {
	t.Helper()
	text, err := testdata.ReadFile("testdata/" + name + ".xml")
	require.NoError(t, err)
	o, err := parseOpening(string(text), 15080)
	require.NoError(t, err)
	return o
}

// The messages are those that SIPp sends: complete, and each of another call or user.
func TestOpening(t *testing.T) {
	for name, method := range map[string]sip.Method{"uac": sip.INVITE, "register": sip.REGISTER} {
		o := scenario(t, name)
		require.NotContains(t, strings.ReplaceAll(o.template, "[call_number]", ""), "[")
		m, err := sip.Parse(o.message(4711))
		require.NoError(t, err, "%s", o.message(4711))
		require.Equal(t, method, m.Method())
		require.Equal(t, "4711-1@127.0.0.1", m.CallID())
		require.Equal(t, uint16(15080), m.Via().Port)
		require.Contains(t, m.Via().Branch, "4711")
		require.NotEqual(t, o.message(1), o.message(2))
	}
	m, err := sip.Parse(scenario(t, "uac").message(1))
	require.NoError(t, err)
	require.Contains(t, m.Body(), "a=sendrecv\r\n")

	_, err = parseOpening("<scenario/>", 15080)
	require.Error(t, err)
}

func TestRinging(t *testing.T) {
	request := strings.Replace(string(scenario(t, "uac").message(7)), "Max-Forwards", "Record-Route: <sip:127.0.0.1;lr>\r\nMax-Forwards", 1)
	m, err := sip.Parse([]byte(request))
	require.NoError(t, err)
	answer := ringing([]byte(request))
	r, err := sip.Parse(answer)
	require.NoError(t, err, "%s", answer)
	require.Equal(t, m.Via().Branch, r.Via().Branch)
	require.Equal(t, "<sip:127.0.0.1;lr>", r.Get(sip.RecordRoute))
	require.NotEmpty(t, r.To().Tag)

	n, status, ok := response(answer)
	require.True(t, ok)
	require.Equal(t, 7, n)
	require.Equal(t, 180, status)
}

func TestResponse(t *testing.T) {
	for _, text := range []string{"", "SIP/2.0 ", "SIP/2.0 200 OK\r\n\r\n", "INVITE sip:a SIP/2.0\r\nCall-ID: 1-1\r\n\r\n",
		"SIP/2.0 200 OK\r\nCall-ID: one\r\n\r\n", "SIP/2.0 abc\r\nCall-ID: 1-1\r\n\r\n"} {
		_, _, ok := response([]byte(text))
		require.False(t, ok, "%q", text)
	}
}
