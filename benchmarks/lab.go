package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/template"
)

//go:embed testdata
var testdata embed.FS

const module = "github.com/goser-project/goser"

// programs are built for a run, as a user would build them.
var programs = []string{"examples/relay", "examples/sipserver", "benchmarks/sipgoproxy", "benchmarks/slowrelay"}

// lab is what all cases of a run share.
type lab struct {
	options
	dir          string // temporary
	sippPath     string
	kamailioPath string // empty: Kamailio is not measured
	openFiles    int    // how many a process may have
	serial       int    // of log files
}

// newLab finds the programs of others and builds ours.
func newLab(ctx context.Context, o options, cases []benchCase) (l *lab, err error) {
	l = &lab{options: o}
	if l.openFiles, err = raiseFileLimit(); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(cases, func(c benchCase) bool { return c.sipp }) {
		if l.sippPath, err = exec.LookPath("sipp"); err != nil {
			return nil, errors.New("sipp, which makes the calls, is not there: install the Debian package sip-tester")
		}
	}
	if o.kamailio {
		if l.kamailioPath = findKamailio(); l.kamailioPath == "" {
			fmt.Fprintln(os.Stderr, "Kamailio is not there (Debian package kamailio): comparing with the sipgo proxy alone")
		}
	}
	if l.dir, err = os.MkdirTemp("", "goser-benchmarks-"); err != nil {
		return nil, err
	}
	if err := errors.Join(l.build(ctx), l.unpack()); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) close() {
	if err := os.RemoveAll(l.dir); err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
	}
}

// findKamailio looks where Debian has it, too: that is in the PATH of root only.
func findKamailio() string {
	for _, name := range []string{"kamailio", "/usr/sbin/kamailio"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func (l *lab) has(p peer) bool {
	switch p {
	case kamailio:
		return l.kamailioPath != ""
	case sipgo:
		return l.sipgo
	}
	return true
}

func (l *lab) build(ctx context.Context) error {
	for _, p := range programs {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", l.binary(filepath.Base(p)), module+"/"+p)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s, which works inside the module %s only: %w\n%s", p, module, err, out)
		}
	}
	return nil
}

func (l *lab) binary(name string) string { return filepath.Join(l.dir, name) }

// unpack writes SIPp's scenarios to where SIPp can read them.
func (l *lab) unpack() error {
	return os.CopyFS(l.dir, testdata)
}

func (l *lab) scenario(name string) string { return filepath.Join(l.dir, "testdata", name+".xml") }

func (l *lab) calleePort() int { return l.port + 10 }
func (l *lab) callerPort() int { return l.port + 20 }

type kamailioConfig struct {
	Transport    string
	Connections  int
	Port, Callee int
}

// kamailioCommand writes a configuration file and returns the command for it.
func (l *lab) kamailioCommand(name string, c kamailioConfig) ([]string, error) {
	c.Port, c.Callee = l.port, l.calleePort()
	file := "kamailio-" + name + ".cfg"
	t, err := template.ParseFS(testdata, "testdata/kamailio-listen.cfg", "testdata/"+file)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(l.dir, file)
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(t.ExecuteTemplate(f, file, c), f.Close()); err != nil {
		return nil, err
	}
	// -x, -X: the allocator without debugging; the default, qm, is three times slower.
	// -m: what Kamailio may share, in MB. It takes from the system what it uses.
	return []string{l.kamailioPath, "-DD", "-E", "-x", "fm", "-X", "fm", "-f", path, "-m", "4096", "-M", "16",
		"-w", l.dir, "-Y", l.dir, "-P", filepath.Join(l.dir, "kamailio.pid")}, nil
}
