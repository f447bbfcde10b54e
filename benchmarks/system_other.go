//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

// On other systems the program only says that it needs Linux.

func ownGroup(*exec.Cmd)           {}
func terminate(int)                {}
func kill(int)                     {}
func raiseFileLimit() (int, error) { return 0, errors.ErrUnsupported }
