package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what a process and all that it has started have used.
type usage struct {
	user, system time.Duration
	pss          int // bytes
}

func (u usage) cpu() time.Duration { return u.user + u.system }

func (u usage) since(before usage) usage {
	return usage{u.user - before.user, u.system - before.system, u.pss - before.pss}
}

func (p *process) usage() (usage, error) {
	var sum usage
	for _, pid := range tree(p.pid()) {
		u, err := usageOf(pid)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return sum, err
		}
		sum.user, sum.system, sum.pss = sum.user+u.user, sum.system+u.system, sum.pss+u.pss
	}
	if sum.pss == 0 {
		return sum, errors.New("the server has ended")
	}
	return sum, nil
}

// tree returns a process and its descendants.
func tree(pid int) []int {
	pids := []int{pid}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread may have ended
		for _, child := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				pids = append(pids, tree(n)...)
			}
		}
	}
	return pids
}

func usageOf(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	if u.user, u.system, err = parseStat(string(stat)); err != nil {
		return u, err
	}
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return u, err
	}
	u.pss, err = parsePSS(string(rollup))
	return u, err
}

// tick is the unit of times in /proc, on all machines that Go runs on.
const tick = time.Second / 100

// parseStat returns the times of /proc/PID/stat. The name in it may contain anything.
func parseStat(text string) (user, system time.Duration, err error) {
	_, rest, ok := lastCut(text, ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, 0, fmt.Errorf("/proc/PID/stat: %q", text)
	}
	u, err1 := strconv.Atoi(fields[11])
	s, err2 := strconv.Atoi(fields[12])
	return time.Duration(u) * tick, time.Duration(s) * tick, errors.Join(err1, err2)
}

func lastCut(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// parsePSS returns the bytes of /proc/PID/smaps_rollup.
func parsePSS(text string) (int, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/PID/smaps_rollup has no Pss: %q", text)
}

// portTaken says whether there is a UDP socket, or a TCP socket that listens, on an IPv4 port.
func portTaken(transport string, port int) (bool, error) {
	table, err := os.ReadFile("/proc/net/" + transport)
	return hasPort(string(table), transport == "tcp", port), err
}

// hasPort looks for a port in the text of /proc/net/udp or tcp.
func hasPort(table string, listening bool, port int) bool {
	const tcpListen = "0A"
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > 3 && strings.HasSuffix(fields[1], suffix) && (!listening || fields[3] == tcpListen) {
			return true
		}
	}
	return false
}
