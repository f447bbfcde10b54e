package routing

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transaction"
	"github.com/goser-project/goser/transport"
)

// Defaults of a Server's fields.
const (
	DefaultMaxForwards = 70    // RFC 3261 8.1.1.6
	DefaultMaxBreadth  = 60    // RFC 5393 5.3.3
	DefaultUDPLimit    = 1300  // RFC 3261 18.1.1
	DefaultMaxHandlers = 50000 // running and waiting handlers
	DefaultMaxBranches = 64    // branches of one request over its life
)

// A Server receives SIP messages and routes them through its Handler. Its zero
// value with a Handler works; fields are not changed after the first call of a
// method. All methods may be called from any goroutine.
type Server struct {
	// Handler decides what happens to requests. It must be set.
	Handler Handler

	// Names are the host names and domains that are us, besides the listeners'
	// own and advertised addresses: a Route that names one of them is removed
	// as ours, at any of our ports.
	Names []string

	// Advertise is the host, or host:port, that others reach the listeners of
	// Listen at, if that is not their own address. A listener's own
	// "advertise" comes first.
	Advertise string

	// Stateless makes the server a stateless proxy (RFC 3261 16.11): it creates
	// no transactions, Relay sends one copy to its first target, and what needs
	// a transaction (Forward, Fork, cancelling) fails with ErrStateless. ACK
	// and CANCEL come to the handler like other requests.
	Stateless bool

	// StatelessMethods are handled without a transaction: a retransmission runs
	// the handler again, Relay sends one copy, and what needs a transaction
	// fails with ErrStateless. It is for requests that may be done twice, like
	// REGISTER, as it saves remembering each for 32 seconds. INVITE, ACK and
	// CANCEL in it have no effect. It must not be changed once the server serves.
	StatelessMethods []sip.Method

	// Transport holds the limits and deadlines of sockets. Receive, NewSplitter
	// and Closed belong to the Server; a Closed or SendFailed that is set is called too.
	Transport transport.Config

	// Parser holds the limits of messages.
	Parser sip.Parser

	// Timers are the transaction timers.
	Timers transaction.Timers

	// MaxTransactions bounds live server transactions, and client transactions
	// by the same number; above it new requests are refused with 503. 0 is the
	// transaction table's default.
	MaxTransactions int

	// MaxHandlers bounds the handlers that run or wait; above it new requests
	// are refused with 503. One that waits for its targets costs about 20 KB of
	// memory, so the default may come to a gigabyte. 0 means DefaultMaxHandlers.
	MaxHandlers int

	// MaxBreadth is the Max-Breadth given to requests that come without one,
	// and the most that is taken from one that comes with more. 0 means
	// DefaultMaxBreadth.
	MaxBreadth int

	// MaxBranches bounds the branches that one request may get, serial and
	// parallel together; a Forward beyond it fails with 440. 0 means
	// DefaultMaxBranches.
	MaxBranches int

	// UDPLimit is the size in bytes above which a request that would leave
	// over UDP is sent over TCP if the next hop takes connections, and as a
	// fragmented datagram if not. 0 means DefaultUDPLimit; negative never
	// changes to TCP. Responses are never limited.
	UDPLimit int

	// Schemes are the Request-URI schemes that the handler understands; others
	// are refused with 416. nil means sip, sips, tel and urn.
	Schemes []string

	// ProxyRequire lists the option tags that are supported in Proxy-Require;
	// others are refused with 420.
	ProxyRequire []string

	// Resolver looks up host names. nil means the system's addresses (A, AAAA).
	Resolver Resolver

	// OnInvalid, if set, sees every message that was refused before it reached
	// a handler: what was received, where from, and why. It is called on the
	// reader's goroutine, must not block and must not keep data.
	OnInvalid func(data []byte, from transport.Flow, err error)

	// Logger gets what an operator must know, never a line per message. nil is silent.
	Logger *slog.Logger

	// Rand is the source of branches and tags, which must not be guessable.
	// nil means ChaCha8 seeded by the operating system. It must be safe for
	// concurrent use.
	Rand func() uint64

	once      sync.Once
	rand      func() uint64
	resolver  Resolver
	layer     *transport.Layer
	table     *transaction.Table
	identity  identity
	order     order
	bigHops   hopMemory // next hops that refused TCP for large requests
	counters  counters
	actions   sync.Pool // of *actions
	scratches sync.Pool // of *scratch
	copies    sync.Pool // of *oneCopy
	readings  readings
	workers   workers
	trust     trust
	seed      maphash.Seed

	ctx       context.Context // ends at Shutdown
	stop      context.CancelFunc
	noTime    context.Context // has ended: for what is done only if it need not wait
	work      sync.WaitGroup  // handlers and engine goroutines
	mu        sync.Mutex      // guards closed against work.Add
	closed    bool
	ended     chan struct{} // closed when all work has ended after Shutdown
	listening sync.Mutex    // the identity is made of all listeners at once
}

