package transaction

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// crowd is a sender and a user that does random things with what it is given, and checks that it is told of each transaction in a
// sensible order. All is done by several goroutines at once.
type crowd struct {
	t     *testing.T
	table *Table

	mu      sync.Mutex
	rng     *rand.Rand
	servers []*life
	clients []*life
}

// life is what was heard of a transaction.
type life struct {
	mu       sync.Mutex
	crowd    *crowd
	x        text
	server   *Server
	client   *Client
	busy     bool // a call of the user is running
	canceled bool
	final    bool
	failed   bool
	ended    bool
	wrong    string
}

func (l *life) enter(what string, ok func() bool) {
	l.mu.Lock()
	if l.busy || l.ended || !ok() {
		l.wrong = what
	}
	l.busy = true
	l.mu.Unlock()
	if l.crowd.dice(4) == 0 {
		time.Sleep(time.Duration(l.crowd.dice(50)) * time.Millisecond)
	}
}

func (l *life) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
}

func (c *crowd) dice(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

// one picks any of the lives.
func (c *crowd) one(of *[]*life) *life {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(*of) == 0 {
		return nil
	}
	return (*of)[c.rng.IntN(len(*of))]
}

func (c *crowd) Send(transport.Flow, []byte) error {
	if c.dice(20) == 0 {
		return errCable
	}
	return nil
}

func (c *crowd) Request(tx *Server, m *sip.Message, p *transport.Packet) {
	if tx == nil {
		return
	}
	l := &life{crowd: c, server: tx, x: text{method: m.Method(), callID: m.CallID(), via: sentBy(m)}}
	c.mu.Lock()
	c.servers = append(c.servers, l)
	c.mu.Unlock()
	tx.SetData(l)
	switch c.dice(6) {
	case 0:
		tx.Drop()
	case 1:
		c.respond(l)
	case 2:
		time.Sleep(time.Duration(c.dice(1000)) * time.Millisecond)
	}
}

func sentBy(m *sip.Message) string { return "192.0.2.9:5062;branch=" + m.Via().Branch }

func (c *crowd) Cancel(tx *Server, m *sip.Message) {
	l := tx.Data().(*life)
	l.enter("Cancel", func() bool { return !l.canceled })
	l.mu.Lock()
	l.canceled = true
	l.mu.Unlock()
	tx.Respond(487, []byte("SIP/2.0 487 Request Terminated\r\n\r\n"))
	l.leave()
}

func (c *crowd) Response(*sip.Message, transport.Flow) {}

func (c *crowd) Ended(tx *Server, err error) {
	l := tx.Data().(*life)
	l.enter("Ended", func() bool { return true })
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.leave()
}

func (c *crowd) respond(l *life) {
	status := []int{100, 180, 183, 200, 200, 302, 486, 503}[c.dice(8)]
	if err := l.server.Respond(status, sip.AppendResponse(nil, l.x.parse(c.t), sip.NewResponse(status), "t")); errors.Is(err, ErrTransport) {
		l.server.SetFlow(tcp)
		l.server.Respond(status, sip.AppendResponse(nil, l.x.parse(c.t), sip.NewResponse(status), "t"))
	}
}

// Response implements [ClientUser].
type lifeOfClient life

func (u *lifeOfClient) Response(tx *Client, m *sip.Message, f transport.Flow) {
	l := (*life)(u)
	l.enter("Response", func() bool {
		if m.Status() < 200 {
			return !l.final && !l.failed
		}
		ok := !l.failed && (!l.final || l.x.method == sip.INVITE && m.Status() < 300)
		l.final = true
		return ok
	})
	if l.crowd.dice(5) == 0 {
		tx.Cancel("SIP;cause=200")
	}
	l.leave()
}

func (u *lifeOfClient) Failed(tx *Client, err error) {
	l := (*life)(u)
	l.enter("Failed", func() bool {
		// After a final response only an ACK can fail.
		ok := !l.failed && (!l.final || l.x.method == sip.INVITE && errors.Is(err, ErrTransport))
		l.failed = true
		return ok
	})
	l.leave()
}

func (u *lifeOfClient) TimerC(tx *Client) {
	l := (*life)(u)
	l.enter("TimerC", func() bool { return !l.final && !l.failed })
	tx.Cancel("")
	l.leave()
}

func (u *lifeOfClient) Ended(tx *Client) {
	l := (*life)(u)
	l.enter("Ended", func() bool { return l.final || l.failed })
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.leave()
}

// something does one random thing.
func (c *crowd) something() {
	f := []transport.Flow{udp, tcp}[c.dice(2)]
	x := text{
		method: []sip.Method{sip.INVITE, sip.INVITE, sip.OPTIONS, sip.BYE, "FOO"}[c.dice(5)],
		callID: fmt.Sprint("call", c.dice(5)),
		via:    fmt.Sprint("192.0.2.9:5062;branch=", []string{"z9hG4bK", ""}[c.dice(2)], c.dice(6)),
	}
	receive := func(x text) { c.table.Receive(x.parse(c.t), &transport.Packet{Flow: f}) }
	switch c.dice(12) {
	case 0, 1:
		receive(x)
	case 2:
		x.method = sip.ACK
		x.to = []string{"", "t"}[c.dice(2)]
		receive(x)
	case 3:
		x.method = sip.CANCEL
		receive(x)
	case 4, 5, 6:
		if l := c.one(&c.servers); l != nil {
			c.respond(l)
			if c.dice(3) == 0 {
				x := l.x
				x.method, x.to = sip.ACK, "t"
				receive(x)
			}
		}
	case 7, 8:
		x.via = fmt.Sprint("192.0.2.1;branch=z9hG4bK-out", c.dice(20))
		m := x.parse(c.t)
		l := &life{crowd: c, x: x}
		client, err := c.table.NewClient(f, m.Method(), m.CallID(), m.Via().Branch, []byte(m.Text()), (*lifeOfClient)(l))
		if err != nil {
			return
		}
		l.mu.Lock()
		l.client = client
		l.mu.Unlock()
		c.mu.Lock()
		c.clients = append(c.clients, l)
		c.mu.Unlock()
	case 9, 10:
		if l := c.one(&c.clients); l != nil {
			x := l.x
			if c.dice(5) == 0 {
				x.method = sip.CANCEL
			}
			status := []int{100, 180, 200, 200, 404, 603}[c.dice(6)]
			m := parse(c.t, string(sip.AppendResponse(nil, x.parse(c.t), sip.NewResponse(status), "t")))
			c.table.Receive(m, &transport.Packet{Flow: f})
		}
	case 11:
		if l := c.one(&c.clients); l != nil {
			switch c.dice(3) {
			case 0:
				l.client.Cancel("")
			case 1:
				l.client.SetTimeout(time.Duration(c.dice(5)) * time.Second)
			}
		}
	}
}

// What several goroutines do at random with a table leaves it empty, and no user hears of a transaction out of order.
func TestCrowd(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			c := &crowd{t: t, rng: rand.New(rand.NewPCG(4, seed))}
			cfg := Config{Sender: c, User: c, Shards: 1 + int(seed%4)}
			if seed%5 == 0 {
				cfg.MaxServer, cfg.MaxClient = 10, 10
			}
			if seed%3 == 0 {
				cfg.Timers.Trying = -1
			}
			c.table = New(cfg)
			var wg sync.WaitGroup
			for range 6 {
				wg.Go(func() {
					for range 300 {
						c.something()
						if c.dice(2) == 0 {
							time.Sleep(time.Duration(c.dice(3000)) * time.Millisecond)
						}
					}
				})
			}
			wg.Wait()
			for _, l := range c.servers {
				l.server.Respond(500, []byte("SIP/2.0 500 Server Internal Error\r\n\r\n"))
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			requireEmpty(t, c.table)
			for _, l := range slices.Concat(c.servers, c.clients) {
				require.Empty(t, l.wrong, "told out of order")
				require.True(t, l.ended, "%v: not told of the end", l.x)
			}
			require.NotEmpty(t, c.servers)
			require.NotEmpty(t, c.clients)
			c.table.Shutdown()
		})
	}
}

// Shutdown in the middle of it all.
func TestCrowdShutdown(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			c := &crowd{t: t, rng: rand.New(rand.NewPCG(5, seed))}
			c.table = New(Config{Sender: c, User: c})
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 100 {
						c.something()
						time.Sleep(time.Duration(c.dice(1000)) * time.Millisecond)
					}
				})
			}
			time.Sleep(time.Duration(20+c.dice(20)) * time.Second)
			c.table.Shutdown()
			wg.Wait()
			synctest.Wait()
			requireEmpty(t, c.table)
			for _, l := range slices.Concat(c.servers, c.clients) {
				require.Empty(t, l.wrong, "told out of order")
				require.True(t, l.ended, "%v: not told of the end", l.x)
			}
			require.NotEmpty(t, c.servers)
			require.NotEmpty(t, c.clients)
		})
	}
}
