// Package secretfile writes files that hold secrets: in one step, for their owner only, and never over
// something whose keys may exist nowhere else.
package secretfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// ErrExists says that the file holds something already; nothing was written.
var ErrExists = errors.New("it exists already")

// Check gives ErrExists for a name under which something stands already. An empty file is nothing.
func Check(name string) error {
	fi, err := os.Stat(name)
	if err == nil && (fi.Size() > 0 || !fi.Mode().IsRegular()) {
		return ErrExists
	}
	return nil
}

// Write makes the file name, with mode 0600, of what write gives; folders that lack are made with mode
// 0700. Without replace an existing file is ErrExists. After an error nothing of the new file is left.
func Write(name string, replace bool, write func(io.Writer) error) (err error) {
	if !replace {
		if err := Check(name); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".keys-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err = errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
