package transaction

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// idle is a sender and user that does nothing, but for keeping the last server transaction.
type idle struct{ tx *Server }

func (*idle) Send(transport.Flow, []byte) error                         { return nil }
func (i *idle) Request(tx *Server, m *sip.Message, p *transport.Packet) { i.tx = tx }
func (*idle) Cancel(*Server, *sip.Message)                              {}
func (*idle) Response(*sip.Message, transport.Flow)                     {}
func (*idle) Ended(*Server, error)                                      {}

type idleClient struct{}

func (idleClient) Response(*Client, *sip.Message, transport.Flow) {}
func (idleClient) Failed(*Client, error)                          {}
func (idleClient) TimerC(*Client)                                 {}
func (idleClient) Ended(*Client)                                  {}

// call is one relayed call, as a proxy's transaction layer sees it.
type call struct {
	callID, branch     string // the branches of what the proxy sends
	byeBranch          string
	invite, bye, ack   *sip.Message
	ringing, ok, byeOK *sip.Message // from downstream
	out, outBye        []byte
	up180, up200, upOK []byte
}

func makeCall(t testing.TB, i int) *call {
	c := &call{callID: fmt.Sprintf("%d-5f3c9a7e@192.0.2.9", i), branch: fmt.Sprintf("z9hG4bK-out-%d-a8f2c1", i)}
	c.byeBranch = c.branch + "-bye"
	common := "Record-Route: <sip:192.0.2.1;lr>\r\nContact: <sip:alice@192.0.2.9:5062>\r\nUser-Agent: a phone of some length/1.0\r\n"
	in := func(m sip.Method, n int) text {
		return text{method: m, callID: c.callID, via: fmt.Sprintf("192.0.2.9:5062;branch=z9hG4bK-in-%d-%d", i, n), cseq: uint32(n), lines: common}
	}
	out := func(x text, branch string) text {
		x.via = "192.0.2.1:5060;branch=" + branch
		x.lines = "Via: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK-in;received=192.0.2.9\r\n" + common
		return x
	}
	respond := func(m *sip.Message, status int) []byte {
		return bytes.Clone(sip.AppendResponse(make([]byte, 0, 1024), m, sip.NewResponse(status), "totag"))
	}
	invite, bye := in(sip.INVITE, 1), in(sip.BYE, 2)
	c.invite, c.bye, c.ack = invite.parse(t), bye.parse(t), in(sip.ACK, 1).parse(t)
	outInvite, outBye := out(invite, c.branch), out(bye, c.byeBranch)
	c.out, c.outBye = []byte(outInvite.String()), []byte(outBye.String())
	c.ringing, c.ok = parse(t, string(respond(outInvite.parse(t), 180))), parse(t, string(respond(outInvite.parse(t), 200)))
	c.byeOK = parse(t, string(respond(outBye.parse(t), 200)))
	c.up180, c.up200, c.upOK = respond(c.invite, 180), respond(c.invite, 200), respond(c.bye, 200)
	return c
}

// run brings the call through the table.
func (c *call) run(t testing.TB, table *Table, user *idle, p *transport.Packet) {
	table.Receive(c.invite, p)
	server := user.tx
	if _, err := table.NewClient(p.Flow, sip.INVITE, c.callID, c.branch, c.out, idleClient{}); err != nil {
		t.Fatal(err)
	}
	table.Receive(c.ringing, p)
	server.Respond(180, c.up180)
	table.Receive(c.ok, p)
	server.Respond(200, c.up200)
	table.Receive(c.ack, p)
	table.Receive(c.bye, p)
	server = user.tx
	if _, err := table.NewClient(p.Flow, sip.BYE, c.callID, c.byeBranch, c.outBye, idleClient{}); err != nil {
		t.Fatal(err)
	}
	table.Receive(c.byeOK, p)
	server.Respond(200, c.upOK)
}

