package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// sippStats is what SIPp counted from its start to its end.
type sippStats struct {
	successful, retransmissions int
}

func readSIPpStats(file string) (sippStats, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return sippStats{}, err
	}
	return parseSIPpStats(string(text))
}

// parseSIPpStats reads the file of -trace_stat: a line of names, then lines of values, of which the last counts.
func parseSIPpStats(text string) (s sippStats, err error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) < 2 {
		return s, errors.New("SIPp wrote no statistics")
	}
	names, values := strings.Split(lines[0], ";"), strings.Split(lines[len(lines)-1], ";")
	byName := make(map[string]string)
	for i, name := range names[:min(len(names), len(values))] {
		byName[name] = values[i]
	}
	for name, to := range map[string]*int{
		"SuccessfulCall(C)": &s.successful, "Retransmissions(C)": &s.retransmissions,
	} {
		if *to, err = strconv.Atoi(byName[name]); err != nil {
			return s, fmt.Errorf("SIPp's %s is %q", name, byName[name])
		}
	}
	return s, nil
}
