package routing

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/goser-project/goser/sip"
	"github.com/goser-project/goser/transport"
)

// tcpTry bounds how long a large request waits for a TCP connection before it
// goes over UDP in fragments.
const tcpTry = 2 * time.Second

// checkForward is what RFC 3261 16.3 and RFC 5393 ask of a request that is
// going to be forwarded to n targets at once. It returns the Max-Breadth for
// each of them, or the status of the refusal.
func (r *Request) checkForward(n int) (breadth, refusal int) {
	s := r.server
	if v, ok, _ := r.Message.Uint(sip.MaxForwards); ok && v == 0 {
		s.counters.tooManyHops.Add(1)
		return 0, sip.StatusTooManyHops
	}
	if r.looped() {
		s.counters.loops.Add(1)
		return 0, sip.StatusLoopDetected
	}
	breadth = defaultInt(s.MaxBreadth, DefaultMaxBreadth)
	if v, ok, err := r.Message.Uint(sip.MaxBreadth); ok && err == nil {
		breadth = min(breadth, int(v))
	}
	if r.rc != nil {
		given, started := r.rc.branchCount()
		breadth -= given
		if started+n > defaultInt(s.MaxBranches, DefaultMaxBranches) {
			breadth = 0
		}
	}
	if breadth < n {
		s.counters.breadthExceeded.Add(1)
		return 0, sip.StatusMaxBreadthExceeded
	}
	return breadth / n, 0
}

// branchCount returns the Max-Breadth that pending branches were given, and how
// many branches there have been.
func (rc *responseContext) branchCount() (given, started int) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for _, b := range rc.branches {
		given += b.breadth
	}
	return given, rc.started
}

// send makes the branch's copy and sends it. Every failure becomes the
// branch's outcome.
func (r *Request) send(ctx context.Context, b *branch, t *Target, d draft) {
	w, err := r.findWay(ctx, t, b, b.breadth, d)
	if err == nil {
		err = r.sendOn(ctx, b, &w)
	}
	if errors.Is(err, transport.ErrFlowGone) && !t.Flow.IsZero() {
		// The phone's connection is gone; perhaps its contact can be connected to.
		again := *t
		again.Flow = transport.Flow{}
		if w, err = r.findWay(ctx, &again, b, b.breadth, d); err == nil {
			err = r.sendOn(ctx, b, &w)
		}
	}
	if err != nil {
		b.fail(sip.StatusServiceUnavailable, unreachable(err))
	}
}

// sendOn sends the branch's copy to the first next hop that takes it. What is
// left of the way is kept for the case that nobody answers.
func (r *Request) sendOn(ctx context.Context, b *branch, w *way) error {
	for {
		out, err := r.prepare(ctx, w)
		if err == nil {
			if w.left() {
				b.keepWay(r, *w)
			}
			err = b.begin(out, r)
		}
		if err == nil || !w.left() {
			return err
		}
	}
}

// outbound is a copy of a request, ready to send. Its text is the scratch's
// until free.
type outbound struct {
	flow    transport.Flow
	branch  string
	text    []byte
	scratch *scratch
}

func (out *outbound) free(s *Server) {
	if out.scratch != nil {
		s.putScratch(out.scratch)
		*out = outbound{}
	}
}

// prepare takes the next hops off the way until one can be sent to, and writes
// the copy for it.
func (r *Request) prepare(ctx context.Context, w *way) (outbound, error) {
	flow, err := r.wayOut(ctx, w)
	if err != nil {
		return outbound{}, err
	}
	out, err := r.write(w, flow)
	if err != nil || !r.tooLarge(w, &out) {
		return out, err
	}
	if tcp, ok := r.tryTCP(ctx, w, flow); ok {
		out.free(r.server)
		return r.write(w, tcp)
	}
	return out, nil
}

