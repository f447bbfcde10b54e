package routing

import (
	"testing"

	"github.com/goser-project/goser/sip"
	"github.com/stretchr/testify/require"
)

func received(status int) candidate { return candidate{status: status, message: &sip.Message{}} }
func made(status int) candidate     { return candidate{status: status} }

// RFC 3261 16.7 step 6: "It MUST choose from the 6xx class responses if any
// exist in the context. If no 6xx class responses are present, the proxy
// SHOULD choose from the lowest response class stored in the response context."
func TestBestResponse(t *testing.T) {
	for name, c := range map[string]struct {
		came      []candidate
		cancelled bool
		want      candidate
	}{
		"6xx over all":                              {came: []candidate{received(404), received(603), received(302)}, want: received(603)},
		"3xx over 4xx":                              {came: []candidate{received(486), received(302)}, want: received(302)},
		"4xx over 5xx":                              {came: []candidate{received(500), received(486)}, want: received(486)},
		"challenge over other 4xx":                  {came: []candidate{received(404), received(407), received(486)}, want: received(407)},
		"484 over 404":                              {came: []candidate{received(404), received(484)}, want: received(484)},
		"500 over 503":                              {came: []candidate{received(503), received(500)}, want: received(500)},
		"504 over 503":                              {came: []candidate{received(503), received(504)}, want: received(504)},
		"a peer's 503 over our 408":                 {came: []candidate{made(408), received(503)}, want: received(503)},
		"a peer's 486 over our 408":                 {came: []candidate{made(408), received(486)}, want: received(486)},
		"our 408 over our 503":                      {came: []candidate{made(503), made(408)}, want: made(408)},
		"the first of equals":                       {came: []candidate{received(486), received(486)}, want: received(486)},
		"487 once the caller gave up":               {came: []candidate{received(404), received(487)}, cancelled: true, want: received(487)},
		"no preference for 487 before that":         {came: []candidate{received(404), received(487)}, want: received(404)},
		"6xx yields to 487 when the caller gave up": {came: []candidate{received(603), received(487)}, cancelled: true, want: received(487)},
	} {
		t.Run(name, func(t *testing.T) {
			rc := &responseContext{callerOff: c.cancelled}
			for _, candidate := range c.came {
				rc.consider(candidate)
			}
			require.Equal(t, c.want.status, rc.best.status)
			require.Equal(t, c.want.message == nil, rc.best.message == nil)
		})
	}
}
