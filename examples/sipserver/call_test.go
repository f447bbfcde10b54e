package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

func TestCall(t *testing.T) {
	for _, c := range []struct{ caller, callee, golden string }{
		{"UDP", "UDP", `
			0.000  alice   -> server   REGISTER
			0.005  server  -> alice    200 (REGISTER)
			0.010  bob     -> server   REGISTER
			0.015  server  -> bob      200 (REGISTER)
			0.020  alice   -> server   INVITE
			0.025  server  -> bob      INVITE
			0.030  bob     -> server   180 (INVITE)
			0.035  server  -> alice    180 (INVITE)
			2.030  bob     -> server   200 (INVITE)
			2.035  server  -> alice    200 (INVITE)
			2.040  alice   -> server   ACK
			2.045  server  -> bob      ACK
			3.050  alice   -> server   BYE
			3.055  server  -> bob      BYE
			3.060  bob     -> server   200 (BYE)
			3.065  server  -> alice    200 (BYE)`},
		{"UDP", "TCP", `
			0.000  alice   -> server   REGISTER
			0.005  server  -> alice    200 (REGISTER)
			0.020  bob     -> server   REGISTER
			0.025  server  -> bob      200 (REGISTER)
			0.030  alice   -> server   INVITE
			0.035  server  -> bob      INVITE
			0.040  bob     -> server   180 (INVITE)
			0.045  server  -> alice    180 (INVITE)
			2.040  bob     -> server   200 (INVITE)
			2.045  server  -> alice    200 (INVITE)
			2.050  alice   -> server   ACK
			2.065  server  -> bob      ACK
			3.070  alice   -> server   BYE
			3.075  server  -> bob      BYE
			3.080  bob     -> server   200 (BYE)
			3.085  server  -> alice    200 (BYE)`},
		{"TCP", "UDP", `
			0.010  alice   -> server   REGISTER
			0.015  server  -> alice    200 (REGISTER)
			0.020  bob     -> server   REGISTER
			0.025  server  -> bob      200 (REGISTER)
			0.030  alice   -> server   INVITE
			0.035  server  -> bob      INVITE
			0.040  bob     -> server   180 (INVITE)
			0.045  server  -> alice    180 (INVITE)
			2.040  bob     -> server   200 (INVITE)
			2.045  server  -> alice    200 (INVITE)
			2.050  alice   -> server   ACK
			2.055  server  -> bob      ACK
			3.060  alice   -> server   BYE
			3.065  server  -> bob      BYE
			3.070  bob     -> server   200 (BYE)
			3.075  server  -> alice    200 (BYE)`},
		{"TCP", "TCP", `
			0.010  alice   -> server   REGISTER
			0.015  server  -> alice    200 (REGISTER)
			0.030  bob     -> server   REGISTER
			0.035  server  -> bob      200 (REGISTER)
			0.040  alice   -> server   INVITE
			0.045  server  -> bob      INVITE
			0.050  bob     -> server   180 (INVITE)
			0.055  server  -> alice    180 (INVITE)
			2.050  bob     -> server   200 (INVITE)
			2.055  server  -> alice    200 (INVITE)
			2.060  alice   -> server   ACK
			2.075  server  -> bob      ACK
			3.080  alice   -> server   BYE
			3.085  server  -> bob      BYE
			3.090  bob     -> server   200 (BYE)
			3.095  server  -> alice    200 (BYE)`},
	} {
		t.Run(c.caller+" to "+c.callee, func(t *testing.T) {
			runBench(t, siptest.Options{}, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2", c.caller), b.phone("bob", "10.0.0.3", c.callee)
				register(alice, bob)
				bob.On(sip.INVITE, siptest.Answer(2*time.Second))
				call := alice.Invite("sip:bob@example.org")
				call.WantStatus(180)
				require.Contains(b, call.WantStatus(200).Body(), "m=audio")
				call.Ack()
				in := bob.WantRequest(sip.INVITE)
				require.Contains(b, in.Body(), "m=audio")
				in.WantACK()
				time.Sleep(time.Second)
				call.Bye().WantStatus(200)
				require.True(b, in.Dialog().Ended())
				b.net.Ladder().Require(b, c.golden)
			})
		})
	}
}

