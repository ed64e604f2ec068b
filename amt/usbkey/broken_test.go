package usbkey

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
)

// at16 and the others change a key by hand. Offsets are those of a FAT16 key of 64 MiB: FAT at 2048,
// root directory at 133120, data at 149504, clusters of 2048 bytes.
const (
	fatAt  = 2048
	rootAt = 133120
	dataAt = 149504
)

func at16(m *memory, at int64, v uint16) { m.put(le.AppendUint16(nil, v), at) }

// chainTo sets the FAT entry of a cluster.
func chainTo(m *memory, cluster int64, v uint16) { at16(m, fatAt+2*cluster, v) }

// moveEntries shifts the root directory by n slots and puts others before it.
func moveEntries(m *memory, before ...[]byte) {
	old := make([]byte, 32*100)
	_, _ = m.ReadAt(old, rootAt)
	m.put(slices.Concat(slices.Concat(before...), old), rootAt)
}

// slot makes a directory slot.
func slot(name string, attr byte, cluster uint16, size uint32) []byte {
	b := make([]byte, 32)
	copy(b, name)
	b[11] = attr
	le.PutUint16(b[26:], cluster)
	le.PutUint32(b[28:], size)
	return b
}

// TestBrokenKeys breaks a sound key in each way, names the fault, and repairs it.
func TestBrokenKeys(t *testing.T) {
	setup := setupBytes(t, 11) // 6144 bytes: clusters 2, 3, 4
	for _, c := range []struct {
		name   string
		change func(m *memory)
		want   string // problems for AMT 2.x
		lost   bool   // no repair: nothing that reads as one setup.bin is left
	}{
		{name: "loop of one", change: func(m *memory) { chainTo(m, 2, 2) }, want: "setup-chain"},
		{name: "loop of two", change: func(m *memory) { chainTo(m, 3, 2) }, want: "setup-chain"},
		{name: "out of range", change: func(m *memory) { chainTo(m, 3, 0xff00) }, want: "setup-chain"},
		{name: "free cluster", change: func(m *memory) { chainTo(m, 3, 0) }, want: "setup-chain"},
		{name: "bad cluster", change: func(m *memory) { chainTo(m, 3, 0xfff7) }, want: "setup-chain"},
		{name: "chain too short", change: func(m *memory) { chainTo(m, 3, 0xffff) }, want: "setup-chain"},
		{name: "first cluster 0", change: func(m *memory) { at16(m, rootAt+26, 0) }, want: "setup-chain setup-unreadable", lost: true},
		{name: "first cluster beyond", change: func(m *memory) { at16(m, rootAt+26, 60000) }, want: "setup-chain setup-unreadable", lost: true},
		{name: "size that lies", change: func(m *memory) { m.put([]byte{0xff, 0xff, 0xff, 0xff}, rootAt+28) }, want: "setup-unreadable", lost: true},
		{name: "pieces", change: func(m *memory) {
			b := make([]byte, 2048)
			_, _ = m.ReadAt(b, dataAt+2048)
			m.put(b, dataAt+8*2048)
			m.put(make([]byte, 2048), dataAt+2048)
			chainTo(m, 2, 10)
			chainTo(m, 10, 4)
			chainTo(m, 3, 0)
		}, want: "setup-fragmented"},
		{name: "label before", change: func(m *memory) { moveEntries(m, slot("AMT KEY    ", attrLabel, 0, 0)) }, want: "slot-before"},
		{name: "long name before", change: func(m *memory) { moveEntries(m, slot("As\x00e\x00t\x00u\x00p", attrLong, 0, 0)) }, want: "slot-before"},
		{name: "deleted before", change: func(m *memory) { moveEntries(m, slot("\xe5LD     TXT", attrArchive, 0, 0)) }, want: "slot-before"},
		{name: "directory before", change: func(m *memory) { moveEntries(m, slot("SYSTEM~1   ", attrDirectory, 9, 0)) }, want: "slot-before"},
		{name: "file before", change: func(m *memory) { moveEntries(m, slot("README  TXT", attrArchive, 0, 0)) }, want: "setup-not-first"},
		{name: "hidden", change: func(m *memory) { m.put([]byte{attrHidden}, rootAt+11) }, want: "setup-hidden"},
		{name: "system", change: func(m *memory) { m.put([]byte{attrSystem}, rootAt+11) }, want: "setup-system"},
		{name: "other name", change: func(m *memory) { m.put([]byte("SETUP1  BIN"), rootAt) }, want: "setup-misnamed"},
		{name: "name without suffix", change: func(m *memory) { m.put([]byte("SETUP      "), rootAt) }, want: "setup-misnamed"},
		{name: "deleted", change: func(m *memory) { m.put([]byte{0xe5}, rootAt) }, want: "setup-missing", lost: true},
		{name: "directory of that name", change: func(m *memory) { m.put([]byte{attrDirectory}, rootAt+11) }, want: "setup-missing", lost: true},
		{name: "two that could be it", change: func(m *memory) {
			m.put([]byte("A       BIN"), rootAt)
			m.put(slot("B       BIN", attrArchive, 2, 6144), rootAt+32)
		}, want: "setup-misnamed", lost: true},
		{name: "no signature", change: func(m *memory) { at16(m, 510, 0) }, want: "no-signature"},
		{name: "zero chunk counts", change: func(m *memory) { m.put([]byte{0}, dataAt+16); m.put([]byte{0}, dataAt+36) }, want: "header-chunks record-chunks"},
		{name: "boot sector gone", change: func(m *memory) { m.put(make([]byte, 512), 0) }, want: "no-fat", lost: true},
		{name: "FAT gone", change: func(m *memory) { m.put(make([]byte, 65536), fatAt) }, want: "setup-chain"},
		{name: "loop of folders", change: func(m *memory) {
			m.put(slices.Concat(slot("A          ", attrDirectory, 8, 0), slot("B          ", attrDirectory, 8, 0)), rootAt)
			m.put(slices.Concat(slot("A          ", attrDirectory, 8, 0), slot("SETUP   BIN", attrArchive, 2, 6144)), dataAt+6*2048)
			chainTo(m, 8, 8)
		}, want: "setup-missing"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			m := prepared(t, 64<<20, setup, Format{})
			c.change(m)
			r := inspect(t, m, "")
			codes := strings.Join(amt.Codes(r.Problems), " ")
			first, _, _ := strings.Cut(c.want, " ")
			if strings.HasPrefix(c.want, "setup-chain") { // what is left of the content is cut off, and said so
				if !strings.HasPrefix(codes, first) || r.Contiguous {
					t.Errorf("problems %q, want %q", codes, c.want)
				}
			} else if codes != c.want {
				t.Errorf("problems %q, want %q: %v", codes, c.want, r.Problems)
			}
			rescue, err := Find(m, m.size)
			if c.lost {
				if err == nil {
					t.Errorf("found %s", rescue.Path)
				}
				return
			}
			if err != nil || !bytes.Equal(rescue.Setup, setup) || len(rescue.Problems) > 0 {
				t.Fatalf("not found again: %v", err)
			}
			if err := Prepare(context.Background(), m, m.size, rescue.Setup, Format{At: time.Unix(0, 0)}); err != nil {
				t.Fatal(err)
			}
			if r := inspect(t, m, ""); len(r.Problems) > 0 {
				t.Errorf("after the repair: %v", r.Problems)
			}
		})
	}
}

