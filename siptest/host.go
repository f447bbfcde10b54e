package siptest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/goser-project/goser/transport"
)

var _ transport.Network = (*Host)(nil)

const firstEphemeral = 49152

// Host is a machine on a Network. It opens sockets as the operating system would, and is a transport.Network: a
// stack that is given it runs on it.
type Host struct {
	net   *Network
	name  string
	index int
	addrs []netip.Addr

	// Under the network's lock.
	packets   map[netip.AddrPort]*packetConn
	listeners map[netip.AddrPort]*listener
	port      uint16 // the next ephemeral port to try
}

// Name returns the name of the host in ladders.
func (h *Host) Name() string { return h.name }

// String returns the name.
func (h *Host) String() string { return h.name }

// Network returns the network that the host is on.
func (h *Host) Network() *Network { return h.net }

// Addr returns the first address of the host.
func (h *Host) Addr() netip.Addr { return h.addrs[0] }

// AddrPort returns the first address with a port.
func (h *Host) AddrPort(port uint16) netip.AddrPort { return netip.AddrPortFrom(h.addrs[0], port) }

// Addrs returns the addresses of the host. It never fails.
func (h *Host) Addrs() ([]netip.Addr, error) { return slices.Clone(h.addrs), nil }

// ListenPacket opens a datagram socket: network is "udp", "udp4" or "udp6", address an address of the host, an
// unspecified one or none, with a port; port 0 takes a free one. The socket has deadlines, *net.UDPAddr addresses and
// net.ErrClosed as one of the operating system; WriteTo never waits.
func (h *Host) ListenPacket(_ context.Context, network, address string) (net.PacketConn, error) {
	addr, err := h.parse(network, "udp", address)
	if err != nil {
		return nil, opError("listen", network, nil, err)
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	c, err := h.bind(addr)
	if err != nil {
		return nil, opError("listen", network, net.UDPAddrFromAddrPort(addr), err)
	}
	return c, nil
}

// Listen opens a listening socket for streams: network is "tcp", "tcp4" or "tcp6"; for the address see ListenPacket.
func (h *Host) Listen(_ context.Context, network, address string) (net.Listener, error) {
	addr, err := h.parse(network, "tcp", address)
	if err != nil {
		return nil, opError("listen", network, nil, err)
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if err := h.owns(addr.Addr()); err != nil {
		return nil, opError("listen", network, net.TCPAddrFromAddrPort(addr), err)
	}
	if addr.Port() == 0 {
		addr = netip.AddrPortFrom(addr.Addr(), h.freePort(func(p uint16) bool {
			return h.listeners[netip.AddrPortFrom(addr.Addr(), p)] == nil
		}))
	}
	if h.listeners[addr] != nil {
		return nil, opError("listen", network, net.TCPAddrFromAddrPort(addr), os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	l := newListener(h, addr)
	h.listeners[addr] = l
	return l, nil
}

// Dial opens a stream ("tcp") to a listener of another host, or a connected datagram socket ("udp"). local is the
// address to come from, "" for the host's first of the family. Without a listener the dial is refused after a round
// trip; through a partition it waits until ctx ends.
func (h *Host) Dial(ctx context.Context, network, local, remote string) (net.Conn, error) {
	proto := strings.TrimRight(network, "46")
	to, err := netip.ParseAddrPort(remote)
	if err != nil {
		return nil, opError("dial", network, nil, &net.AddrError{Err: "not an IP literal and a port", Addr: remote})
	}
	to = unmap(to)
	if local == "" {
		local = ":0"
	}
	from, err := h.parse(network, proto, local)
	if err != nil {
		return nil, opError("dial", network, nil, err)
	}
	if from.Addr().IsUnspecified() {
		a, ok := h.sourceFor(to.Addr())
		if !ok {
			return nil, opError("dial", network, nil, os.NewSyscallError("connect", syscall.ENETUNREACH))
		}
		from = netip.AddrPortFrom(a, from.Port())
	}
	if err := h.owns(from.Addr()); err != nil {
		return nil, opError("dial", network, nil, err)
	}
	switch proto {
	case "udp":
		return h.dialPacket(network, from, to)
	case "tcp":
		return h.dialStream(ctx, network, from, to)
	}
	return nil, opError("dial", network, nil, net.UnknownNetworkError(network))
}

// parse reads an address to bind to. A missing host is the unspecified address of IPv6, which takes both families.
func (h *Host) parse(network, proto, address string) (netip.AddrPort, error) {
	if strings.TrimRight(network, "46") != proto || proto == "" {
		return netip.AddrPort{}, net.UnknownNetworkError(network)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, &net.AddrError{Err: "invalid port", Addr: address}
	}
	a := netip.IPv6Unspecified()
	switch {
	case host != "":
		if a, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, &net.AddrError{Err: "not an IP literal", Addr: address}
		}
		a = a.Unmap()
	case strings.HasSuffix(network, "4"):
		a = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(a, uint16(p)), nil
}

// owns checks that an address may be bound.
func (h *Host) owns(a netip.Addr) error {
	if a.IsUnspecified() || slices.Contains(h.addrs, a) {
		return nil
	}
	return os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)
}

// sourceFor returns the address that datagrams to a leave from when the socket does not say.
func (h *Host) sourceFor(to netip.Addr) (netip.Addr, bool) {
	for _, a := range h.addrs {
		if a.Is4() == to.Is4() {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// freePort returns the next port from the ephemeral range that is free, 0 if none is. The lock is held.
func (h *Host) freePort(free func(uint16) bool) uint16 {
	for range 65536 - firstEphemeral {
		p := h.port
		if h.port++; h.port == 0 {
			h.port = firstEphemeral
		}
		if free(p) {
			return p
		}
	}
	return 0
}

// lookup finds what is bound to an address: exactly, or to the unspecified one with the same port.
func lookup[T any](m map[netip.AddrPort]*T, addr netip.AddrPort) *T {
	if s := m[addr]; s != nil {
		return s
	}
	if addr.Addr().Is4() {
		if s := m[netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())]; s != nil {
			return s
		}
	}
	return m[netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())]
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// addrPort reads a net.Addr of any type.
func addrPort(a net.Addr) (netip.AddrPort, error) {
	switch a := a.(type) {
	case *net.UDPAddr:
		return unmap(a.AddrPort()), nil
	case *net.TCPAddr:
		return unmap(a.AddrPort()), nil
	case nil:
		return netip.AddrPort{}, &net.AddrError{Err: "missing address"}
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("siptest: %w", err)
	}
	return unmap(p), nil
}

func opError(op, network string, local net.Addr, err error) error {
	return &net.OpError{Op: op, Net: network, Source: local, Err: err}
}
