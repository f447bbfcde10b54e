package sipgophone_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo"
	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/siptest/sipgophone"
)

func TestTwoSipgoPhones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{Drop: siptest.DropFirst(3, "INVITE")})
		alice := sipgophone.NewPhone(t, n.Host("alice", "10.0.0.1"), "sip:alice@example.org", sipgophone.Options{})
		bob := sipgophone.NewPhone(t, n.Host("bob", "10.0.0.2"), "sip:bob@example.org", sipgophone.Options{Answer: sipgophone.AnswerAfter(time.Second)})
		ctx := context.Background()
		call, err := alice.Call(ctx, bob.Contact())
		require.NoError(t, err)
		require.Equal(t, []int{180, 200}, call.Statuses())
		answered, err := bob.WaitCall(ctx)
		require.NoError(t, err)
		require.NoError(t, answered.Hangup(ctx))
		<-call.Ended()
		n.Ladder().Require(t, `
			0.000  alice  -x bob     INVITE
			0.500  alice  -x bob     INVITE
			1.500  alice  -x bob     INVITE
			3.500  alice  -> bob     INVITE
			3.505  bob    -> alice   180 (INVITE)
			4.505  bob    -> alice   200 (INVITE)
			4.510  alice  -> bob     ACK
			4.515  bob    -> alice   BYE
			4.520  alice  -> bob     200 (BYE)`)
	})
}

// Under loss, duplication and reordering everything still ends as it should, and the bubble ends.
func TestSipgoPhonesOverABadNetwork(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(siptest.Options{Seed: seed, Link: siptest.Link{Loss: 0.2, Duplicate: 0.1, Reorder: 0.1, Jitter: 3 * time.Millisecond}})
			alice := sipgophone.NewPhone(t, n.Host("alice", "10.0.0.1"), "sip:alice@example.org", sipgophone.Options{})
			bob := sipgophone.NewPhone(t, n.Host("bob", "10.0.0.2"), "sip:bob@example.org", sipgophone.Options{Answer: sipgophone.AnswerAfter(time.Second)})
			ctx := context.Background()
			call, err := alice.Call(ctx, bob.Contact())
			require.NoError(t, err, n.Ladder())
			time.Sleep(time.Minute)
			require.NoError(t, call.Hangup(ctx), n.Ladder())
		})
	}
}

func TestSipgoRejectCancelTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		alice := sipgophone.NewPhone(t, n.Host("alice", "10.0.0.1"), "sip:alice@example.org", sipgophone.Options{})
		busy := sipgophone.NewPhone(t, n.Host("busy", "10.0.0.2"), "sip:busy@example.org", sipgophone.Options{Answer: sipgophone.RejectAfter(0, 486, "Busy Here")})
		slow := sipgophone.NewPhone(t, n.Host("slow", "10.0.0.3"), "sip:slow@example.org", sipgophone.Options{Answer: sipgophone.AnswerAfter(time.Hour)})
		ctx := context.Background()
		_, err := alice.Call(ctx, busy.Contact())
		var refused *sipgo.ErrDialogResponse
		require.ErrorAs(t, err, &refused)
		require.EqualValues(t, 486, refused.Res.StatusCode)

		short, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		_, err = alice.Call(short, slow.Contact())
		require.ErrorIs(t, err, context.DeadlineExceeded)

		n.Forget()
		_, err = alice.Call(ctx, "sip:nobody@10.0.0.9")
		require.Error(t, err)
		require.Len(t, n.Ladder().Events(), 7, "Timer B ends it")
		time.Sleep(time.Minute)
		n.Ladder().Only("slow").Require(t, "")
		_ = busy
	})
}

// A sipgo phone and a scripted one, which judges it.
func TestSipgoAndScriptedPhone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		server := siptest.NewPhone(t, n.Host("server", "10.0.0.2"), "sip:server@example.org", siptest.PhoneOptions{Transport: "TCP", Listen: []string{"UDP", "TCP"}})
		alice := sipgophone.NewPhone(t, n.Host("alice", "10.0.0.1"), "sip:alice@example.org", sipgophone.Options{Proxy: server.Host().AddrPort(5060), TCP: true, Password: "secret"})
		ctx := context.Background()

		challenge := siptest.Header(sip.WWWAuthenticate, `Digest realm="example.org", nonce="n", algorithm=MD5`)
		server.On(sip.REGISTER, siptest.Respond(401, challenge))
		res, err := alice.Register(ctx, time.Hour)
		require.NoError(t, err)
		require.EqualValues(t, 401, res.StatusCode)
		first, second := server.WantRequest(sip.REGISTER), server.WantRequest(sip.REGISTER)
		require.Contains(t, second.Get(sip.Authorization), `username="alice"`)
		require.Equal(t, first.CallID(), second.CallID())
		require.Equal(t, "3600", second.Get(sip.Expires))
		require.Equal(t, "sip:alice@example.org", first.To().URI.String())
		server.On(sip.REGISTER, siptest.Respond(200))
		res, err = alice.Register(ctx, 0)
		require.NoError(t, err)
		require.EqualValues(t, 200, res.StatusCode)
		third := server.WantRequest(sip.REGISTER)
		require.Greater(t, third.CSeq().Number, second.CSeq().Number)
		require.Equal(t, first.CallID(), third.CallID())

		res, err = alice.Do(ctx, "OPTIONS", "sip:example.org")
		require.NoError(t, err)
		require.EqualValues(t, 200, res.StatusCode)

		server.On(sip.INVITE, siptest.Respond(180).After(time.Second).Respond(200))
		call, err := alice.Call(ctx, "sip:bob@example.org")
		require.NoError(t, err)
		server.WantRequest(sip.INVITE).WantACK()
		require.NoError(t, call.Hangup(ctx))

		short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		_, err = alice.Call(short, "sip:bob@example.org")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		server.WantRequest(sip.INVITE).WantCancel()

		// Into the sipgo phone, over UDP and over TCP.
		for _, transport := range []string{"udp", "tcp"} {
			in := server.Invite("sip:alice@10.0.0.1;transport=" + transport)
			in.WantAnswer()
			in.Request(sip.INFO).WantStatus(200)
			in.Bye().WantStatus(200)
		}
		require.Len(t, n.Streams(server.Host(), nil), 1)
	})
}

func TestSipgoPhoneClosesWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(siptest.Options{})
		alice := sipgophone.NewPhone(t, n.Host("alice", "2001:db8::1"), "sip:alice@[2001:db8::2]", sipgophone.Options{})
		bob := sipgophone.NewPhone(t, n.Host("bob", "2001:db8::2"), "sip:bob@example.org", sipgophone.Options{Answer: sipgophone.AnswerAfter(time.Hour)})
		failed := make(chan error, 1)
		go func() {
			_, err := alice.Call(context.Background(), bob.Contact())
			failed <- err
		}()
		time.Sleep(time.Second)
		alice.Close()
		require.Error(t, <-failed)
		bob.Close()
		_, err := alice.Register(context.Background(), time.Hour)
		require.Error(t, err)
		_, err = alice.Do(context.Background(), "OPTIONS", "sip:example.org")
		require.ErrorContains(t, err, "no names")
	})
}