// TestWholeContentLost: a broken chain over a file that is not in one piece gives an error, not half
// a file.
func TestWholeContentLost(t *testing.T) {
	m := prepared(t, 64<<20, setupBytes(t, 11), Format{})
	m.put(make([]byte, 2048), dataAt+2048)
	chainTo(m, 2, 0)
	if r, err := Find(m, m.size); err == nil || !strings.Contains(err.Error(), "not whole") {
		t.Errorf("found %v, %v", r, err)
	}
	if _, err := Find(newMemory(20<<20), 20<<20); !errors.Is(err, ErrNoSetup) {
		t.Errorf("nothing: %v", err)
	}
}

// TestSave: the other files are copied, hostile names stay in the folder, nothing is replaced.
func TestSave(t *testing.T) {
	m := prepared(t, 64<<20, setupBytes(t, 1), Format{})
	m.put(slices.Concat(slot("A       TXT", attrArchive, 20, 3000), slot("..      TXT", attrArchive, 0, 0), slot("DIR        ", attrDirectory, 30, 0),
		slot("BROKEN     ", attrArchive, 40, 5000)), rootAt+32)
	m.put(bytes.Repeat([]byte("x"), 4096), dataAt+18*2048)
	chainTo(m, 20, 21)
	chainTo(m, 21, 0xffff)
	chainTo(m, 30, 0xffff)
	m.put(slices.Concat(slot("..         ", attrDirectory, 0, 0), slot("A/B\\C   TXT", attrArchive, 0, 0), slot("NUL     TXT", attrArchive, 0, 0)), dataAt+28*2048)
	r, err := Find(m, m.size)
	if err != nil || !slices.Equal(r.Others, []string{"A.TXT", "...TXT", "DIR/A/B\\C.TXT", "DIR/NUL.TXT", "BROKEN"}) {
		t.Fatalf("%q, %v", r.Others, err)
	}
	dir := filepath.Join(t.TempDir(), "saved")
	for range 2 {
		if err := r.Save(dir); err == nil || !strings.Contains(err.Error(), "BROKEN") {
			t.Errorf("saved: %v", err)
		}
	}
	var names []string
	err = filepath.WalkDir(filepath.Dir(dir), func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	want := []string{"...TXT", "...TXT.2", "A.TXT", "A.TXT.2", "BROKEN", "BROKEN.2", "DIR/A_B_C.TXT", "DIR/A_B_C.TXT.2", "DIR/_NUL.TXT", "DIR/_NUL.TXT.2"}
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v", names, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "A.TXT")); err != nil || !bytes.Equal(b, bytes.Repeat([]byte("x"), 3000)) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// TestLyingVolume: sizes that a boot sector invents cost neither memory nor time.
func TestLyingVolume(t *testing.T) {
	for _, wide := range []bool{false, true} {
		m := prepared(t, 64<<20, setupBytes(t, 1), Format{FAT32: wide})
		m.put([]byte{0xff, 0xff, 0xff, 0xff}, 32)
		start := time.Now()
		r := inspect(t, m, "")
		if len(r.Problems) == 0 || time.Since(start) > 2*time.Second {
			t.Errorf("%v in %v", r.Problems, time.Since(start))
		}
	}
	// A chain of clusters that jumps from one end of the FAT to the other, in a directory without end.
	m := prepared(t, 64<<20, setupBytes(t, 1), Format{FAT32: true})
	for i := range int64(30000) {
		m.put(le.AppendUint32(nil, uint32(120000-i)), 32*512+4*(2+i))
		m.put(le.AppendUint32(nil, uint32(3+i)), 32*512+4*(120000-i))
	}
	for c := range int64(60000) {
		m.put(bytes.Repeat(slot("D          ", attrDirectory, uint16(c), 0), 16), 2050*512+c*512)
	}
	start := time.Now()
	r := inspect(t, m, "")
	if len(r.Problems) == 0 || time.Since(start) > 20*time.Second {
		t.Errorf("%v in %v", r.Problems, time.Since(start))
	}
}

// failing is a medium that cannot be read.
type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, errPulled }

func TestUnreadable(t *testing.T) {
	if _, err := Inspect(failing{}, 1<<30, Options{}); !errors.Is(err, errPulled) {
		t.Error(err)
	}
	if _, err := Find(failing{}, 1<<30); !errors.Is(err, errPulled) {
		t.Error(err)
	}
	if r, err := Inspect(bytes.NewReader(nil), 0, Options{}); err != nil || r.Filesystem != NoneFS {
		t.Errorf("an empty file: %v", err)
	}
}

// FuzzInspect: nothing that stands on a key makes a panic, an endless walk or a lost bound.
func FuzzInspect(f *testing.F) {
	for _, wide := range []bool{false, true} {
		m := prepared(f, 34<<20, setupBytes(f, 2), Format{FAT32: wide})
		b := make([]byte, 2048)
		_, _ = m.ReadAt(b, 0)
		f.Add(b, b[:64], b[:32], uint32(512))
		l, _ := plan(34<<20, wide)
		root := make([]byte, 128)
		_, _ = m.ReadAt(root, l.data()*512-l.root*512)
		table := make([]byte, 64)
		_, _ = m.ReadAt(table, l.reserved*512)
		f.Add(b, table, root, uint32(l.reserved*512))
	}
	f.Fuzz(func(t *testing.T, boot, table, root []byte, at uint32) {
		m := newMemory(34 << 20)
		m.put(boot[:min(len(boot), 4096)], 0)
		m.put(table[:min(len(table), 4096)], int64(at))
		if v, err := openVolume(m, 0); err == nil {
			m.put(table[:min(len(table), 4096)], min(v.fat, 33<<20))
			m.put(root[:min(len(root), 4096)], min(v.root, 33<<20))
			m.put(root[:min(len(root), 4096)], min(v.data, 33<<20))
		}
		for _, o := range []Options{{}, {AMT: amt.Version{}}} {
			r, err := Inspect(m, m.size, o)
			if err == nil && (r.Problems == nil || r.Notes == nil || r.Filesystem == "") {
				t.Fatalf("%+v", r)
			}
			if err == nil && r.SetupFirst && !r.NameOK {
				t.Fatal("first without a name")
			}
		}
		if r, err := Find(m, m.size); err == nil && len(r.Setup) < 512 {
			t.Fatal("found nothing")
		}
	})
}
