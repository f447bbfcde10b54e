package transaction

import (
	"bytes"
	"hash/maphash"
	"math"
	"math/bits"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// Table holds all transactions of a server. Its methods may be called from any goroutine.
type Table struct {
	cfg    Config
	timing timing
	hash   hasher
	epoch  time.Time
	shards []shard
	seed   maphash.Seed

	liveServers, liveClients atomic.Int64
	running                  sync.WaitGroup // goroutines of timers
	buffers                  sync.Pool      // *[]byte, for responses that are not kept

	// Responses that the table makes. They are never changed.
	trying, canceled, unknown, busy *sip.Response
}

// New returns a table. It starts no goroutine; timers run while there are transactions.
func New(cfg Config) *Table {
	cfg.MaxServer = bound(cfg.MaxServer)
	cfg.MaxClient = bound(cfg.MaxClient)
	if cfg.Shards <= 0 {
		cfg.Shards = 8 * runtime.GOMAXPROCS(0)
	}
	cfg.RetryAfter = withDefault(cfg.RetryAfter, 10*time.Second)
	t := &Table{
		cfg:      cfg,
		timing:   cfg.Timers.resolve(),
		hash:     newHasher(),
		epoch:    time.Now(),
		shards:   make([]shard, 1<<bits.Len(uint(min(cfg.Shards, 1<<12)-1))),
		seed:     maphash.MakeSeed(),
		buffers:  sync.Pool{New: func() any { return new([]byte) }},
		trying:   sip.NewResponse(sip.StatusTrying),
		canceled: sip.NewResponse(sip.StatusOK),
		unknown:  sip.NewResponse(sip.StatusCallTransactionDoesNotExist),
		busy:     sip.NewResponse(sip.StatusServiceUnavailable),
	}
	t.busy.Set(sip.RetryAfter, strconv.FormatInt(int64(cfg.RetryAfter.Round(time.Second)/time.Second), 10))
	for i := range t.shards {
		t.shards[i].init(t, t.timing.Slack*instant(i)/instant(len(t.shards)))
	}
	return t
}

// bound resolves a bound of Config: 0 is the default, and negative is none.
func bound(n int) int {
	switch {
	case n == 0:
		return 500_000
	case n < 0:
		return math.MaxInt
	}
	return n
}

// reserve counts one more transaction, if the bound allows.
func reserve(live *atomic.Int64, bound int) bool {
	if live.Add(1) <= int64(bound) {
		return true
	}
	live.Add(-1)
	return false
}

// now is the time on the table's clock.
func (t *Table) now() instant { return time.Since(t.epoch) }

// shardOf returns the shard of a call. Client and server transactions of one Call-ID share it.
func (t *Table) shardOf(callID string) *shard {
	return &t.shards[maphash.String(t.seed, callID)&uint64(len(t.shards)-1)]
}

// Receive takes a message that was received; it is the one way in. The message is matched to a transaction, which may absorb it;
// ACK, CANCEL and requests above Config.MaxServer are handled as said there; and what is new goes to the user. It is to be called
// on the goroutine that received the packet, in the order of arrival; it blocks only as long as [User].Request does.
func (t *Table) Receive(m *sip.Message, p *transport.Packet) {
	if !m.IsRequest() {
		t.receiveResponse(m, p.Flow)
		return
	}
	switch m.Method() {
	case sip.ACK:
		t.receiveACK(m, p)
	case sip.CANCEL:
		t.receiveCancel(m, p)
	default:
		t.receiveRequest(m, p)
	}
}

func (t *Table) receiveResponse(m *sip.Message, f transport.Flow) {
	k := t.hash.client(m.Via().Branch, m.CSeq().Method)
	sh := t.shardOf(m.CallID())
	now := t.now()
	sh.mu.Lock()
	c := sh.clients[k]
	if c == nil {
		sh.strayResponses++
		closed := sh.closed
		sh.mu.Unlock()
		if !closed {
			t.cfg.User.Response(m, f)
		}
		return
	}
	n := c.step(responseEvent(m.Status()), now, m)
	n.flow = f
	if !n.todo.has(passUp) {
		sh.kinds[c.kind()].Absorbed++
	}
	c.dispatch(n, now)
	sh.mu.Unlock()
}

func (t *Table) receiveRequest(m *sip.Message, p *transport.Packet) {
	via := m.Via()
	k := t.hash.forMethod(t.serverKey(m, &via), m.Method())
	sh := t.shardOf(m.CallID())
	now := t.now()
	sh.mu.Lock()
	switch s := sh.servers[k]; {
	case sh.closed:
		sh.mu.Unlock()
		return
	case s != nil:
		s.again(m, now)
		sh.mu.Unlock()
		return
	case !reserve(&t.liveServers, t.cfg.MaxServer):
		sh.refused++
		sh.mu.Unlock()
		t.reply(ResponseFlow(&via, p.Flow), m, t.busy, t.ToTag(m))
		return
	}
	s := sh.newServer(k, m, &via, ResponseFlow(&via, p.Flow))
	// The user must know the transaction before it hears more of it.
	s.held = true
	todo := s.begin(m, now)
	flow := s.flow
	sh.mu.Unlock()

	if todo.has(send100) {
		t.reply(flow, m, t.trying, "")
	}
	t.cfg.User.Request(s, m, p)

	sh.mu.Lock()
	if s.held || sh.closed {
		s.held = false
		s.fire(t.now())
	}
	sh.mu.Unlock()
}

func (t *Table) receiveACK(m *sip.Message, p *transport.Packet) {
	sh := t.shardOf(m.CallID())
	via := m.Via()
	k := t.hash.server(m, &via)
	now := t.now()
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		return
	}
	s := sh.acknowledged(k, m, &via)
	if s != nil && !s.step(ack, now).has(passUp) {
		sh.kinds[inviteServer].Absorbed++
		s.fire(now)
		sh.mu.Unlock()
		return
	}
	sh.acks++
	sh.mu.Unlock()
	t.cfg.User.Request(nil, m, p)
}

