//go:build unix

package journal

import (
	"errors"
	"os"
	"syscall"
)

// lockNow takes the whole file, or gives errLocked at once.
func lockNow(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
