package store

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"amtmedic/amt"
)

// QueueLock is the right to work the queue of one database file.
type QueueLock struct{ f *os.File } // nil: the database is shared, leases guard its entries

// errHeld is what lockFile gives when another process has the lock.
var errHeld = errors.New("held by another process")

// LockQueue takes the lock NAME.lock beside the database, and writes owner into it. When another
// provisioning server has it, the error is ErrLocked and names that one. The lock ends with the
// process, however that ends.
func (s *Store) LockQueue(owner string) (*QueueLock, error) {
	if s.e.shared {
		return &QueueLock{}, nil
	}
	name := s.path + ".lock"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &amt.Error{Op: "lock queue", Subject: name, Err: classify(err)}
	}
	if err := lockFile(f); err != nil {
		holder, _ := os.ReadFile(name) // its name only helps; without it the refusal stands all the same
		_ = f.Close()
		if !errors.Is(err, errHeld) {
			return nil, &amt.Error{Op: "lock queue", Subject: name, Err: err}
		}
		return nil, &amt.Error{Op: "lock queue", Subject: s.path, Err: fmt.Errorf("%w: %s", ErrLocked, strings.TrimSpace(string(holder))),
			Hint: "stop that one first, or give this one a database of its own with --db"}
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt([]byte(owner+"\n"), 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, &amt.Error{Op: "lock queue", Subject: name, Err: err}
	}
	return &QueueLock{f}, nil
}

// Release gives the lock back. The file stays: removing it could take a lock from somebody who is
// just taking it.
func (l *QueueLock) Release() error {
	if l.f == nil {
		return nil
	}
	return errors.Join(l.f.Truncate(0), l.f.Close())
}
