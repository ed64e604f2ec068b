package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
	"amtmedic/diag/probe"
)

// readState is what became of a capture file: as what it was read, and whether it told anything. One
// with several clients tells nothing until it is known which is ours.
type readState struct {
	stamp   string
	told    bool
	several bool // clients speak in it, and none was known to be ours
}

// captures gives the probes of the capture files. Each file is read once, unless it has grown, or
// could not be used before the client was known. While one file leaves open which client is ours, no
// other is read: its only client would be taken for ours.
func (w *World) captures(v *diag.View) []probe.Probe {
	var out []probe.Probe
	for _, c := range w.o.Captures {
		stamp := stampOf(c.Path)
		w.mu.Lock()
		was, before := w.read[c]
		w.mu.Unlock()
		if before && was.told && was.stamp == stamp || !before && w.open() && whose(v) == "" {
			continue
		}
		p := w.capture(c, v, stamp)
		if before && was.stamp == stamp {
			p.What += whose(v)
		} else if before {
			p.What += ", which has changed"
		}
		out = append(out, p)
	}
	return out
}

// open: a file that was read leaves open which client is ours.
func (w *World) open() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.read {
		if r.several {
			return true
		}
	}
	return false
}

// whose names the client that a file is read for, empty while it is not known.
func whose(v *diag.View) string {
	text := ""
	if u := uuid(v); !u.IsZero() {
		text = " for " + u.String()
	}
	if l := clients(v); len(l) > 0 {
		text += fmt.Sprintf(" at %v", l)
	}
	return text
}

// stampOf changes when a file does.
func stampOf(path string) string {
	fi, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprint(fi.Size(), fi.ModTime().UnixNano())
}

func (w *World) capture(c Capture, v *diag.View, stamp string) probe.Probe {
	odd := &oddities{}
	var record func() (io.WriteCloser, string, error)
	w.mu.Lock()
	if files := w.files; files != nil {
		record = func() (io.WriteCloser, string, error) { return files(string(c.Side)) }
	}
	w.mu.Unlock()
	p := probe.WireFile(probe.Wire{Side: c.Side, Record: record, Name: c.Path, Clients: clients(v), UUID: uuid(v), Ports: ports(v),
		Open: func(warn func(string)) (capture.Source, error) {
			f, err := capture.OpenFile(c.Path, func(text string) { warn(text); odd.add(errors.New(text)) })
			if err != nil {
				return nil, err
			}
			return &telling{f, odd}, nil
		}})
	p.ID += ":" + c.Path
	run := p.Run
	p.Run = func(ctx context.Context, r probe.Report) error {
		told := &teller{Report: r}
		err := run(ctx, told)
		if ctx.Err() == nil {
			w.mu.Lock()
			w.read[c] = readState{stamp, told.told, !told.told && strings.Contains(told.last, severalWords)}
			w.mu.Unlock()
		}
		if err = errors.Join(append(odd.list(), err)...); err != nil {
			return err
		}
		if !told.told {
			return fmt.Errorf("it tells nothing of the client: %s", told.last)
		}
		return nil
	}
	return p
}

// telling is a capture file whose end is told: the scan passes over it.
type telling struct {
	*capture.File
	odd *oddities
}

// Run reads the file.
func (t *telling) Run(ctx context.Context, fn func(*capture.Packet) error) error {
	err := t.File.Run(ctx, fn)
	if err != nil && ctx.Err() == nil {
		t.odd.add(err)
	}
	return err
}

// oddities are what was wrong with a file but did not stop its reading.
type oddities struct {
	mu   sync.Mutex
	errs []error
}

func (o *oddities) add(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.errs = append(o.errs, err)
}

func (o *oddities) list() []error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.errs
}

// severalWords is what the scan says of a file in which nobody can be told from others.
const severalWords = "none is known to be ours"

// teller notes whether a probe gave facts, and the last words that it said.
type teller struct {
	probe.Report
	mu   sync.Mutex
	told bool
	last string
}

// Fact passes a fact on.
func (t *teller) Fact(f diag.Fact) {
	t.mu.Lock()
	t.told = true
	t.mu.Unlock()
	t.Report.Fact(f)
}

// Saw passes a line on.
func (t *teller) Saw(text string) {
	t.mu.Lock()
	t.last = text
	t.mu.Unlock()
	t.Report.Saw(text)
}

// errEnough ends the look at a file after its first packet.
var errEnough = errors.New("enough")

// Readable reports why a file cannot be used as a capture, nil when it can. It reads no further than
// the first packet.
func Readable(path string) error {
	fi, err := os.Stat(path)
	if err == nil && !fi.Mode().IsRegular() {
		err = &amt.Error{Op: "open capture", Subject: path, Err: errors.New("this is no regular file"), Hint: "name a pcap or pcapng file; amtmedic capture scan reads pipes"}
		return err
	}
	f, err := capture.OpenFile(path, nil)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := f.Run(context.Background(), func(*capture.Packet) error { return errEnough }); err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return nil
}
