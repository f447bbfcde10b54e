package transaction

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stepper is what the four machines have in common.
type stepper interface {
	step(e event, now instant, t *timing) actions
	due(now instant) event
}

// row is one cell of a machine's table: in this situation, when that happens, this becomes of it and this is to be done.
type row struct {
	in   string
	e    event
	want string // as describe says
	do   actions
}

// describe writes a machine as "Calling 1s/31s canceled": its state, how far away the two deadlines are, and its marks.
func describe(m machine, now instant) string {
	if m.state == terminated {
		if m.next() != never {
			return "Terminated with a timer"
		}
		return "Terminated"
	}
	away := func(at instant) string {
		if at == never {
			return "-"
		}
		return (at - now).String()
	}
	text := fmt.Sprintf("%v %s/%s", m.state, away(m.resend), away(m.expire))
	if m.canceled {
		text += " canceled"
	}
	if m.unsent {
		text += " unsent"
	}
	return text
}

// testTable checks each situation with each event. What no row says is as in the situation without its last word, if that is
// "reliable"; else the event changes nothing and what is to be done is what ignored says.
func testTable(t *testing.T, as func(*machine) stepper, situations map[string]machine, rows []row, ignored func(event) actions) {
	const now = 1000 * time.Second
	tm := Timers{}.resolve()
	cells := map[string]row{}
	for _, r := range rows {
		cells[fmt.Sprint(r.in, ": ", r.e)] = r
	}
	checked := 0
	for in, situation := range situations {
		for e := event(1); int(e) < events; e++ {
			name := fmt.Sprint(in, ": ", e)
			t.Run(name, func(t *testing.T) {
				want, ok := cells[name]
				if ok {
					checked++
				} else if want, ok = cells[fmt.Sprint(strings.TrimSuffix(in, " reliable"), ": ", e)]; !ok {
					want = row{want: describe(situation, now), do: ignored(e)}
				}
				m := situation
				do := as(&m).step(e, now, &tm)
				require.Equal(t, want.want, describe(m, now))
				require.Equal(t, want.do.String(), do.String())
			})
		}
	}
	require.Equal(t, len(rows), checked, "a row is of no situation")
}

func nothingDone(event) actions { return 0 }

// situation is a machine at 1000 s, with its deadlines given from then on; negative: the timer does not run.
func situation(st state, resend, expire time.Duration, marks ...string) machine {
	const now = 1000 * time.Second
	m := machine{state: st, interval: time.Second, resend: never, expire: never, timerC: now + 150*time.Second}
	if resend >= 0 {
		m.resend = now + resend
	}
	if expire >= 0 {
		m.expire = now + expire
	}
	for _, mark := range marks {
		switch mark {
		case "reliable":
			m.reliable = true
		case "canceled":
			m.canceled = true
		case "unsent":
			m.unsent = true
		}
	}
	return m
}

