package sipgophone

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/goser-project/goser/siptest"
)

// Options are the settings of a Phone. The zero value answers calls at once and sends requests to the host of their
// URI.
type Options struct {
	// Proxy is the outbound proxy, which gets what is sent outside of dialogs.
	Proxy netip.AddrPort
	// Port of the socket; 0 means 5060.
	Port uint16
	// TCP accepts connections on the same port.
	TCP bool
	// Answer answers a call; nil means AnswerAfter(0). It runs on a goroutine of sipgo and has the call for itself;
	// sipgo answers a CANCEL by itself and ends the dialog's Context.
	Answer func(*sipgo.DialogServerSession)
	// Password answers digest challenges for the user of the address of record.
	Password string
	// Logger is what sipgo logs to; nil is silent.
	Logger *slog.Logger
}

// Phone is a user agent of sipgo on a host.
type Phone struct {
	UA     *sipgo.UserAgent
	Server *sipgo.Server
	Client *sipgo.Client

	t       testing.TB
	opt     Options
	aor     sip.Uri
	contact sip.ContactHeader
	local   sip.Addr
	callers *sipgo.DialogServerCache // dialogs of those who called us
	callees *sipgo.DialogClientCache
	socket  net.PacketConn
	stream  net.Listener
	running sync.WaitGroup
	close   sync.Once

	mu       sync.Mutex
	register *sip.Request // the latest; the next one continues its Call-ID and CSeq
	answered []*sipgo.DialogServerSession
	arrived  chan struct{} // closed and replaced when a call has been answered
}

// NewPhone starts a phone on the first address of a host. aor is its address of record, "sip:alice@example.org". It is
// closed at the end of the test.
func NewPhone(t testing.TB, h *siptest.Host, aor string, opt Options) *Phone {
	t.Helper()
	if opt.Port == 0 {
		opt.Port = 5060
	}
	if opt.Answer == nil {
		opt.Answer = AnswerAfter(0)
	}
	p := &Phone{t: t, opt: opt, arrived: make(chan struct{})}
	if err := p.start(h, aor); err != nil {
		t.Fatalf("sipgophone: %s: %v", h, err)
	}
	return p
}

func (p *Phone) start(h *siptest.Host, aor string) error {
	if err := sip.ParseUri(aor, &p.aor); err != nil {
		return fmt.Errorf("the address of record %q: %w", aor, err)
	}
	at := h.AddrPort(p.opt.Port)
	host := at.Addr().String()
	if at.Addr().Is6() {
		host = "[" + host + "]"
	}
	p.local = sip.Addr{IP: at.Addr().AsSlice(), Port: int(at.Port()), Hostname: at.Addr().String()}
	p.contact = sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: p.aor.User, Host: host, Port: int(at.Port())}}

	log := p.opt.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var err error
	p.UA, err = sipgo.NewUA(
		sipgo.WithUserAgent(p.aor.User),
		sipgo.WithUserAgentHostname(p.aor.Host),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(log)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(log), sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {})),
	)
	if err != nil {
		return err
	}
	p.t.Cleanup(p.Close)
	if p.Server, err = sipgo.NewServer(p.UA, sipgo.WithServerLogger(log)); err != nil {
		return err
	}
	p.Client, err = sipgo.NewClient(p.UA, sipgo.WithClientLogger(log), sipgo.WithClientNAT(),
		sipgo.WithClientHostname(host), sipgo.WithClientPort(int(at.Port())), sipgo.WithClientConnectionAddr(at.String()))
	if err != nil {
		return err
	}
	p.callers = sipgo.NewDialogServerCache(p.Client, p.contact)
	p.callees = sipgo.NewDialogClientCache(p.Client, p.contact)
	p.handle()
	return p.listen(h, at.String())
}

// listen opens the sockets and waits until sipgo reads from them: before, it would not find them to send from.
func (p *Phone) listen(h *siptest.Host, addr string) error {
	socket, err := h.ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return err
	}
	p.socket = socket
	ready := make(chan struct{})
	p.running.Go(func() { _ = p.Server.ServeUDP(&announced{PacketConn: socket, ready: ready}) })
	<-ready
	if !p.opt.TCP {
		return nil
	}
	if p.stream, err = h.Listen(context.Background(), "tcp", addr); err != nil {
		return err
	}
	p.running.Go(func() { _ = p.Server.ServeTCP(p.stream) })
	return nil
}

// announced is a socket that tells of its first read.
type announced struct {
	net.PacketConn
	once  sync.Once
	ready chan struct{}
}

func (c *announced) ReadFrom(b []byte) (int, net.Addr, error) {
	c.once.Do(func() { close(c.ready) })
	return c.PacketConn.ReadFrom(b)
}

// Close ends the phone without a word to anyone.
func (p *Phone) Close() {
	p.close.Do(func() {
		p.UA.Close()
		if p.socket != nil {
			p.socket.Close()
		}
		if p.stream != nil {
			p.stream.Close()
		}
	})
	p.running.Wait()
}

