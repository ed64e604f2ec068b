//go:build !(linux || darwin || freebsd || netbsd || openbsd || windows)

package main

import (
	"errors"
	"os"
)

// hideTyping is not known for this system.
func hideTyping(*os.File) (show func(), err error) {
	return nil, errors.New("hide what is typed: not possible on this system")
}

// isTerminal reports whether a file may be a terminal.
func isTerminal(f *os.File) bool {
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0
}