// receiveCancel answers a CANCEL (RFC 3261 sections 9.2 and 16.10).
func (t *Table) receiveCancel(m *sip.Message, p *transport.Packet) {
	sh := t.shardOf(m.CallID())
	via := m.Via()
	all := t.serverKey(m, &via)
	k := t.hash.forMethod(all, sip.CANCEL)
	flow := ResponseFlow(&via, p.Flow)
	now := t.now()
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		return
	}
	if s := sh.servers[k]; s != nil {
		s.again(m, now)
		sh.mu.Unlock()
		return
	}
	original := sh.originalOf(all)
	if original == nil {
		// Without a transaction: a retransmission gets the same answer, and a flood of them leaves nothing behind (8.2.7).
		sh.strayCancels++
		sh.mu.Unlock()
		t.reply(flow, m, t.unknown, t.ToTag(m))
		return
	}
	// There is at most one for each INVITE, so MaxServer bounds them too.
	t.liveServers.Add(1)
	s := sh.newServer(k, m, &via, flow)
	s.own = true
	s.begin(nil, now)
	// "Regardless of the method of the original request, as long as the CANCEL matched an existing transaction, the UAS answers the
	// CANCEL request itself with a 200 (OK) response" (9.2).
	if original.step(cancel, now).has(passUp) {
		original.canceledBy = m
	}
	sh.mu.Unlock()

	s.Respond(sip.StatusOK, sip.AppendResponse(nil, m, t.canceled, t.ToTag(m)))
	sh.mu.Lock()
	original.tell()
	sh.mu.Unlock()
}

// SendFailed tells that the message b, which is not kept, for which Sender.Send returned nil, could not be sent after all. If it is a request, its
// client transaction fails with [ErrTransport], unless there is a response nevertheless; all else is ignored.
func (t *Table) SendFailed(b []byte, err error) {
	m, bad := parseSent(b)
	if bad != nil || !m.IsRequest() {
		return
	}
	method := m.Method()
	if method == sip.ACK {
		method = sip.INVITE
	}
	k := t.hash.client(m.Via().Branch, method)
	sh := t.shardOf(m.CallID())
	now := t.now()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if c := sh.clients[k]; c != nil {
		c.failed(notice{}, err, now)
		if n, ok := c.nextNotice(); ok && !c.telling {
			c.dispatch(n, now)
		}
	}
}

