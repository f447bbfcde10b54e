package transport_test

import (
	"context"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/goser-project/goser/transport"
)

// got is what a recorder has seen: a message, or the end of a connection.
type got struct {
	flow transport.Flow
	text string
	end  bool
	err  error
}

// recorder is what a Layer reports to.
type recorder struct {
	t      testing.TB
	layer  *transport.Layer
	events chan got
	opened chan transport.Flow // the first

	mu    sync.Mutex
	alive map[transport.Flow]bool
}

// start makes a Layer that records, and shuts it down at the end of the test.
func start(t testing.TB, cfg transport.Config) *recorder {
	r := &recorder{
		t:      t,
		events: make(chan got, 6000),
		opened: make(chan transport.Flow, 1),
		alive:  make(map[transport.Flow]bool),
	}
	if cfg.Receive == nil {
		cfg.Receive = func(p *transport.Packet) { r.events <- got{flow: p.Flow, text: string(p.Data)} }
	}
	if cfg.NewSplitter == nil {
		cfg.NewSplitter = newLines
	}
	cfg.Opened = func(f transport.Flow) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.alive[f] {
			t.Errorf("%v opened twice", f)
		}
		r.alive[f] = true
		select {
		case r.opened <- f:
		default:
		}
	}
	cfg.Closed = func(f transport.Flow, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.alive[f] {
			t.Errorf("%v closed, but was not open", f)
		}
		delete(r.alive, f)
		r.events <- got{flow: f, end: true, err: err}
	}
	r.layer = transport.New(cfg)
	t.Cleanup(func() { require.NoError(t, r.layer.Shutdown(context.Background())) })
	return r
}

func newLines() transport.Splitter { return new(lines) }

func (r *recorder) listen(p transport.Protocol, addr string) transport.Listener {
	r.t.Helper()
	ls, err := r.layer.Listen(context.Background(), p, netip.MustParseAddrPort(addr), "")
	require.NoError(r.t, err)
	require.Len(r.t, ls, 1)
	return ls[0]
}

func (r *recorder) connect(p transport.Protocol, to netip.AddrPort) transport.Flow {
	r.t.Helper()
	f, err := r.layer.Connect(context.Background(), transport.Hop{Protocol: p, Addr: to}, netip.AddrPort{})
	require.NoError(r.t, err)
	return f
}

// want waits for one message with the given text.
func (r *recorder) want(text string) transport.Flow {
	r.t.Helper()
	g := <-r.events
	require.False(r.t, g.end, "connection ended: %v", g.err)
	require.Equal(r.t, text, g.text)
	return g.flow
}

// wantEnd waits for the end of a connection.
func (r *recorder) wantEnd(cause error) transport.Flow {
	r.t.Helper()
	g := <-r.events
	require.True(r.t, g.end, "message %q", g.text)
	if cause == nil {
		require.NoError(r.t, g.err)
	} else {
		require.ErrorIs(r.t, g.err, cause)
	}
	return g.flow
}

// nothing checks that all that was reported has been seen. In real time it is only as good as the moment it is called.
func (r *recorder) nothing() {
	r.t.Helper()
	select {
	case g := <-r.events:
		require.Fail(r.t, "unexpected event", "%+v", g)
	default:
	}
}

// goroutines returns the stacks of those that run code of this package, given that they had the time to return from it.
func goroutines() (left []string) {
	for range 1000 {
		if left = stacks(); len(left) == 0 {
			break
		}
		runtime.Gosched()
	}
	return left
}

func stacks() []string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var ours []string
	for _, g := range strings.Split(string(buf), "\n\n") {
		if strings.Contains(g, "transport.(*") {
			ours = append(ours, g)
		}
	}
	return ours
}
