package siptest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
)

// busy is the body of an ordinary test: alice calls, bob is busy, and the network loses her first INVITE.
func busy(t *testing.T) {
	net := siptest.NewNetwork(siptest.Options{Drop: siptest.DropFirst(1, "INVITE")})
	alice := siptest.NewPhone(t, net.Host("alice", "10.0.0.1"), "sip:alice@example.org", siptest.PhoneOptions{})
	bob := siptest.NewPhone(t, net.Host("bob", "10.0.0.2"), "sip:bob@example.org", siptest.PhoneOptions{})
	bob.On(sip.INVITE, siptest.Respond(180).After(2*time.Second).Respond(486))

	call := alice.Invite(bob.Contact())
	call.WantStatus(180)
	call.WantStatus(486)
	bob.WantRequest(sip.INVITE).WantACK()

	net.Ladder().Require(t, `
		  0.000  alice  -x bob     INVITE
		  0.500  alice  -> bob     INVITE
		  0.505  bob    -> alice   180 (INVITE)
		  2.505  bob    -> alice   486 (INVITE)
		  2.510  alice  -> bob     ACK
	`)
}

// A test is a function for synctest.Test, which gives it a clock of its own: this one takes a millisecond.
func Example() {
	var t *testing.T // of func TestBusy(t *testing.T)
	synctest.Test(t, busy)
}

// answered is a call with the parts of both sides written by hand.
func answered(t *testing.T) {
	net := siptest.NewNetwork(siptest.Options{})
	alice := siptest.NewPhone(t, net.Host("alice", "10.0.0.1"), "sip:alice@example.org", siptest.PhoneOptions{})
	bob := siptest.NewPhone(t, net.Host("bob", "10.0.0.2"), "sip:bob@example.org", siptest.PhoneOptions{})

	call := alice.Invite(bob.Contact(), siptest.Header(sip.Subject, "lunch"))
	in := bob.WantRequest(sip.INVITE)
	in.RespondReason(183, "Nearly There")
	call.WantStatus(183)
	in.Respond(200)
	call.WantStatus(200)
	call.Ack()
	in.WantACK()
	in.Dialog().Bye().WantStatus(200)

	net.Ladder().Without("200 (INVITE)").With("Subject", "CSeq").Only("alice", "bob").Require(t, `
		0.000  alice  -> bob     INVITE        Subject: lunch  CSeq: 1 INVITE
		0.005  bob    -> alice   183 (INVITE)  CSeq: 1 INVITE
		0.015  alice  -> bob     ACK           CSeq: 1 ACK
		0.020  bob    -> alice   BYE           CSeq: 1 BYE
		0.025  alice  -> bob     200 (BYE)     CSeq: 1 BYE
	`)
}

// Both sides of a call by hand.
func ExamplePhone() {
	var t *testing.T
	synctest.Test(t, answered)
}

// faults shows what can go wrong on the way.
func faults(t *testing.T) {
	net := siptest.NewNetwork(siptest.Options{Seed: 1, Link: siptest.Link{Jitter: 3 * time.Millisecond, Loss: 0.1}})
	alice := siptest.NewPhone(t, net.Host("alice", "10.0.0.1"), "sip:alice@example.org", siptest.PhoneOptions{})
	bob := siptest.NewPhone(t, net.Host("bob", "10.0.0.2"), "sip:bob@example.org", siptest.PhoneOptions{})

	// From bob to alice all takes a second, and no 180 gets through.
	net.SetLink(bob.Host(), alice.Host(), siptest.Link{Delay: time.Second, Drop: siptest.DropAll("180 (INVITE)")})
	bob.On(sip.INVITE, siptest.Answer(3*time.Second))
	call := alice.Invite(bob.Contact())
	call.WantAnswer()

	// Alice's network is gone for a while.
	net.Partition(alice.Host(), nil)
	time.AfterFunc(10*time.Second, func() { net.Heal(alice.Host(), nil) })
	call.Bye().WantStatus(200)
}

// Faults of the network.
func ExampleNetwork_SetLink() {
	var t *testing.T
	synctest.Test(t, faults)
}

func TestExamples(t *testing.T) {
	synctest.Test(t, busy)
	synctest.Test(t, answered)
	synctest.Test(t, faults)
}
