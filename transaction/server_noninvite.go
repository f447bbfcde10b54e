package transaction

// serverNonInvite is the non-INVITE server transaction: RFC 3261 figure 8 with the rules of RFC 4320.
type serverNonInvite machine

// start enters Trying. The request has to be passed to the user.
func (m *serverNonInvite) start(now instant, reliable bool, t *timing) {
	*m = serverNonInvite{state: trying, reliable: reliable, resend: now + t.late, expire: now + t.F, timerC: never}
}

// due returns the event of a timer that has fired.
func (m *serverNonInvite) due(now instant) event {
	if m.state == completed {
		return (*machine)(m).fired(now, nothing, timerJ)
	}
	return (*machine)(m).fired(now, timerTrying, timerUseless)
}

func (m *serverNonInvite) step(e event, now instant, t *timing) actions {
	if e == drop && m.state != terminated {
		return (*machine)(m).terminate()
	}
	switch m.state {
	case trying, proceeding:
		return m.pending(e, now, t)
	case completed:
		return m.completed(e, now, t)
	}
	return refuseResponse(e)
}

// pending is Trying and Proceeding, which differ in whether there is a response to send again.
func (m *serverNonInvite) pending(e event, now instant, t *timing) actions {
	switch e {
	case request:
		if m.state == proceeding {
			return sendAgain
		}
		return 0
	case timerTrying:
		// "Without regard to transport, an SIP element MUST respond to a non-INVITE request with a Status-Code of 100 if it has
		// not otherwise responded after the amount of time it takes a client transaction's Timer E to be reset to T2" (RFC 4320
		// section 4.1).
		m.state, m.resend = proceeding, never
		return send100
	case response100:
		// "An SIP element MUST NOT respond to a non-INVITE request with a Status-Code of 100 over any unreliable transport, such
		// as UDP, before" that time (the same).
		if m.state == trying && !m.reliable {
			return refuse
		}
		m.state, m.resend = proceeding, never
		return sendResponse | keep
	case response1xx:
		// "An SIP element MUST NOT send any provisional response with a Status-Code other than 100 to a non-INVITE request" (the
		// same).
		return refuse
	case response2xx, response3xx:
		return m.respond(now, t)
	case timerUseless:
		// "an element that cannot respond before the transaction expires will not send a final response at all" (RFC 4320 section
		// 4.2).
		return tellTimeout | (*machine)(m).terminate()
	}
	return 0
}

func (m *serverNonInvite) respond(now instant, t *timing) actions {
	(*machine)(m).enter(completed)
	m.unsent = false
	m.expire = (*machine)(m).after(now, t.J)
	return sendResponse | keep
}

func (m *serverNonInvite) completed(e event, now instant, t *timing) actions {
	switch e {
	case request:
		return sendAgain
	case transportError:
		// As for INVITE (RFC 6026 section 8.8): the user may send it elsewhere, also when the transport was a reliable one.
		m.unsent = true
		m.expire = now + t.J
		return 0
	case response2xx, response3xx:
		if m.unsent {
			return m.respond(now, t)
		}
	case timerJ:
		return (*machine)(m).terminate()
	}
	return refuseResponse(e)
}
