//go:build !linux

package transport

import (
	"net/netip"
	"time"
)

// sender leaves everything to package net.
type sender struct{}

func newSender(*socket) *sender { return nil }

func (*sender) send(netip.AddrPort, []byte) (done bool, err error) { return false, nil }
func (*sender) begin(time.Duration)                                {}
func (*sender) push(time.Duration)                                 {}
func (*sender) end()                                               {}
func (*sender) close()                                             {}
