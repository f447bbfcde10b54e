package transaction

import "time"

// Timers are the values from which all timers follow: RFC 3261 table 4, RFC 6026 section 8.5. A zero field means the default.
//
//	A, E, G     T1, doubling; E and G up to T2
//	B, F, H     64*T1
//	D           64*T1, at least 32 s; 0 on a reliable transport
//	I, K        T4; 0 on a reliable transport
//	J           64*T1; 0 on a reliable transport
//	L, M        64*T1
type Timers struct {
	// T1 is the estimate of the round-trip time. Default 500 ms.
	T1 time.Duration
	// T2 is the longest interval between retransmissions, but for an INVITE request. Default 4 s.
	T2 time.Duration
	// T4 is how long a message may stay in the network. Default 5 s.
	T4 time.Duration
	// C is how long an INVITE client transaction may go without a response other than 100 before the user is told. RFC 3261 section
	// 16.6 wants more than three minutes. Default 181 s.
	C time.Duration
	// Trying is when an INVITE that the user has not responded to is answered with 100 (Trying). Negative: at once, before the user
	// sees it. Default 200 ms.
	Trying time.Duration
	// Slack is how much later than exactly the timers may fire that only end a wait (D, I, J, K, L and M, and H on a reliable
	// transport), so that one wake-up ends many transactions. Negative: none. Default 50 ms.
	Slack time.Duration
}

// timing is a Timers with the defaults filled in and the rest derived.
type timing struct {
	Timers
	B, D, F, H, I, J, K, L, M time.Duration
	// late is when a client's Timer E is reset to T2, after which a 100 answers a non-INVITE request (RFC 4320 section 4.1).
	late time.Duration
}

func (c Timers) resolve() timing {
	c.T1 = withDefault(c.T1, 500*time.Millisecond)
	c.T2 = max(withDefault(c.T2, 4*time.Second), c.T1)
	c.T4 = withDefault(c.T4, 5*time.Second)
	c.C = withDefault(c.C, 181*time.Second)
	if c.Trying == 0 {
		c.Trying = 200 * time.Millisecond
	}
	switch {
	case c.Slack == 0:
		c.Slack = 50 * time.Millisecond
	case c.Slack < 0:
		c.Slack = 0
	}
	t64 := 64 * c.T1
	t := timing{Timers: c, B: t64, D: max(t64, 32*time.Second), F: t64, H: t64, I: c.T4, J: t64, K: c.T4, L: t64, M: t64}
	for d := c.T1; d < c.T2; d *= 2 {
		t.late += d
	}
	return t
}

// withDefault returns d, or the default where d says nothing sensible.
func withDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}
