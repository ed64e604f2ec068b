package main

import (
	"errors"
	"io"

	"amtmedic/amt"
	"amtmedic/amt/secretfile"
)

// writeSecretFile writes name in one step, with mode 0600. A file that holds something is only
// replaced when force is set: its keys may exist nowhere else. op names what is done in an error.
func writeSecretFile(op, name string, force bool, write func(io.Writer) error) error {
	err := secretfile.Write(name, force, write)
	if err == nil {
		return nil
	}
	hint := ""
	if errors.Is(err, secretfile.ErrExists) {
		hint = "its keys may exist nowhere else: take another name, or --force to replace it"
	}
	return &amt.Error{Op: op, Subject: plain(name), Err: err, Hint: hint}
}