// Contact returns the URI of the phone's Contact.
func (p *Phone) Contact() string { return p.contact.Address.String() }

// handle mounts what a phone answers.
func (p *Phone) handle() {
	p.Server.OnInvite(func(req *sip.Request, tx sip.ServerTransaction) {
		d, err := p.callers.ReadInvite(req, tx)
		if err != nil {
			_ = tx.Respond(sip.NewResponseFromRequest(req, sip.StatusBadRequest, err.Error(), nil))
			return
		}
		p.opt.Answer(d)
		if d.LoadState() == sip.DialogStateConfirmed {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.answered = append(p.answered, d)
			close(p.arrived)
			p.arrived = make(chan struct{})
		}
	})
	p.Server.OnAck(func(req *sip.Request, tx sip.ServerTransaction) { _ = p.callers.ReadAck(req, tx) })
	p.Server.OnBye(func(req *sip.Request, tx sip.ServerTransaction) {
		if p.callers.ReadBye(req, tx) != nil && p.callees.ReadBye(req, tx) != nil {
			_ = tx.Respond(sip.NewResponseFromRequest(req, sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist", nil))
		}
	})
	ok := func(req *sip.Request, tx sip.ServerTransaction) {
		_ = tx.Respond(sip.NewResponseFromRequest(req, sip.StatusOK, "OK", nil))
	}
	p.Server.OnOptions(ok)
	p.Server.OnMessage(ok)
	p.Server.OnInfo(ok)
	p.Server.OnNotify(ok)
}

// request makes a request outside of a dialog.
func (p *Phone) request(method sip.RequestMethod, uri string) (*sip.Request, error) {
	var to sip.Uri
	if err := sip.ParseUri(uri, &to); err != nil {
		return nil, fmt.Errorf("sipgophone: %q: %w", uri, err)
	}
	req := sip.NewRequest(method, to)
	req.SetTransport("UDP")
	if p.opt.Proxy.IsValid() {
		req.AppendHeader(sip.NewHeader("Route", "<sip:"+p.opt.Proxy.String()+";lr>"))
		return req, nil
	}
	return req, literal(to)
}

// literal refuses a URI that sipgo would look up: the net package keeps channels of the first lookup for the whole
// process, and those of a bubble end with it.
func literal(uri sip.Uri) error {
	if _, err := netip.ParseAddr(strings.Trim(uri.Host, "[]")); err != nil {
		return fmt.Errorf("sipgophone: %s: there are no names in a siptest network", uri.String())
	}
	return nil
}

// Do sends a request outside of a dialog and waits for its final response; a challenge is answered if there is a
// password.
func (p *Phone) Do(ctx context.Context, method string, uri string, headers ...sip.Header) (*sip.Response, error) {
	req, err := p.request(sip.RequestMethod(method), uri)
	if err != nil {
		return nil, err
	}
	for _, h := range headers {
		req.AppendHeader(h)
	}
	return p.do(ctx, req)
}

func (p *Phone) do(ctx context.Context, req *sip.Request, options ...sipgo.ClientRequestOption) (*sip.Response, error) {
	res, err := p.Client.Do(ctx, req, options...)
	if err != nil || p.opt.Password == "" || res.StatusCode != sip.StatusUnauthorized && res.StatusCode != sip.StatusProxyAuthRequired {
		return res, err
	}
	return p.Client.DoDigestAuth(ctx, req, res, sipgo.DigestAuth{Username: p.aor.User, Password: p.opt.Password})
}

// Register sends a REGISTER for the address of record and waits for its final response. expires is in whole seconds; 0
// takes the binding back. A phone registers once at a time.
func (p *Phone) Register(ctx context.Context, expires time.Duration) (*sip.Response, error) {
	req, err := p.nextRegister()
	if err != nil {
		return nil, err
	}
	req.AppendHeader(sip.NewHeader("Expires", strconv.Itoa(int(expires/time.Second))))
	res, err := p.do(ctx, req, sipgo.ClientRequestRegisterBuild)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.register = req
	return res, err
}

// nextRegister makes the REGISTER that follows the latest: with its Call-ID and CSeq (RFC 3261 section 10.2), which
// sipgo increments.
func (p *Phone) nextRegister() (*sip.Request, error) {
	p.mu.Lock()
	latest := p.register
	p.mu.Unlock()
	if latest != nil {
		req := latest.Clone()
		req.RemoveHeader("Via")
		req.RemoveHeader("Expires")
		return req, nil
	}
	req, err := p.request(sip.REGISTER, "sip:"+p.aor.Host)
	if err != nil {
		return nil, err
	}
	req.AppendHeader(&sip.ToHeader{Address: p.aor, Params: sip.NewParams()})
	req.AppendHeader(&p.contact)
	return req, nil
}
