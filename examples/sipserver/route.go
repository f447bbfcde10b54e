package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/goser-project/goser/registrar"
	"github.com/goser-project/goser/routing"
	"github.com/goser-project/goser/sip"
)

// proxy is what the routing needs to know.
type proxy struct {
	server    *routing.Server
	registrar *registrar.Registrar
	register  routing.Handler // the registrar's
	domains   []string        // as configured; none: every host that is us
	names     []string        // host names that are us then
	known     *userSet
	log       *slog.Logger
}

// ringTime is how long a group of phones rings before the next is tried.
const ringTime = 60 * time.Second

// route is the server's whole routing logic.
func (p *proxy) route(ctx context.Context, r *routing.Request) error {
	switch {
	case r.InDialog() && !p.isOurs(r.URI()):
		return r.FollowRoute()
	case r.InDialog() && r.URI().User != "":
		return p.toUser(ctx, r) // to his address of record, not to the phone of the dialog
	case r.Method() == sip.ACK || r.Method() == sip.PRACK:
		return routing.Status(sip.StatusCallTransactionDoesNotExist) // nothing outside a dialog
	case r.Method() == sip.REGISTER && p.isDomain(r.URI().Host):
		return p.register.ServeSIP(ctx, r)
	case r.URI().User == "" && (p.isOurs(r.URI()) || p.server.IsLocal(r.URI())):
		return p.toServer(r)
	}
	if r.Method() == sip.INVITE || r.Method() == sip.SUBSCRIBE || r.Method() == sip.REFER {
		r.RecordRoute()
	}
	if p.isOurs(r.URI()) {
		return p.toUser(ctx, r)
	}
	return p.toOthers(r)
}

// toServer answers what is asked of the server itself.
func (p *proxy) toServer(r *routing.Request) error {
	if r.Method() != sip.OPTIONS {
		return routing.Status(sip.StatusNotFound)
	}
	if err := r.CheckRequire(); err != nil {
		return err
	}
	res := sip.NewResponse(sip.StatusOK)
	res.Set(sip.Allow, "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, REFER, INFO, UPDATE, PRACK, PUBLISH")
	res.Set(sip.Accept, "application/sdp")
	return r.Respond(res)
}

// toUser forks to all contacts of a user: equal ones in parallel, then the
// next. 404: there is no such user; 480: he has no phone at the moment.
func (p *proxy) toUser(ctx context.Context, r *routing.Request) error {
	bindings, err := p.registrar.Lookup(ctx, r.URI())
	if err != nil {
		return err
	}
	if len(bindings) == 0 {
		return p.absent(r.URI())
	}
	began := time.Now()
	var res routing.Response
	for group := range registrar.ByQ(bindings) {
		if res = r.Forward(ctx, targets(group)...); res.Done() {
			break
		}
	}
	if r.Method() == sip.INVITE && p.log.Enabled(ctx, slog.LevelDebug) {
		p.log.Debug("call", "from", short(r.Message.From().URI.String()), "to", short(r.URI().String()), "status", res.Status, "after", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// targets are the phones of equal q.
func targets(group []registrar.Binding) []routing.Target {
	var out []routing.Target
	for i := range group {
		b := &group[i]
		out = append(out, routing.Target{URI: b.URI(), Flow: b.Flow, Route: b.Path, Timeout: ringTime})
	}
	return out
}

// absent tells a user without a phone at the moment from one that we never heard of.
func (p *proxy) absent(u sip.URI) routing.Status {
	if p.known.has(u.AOR()) {
		return sip.StatusTemporarilyUnavailable
	}
	return sip.StatusNotFound
}

// toOthers relays to other domains what our own users ask for.
func (p *proxy) toOthers(r *routing.Request) error {
	if p.server.IsLocal(r.URI()) || !r.URI().IsSIP() {
		return routing.Status(sip.StatusNotFound) // no domain that we serve; no gateway for numbers and services
	}
	if !p.isOurs(r.Message.From().URI) {
		return routing.Status(sip.StatusForbidden) // we are no open relay
	}
	return r.Relay()
}

// isOurs reports whether u is in a domain that we serve. Another port of a
// domain's host is somebody else: a phone beside the server.
func (p *proxy) isOurs(u sip.URI) bool {
	return u.IsSIP() && p.isDomain(u.Host) && (u.Port == 0 || p.server.IsLocal(u))
}

func (p *proxy) isDomain(host string) bool {
	if len(p.domains) == 0 {
		return p.server.IsLocal(sip.URI{Scheme: "sip", Host: host})
	}
	return slices.ContainsFunc(p.domains, func(d string) bool { return strings.EqualFold(d, host) })
}

func (p *proxy) serves() string {
	if len(p.domains) == 0 {
		return "every address of this host, and " + strings.Join(p.names, ", ")
	}
	return strings.Join(p.domains, ", ")
}

// short is text that a stranger sent, cut to what a log line can bear.
func short(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

func (p *proxy) logRegistration(e registrar.Event) {
	if e.Kind == registrar.Registered {
		p.known.add(e.AOR)
	}
	if !p.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	p.log.Debug(e.Kind.String(), "user", short(e.AOR), "contact", short(e.Binding.Contact), "flow", e.Binding.Flow.String(), "until", e.Binding.Expires.Format(time.TimeOnly))
}
