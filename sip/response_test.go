package sip_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
)

// RFC 3261 8.2.6.2: "The From field of the response MUST equal the From header field of the request. The Call-ID header field of the
// response MUST equal the Call-ID header field of the request. The CSeq header field of the response MUST equal the CSeq field of
// the request. The Via header field values in the response MUST equal the Via header field values in the request and MUST maintain
// the same ordering. […] if the To header field in the request did not contain a tag, the URI in the To header field in the response
// MUST equal the URI in the To header field; additionally, the UAS MUST add a tag to the To header field in the response (with the
// exception of the 100 (Trying) response, in which a tag MAY be present)."
func TestAppendResponse(t *testing.T) {
	req := parse(t, message("INVITE sip:bob@example.com SIP/2.0", nil, []string{
		"Record-Route: <sip:p2;lr>, <sip:p1;lr>",
		"v: SIP/2.0/UDP a;branch=1 , SIP/2.0/UDP b;branch=2",
		"Via: SIP/2.0/TCP c",
		"f:   \"A\" <sip:alice@example.com>;tag=a1",
		"t: <sip:bob@example.com> ;x",
		"i: call1",
		"CSeq: 0007  INVITE",
		"Record-Route: <sip:p0;lr>",
		"Timestamp: 54",
		"Subject: not copied",
	}))
	common := "Via: SIP/2.0/UDP a;branch=1 , SIP/2.0/UDP b;branch=2\r\nVia: SIP/2.0/TCP c\r\nFrom: \"A\" <sip:alice@example.com>;tag=a1\r\n"
	recordRoute := "Record-Route: <sip:p2;lr>, <sip:p1;lr>\r\n"

	// 8.2.6.1: "the UAS MUST copy any Timestamp header field value into [the 100]"
	require.Equal(t, "SIP/2.0 100 Trying\r\n"+common+
		"To: <sip:bob@example.com> ;x\r\nCall-ID: call1\r\nCSeq: 0007  INVITE\r\nTimestamp: 54\r\nContent-Length: 0\r\n\r\n",
		string(sip.AppendResponse(nil, req, sip.NewResponse(sip.StatusTrying), "b1")))

	// 12.1.1: "When a UAS responds to a request with a response that establishes a dialog (such as a 2xx to INVITE), the UAS MUST copy
	// all Record-Route header field values from the request into the response […] and MUST maintain the order of those values."
	res := sip.NewResponse(sip.StatusOK)
	res.Reason = "Fine"
	res.Add("m", "<sip:bob@192.0.2.4>")
	res.Set("Max-Forwards", "1")
	res.Add("Max-Forwards", "2")
	res.Add("X-A", "1")
	res.Add("x-a", "2")
	res.SetBody("application/sdp", "v=0\r\n")
	require.NoError(t, res.Err())
	require.Equal(t, "SIP/2.0 200 Fine\r\n"+recordRoute+common+
		"To: <sip:bob@example.com> ;x;tag=b1\r\nCall-ID: call1\r\nCSeq: 0007  INVITE\r\nRecord-Route: <sip:p0;lr>\r\n"+
		"Contact: <sip:bob@192.0.2.4>\r\nMax-Forwards: 2\r\nX-A: 1\r\nx-a: 2\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n",
		string(sip.AppendResponse(nil, req, res, "b1")))
	require.Equal(t, "2", res.Get("max-forwards"))
	require.Equal(t, "1", res.Get("X-a"))
	require.Empty(t, res.Get("X-b"))

	// A response that creates no dialog.
	text := string(sip.AppendResponse([]byte("before "), req, sip.NewResponse(sip.StatusBusyHere), "b1"))
	require.True(t, strings.HasPrefix(text, "before SIP/2.0 486 Busy Here\r\nVia: "))
	require.NotContains(t, text, "Record-Route")
	bye := parse(t, strings.ReplaceAll(req.Text(), "INVITE", "BYE"))
	require.NotContains(t, string(sip.AppendResponse(nil, bye, sip.NewResponse(200), "b1")), "Record-Route")

	// A tag that is there stays, whatever its form.
	for _, to := range []string{"<sip:bob@b>;TAG=z", "sip:bob@b ; x;tag =z"} {
		text := string(sip.AppendResponse(nil, parse(t, options("To: "+to)), sip.NewResponse(200), "b1"))
		require.Contains(t, text, "\r\nTo: "+to+"\r\n")
	}
	// A tag that is none is not written.
	text = string(sip.AppendResponse(nil, req, sip.NewResponse(486), "b1\r\nX: y"))
	require.Contains(t, text, "\r\nTo: <sip:bob@example.com> ;x\r\n")
}

func TestResponseRefuses(t *testing.T) {
	for _, name := range []string{sip.Via, "f", sip.To, sip.CallID, sip.CSeq, "l"} {
		res := sip.NewResponse(200)
		res.Set(name, "x")
		require.ErrorIs(t, res.Err(), sip.ErrReserved, name)
		require.Empty(t, res.Get(name))
		res = sip.NewResponse(200)
		res.Add(name, "x")
		require.ErrorIs(t, res.Err(), sip.ErrReserved, name)
	}
	res := sip.NewResponse(200)
	res.Add("X", "a\r\nb")
	require.ErrorIs(t, res.Err(), sip.ErrHeaderValue)
	res.Add("X Y", "a")
	require.ErrorIs(t, res.Err(), sip.ErrHeaderValue, "the first stays")
	res = sip.NewResponse(200)
	res.SetBody("a\nb", "x")
	require.ErrorIs(t, res.Err(), sip.ErrHeaderValue)
	require.ErrorIs(t, sip.NewResponse(99).Err(), sip.ErrStartLine)
	require.ErrorIs(t, (&sip.Response{Status: 200, Reason: "\n"}).Err(), sip.ErrStartLine)
	res = sip.NewResponse(200)
	res.SetBody("a/b", "x")
	res.SetBody("", "")
	require.Empty(t, res.Get(sip.ContentType))
}

func TestReasonPhrase(t *testing.T) {
	for status, want := range map[int]string{
		100: "Trying", 200: "OK", 404: "Not Found", 481: "Call/Transaction Does Not Exist", 504: "Server Time-out", 606: "Not Acceptable", 608: "Rejected",
		// 8.1.3.2: "A UAC MUST treat any final response it does not recognize as being equivalent to the x00 response code of that class"
		199 - 1: "Session Progress", 299: "OK", 399: "Multiple Choices", 499: "Bad Request", 599: "Server Internal Error", 699: "Busy Everywhere",
		0: "", 99: "", 700: "", -100: "",
	} {
		require.Equal(t, want, sip.ReasonPhrase(status), status)
	}
}
