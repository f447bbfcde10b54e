package transaction

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// shard is a part of the table: the transactions of the calls whose Call-ID falls to it, and their timers. So an INVITE, its ACK
// and CANCEL, and the requests that it may be merged with, are in one shard.
//
// mu guards the shard and all of its transactions. It is not held while something is sent or the user is called.
type shard struct {
	mu      sync.Mutex
	table   *Table
	servers map[key]*Server
	clients map[key]*Client
	ongoing map[uint64]uint32 // how many server transactions a request without To tag has, by hasher.merged; see Server.Merged
	wheel   wheel
	timer   *time.Timer // calls expire
	armed   instant     // when timer fires; never if it does not
	phase   instant     // spreads the waiting timers of the shards
	closed  bool
	counters
}

func (sh *shard) init(t *Table, phase instant) {
	sh.table = t
	sh.phase = phase
	sh.servers = make(map[key]*Server)
	sh.clients = make(map[key]*Client)
	sh.ongoing = make(map[uint64]uint32)
	sh.armed = never
	sh.timer = time.AfterFunc(time.Hour, sh.expire)
	sh.timer.Stop()
}

// schedule puts a transaction where its next deadline wants it.
func (sh *shard) schedule(t *timer, due, now instant) {
	if t.slot != 0 {
		if t.due == due {
			return
		}
		sh.wheel.remove(t)
	}
	if due == never {
		return
	}
	sh.wheel.add(t, due, now)
	if due < sh.armed {
		sh.arm(due, now)
	}
}

// scheduleWaiting is schedule for a deadline that nobody is waiting for. It is rounded up, so that those of a shard come
// together, and at another time than those of another shard.
func (sh *shard) scheduleWaiting(t *timer, due, now instant) {
	if slack := sh.table.timing.Slack; slack > 0 && due > now && due != never {
		if over := (due - sh.phase) % slack; over > 0 {
			due += slack - over
		}
	}
	sh.schedule(t, due, now)
}

// arm sets the timer. If it was set for an earlier time it fires in vain and is set anew, which is cheaper than to reset it
// whenever the earliest transaction moves on.
func (sh *shard) arm(due, now instant) {
	sh.armed = due
	sh.timer.Reset(max(due-now, 0))
}

// expire runs when the timer fires.
func (sh *shard) expire() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return
	}
	sh.table.running.Add(1)
	defer sh.table.running.Done()

	sh.armed = never
	now := sh.table.now()
	sh.wheel.turn(now)
	for t := sh.wheel.pop(now); t != nil; t = sh.wheel.pop(now) {
		t.tx.fire(now) // gives up the lock for a while
	}
	if due := sh.wheel.next(); due < sh.armed && !sh.closed {
		sh.arm(due, sh.table.now())
	}
}

// close ends the shard and its transactions, and tells their users; the lock is given up meanwhile.
func (sh *shard) close() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	servers, clients := slices.Collect(maps.Values(sh.servers)), slices.Collect(maps.Values(sh.clients))
	sh.closed = true
	sh.timer.Stop()
	sh.armed = never
	sh.wheel = wheel{}
	clear(sh.servers)
	clear(sh.clients)
	clear(sh.ongoing)
	for k := range sh.kinds {
		sh.kinds[k].Live = 0
	}
	now := sh.table.now()
	for _, c := range clients {
		c.close(now)
	}
	for _, s := range servers {
		s.close(now)
	}
}

// acknowledged finds the transaction that an ACK belongs to, given the key of its branch, or nil. Without magic cookie "the To
// tag of the ACK matches the To tag of the response sent by the server transaction" (RFC 3261 section 17.2.3), and the INVITE had
// that tag or none.
func (sh *shard) acknowledged(k key, m *sip.Message, via *sip.ViaParm) *Server {
	if hasCookie(via.Branch) {
		return sh.servers[k]
	}
	tag := m.ToTag()
	for _, k := range [...]key{k, sh.table.hash.withTag(k, tag)} {
		if s := sh.servers[k]; s != nil && s.legacy != nil && s.legacy.tag == tag {
			return s
		}
	}
	return nil
}

// originalOf finds the transaction that a CANCEL means: "assuming that the request method is anything but CANCEL or ACK" (RFC
// 3261 section 9.2).
func (sh *shard) originalOf(k key) *Server {
	for _, m := range methods {
		if s := sh.servers[sh.table.hash.forMethod(k, m)]; s != nil {
			return s
		}
	}
	return nil
}

// newServer adds a server transaction, which is to begin.
func (sh *shard) newServer(k key, m *sip.Message, via *sip.ViaParm, f transport.Flow) *Server {
	s := &Server{shard: sh, key: k, method: keepMethod(m.Method()), flow: f}
	s.timer.tx = s
	s.invite = s.method == sip.INVITE
	if s.invite && !hasCookie(via.Branch) {
		s.legacy = new(legacyTag)
	}
	if m.ToTag() == "" && s.method != sip.CANCEL {
		sh.enlist(s, m)
	}
	sh.servers[k] = s
	sh.countNew(s.kind())
	return s
}

func (sh *shard) removeServer(s *Server) {
	if sh.closed {
		return
	}
	delete(sh.servers, s.key)
	sh.kinds[s.kind()].Live--
	sh.table.liveServers.Add(-1)
	sh.wheel.remove(&s.timer)
	sh.release(s)
}

// newClient adds a client transaction, whose request is to be sent.
func (sh *shard) newClient(k key, f transport.Flow, m sip.Method, msg []byte, u ClientUser, now instant) *Client {
	c := &Client{shard: sh, key: k, flow: f, sent: msg, user: u, invite: m == sip.INVITE}
	c.timer.tx = c
	if c.invite {
		(*clientInvite)(&c.machine).start(now, f.Protocol.Reliable(), &sh.table.timing)
	} else {
		(*clientNonInvite)(&c.machine).start(now, f.Protocol.Reliable(), &sh.table.timing)
	}
	sh.clients[k] = c
	sh.countNew(c.kind())
	c.schedule(now)
	return c
}

func (sh *shard) removeClient(c *Client) {
	if sh.closed {
		return
	}
	delete(sh.clients, c.key)
	sh.kinds[c.kind()].Live--
	if !c.own {
		sh.table.liveClients.Add(-1)
	}
	sh.wheel.remove(&c.timer)
}

func (sh *shard) countNew(k kind) {
	sh.kinds[k].Live++
	sh.kinds[k].Created++
}

// enlist notes a request without To tag as ongoing, and says whether there is another with the same From tag, Call-ID and CSeq.
func (sh *shard) enlist(s *Server, m *sip.Message) {
	s.ongoing = sh.table.hash.merged(m)
	n := sh.ongoing[s.ongoing]
	sh.ongoing[s.ongoing] = n + 1
	s.enlisted, s.merged = true, n > 0
}

// release undoes enlist.
func (sh *shard) release(s *Server) {
	if !s.enlisted {
		return
	}
	s.enlisted = false
	if n := sh.ongoing[s.ongoing]; n > 1 {
		sh.ongoing[s.ongoing] = n - 1
	} else {
		delete(sh.ongoing, s.ongoing)
	}
}
