package main

import "fmt"

// What the cases measure.
var (
	cpuTotal  = metric{key: "cpu", title: "CPU µs/call", decimals: 1, spread: true, ratio: true}
	cpuUser   = metric{key: "user", title: "user", decimals: 1, ratio: true}
	cpuSystem = metric{key: "system", title: "system", decimals: 1, ratio: true}
	growth    = metric{key: "growth", title: "memory KB/call", decimals: 2, ratio: true}
	memory    = metric{key: "pss", title: "memory MB", decimals: 1, ratio: true}
	retrans   = metric{key: "retrans", title: "retransmissions", sum: true}

	failedCalls = metric{key: "failed", title: "failed calls", sum: true}

	callMetrics = []metric{cpuTotal, cpuUser, cpuSystem, growth, memory, failedCalls, retrans}

	held    = metric{key: "held", title: "held"}
	perItem = metric{key: "bytes", title: "bytes each", ratio: true}
)

var (
	besideBoth     = [][2]string{{"goser", "Kamailio"}, {"goser", "sipgo"}}
	besideKamailio = [][2]string{{"goser", "Kamailio"}}
)

func allCases(o options) []benchCase {
	rate := func(own int) int { return override(o.rate, own) }
	return []benchCase{
		{
			name: "relay", title: fmt.Sprintf("calls through a stateful, record-routing relay, UDP, %d/s", rate(2000)),
			metrics: callMetrics, ratios: besideBoth, sipp: true,
			subjects: relays(calls{over: "udp", scenario: "uac", rate: rate(2000)}),
		},
		{
			name: "stateless", title: fmt.Sprintf("calls through a stateless relay, UDP, %d/s", rate(2000)),
			metrics: callMetrics, ratios: besideKamailio, sipp: true,
			subjects: statelessRelays(calls{over: "udp", scenario: "uac", rate: rate(2000)}),
		},
		{
			name: "tcp", title: fmt.Sprintf("calls through a stateful, record-routing relay, TCP, %d/s", rate(1000)),
			metrics: callMetrics, ratios: besideBoth, sipp: true,
			subjects: relays(calls{over: "tcp", scenario: "uac", rate: rate(1000)}),
		},
		{
			name: "register", title: fmt.Sprintf("one REGISTER for each user, kept in memory, UDP, %d/s", rate(5000)),
			metrics: callMetrics, ratios: besideBoth, sipp: true,
			subjects: registrars(calls{over: "udp", scenario: "register", rate: rate(5000)}, 0, goser, kamailio, sipgo),
		},
		{
			name: "bindings", title: fmt.Sprintf("%d bindings held in memory", override(o.count, 500_000)),
			metrics: []metric{held, perItem, memory, retrans}, ratios: besideKamailio, maxRounds: 3,
			subjects: registrars(bindings{count: override(o.count, 500_000)}, 0, goser, kamailio),
		},
		{
			name: "idle", title: fmt.Sprintf("%d idle TCP connections held, or as many as the limit on open files allows", override(o.count, 20_000)),
			metrics: []metric{held, perItem, memory}, ratios: besideBoth, maxRounds: 3,
			subjects: registrars(idle{count: override(o.count, 20_000)}, override(o.count, 20_000), goser, kamailio, sipgo),
		},
		liveCase(override(o.count, 200_000), rate(1000)),
		{
			name: "sleep", title: fmt.Sprintf("the handler sleeps for 20 ms in every tenth call, UDP, %d/s: none may fail", rate(2000)),
			metrics: callMetrics, sipp: true, mustSucceed: true,
			subjects: []subject{{name: "goser", command: slowRelay, load: calls{over: "udp", scenario: "uac", rate: rate(2000)}}},
		},
	}
}

// liveCase measures the same calls beside few and beside many live transactions.
func liveCase(most, rate int) benchCase {
	c := benchCase{
		name: "live", title: fmt.Sprintf("calls through the relay of the first case beside live transactions, UDP, %d/s", rate),
		metrics: []metric{cpuTotal, cpuUser, cpuSystem, perItem, memory, failedCalls, retrans}, sipp: true,
	}
	few, many := fmt.Sprintf("%d live", most/20), fmt.Sprintf("%d live", most)
	for _, n := range []int{most / 20, most} {
		for _, s := range relays(live{transactions: n, calls: calls{over: "udp", scenario: "uac", rate: rate}}) {
			if s.peer != sipgo { // a goroutine for each live call
				s.name += fmt.Sprintf(", %d live", n)
				c.subjects = append(c.subjects, s)
			}
		}
	}
	for _, name := range []string{"goser, ", "Kamailio, "} {
		c.ratios = append(c.ratios, [2]string{name + many, name + few})
	}
	c.ratios = append(c.ratios, [2]string{"goser, " + many, "Kamailio, " + many})
	return c
}

func override(given, own int) int {
	if given > 0 {
		return given
	}
	return own
}
