//go:build !linux

package transport

import "net/netip"

// sender leaves everything to package net.
type sender struct{}

func newSender(*socket) *sender { return nil }

func (*sender) send(netip.AddrPort, []byte) (done bool, err error) { return false, nil }
func (*sender) begin()                                             {}
func (*sender) push(end bool)                                      {}
