package hostile_test

import (
	"context"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/siptest"
	"github.com/goser-project/goser/transport"
)

// relay is the routing of examples/relay: requests outside of dialogs go to the next hop, those inside follow their route.
func relay(next string) routing.HandlerFunc {
	return func(ctx context.Context, r *routing.Request) error {
		if r.InDialog() {
			return r.FollowRoute()
		}
		if r.Method() == sip.INVITE {
			r.RecordRoute()
		}
		return r.Relay(routing.Via(next))
	}
}

// soakCalls is how many calls pass in memory.
func soakCalls(t *testing.T) int {
	text := os.Getenv("GOSER_SOAK")
	if text == "" {
		return 20_000
	}
	calls, err := strconv.Atoi(text)
	require.NoError(t, err, "GOSER_SOAK")
	return calls
}

// soakRate is how many calls are begun in a second of virtual time. Each lives in four transactions for half a minute.
const soakRate = 100

// Calls upon calls, and nothing of them stays: goroutines, sockets, transactions and the heap are where they were.
func TestSoak(t *testing.T) {
	calls := soakCalls(t)
	synctest.Test(t, func(t *testing.T) {
		net := siptest.NewNetwork(siptest.Options{Record: -1})
		alice, proxy, bob := net.Host("alice", "10.0.0.2"), net.Host("relay", "10.0.0.1"), net.Host("bob", "10.0.0.3")
		server := &routing.Server{Handler: relay("sip:10.0.0.3"), Transport: transport.Config{Network: proxy}}
		require.NoError(t, server.Listen(t.Context(), "udp:10.0.0.1"))
		pc, err := alice.ListenPacket(t.Context(), "udp", "10.0.0.2:5060")
		require.NoError(t, err)
		uac := newCaller(pc, udpAddr(proxy.AddrPort(5060)), calls, nil)
		defer uac.close()
		pc, err = bob.ListenPacket(t.Context(), "udp", "10.0.0.3:5060")
		require.NoError(t, err)
		uas := newCallee(pc)
		defer uas.close()
		t.Cleanup(func() { require.NoError(t, server.Shutdown(context.Background())) })

		start := heapInUse()
		started := 0
		run := func(until int) {
			for started < until {
				for range soakRate / 10 {
					uac.invite(started)
					started++
				}
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(5 * time.Minute)
			synctest.Wait()
		}
		run(min(calls/2, soakRate*60)) // a minute, so that the tables have been as full as they get
		before, heap := gaugesOf(server), heapInUse()
		require.Zero(t, before.Transactions)
		run(calls)
		require.Equal(t, before, gaugesOf(server))
		after := heapInUse()
		// Maps grow when chance puts more into them than ever before, up to a plateau; a leak of a few bytes per call is more.
		require.Less(t, after, heap+(1<<20), "heap after a minute")
		require.Less(t, after, start+heapSlack, "heap at the start")

		require.EqualValues(t, calls, uac.ended.Load())
		require.EqualValues(t, calls, uas.acks.Load())
		require.Zero(t, uac.unexpected.Load()+uas.unexpected.Load())
		s := server.Stats()
		require.EqualValues(t, 3*calls, s.RequestsReceived)
		require.EqualValues(t, 3*calls, s.RequestsForwarded)
		require.EqualValues(t, 3*calls, s.ResponsesReceived)
		require.EqualValues(t, 3*calls, s.ResponsesSent)
		require.Zero(t, s.InvalidAnswered+s.InvalidDropped+s.Refused+s.Overloaded+s.StrayResponses+s.StrayACKs+s.BranchErrors+s.BranchTimeouts)
		t.Logf("%d calls: heap %d KiB at the start, %d KiB after a minute, %d KiB at the end", calls, start>>10, heap>>10, after>>10)
	})
}