// serverKey is the key of a request other than ACK, but for the method.
func (t *Table) serverKey(m *sip.Message, via *sip.ViaParm) key {
	k := t.hash.server(m, via)
	if !hasCookie(via.Branch) {
		k = t.hash.withTag(k, m.ToTag())
	}
	return k
}

// NewClient sends the request msg and starts a client transaction for it (RFC 3261 section 17.1): msg is sent again, and for an
// INVITE acknowledged and cancelled, as its state machine wants; what that needs is copied, and msg stays the caller's. method,
// callID and branch are those of msg; the branch, of the topmost Via, must be unique and hard to guess. The user u, which may be
// nil, is told what happens, perhaps before NewClient returns.
//
// With an error there is no transaction, and u is not called: [ErrTransport], [ErrTooMany], [ErrMethod], [ErrBranch] or [ErrClosed].
func (t *Table) NewClient(f transport.Flow, method sip.Method, callID, branch string, msg []byte, u ClientUser) (*Client, error) {
	if method == sip.ACK || method == sip.CANCEL {
		return nil, ErrMethod
	}
	sh := t.shardOf(callID)
	k := t.hash.client(branch, method)
	now := t.now()
	sh.mu.Lock()
	var err error
	switch {
	case sh.closed:
		err = ErrClosed
	case sh.clients[k] != nil:
		err = ErrBranch
	case !reserve(&t.liveClients, t.cfg.MaxClient):
		sh.refusedClients++
		err = ErrTooMany
	}
	if err != nil {
		sh.mu.Unlock()
		return nil, err
	}
	// It is in the table before the request is sent, so that no response comes too early.
	var sent []byte
	if method == sip.INVITE || !f.Protocol.Reliable() {
		sent = bytes.Clone(msg)
	}
	c := sh.newClient(k, f, method, sent, u, now)
	sh.mu.Unlock()
	if err := c.start(msg); err != nil {
		return nil, err
	}
	return c, nil
}

// ToTag returns the To tag of the responses that the table makes for m: what Config.ToTag says, or its default.
func (t *Table) ToTag(m *sip.Message) string {
	if t.cfg.ToTag != nil {
		return t.cfg.ToTag(m)
	}
	return t.hash.toTag(m)
}

// reply sends a response without keeping it.
func (t *Table) reply(f transport.Flow, m *sip.Message, res *sip.Response, toTag string) error {
	buf := t.buffers.Get().(*[]byte)
	*buf = sip.AppendResponse((*buf)[:0], m, res, toTag)
	err := t.cfg.Sender.Send(f, *buf)
	t.buffers.Put(buf)
	return err
}

// tryingAfter is the 100 for a request that came the given time ago. "If there is a delay in generating the response, the UAS
// SHOULD add a delay value into the Timestamp value in the response" (RFC 3261 section 8.2.6.1).
func (t *Table) tryingAfter(m *sip.Message, ago instant) *sip.Response {
	stamp := m.Get(sip.Timestamp)
	if ago == 0 || stamp == "" {
		return t.trying
	}
	res := sip.NewResponse(sip.StatusTrying)
	res.Set(sip.Timestamp, stamp+" "+strconv.FormatFloat(ago.Seconds(), 'f', -1, 64))
	return res
}

// Stats returns the counters and gauges. It takes the locks of all shards, one after the other.
func (t *Table) Stats() Stats {
	var s Stats
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		sh.counters.addTo(&s)
		sh.mu.Unlock()
	}
	return s
}

// Shutdown ends the table and its transactions: timers stop, nothing is sent any more, and what is received or asked for later is
// ignored. The users are told: [ErrClosed] is a client's failure, if there was no final response, and a server's end. Who is being
// told something else by another goroutine, or is in [User].Request, hears that from there, perhaps after Shutdown has returned.
// Goroutines of timers have ended by then, so it must not be called by a method of User or ClientUser.
func (t *Table) Shutdown() {
	for i := range t.shards {
		t.shards[i].close()
	}
	t.liveServers.Store(0)
	t.liveClients.Store(0)
	t.running.Wait()
}
