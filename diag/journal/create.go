package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"amtmedic/amt"
)

// Options say what a new case is. Now and Rand are needed; the rest may be empty.
type Options struct {
	Name     string
	Tool     string
	Practice *Practice
	Now      func() time.Time // the moment of the case; lines without a time get it too
	Rand     func(n int) int  // a number from 0 to n-1
	Owner    string           // who writes, for others who find the case locked; empty: user, host and process
}

// letters make ids that can be typed and said: no 0, 1, i, l, o.
const letters = "23456789abcdefghjkmnpqrstuvwxyz"

// Create makes a case under dir and opens it for writing. The folder appears in one step, complete:
// a process that dies on the way leaves no half case.
func Create(dir string, o Options) (*Case, error) {
	fail := func(err error) error {
		return &amt.Error{Op: "make a case", Subject: dir, Err: err, Hint: homeHint(err)}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fail(err)
	}
	tmp, err := os.MkdirTemp(dir, ".new-")
	if err != nil {
		return nil, fail(err)
	}
	defer os.RemoveAll(tmp) // it is gone when the rename went well
	info := Info{Format: Format, Name: o.Name, Created: o.Now().UTC(), Tool: o.Tool, Practice: o.Practice}
	for try := 0; ; try++ {
		info.ID = newID(info.Created, o.Rand, 2+try/20*2)
		if err := writeInfo(tmp, info); err != nil {
			return nil, fail(err)
		}
		err := renameNew(tmp, filepath.Join(dir, info.ID))
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) || try == 60 {
			return nil, fail(err)
		}
		if err := os.Remove(filepath.Join(tmp, infoFile)); err != nil {
			return nil, fail(err)
		}
	}
	syncDir(dir)
	return open(dir, info.ID, o.Owner, o.Now)
}

// newID gives an id such as case-20261125-1003-k7: sortable by time, short enough to type.
func newID(at time.Time, rnd func(int) int, n int) string {
	var tail strings.Builder
	for range n {
		tail.WriteByte(letters[rnd(len(letters))])
	}
	return fmt.Sprintf("case-%s-%s", at.UTC().Format("20060102-1504"), tail.String())
}

// renameNew moves a folder to a name that is free. A rename alone would replace an empty folder.
func renameNew(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	err := os.Rename(from, to)
	if err != nil {
		if _, there := os.Lstat(to); there == nil {
			return fs.ErrExist // another process was quicker
		}
	}
	return err
}

func homeHint(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "set AMTMEDIC_HOME to a folder that you may write to"
	}
	return ""
}

// syncDir makes a rename durable where the system can do that.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
