package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"amtmedic/amt"
)

// MinRing is the smallest ring in bytes.
const MinRing = 1 << 20

// How a ring is divided: one of ringShares for what is pinned, the rest for ringFiles files.
const (
	ringShares = 8
	ringFiles  = 8
)

// ringNote begins the section comment of a ring's file; what follows says which ring and which file.
const ringNote = "ring of recordings, begun "

// RingOptions bound a ring of recordings.
type RingOptions struct {
	Size  int64             // bytes that all files together may have, those of what is pinned included
	Every time.Duration     // a new file also after this time; 0 is by size only
	Ports []uint16          // TCP ports that hellos go to; amt.HelloPort when empty
	Warn  func(text string) // told about what cannot be written and what no longer fits; may be nil
	Stats func() Stats      // of the source, for the statistics at the end of each file; may be nil
}

// Ring is a recording of bounded size for days: files NAME-00001.pcapng and on, of which the oldest is
// removed when they get too many, and NAME-pinned.pcapng with the packets around every event, which is
// never written over. Every file can be read by itself. It is not safe for concurrent use.
type Ring struct {
	base  string
	note  string
	opt   RingOptions
	most  int64 // bytes of all files but the pinned one
	begun time.Time

	ifaces []RecordedInterface
	now    *Recorder // nil while no file can be opened
	name   string
	opened time.Time
	count  Stats // of the source when the file was opened
	number int
	kept   []ringFile // files that are full, oldest first
	size   int64      // of those
	told   bool       // that no file can be opened
	lost   uint64

	pins *pins
}

// ringFile is one file that is full.
type ringFile struct {
	name string
	size int64
}

// CreateRing begins a ring; name may end in .pcapng. It refuses, with an amt.Error around fs.ErrExist,
// when files of an earlier ring of that name are there: they are never written over.
func CreateRing(name string, opt RingOptions, ifaces ...RecordedInterface) (*Ring, error) {
	if opt.Size < MinRing {
		return nil, &amt.Error{Op: "record packets", Subject: name, Err: fmt.Errorf("a ring of %d bytes is too small", opt.Size),
			Hint: fmt.Sprintf("give it at least %d bytes", MinRing)}
	}
	if len(opt.Ports) == 0 {
		opt.Ports = []uint16{amt.HelloPort}
	}
	if opt.Warn == nil {
		opt.Warn = func(string) {}
	}
	if opt.Stats == nil {
		opt.Stats = func() Stats { return Stats{} }
	}
	r := &Ring{base: strings.TrimSuffix(name, ".pcapng"), opt: opt, most: opt.Size - opt.Size/ringShares,
		begun: time.Now(), ifaces: ifaces}
	r.note = ringNote + r.begun.UTC().Format(time.RFC3339Nano) + ", "
	if err := r.free(); err != nil {
		return nil, err
	}
	if n, known := freeBytes(filepath.Dir(r.base)); known && n < opt.Size {
		opt.Warn(fmt.Sprintf("the ring may need %d bytes, %d are free in its folder", opt.Size, n))
	}
	if err := r.next(); err != nil {
		return nil, err
	}
	pinned, err := CreateRecorder(r.PinnedName(), RecordOptions{Ports: opt.Ports, KeepOn: true, Note: r.note + "what is pinned",
		Warn: func(s string) { opt.Warn("pinned packets: " + s) }}, ifaces...)
	if err != nil {
		return nil, errors.Join(err, r.now.Close(Stats{}), os.Remove(r.name))
	}
	r.pins = newPins(pinned, opt.Size/ringShares, opt)
	return r, nil
}

// PinnedName is the name of the file with what is pinned.
func (r *Ring) PinnedName() string { return r.base + "-pinned.pcapng" }

func (r *Ring) fileName(n int) string { return fmt.Sprintf("%s-%05d.pcapng", r.base, n) }

var ringNumber = regexp.MustCompile(`^-\d{5,}\.pcapng$`)

// free refuses a name whose files are there.
func (r *Ring) free() error {
	list, err := os.ReadDir(filepath.Dir(r.base))
	if err != nil {
		return &amt.Error{Op: "record packets", Err: err, Hint: "name a file in a folder that you may write to"}
	}
	for _, d := range list {
		if rest, ok := strings.CutPrefix(d.Name(), filepath.Base(r.base)); ok && ringNumber.MatchString(rest) {
			return &amt.Error{Op: "record packets", Err: &fs.PathError{Op: "open", Path: filepath.Join(filepath.Dir(r.base), d.Name()), Err: fs.ErrExist},
				Hint: "a recording is never written over: name new files, or move those away"}
		}
	}
	return nil
}

