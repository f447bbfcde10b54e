package transaction

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// world is a table with a sender and a user that write down what happens, each line with the virtual time at which it does:
//
//	0.200 > SIP/2.0 100 Trying (INVITE)         sent
//	0.200 Request INVITE                        the User is called
//	0.500 alice: Response 180                   a ClientUser is called
//
// It runs in a bubble of synctest.
type world struct {
	t     *testing.T
	table *Table

	mu      sync.Mutex
	begin   time.Time
	log     []string
	packets []sent
	fail    func(f transport.Flow, b []byte) error // if a message cannot be sent
	request func(tx *Server, m *sip.Message)       // called by Request
	cancel  func(tx *Server)                       // called by Cancel
	last    *Server                                // of the last request
}

type sent struct {
	at   time.Duration
	flow transport.Flow
	text string
}

var errCable = errors.New("the cable is cut")

// inWorld runs a test in a bubble with its own world, and checks that nothing is left behind when all has ended by itself.
func inWorld(t *testing.T, cfg Config, test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, begin: time.Now()}
		cfg.Sender, cfg.User = w, w
		if cfg.Timers.Slack == 0 {
			cfg.Timers.Slack = -1
		}
		w.table = New(cfg)
		test(w)
		w.drained()
		w.table.Shutdown()
	})
}

// drained waits until every transaction has ended, and looks for what is left.
func (w *world) drained() {
	time.Sleep(time.Hour)
	synctest.Wait()
	requireEmpty(w.t, w.table)
}

func requireEmpty(t *testing.T, table *Table) {
	st := table.Stats()
	for _, c := range []Counts{st.InviteClient, st.NonInviteClient, st.InviteServer, st.NonInviteServer} {
		require.Zero(t, c.Live)
	}
	require.Zero(t, table.liveServers.Load())
	require.Zero(t, table.liveClients.Load())
	for i := range table.shards {
		sh := &table.shards[i]
		sh.mu.Lock()
		require.Empty(t, sh.servers)
		require.Empty(t, sh.clients)
		require.Empty(t, sh.ongoing)
		require.Zero(t, sh.wheel.len)
		require.Equal(t, never, sh.wheel.next())
		require.Equal(t, never, sh.armed, "the timer runs while there is nothing to wait for")
		sh.mu.Unlock()
	}
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("%.3f ", time.Since(w.begin).Seconds())+fmt.Sprintf(format, args...))
}

// want checks what has happened since the last call.
func (w *world) want(lines ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Equal(w.t, strings.Join(lines, "\n"), strings.Join(w.log, "\n"))
	w.log = nil
}

// forget makes want begin anew.
func (w *world) forget() {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = nil
}

// until sleeps until the given number of seconds after the beginning.
func (w *world) until(seconds float64) {
	time.Sleep(w.begin.Add(time.Duration(seconds * float64(time.Second))).Sub(time.Now()))
	synctest.Wait()
}

// fails makes the sender fail where f says so; nil: nowhere.
func (w *world) fails(f func(f transport.Flow, b []byte) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = f
}

// locked looks into a transaction.
func locked[T any](sh *shard, look func() T) T {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return look()
}

// lastSent returns the last message that was sent.
func (w *world) lastSent() sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NotEmpty(w.t, w.packets)
	return w.packets[len(w.packets)-1]
}

func (w *world) Send(f transport.Flow, b []byte) error {
	w.mu.Lock()
	fail := w.fail
	w.mu.Unlock()
	if fail != nil {
		if err := fail(f, b); err != nil {
			w.note("> %s: %v", title(b), err)
			return err
		}
	}
	w.note("> %s", title(b))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packets = append(w.packets, sent{time.Since(w.begin), f, string(b)})
	return nil
}

// title is the start line, without the URI of a request, and the CSeq method of a response.
func title(b []byte) string {
	m, err := sip.Parse(b)
	switch {
	case err != nil:
		return "garbage"
	case m.IsRequest():
		return string(m.Method())
	}
	return fmt.Sprintf("%d (%s)", m.Status(), m.CSeq().Method)
}

func (w *world) Request(tx *Server, m *sip.Message, p *transport.Packet) {
	if tx == nil {
		w.note("Request %s without transaction", m.Method())
		return
	}
	w.note("Request %s", m.Method())
	w.mu.Lock()
	w.last = tx
	request := w.request
	w.mu.Unlock()
	if request != nil {
		request(tx, m)
	}
}

