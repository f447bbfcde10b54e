package routing

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// way is where a copy goes: what RFC 3261 16.6 steps 2, 6 and 7 make of a target.
type way struct {
	draft
	target  *Target
	branch  *branch         // whose copy it is; nil if nobody waits for it
	breadth int             // Max-Breadth of the copy
	uri     sip.URI         // its Request-URI
	route   sip.URI         // its topmost Route value, zero if it has none
	strict  bool            // that is a strict router
	hop     transport.Hop   // the next hop to try; zero if there is none
	more    []transport.Hop // those after it
}

// maxHops bounds the addresses that are tried for one target.
const maxHops = 16

// findWay finds where a target's copy goes. It looks names up, and leaves the
// reader for that.
func (r *Request) findWay(ctx context.Context, t *Target, b *branch, breadth int, d draft) (w way, err error) {
	w = way{draft: d, target: t, branch: b, breadth: breadth, uri: r.uri}
	if !t.URI.IsZero() {
		w.uri = t.URI
	}
	if w.route, w.strict, err = r.firstRoute(t); err != nil || !t.Flow.IsZero() {
		return w, err
	}
	next := w.next()
	hop, ok, err := literalHop(next)
	if err != nil || ok {
		w.hop = hop
		return w, err
	}
	r.detach()
	ctx, stop := w.waiting(ctx)
	defer stop()
	hops, err := r.server.resolver.Resolve(ctx, *next)
	if err != nil {
		return w, err
	}
	if len(hops) == 0 {
		return w, fmt.Errorf("%s has no address", next.Host)
	}
	hops = hops[:min(len(hops), maxHops)]
	w.hop, w.more = hops[0], hops[1:]
	return w, nil
}

// waiting returns a context for a lookup or a dial, which ends with the branch:
// nobody waits for longer.
func (w *way) waiting(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	if w.branch != nil {
		w.branch.stopWith(stop)
	}
	return ctx, stop
}

// take takes the next hop off the way.
func (w *way) take() (transport.Hop, bool) {
	hop := w.hop
	w.hop = transport.Hop{}
	if len(w.more) > 0 {
		w.hop, w.more = w.more[0], w.more[1:]
	}
	return hop, hop != transport.Hop{}
}

// left reports whether there is a next hop to try.
func (w *way) left() bool { return w.hop != transport.Hop{} }

// next is the URI that decides where a copy is sent (16.6 step 7).
func (w *way) next() *sip.URI {
	switch {
	case !w.target.NextHop.IsZero():
		return &w.target.NextHop
	case !w.route.IsZero():
		return &w.route
	}
	return &w.uri
}

// firstRoute returns the URI of the topmost Route value that the copy will
// have, or the zero URI; strict says that it is a strict router (no lr).
func (r *Request) firstRoute(t *Target) (route sip.URI, strict bool, err error) {
	first, ok := r.nextRoute()
	if t.Route != "" {
		ok = true
		for element := range sip.Elements(t.Route) {
			if first, err = sip.ParseNameAddr(element); err != nil {
				return route, false, fmt.Errorf("target's route: %w", err)
			}
			break
		}
	}
	if !ok {
		return sip.URI{}, false, nil
	}
	return first.URI, !first.URI.Params.Has("lr"), nil
}

// mayBlock reports whether sending to a target may take time: a name to look
// up, a connection to open.
func (r *Request) mayBlock(t *Target) bool {
	if !t.Flow.IsZero() {
		return false
	}
	w := way{target: t, uri: r.uri}
	if !t.URI.IsZero() {
		w.uri = t.URI
	}
	var err error
	if w.route, _, err = r.firstRoute(t); err != nil {
		return false
	}
	hop, ok, err := literalHop(w.next())
	return err == nil && (!ok || hop.Protocol.Reliable())
}

// wayOut returns the flow for a copy: the target's own, or one to the next hop
// of the way that can be connected to. The copy leaves from the listener that a
// doubled Record-Route names, else from the one that the request came to, if it
// fits.
func (r *Request) wayOut(ctx context.Context, w *way) (f transport.Flow, err error) {
	if !w.target.Flow.IsZero() {
		return w.target.Flow, nil
	}
	local := r.flow.Local
	if id := r.server.identity.load(); r.outgoing >= 0 && r.outgoing < len(id.places) {
		local = id.places[r.outgoing].listener.Addr
	}
	err = errNoHop
	for {
		hop, ok := w.take()
		if !ok {
			return transport.Flow{}, err
		}
		if f, err = r.connect(ctx, w, hop, local); err == nil {
			return f, nil
		}
	}
}

// connect returns a flow to hop. If a connection has to be opened for it, it
// leaves the reader first.
func (r *Request) connect(ctx context.Context, w *way, hop transport.Hop, local netip.AddrPort) (transport.Flow, error) {
	s := r.server
	if !hop.Protocol.Reliable() {
		return s.layer.Connect(ctx, hop, local)
	}
	if !s.identity.load().listens(hop) {
		return transport.Flow{}, fmt.Errorf("no listener for %v: no answer would find its way", hop)
	}
	if f, err := s.layer.Connect(s.noTime, hop, local); err == nil {
		return f, nil // there is one already, which needs no waiting
	}
	r.detach()
	ctx, stop := w.waiting(ctx)
	defer stop()
	return s.layer.Connect(ctx, hop, local)
}