func TestClientInviteTable(t *testing.T) {
	const failed, ended = tellTimeout | end | forget, end | forget
	testTable(t, func(m *machine) stepper { return (*clientInvite)(m) }, map[string]machine{
		"Calling":             situation(calling, 0, time.Second),
		"Calling reliable":    situation(calling, -1, time.Second, "reliable"),
		"Calling canceled":    situation(calling, 0, time.Second, "canceled"),
		"Proceeding":          situation(proceeding, -1, time.Second),
		"Proceeding reliable": situation(proceeding, -1, time.Second, "reliable"),
		"Proceeding canceled": situation(proceeding, -1, time.Second, "canceled"),
		"Completed":           situation(completed, -1, time.Second),
		"Accepted":            situation(accepted, -1, time.Second),
		"Accepted reliable":   situation(accepted, -1, time.Second),
		"Terminated":          situation(terminated, -1, -1),
	}, []row{
		{"Calling", timerA, "Calling 2s/1s", sendRequest},
		{"Calling", timerB, "Terminated", failed},
		{"Calling", transportError, "Terminated", tellTransport | ended},
		{"Calling", cancel, "Calling 0s/1s canceled", 0},
		{"Calling", response100, "Proceeding -/2m30s", passUp},
		{"Calling", response1xx, "Proceeding -/3m1s", passUp},
		{"Calling", response2xx, "Accepted -/32s", passUp | forget},
		{"Calling", response3xx, "Completed -/32s", passUp | makeACK},

		{"Calling reliable", cancel, "Calling -/1s canceled", 0},
		{"Calling reliable", response3xx, "Completed -/0s", passUp | makeACK},

		{"Calling canceled", timerA, "Calling 2s/1s canceled", sendRequest},
		{"Calling canceled", timerB, "Terminated", failed},
		{"Calling canceled", transportError, "Terminated", tellTransport | ended},
		{"Calling canceled", response100, "Proceeding -/32s canceled", passUp | sendCancel},
		{"Calling canceled", response1xx, "Proceeding -/32s canceled", passUp | sendCancel},
		{"Calling canceled", response2xx, "Accepted -/32s canceled", passUp | forget},
		{"Calling canceled", response3xx, "Completed -/32s canceled", passUp | makeACK},

		{"Proceeding", timerC, "Proceeding -/3m1s", tellTimerC},
		{"Proceeding", timerCanceled, "Terminated", failed},
		{"Proceeding", cancel, "Proceeding -/32s canceled", sendCancel},
		{"Proceeding", response100, "Proceeding -/1s", passUp},
		{"Proceeding", response1xx, "Proceeding -/3m1s", passUp},
		{"Proceeding", response2xx, "Accepted -/32s", passUp | forget},
		{"Proceeding", response3xx, "Completed -/32s", passUp | makeACK},

		{"Proceeding reliable", response3xx, "Completed -/0s", passUp | makeACK},

		{"Proceeding canceled", timerC, "Proceeding -/3m1s canceled", tellTimerC},
		{"Proceeding canceled", timerCanceled, "Terminated", failed},
		{"Proceeding canceled", response100, "Proceeding -/1s canceled", passUp},
		{"Proceeding canceled", response1xx, "Proceeding -/1s canceled", passUp},
		{"Proceeding canceled", response2xx, "Accepted -/32s canceled", passUp | forget},
		{"Proceeding canceled", response3xx, "Completed -/32s canceled", passUp | makeACK},

		{"Completed", response2xx, "Completed -/1s", passUp},
		{"Completed", response3xx, "Completed -/1s", sendACK},
		{"Completed", transportError, "Terminated", tellTransport | ended},
		{"Completed", timerD, "Terminated", ended},

		{"Accepted", response2xx, "Accepted -/1s", passUp},
		{"Accepted", timerM, "Terminated", ended},
	}, nothingDone)
}

func TestClientNonInviteTable(t *testing.T) {
	const failed, ended = tellTimeout | end | forget, end | forget
	testTable(t, func(m *machine) stepper { return (*clientNonInvite)(m) }, map[string]machine{
		"Trying":              situation(trying, 0, time.Second),
		"Trying reliable":     situation(trying, -1, time.Second, "reliable"),
		"Proceeding":          situation(proceeding, 0, time.Second),
		"Proceeding reliable": situation(proceeding, -1, time.Second, "reliable"),
		"Completed":           situation(completed, -1, time.Second),
		"Terminated":          situation(terminated, -1, -1),
	}, []row{
		{"Trying", timerE, "Trying 2s/1s", sendRequest},
		{"Trying", timerF, "Terminated", failed},
		{"Trying", transportError, "Terminated", tellTransport | ended},
		{"Trying", response100, "Proceeding 0s/1s", passUp},
		{"Trying", response1xx, "Proceeding 0s/1s", passUp},
		{"Trying", response2xx, "Completed -/5s", passUp | forget},
		{"Trying", response3xx, "Completed -/5s", passUp | forget},

		{"Trying reliable", response100, "Proceeding -/1s", passUp},
		{"Trying reliable", response1xx, "Proceeding -/1s", passUp},
		{"Trying reliable", response2xx, "Completed -/0s", passUp | forget},
		{"Trying reliable", response3xx, "Completed -/0s", passUp | forget},

		{"Proceeding", timerE, "Proceeding 4s/1s", sendRequest},
		{"Proceeding", timerF, "Terminated", failed},
		{"Proceeding", transportError, "Terminated", tellTransport | ended},
		{"Proceeding", response100, "Proceeding 0s/1s", passUp},
		{"Proceeding", response1xx, "Proceeding 0s/1s", passUp},
		{"Proceeding", response2xx, "Completed -/5s", passUp | forget},
		{"Proceeding", response3xx, "Completed -/5s", passUp | forget},

		{"Proceeding reliable", response100, "Proceeding -/1s", passUp},
		{"Proceeding reliable", response1xx, "Proceeding -/1s", passUp},
		{"Proceeding reliable", response2xx, "Completed -/0s", passUp | forget},
		{"Proceeding reliable", response3xx, "Completed -/0s", passUp | forget},

		{"Completed", timerK, "Terminated", ended},
	}, nothingDone)
}