// Route sets lead through the socket that each side reaches, and requests arrive with the other side's Contact.
func TestRouteSets(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", "UDP"), b.phone("bob", "10.0.0.3", "TCP")
		register(alice, bob)
		bob.On(sip.INVITE, siptest.Respond(200))
		b.net.Forget()
		call := alice.Invite("sip:bob@example.org")
		call.WantAnswer()
		in := bob.WantRequest(sip.INVITE)
		in.WantACK()
		in.Dialog().Bye().WantStatus(200)
		b.net.Ladder().With("Request-URI", "Route", "Record-Route").Require(b, `
			0.030  alice   -> server   INVITE  sip:bob@example.org
			0.035  server  -> bob      INVITE  sip:bob@10.0.0.3:5060;transport=tcp  Record-Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>  Record-Route: <sip:10.0.0.1:5060;lr;r2=on>
			0.040  bob     -> server   200 (INVITE)  Record-Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>  Record-Route: <sip:10.0.0.1:5060;lr;r2=on>
			0.045  server  -> alice    200 (INVITE)  Record-Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>  Record-Route: <sip:10.0.0.1:5060;lr;r2=on>
			0.050  alice   -> server   ACK  sip:bob@10.0.0.3:5060;transport=tcp  Route: <sip:10.0.0.1:5060;lr;r2=on>  Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>
			0.065  server  -> bob      ACK  sip:bob@10.0.0.3:5060;transport=tcp
			0.070  bob     -> server   BYE  sip:alice@10.0.0.2:5060  Route: <sip:10.0.0.1:5060;transport=tcp;lr;r2=on>  Route: <sip:10.0.0.1:5060;lr;r2=on>
			0.075  server  -> alice    BYE  sip:alice@10.0.0.2:5060
			0.080  alice   -> server   200 (BYE)
			0.085  server  -> bob      200 (BYE)`)
	})
}

// Either side sends whatever it likes within a dialog, and either hangs up.
func TestInDialogBothWays(t *testing.T) {
	for _, transports := range [][2]string{{"UDP", "UDP"}, {"UDP", "TCP"}, {"TCP", "UDP"}, {"TCP", "TCP"}} {
		t.Run(transports[0]+" to "+transports[1], func(t *testing.T) {
			runBench(t, siptest.Options{}, func(b *bench) {
				alice, bob := b.phone("alice", "10.0.0.2", transports[0]), b.phone("bob", "10.0.0.3", transports[1])
				register(alice, bob)
				for _, p := range []*siptest.Phone{alice, bob} {
					p.On(sip.INVITE, siptest.Respond(200))
				}
				call := alice.Invite("sip:bob@example.org")
				call.WantAnswer()
				in := bob.WantRequest(sip.INVITE)
				in.WantACK()
				for _, d := range []*siptest.Dialog{call.Dialog(), in.Dialog()} {
					for _, m := range []sip.Method{sip.INFO, sip.UPDATE, sip.OPTIONS, sip.MESSAGE, sip.NOTIFY, sip.REFER, sip.SUBSCRIBE, sip.PRACK, "PING"} {
						d.Request(m).WantStatus(200)
					}
					d.Request(sip.INVITE).WantStatus(200)
					d.Ack()
				}
				bob.WantRequest(sip.INVITE).WantACK()
				alice.WantRequest(sip.INVITE).WantACK()
				in.Dialog().Bye().WantStatus(200)
				require.True(b, call.Dialog().Ended())
			})
		})
	}
}

func TestCancelWhileRinging(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", "UDP"), b.phone("bob", "10.0.0.3", "UDP")
		register(alice, bob)
		b.net.Forget()
		bob.On(sip.INVITE, siptest.After(time.Second).Respond(180).After(time.Hour).Respond(200))
		call := alice.Invite("sip:bob@example.org")
		call.WantStatus(180)
		time.Sleep(time.Second)
		call.Cancel().WantStatus(200)
		call.WantStatus(487)
		bob.WantRequest(sip.INVITE).WantCancel()
		b.settle()
		b.net.Ladder().Require(b, `
			0.020  alice   -> server   INVITE
			0.025  server  -> bob      INVITE
			0.225  server  -> alice    100 (INVITE)
			0.525  server  -> bob      INVITE
			1.030  bob     -> server   180 (INVITE)
			1.035  server  -> alice    180 (INVITE)
			2.040  alice   -> server   CANCEL
			2.045  server  -> alice    200 (CANCEL)
			2.045  server  -> bob      CANCEL
			2.050  bob     -> server   200 (CANCEL)
			2.050  bob     -> server   487 (INVITE)
			2.055  server  -> bob      ACK
			2.055  server  -> alice    487 (INVITE)
			2.060  alice   -> server   ACK`)
	})
}

