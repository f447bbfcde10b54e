package hostile_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/siptest"
)

// flood is how many requests come of a kind; those that leave something behind for a while, with timers, are fewer.
const flood, longFlood = 10_000, 2_000

// INVITEs that nobody answers, whose caller acknowledges nothing.
func TestFloodOfUnansweredInvites(t *testing.T) {
	runBench(t, func(b *bench) {
		before := b.server.Stats()
		a := b.attacker(5060)
		for i := range longFlood {
			a.send(message("INVITE", "sip:dead@example.org", "10.0.0.66", i))
		}
		time.Sleep(time.Second)
		require.Equal(b, 2*longFlood, live(b.server.Stats()), "a transaction on either side for each")
		b.call()
		time.Sleep(2 * time.Minute) // Timers B and H
		after := b.server.Stats()
		require.EqualValues(b, longFlood, after.BranchTimeouts-before.BranchTimeouts)
		require.EqualValues(b, longFlood, after.Transaction.Timers.H-before.Transaction.Timers.H, "no ACK")
		require.GreaterOrEqual(b, a.got(408), longFlood)
	})
}

// The same with a bound on transactions: those above it are refused with 503 and leave nothing.
func TestFloodAboveMaxTransactions(t *testing.T) {
	const most = 500
	runBench(t, func(b *bench) {
		before := b.server.Stats()
		a := b.attacker(5060)
		for i := range longFlood {
			a.send(message("INVITE", "sip:dead@example.org", "10.0.0.66", i))
		}
		time.Sleep(time.Second)
		after := b.server.Stats()
		require.Equal(b, 2*most, live(after))
		require.EqualValues(b, longFlood-most, after.Transaction.Refused-before.Transaction.Refused)
		require.Equal(b, longFlood-most, a.got(503))
		b.settle()
	}, func(b *bench) { b.server.MaxTransactions = most })
}

// The same INVITE again and again is one INVITE.
func TestFloodOfRetransmissions(t *testing.T) {
	runBench(t, func(b *bench) {
		before := b.server.Stats()
		a := b.attacker(5060)
		for range flood {
			a.send(message("INVITE", "sip:dead@example.org", "10.0.0.66", 1))
		}
		b.call()
		after := b.server.Stats()
		require.EqualValues(b, flood-1, after.Transaction.InviteServer.Absorbed-before.Transaction.InviteServer.Absorbed)
		require.Zero(b, a.got(408))
	})
}

// RFC 3261 section 9.2: "If the UAS did not find a matching transaction for the CANCEL according to the procedure above, it
// SHOULD respond to the CANCEL with a 481 (Call Leg/Transaction Does Not Exist)."
func TestFloodOfCancelsToNowhere(t *testing.T) {
	runBench(t, func(b *bench) {
		before := b.server.Stats()
		a := b.attacker(5060)
		for i := range flood {
			a.send(message("CANCEL", "sip:bob@example.org", "10.0.0.66", i))
		}
		b.call()
		require.EqualValues(b, flood, b.server.Stats().Transaction.StrayCancels-before.Transaction.StrayCancels)
		require.Equal(b, flood, a.got(481))
		b.bob.WantNoRequest(time.Second)
	})
}

// INVITE and CANCEL right after one another.
func TestFloodOfCancelledInvites(t *testing.T) {
	runBench(t, func(b *bench) {
		a := b.attacker(5060)
		for i := range longFlood {
			a.send(message("INVITE", "sip:dead@example.org", "10.0.0.66", i))
			a.send(message("CANCEL", "sip:dead@example.org", "10.0.0.66", i))
		}
		b.call()
		require.Equal(b, longFlood, a.got(200), "for the CANCEL")
		b.settle()
		require.GreaterOrEqual(b, a.got(487), longFlood)
	})
}

// ACKs for nothing: without a dialog, with a forged one, and with a Route of ours that leads to a victim.
func TestACKStorm(t *testing.T) {
	runBench(t, func(b *bench) {
		before := b.server.Stats()
		a := b.attacker(5060)
		for i := range flood {
			a.send(message("ACK", "sip:bob@example.org", "10.0.0.66", i))
			a.send(message("ACK", "sip:alice@10.0.0.2;tag=1", "10.0.0.66", i))
			a.send(message("ACK", "sip:example.org", "10.0.0.66", i, "Require: x\r\n", "Proxy-Require: x\r\n"))
		}
		b.call()
		after := b.server.Stats()
		require.EqualValues(b, 3*flood, after.StrayACKs-before.StrayACKs)
		require.Zero(b, live(after)-live(b.server.Stats()))
		require.Empty(b, a.statuses, "an ACK is never answered")
		b.bob.WantNoRequest(time.Second)
		b.alice.WantNoRequest(time.Second)
	})
}

