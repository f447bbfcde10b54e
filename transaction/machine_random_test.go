package transaction

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// run drives one machine through a random life and checks at every step what must hold for all of them.
type run struct {
	t       *testing.T
	rng     *rand.Rand
	tm      timing
	m       machine
	as      func(*machine) stepper
	now     instant
	check   func(e event, before machine, do actions)
	trace   []string
	ended   bool
	failed  bool // the user was told of a failure
	finals  int  // passed up or sent, without 2xx to INVITE
	sent    instant
	spacing time.Duration // between retransmissions
}

func (r *run) must(ok bool, what string) {
	if !ok {
		require.FailNow(r.t, what, "%v", r.trace)
	}
}

func (r *run) step(e event) actions {
	before := r.m
	do := r.as(&r.m).step(e, r.now, &r.tm)
	r.trace = append(r.trace, fmt.Sprintf("%v %v: %v (%v)\n", r.now, e, describe(r.m, r.now), do))
	r.must(!r.ended || do&^refuse == 0, "something is done after the end")
	r.must(!do.has(end) || r.m.state == terminated && do.has(forget), "ends otherwise than terminated")
	r.must(r.m.state != terminated || r.ended || do.has(end), "terminated without a word")
	r.must(!do.has(refuse) || do == refuse && before == r.m, "a refusal that has an effect")
	if do.has(tellTimeout | tellTransport | tellNoACK) {
		r.must(!r.failed, "told of two failures")
		r.must(do.has(end), "a failure that does not end it")
		r.failed = true
	}
	r.ended = r.ended || do.has(end)
	r.check(e, before, do)
	return do
}

// passes lets time pass, and the timers fire that are due then. They may be a bit late.
func (r *run) passes(until instant) {
	for next := r.m.next(); next <= until; next = r.m.next() {
		r.now = max(r.now, next)
		e := r.as(&r.m).due(r.now)
		r.must(e != nothing, "a timer fires that is of no use in this state")
		r.step(e)
		r.must(r.m.next() > r.now, "a timer fires again at once")
	}
	r.now = max(r.now, until)
}

// retransmitted checks the time since the last transmission.
func (r *run) retransmitted(want time.Duration, what string) {
	r.must(r.now-r.sent == want, fmt.Sprintf("%s after %v instead of %v", what, r.now-r.sent, want))
	r.sent = r.now
}

// finish lets time pass until nothing is left to do. Only an INVITE waits for ever, for its user.
func (r *run) finish() {
	for i := 0; !r.ended; i++ {
		r.must(i < 1000, "does not end")
		if r.m.next() == never {
			r.must(r.m.state == proceeding && r.step(response3xx) == sendResponse|keep, "does not end")
			continue
		}
		r.passes(r.m.next())
	}
	r.must(r.m.next() == never, "a timer runs after the end")
}

func randomRuns(t *testing.T, events []event, start func(*run)) {
	for seed := range uint64(3000) {
		r := &run{t: t, rng: rand.New(rand.NewPCG(1, seed)), now: time.Second}
		r.tm = Timers{T1: time.Duration(1+r.rng.IntN(1000)) * time.Millisecond, T2: time.Duration(r.rng.IntN(8000)) * time.Millisecond}.resolve()
		r.sent = r.now
		start(r)
		for range r.rng.IntN(25) {
			switch r.rng.IntN(3) {
			case 0:
				r.passes(r.now + time.Duration(r.rng.Int64N(int64(r.tm.B/8))))
			case 1:
				r.passes(min(r.m.next(), r.now+time.Hour))
			default:
				r.step(events[r.rng.IntN(len(events))])
			}
		}
		r.finish()
	}
}

var responses = []event{response100, response1xx, response2xx, response3xx}

func TestClientInviteRandom(t *testing.T) {
	randomRuns(t, append(responses, cancel, transportError, ack, request), func(r *run) {
		reliable := r.rng.IntN(2) == 0
		m := (*clientInvite)(&r.m)
		m.start(r.now, reliable, &r.tm)
		begin, canceled, answered := r.now, 0, false
		r.as, r.spacing = asClientInvite, r.tm.T1
		r.check = func(e event, before machine, do actions) {
			switch {
			case do.has(sendRequest):
				r.must(!reliable && before.state == calling, "request retransmitted")
				r.retransmitted(r.spacing, "request retransmitted")
				r.spacing *= 2
			case e == timerB:
				r.must(r.now == begin+r.tm.B, "Timer B fires at another time")
			case e == response3xx && do.has(passUp):
				r.finals++
				r.must(do.has(makeACK) && r.finals == 1 && !answered, "a second final response")
			case e == response2xx:
				r.must(do.has(passUp) == (before.state != terminated), "a 2xx is lost")
				answered = true
			case do.has(passUp):
				r.must(r.finals == 0 && !answered, "provisional response after a final one")
			case do.has(sendACK):
				r.must(r.finals == 1, "ACK for nothing")
			}
			if do.has(sendCancel) {
				canceled++
				r.must(canceled == 1 && r.m.state == proceeding, "CANCEL at the wrong time")
			}
			r.must(!r.m.waiting() || r.m.resend == never, "retransmissions while waiting")
			if e == timerC {
				r.step(cancel) // as the user has to
			}
		}
	})
}

