package bundle

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"amtmedic/amt"
	"amtmedic/diag/journal"
)

// writeZip writes the members in the order of their names, the manifest last, all with one time.
func writeZip(ctx context.Context, w io.Writer, members map[string][]byte, manifest []byte, at time.Time) (int64, error) {
	cw := &counting{w: w}
	z := zip.NewWriter(cw)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if err := ctx.Err(); err != nil {
			return cw.n, err
		}
		if err := addMember(z, name, members[name], at); err != nil {
			return cw.n, fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := addMember(z, ManifestName, manifest, at); err != nil {
		return cw.n, fmt.Errorf("write %s: %w", ManifestName, err)
	}
	return cw.n, errors.Join(z.Close(), cw.err)
}

// addMember writes one member, with its sizes in front and without fields that differ between
// systems. What would be compressed so far that Open takes it for a bomb is stored as it is.
func addMember(z *zip.Writer, name string, b []byte, at time.Time) error {
	var packed bytes.Buffer
	fw, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err == nil {
		_, err = fw.Write(b)
	}
	if err == nil {
		err = fw.Close()
	}
	if err != nil {
		return err
	}
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(b), UncompressedSize64: uint64(len(b)), CompressedSize64: uint64(packed.Len())}
	data := packed.Bytes()
	if packed.Len() >= len(b) || tooDense(h.UncompressedSize64, h.CompressedSize64) {
		h.Method, h.CompressedSize64, data = zip.Store, h.UncompressedSize64, b
	}
	h.ReaderVersion = 20 // deflate
	//lint:ignore SA1019 Modified would need an extra field; CreateRaw writes these two words
	h.ModifiedDate, h.ModifiedTime = dosTime(at)
	f, err := z.CreateRaw(h)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return err
}

// dosTime gives the two words of MS-DOS time that zip members carry, between 1980 and 2107.
func dosTime(t time.Time) (date, clock uint16) {
	t = t.UTC()
	switch {
	case t.Year() < 1980:
		t = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	case t.Year() > 2107:
		t = time.Date(2107, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	return uint16(t.Day() + int(t.Month())<<5 + (t.Year()-1980)<<9), uint16(t.Second()/2 + t.Minute()<<5 + t.Hour()<<11)
}

type counting struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.err = errors.Join(c.err, err)
	return n, err
}

// WriteFile writes the bundle of a case to a file that only its owner can read. The file appears in
// one step, after it was read back and judged again; after an error there is none. A file that is
// there already is replaced when it is a zip, else it is left alone.
func WriteFile(ctx context.Context, path string, r *journal.Record, o Options) (s Summary, err error) {
	fail := func(err error) error {
		var told *amt.Error
		if errors.As(err, &told) {
			return err
		}
		return &amt.Error{Op: "write bundle", Subject: path, Err: err}
	}
	if err := replaceable(path); err != nil {
		return s, fail(err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".bundle-*")
	if err != nil {
		return s, fail(err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if s, err = Create(ctx, f, r, o); err != nil {
		return s, fail(err)
	}
	if err = recheck(f, s.Bytes, o.Judge); err != nil {
		return s, fail(err)
	}
	if err = errors.Join(f.Sync(), f.Close()); err != nil {
		return s, fail(err)
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return s, fail(err)
	}
	return s, nil
}

// recheck reads a bundle back that was just written.
func recheck(f io.ReaderAt, size int64, judge Judge) error {
	b, err := Open(f, size)
	if err != nil {
		return fmt.Errorf("read it back: %w", err)
	}
	if ps := b.Verify(judge); len(ps) > 0 {
		return fmt.Errorf("read it back: %s", ps[0].Text)
	}
	return nil
}

// replaceable refuses to write over a file that is no zip: a facts file named by mistake.
func replaceable(path string) error {
	fi, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return errors.New("it is there and no plain file")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var head [2]byte
	if _, err := io.ReadFull(f, head[:]); (err == nil && string(head[:]) == "PK") || fi.Size() == 0 {
		return nil
	}
	return &amt.Error{Op: "write bundle", Subject: path, Err: errors.New("a file that is no bundle has this name"), Hint: "name another file"}
}
