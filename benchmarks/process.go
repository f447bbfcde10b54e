package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// process is a program that was started, with the processes that it starts itself.
type process struct {
	cmd   *exec.Cmd
	log   string        // file with what it prints
	ended chan struct{} // closed when it is gone; err is set before
	err   error
}

func (l *lab) start(argv []string) (*process, error) {
	l.serial++
	p := &process{
		cmd:   exec.Command(argv[0], argv[1:]...),
		log:   filepath.Join(l.dir, fmt.Sprintf("%d-%s.log", l.serial, filepath.Base(argv[0]))),
		ended: make(chan struct{}),
	}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = l.dir, out, out
	ownGroup(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// stop ends the process, if need be by force, and whatever it has started.
func (p *process) stop() {
	if !p.hasEnded() {
		terminate(p.pid())
		select {
		case <-p.ended:
		case <-time.After(10 * time.Second):
		}
	}
	kill(p.pid()) // of a group whose leader is gone, others may be left
	<-p.ended
	os.Remove(p.log)
}

// whileRunning returns a context that ends with the process.
func (p *process) whileRunning(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-p.ended:
			cancel(errors.New("the server has ended"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// wait waits for the process to end by itself.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ended:
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// waitListening waits until somebody has the port: the process, as nobody had it before.
func (p *process) waitListening(ctx context.Context, transport string, port int) error {
	deadline := time.Now().Add(15 * time.Second)
	for !p.hasEnded() && time.Now().Before(deadline) {
		if taken, err := portTaken(transport, port); taken || err != nil {
			return err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s does not listen on %s port %d\n%s", filepath.Base(p.cmd.Path), transport, port, p.lastWords())
}

// requireFree is an error if somebody else has a port that is needed.
func requireFree(transport string, ports ...int) error {
	for _, port := range ports {
		taken, err := portTaken(transport, port)
		if err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("%s port %d is taken: end who has it, or choose others with -port", transport, port)
		}
	}
	return nil
}

// lastWords is the end of what the process printed.
func (p *process) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	lines = lines[max(0, len(lines)-10):]
	return strings.TrimSpace(fmt.Sprintf("%s %s: %s", filepath.Base(p.cmd.Path), exit(p), bytes.Join(lines, []byte("\n"))))
}

func exit(p *process) string {
	switch {
	case !p.hasEnded():
		return "prints"
	case p.err != nil:
		return "ended with " + p.err.Error()
	}
	return "ended"
}