// Responses to nothing: RFC 6026 section 8.9 forbids a stateful proxy to forward them, whatever their Vias say.
func TestFloodOfForgedResponses(t *testing.T) {
	runBench(t, func(b *bench) {
		before := b.server.Stats()
		a := b.attacker(5060)
		for i := range flood {
			a.send(fmt.Sprintf("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK%d.%d\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKv\r\n"+
				"From: <sip:a@example.org>;tag=1\r\nTo: <sip:b@example.org>;tag=2\r\nCall-ID: %[1]d\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n", i, i))
		}
		b.call()
		after := b.server.Stats()
		require.EqualValues(b, flood, after.StrayResponses-before.StrayResponses)
		require.EqualValues(b, flood, after.ResponsesReceived-before.ResponsesReceived-responsesOfCalls)
	})
}

// responsesOfCalls is how many responses the server gets in one b.call: to two INVITEs, 180 and 200, and to two BYEs.
const responsesOfCalls = 6

// Requests of every kind from ten thousand addresses.
func TestManySources(t *testing.T) {
	const sources = 10_000
	runBench(t, func(b *bench) {
		const each = 100
		var botnet []*siptest.Host
		addr := func(i int) string { return fmt.Sprintf("10.1.%d.%d", i/each, i%each+1) }
		for i := 0; i < sources; i += each {
			var addrs []string
			for j := range each {
				addrs = append(addrs, addr(i+j))
			}
			botnet = append(botnet, b.net.Host(fmt.Sprint("bots", i), addrs...))
		}
		b.baseline()
		before := b.server.Stats()
		for i := range sources {
			addr := addr(i)
			pc, err := botnet[i/each].ListenPacket(b.Context(), "udp", addr+":5060")
			require.NoError(b, err)
			a := &attacker{t: b.T, pc: pc, server: udpAddr(b.host.AddrPort(5060))}
			a.send(message("OPTIONS", "sip:example.org", addr, i))
			a.send(message("INVITE", "sip:nobody@example.org", addr, i))
			a.send(message("REGISTER", "sip:example.org", addr, i, fmt.Sprintf("Contact: <sip:u@%s>\r\nExpires: 60\r\n", addr)))
			pc.Close() // nobody listens to the answers
			if i == sources/2 {
				b.call()
			}
		}
		time.Sleep(time.Second)
		require.EqualValues(b, 3*sources, b.server.Stats().RequestsReceived-before.RequestsReceived-requestsOfCalls)
	})
}

// requestsOfCalls is how many requests the server gets in one b.call: two INVITEs, two ACKs, two BYEs.
const requestsOfCalls = 6

// A store that is full refuses new users, keeps the old ones, and has room again when the attacker's have run out.
func TestFloodOfRegistrations(t *testing.T) {
	const room = 1000
	runBench(t, func(b *bench) {
		a := b.attacker(5060)
		for i := range flood {
			register := message("REGISTER", "sip:example.org", "10.0.0.66", i, fmt.Sprintf("Contact: <sip:u@10.0.0.66:%d>\r\nExpires: 600\r\n", i%60000+1))
			a.send(replaceTo(register, fmt.Sprintf("<sip:user%d@example.org>", i)))
		}
		time.Sleep(time.Second)
		require.Equal(b, room-2, a.got(200), "alice and bob have the other two")
		require.Equal(b, flood-room+2, a.got(503))
		b.call()
		b.alice.Register(24 * time.Hour).WantStatus(200)
		time.Sleep(15 * time.Minute)
		a.send(replaceTo(message("REGISTER", "sip:example.org", "10.0.0.66", flood, "Contact: <sip:u@10.0.0.66>\r\nExpires: 60\r\n"), "<sip:late@example.org>"))
		time.Sleep(time.Second)
		require.Equal(b, room-1, a.got(200))
		time.Sleep(5 * time.Minute)
	}, func(b *bench) { b.store.MaxBindings = room })
}

// RFC 5393 section 3: a request that forks to two users who fork to two users, all at this server, would become 2^70.
func TestForkBomb(t *testing.T) {
	runBench(t, func(b *bench) {
		before := b.server.Stats()
		a := b.attacker(5060)
		a.send(message("INVITE", "sip:1@10.0.0.1", "10.0.0.66", 1))
		a.send(message("MESSAGE", "sip:1@10.0.0.1", "10.0.0.66", 2))
		time.Sleep(10 * time.Second)
		after := b.server.Stats()
		require.Less(b, after.RequestsForwarded-before.RequestsForwarded, uint64(2*2*routing.DefaultMaxBreadth))
		require.Positive(b, after.BreadthExceeded-before.BreadthExceeded)
		require.Positive(b, a.got(440))
		b.call()
	}, func(b *bench) {
		next := b.server.Handler
		b.server.Handler = routing.HandlerFunc(func(ctx context.Context, r *routing.Request) error {
			var n int
			if _, err := fmt.Sscanf(r.URI().User, "%d", &n); err != nil {
				return next.ServeSIP(ctx, r)
			}
			return r.Relay(routing.To(fmt.Sprintf("sip:%d@10.0.0.1", 2*n)), routing.To(fmt.Sprintf("sip:%d@10.0.0.1", 2*n+1)))
		})
	})
}
