package tools

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt"
	"amtmedic/amt/discover"
	"amtmedic/amt/store"
	"amtmedic/amt/usbkey"
)

// Here is what this computer tells of its own AMT. What is not known is left out.
type Here struct {
	Fields          [][2]string // name and value
	Problems, Notes []amt.Problem
	Hint            string // the next step where something could not be read
	UUID, FQDN      string // the row of the UUID map
}

// World is where the tools work. Nil and zero fields are those of this machine.
type World struct {
	USB      *usbkey.System
	Random   io.Reader // of keys and volume numbers; a cryptographic source
	Now      func() time.Time
	Tick     func(time.Duration, func(time.Time) tea.Msg) tea.Cmd // as tea.Tick; tests do not wait
	Folder   string                                               // where a rescued setup.bin is kept until it was read back
	Dir      string                                               // where relative paths begin; empty: where the program runs
	Discover discover.Options                                     // without Done
	// Here looks at this computer; nil: it cannot be done here.
	Here func(ctx context.Context) (Here, error)
	// Change opens the database of the provisioning core to write to it, and closes it; Read opens it
	// to be read. nil: there is none here. Database is its name.
	Change, Read func(ctx context.Context, do func(context.Context, *store.Store) error) error
	Database     string

	under sync.WaitGroup
}

// filled gives the world without holes.
func (w *World) filled() *World {
	if w == nil {
		w = &World{}
	}
	if w.USB == nil {
		s := usbkey.ThisSystem()
		w.USB = &s
	}
	if w.Random == nil {
		w.Random = rand.Reader
	}
	if w.Now == nil {
		w.Now = time.Now
	}
	if w.Tick == nil {
		w.Tick = tea.Tick
	}
	if w.Folder == "" {
		w.Folder = os.TempDir()
	}
	if w.Discover.Rate == 0 {
		w.Discover.Rate = 500
	}
	if w.Discover.Timeout == 0 {
		w.Discover.Timeout = 2 * time.Second
	}
	return w
}

func (w *World) begin()  { w.under.Add(1) }
func (w *World) finish() { w.under.Done() }

// Wait waits until all work has ended, at most as long as given: what is being written ends orderly
// then. It comes after the context of the pages has ended.
func (w *World) Wait(most time.Duration) {
	if w == nil {
		return
	}
	done := make(chan struct{})
	go func() { w.under.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(most):
	}
}

// path gives a path that a person typed: without spaces around it, with the home folder for ~.
func (p *Page) path(path string) string {
	path = strings.TrimSpace(path)
	if rest, ok := strings.CutPrefix(path, "~"+string(filepath.Separator)); ok {
		if dir, err := os.UserHomeDir(); err == nil {
			return filepath.Join(dir, rest)
		}
	}
	if path != "" && p.world.Dir != "" && !filepath.IsAbs(path) {
		path = filepath.Join(p.world.Dir, path)
	}
	return path
}

// readFile reads a file of at most so many bytes. op names what is done in an error.
func readFile(op, path string, most int64) ([]byte, error) {
	fail := func(err error, hint string) error { return &amt.Error{Op: op, Subject: path, Err: err, Hint: hint} }
	if path == "" {
		return nil, &amt.Error{Op: op, Err: errors.New("no file is named"), Hint: "type its path"}
	}
	info, err := os.Stat(path)
	var at *os.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	switch {
	case err != nil:
		return nil, fail(err, "check the path")
	case !info.Mode().IsRegular():
		return nil, fail(errors.New("it is no file"), "name a file")
	case info.Size() > most:
		return nil, fail(fmt.Errorf("it has more than %s", mib(most)), "is it the right file?")
	}
	b, err := os.ReadFile(path)
	if errors.As(err, &at) {
		err = at.Err
	}
	if err != nil {
		return nil, fail(err, "")
	}
	return b, nil
}