func (w *world) Cancel(tx *Server, m *sip.Message) {
	w.note("Cancel of %s", tx.Method())
	if w.cancel != nil {
		w.cancel(tx)
	}
}

func (w *world) Response(m *sip.Message, f transport.Flow) {
	w.note("stray Response %d (%s)", m.Status(), m.CSeq().Method)
}

func (w *world) Ended(tx *Server, err error) {
	if err != nil {
		w.note("Ended %s: %v", tx.Method(), err)
		return
	}
	w.note("Ended %s", tx.Method())
}

// caller is a ClientUser.
type caller struct {
	w        *world
	response func(c *Client, m *sip.Message)
	timerC   func(c *Client)
}

func (u *caller) Response(c *Client, m *sip.Message, f transport.Flow) {
	u.w.note("Response %d", m.Status())
	if u.response != nil {
		u.response(c, m)
	}
}
func (u *caller) Failed(c *Client, err error) { u.w.note("Failed: %v", err) }
func (u *caller) TimerC(c *Client) {
	u.w.note("TimerC")
	if u.timerC != nil {
		u.timerC(c)
	}
}
func (u *caller) Ended(c *Client) { u.w.note("Ended") }

// The addresses of the tests.
var (
	us   = netip.MustParseAddrPort("192.0.2.1:5060")
	them = netip.MustParseAddrPort("192.0.2.9:5062")
	udp  = transport.Flow{Protocol: transport.UDP, Local: us, Remote: them}
	tcp  = transport.Flow{Protocol: transport.TCP, Local: us, Remote: them, Conn: 1}
)

// text is a request of the method to us, with the top Via and the lines that are given.
type text struct {
	method sip.Method
	via    string // parameters and sent-by, "them;branch=z9hG4bK1" if empty
	to     string // tag
	from   string // tag, "f" if empty
	callID string // "call" if empty
	cseq   uint32 // 1 if 0
	uri    string
	lines  string
}

func (x text) String() string {
	or := func(s, def string) string {
		if s == "" {
			return def
		}
		return s
	}
	to := "<sip:bob@example.com>"
	if x.to != "" {
		to += ";tag=" + x.to
	}
	return string(x.method) + " " + or(x.uri, "sip:bob@example.com") + " SIP/2.0\r\n" +
		"Via: SIP/2.0/UDP " + or(x.via, "192.0.2.9:5062;branch=z9hG4bK1") + "\r\n" +
		"Max-Forwards: 70\r\n" +
		"From: <sip:alice@example.com>;tag=" + or(x.from, "f") + "\r\n" +
		"To: " + to + "\r\n" +
		"Call-ID: " + or(x.callID, "call") + "\r\n" +
		"CSeq: " + strconv.Itoa(int(max(x.cseq, 1))) + " " + string(x.method) + "\r\n" + x.lines + "Content-Length: 0\r\n\r\n"
}

func (x text) parse(t testing.TB) *sip.Message { return parse(t, x.String()) }

func parse(t testing.TB, s string) *sip.Message {
	m, err := sip.Parse([]byte(s))
	require.NoError(t, err)
	return m
}

// receive makes the table receive a request.
func (w *world) receive(f transport.Flow, x text) {
	w.table.Receive(x.parse(w.t), &transport.Packet{Flow: f})
}

// respond answers the last request, which x is.
func (w *world) respond(x text, status int) error {
	return w.last.Respond(status, w.response(x, status))
}

func (w *world) response(x text, status int) []byte {
	m := x.parse(w.t)
	return sip.AppendResponse(nil, m, sip.NewResponse(status), w.table.ToTag(m))
}

// send starts a client transaction for x.
func (w *world) send(f transport.Flow, x text, u ClientUser) (*Client, error) {
	m := x.parse(w.t)
	return w.table.NewClient(f, m.Method(), m.CallID(), m.Via().Branch, []byte(m.Text()), u)
}

// answer makes the table receive a response to x.
func (w *world) answer(f transport.Flow, x text, status int) {
	m := parse(w.t, string(sip.AppendResponse(nil, x.parse(w.t), sip.NewResponse(status), "t")))
	w.table.Receive(m, &transport.Packet{Flow: f})
}
