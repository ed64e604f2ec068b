//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package site

import (
	"errors"
	"os"
	"syscall"
)

// queueHeld reports whether a provisioning core holds the queue lock of a database (the file
// NAME.lock beside it, see store.LockQueue). It takes a shared lock for a moment and writes nothing.
// known is false when that cannot be told.
func queueHeld(db string) (held, known bool) {
	f, err := os.Open(db + ".lock")
	if err != nil {
		return false, errors.Is(err, os.ErrNotExist)
	}
	defer func() { _ = f.Close() }() // which gives the lock back
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK), err == nil || errors.Is(err, syscall.EWOULDBLOCK)
}
