package transaction

// Stats are the counters of a table since it was made, and its gauges.
type Stats struct {
	InviteClient, NonInviteClient, InviteServer, NonInviteServer Counts
	Timers                                                       TimerCounts

	// StrayResponses and StrayCancels matched no transaction.
	StrayResponses, StrayCancels uint64
	// ACKs were passed to the user: those for a 2xx, and stray ones.
	ACKs uint64
	// Refused requests were answered with 503 as MaxServer was reached, RefusedClients were calls of NewClient as MaxClient was.
	Refused, RefusedClients uint64
	// Dropped are responses that a user was too slow to take, but never the first final one, and retransmissions that would have
	// had to wait for it.
	Dropped uint64
}

// Counts are those of one kind of transaction.
type Counts struct {
	Live    int // a gauge
	Created uint64
	// Absorbed are retransmissions, and other messages without meaning in the transaction's state, that the user did not see.
	Absorbed        uint64
	TransportErrors uint64
}

// TimerCounts say how often each timer has fired. B, F and H are timeouts; A, E and G retransmissions; D, I, J, K, L and M
// regular ends.
type TimerCounts struct {
	A, B, C, D, E, F, G, H, I, J, K, L, M uint64
	// Trying: a 100 was sent as the user had not answered.
	Trying uint64
	// Canceled: no final response to a cancelled INVITE. Useless: no response to a non-INVITE request before the client has given up.
	Canceled, Useless uint64
}

// kind is one of the four kinds of transactions.
type kind uint8

const (
	inviteClient kind = iota
	nonInviteClient
	inviteServer
	nonInviteServer
	kinds
)

// counters are the numbers of one shard, guarded by its lock.
type counters struct {
	kinds                              [kinds]Counts
	fired                              [events]uint64
	strayResponses, strayCancels, acks uint64
	refused, refusedClients, dropped   uint64
}

func (c *counters) addTo(s *Stats) {
	for k, into := range [kinds]*Counts{&s.InviteClient, &s.NonInviteClient, &s.InviteServer, &s.NonInviteServer} {
		from := &c.kinds[k]
		into.Live += from.Live
		into.Created += from.Created
		into.Absorbed += from.Absorbed
		into.TransportErrors += from.TransportErrors
	}
	t := &s.Timers
	for e, into := range map[event]*uint64{
		timerA: &t.A, timerB: &t.B, timerC: &t.C, timerD: &t.D, timerE: &t.E, timerF: &t.F, timerG: &t.G, timerH: &t.H, timerI: &t.I,
		timerJ: &t.J, timerK: &t.K, timerL: &t.L, timerM: &t.M,
		timerTrying: &t.Trying, timerCanceled: &t.Canceled, timerUseless: &t.Useless,
	} {
		*into += c.fired[e]
	}
	s.StrayResponses += c.strayResponses
	s.ACKs += c.acks
	s.StrayCancels += c.strayCancels
	s.Refused += c.refused
	s.RefusedClients += c.refusedClients
	s.Dropped += c.dropped
}
