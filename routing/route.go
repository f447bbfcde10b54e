package routing

import (
	"iter"
	"slices"

	"github.com/goser-project/goser/sip"
)

// doubleRoute marks the two Record-Route values of a request that changed
// sockets (RFC 5658), so that both are removed together on the way back. The
// parameter is the field's own, known to OpenSER's descendants.
const doubleRoute = "r2"

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
	r.undone = r.uri
	r.uri, r.uriChanged = last, true
	r.routes, r.routesFixed = routes[:len(routes)-1], true
	r.ownRoutes++ // a strict router followed our Record-Route
}

// removeOwnRoutes: "If the first value in the Route header field indicates
// this proxy, the proxy MUST remove that value from the request." The second
// value of a doubled Record-Route goes with it and names the socket to leave from.
func (r *Request) removeOwnRoutes(id *identitySnapshot) {
	seen, removed := 0, 0
	double := false
	if !r.undone.IsZero() {
		seen, double = 1, r.undone.Params.Has(doubleRoute)
	}
	for a, err := range r.routeValues() {
		if err != nil || !id.isLocal(&a.URI) || seen == 1 && !double || seen == 2 {
			break
		}
		if seen == 1 {
			r.outgoing = id.placeFor(&a.URI)
		}
		double = a.URI.Params.Has(doubleRoute)
		seen++
		removed++
	}
	if r.routesFixed {
		r.routes = r.routes[removed:]
	}
	r.ownRoutes += removed
}

// routeValues yields what is in Route now, before own values are removed.
func (r *Request) routeValues() iter.Seq2[sip.NameAddr, error] {
	if !r.routesFixed {
		return r.Message.Addresses(sip.Route)
	}
	return func(yield func(sip.NameAddr, error) bool) {
		for _, text := range r.routes {
			if !yield(sip.ParseNameAddr(text)) {
				return
			}
		}
	}
}

// nextRoute returns the topmost Route value that is left, if any.
func (r *Request) nextRoute() (sip.NameAddr, bool) {
	if r.routesFixed {
		if len(r.routes) == 0 {
			return sip.NameAddr{}, false
		}
		a, err := sip.ParseNameAddr(r.routes[0])
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
	if !r.routesFixed {
		for range r.ownRoutes {
			p.RemoveFirst(sip.Route)
		}
		return
	}
	p.Remove(sip.Route)
	for _, text := range slices.Backward(r.routes) {
		p.Prepend(sip.Route, text)
	}
}

// FollowRoute relays a request of a dialog to where its Route and Request-URI
// point (loose routing, RFC 3261 16.12) and does not wait. A request whose
// route set does not lead through this server is refused with 404: it is none
// of ours, and relaying it would make the server an open relay for anyone who
// adds a To tag. An ACK that is none of ours is dropped.
func (r *Request) FollowRoute() error {
	if r.ownRoutes == 0 {
		return Status(sip.StatusNotFound)
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
