package siptest

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/goser-project/goser/sip"
)

// hop is where a message goes, or came from.
type hop struct {
	proto string // as in a Via
	addr  netip.AddrPort
	local netip.AddrPort
	conn  *phoneConn // nil: one to addr is looked for, and else dialed
}

func (h hop) reliable() bool { return h.proto != "UDP" }

// outgoing is a message that waits for the lock to be released.
type outgoing struct {
	to   hop
	text string
}

// phoneConn is a connection of a phone. Its writes are not torn, so it needs no lock; one that is held while a write
// waits would stop the clock of the bubble.
type phoneConn struct {
	net.Conn
	remote netip.AddrPort
}

// send sends a message once the lock is released. The lock is held.
func (p *Phone) send(to hop, text string) { p.outbox = append(p.outbox, outgoing{to, text}) }

// release unlocks and sends what is waiting.
func (p *Phone) release() {
	out := p.outbox
	p.outbox = nil
	p.mu.Unlock()
	for _, o := range out {
		p.transmit(o)
	}
}

// transmit sends. What cannot be sent is lost, as it would be on the network.
func (p *Phone) transmit(o outgoing) {
	if o.to.proto == "UDP" {
		if c := p.socketFor(o.to); c != nil {
			_, _ = c.WriteToUDPAddrPort([]byte(o.text), o.to.addr)
		}
		return
	}
	if c := p.connTo(o.to); c != nil {
		_, _ = c.Write([]byte(o.text))
	}
}

// socketFor returns the socket that a datagram to a hop leaves from.
func (p *Phone) socketFor(h hop) *packetConn {
	for _, c := range p.sockets {
		if h.local.IsValid() && c.local == h.local || !h.local.IsValid() && c.local.Addr().Is4() == h.addr.Addr().Is4() {
			return c
		}
	}
	return nil
}

// connTo returns the connection to a hop, or dials one; nil if that fails or the phone is closed.
func (p *Phone) connTo(h hop) *phoneConn {
	if c := p.known(h); c != nil {
		return c
	}
	select {
	case p.dialing <- struct{}{}:
	case <-p.ctx.Done():
		return nil
	}
	defer func() { <-p.dialing }()
	if c := p.known(h); c != nil { // somebody else was faster
		return c
	}
	c, err := p.host.Dial(p.ctx, "tcp", "", h.addr.String())
	if err != nil {
		return nil
	}
	return p.serve(c)
}

// known returns the connection to a hop if there is one.
func (p *Phone) known(h hop) *phoneConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		if c == h.conn || h.conn == nil && c.remote == h.addr {
			return c
		}
	}
	return nil
}

// serve reads a connection until it ends.
func (p *Phone) serve(conn net.Conn) *phoneConn {
	remote, _ := addrPort(conn.RemoteAddr())
	c := &phoneConn{Conn: conn, remote: remote}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		conn.Close()
		return nil
	}
	p.conns = append(p.conns, c)
	p.running.Go(func() { p.readStream(c) })
	return c
}

func (p *Phone) accept(ln *listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		p.serve(c)
	}
}

func (p *Phone) readPackets(c *packetConn) {
	b := make([]byte, 65536)
	for {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		p.receive(string(b[:n]), hop{proto: "UDP", addr: from, local: c.local})
	}
}

func (p *Phone) readStream(c *phoneConn) {
	defer func() {
		p.mu.Lock()
		p.conns = slices.DeleteFunc(p.conns, func(o *phoneConn) bool { return o == c })
		p.mu.Unlock()
		c.Close()
	}()
	local, _ := addrPort(c.LocalAddr())
	var f framer
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		for _, m := range f.add(b[:n]) {
			p.receive(string(m), hop{proto: "TCP", addr: c.remote, local: local, conn: c})
		}
		if f.silent {
			p.mu.Lock()
			p.violate("", "the connection from %v carries what is not SIP (RFC 3261 section 18.3)", c.remote)
			p.release()
			return
		}
		if err != nil {
			return
		}
	}
}

// CloseConnections closes the connections that the phone has, as a phone that loses its network does; it dials again
// when it has something to send.
func (p *Phone) CloseConnections() {
	p.mu.Lock()
	conns := p.conns
	p.conns = nil
	p.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

// receive takes a message in.
func (p *Phone) receive(text string, from hop) {
	p.mu.Lock()
	defer p.release()
	if p.closed {
		return
	}
	if strings.Trim(text, "\r\n") == "" {
		if text == "\r\n\r\n" && from.reliable() { // RFC 5626 section 4.4.1
			p.send(from, "\r\n")
		}
		return
	}
	var parser sip.Parser
	m, err := parser.Parse([]byte(text), from.addr)
	if err != nil {
		p.violate(text, "a message from %v cannot be read: %v", from.addr, err)
		return
	}
	if err := m.Validate(); err != nil {
		p.violate(text, "a message from %v is wrong: %v", from.addr, err)
	}
	if m.IsRequest() {
		p.request(m, text, from)
	} else {
		p.response(m, text)
	}
	p.cond.Broadcast()
}

// way returns the next hop for a request: the topmost Route, or else the Request-URI (RFC 3261 section 8.1.2), or the
// proxy, before them outside of dialogs and after them within. The lock is held.
func (p *Phone) way(uri string, routes []string, inDialog bool) (hop, bool) {
	h := hop{proto: p.opt.Transport, addr: p.opt.Proxy}
	if h.addr.IsValid() && !inDialog && len(routes) == 0 {
		return h, true
	}
	u, err := sip.ParseURI(uri)
	if len(routes) > 0 {
		var a sip.NameAddr
		a, err = sip.ParseNameAddr(routes[0])
		u = a.URI
	}
	if err == nil {
		if addr, ok := u.Addr(); ok {
			port := u.Port
			if port == 0 {
				port = 5060
			}
			h.addr = netip.AddrPortFrom(addr, port)
			if t := u.Transport(); t != "" {
				h.proto = strings.ToUpper(t)
			}
		}
	}
	return h, h.addr.IsValid()
}

// sentBy returns what a Via for a hop says of the sender. The lock is held.
func (p *Phone) sentBy(h hop) string {
	for _, a := range p.host.addrs {
		if a.Is4() == h.addr.Addr().Is4() {
			return netip.AddrPortFrom(a, p.opt.Port).String()
		}
	}
	return p.host.AddrPort(p.opt.Port).String()
}
