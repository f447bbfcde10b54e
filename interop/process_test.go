//go:build interop

package interop

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a program that a test started. The test ends it: at the latest in its cleanup, by force.
type process struct {
	name   string
	cmd    *exec.Cmd
	output *output
	ended  chan struct{} // closed when the program is gone; err is set before
	err    error
}

func start(t *testing.T, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, output: newOutput(), ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.output
	}
	cmd.Stderr = p.output
	require.NoError(t, cmd.Start())
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		select {
		case <-p.ended:
		default:
			_ = cmd.Process.Kill()
			<-p.ended
		}
		if t.Failed() {
			t.Logf("%s: %s\n%s", name, strings.Join(cmd.Args, " "), p.output.tail(16000))
		}
	})
	return p
}

// waitLine waits until the program has printed a line that contains text.
func (p *process) waitLine(t *testing.T, text string, patience time.Duration) {
	t.Helper()
	deadline := time.After(patience)
	for {
		changed := p.output.changed()
		if strings.Contains(p.output.tail(-1), text) {
			return
		}
		select {
		case <-changed:
		case <-p.ended:
			require.FailNow(t, p.name+" ended: "+exitText(p.err))
		case <-deadline:
			require.FailNow(t, p.name+" did not print "+text)
		}
	}
}

// wait waits for the program to end by itself, without an error.
func (p *process) wait(t *testing.T, patience time.Duration) {
	t.Helper()
	select {
	case <-p.ended:
		require.NoError(t, p.err, p.name)
	case <-time.After(patience):
		require.FailNow(t, p.name+" does not end")
	}
}

// stop asks the program to end, with the signal, and requires that it does so without an error.
func (p *process) stop(t *testing.T, signal os.Signal, patience time.Duration) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); !errors.Is(err, os.ErrProcessDone) {
		require.NoError(t, err, p.name)
	}
	p.wait(t, patience)
}

func exitText(err error) string {
	if err == nil {
		return "without an error"
	}
	return err.Error()
}

// output keeps what a program prints.
type output struct {
	mu   sync.Mutex
	text []byte
	more chan struct{} // closed at the next write
}

var _ io.Writer = (*output)(nil)

func newOutput() *output { return &output{more: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	close(o.more)
	o.more = make(chan struct{})
	return len(b), nil
}

func (o *output) changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.more
}

// tail returns the last n bytes, all of them if n is negative.
func (o *output) tail(n int) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n < 0 || len(o.text) <= n {
		return string(o.text)
	}
	return "[…]" + string(o.text[len(o.text)-n:])
}
