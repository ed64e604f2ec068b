package usbkey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"amtmedic/amt"
)

// Format says how Prepare writes a key.
type Format struct {
	FAT32    bool
	Most     int64     // the volume has at most so many bytes; 0: as many as the medium
	Serial   uint32    // number of the volume, random
	At       time.Time // date of SETUP.BIN
	Progress func(done, total int64, doing string)
}

// Advised is the size of volume that is advised for a key, in bytes.
const Advised = 512 << 20

// piece is something that is written at an offset.
type piece struct {
	at int64
	b  []byte
}

// ErrUnmarked is the cause of a failure after which the medium has no file system: what was on it is
// gone, and no firmware takes it for a key.
var ErrUnmarked = errors.New("the key is marked unusable")

// Prepare formats a medium of size bytes as one volume without partition table, with SETUP.BIN in
// the first slot of the root directory and in the lowest clusters, and nothing else. The boot sector
// is cleared first and written last, after everything else was read back: a key that was pulled out
// or a run that was interrupted leaves no file system. Errors after the first byte was written are
// ErrUnmarked.
func Prepare(ctx context.Context, m Medium, size int64, setup []byte, f Format) error {
	if f.Most > 0 {
		size = min(size, f.Most)
	}
	l, err := plan(size, f.FAT32)
	if err != nil {
		return err
	}
	used := (int64(len(setup)) + l.clusterBytes() - 1) / l.clusterBytes()
	if used > l.clusters-2 {
		return fmt.Errorf("a file of %s does not fit", bytesWords(int64(len(setup))))
	}
	w := &writer{m: m, f: f}
	boot := l.boot(f.Serial)
	pieces := l.pieces(setup, used, boot, f.At)
	for _, p := range pieces {
		w.total += 2 * int64(len(p.b)) // written and read back
	}
	w.total += 3 * sectorSize // the boot sector: cleared, written, read back
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.run(ctx, pieces, boot); err != nil {
		return fmt.Errorf("%w: %w", ErrUnmarked, err)
	}
	return nil
}

// pieces gives what is written, but for the boot sector.
func (l layout) pieces(setup []byte, used int64, boot []byte, at time.Time) []piece {
	reserved := make([]byte, (l.reserved-1)*sectorSize)
	if l.wide {
		copy(reserved, l.info(used+1))
		copy(reserved[5*sectorSize:], boot)
		copy(reserved[6*sectorSize:], l.info(used+1))
	}
	table := l.table(used)
	root := make([]byte, max(l.root*sectorSize, 0))
	if l.wide {
		root = make([]byte, l.clusterBytes())
	}
	copy(root, l.entry(len(setup), fatTime(at)))
	data := make([]byte, used*l.clusterBytes()) // the rest of the last cluster is cleared
	copy(data, setup)
	return []piece{
		{sectorSize, reserved},
		{l.reserved * sectorSize, table},
		{(l.reserved + l.fat) * sectorSize, table},
		{(l.reserved + fatCopies*l.fat) * sectorSize, root},
		{l.data()*sectorSize + (l.first()-2)*l.clusterBytes(), data},
	}
}

// fatTime gives a time and a date in the form of FAT, which begins in 1980.
func fatTime(t time.Time) [2]uint16 {
	t = t.UTC()
	if t.Year() < 1980 || t.Year() > 2107 {
		return [2]uint16{0, 1<<5 | 1}
	}
	return [2]uint16{uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2), uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day())}
}

// writer writes pieces, counts them, and stops between two of them when it is told to.
type writer struct {
	m           Medium
	f           Format
	done, total int64
}

// step is how much is written or read at once.
const step = 256 << 10

func (w *writer) run(ctx context.Context, pieces []piece, boot []byte) error {
	if err := w.write(ctx, piece{0, make([]byte, sectorSize)}, "clearing"); err != nil {
		return err
	}
	if err := w.m.Sync(); err != nil {
		return fmt.Errorf("clear the key: %w", err)
	}
	for _, p := range pieces {
		if err := w.write(ctx, p, "writing"); err != nil {
			return err
		}
	}
	if err := w.m.Sync(); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	for _, p := range pieces {
		if err := w.compare(ctx, p); err != nil {
			return err
		}
	}
	if err := w.write(ctx, piece{0, boot}, "marking"); err != nil {
		return err
	}
	if err := w.m.Sync(); err != nil {
		return fmt.Errorf("write the boot sector: %w", err)
	}
	return w.compare(context.WithoutCancel(ctx), piece{0, boot})
}

func (w *writer) write(ctx context.Context, p piece, doing string) error {
	return w.each(ctx, p, doing, func(at int64, b []byte) error {
		_, err := w.m.WriteAt(b, at)
		return err
	})
}

// compare reads a piece back; on Linux from the device itself, elsewhere the system may answer from
// its memory.
func (w *writer) compare(ctx context.Context, p piece) error {
	return w.each(ctx, p, "reading back", func(at int64, b []byte) error {
		got := make([]byte, len(b))
		if n, err := w.m.ReadAt(got, at); err != nil && (!errors.Is(err, io.EOF) || n < len(got)) {
			return err
		}
		if !bytes.Equal(got, b) {
			return errors.New("it holds other bytes than were written: take another key")
		}
		return nil
	})
}

func (w *writer) each(ctx context.Context, p piece, doing string, do func(at int64, b []byte) error) error {
	for from := 0; from < len(p.b); from += step {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := p.b[from:min(from+step, len(p.b))]
		if err := do(p.at+int64(from), b); err != nil {
			return fmt.Errorf("%s at byte %d: %w", doing, p.at+int64(from), err)
		}
		w.done += int64(len(b))
		if w.f.Progress != nil {
			w.f.Progress(w.done, w.total, doing)
		}
	}
	return nil
}

// Blank reports whether a medium has nothing at its start: formatting it loses no work.
func Blank(r io.ReaderAt, size int64) (bool, error) {
	b := make([]byte, min(size, 1<<20))
	if n, err := r.ReadAt(b, 0); err != nil && (!errors.Is(err, io.EOF) || n < len(b)) {
		return false, &amt.Error{Op: "read", Err: err}
	}
	return bytes.Equal(b, make([]byte, len(b))), nil
}