func TestServerInviteTable(t *testing.T) {
	const ended = end | forget
	testTable(t, func(m *machine) stepper { return (*serverInvite)(m) }, map[string]machine{
		"Proceeding":          situation(proceeding, 0, -1),
		"Proceeding answered": situation(proceeding, -1, -1), // 1xx or our 100
		"Proceeding reliable": situation(proceeding, 0, -1, "reliable"),
		"Proceeding canceled": situation(proceeding, -1, -1, "canceled"),
		"Completed":           situation(completed, 0, time.Second),
		"Completed reliable":  situation(completed, -1, time.Second, "reliable"),
		"Completed unsent":    situation(completed, 0, time.Second, "unsent"),
		"Confirmed":           situation(confirmed, -1, time.Second),
		"Accepted":            situation(accepted, -1, time.Second),
		"Accepted reliable":   situation(accepted, -1, time.Second, "reliable"),
		"Terminated":          situation(terminated, -1, -1),
	}, []row{
		{"Proceeding", timerTrying, "Proceeding -/-", send100},
		{"Proceeding", request, "Proceeding -/-", sendAgain},
		{"Proceeding", cancel, "Proceeding 0s/- canceled", passUp},
		{"Proceeding", response100, "Proceeding -/-", sendResponse | keep},
		{"Proceeding", response1xx, "Proceeding -/-", sendResponse | keep},
		{"Proceeding", response2xx, "Accepted -/32s", sendResponse | forget},
		{"Proceeding", response3xx, "Completed 500ms/32s", sendResponse | keep},
		{"Proceeding", drop, "Terminated", ended},

		{"Proceeding reliable", response3xx, "Completed -/32s", sendResponse | keep},

		{"Proceeding answered", timerTrying, "Proceeding -/-", send100}, // is not set: see due
		{"Proceeding answered", request, "Proceeding -/-", sendAgain},
		{"Proceeding answered", cancel, "Proceeding -/- canceled", passUp},
		{"Proceeding answered", response100, "Proceeding -/-", sendResponse | keep},
		{"Proceeding answered", response1xx, "Proceeding -/-", sendResponse | keep},
		{"Proceeding answered", response2xx, "Accepted -/32s", sendResponse | forget},
		{"Proceeding answered", response3xx, "Completed 500ms/32s", sendResponse | keep},
		{"Proceeding answered", drop, "Terminated", ended},

		{"Proceeding canceled", timerTrying, "Proceeding -/- canceled", send100},
		{"Proceeding canceled", request, "Proceeding -/- canceled", sendAgain},
		{"Proceeding canceled", response100, "Proceeding -/- canceled", sendResponse | keep},
		{"Proceeding canceled", response1xx, "Proceeding -/- canceled", sendResponse | keep},
		{"Proceeding canceled", response2xx, "Accepted -/32s canceled", sendResponse | forget},
		{"Proceeding canceled", response3xx, "Completed 500ms/32s canceled", sendResponse | keep},
		{"Proceeding canceled", drop, "Terminated", ended},

		{"Completed", timerG, "Completed 2s/1s", sendAgain},
		{"Completed", timerH, "Terminated", tellNoACK | ended},
		{"Completed", request, "Completed 0s/1s", sendAgain},
		{"Completed", ack, "Confirmed -/5s", forget},
		{"Completed", transportError, "Completed 0s/1s unsent", 0},
		{"Completed", drop, "Terminated", ended},

		{"Completed reliable", request, "Completed -/1s", sendAgain},
		{"Completed reliable", ack, "Confirmed -/0s", forget},
		{"Completed reliable", transportError, "Completed -/1s unsent", 0},

		{"Completed unsent", timerG, "Completed 2s/1s unsent", sendAgain},
		{"Completed unsent", timerH, "Terminated", tellNoACK | ended},
		{"Completed unsent", request, "Completed 0s/1s unsent", sendAgain},
		{"Completed unsent", ack, "Confirmed -/5s unsent", forget},
		{"Completed unsent", response3xx, "Completed 500ms/1s", sendResponse | keep},
		{"Completed unsent", drop, "Terminated", ended},

		{"Confirmed", timerI, "Terminated", ended},
		{"Confirmed", drop, "Terminated", ended},

		{"Accepted", response2xx, "Accepted -/1s", sendResponse},
		{"Accepted", ack, "Accepted -/1s", passUp},
		{"Accepted", timerL, "Terminated", ended},
		{"Accepted", drop, "Terminated", ended},
	}, refuseResponse)
}

