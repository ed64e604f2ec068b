package site

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// queueHeld reports whether a provisioning core holds the queue lock of a database: the byte far
// behind the text of NAME.lock, see store.LockQueue. It takes a shared lock for a moment and writes
// nothing. known is false when that cannot be told.
func queueHeld(db string) (held, known bool) {
	f, err := os.Open(db + ".lock")
	if err != nil {
		return false, errors.Is(err, os.ErrNotExist)
	}
	defer func() { _ = f.Close() }() // which gives the lock back
	at := &windows.Overlapped{OffsetHigh: 1}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
	return errors.Is(err, windows.ERROR_LOCK_VIOLATION), err == nil || errors.Is(err, windows.ERROR_LOCK_VIOLATION)
}
