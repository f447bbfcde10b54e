package main

import (
	"fmt"
	"slices"
)

// relays are those that keep transactions and stay in the path.
func relays(of load) []subject {
	t := of.transport()
	return []subject{
		{name: "goser", load: of, command: func(l *lab) ([]string, error) {
			return []string{l.binary("relay"), "-listen", l.listen(t), "-to", l.nextHop(t)}, nil
		}},
		{name: "Kamailio", peer: kamailio, load: of, command: func(l *lab) ([]string, error) {
			return l.kamailioCommand("relay", kamailioConfig{Transport: t})
		}},
		{name: "sipgo", peer: sipgo, load: of, command: func(l *lab) ([]string, error) {
			return []string{l.binary("sipgoproxy"), "-listen", l.listen(t), "-to", fmt.Sprintf("127.0.0.1:%d", l.calleePort())}, nil
		}},
	}
}

func statelessRelays(of load) []subject {
	t := of.transport()
	return []subject{
		{name: "goser", load: of, command: func(l *lab) ([]string, error) {
			return []string{l.binary("relay"), "-stateless", "-listen", l.listen(t), "-to", l.nextHop(t)}, nil
		}},
		{name: "Kamailio", peer: kamailio, load: of, command: func(l *lab) ([]string, error) {
			return l.kamailioCommand("stateless", kamailioConfig{Transport: t})
		}},
	}
}

// registrars keep bindings in memory. connections, if not 0, are how many Kamailio is to be able to hold.
func registrars(of load, connections int, peers ...peer) []subject {
	t := of.transport()
	all := []subject{
		{name: "goser", load: of, command: func(l *lab) ([]string, error) {
			return []string{l.binary("sipserver"), "-listen", l.listen(t), "-domain", "example.org"}, nil
		}},
		{name: "Kamailio", peer: kamailio, load: of, command: func(l *lab) ([]string, error) {
			return l.kamailioCommand("registrar", kamailioConfig{Transport: t, Connections: connections})
		}},
		{name: "sipgo", peer: sipgo, load: of, command: func(l *lab) ([]string, error) {
			return []string{l.binary("sipgoproxy"), "-listen", l.listen(t)}, nil
		}},
	}
	return slices.DeleteFunc(all, func(s subject) bool { return !slices.Contains(peers, s.peer) })
}

func slowRelay(l *lab) ([]string, error) {
	return []string{l.binary("slowrelay"), "-listen", l.listen("udp"), "-to", l.nextHop("udp")}, nil
}

func (l *lab) listen(transport string) string {
	return fmt.Sprintf("%s:127.0.0.1:%d", transport, l.port)
}

func (l *lab) nextHop(transport string) string {
	return fmt.Sprintf("sip:127.0.0.1:%d;transport=%s", l.calleePort(), transport)
}