func TestServerNonInviteTable(t *testing.T) {
	const ended = end | forget
	testTable(t, func(m *machine) stepper { return (*serverNonInvite)(m) }, map[string]machine{
		"Trying":              situation(trying, 0, time.Second),
		"Trying reliable":     situation(trying, 0, time.Second, "reliable"),
		"Proceeding":          situation(proceeding, -1, time.Second),
		"Proceeding reliable": situation(proceeding, -1, time.Second, "reliable"),
		"Completed":           situation(completed, -1, time.Second),
		"Completed unsent":    situation(completed, -1, time.Second, "unsent"),
		"Terminated":          situation(terminated, -1, -1),
	}, []row{
		{"Trying", timerTrying, "Proceeding -/1s", send100},
		{"Trying", timerUseless, "Terminated", tellTimeout | ended},
		{"Trying", response100, "Trying 0s/1s", refuse},
		{"Trying", response1xx, "Trying 0s/1s", refuse},
		{"Trying", response2xx, "Completed -/32s", sendResponse | keep},
		{"Trying", response3xx, "Completed -/32s", sendResponse | keep},
		{"Trying", drop, "Terminated", ended},

		{"Trying reliable", response100, "Proceeding -/1s", sendResponse | keep},
		{"Trying reliable", response2xx, "Completed -/0s", sendResponse | keep},
		{"Trying reliable", response3xx, "Completed -/0s", sendResponse | keep},

		{"Proceeding", timerTrying, "Proceeding -/1s", send100}, // is not set: see due
		{"Proceeding", timerUseless, "Terminated", tellTimeout | ended},
		{"Proceeding", request, "Proceeding -/1s", sendAgain},
		{"Proceeding", response100, "Proceeding -/1s", sendResponse | keep},
		{"Proceeding", response1xx, "Proceeding -/1s", refuse},
		{"Proceeding", response2xx, "Completed -/32s", sendResponse | keep},
		{"Proceeding", response3xx, "Completed -/32s", sendResponse | keep},
		{"Proceeding", drop, "Terminated", ended},

		{"Proceeding reliable", response2xx, "Completed -/0s", sendResponse | keep},
		{"Proceeding reliable", response3xx, "Completed -/0s", sendResponse | keep},

		{"Completed", request, "Completed -/1s", sendAgain},
		{"Completed", transportError, "Completed -/32s unsent", 0},
		{"Completed", timerJ, "Terminated", ended},
		{"Completed", drop, "Terminated", ended},

		{"Completed unsent", request, "Completed -/1s unsent", sendAgain},
		{"Completed unsent", response2xx, "Completed -/32s", sendResponse | keep},
		{"Completed unsent", response3xx, "Completed -/32s", sendResponse | keep},
		{"Completed unsent", transportError, "Completed -/32s unsent", 0},
		{"Completed unsent", timerJ, "Terminated", ended},
		{"Completed unsent", drop, "Terminated", ended},
	}, refuseResponse)
}

