package routing_test

import (
	"testing"
	"time"
)

// A call as most are, from INVITE to BYE.
func TestCall(t *testing.T) {
	runBench(t, toBob, func(b *bench) {
		alice, bob := b.pair()
		call := alice.Invite(bobAlias)
		call.WantStatus(180)
		call.WantStatus(200)
		call.Ack()
		bob.WantRequest("INVITE").WantACK()
		time.Sleep(time.Second)
		call.Bye().WantStatus(200)
		b.ladder(`
			0.000  alice  -> proxy   INVITE
			0.005  proxy  -> bob     INVITE
			0.010  bob    -> proxy   180 (INVITE)
			0.015  proxy  -> alice   180 (INVITE)
			2.010  bob    -> proxy   200 (INVITE)
			2.015  proxy  -> alice   200 (INVITE)
			2.020  alice  -> proxy   ACK
			2.025  proxy  -> bob     ACK
			3.030  alice  -> proxy   BYE
			3.035  proxy  -> bob     BYE
			3.040  bob    -> proxy   200 (BYE)
			3.045  proxy  -> alice   200 (BYE)`)
	})
}
