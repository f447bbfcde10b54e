package transport

import (
	"context"
	"net"
	"net/netip"
)

// hostNetwork is the operating system's Network.
type hostNetwork struct{}

func (hostNetwork) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	var lc net.ListenConfig
	return lc.ListenPacket(ctx, network, address)
}

func (hostNetwork) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1} // see keepAlive
	return lc.Listen(ctx, network, address)
}

func (hostNetwork) Dial(ctx context.Context, network, local, remote string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	if local != "" {
		ap, err := netip.ParseAddrPort(local)
		if err != nil {
			return nil, err
		}
		if network == "udp4" || network == "udp6" {
			d.LocalAddr = net.UDPAddrFromAddrPort(ap)
		} else {
			d.LocalAddr = net.TCPAddrFromAddrPort(ap)
		}
	}
	return d.DialContext(ctx, network, remote)
}

func (hostNetwork) Addrs() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var ips []netip.Addr
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			ips = append(ips, p.Addr().Unmap())
		}
	}
	return ips, nil
}