// bytesPer is how much memory n transactions, or whatever add makes, need each while they wait in the table.
func bytesPer(t testing.TB, n int, add func(table *Table, user *idle, i int)) int {
	user := new(idle)
	table := New(Config{Sender: user, User: user})
	defer table.Shutdown()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		add(table, user, i)
	}
	user.tx = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(table)
	return int(after.HeapAlloc-before.HeapAlloc) / n
}

// What a transaction needs while it waits. A whole relayed call has to stay below 3 KB.
func TestMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1500
		p := &transport.Packet{Flow: udp}
		for _, c := range []struct {
			name  string
			limit int
			add   func(table *Table, user *idle, i int)
		}{
			{"INVITE server, Accepted", 500, func(table *Table, user *idle, i int) {
				c := makeCall(t, i)
				table.Receive(c.invite, p)
				user.tx.Respond(200, c.up200)
			}},
			{"INVITE client, Accepted", 400, func(table *Table, user *idle, i int) {
				c := makeCall(t, i)
				table.NewClient(udp, sip.INVITE, c.callID, c.branch, c.out, idleClient{})
				table.Receive(c.ok, p)
			}},
			{"INVITE client, Proceeding", 1100, func(table *Table, user *idle, i int) {
				c := makeCall(t, i)
				table.NewClient(udp, sip.INVITE, c.callID, c.branch, c.out, idleClient{})
				table.Receive(c.ringing, p)
			}},
			{"non-INVITE server, Completed", 1000, func(table *Table, user *idle, i int) {
				c := makeCall(t, i)
				table.Receive(c.bye, p)
				user.tx.Respond(200, c.upOK)
			}},
			{"non-INVITE client, Completed", 400, func(table *Table, user *idle, i int) {
				c := makeCall(t, i)
				table.NewClient(udp, sip.BYE, c.callID, c.byeBranch, c.outBye, idleClient{})
				table.Receive(c.byeOK, p)
			}},
			{"a relayed call", 3000, func(table *Table, user *idle, i int) { makeCall(t, i).run(t, table, user, p) }},
		} {
			got := bytesPer(t, n, c.add)
			t.Logf("%-30s %5d bytes", c.name, got)
			require.Less(t, got, c.limit, c.name)
		}
	})
}

// A table for benchmarks: its transactions end after some milliseconds, so that there is always about the same number of them.
func fastTable(user *idle) *Table {
	return New(Config{Sender: user, User: user, MaxServer: -1, MaxClient: -1,
		Timers: Timers{T1: 200 * time.Microsecond, T2: time.Millisecond, T4: time.Millisecond, Trying: time.Second, Slack: time.Millisecond}})
}

// The transaction layer's part of a relayed call: four transactions with their eleven messages, and their timers. Parsing and
// building the messages is not in it.
func BenchmarkRelayedCall(b *testing.B) {
	for _, f := range []transport.Flow{udp, tcp} {
		b.Run(f.Protocol.String(), func(b *testing.B) {
			calls := make([]*call, 1<<13)
			for i := range calls {
				calls[i] = makeCall(b, i)
			}
			p := &transport.Packet{Flow: f}
			user := new(idle)
			table := fastTable(user)
			defer table.Shutdown()
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				calls[i%len(calls)].run(b, table, user, p)
			}
		})
	}
}

func BenchmarkMatch(b *testing.B) {
	c := makeCall(b, 1)
	p := &transport.Packet{Flow: udp}
	user := new(idle)
	table := New(Config{Sender: user, User: user})
	defer table.Shutdown()
	c.run(b, table, user, p)
	for _, m := range []struct {
		name string
		m    *sip.Message
	}{
		{"INVITE again", c.invite}, // in Accepted: absorbed
		{"BYE again", c.bye},       // in Completed: the response is sent again
		{"200 to INVITE again", c.ok},
		{"200 to BYE again", c.byeOK},
		{"ACK without transaction", c.ack},
	} {
		b.Run(m.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				table.Receive(m.m, p)
			}
		})
	}
}