func TestClientNonInviteRandom(t *testing.T) {
	randomRuns(t, append(responses, cancel, transportError, ack, request), func(r *run) {
		reliable := r.rng.IntN(2) == 0
		(*clientNonInvite)(&r.m).start(r.now, reliable, &r.tm)
		begin := r.now
		r.as, r.spacing = asClientNonInvite, r.tm.T1
		r.check = func(e event, before machine, do actions) {
			switch {
			case do.has(sendRequest):
				r.must(!reliable, "request retransmitted")
				r.retransmitted(r.spacing, "request retransmitted")
				if r.spacing = min(2*r.spacing, r.tm.T2); before.state == proceeding {
					r.spacing = r.tm.T2
				}
			case e == timerF:
				r.must(r.now == begin+r.tm.F, "Timer F fires at another time")
			case do.has(passUp) && (e == response2xx || e == response3xx):
				r.finals++
				r.must(r.finals == 1, "a second final response")
			case do.has(passUp):
				r.must(r.finals == 0, "provisional response after a final one")
			}
		}
	})
}

func TestServerInviteRandom(t *testing.T) {
	randomRuns(t, append(responses, request, ack, cancel, transportError, drop), func(r *run) {
		reliable := r.rng.IntN(2) == 0
		(*serverInvite)(&r.m).start(r.now, reliable, &r.tm)
		r.as = asServerInvite
		canceled, unsent, hung := 0, false, r.now
		var kept bool
		r.check = func(e event, before machine, do actions) {
			switch {
			case do.has(sendResponse) && e == response3xx:
				r.must(r.finals == 0 || unsent, "a second final response")
				r.finals, unsent = 1, false
				r.sent, r.spacing, hung = r.now, r.tm.T1, r.now
			case do.has(sendResponse) && e == response2xx:
				r.must(r.finals == 0, "2xx after another final response")
			case e == timerG:
				r.must(!reliable && do == sendAgain, "response retransmitted")
				r.retransmitted(r.spacing, "response retransmitted")
				r.spacing = min(2*r.spacing, r.tm.T2)
			case e == timerH:
				r.must(r.now >= hung && do.has(tellNoACK), "Timer H")
			case e == transportError && before.state == completed:
				unsent = true
			case e == cancel && do.has(passUp):
				canceled++
				r.must(canceled == 1 && before.state == proceeding, "CANCEL at the wrong time")
			case e == ack:
				r.must(do.has(passUp) == (before.state == accepted), "ACK passed up for another than a 2xx")
			case do.has(send100):
				r.must(before.state == proceeding && !kept, "100 after a response")
			}
			kept = kept && !do.has(forget) || do.has(keep)
			r.must(!do.has(sendAgain) || kept || r.m.state == proceeding, "nothing to send again")
			r.must(!kept || r.m.state == proceeding || r.m.state == completed, "a response is kept for nothing")
		}
	})
}

func TestServerNonInviteRandom(t *testing.T) {
	randomRuns(t, append(responses, request, ack, cancel, transportError, drop), func(r *run) {
		reliable := r.rng.IntN(2) == 0
		(*serverNonInvite)(&r.m).start(r.now, reliable, &r.tm)
		r.as = asServerNonInvite
		begin, unsent, kept := r.now, false, false
		r.check = func(e event, before machine, do actions) {
			switch {
			case do.has(sendResponse) && (e == response2xx || e == response3xx):
				r.must(r.finals == 0 || unsent, "a second final response")
				r.finals, unsent = 1, false
			case do.has(sendResponse):
				r.must(e == response100 && (reliable || r.now >= begin+r.tm.late), "100 too early")
			case do.has(send100):
				r.must(r.now == begin+r.tm.late && r.finals == 0, "100 at the wrong time")
			case e == transportError && before.state == completed:
				unsent = true
			case e == timerUseless:
				r.must(r.now == begin+r.tm.F, "given up at the wrong time")
			}
			kept = kept && !do.has(forget) || do.has(keep)
			r.must(!do.has(sendAgain) || kept || r.m.state == proceeding, "nothing to send again")
		}
	})
}