// write makes the copy that leaves on flow (RFC 3261 16.6): the engine's
// changes first, then the handler's.
func (r *Request) write(w *way, flow transport.Flow) (outbound, error) {
	t := w.target
	s := r.server
	_, out := s.placeOf(flow)
	in := out
	if !r.own {
		_, in = s.placeOf(r.flow)
	}
	if in == nil || out == nil {
		return outbound{}, fmt.Errorf("no listener for %v and %v", r.flow, flow)
	}
	sc := s.takeScratch()
	p := &sc.patch
	r.patchRoutes(p)
	if t.Route != "" {
		p.Prepend(sip.Route, t.Route)
	}
	switch {
	case w.strict: // 16.6 step 6
		p.Add(sip.Route, "<"+w.uri.String()+">")
		p.RemoveFirst(sip.Route)
		p.SetRequestURI(requestURI(w.route))
	case !t.URI.IsZero() || r.uriChanged:
		p.SetRequestURI(requestURI(w.uri))
	}
	if w.recordRoute {
		recordRoutes(p, in, out)
	}
	via := r.newVia(in, out)
	if r.own {
		p.Set(sip.Via, via)
	} else {
		p.Prepend(sip.Via, via)
		p.Set(sip.MaxForwards, r.forwardsLeft())
		p.Set(sip.MaxBreadth, strconv.Itoa(w.breadth))
	}
	if w.edit != nil {
		p.Append(w.edit)
	}
	err := s.runEdit(t.Edit, p)
	if err == nil {
		err = p.Err()
	}
	if err != nil {
		s.counters.badEdits.Add(1)
		s.putScratch(sc)
		return outbound{}, err
	}
	sc.text = sip.AppendMessage(sc.text[:0], r.Message, p)
	return outbound{flow, via[len(out.via):], sc.text, sc}, nil
}

// runEdit runs a target's Edit, on whatever goroutine the copy is written; a
// panic in it fails the branch and no more.
func (s *Server) runEdit(edit func(*sip.Patch), p *sip.Patch) (err error) {
	if edit == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			s.counters.panics.Add(1)
			s.logError("edit panicked", "panic", v, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	edit(p)
	return nil
}

// requestURI is u as it may stand in a request line: without method parameter
// and headers (RFC 3261 19.1.1).
func requestURI(u sip.URI) sip.URI {
	u.Params, u.Headers = u.Params.Without("method"), ""
	return u
}

func (r *Request) forwardsLeft() string {
	if v, ok, err := r.Message.Uint(sip.MaxForwards); ok && err == nil {
		return strconv.Itoa(int(v) - 1)
	}
	return strconv.Itoa(DefaultMaxForwards)
}

// tooLarge: "If a request is within 200 bytes of the path MTU, or if it is
// larger than 1300 bytes and the path MTU is unknown, the request MUST be sent
// using an RFC 2914 congestion controlled transport protocol, such as TCP"
// (18.1.1). A target's own flow stays: its phone may be reachable on no other.
func (r *Request) tooLarge(w *way, out *outbound) bool {
	limit := defaultInt(r.server.UDPLimit, DefaultUDPLimit)
	return out.flow.Protocol == transport.UDP && limit > 0 && len(out.text) > limit && w.target.Flow.IsZero()
}

// tryTCP connects to where flow leads, unless that was refused lately or we do
// not listen on TCP.
func (r *Request) tryTCP(ctx context.Context, w *way, flow transport.Flow) (transport.Flow, bool) {
	s := r.server
	hop := transport.Hop{Protocol: transport.TCP, Addr: flow.Remote}
	if s.identity.load().listens(hop) && !s.bigHops.refused(hop) {
		try, cancel := context.WithTimeout(ctx, tcpTry)
		defer cancel()
		tcp, err := r.connect(try, w, hop, flow.Local)
		if err == nil {
			s.counters.movedToTCP.Add(1)
			return tcp, true
		}
		if ctx.Err() == nil && !errors.Is(err, context.Canceled) { // it was the hop that ended it, not the caller
			s.bigHops.remember(hop)
		}
	}
	s.counters.sentFragmented.Add(1)
	return flow, false
}
