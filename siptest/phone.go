package siptest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goser-project/goser/sip"
)

// PhoneOptions are the settings of a Phone. The zero value is a phone on UDP port 5060 that sends its requests to the
// host of their URI.
type PhoneOptions struct {
	// Proxy is the outbound proxy: requests outside of dialogs go there whatever their URI, and so does what has a
	// host name for its next hop.
	Proxy netip.AddrPort
	// Transport is what requests leave by: "UDP", also "", or "TCP". A TCP phone has one connection to each hop.
	Transport string
	// Listen is where the phone can be reached: "UDP", "TCP", both or none. nil is Transport. A TCP phone with an
	// empty list is reached on the connection that it opened, as one behind a NAT.
	Listen []string
	// Port is the port of its sockets; 0 means 5060.
	Port uint16
	// Contact is the URI of its Contact; "" means its user and its address.
	Contact string
	// T1 and T2 are the timers of RFC 3261 section 17; 0 means 500 ms and 4 s.
	T1, T2 time.Duration
	// NoRetransmit lets the phone send everything once only.
	NoRetransmit bool
	// NoRPort leaves the rport parameter of RFC 3581 out of its Vias.
	NoRPort bool
	// Patience is how long a Want waits; 0 means 5 minutes.
	Patience time.Duration
	// Lenient keeps quiet about what others do wrong: by default it fails the test.
	Lenient bool
}

// Phone is a scripted user agent (RFC 3261 sections 8 to 15) with its own, simple transactions: it owes nothing to the
// stack under test, and fails the test when that breaks a rule that a user agent can see. See PhoneOptions.Lenient.
//
// All names that it makes up (branches, tags, Call-IDs) are counted and thus the same in every run. Its methods may be
// called from any goroutine; those whose names begin with Want wait in virtual time, fail the test with the ladder when
// they wait in vain, and belong to the goroutine of the test.
type Phone struct {
	t    testing.TB
	host *Host
	aor  string
	opt  PhoneOptions

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	dialing chan struct{} // one dial at a time

	mu         sync.Mutex
	cond       sync.Cond // something came, or Close
	outbox     []outgoing
	listening  []closer
	sockets    []*packetConn
	conns      []*phoneConn
	running    sync.WaitGroup
	counter    int
	scripts    map[sip.Method]Script
	exchanges  map[exchangeKey]*Exchange
	incoming   map[incomingKey]*Incoming
	merging    map[mergeKey]*Incoming
	requests   []*Incoming // not yet wanted
	dialogs    map[dialogKey]*Dialog
	registers  int
	violations []string
	closed     bool
}

type closer interface{ Close() error }

// NewPhone starts a phone on a host; aor is its address of record, for From. It is closed at the end of the test.
func NewPhone(t testing.TB, h *Host, aor string, opt PhoneOptions) *Phone {
	t.Helper()
	opt.Transport = strings.ToUpper(opt.Transport)
	if opt.Transport == "" {
		opt.Transport = "UDP"
	}
	if opt.Listen == nil {
		opt.Listen = []string{opt.Transport}
	}
	listens := func(transport string) bool {
		return slices.ContainsFunc(opt.Listen, func(l string) bool { return strings.EqualFold(l, transport) })
	}
	opt.Port = uint16(defaultInt(int(opt.Port), 5060))
	opt.T1 = defaultDuration(opt.T1, 500*time.Millisecond)
	opt.T2 = defaultDuration(opt.T2, 4*time.Second)
	opt.Patience = defaultDuration(opt.Patience, 5*time.Minute)
	p := &Phone{
		t: t, host: h, aor: aor, opt: opt,
		dialing:   make(chan struct{}, 1),
		scripts:   map[sip.Method]Script{},
		exchanges: map[exchangeKey]*Exchange{},
		incoming:  map[incomingKey]*Incoming{},
		merging:   map[mergeKey]*Incoming{},
		dialogs:   map[dialogKey]*Dialog{},
	}
	p.cond.L = &p.mu
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if opt.Contact == "" {
		p.opt.Contact = p.defaultContact()
	}
	t.Cleanup(p.Close)
	// Phones that send over UDP need its socket even if nobody is to reach them.
	udp, tcp := opt.Transport == "UDP" || listens("UDP"), listens("TCP")
	for _, addr := range h.addrs {
		p.listen(netip.AddrPortFrom(addr, p.opt.Port), udp, tcp)
	}
	return p
}