// What a transaction costs among many others: it is added with a timer of 500 ms, answered, and removed.
func BenchmarkAmong(b *testing.B) {
	for _, n := range []int{10_000, 200_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			user := new(idle)
			// The others do not end.
			table := New(Config{Sender: user, User: user, MaxServer: -1, Timers: Timers{T1: time.Minute}})
			defer table.Shutdown()
			for i := range n {
				x := text{method: sip.OPTIONS, callID: fmt.Sprint("other", i)}
				table.Receive(x.parse(b), &transport.Packet{Flow: udp})
				user.tx.Respond(200, nil)
			}
			calls := make([]*call, 1<<10)
			for i := range calls {
				calls[i] = makeCall(b, i)
			}
			p := &transport.Packet{Flow: tcp}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				c := calls[i%len(calls)]
				table.NewClient(tcp, sip.BYE, c.callID, c.byeBranch, c.outBye, idleClient{})
				table.Receive(c.byeOK, p)
			}
		})
	}
}

// What a timer costs among many: each fires after 32 s and is set anew, and meanwhile another is set for 500 ms and removed.
func BenchmarkWheel(b *testing.B) {
	for _, n := range []int{10_000, 200_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var w wheel
			step := 32 * time.Second / time.Duration(n)
			timers := make([]*timer, n)
			now := instant(0)
			for i := range timers {
				timers[i] = new(Server).wheelTimer()
				w.add(timers[i], now+32*time.Second, now)
				now += step
			}
			other := new(Server).wheelTimer()
			b.ResetTimer()
			for fired := 0; fired < b.N; {
				now = max(now, w.next())
				w.turn(now)
				for t := w.pop(now); t != nil; t = w.pop(now) {
					w.add(t, now+32*time.Second, now)
					w.add(other, now+500*time.Millisecond, now)
					w.remove(other)
					fired++
				}
			}
		})
	}
}

func (s *Server) wheelTimer() *timer { return &s.timer }

// Retransmissions cost no memory, and a call only its four transactions and the four texts that they may send again.
func TestAllocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		user := new(idle)
		table := New(Config{Sender: user, User: user, Shards: 1})
		defer table.Shutdown()
		p := &transport.Packet{Flow: udp}
		first := makeCall(t, 0)
		first.run(t, table, user, p)
		for _, m := range []*sip.Message{first.invite, first.bye, first.ok, first.byeOK, first.ack} {
			require.Zero(t, testing.AllocsPerRun(100, func() { table.Receive(m, p) }), "%s %d", m.Method(), m.Status())
		}
		calls := make([]*call, 1000)
		for i := range calls {
			calls[i] = makeCall(t, i+1)
		}
		i := 0
		require.EqualValues(t, 8, testing.AllocsPerRun(len(calls)-1, func() {
			calls[i].run(t, table, user, p)
			i++
		}), "the maps grow, but that is less than one for each call")
	})
}

// BenchmarkStep is the work of the four state machines for one relayed call: INVITE, 180, 200, ACK, BYE, 200.
func BenchmarkStep(b *testing.B) {
	timing := Timers{}.resolve()
	b.ReportAllocs()
	for i := range b.N {
		now := instant(i)
		var in, out, byeIn, byeOut machine
		(*serverInvite)(&in).start(now, false, &timing)
		(*clientInvite)(&out).start(now, false, &timing)
		for _, e := range [...]event{response1xx, response2xx} {
			(*clientInvite)(&out).step(e, now, &timing)
			(*serverInvite)(&in).step(e, now, &timing)
		}
		(*serverInvite)(&in).step(ack, now, &timing)
		(*serverNonInvite)(&byeIn).start(now, false, &timing)
		(*clientNonInvite)(&byeOut).start(now, false, &timing)
		(*clientNonInvite)(&byeOut).step(response2xx, now, &timing)
		(*serverNonInvite)(&byeIn).step(response2xx, now, &timing)
		if in.state != accepted || out.state != accepted || byeIn.state != completed || byeOut.state != completed {
			b.Fatal(in.state, out.state, byeIn.state, byeOut.state)
		}
	}
}
