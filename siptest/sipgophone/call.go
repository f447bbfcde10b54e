package sipgophone

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// sdp is the session description of every phone.
const sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"

// AnswerAfter rings at once and answers with 200 after d, unless the caller gives up. It returns when the ACK has come.
func AnswerAfter(d time.Duration) func(*sipgo.DialogServerSession) {
	return func(s *sipgo.DialogServerSession) {
		if d > 0 && !ring(s, d) {
			return
		}
		_ = s.RespondSDP([]byte(sdp))
	}
}

// RejectAfter rings and then answers with a status. Without a pause it does not ring.
func RejectAfter(d time.Duration, status int, reason string) func(*sipgo.DialogServerSession) {
	return func(s *sipgo.DialogServerSession) {
		if d > 0 && !ring(s, d) {
			return
		}
		_ = s.Respond(status, reason, nil)
	}
}

// ring sends a 180 and waits; false if the call has ended in the meantime.
func ring(s *sipgo.DialogServerSession, d time.Duration) bool {
	if s.Respond(sip.StatusRinging, "Ringing", nil) != nil {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.Context().Done():
		return false
	}
}

// Call is an established call.
type Call struct {
	phone    *Phone
	client   *sipgo.DialogClientSession
	server   *sipgo.DialogServerSession
	statuses []int
}

// Call calls and waits for the answer, which it acknowledges. A final response other than 2xx is an error, a
// *sipgo.ErrDialogResponse; the end of ctx sends a CANCEL, waits for the end of the INVITE and returns ctx's error.
func (p *Phone) Call(ctx context.Context, uri string) (*Call, error) {
	req, err := p.request(sip.INVITE, uri)
	if err != nil {
		return nil, err
	}
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody([]byte(sdp))
	s, err := p.callees.WriteInvite(context.WithoutCancel(ctx), req)
	if err != nil {
		return nil, fmt.Errorf("sipgophone: INVITE: %w", err)
	}
	c := &Call{phone: p, client: s}
	err = s.WaitAnswer(ctx, sipgo.AnswerOptions{
		OnResponse: func(res *sip.Response) error {
			c.statuses = append(c.statuses, int(res.StatusCode))
			return nil
		},
		Username: p.aor.User, Password: p.opt.Password,
	})
	if err != nil {
		return c, err
	}
	if err = c.route(); err == nil {
		err = s.Ack(ctx)
	}
	if err != nil {
		return c, fmt.Errorf("sipgophone: ACK: %w", err)
	}
	return c, nil
}

// route refuses a dialog whose requests would go to a name: that of the first Route, or of the Contact.
func (c *Call) route() error {
	contact := c.contact()
	if contact == nil {
		return errors.New("sipgophone: the other side has no Contact")
	}
	next := contact.Address
	var first sip.Header
	if c.client != nil {
		if rr := c.client.InviteResponse.GetHeaders("Record-Route"); len(rr) > 0 {
			first = rr[len(rr)-1]
		}
	} else {
		first = c.server.InviteRequest.GetHeader("Record-Route")
	}
	if first != nil {
		if _, err := sip.ParseAddressValue(first.Value(), &next, nil); err != nil {
			return fmt.Errorf("sipgophone: Record-Route: %w", err)
		}
	}
	return literal(next)
}

// contact returns the Contact of the other side.
func (c *Call) contact() *sip.ContactHeader {
	if c.client != nil {
		return c.client.InviteResponse.Contact()
	}
	return c.server.InviteRequest.Contact()
}

// WaitCall waits for a call that the phone has answered and whose ACK has come; each is returned once.
func (p *Phone) WaitCall(ctx context.Context) (*Call, error) {
	for {
		p.mu.Lock()
		if len(p.answered) > 0 {
			s := p.answered[0]
			p.answered = p.answered[1:]
			p.mu.Unlock()
			return &Call{phone: p, server: s}, nil
		}
		arrived := p.arrived
		p.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Statuses returns the statuses of the responses to the INVITE that sipgo has passed on.
func (c *Call) Statuses() []int { return c.statuses }

// Ended is closed when the call has ended.
func (c *Call) Ended() <-chan struct{} {
	if c.client != nil {
		return c.client.Context().Done()
	}
	return c.server.Context().Done()
}

// Hangup sends a BYE and waits for its 200.
func (c *Call) Hangup(ctx context.Context) error {
	if err := c.route(); err != nil {
		return err
	}
	bye := c.phone.bye(c.contact())
	if c.client != nil {
		return c.client.WriteBye(ctx, bye)
	}
	return c.server.WriteBye(ctx, bye)
}

// bye makes a BYE that leaves from the phone's socket: sipgo's own leaves from where it finds one.
func (p *Phone) bye(contact *sip.ContactHeader) *sip.Request {
	req := sip.NewRequest(sip.BYE, *contact.Address.Clone())
	req.SetTransport("UDP")
	req.Laddr = p.local
	return req
}