func defaultDuration(d, standard time.Duration) time.Duration {
	if d == 0 {
		return standard
	}
	return d
}

func (p *Phone) defaultContact() string {
	uri, err := sip.ParseURI(p.aor)
	if err != nil {
		p.t.Fatalf("siptest: the address of record %q: %v", p.aor, err)
	}
	contact := fmt.Sprintf("sip:%s@%s", uri.User, p.host.AddrPort(p.opt.Port))
	if p.opt.Transport != "UDP" {
		contact += ";transport=" + strings.ToLower(p.opt.Transport)
	}
	return contact
}

// listen opens the sockets of one address.
func (p *Phone) listen(addr netip.AddrPort, udp, tcp bool) {
	p.t.Helper()
	if udp {
		c, err := p.host.ListenPacket(context.Background(), "udp", addr.String())
		if err != nil {
			p.t.Fatalf("siptest: phone %s: %v", p, err)
		}
		p.listening = append(p.listening, c)
		p.sockets = append(p.sockets, c.(*packetConn))
		p.running.Go(func() { p.readPackets(c.(*packetConn)) })
	}
	if tcp {
		ln, err := p.host.Listen(context.Background(), "tcp", addr.String())
		if err != nil {
			p.t.Fatalf("siptest: phone %s: %v", p, err)
		}
		p.listening = append(p.listening, ln)
		p.running.Go(func() { p.accept(ln.(*listener)) })
	}
}

// String returns the name of the phone's host.
func (p *Phone) String() string { return p.host.name }

// Host returns the host of the phone.
func (p *Phone) Host() *Host { return p.host }

// AOR returns the address of record.
func (p *Phone) AOR() string { return p.aor }

// Contact returns the URI of the phone's Contact: what reaches this phone and no other.
func (p *Phone) Contact() string { return p.opt.Contact }

// Violations returns what others did wrong so far, a sentence each.
func (p *Phone) Violations() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.violations)
}

// Close ends the phone without a word to anyone: its sockets are closed and its goroutines have ended when it returns.
func (p *Phone) Close() {
	p.mu.Lock()
	p.closed = true
	p.outbox = nil
	listening, conns := p.listening, p.conns
	p.listening, p.conns = nil, nil
	p.cond.Broadcast()
	p.mu.Unlock()
	p.cancel()
	for _, l := range listening {
		l.Close()
	}
	for _, c := range conns {
		c.Close()
	}
	p.running.Wait()
}

// On sets how the phone answers requests of a method by itself, from now on. Without, it never answers an INVITE,
// and everything else with 200 (a CANCEL with 487 for its INVITE too). An INVITE within a dialog is answered with 200
// if there is a script for INVITE. Requests can be had by WantRequest whether there is a script or not.
func (p *Phone) On(method sip.Method, s Script) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scripts[method] = s
}

// name makes up the next name of a kind: what differs between phones and calls but not between runs. The lock is held.
func (p *Phone) name(kind string) string {
	p.counter++
	return fmt.Sprintf("%s-%s-%d", kind, p.host.name, p.counter)
}

// after calls f with the lock held, unless the phone has been closed.
func (p *Phone) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.release()
		if !p.closed {
			f()
		}
	})
}

// violate reports what somebody else did wrong. The lock is held.
func (p *Phone) violate(m string, format string, args ...any) {
	v := fmt.Sprintf(format, args...)
	p.violations = append(p.violations, v)
	if p.opt.Lenient || p.closed {
		return
	}
	p.t.Errorf("%s at %s: %s\n%s\n%s", p, p.host.net.Elapsed(), v, p.host.net.Ladder().tail(), indent(m))
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\r\n"), "\n", "\n    ")
}

// wait waits until ready returns true, at most for d. ready is called with the lock held.
func (p *Phone) wait(d time.Duration, ready func() bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	var over deadline
	over.set(&p.cond, time.Now().Add(d))
	defer over.stop()
	for !ready() {
		if over.passed || p.closed {
			return false
		}
		p.cond.Wait()
	}
	return true
}

// fatal ends the test with a sentence and the ladder.
func (p *Phone) fatal(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("%s: %s\n%s", p, fmt.Sprintf(format, args...), p.host.net.Ladder().tail())
}
