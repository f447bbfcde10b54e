package routing

import (
	"slices"

	"github.com/goser-project/goser/sip"
)

// doubleRoute marks the two Record-Route values of a request that changed
// sockets (RFC 5658), so that both are removed together on the way back. The
// parameter is the field's own, known to OpenSER's descendants.
const doubleRoute = "r2"

// strictRoute is what is left of Route once a strict router's doing was undone.
type strictRoute struct {
	own    sip.URI  // our value, which came as Request-URI
	routes []string // the values that remain
}

// preprocess is RFC 3261 16.4: it undoes strict routing, strips an maddr that
// names us, and removes the Route values that do.
func (r *Request) preprocess() {
	id := r.server.identity.load()
	if r.Message.Has(sip.Route) {
		r.undoStrictRoute(id)
		r.removeOwnRoutes(id)
	}
	r.stripMaddr(id)
}

// stripMaddr: "If the Request-URI has a maddr parameter with a value the proxy
// is responsible for, and the request was received using the port and transport
// indicated (explicitly or by default) in the Request-URI, the proxy MUST strip
// the maddr and any non-default port or transport parameter".
func (r *Request) stripMaddr(id *identitySnapshot) {
	maddr, ok := r.uri.Params.Get("maddr")
	if !ok {
		return
	}
	protocol, err := protocolOf(&r.uri)
	port := portOf(&r.uri, protocol)
	if err != nil || protocol != r.flow.Protocol || !id.isLocalHost(maddr, port) || !r.cameTo(id, port) {
		return
	}
	r.uri.Params = r.uri.Params.Without("maddr").Without("transport")
	if port != protocol.DefaultPort() {
		r.uri.Port = 0
	}
	r.uriChanged = true
}

// cameTo reports whether the listener that the request came to has the port,
// itself or as it is advertised.
func (r *Request) cameTo(id *identitySnapshot, port uint16) bool {
	i := id.placeOfFlow(r.flow, r.server.layer.ListenerFor)
	return i >= 0 && (id.places[i].sentBy.port == port || id.places[i].listener.Addr.Port() == port)
}

// undoStrictRoute: "If the Request-URI of the request contains a value this
// proxy previously placed into a Record-Route header field, the proxy MUST
// replace the Request-URI in the request with the last value from the Route
// header field, and remove that value from the Route header field."
func (r *Request) undoStrictRoute(id *identitySnapshot) {
	if r.uri.User != "" || !r.uri.Params.Has("lr") || !id.isLocal(&r.uri) {
		return
	}
	var routes []string
	var last sip.URI
	for a := range r.Message.Addresses(sip.Route) {
		routes = append(routes, a.String())
		last = a.URI
	}
	if len(routes) == 0 {
		return
	}
	r.strict = &strictRoute{own: r.uri, routes: routes[:len(routes)-1]}
	r.uri, r.uriChanged = last, true
	r.ownRoutes++ // a strict router followed our Record-Route
}

// removeOwnRoutes: "If the first value in the Route header field indicates
// this proxy, the proxy MUST remove that value from the request." The second
// value of a doubled Record-Route goes with it and names the socket to leave from.
func (r *Request) removeOwnRoutes(id *identitySnapshot) {
	var own ownRoutes
	if s := r.strict; s == nil {
		for a, err := range r.Message.Addresses(sip.Route) {
			if err != nil || !own.next(r, id, &a.URI) {
				break
			}
		}
	} else {
		own = ownRoutes{seen: 1, double: s.own.Params.Has(doubleRoute)}
		for len(s.routes) > 0 {
			a, err := sip.ParseNameAddr(s.routes[0])
			if err != nil || !own.next(r, id, &a.URI) {
				break
			}
			s.routes = s.routes[1:]
		}
	}
}

// ownRoutes goes through the topmost Route values for those that are ours: one,
// or the two of a doubled Record-Route.
type ownRoutes struct {
	seen   int
	double bool // the one seen is half of a pair
}

// next reports whether u is to be removed as well.
func (o *ownRoutes) next(r *Request, id *identitySnapshot, u *sip.URI) bool {
	if o.seen == 2 || o.seen == 1 && !o.double || !id.isLocal(u) {
		return false
	}
	if o.seen == 1 {
		r.outgoing = id.placeFor(u)
	}
	o.double = u.Params.Has(doubleRoute)
	o.seen++
	r.ownRoutes++
	return true
}

// nextRoute returns the topmost Route value that is left, if any.
func (r *Request) nextRoute() (sip.NameAddr, bool) {
	if r.strict != nil {
		if len(r.strict.routes) == 0 {
			return sip.NameAddr{}, false
		}
		a, err := sip.ParseNameAddr(r.strict.routes[0])
		return a, err == nil
	}
	if !r.Message.Has(sip.Route) {
		return sip.NameAddr{}, false
	}
	skip := r.ownRoutes
	for a, err := range r.Message.Addresses(sip.Route) {
		if skip > 0 {
			skip--
			continue
		}
		return a, err == nil
	}
	return sip.NameAddr{}, false
}

// patchRoutes writes what preprocess decided into a patch.
func (r *Request) patchRoutes(p *sip.Patch) {
	if r.strict == nil {
		for range r.ownRoutes {
			p.RemoveFirst(sip.Route)
		}
		return
	}
	p.Remove(sip.Route)
	for _, text := range slices.Backward(r.strict.routes) {
		p.Prepend(sip.Route, text)
	}
}

// FollowRoute relays a request of a dialog to where its Route and Request-URI
// point (loose routing, RFC 3261 16.12) and does not wait. A request whose
// route set does not lead through this server is refused with ErrNotRouted, as
// it is none of ours; such an ACK is dropped.
//
// It does not know dialogs: anybody can write a To tag and a Route that names
// us. Where the next hops trust this server (gateways that it pays for), ask for
// credentials or check the source before it.
func (r *Request) FollowRoute() error {
	if r.ownRoutes == 0 {
		return ErrNotRouted
	}
	return r.Relay()
}

// recordRoutes adds Record-Route to a copy that leaves from the place out; in
// is where the request came to. The value nearest to the callee is on top.
func recordRoutes(p *sip.Patch, in, out *place) {
	if in.route == out.route {
		p.Prepend(sip.RecordRoute, "<"+out.route+">")
		return
	}
	p.Prepend(sip.RecordRoute, "<"+in.route+";"+doubleRoute+"=on>")
	p.Prepend(sip.RecordRoute, "<"+out.route+";"+doubleRoute+"=on>")
}