// next opens the next file, and only then gives up the one before and the oldest of all.
func (r *Ring) next() error {
	name := r.fileName(r.number + 1)
	rec, err := CreateRecorder(name, RecordOptions{Ports: r.opt.Ports, KeepOn: true, Note: fmt.Sprintf("%sfile %d", r.note, r.number+1),
		Warn: r.opt.Warn}, r.ifaces...)
	if err != nil {
		return err
	}
	err = r.finish()
	r.now, r.name, r.opened, r.count, r.told = rec, name, time.Now(), r.opt.Stats(), false
	r.number++
	r.shrink(r.share())
	return err
}

// share is how large a file gets.
func (r *Ring) share() int64 { return r.most / ringFiles }

// finish closes the file that is written, with what the source counted meanwhile.
func (r *Ring) finish() error {
	if r.now == nil {
		return nil
	}
	s := r.opt.Stats()
	err := r.now.Close(Stats{Received: s.Received - r.count.Received, Dropped: s.Dropped - r.count.Dropped})
	r.kept = append(r.kept, ringFile{r.name, r.now.Size()})
	r.size += r.now.Size()
	r.lost += r.now.Lost()
	r.now = nil
	return err
}

// shrink removes the oldest files until room bytes fit.
func (r *Ring) shrink(room int64) {
	for len(r.kept) > 0 && r.size+room > r.most {
		if err := os.Remove(r.kept[0].name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.opt.Warn(fmt.Sprintf("an old recording cannot be removed: %v", err))
		}
		r.size -= r.kept[0].size
		r.kept = r.kept[1:]
	}
}

// Take keeps one packet with what was seen in it; see Sink.
func (r *Ring) Take(p *Packet, seen []Event) error {
	r.turn(p, seen)
	if r.now == nil {
		if p.Number > 0 {
			r.lost++
		}
	} else if err := r.now.Take(p, seen); err != nil {
		return err
	}
	return r.pins.take(p, seen)
}

// turn goes on to the next file when the present one is full or old. What cannot be opened is tried
// again every ten seconds.
func (r *Ring) turn(p *Packet, seen []Event) {
	since := time.Since(r.opened)
	switch {
	case r.now == nil:
		if since < retryAfter {
			return
		}
	case r.now.Size()+int64(len(p.Data))+recordRoom(seen) > r.share() && r.now.Size() > r.share()/2:
	case r.opt.Every > 0 && since >= r.opt.Every:
	default:
		return
	}
	err := r.next()
	if r.now != nil && err == nil {
		return
	}
	if !r.told {
		r.opt.Warn(fmt.Sprintf("the recording stops: %v; what is seen goes on", err))
	}
	r.told, r.opened = true, time.Now()
	_ = r.finish()
	r.shrink(r.share())
}

// recordRoom is what a packet takes beside its bytes.
func recordRoom(seen []Event) int64 {
	n := int64(64)
	for _, e := range seen {
		n += int64(len(e.Comment())) + 80
	}
	return n
}

// AddInterface describes one more interface in all files that are written from now on.
func (r *Ring) AddInterface(d RecordedInterface) error {
	if err := r.pins.rec.AddInterface(d); err != nil {
		return err
	}
	r.ifaces = append(r.ifaces, d)
	if r.now == nil {
		return nil
	}
	return r.now.AddInterface(d)
}

// Interfaces tells how many interfaces are described.
func (r *Ring) Interfaces() int { return len(r.ifaces) }

// Flush hands on what waits.
func (r *Ring) Flush() error {
	err := r.pins.rec.Flush()
	if r.now != nil {
		err = errors.Join(err, r.now.Flush())
	}
	return err
}

// Close ends the recording; s is what the source counted in all.
func (r *Ring) Close(s Stats) error {
	return errors.Join(r.finish(), r.pins.rec.Close(s))
}

// Lost tells how many packets were not written because writing did not work.
func (r *Ring) Lost() uint64 {
	n := r.lost + r.pins.rec.Lost()
	if r.now != nil {
		n += r.now.Lost()
	}
	return n
}
