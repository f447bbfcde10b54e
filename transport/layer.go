package transport

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Layer is the transport layer of RFC 3261 section 18: it owns the sockets and connections, hands up what they receive,
// and sends. Make one with [New]. Its methods may be called from any goroutine; those without a context wait for no
// peer.
type Layer struct {
	cfg   Config // with its defaults filled in
	epoch time.Time
	group group

	ctx    context.Context // ends when Shutdown begins
	cancel context.CancelFunc

	conns    conns
	corks    corks
	counters counters
	sources  sources
	routes   routes
	pools    pools
	clamped  sync.Once // the log line about ReadBuffer

	// Read without a lock, replaced under mu.
	sockets   atomic.Pointer[map[netip.AddrPort]*socket]
	listeners atomic.Pointer[[]Listener]

	mu        sync.Mutex
	closing   atomic.Bool // set under mu
	endpoints []endpoint  // in the order they were added; copied when changed
	dials     map[Hop]*dial
	past      DatagramStats // of the sockets that are closed
}

// pools holds what is used again. They belong to the Layer, so that none of it crosses from one Layer, or one test, to
// another.
type pools struct {
	slots   sync.Pool // *slot
	chunks  sync.Pool // *chunk
	inbound sync.Pool // *inbound
}

// New returns a Layer that listens nowhere yet. It starts no goroutine.
func New(cfg Config) *Layer {
	l := &Layer{
		cfg:   cfg.withDefaults(),
		epoch: time.Now(),
		group: group{done: make(chan struct{})},
		dials: make(map[Hop]*dial),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.group.add()
	l.conns.init()
	l.publish()
	return l
}

func (c Config) withDefaults() Config {
	if c.Network == nil {
		c.Network = hostNetwork{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.MaxMessage = bound(c.MaxMessage, maxDatagram, math.MaxInt)
	c.ReadBuffer = bound(c.ReadBuffer, 4<<20, 0)
	c.WriteQueue = bound(c.WriteQueue, 1<<20, math.MaxInt)
	c.MaxBuffered = bound(c.MaxBuffered, 512<<20, math.MaxInt64)
	c.MaxAccepted = bound(c.MaxAccepted, 50_000, math.MaxInt)
	c.MaxDialed = bound(c.MaxDialed, 10_000, math.MaxInt)
	c.MaxPerSource = bound(c.MaxPerSource, 1000, math.MaxInt)
	c.FirstMessageTimeout = bound(c.FirstMessageTimeout, 20*time.Second, forever)
	c.MessageTimeout = bound(c.MessageTimeout, 20*time.Second, forever)
	c.IdleTimeout = bound(c.IdleTimeout, 2*time.Hour, forever)
	c.WriteTimeout = bound(c.WriteTimeout, 20*time.Second, forever)
	c.DialTimeout = bound(c.DialTimeout, 5*time.Second, forever)
	return c
}

// forever is far enough that nobody sees it pass, and near enough that it can be added to any time.
const forever = time.Duration(math.MaxInt64 / 4)

// Listeners returns the listeners in the order in which they were added. The slice is a shared snapshot: do not change
// it.
func (l *Layer) Listeners() []Listener { return *l.listeners.Load() }

// Send sends b, one message, on f: over UDP from the socket f.Local to f.Remote, over a stream on the connection f.Conn.
// It does not keep b. On a stream it never waits for the peer: what the connection does not take at once is queued. Over
// UDP it waits, if ever, for room in the kernel's send buffer. An error means that the message was not sent; nil means
// that it was handed to the kernel or queued. What is sent while a reader works on several messages is queued
// until it has done so, as the kernel takes many at once for less; an error of that comes with [Config].SendFailed.
//
// The errors, to be told with [errors.Is]: [ErrFlowGone] if the socket or connection is no more, [ErrQueueFull] and
// [ErrOverload] (the connection is closed), [ErrTooLarge], [ErrClosed], or what the kernel said.
func (l *Layer) Send(f Flow, b []byte) error {
	if f.Protocol == UDP {
		s := (*l.sockets.Load())[f.Local]
		if s == nil {
			l.counters.datagramGone.Add(1)
			return l.gone()
		}
		return s.send(f.Remote, b)
	}
	c := l.conns.get(f)
	if c == nil {
		l.counters.streamGone.Add(1)
		return l.gone()
	}
	err := c.send(b)
	switch {
	case err == nil:
		l.counters.messagesOut.Add(1)
	case errors.Is(err, ErrFlowGone):
		l.counters.streamGone.Add(1)
	default:
		l.counters.streamSendErrors.Add(1)
	}
	return err
}

// gone is the error for a flow that cannot be found.
func (l *Layer) gone() error {
	if l.closing.Load() {
		return ErrClosed
	}
	return ErrFlowGone
}

// Close ends the connection of f. Nothing more is received from it; what was sent before is still written, for as long
// as the peer takes it. The connection cannot be found any more when Close returns; [Config].Closed is called later,
// with nil. The error is [ErrFlowGone] if there is no such connection. Closing a UDP flow does nothing.
func (l *Layer) Close(f Flow) error {
	if f.Protocol == UDP {
		return nil
	}
	c := l.conns.get(f)
	if c == nil || !c.drain(nil) {
		return l.gone()
	}
	return nil
}

// endpoint is a socket that receives datagrams or accepts connections.
type endpoint interface {
	io.Closer
	listener() Listener
	// serve runs until the endpoint is closed or another goroutine serves it. Whoever sees it closed calls
	// Layer.remove.
	serve()
}

// add makes e known and serves it; unless the Layer is closing, then it closes e.
func (l *Layer) add(e endpoint) error {
	if !l.enter(e) {
		e.Close()
		return ErrClosed
	}
	return nil
}

func (l *Layer) enter(e endpoint) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing.Load() {
		return false
	}
	l.endpoints = append(slices.Clip(l.endpoints), e)
	l.publish()
	l.start(e.serve)
	return true
}

// remove forgets e, which has ended. It is called once.
func (l *Layer) remove(e endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := e.(*socket); ok {
		s.addTo(&l.past)
	}
	l.endpoints = slices.DeleteFunc(slices.Clone(l.endpoints), func(o endpoint) bool { return o == e })
	l.publish()
}

// publish makes new snapshots of what is read without a lock. The caller holds mu.
func (l *Layer) publish() {
	listeners := make([]Listener, 0, len(l.endpoints))
	sockets := make(map[netip.AddrPort]*socket)
	for _, e := range l.endpoints {
		listeners = append(listeners, e.listener())
		if s, ok := e.(*socket); ok {
			sockets[s.addr] = s
		}
	}
	l.listeners.Store(&listeners)
	l.sockets.Store(&sockets)
}
