package sip_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// RFC 3261 8.1.1: "A valid SIP request formulated by a UAC MUST, at a minimum, contain the following header fields: To, From, CSeq,
// Call-ID, Max-Forwards, and Via"; the Via is the transport's part.
func TestNewRequest(t *testing.T) {
	r := sip.NewRequest(sip.MESSAGE, uri(t, "sip:bob@example.com"))
	m, err := r.Message()
	require.NoError(t, err)
	require.Equal(t, sip.MESSAGE, m.Method())
	require.Equal(t, "sip:bob@example.com", m.RequestURI().String())
	require.Equal(t, "<sip:bob@example.com>", m.To().String())
	require.Equal(t, "70", m.Get(sip.MaxForwards))
	require.Equal(t, sip.Sequence{Number: 1, Method: sip.MESSAGE}, m.CSeq())
	require.Equal(t, sip.ViaParm{}, m.Via())
	require.False(t, m.Has(sip.Via))
	// 8.1.1.3: "a syntactically correct, but otherwise meaningless URI" with the display name "Anonymous"; 19.3: at least 32 bits of
	// randomness in a tag.
	require.Equal(t, "Anonymous", m.From().Display)
	require.GreaterOrEqual(t, len(m.From().Tag), 26)
	require.GreaterOrEqual(t, len(m.CallID()), 26)
	again, err := r.Message()
	require.NoError(t, err)
	require.Equal(t, m.Text(), again.Text(), "the same each time")
	require.NotEqual(t, m.CallID(), must(sip.NewRequest(sip.MESSAGE, uri(t, "sip:b")).Message()).CallID())
	require.NoError(t, m.Validate())

	var p sip.Patch
	p.Prepend(sip.Via, "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKx")
	sent := parse(t, string(sip.AppendMessage(nil, m, &p)))
	require.Equal(t, "z9hG4bKx", sent.Via().Branch)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestRequestFields(t *testing.T) {
	r := &sip.Request{
		Method: "NEW",
		URI:    uri(t, "sips:b;x?h=v"),
		From:   sip.NameAddr{Display: "A", URI: uri(t, "sip:a@b"), Params: "tag=1"},
		To:     sip.NameAddr{URI: uri(t, "sip:c@d"), Tag: "2"},
		CallID: "id",
		CSeq:   9,
	}
	r.URI.Headers = ""
	r.Set("s", "first")
	r.Set(sip.Subject, "subject")
	r.Add(sip.Route, "<sip:p1;lr>")
	r.Add(sip.Route, "<sip:p2;lr>")
	r.Add(sip.Via, "SIP/2.0/UDP a")
	r.SetBody("text/plain", "hello")
	want := "NEW sips:b;x SIP/2.0\r\nRoute: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\nVia: SIP/2.0/UDP a\r\n" +
		"From: \"A\" <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: id\r\nCSeq: 9 NEW\r\n" +
		"Subject: subject\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
	require.Equal(t, want, string(r.AppendTo(nil)))
	require.Equal(t, want, must(r.Message()).Text())

	for name, spoil := range map[string]func(r *sip.Request){
		"method":  func(r *sip.Request) { r.Method = "A B" },
		"none":    func(r *sip.Request) { r.Method = "" },
		"uri":     func(r *sip.Request) { r.URI = sip.URI{} },
		"host":    func(r *sip.Request) { r.URI.Host = "a b" },
		"inject":  func(r *sip.Request) { r.CallID = "a\r\nX: y" },
		"tag":     func(r *sip.Request) { r.To.Tag = "a;b=c;tag=d" },
		"from":    func(r *sip.Request) { r.From = sip.NameAddr{} },
		"cseq":    func(r *sip.Request) { r.CSeq = 1 << 31 },
		"field":   func(r *sip.Request) { r.Set(sip.From, "<sip:x>") },
		"value":   func(r *sip.Request) { r.Add("X", "\n") },
		"message": func(r *sip.Request) { r.CallID = "a\r\n\r\n" },
	} {
		r := sip.NewRequest(sip.OPTIONS, uri(t, "sip:b"))
		spoil(r)
		m, err := r.Message()
		require.Error(t, err, name)
		require.Nil(t, m)
	}
}

// RFC 3261 17.1.1.3: "The ACK request constructed by the client transaction MUST contain values for the Call-ID, From, and Request-URI
// that are equal to the values of those header fields in the request passed to the transport by the client transaction […]. The To
// header field in the ACK MUST equal the To header field in the response being acknowledged […]. The ACK MUST contain a single Via
// header field, and this MUST be equal to the top Via header field of the original request. The CSeq header field in the ACK MUST
// contain the same value for the sequence number as was present in the original request, but the method parameter MUST be equal to
// "ACK". If the INVITE request […] had Route header fields, those header fields MUST appear in the ACK."
func TestAppendACK(t *testing.T) {
	sent := parse(t, strings.Replace(routed, "branch=z9hG4bK1", "branch=z9hG4bK1;x=\",\" , SIP/2.0/TCP b", 1))
	final := parse(t, response("486 Busy Here", "To: <sip:bob@example.com>;tag=b9"))
	require.Equal(t, "ACK sip:bob@example.com SIP/2.0\r\n"+
		"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;x=\",\"\r\n"+
		"Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>\r\nRoute: <sip:p3;lr>\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>;tag=b9\r\nCall-ID: call1\r\nCSeq: 7 ACK\r\n"+
		"Content-Length: 0\r\n\r\n", string(sip.AppendACK(nil, sent, final)))
	parse(t, string(sip.AppendACK(nil, sent, final)))
}

// RFC 3261 9.1: "The Request-URI, Call-ID, To, the numeric part of CSeq, and From header fields in the CANCEL request MUST be identical
// to those in the request being cancelled, including tags. A CANCEL constructed by a client MUST have only a single Via header field
// value matching the top Via value in the request being cancelled. […] the method part of the CSeq header field MUST have a value of
// CANCEL. […] If the request being cancelled contains a Route header field, the CANCEL request MUST include that Route header
// field's values. […] The CANCEL request MUST NOT contain any Require or Proxy-Require header fields."
func TestAppendCancel(t *testing.T) {
	sent := parse(t, strings.Replace(routed, "CSeq", "Require: x\r\nCSeq", 1))
	want := "CANCEL sip:bob@example.com SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" +
		"Route: <sip:p1;lr>, <sip:p2;x=\"a,b\";lr>\r\nRoute: <sip:p3;lr>\r\n" +
		"Max-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>\r\nCall-ID: call1\r\nCSeq: 7 CANCEL\r\n"
	require.Equal(t, want+"Content-Length: 0\r\n\r\n", string(sip.AppendCancel(nil, sent, "")))
	// RFC 3326 2
	reason := `SIP;cause=200;text="Call completed elsewhere"`
	require.Equal(t, want+"Reason: "+reason+"\r\nContent-Length: 0\r\n\r\n", string(sip.AppendCancel(nil, sent, reason)))
	require.Equal(t, want+"Content-Length: 0\r\n\r\n", string(sip.AppendCancel(nil, sent, "a\r\nb")))
}
