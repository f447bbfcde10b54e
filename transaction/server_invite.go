package transaction

// serverInvite is the INVITE server transaction: RFC 3261 figure 7 as replaced by RFC 6026 figure 5.
type serverInvite machine

// start enters Proceeding. The request has to be passed to the user, after a 100 if one is asked for.
func (m *serverInvite) start(now instant, reliable bool, t *timing) actions {
	*m = serverInvite{state: proceeding, reliable: reliable, resend: never, expire: never, timerC: never}
	if t.Trying < 0 {
		return send100
	}
	m.resend = now + t.Trying
	return 0
}

// due returns the event of a timer that has fired.
func (m *serverInvite) due(now instant) event {
	switch m.state {
	case proceeding:
		return (*machine)(m).fired(now, timerTrying, nothing)
	case completed:
		return (*machine)(m).fired(now, timerG, timerH)
	case confirmed:
		return (*machine)(m).fired(now, nothing, timerI)
	case accepted:
		return (*machine)(m).fired(now, nothing, timerL)
	}
	return nothing
}

func (m *serverInvite) step(e event, now instant, t *timing) actions {
	if e == drop && m.state != terminated {
		return (*machine)(m).terminate()
	}
	switch m.state {
	case proceeding:
		return m.proceeding(e, now, t)
	case completed:
		return m.completed(e, now, t)
	case confirmed:
		if e == timerI {
			return (*machine)(m).terminate()
		}
	case accepted:
		return m.accepted(e)
	}
	return refuseResponse(e)
}

func (m *serverInvite) proceeding(e event, now instant, t *timing) actions {
	switch e {
	case timerTrying:
		m.resend = never
		return send100
	case request:
		// If no response was sent yet it gets a 100 now: the client's patience ends before ours does.
		m.resend = never
		return sendAgain
	case cancel:
		if m.canceled {
			return 0
		}
		m.canceled = true
		return passUp
	case response100, response1xx:
		m.resend = never
		return sendResponse | keep
	case response2xx:
		(*machine)(m).enter(accepted)
		m.expire = now + t.L
		return sendResponse | forget
	case response3xx:
		(*machine)(m).enter(completed)
		m.expire = now + t.H
		m.startG(now, t)
		return sendResponse | keep
	}
	return 0
}

func (m *serverInvite) startG(now instant, t *timing) {
	if !m.reliable {
		m.interval = t.T1
		m.resend = now + t.T1
	}
}

func (m *serverInvite) completed(e event, now instant, t *timing) actions {
	switch e {
	case timerG:
		m.interval = min(2*m.interval, t.T2)
		m.resend = now + m.interval
		return sendAgain
	case timerH:
		return tellNoACK | (*machine)(m).terminate()
	case request:
		return sendAgain
	case ack:
		(*machine)(m).enter(confirmed)
		m.expire = (*machine)(m).after(now, t.I)
		return forget
	case transportError:
		// "the server transaction SHOULD inform the TU that a failure has occurred, and MUST remain in the current state" (RFC 6026
		// section 8.8). The user may then send it elsewhere.
		m.unsent = true
		return 0
	case response3xx:
		if m.unsent {
			m.unsent = false
			m.resend = never
			m.startG(now, t)
			return sendResponse | keep
		}
	}
	return refuseResponse(e)
}

func (m *serverInvite) accepted(e event) actions {
	switch e {
	case response2xx:
		return sendResponse
	case ack:
		return passUp
	case timerL:
		return (*machine)(m).terminate()
	}
	return refuseResponse(e)
}

// refuseResponse refuses a response that comes after the final one, and ignores all other events.
func refuseResponse(e event) actions {
	switch e {
	case response100, response1xx, response2xx, response3xx:
		return refuse
	}
	return 0
}