// init makes the parts on first use.
func (s *Server) init() {
	s.once.Do(func() {
		s.seed = maphash.MakeSeed()
		if s.rand = s.Rand; s.rand == nil {
			s.rand = rand.Uint64
		}
		if s.resolver = s.Resolver; s.resolver == nil {
			s.resolver = systemResolver{net.DefaultResolver}
		}
		s.ended = make(chan struct{})
		s.ctx, s.stop = context.WithCancel(context.Background())
		var end context.CancelFunc
		s.noTime, end = context.WithCancel(context.Background())
		end()
		s.order.init(s.seed)
		s.trust.epoch = time.Now()
		config := s.Transport
		config.Receive = s.receive
		config.SendFailed = s.sendFailed
		config.NewSplitter = func() transport.Splitter { return s.Parser.NewSplitter() }
		if config.Logger == nil {
			config.Logger = s.Logger
		}
		s.layer = transport.New(config)
		s.table = transaction.New(transaction.Config{
			Sender:    s.layer,
			User:      (*user)(s),
			Timers:    s.Timers,
			MaxServer: s.MaxTransactions,
			MaxClient: s.MaxTransactions,
			ToTag:     s.toTag,
		})
	})
}

// Listen opens listeners, each given as "protocol:address:port" like
// "udp:127.0.0.1:5060", "tcp:[::1]:5060" or "udp::5060". Without an address it
// opens one socket for each address of the host, with 0.0.0.0 for each IPv4
// and with [::] for each IPv6 address; a missing port is the protocol's
// default, port 0 any free one. "udp:10.0.0.1:5060 advertise
// sip.example.org" tells the address at which others reach the listener.
func (s *Server) Listen(ctx context.Context, addresses ...string) error {
	s.init()
	for _, address := range addresses {
		if err := s.listen(ctx, address); err != nil {
			return fmt.Errorf("listen %q: %w", address, err)
		}
	}
	return nil
}

func (s *Server) listen(ctx context.Context, address string) error {
	protocol, addr, advertise, err := parseListen(address)
	if err != nil {
		return err
	}
	if advertise == "" {
		advertise = s.Advertise
	}
	return s.addListeners(func() error {
		_, err := s.layer.Listen(ctx, protocol, addr, advertise)
		return err
	})
}

// ServePacket serves a datagram socket of the caller's, which the server owns
// from now on. Its local address must be concrete.
func (s *Server) ServePacket(pc net.PacketConn, advertise string) error {
	s.init()
	return s.addListeners(func() error {
		_, err := s.layer.ServePacket(pc, advertise)
		return err
	})
}

// ServeStream serves a listener of the caller's for TCP, which the server owns
// from now on.
func (s *Server) ServeStream(ln net.Listener, advertise string) error {
	s.init()
	return s.addListeners(func() error {
		_, err := s.layer.ServeStream(ln, advertise)
		return err
	})
}

// addListeners renews the identity after open.
func (s *Server) addListeners(open func() error) error {
	if s.Handler == nil {
		return errors.New("routing: Server.Handler is nil")
	}
	err := open()
	s.renewIdentity()
	return err
}

// renewIdentity makes the identity of what the layer listens on now.
func (s *Server) renewIdentity() {
	s.listening.Lock()
	defer s.listening.Unlock()
	s.identity.set(s.layer.Listeners(), s.Names)
}

