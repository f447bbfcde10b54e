package registrar

import (
	"cmp"
	"fmt"

	"github.com/goser-project/goser/sip"
)

// refusal is an answer other than 200, on its way as an error through a Store's Update.
type refusal struct {
	status       int
	reason       string // "" for the usual reason phrase
	header, text string // a header field that says more
}

func (r *refusal) Error() string {
	return fmt.Sprintf("registrar: refused: %d %s", r.status, cmp.Or(r.reason, sip.ReasonPhrase(r.status)))
}

func (r *refusal) response() *sip.Response {
	res := sip.NewResponse(r.status)
	res.Reason = r.reason
	if r.header != "" {
		res.Set(r.header, r.text)
	}
	return res
}

func badRequest(reason string) *refusal {
	return &refusal{status: sip.StatusBadRequest, reason: reason}
}
