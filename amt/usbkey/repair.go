package usbkey

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/setupbin"
)

// Rescue is what a repair starts from: the setup.bin that was found on a key, and the rest.
type Rescue struct {
	Path       string        // where the setup.bin stood
	Setup      []byte        // its content, mended
	Remarks    []string      // what was done to get it, in words
	Problems   []amt.Problem // what stays wrong with the content
	Others     []string      // other files, by their paths
	Partitions int

	files []found // the other files
}

// ErrNoSetup says that a key has no file that reads as a setup.bin.
var ErrNoSetup = errors.New("no file on the key reads as a setup.bin")

// Find looks for the setup.bin of a key: SETUP.BIN in the root of the first volume that has one,
// otherwise the only file that reads as one. Nothing is written.
func Find(r io.ReaderAt, size int64) (*Rescue, error) {
	d, err := open(r, size)
	if err != nil {
		return nil, err
	}
	rescue := &Rescue{Partitions: len(d.partitions)}
	var all, candidates []found
	for _, v := range d.volumes {
		files, err := v.files()
		if err != nil {
			return nil, fmt.Errorf("list the files: %w", err)
		}
		all = append(all, files...)
	}
	for _, f := range all {
		if !f.isSetup() {
			continue
		}
		if len(f.path) == 1 && f.slot.raw == setupName {
			candidates = []found{f}
			break
		}
		candidates = append(candidates, f)
	}
	switch {
	case len(candidates) == 0:
		return nil, ErrNoSetup
	case len(candidates) > 1:
		return nil, fmt.Errorf("%d files read as a setup.bin: %s", len(candidates), nameList(pathsOf(candidates)))
	}
	f := candidates[0]
	rescue.Path = f.String()
	for _, o := range all {
		if o.slot.at != f.slot.at {
			rescue.files = append(rescue.files, o)
		}
	}
	rescue.Others = pathsOf(rescue.files)
	return rescue, rescue.take(f)
}

func pathsOf(fs []found) []string {
	out := []string{}
	for _, f := range fs {
		out = append(out, f.String())
	}
	return out
}

// take reads the content. Where the chain of clusters is broken, the file is taken as one piece from
// its first cluster on, if that reads as a sound setup.bin.
func (r *Rescue) take(f found) error {
	c, err := f.v.chainOf(f.slot.Cluster, f.slot.Size)
	if err != nil {
		return err
	}
	var b []byte
	if c.fault == "" {
		b, err = f.v.read(c.extents, f.slot.Size)
	} else {
		b, err = f.whole()
		r.Remarks = append(r.Remarks, fmt.Sprintf("its chain of clusters is broken (%s); it was read as one piece", c.fault))
	}
	if err != nil {
		return err
	}
	file, err := setupbin.Read(b)
	if err != nil {
		return err
	}
	if file.Mend() {
		r.Remarks = append(r.Remarks, "its chunk counts were 0, which makes firmware ignore the file; they are 1 now")
	}
	r.Setup = file.Bytes()
	problems, _ := file.Judge(amt.Version{})
	r.Problems = inFile("SETUP.BIN", problems)
	if c.fault != "" && len(problems) > 0 {
		return fmt.Errorf("the chain of clusters of %s is broken (%s), and its content is not whole", f, c.fault)
	}
	return nil
}

// whole reads a file as one piece.
func (f found) whole() ([]byte, error) {
	n := f.v.clustersOf(f.slot.Size)
	if !f.v.inRange(f.slot.Cluster) || n > uint64(f.v.clusters)-uint64(f.slot.Cluster-2) {
		return nil, fmt.Errorf("%s does not fit into the volume", f)
	}
	return f.v.read([]Extent{{f.slot.Cluster, uint32(n)}}, f.slot.Size)
}

// Save writes the other files of the key below a folder, each with mode 0600. Nothing that exists is
// replaced. A file that cannot be read whole is an error after the others were saved.
func (r *Rescue) Save(dir string) error {
	var errs []error
	for _, f := range r.files {
		if err := f.save(dir); err != nil {
			errs = append(errs, fmt.Errorf("save %s: %w", f, err))
		}
	}
	return errors.Join(errs...)
}

func (f found) save(dir string) (err error) {
	parts := []string{dir}
	for _, p := range f.path {
		parts = append(parts, safeName(p))
	}
	name := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	out, err := create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	c, err := f.v.chainOf(f.slot.Cluster, f.slot.Size)
	if err != nil {
		return err
	}
	if c.fault != "" {
		return errors.New(c.fault)
	}
	left := int64(f.slot.Size)
	for _, e := range c.extents {
		n := min(left, int64(e.Count)*int64(f.v.cluster))
		if _, err := io.Copy(out, io.NewSectionReader(f.v.r, f.v.offset(e.Cluster), n)); err != nil {
			return err
		}
		left -= n
	}
	if left > 0 {
		return io.ErrUnexpectedEOF
	}
	return out.Sync()
}

// create makes a file that did not exist, with a number behind its name when others have it.
func create(name string) (*os.File, error) {
	for n := 1; ; n++ {
		try := name
		if n > 1 {
			try = fmt.Sprintf("%s.%d", name, n)
		}
		f, err := os.OpenFile(try, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) || n > 1000 {
			return f, err
		}
	}
}

// safeName makes a name that stays in its folder on every system. A key is foreign: its names may be
// anything.
func safeName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, s)
	s = strings.TrimRight(s, ". ")
	stem, _, _ := strings.Cut(strings.ToLower(s), ".")
	if s == "" || slices.Contains([]string{"con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "lpt1", "lpt2", "lpt3"}, stem) {
		s = "_" + s
	}
	return s
}
