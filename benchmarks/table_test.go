package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCombine(t *testing.T) {
	samples := []sample{{"x": 5}, {"x": 1}, {"x": 3}}
	require.Equal(t, combined{value: 3, least: 1, greatest: 5, rounds: 3}, combine(metric{key: "x"}, samples))
	require.Equal(t, 4.0, combine(metric{key: "x"}, append(samples, sample{"x": 9})).value)
	require.Equal(t, 9.0, combine(metric{key: "x", sum: true}, samples).value)
	require.Zero(t, combine(metric{key: "x"}, nil))
}

func TestReport(t *testing.T) {
	c := benchCase{
		name: "relay", title: "calls over UDP", metrics: []metric{cpuTotal, cpuUser, failedCalls},
		subjects: []subject{{name: "goser"}, {name: "Kamailio"}, {name: "sipgo"}}, ratios: besideBoth,
		samples: map[string][]sample{
			"goser":    {{"cpu": 60, "user": 0, "failed": 0}, {"cpu": 62, "user": 0, "failed": 1}, {"cpu": 61, "user": 0, "failed": 2}},
			"Kamailio": {{"cpu": 122, "user": 0, "failed": 0}},
		},
	}
	m := machine{cores: 2, cpu: "a CPU", kernel: "6.1", golang: "go1.25", goser: "at commit 1", kamailio: "5.6.3"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	got := report(m, "go run ./benchmarks", at, []benchCase{c, {name: "none"}})
	require.Contains(t, got, "Made by `go run ./benchmarks`, 2026-01-02:\n\n- 2 cores, a CPU, Linux 6.1\n- goser at commit 1, go1.25\n- Kamailio 5.6.3\n\n")
	require.Contains(t, got, `
## relay

Calls over UDP; 3 rounds.

|  | CPU µs/call | user | failed calls |
| --- | ---: | ---: | ---: |
| goser | 61.0 (60.0–62.0) | 0.0 | 3 |
| Kamailio | 122.0 | 0.0 | 0 |
| **goser : Kamailio** | **0.50** | **–** |  |
`)
	require.NotContains(t, got, "sipgo |", "it was not measured")
	require.NotContains(t, got, "## none")
}

func TestFailuresThatMustNotBe(t *testing.T) {
	c := benchCase{mustSucceed: true, subjects: []subject{{name: "goser"}}, samples: map[string][]sample{"goser": {{"failed": 0}}}}
	require.NoError(t, c.verdict())
	c.samples["goser"] = append(c.samples["goser"], sample{"failed": 2})
	require.ErrorContains(t, c.verdict(), "2 calls failed")
}

func TestMachine(t *testing.T) {
	require.Equal(t, "A CPU @ 2 GHz", cpuModel("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nmodel name\t: B\n"))
	require.Equal(t, "unknown CPU", cpuModel(""))
	require.Equal(t, "5.6.3", versionNumber.FindString("version: kamailio 5.6.3 (x86_64/linux)"))
	require.Equal(t, "v3.6.1", versionNumber.FindString(" SIPp v3.6.1-SCTP-PCAP."))
}
