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
	"amtmedic/diag"
	"amtmedic/diag/flow"
)

// Case is one case open for writing; it is a flow.Journal. Its methods are safe for concurrent
// use. Exactly one process writes to a case at a time.
type Case struct {
	// Info is what case.json says.
	Info Info
	// Repaired says what was put right when the case was opened, such as a last line that a killed
	// process had left half written; the bytes are kept in a file that the text names.
	Repaired []string

	folder  string
	now     func() time.Time
	lock    *lock
	facts   *lines
	actions *lines
	log     *lines
}

var _ flow.Journal = (*Case)(nil)

// Open opens a case for writing. A case that another process writes to is refused with its name.
func Open(dir, id string) (*Case, error) { return open(dir, id, "", time.Now) }

func open(dir, id, owner string, now func() time.Time) (*Case, error) {
	fail := func(err error, hint string) error {
		return &amt.Error{Op: "open case", Subject: id, Err: err, Hint: hint}
	}
	info, err := find(dir, id)
	if err != nil {
		return nil, err
	}
	c := &Case{Info: info, folder: filepath.Join(dir, id), now: now}
	if c.lock, err = takeLock(filepath.Join(c.folder, lockFile), ownerLine(owner, now())); err != nil {
		return nil, fail(err, "it can be read all the same; close the other program to go on with it")
	}
	for _, file := range []struct {
		name string
		to   **lines
	}{{factsFile, &c.facts}, {actionsFile, &c.actions}, {logFile, &c.log}} {
		l, cut, err := openLines(filepath.Join(c.folder, file.name))
		if err != nil {
			return nil, errors.Join(fail(err, ""), c.Close())
		}
		*file.to = l
		if cut != "" {
			c.Repaired = append(c.Repaired, fmt.Sprintf("the last line of %s was cut off; its bytes are kept in %s", file.name, filepath.Base(cut)))
		}
	}
	syncDir(c.folder)
	for _, r := range c.Repaired {
		if err := c.Log(r); err != nil {
			return nil, errors.Join(fail(err, ""), c.Close())
		}
	}
	return c, nil
}

// find reads what a case is, and says in words when there is none.
func find(dir, id string) (Info, error) {
	fail := func(err error) error {
		return &amt.Error{Op: "open case", Subject: id, Err: err, Hint: "the cases lie in " + dir}
	}
	if !ValidID(id) {
		return Info{}, fail(errors.New("this is not the id of a case"))
	}
	info, err := readInfo(dir, id)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("there is no such case")
	}
	if err != nil {
		return Info{}, fail(err)
	}
	return info, nil
}

// ID gives the case's id.
func (c *Case) ID() string { return c.Info.ID }

// Folder gives the case's folder.
func (c *Case) Folder() string { return c.folder }

// Fact adds one fact. It refuses what a fact file would not be read with.
func (c *Case) Fact(f diag.Fact) error { return c.Facts([]diag.Fact{f}) }

// Facts adds several facts at once: all of them, or none when one is refused.
func (c *Case) Facts(fs []diag.Fact) error {
	var all []byte
	for _, f := range fs {
		f, err := diag.Make(f)
		if err != nil {
			return fmt.Errorf("note fact: %w", err)
		}
		if f.At.IsZero() {
			f.At = c.now()
		}
		f.At = f.At.UTC()
		b, err := encode(f)
		if err != nil {
			return fmt.Errorf("note fact %s: %w", f.Key, err)
		}
		all = append(all, b...)
	}
	if len(all) == 0 {
		return nil
	}
	if err := c.facts.append(all); err != nil {
		return fmt.Errorf("note facts of case %s: %w", c.Info.ID, err)
	}
	return nil
}

// Action adds one line to the log of what was changed.
func (c *Case) Action(a flow.Action) error {
	if a.At.IsZero() {
		a.At = c.now()
	}
	a.At = a.At.UTC()
	b, err := encode(a)
	if err == nil {
		err = c.actions.append(b)
	}
	if err != nil {
		return fmt.Errorf("note action %s of case %s: %w", a.Remedy, c.Info.ID, err)
	}
	return nil
}

// Log adds a line to collect.log: what happened while the case was recorded, errors included.
// Line breaks and control characters become spaces.
func (c *Case) Log(text string) error {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	return c.log.append([]byte(c.now().UTC().Format(time.RFC3339) + " " + text + "\n"))
}

// WirePath makes an empty file for packets seen at one side, such as "client", and gives its path
// and the name by which facts refer to it ("wire/client.pcapng"). A second capture of a side gets
// a number.
func (c *Case) WirePath(side string) (path, ref string, err error) {
	if !ValidID(side) {
		return "", "", fmt.Errorf("make a file for packets: %q is no name of a side", side)
	}
	if err := os.MkdirAll(filepath.Join(c.folder, wireDir), 0o700); err != nil {
		return "", "", fmt.Errorf("make a file for packets: %w", err)
	}
	for n := 1; ; n++ {
		name := side + ".pcapng"
		if n > 1 {
			name = fmt.Sprintf("%s-%d.pcapng", side, n)
		}
		path := filepath.Join(c.folder, wireDir, name)
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) && n < 1000 {
			continue
		}
		if err != nil {
			return "", "", fmt.Errorf("make a file for packets: %w", err)
		}
		return path, wireDir + "/" + name, f.Close()
	}
}

// Discard closes a case that came to nothing and removes its folder, but only when no fact and no
// action was noted: what was seen is never thrown away.
func (c *Case) Discard() error {
	empty := c.facts.size == 0 && c.actions.size == 0
	err := c.Close()
	if empty && err == nil {
		err = os.RemoveAll(c.folder)
	}
	return err
}

// Close ends the writing and lets others write.
func (c *Case) Close() error {
	var errs []error
	for _, l := range []*lines{c.facts, c.actions, c.log} {
		if l != nil {
			errs = append(errs, l.close())
		}
	}
	if c.lock != nil {
		errs = append(errs, c.lock.release())
	}
	return errors.Join(errs...)
}