// placeOf returns the identity and in it the listener that stands for a flow,
// or nil. A flow can be newer than the identity while a listener opens.
func (s *Server) placeOf(f transport.Flow) (*identitySnapshot, *place) {
	id := s.identity.load()
	i := id.placeOfFlow(f, s.layer.ListenerFor)
	if i < 0 && len(id.places) == len(s.layer.Listeners()) {
		return id, nil
	}
	if i < 0 {
		s.renewIdentity()
		id = s.identity.load()
		if i = id.placeOfFlow(f, s.layer.ListenerFor); i < 0 {
			return id, nil
		}
	}
	return id, &id.places[i]
}

// Listeners returns what the server listens on.
func (s *Server) Listeners() []transport.Listener {
	s.init()
	return s.layer.Listeners()
}

// IsLocal reports whether u points to this server: to a listener, its
// advertised address, or one of Names at a port of ours.
func (s *Server) IsLocal(u sip.URI) bool {
	s.init()
	return s.identity.load().isLocal(&u)
}

// Contact returns the URI at which the server itself is reached over the flow,
// for Contact header fields. It is the zero URI for a flow of no listener.
func (s *Server) Contact(f transport.Flow) sip.URI {
	s.init()
	_, p := s.placeOf(f)
	if p == nil {
		return sip.URI{}
	}
	u, _ := sip.ParseURI(p.contact)
	return u
}

// Shutdown stops the server: the ctx of every handler ends, so that those that
// wait return and their callers are answered 503; then sockets are closed and
// transactions forgotten. What was handed over with Relay is forgotten without
// a word: Shutdown does not drain. It returns nil when all goroutines of the
// server have ended, or ctx's error while some handlers still run.
func (s *Server) Shutdown(ctx context.Context) error {
	s.init()
	s.stop()
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		go func() {
			s.work.Wait()
			close(s.ended)
		}()
	}
	s.mu.Unlock()
	s.workers.dismiss(true)
	var err error
	select {
	case <-s.ended:
	default:
		select {
		case <-s.ended:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	s.table.Shutdown()
	if closing := s.layer.Shutdown(ctx); closing != nil {
		return closing
	}
	return err
}

// start runs f in a goroutine that Shutdown waits for. It reports false after Shutdown.
func (s *Server) start(f func()) bool {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	s.work.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.work.Done()
		f()
	}()
	return true
}

// background runs f like start, for work that nobody's handler pays for. It is
// bounded: above maxBackground it reports false as well.
func (s *Server) background(f func()) bool {
	if s.counters.background.Add(1) > maxBackground {
		s.counters.background.Add(-1)
		s.counters.overloaded.Add(1)
		return false
	}
	ok := s.start(func() {
		defer s.counters.background.Add(-1)
		f()
	})
	if !ok {
		s.counters.background.Add(-1)
	}
	return ok
}

// maxBackground bounds the connections that are opened for responses, and the
// branches that go on to another address, at a time.
const maxBackground = 1000

func (s *Server) logError(msg string, args ...any) {
	if s.Logger != nil {
		s.Logger.Error(msg, args...)
	}
}

// parseListen parses "udp:127.0.0.1:5060 advertise host:port".
func parseListen(s string) (p transport.Protocol, addr netip.AddrPort, advertise string, err error) {
	fields := strings.Fields(s)
	if len(fields) == 3 && fields[1] == "advertise" {
		advertise = fields[2]
	} else if len(fields) != 1 {
		return p, addr, "", errors.New(`want "protocol:address:port" or "protocol:address:port advertise host:port"`)
	}
	name, rest, _ := strings.Cut(fields[0], ":")
	if p, err = transport.ParseProtocol(name); err != nil {
		return p, addr, "", err
	}
	if addr, err = parseAddrPort(rest, p.DefaultPort()); err != nil {
		return p, addr, "", fmt.Errorf("%w (want an address like 127.0.0.1:5060, [::1]:5060 or :5060)", err)
	}
	return p, addr, advertise, nil
}

func parseAddrPort(s string, port uint16) (netip.AddrPort, error) {
	if s == "" {
		return netip.AddrPortFrom(netip.Addr{}, port), nil
	}
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(addr, port), nil
	}
	if text, ok := strings.CutPrefix(s, ":"); ok {
		n, err := strconv.ParseUint(text, 10, 16)
		return netip.AddrPortFrom(netip.Addr{}, uint16(n)), err
	}
	return netip.ParseAddrPort(s)
}

// defaultInt returns v, or d if v is 0.
func defaultInt(v, d int) int {
	if v == 0 {
		return d
	}
	return v
}
