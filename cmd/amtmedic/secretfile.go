package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"amtmedic/amt"
)

// writeSecretFile writes name in one step, with mode 0600. A file that holds something is only
// replaced when force is set: its keys may exist nowhere else. op names what is done in an error.
func writeSecretFile(op, name string, force bool, write func(io.Writer) error) (err error) {
	fail := func(err error, hint string) error {
		return &amt.Error{Op: op, Subject: plain(name), Err: err, Hint: hint}
	}
	if fi, err := os.Stat(name); err == nil && !force && (fi.Size() > 0 || !fi.Mode().IsRegular()) {
		return fail(errors.New("it exists already"), "its keys may exist nowhere else: take another name, or --force to replace it")
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fail(err, "")
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".keys-*") // made with mode 0600
	if err != nil {
		return fail(err, "")
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fail(err, "")
	}
	return nil
}