// Which timer the deadlines stand for, in each state; the one that ends the state comes first.
func TestDue(t *testing.T) {
	const now = 1000 * time.Second
	for _, c := range []struct {
		name  string
		m     func(*machine) stepper
		in    machine
		wants event
	}{
		{"A", asClientInvite, situation(calling, 0, 1), timerA},
		{"B", asClientInvite, situation(calling, 0, 0), timerB},
		{"none", asClientInvite, situation(calling, 1, 1), nothing},
		{"C", asClientInvite, situation(proceeding, -1, 0), timerC},
		{"canceled", asClientInvite, situation(proceeding, -1, 0, "canceled"), timerCanceled},
		{"D", asClientInvite, situation(completed, -1, 0), timerD},
		{"M", asClientInvite, situation(accepted, -1, 0), timerM},
		{"ended", asClientInvite, situation(terminated, -1, -1), nothing},
		{"E", asClientNonInvite, situation(trying, 0, 1), timerE},
		{"E again", asClientNonInvite, situation(proceeding, 0, 1), timerE},
		{"F", asClientNonInvite, situation(trying, 0, 0), timerF},
		{"F again", asClientNonInvite, situation(proceeding, 0, 0), timerF},
		{"K", asClientNonInvite, situation(completed, -1, 0), timerK},
		{"ended", asClientNonInvite, situation(terminated, -1, -1), nothing},
		{"Trying", asServerInvite, situation(proceeding, 0, -1), timerTrying},
		{"G", asServerInvite, situation(completed, 0, 1), timerG},
		{"H", asServerInvite, situation(completed, 0, 0), timerH},
		{"I", asServerInvite, situation(confirmed, -1, 0), timerI},
		{"L", asServerInvite, situation(accepted, -1, 0), timerL},
		{"ended", asServerInvite, situation(terminated, -1, -1), nothing},
		{"late", asServerNonInvite, situation(trying, 0, 1), timerTrying},
		{"useless", asServerNonInvite, situation(trying, 0, 0), timerUseless},
		{"useless again", asServerNonInvite, situation(proceeding, -1, 0), timerUseless},
		{"J", asServerNonInvite, situation(completed, -1, 0), timerJ},
		{"ended", asServerNonInvite, situation(terminated, -1, -1), nothing},
	} {
		require.Equal(t, c.wants, c.m(&c.in).due(now), c.name)
	}
}

func asClientInvite(m *machine) stepper    { return (*clientInvite)(m) }
func asClientNonInvite(m *machine) stepper { return (*clientNonInvite)(m) }
func asServerInvite(m *machine) stepper    { return (*serverInvite)(m) }
func asServerNonInvite(m *machine) stepper { return (*serverNonInvite)(m) }

// What is derived from T1, T2 and T4 (RFC 3261 table 4).
func TestTimers(t *testing.T) {
	got := Timers{}.resolve()
	require.Equal(t, 32*time.Second, got.B)
	require.Equal(t, 32*time.Second, got.D)
	require.Equal(t, 32*time.Second, got.F)
	require.Equal(t, 32*time.Second, got.H)
	require.Equal(t, 5*time.Second, got.I)
	require.Equal(t, 32*time.Second, got.J)
	require.Equal(t, 5*time.Second, got.K)
	require.Equal(t, 32*time.Second, got.L)
	require.Equal(t, 32*time.Second, got.M)
	require.Equal(t, 181*time.Second, got.C)
	require.Equal(t, 200*time.Millisecond, got.Trying)
	require.Equal(t, 3500*time.Millisecond, got.late, "0.5 + 1 + 2 s, then Timer E is reset to T2")

	got = Timers{T1: 100 * time.Millisecond, T2: time.Second, T4: 2 * time.Second, Trying: -1, Slack: -1}.resolve()
	require.Equal(t, 6400*time.Millisecond, got.B)
	require.Equal(t, 32*time.Second, got.D, "at least 32 seconds")
	require.Equal(t, 2*time.Second, got.K)
	require.Equal(t, 1500*time.Millisecond, got.late, "0.1 + 0.2 + 0.4 + 0.8 s")
	require.Negative(t, got.Trying)
	require.Zero(t, got.Slack)

	require.Equal(t, 128*time.Second, Timers{T1: 2 * time.Second}.resolve().D)
}
