package main

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the process the leader of a group of its own: Ctrl-C does not reach it, so that it is ended in order,
// and who it starts can be ended with it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// terminate asks the leader, which ends the others itself.
func terminate(pid int) { _ = syscall.Kill(pid, syscall.SIGTERM) }

func kill(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// raiseFileLimit lets this process, and those that it starts, open as many files as it may allow itself.
func raiseFileLimit() (int, error) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, err
	}
	r.Cur = r.Max
	return int(r.Cur), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &r)
}
