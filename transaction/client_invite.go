package transaction

import "time"

// clientInvite is the INVITE client transaction: RFC 3261 figure 5 as replaced by RFC 6026 figure 3, with the cancelling of
// section 9.1 and Timer C of section 16.6.
type clientInvite machine

// start enters Calling. The request has to be sent.
func (m *clientInvite) start(now instant, reliable bool, t *timing) {
	*m = clientInvite{state: calling, reliable: reliable, resend: never, expire: now + t.B, timerC: now + t.C}
	if !reliable {
		m.interval = t.T1
		m.resend = now + t.T1
	}
}

// timeout replaces Timer B.
func (m *clientInvite) timeout(now instant, d time.Duration) {
	if m.state == calling {
		m.expire = now + d
	}
}

// due returns the event of a timer that has fired.
func (m *clientInvite) due(now instant) event {
	return (*machine)(m).fired(now, timerA, m.expiring())
}

// expiring is the timer that expire stands for.
func (m *clientInvite) expiring() event {
	switch m.state {
	case calling:
		return timerB
	case proceeding:
		if m.canceled {
			return timerCanceled
		}
		return timerC
	case completed:
		return timerD
	case accepted:
		return timerM
	}
	return nothing
}

func (m *clientInvite) step(e event, now instant, t *timing) actions {
	switch m.state {
	case calling:
		return m.calling(e, now, t)
	case proceeding:
		return m.proceeding(e, now, t)
	case completed:
		return m.completed(e)
	case accepted:
		return m.accepted(e)
	}
	return 0
}

func (m *clientInvite) calling(e event, now instant, t *timing) actions {
	switch e {
	case timerA:
		m.interval *= 2
		m.resend = now + m.interval
		return sendRequest
	case timerB:
		return tellTimeout | (*machine)(m).terminate()
	case transportError:
		return tellTransport | (*machine)(m).terminate()
	case cancel:
		// "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather, the client MUST wait for
		// the arrival of a provisional response" (9.1).
		m.canceled = true
		return 0
	case response100, response1xx:
		(*machine)(m).enter(proceeding)
		if m.canceled {
			return passUp | m.sendCancel(now, t)
		}
		m.expire = m.timerC
		if e == response1xx {
			m.expire = now + t.C
		}
		return passUp
	}
	return m.final(e, now, t)
}

func (m *clientInvite) proceeding(e event, now instant, t *timing) actions {
	switch e {
	case response100, response1xx:
		// "for any provisional response with status codes 101 to 199 inclusive (i.e., anything but 100) […] the proxy MUST reset
		// timer C" (16.7).
		if e == response1xx && !m.canceled {
			m.expire = now + t.C
		}
		return passUp
	case cancel:
		if m.canceled {
			return 0
		}
		return m.sendCancel(now, t)
	case timerC:
		// The user cancels, or lets it run once more (16.8).
		m.expire = now + t.C
		return tellTimerC
	case timerCanceled:
		return tellTimeout | (*machine)(m).terminate()
	}
	return m.final(e, now, t)
}

// sendCancel starts the time after which "the client SHOULD then consider the original transaction cancelled" (9.1).
func (m *clientInvite) sendCancel(now instant, t *timing) actions {
	m.canceled = true
	m.expire = now + t.B
	return sendCancel
}

// final handles the first final response.
func (m *clientInvite) final(e event, now instant, t *timing) actions {
	switch e {
	case response2xx:
		(*machine)(m).enter(accepted)
		m.expire = now + t.M
		return passUp | forget
	case response3xx:
		(*machine)(m).enter(completed)
		m.expire = (*machine)(m).after(now, t.D)
		return passUp | makeACK
	}
	return 0
}

func (m *clientInvite) completed(e event) actions {
	switch e {
	case response2xx:
		// A proxy downstream forwards a 2xx even after another final response (16.7 step 5). It is a call that somebody has
		// answered, so the user has to know.
		return passUp
	case response3xx:
		return sendACK
	case transportError:
		return tellTransport | (*machine)(m).terminate()
	case timerD:
		return (*machine)(m).terminate()
	}
	return 0
}

func (m *clientInvite) accepted(e event) actions {
	switch e {
	case response2xx:
		return passUp
	case timerM:
		return (*machine)(m).terminate()
	}
	return 0
}