// The caller gives up before the callee's phone has said a word: it is cancelled as soon as it does (RFC 3261 section 9.1).
func TestCancelBeforeRinging(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", "TCP"), b.phone("bob", "10.0.0.3", "TCP")
		register(alice, bob)
		b.net.Forget()
		bob.On(sip.INVITE, siptest.After(10*time.Second).Respond(180).After(time.Hour).Respond(200))
		call := alice.Invite("sip:bob@example.org")
		time.Sleep(time.Second)
		call.Cancel().WantStatus(200)
		call.WantFinal(487)
		b.settle()
		// The server writes to its connections at the same instant in any order.
		b.net.Ladder().Only("alice").Require(b, `
			 0.040  alice   -> server   INVITE
			 0.245  server  -> alice    100 (INVITE)
			 1.040  alice   -> server   CANCEL
			 1.045  server  -> alice    200 (CANCEL)
			10.055  server  -> alice    180 (INVITE)
			10.065  server  -> alice    487 (INVITE)
			10.070  alice   -> server   ACK`)
		b.net.Ladder().Only("bob").Require(b, `
			 0.045  server  -> bob      INVITE
			10.050  bob     -> server   180 (INVITE)
			10.055  server  -> bob      CANCEL
			10.060  bob     -> server   200 (CANCEL)
			10.060  bob     -> server   487 (INVITE)
			10.065  server  -> bob      ACK`)
	})
}

func TestBusyDeclinedAndNoAnswer(t *testing.T) {
	for _, status := range []int{486, 603, 302} {
		runBench(t, siptest.Options{}, func(b *bench) {
			alice, bob := b.phone("alice", "10.0.0.2", "UDP"), b.phone("bob", "10.0.0.3", "UDP")
			register(alice, bob)
			bob.On(sip.INVITE, siptest.Respond(180).After(time.Second).Respond(status))
			alice.Invite("sip:bob@example.org").WantFinal(status)
			bob.WantRequest(sip.INVITE).WantACK()
		})
	}
	// A phone that rings for a minute is cancelled, and the caller is told that nobody is there.
	runBench(t, siptest.Options{}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", "UDP"), b.phone("bob", "10.0.0.3", "UDP")
		register(alice, bob)
		bob.On(sip.INVITE, siptest.Respond(180))
		b.net.Forget()
		alice.Invite("sip:bob@example.org").WantFinal(408)
		bob.WantRequest(sip.INVITE).WantCancel()
		b.settle()
		b.net.Ladder().Require(b, `
			 0.020  alice   -> server   INVITE
			 0.025  server  -> bob      INVITE
			 0.030  bob     -> server   180 (INVITE)
			 0.035  server  -> alice    180 (INVITE)
			60.025  server  -> bob      CANCEL
			60.025  server  -> alice    408 (INVITE)
			60.030  bob     -> server   200 (CANCEL)
			60.030  bob     -> server   487 (INVITE)
			60.030  alice   -> server   ACK
			60.035  server  -> bob      ACK`)
	})
}

// 404 is for a user that the server has never heard of, 480 for one who has no phone at the moment.
func TestAbsentUsers(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", "UDP"), b.phone("bob", "10.0.0.3", "UDP")
		register(alice)
		alice.Invite("sip:bob@example.org").WantStatus(404)
		register(bob)
		bob.Register(0).WantStatus(200)
		alice.Invite("sip:bob@example.org").WantStatus(480)
		alice.Invite("sip:carol@example.org").WantStatus(404)

		// A registration that ran out leaves the user absent too.
		bob.Register(time.Minute).WantStatus(200)
		time.Sleep(2 * time.Minute)
		alice.Invite("sip:bob@example.org").WantStatus(480)
		bob.WantNoRequest(time.Minute)
	})
}

// Equal contacts ring together, and only when all have failed do those with a lower q.
func TestForkByQ(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", "UDP")
		desk, cell := b.phoneOf("desk", "10.0.0.3", "sip:bob@example.org", "UDP"), b.phoneOf("cell", "10.0.0.4", "sip:bob@example.org", "UDP")
		home, mail := b.phoneOf("home", "10.0.0.5", "sip:bob@example.org", "UDP"), b.phoneOf("mail", "10.0.0.6", "sip:bob@example.org", "UDP")
		register(alice)
		for _, p := range []struct {
			*siptest.Phone
			q string
		}{{mail, "0.1"}, {desk, "0.9"}, {home, "0.5"}, {cell, "0.9"}} {
			p.Register(time.Hour, siptest.Header(sip.Contact, "<"+p.Contact()+">;q="+p.q)).WantStatus(200)
		}
		b.net.Forget()
		desk.On(sip.INVITE, siptest.Respond(180).After(time.Second).Respond(486))
		cell.On(sip.INVITE, siptest.Respond(180).After(2*time.Second).Respond(480))
		home.On(sip.INVITE, siptest.Answer(3*time.Second))
		call := alice.Invite("sip:bob@example.org")
		call.WantAnswer()
		home.WantRequest(sip.INVITE).WantACK()
		call.Bye().WantStatus(200)
		b.settle()
		b.net.Ladder().Require(b, `
			0.050  alice   -> server   INVITE
			0.055  server  -> cell     INVITE
			0.055  server  -> desk     INVITE
			0.060  cell    -> server   180 (INVITE)
			0.060  desk    -> server   180 (INVITE)
			0.065  server  -> alice    180 (INVITE)
			0.065  server  -> alice    180 (INVITE)
			1.060  desk    -> server   486 (INVITE)
			1.065  server  -> desk     ACK
			2.060  cell    -> server   480 (INVITE)
			2.065  server  -> cell     ACK
			2.065  server  -> home     INVITE
			2.070  home    -> server   180 (INVITE)
			2.075  server  -> alice    180 (INVITE)
			5.070  home    -> server   200 (INVITE)
			5.075  server  -> alice    200 (INVITE)
			5.080  alice   -> server   ACK
			5.085  server  -> home     ACK
			5.090  alice   -> server   BYE
			5.095  server  -> home     BYE
			5.100  home    -> server   200 (BYE)
			5.105  server  -> alice    200 (BYE)`)
	})
}

