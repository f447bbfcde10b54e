package transaction

import "time"

// clientNonInvite is the non-INVITE client transaction: RFC 3261 figure 6.
type clientNonInvite machine

// start enters Trying. The request has to be sent.
func (m *clientNonInvite) start(now instant, reliable bool, t *timing) {
	*m = clientNonInvite{state: trying, reliable: reliable, resend: never, expire: now + t.F, timerC: never}
	if !reliable {
		m.interval = t.T1
		m.resend = now + t.T1
	}
}

// timeout replaces Timer F.
func (m *clientNonInvite) timeout(now instant, d time.Duration) {
	if m.state < completed {
		m.expire = now + d
	}
}

// due returns the event of a timer that has fired.
func (m *clientNonInvite) due(now instant) event {
	if m.state == completed {
		return (*machine)(m).fired(now, nothing, timerK)
	}
	return (*machine)(m).fired(now, timerE, timerF)
}

func (m *clientNonInvite) step(e event, now instant, t *timing) actions {
	switch m.state {
	case trying, proceeding:
		return m.pending(e, now, t)
	case completed:
		if e == timerK {
			return (*machine)(m).terminate()
		}
	}
	return 0
}

// pending is Trying and Proceeding, which differ in how far apart the retransmissions are.
func (m *clientNonInvite) pending(e event, now instant, t *timing) actions {
	switch e {
	case timerE:
		if m.interval = min(2*m.interval, t.T2); m.state == proceeding {
			m.interval = t.T2
		}
		m.resend = now + m.interval
		return sendRequest
	case timerF:
		return tellTimeout | (*machine)(m).terminate()
	case transportError:
		return tellTransport | (*machine)(m).terminate()
	case response100, response1xx:
		m.state = proceeding
		return passUp
	case response2xx, response3xx:
		(*machine)(m).enter(completed)
		m.expire = (*machine)(m).after(now, t.K)
		return passUp | forget
	}
	return 0
}
