package store

import (
	"errors"
	"fmt"
	"syscall"
)

// Causes that a write can have long after the database was opened. The words tell what to do, since
// they stand in the log of a server that goes on.
var (
	// ErrNoDatabase is an ErrUnreachable: the file holds something else.
	ErrNoDatabase error = &kind{"the file is no database", ErrUnreachable}
	// ErrFull is an ErrUnreachable: nothing was written, and writing works again when there is room.
	ErrFull error = &kind{"no room is left on its disk: make room there, the server goes on by itself", ErrUnreachable}
	// ErrReadOnly is an ErrDenied.
	ErrReadOnly error = &kind{"it is read-only: make file, folder and file system writable, or with PostgreSQL name the primary server", ErrDenied}
)

// kind is a cause that is also another, wider one.
type kind struct {
	text string
	of   error
}

func (k *kind) Error() string        { return k.text }
func (k *kind) Is(target error) bool { return target == k.of }

// causeOfSystem tells the causes apart that the file system gives.
func causeOfSystem(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return ErrFull
	case errors.Is(err, syscall.EROFS):
		return ErrReadOnly
	}
	return nil
}

// named puts the database before a cause that concerns its place.
func (s *Store) named(err error) error {
	if errors.Is(err, ErrFull) || errors.Is(err, ErrReadOnly) {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	return err
}

// oneName refuses to write to a file that has several names: SQLite keeps its log beside the name that
// it is opened by, so that two programs with two names would destroy the database
// (https://www.sqlite.org/howtocorrupt.html, multiple links to the same file).
func oneName(path string) error {
	n, err := links(path)
	if err != nil || n <= 1 {
		return classify(err)
	}
	return fmt.Errorf("%w: the file has %d names (hard links), and to write through two of them destroys it: remove the others, or make a copy", ErrDenied, n)
}
