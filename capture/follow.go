package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// errShorter is the cause when a file that is followed loses bytes that were read already.
var errShorter = errors.New("the file became shorter while it was read")

// How often a file that is followed is looked at.
const (
	followEvery = 50 * time.Millisecond // for more bytes
	followLook  = time.Second           // whether it is still there
)

// FollowFile opens a capture file that another program still writes: Run waits for more at its end,
// also in the middle of a record, until ctx ends. It gives a heartbeat once a second while nothing
// comes; its time is that of the last packet and what has passed since. Run ends regularly, with a
// warning, when the file is removed or replaced by another. What is no regular file is read as by
// OpenFile. Close the file after Run.
func FollowFile(name string, warn func(text string)) (*File, error) {
	s, err := OpenFile(name, warn)
	if err != nil || !isRegular(s.r) {
		return s, err
	}
	s.follow = &follower{f: s.r.(*os.File), name: name, warn: s.warn}
	s.r = s.follow
	return s, nil
}

// follower reads a file that grows.
type follower struct {
	f    *os.File
	name string
	warn func(string)
	ctx  context.Context
	beat func(waited time.Duration) error // called about once a second while nothing comes
	off  int64
	gone bool  // what is left is read, then it ends
	fail error // of beat
}

// Read gives what there is, or waits for more.
func (r *follower) Read(p []byte) (int, error) {
	var tick *time.Ticker
	since := time.Now()
	look := since
	for {
		n, err := r.f.Read(p)
		r.off += int64(n)
		if n > 0 || err != io.EOF || r.gone {
			return n, err
		}
		if tick == nil {
			tick = time.NewTicker(followEvery)
			defer tick.Stop()
		}
		select {
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		case <-tick.C:
		}
		if time.Since(look) < followLook {
			continue
		}
		look = time.Now()
		if err := r.still(); err != nil {
			return 0, err
		}
		if r.fail = r.beat(look.Sub(since)); r.fail != nil {
			return 0, r.fail
		}
	}
}

// still looks whether the file is the one that was opened, and as long as what was read of it.
func (r *follower) still() error {
	open, err := r.f.Stat()
	if err != nil {
		return err
	}
	if open.Size() < r.off {
		return fmt.Errorf("%w: from %d to %d bytes", errShorter, r.off, open.Size())
	}
	now, err := os.Stat(r.name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		r.gone = true
		r.warn("the file was removed; nothing more will come")
	case err == nil && !os.SameFile(open, now):
		r.gone = true
		r.warn("the file was replaced by another; the old one is read to its end")
	}
	return nil
}
