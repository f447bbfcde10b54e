package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Listen opens sockets for p, receives from them, and returns them as they came to be. A concrete address gives one
// socket; with port 0 the host chooses the port. An unspecified address (0.0.0.0 for IPv4, [::] for IPv6, the zero
// netip.Addr for both) gives one socket for each address of the host, because Via and Record-Route must name one:
// loopback included, IPv6 link-local not. If one cannot be opened, none is. Others are told advertise ("host" or
// "host:port") if it is not "". ctx is for the opening only.
func (l *Layer) Listen(ctx context.Context, p Protocol, addr netip.AddrPort, advertise string) ([]Listener, error) {
	addrs, err := l.expand(addr)
	if err != nil {
		return nil, fmt.Errorf("transport: listen %v %v: %w", p, addr, err)
	}
	var opened []endpoint
	for _, a := range addrs {
		e, err := l.open(ctx, p, a, advertise)
		if err != nil {
			for _, e := range opened {
				e.Close()
			}
			return nil, fmt.Errorf("transport: listen %v %v: %w", p, a, err)
		}
		opened = append(opened, e)
	}
	var listeners []Listener
	for _, e := range opened {
		err = errors.Join(err, l.add(e))
		listeners = append(listeners, e.listener())
	}
	if err != nil {
		return nil, ErrClosed
	}
	return listeners, nil
}

// ServePacket receives datagrams from pc, which the Layer owns from now on: it closes pc at Shutdown, and when it
// returns an error. The local address of pc must be concrete. A pc that has ReadFromUDPAddrPort and WriteToUDPAddrPort
// as *net.UDPConn has them is read and written without an allocation for each packet.
func (l *Layer) ServePacket(pc net.PacketConn, advertise string) (Listener, error) {
	s, err := l.newSocket(pc, advertise)
	if err != nil {
		return Listener{}, fmt.Errorf("transport: serve %v: %w", pc.LocalAddr(), err)
	}
	return s.ls, l.add(s)
}

// ServeStream accepts TCP connections from ln, which the Layer owns from now on: it closes ln at Shutdown, and when it
// returns an error. The address of ln must be concrete.
func (l *Layer) ServeStream(ln net.Listener, advertise string) (Listener, error) {
	a, err := l.newAcceptor(ln, advertise)
	if err != nil {
		return Listener{}, fmt.Errorf("transport: serve %v: %w", ln.Addr(), err)
	}
	return a.ls, l.add(a)
}

// expand returns the concrete addresses that addr stands for.
func (l *Layer) expand(addr netip.AddrPort) ([]netip.AddrPort, error) {
	ip := addr.Addr().Unmap()
	if ip.IsValid() && !ip.IsUnspecified() {
		return []netip.AddrPort{netip.AddrPortFrom(ip, addr.Port())}, nil
	}
	host, err := l.cfg.Network.Addrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.AddrPort
	for _, a := range host {
		a = a.Unmap()
		linkLocal := a.Is6() && a.IsLinkLocalUnicast()
		if a.IsUnspecified() || a.IsMulticast() || linkLocal || ip.IsValid() && ip.Is4() != a.Is4() {
			continue
		}
		addrs = append(addrs, netip.AddrPortFrom(a, addr.Port()))
	}
	if len(addrs) == 0 {
		return nil, errors.New("the host has no such address")
	}
	return addrs, nil
}

// open opens one endpoint at a concrete address.
func (l *Layer) open(ctx context.Context, p Protocol, addr netip.AddrPort, advertise string) (endpoint, error) {
	if l.closing.Load() {
		return nil, ErrClosed
	}
	switch p {
	case UDP:
		pc, err := l.cfg.Network.ListenPacket(ctx, network("udp", addr), addr.String())
		if err != nil {
			return nil, err
		}
		return l.newSocket(pc, advertise)
	case TCP:
		ln, err := l.cfg.Network.Listen(ctx, network("tcp", addr), addr.String())
		if err != nil {
			return nil, err
		}
		return l.newAcceptor(ln, advertise)
	}
	return nil, ErrUnsupported
}

// newListener checks what every endpoint needs.
func (l *Layer) newListener(p Protocol, local net.Addr, advertise string) (Listener, error) {
	addr, ok := addrPort(local)
	switch {
	case !ok || addr.Addr().IsUnspecified():
		return Listener{}, errors.New("the address of a listener must be concrete")
	case l.cfg.Receive == nil:
		return Listener{}, errNoReceive
	case p != UDP && l.cfg.NewSplitter == nil:
		return Listener{}, errNoSplitter
	case strings.ContainsFunc(advertise, noHostPort):
		return Listener{}, fmt.Errorf("advertised address %q is not a host with or without a port", advertise)
	}
	return Listener{Protocol: p, Addr: addr, Advertise: advertise}, nil
}

// noHostPort says that r cannot be in a host with a port.
func noHostPort(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`;,<>@"/?`, r) }

// network is the name that package net has for base ("udp", "tcp") in the family of addr.
func network(base string, addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return base + "4"
	}
	return base + "6"
}

// addrPort converts what package net gives, unmapped.
func addrPort(a net.Addr) (netip.AddrPort, bool) {
	var ap netip.AddrPort
	switch a := a.(type) {
	case nil:
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return unmap(ap), ap.IsValid()
}

func unmap(ap netip.AddrPort) netip.AddrPort {
	if ap.Addr().Is4In6() {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return ap
}
