package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// report is the Markdown text about a run.
func report(m machine, command string, at time.Time, cases []benchCase) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# Benchmarks\n\ngoser beside Kamailio and a proxy written with sipgo, under the same load, in turn. "+
		"Medians over the rounds; what the columns\nmean is said in [benchmarks/main.go](benchmarks/main.go).\n\n"+
		"Made by `%s`, %s:\n\n", command, at.Format(time.DateOnly))
	for _, line := range m.lines() {
		fmt.Fprintf(&out, "- %s\n", line)
	}
	for i := range cases {
		if c := &cases[i]; len(c.samples) > 0 {
			fmt.Fprintf(&out, "\n## %s\n\n%s%s\n\n%s", c.name, strings.ToUpper(c.title[:1]), c.title[1:]+"; "+c.rounds()+".", c.table())
		}
	}
	return out.String()
}

// rounds says how often was measured.
func (c *benchCase) rounds() string {
	n := 0
	for _, s := range c.samples {
		n = max(n, len(s))
	}
	if n == 1 {
		return "one round"
	}
	return fmt.Sprintf("%d rounds", n)
}

// machine is what the figures depend on.
type machine struct {
	cores                                             int
	cpu, kernel, golang, goser, sipgo, kamailio, sipp string
}

func (m machine) lines() []string {
	lines := []string{
		fmt.Sprintf("%d cores, %s, Linux %s", m.cores, m.cpu, m.kernel),
		fmt.Sprintf("goser %s, %s", m.goser, m.golang),
	}
	for _, other := range []struct{ name, version string }{{"Kamailio", m.kamailio}, {"sipgo", m.sipgo}, {"SIPp", m.sipp}} {
		if other.version != "" {
			lines = append(lines, other.name+" "+other.version)
		}
	}
	return lines
}

func (l *lab) machine() machine {
	m := machine{cores: runtime.NumCPU(), cpu: "unknown CPU", kernel: "?", golang: runtime.Version(), goser: commit()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.cpu = cpuModel(string(text))
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.kernel = strings.TrimSpace(string(text))
	}
	if info, err := buildinfo.ReadFile(l.binary("sipgoproxy")); err == nil && l.sipgo {
		for _, d := range info.Deps {
			if d.Path == "github.com/emiago/sipgo" {
				m.sipgo = d.Version
			}
		}
	}
	m.kamailio = version(l.kamailioPath, "-v")
	m.sipp = version(l.sippPath, "-v")
	return m
}

func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// commit is what the servers were built from.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "without a commit"
	}
	return "at commit " + strings.TrimSpace(string(out))
}

var versionNumber = regexp.MustCompile(`v?\d+(\.\d+)+`)

// version is the first version number that a program prints about itself. What it exits with says nothing.
func version(program, flag string) string {
	if program == "" {
		return ""
	}
	out, _ := exec.Command(program, flag).CombinedOutput()
	return versionNumber.FindString(string(out))
}

// command is how this run was started.
func command(args []string) string {
	return strings.Join(append([]string{"go run ./benchmarks"}, args...), " ")
}
