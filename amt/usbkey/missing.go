package usbkey

import (
	"bytes"
	"fmt"
	"strings"

	"amtmedic/amt/setupbin"
)

// Limits of a search through a whole volume: a key of one setup.bin needs none of them.
const (
	maxDepth = 8
	maxFiles = 20000
	maxSeen  = 1 << 20 // slots of all directories together
)

// found is a file of a volume.
type found struct {
	v    *volume
	path []string // names as people know them, the directory first
	slot Slot
}

func (f found) String() string { return strings.Join(f.path, "/") }

// files lists the files of a volume, directories in their order, at most maxFiles. Directories that
// cannot be read, and loops of directories, end by the limits.
func (v *volume) files() ([]found, error) {
	w := &walk{v: v, seen: map[uint32]bool{}}
	slots, _, err := v.rootSlots()
	if err == nil {
		err = w.dir(slots, nil)
	}
	return w.list, err
}

type walk struct {
	v    *volume
	seen map[uint32]bool // directories by their first cluster
	n    int             // slots
	list []found
}

func (w *walk) dir(slots []Slot, path []string) error {
	w.n += len(slots)
	for _, s := range slots {
		at := append(append([]string{}, path...), s.Shown())
		switch {
		case len(w.list) >= maxFiles || w.n >= maxSeen:
			return nil
		case s.Kind == KindFile:
			w.list = append(w.list, found{w.v, at, s})
		case s.Kind == KindDirectory && s.raw[0] != '.' && len(path) < maxDepth && !w.seen[s.Cluster] && len(w.seen) < maxFiles:
			w.seen[s.Cluster] = true
			below, _, err := w.v.slots(s.Cluster)
			if err != nil {
				return err
			}
			if err := w.dir(below, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// isSetup reports whether a file begins as a setup.bin: by its size and the 16 bytes of its type.
func (f found) isSetup() bool {
	if f.slot.Size < setupbin.ChunkSize || f.slot.Size > MaxSetup || !f.v.inRange(f.slot.Cluster) {
		return false
	}
	b := make([]byte, setupbin.ChunkSize)
	if _, err := f.v.r.ReadAt(b, f.v.offset(f.slot.Cluster)); err != nil {
		return false
	}
	file, err := setupbin.Read(b)
	return err == nil && file.Known()
}

// missing says where the setup.bin is that does not stand as SETUP.BIN in the root.
func (in *inspection) missing(slots []Slot) error {
	files, err := in.v.files()
	if err != nil {
		return err
	}
	var misnamed, elsewhere []string
	var one *found
	for i, f := range files {
		named := looksLikeSetup(f.slot.Shown()) || looksLikeSetup(f.slot.Name)
		switch {
		case len(f.path) == 1 && (named || f.isSetup()):
			misnamed, one = append(misnamed, f.path[0]), &files[i]
		case len(f.path) > 1 && (f.slot.raw == setupName || f.isSetup()):
			elsewhere = append(elsewhere, f.String())
		}
	}
	where := "root directory"
	switch {
	case len(misnamed) > 0:
		in.bad(where, CodeMisnamed, "there is no SETUP.BIN, but %s: firmware looks for exactly this name", nameList(misnamed))
	case len(elsewhere) > 0:
		in.bad(where, CodeMissing, "there is no SETUP.BIN in the root, but %s: firmware looks only in the root", nameList(elsewhere))
	default:
		in.bad(where, CodeMissing, "there is no SETUP.BIN in the root%s", holds(slots))
	}
	if len(misnamed) == 1 && one.slot.Size <= MaxSetup {
		if c, err := in.v.chainOf(one.slot.Cluster, one.slot.Size); err == nil {
			in.r.Contiguous = c.contiguous()
		}
	}
	return nil
}

// looksLikeSetup reports whether a name is one that people and systems make of setup.bin.
func looksLikeSetup(name string) bool {
	n := strings.ToLower(name)
	return strings.HasPrefix(n, "setup") && (strings.HasSuffix(n, ".bin") || strings.Contains(n, ".bin.") || !strings.Contains(n, "."))
}

// holds says what else is there.
func holds(slots []Slot) string {
	var names []string
	deleted := false
	for _, s := range slots {
		switch {
		case s.Kind == KindFile || s.Kind == KindDirectory:
			names = append(names, s.Shown())
		case s.Kind == KindDeleted && bytes.Equal(s.raw[1:], setupName[1:]):
			deleted = true
		}
	}
	text := ""
	if deleted {
		text = ", only a deleted one"
	}
	if len(names) > 0 {
		text += fmt.Sprintf("; there are %s", nameList(names))
	}
	return text
}
