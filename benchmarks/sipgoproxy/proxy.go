package main

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"sync"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

type proxy struct {
	client *sipgo.Client
	host   string
	port   int
	next   string   // where requests outside dialogs go
	local  sip.Addr // of the UDP socket, so that one is used both ways

	bindings sync.Map // contact by user
}

// relay forwards a request with a client transaction and its responses with the server transaction.
func (p *proxy) relay(req *sip.Request, tx sip.ServerTransaction) {
	out := p.forwarded(req)
	options := []sipgo.ClientRequestOption{sipgo.ClientRequestDecreaseMaxForward, sipgo.ClientRequestAddVia}
	if req.Method == sip.INVITE || req.Method == sip.SUBSCRIBE {
		options = append(options, sipgo.ClientRequestAddRecordRoute)
	}
	branch, err := p.client.TransactionRequest(context.Background(), out, options...)
	if err != nil {
		slog.Error("request not sent", "error", err, "request", req.StartLine())
		reply(tx, req, sip.StatusInternalServerError, "Server Internal Error")
		return
	}
	if req.IsInvite() {
		tx.OnCancel(func(*sip.Request) { go p.cancel(out) })
		branch.OnRetransmission(func(res *sip.Response) { respond(tx, req, res) })
	}
	for {
		select {
		case res := <-branch.Responses():
			respond(tx, req, res)
			if !res.IsProvisional() {
				return // both transactions live on by their timers, without a goroutine
			}
		case <-branch.Done():
			reply(tx, req, sip.StatusRequestTimeout, "Request Timeout")
			return
		}
	}
}

// forwarded is a copy of the request on its way: the server transaction makes responses of its own from the original.
func (p *proxy) forwarded(req *sip.Request) *sip.Request {
	out := req.Clone()
	out.Laddr = p.local
	if route := out.Route(); route != nil && route.Address.Host == p.host && route.Address.Port == p.port {
		out.RemoveHeader("Route")
	}
	out.SetDestination(p.destination(out))
	return out
}

func (p *proxy) destination(out *sip.Request) string {
	uri := out.Recipient
	if route := out.Route(); route != nil {
		uri = route.Address
	} else if to := out.To(); to == nil || !to.Params.Has("tag") {
		return p.next
	}
	port := uri.Port
	if port == 0 {
		port = sip.DefaultPort(out.Transport())
	}
	return net.JoinHostPort(uri.Host, strconv.Itoa(port))
}

// respond passes a response on, without the Via of this proxy. 100 is for this hop only.
func respond(tx sip.ServerTransaction, req *sip.Request, res *sip.Response) {
	if res.StatusCode == sip.StatusTrying {
		return
	}
	res.RemoveHeader("Via")
	res.SetDestination(req.Source())
	if err := tx.Respond(res); err != nil {
		slog.Error("response not sent", "error", err, "response", res.StartLine())
	}
}

func reply(tx sip.ServerTransaction, req *sip.Request, status int, reason string) {
	if err := tx.Respond(sip.NewResponseFromRequest(req, status, reason, nil)); err != nil {
		slog.Error("no reply", "error", err, "request", req.StartLine())
	}
}

// cancel cancels an INVITE downstream; its own 487 comes with the responses of the INVITE.
func (p *proxy) cancel(invite *sip.Request) {
	req := sip.NewRequest(sip.CANCEL, invite.Recipient)
	req.SipVersion = invite.SipVersion
	req.AppendHeader(sip.HeaderClone(invite.Via()))
	sip.CopyHeaders("Route", invite, req)
	sip.CopyHeaders("From", invite, req)
	sip.CopyHeaders("To", invite, req)
	sip.CopyHeaders("Call-ID", invite, req)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	hops := sip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	req.SetBody(nil)
	req.Laddr = p.local
	req.SetTransport(invite.Transport())
	req.SetDestination(invite.Destination())
	asBuilt := func(*sipgo.Client, *sip.Request) error { return nil }
	if _, err := p.client.Do(context.Background(), req, asBuilt); err != nil {
		slog.Error("CANCEL not answered", "error", err)
	}
}

// ack relays an ACK for a 2xx, which is no part of a transaction.
func (p *proxy) ack(req *sip.Request, _ sip.ServerTransaction) {
	out := p.forwarded(req)
	if err := p.client.WriteRequest(out, sipgo.ClientRequestDecreaseMaxForward, sipgo.ClientRequestAddVia); err != nil {
		slog.Error("ACK not sent", "error", err)
	}
}

// register keeps the contact of a user and says so. It knows neither expiry nor order, which a registrar has to.
func (p *proxy) register(req *sip.Request, tx sip.ServerTransaction) {
	to, contact := req.To(), req.Contact()
	if to == nil || contact == nil {
		reply(tx, req, sip.StatusBadRequest, "Bad Request")
		return
	}
	p.bindings.Store(to.Address.User, contact.Address)
	res := sip.NewResponseFromRequest(req, sip.StatusOK, "OK", nil)
	res.AppendHeader(sip.HeaderClone(contact))
	if err := tx.Respond(res); err != nil {
		slog.Error("no reply", "error", err, "request", req.StartLine())
	}
}

func (p *proxy) options(req *sip.Request, tx sip.ServerTransaction) {
	if req.Recipient.User == "" {
		reply(tx, req, sip.StatusOK, "OK")
		return
	}
	p.relay(req, tx)
}