// The first phone that is picked up has the call, the others stop ringing.
func TestForkFirstAnswerWins(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", "UDP")
		desk, cell := b.phoneOf("desk", "10.0.0.3", "sip:bob@example.org", "UDP"), b.phoneOf("cell", "10.0.0.4", "sip:bob@example.org", "UDP")
		register(alice, desk, cell)
		b.net.Forget()
		desk.On(sip.INVITE, siptest.Answer(time.Minute))
		cell.On(sip.INVITE, siptest.Answer(2*time.Second))
		call := alice.Invite("sip:bob@example.org")
		call.WantAnswer()
		desk.WantRequest(sip.INVITE).WantCancel()
		cell.WantRequest(sip.INVITE).WantACK()
		b.settle()
		b.net.Ladder().Require(b, `
			0.030  alice   -> server   INVITE
			0.035  server  -> cell     INVITE
			0.035  server  -> desk     INVITE
			0.040  cell    -> server   180 (INVITE)
			0.040  desk    -> server   180 (INVITE)
			0.045  server  -> alice    180 (INVITE)
			0.045  server  -> alice    180 (INVITE)
			2.040  cell    -> server   200 (INVITE)
			2.045  server  -> alice    200 (INVITE)
			2.045  server  -> desk     CANCEL
			2.050  alice   -> server   ACK
			2.050  desk    -> server   200 (CANCEL)
			2.050  desk    -> server   487 (INVITE)
			2.055  server  -> cell     ACK
			2.055  server  -> desk     ACK`)
	})
}

// Two phones are picked up at the same moment: both answers reach the caller (RFC 3261 section 16.7 step 5), who hangs
// up on one.
func TestForkBothAnswer(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", "UDP")
		desk, cell := b.phoneOf("desk", "10.0.0.3", "sip:bob@example.org", "UDP"), b.phoneOf("cell", "10.0.0.4", "sip:bob@example.org", "UDP")
		register(alice, desk, cell)
		desk.On(sip.INVITE, siptest.Answer(2*time.Second))
		cell.On(sip.INVITE, siptest.Answer(2*time.Second))
		call := alice.Invite("sip:bob@example.org")
		first := call.Leg(call.WantFinal(200))
		first.Ack()
		second := call.Leg(call.WantStatus(200))
		second.Ack()
		require.NotSame(b, first, second)
		desk.WantRequest(sip.INVITE).WantACK()
		cell.WantRequest(sip.INVITE).WantACK()
		first.Bye().WantStatus(200)
		second.Bye().WantStatus(200)
	})
}

// A phone that has vanished without a word: its call goes to its other phone, or the caller is told.
func TestDeadPhone(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice := b.phone("alice", "10.0.0.2", "UDP")
		dead, cell := b.phoneOf("dead", "10.0.0.3", "sip:bob@example.org", "UDP"), b.phoneOf("cell", "10.0.0.4", "sip:bob@example.org", "UDP")
		register(alice)
		dead.Register(time.Hour).WantStatus(200)
		dead.Close()
		alice.Invite("sip:bob@example.org").WantFinal(408)
		cell.Register(time.Hour, siptest.Header(sip.Contact, "<"+cell.Contact()+">;q=0.5")).WantStatus(200)
		cell.On(sip.INVITE, siptest.Respond(200))
		call := alice.Invite("sip:bob@example.org")
		call.WantAnswer()
		call.Bye().WantStatus(200)
	})
}

// A phone that has lost its connection: its Contact can still be dialed.
func TestLostConnection(t *testing.T) {
	runBench(t, siptest.Options{}, func(b *bench) {
		alice, bob := b.phone("alice", "10.0.0.2", "UDP"), b.phone("bob", "10.0.0.3", "TCP")
		register(alice, bob)
		bob.On(sip.INVITE, siptest.Respond(200))
		bob.CloseConnections()
		time.Sleep(time.Second)
		call := alice.Invite("sip:bob@example.org")
		call.WantAnswer()
		call.Bye().WantStatus(200)
	})
}
