//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package store

import (
	"errors"
	"os"
)

// lockFile cannot keep a second server away on this system, so it lets none start.
func lockFile(*os.File) error { return errors.New("file locks are not supported on this system") }
