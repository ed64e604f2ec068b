package usbkey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
)

// memory is a medium that keeps only blocks that were written, so that a large one costs nothing.
type memory struct {
	size   int64
	blocks map[int64][]byte
	writes int
	fail   int  // the write that fails, counted from 1; 0: none
	half   bool // it fails in its middle
	flip   int64
	synced int
}

const memoryBlock = 4096

func newMemory(size int64) *memory { return &memory{size: size, blocks: map[int64][]byte{}, flip: -1} }

func (m *memory) ReadAt(b []byte, at int64) (int, error) {
	n := 0
	for n < len(b) && at+int64(n) < m.size {
		pos := at + int64(n)
		k := int(min(int64(len(b)-n), memoryBlock-pos%memoryBlock, m.size-pos))
		if block, ok := m.blocks[pos/memoryBlock]; ok {
			copy(b[n:n+k], block[pos%memoryBlock:])
		} else {
			clear(b[n : n+k])
		}
		n += k
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

var errPulled = errors.New("the key was pulled out")

func (m *memory) WriteAt(b []byte, at int64) (int, error) {
	if m.writes++; m.fail > 0 && m.writes >= m.fail {
		if m.half && m.writes == m.fail {
			m.put(b[:len(b)/2], at)
		}
		return 0, errPulled
	}
	m.put(b, at)
	return len(b), nil
}

func (m *memory) put(b []byte, at int64) {
	for n := 0; n < len(b); {
		pos := at + int64(n)
		block, ok := m.blocks[pos/memoryBlock]
		if !ok {
			block = make([]byte, memoryBlock)
			m.blocks[pos/memoryBlock] = block
		}
		n += copy(block[pos%memoryBlock:], b[n:])
		if m.flip >= pos/memoryBlock*memoryBlock && m.flip < (pos/memoryBlock+1)*memoryBlock {
			block[m.flip%memoryBlock] ^= 1
		}
	}
}

func (m *memory) Sync() error  { m.synced++; return nil }
func (m *memory) Close() error { return nil }

func (m *memory) clone() *memory {
	c := newMemory(m.size)
	for k, b := range m.blocks {
		c.blocks[k] = bytes.Clone(b)
	}
	return c
}

// prepared gives a sound key in memory.
func prepared(t testing.TB, size int64, setup []byte, f Format) *memory {
	t.Helper()
	m := newMemory(size)
	f.At = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	f.Serial = 0x1234abcd
	if err := Prepare(context.Background(), m, size, setup, f); err != nil {
		t.Fatal(err)
	}
	return m
}

func inspect(t testing.TB, m *memory, version string) *Report {
	t.Helper()
	var o Options
	if version != "" {
		var err error
		if o.AMT, err = amt.ParseVersion(version); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Inspect(m, m.size, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPrepareSizes: at every size the FAT covers its clusters, the type is that of the number of
// clusters, and the key is sound.
func TestPrepareSizes(t *testing.T) {
	setup := setupBytes(t, 3)
	sizes := []int64{TooSmall + 512, 1<<35 + 512}
	for mib := int64(17); mib <= 4096; mib = mib*9/8 + 1 {
		sizes = append(sizes, mib<<20, mib<<20-512, mib<<20+1536)
	}
	for _, edge := range []int64{32, 128, 256, 260, 512, 1024, 2048, 8192, 16384} {
		sizes = append(sizes, edge<<20, edge<<20+512)
	}
	for _, size := range sizes {
		for _, wide := range []bool{false, true} {
			l, err := plan(size, wide)
			if wide && size < 34<<20 {
				continue
			}
			if err != nil {
				t.Errorf("%d, FAT32 %t: %v", size, wide, err)
				continue
			}
			entry, want := int64(2), FAT16
			if wide {
				entry, want = 4, FAT32
			}
			if l.fat*sectorSize < (l.clusters+2)*entry || l.data()+l.clusters*l.perCluster > l.total || l.total*sectorSize > size ||
				l.reserved > 0xffff || l.perCluster > 64 || !wide && l.fat > 0xffff {
				t.Errorf("%d, FAT32 %t: %+v", size, wide, l)
			}
			if size > 600<<20 && size%(1<<20) != 0 {
				continue // the arithmetic is enough
			}
			r := inspect(t, prepared(t, size, setup, Format{FAT32: wide}), "4.0")
			if len(r.Problems) > 0 || r.Filesystem != want || !r.SetupFirst || !r.Contiguous || !r.OnlyFile || int64(r.Clusters) != l.clusters || r.Entries[0].Slot != 0 {
				t.Errorf("%d, FAT32 %t: %+v", size, wide, r)
			}
		}
	}
	for _, size := range []int64{0, 511, TooSmall} {
		if _, err := plan(size, false); err == nil {
			t.Errorf("%d bytes were taken", size)
		}
	}
	if _, err := plan(32<<20, true); err == nil {
		t.Error("FAT32 of 32 MiB was taken")
	}
}

// TestPreparedForStrangers: fsck.fat, mtools and file agree with what we write, and read SETUP.BIN
// back byte for byte.
func TestPreparedForStrangers(t *testing.T) {
	need(t, "fsck.fat", "mdir", "mtype", "minfo", "file")
	for _, c := range []struct {
		mib   int64
		extra int64
		wide  bool
		file  int // records
	}{{17, 0, false, 1}, {20, 512, false, 300}, {33, 0, true, 2}, {40, 512, true, 300}, {64, 0, false, 2}, {64, 0, true, 2}, {127, 1536, false, 7}, {128, 0, false, 7},
		{129, 0, false, 1}, {260, 0, true, 1}, {261, 0, true, 1}, {512, 0, false, 40}, {1000, 512, false, 2}, {2048, 0, false, 2}, {2048, 0, true, 2}, {4096, 0, false, 2}, {9000, 0, true, 2}} {
		t.Run(fmt.Sprintf("%d+%d,%t", c.mib, c.extra, c.wide), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "k.img")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			size := c.mib<<20 + c.extra
			if err := f.Truncate(size); err != nil {
				t.Fatal(err)
			}
			setup := setupBytes(t, c.file)
			if err := Prepare(context.Background(), f, size, setup, Format{FAT32: c.wide, Serial: 0xcafe1234, At: time.Date(2026, 11, 25, 9, 8, 6, 0, time.UTC)}); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			fsck := sh(t, dir, "fsck.fat -n -v k.img")
			if strings.Contains(fsck, "error") || strings.Contains(fsck, "differ") || strings.Contains(fsck, "Wrong") || strings.Contains(fsck, "dirty") || !strings.Contains(fsck, "1 files") {
				t.Errorf("fsck.fat:\n%s", fsck)
			}
			sh(t, dir, "mtype -i k.img ::SETUP.BIN >out.bin")
			if out, err := os.ReadFile(filepath.Join(dir, "out.bin")); err != nil || !bytes.Equal(out, setup) {
				t.Errorf("mtools reads other bytes, %v", err)
			}
			if list := sh(t, dir, "mdir -i k.img ::"); !strings.Contains(list, "SETUP    BIN") || !strings.Contains(list, "2026-11-25") || !strings.Contains(list, "has no label") || !strings.Contains(list, "CAFE-1234") {
				t.Errorf("mdir:\n%s", list)
			}
			kind := "FAT (16 bit)"
			if c.wide {
				kind = "FAT (32 bit)"
			}
			if what := sh(t, dir, "file k.img"); !strings.Contains(what, kind) || !strings.Contains(what, "unlabeled") {
				t.Errorf("file: %s", what)
			}
			sh(t, dir, "mcopy -i k.img out.bin ::OTHER.BIN; fsck.fat -n k.img") // others can write to it
		})
	}
}

// TestReferenceLayout holds the numbers of mkfs.fat 4.2 for 64 MiB.
func TestReferenceLayout(t *testing.T) {
	l, err := plan(64<<20, false)
	if err != nil || l.perCluster != 4 || l.reserved != 4 || l.fat != 128 || l.data() != 292 || l.clusters != 32695 {
		t.Errorf("FAT16: %+v, %v", l, err)
	}
	l, err = plan(64<<20, true)
	if err != nil || l.perCluster != 1 || l.reserved != 32 || l.fat != 1009 || l.data() != 2050 || l.clusters != 129022 {
		t.Errorf("FAT32: %+v, %v", l, err)
	}
	m := prepared(t, 64<<20, setupBytes(t, 1), Format{})
	b := make([]byte, 12)
	if _, err := m.ReadAt(b, 133120); err != nil || string(b) != "SETUP   BIN " {
		t.Errorf("root directory begins with %q", b)
	}
}

// TestPulledOut lets every single write fail, whole or in its middle: either nothing was written, or
// the key has no file system, or it is the finished one.
func TestPulledOut(t *testing.T) {
	for _, wide := range []bool{false, true} {
		const size = 64 << 20
		old := prepared(t, size, setupBytes(t, 1), Format{FAT32: wide})
		setup := setupBytes(t, 700)
		for done, fail := false, 1; !done; fail++ {
			for _, half := range []bool{false, true} {
				m := old.clone()
				m.fail, m.half = fail, half
				err := Prepare(context.Background(), m, size, setup, Format{FAT32: wide, Serial: 7})
				r := inspect(t, m, "4.0")
				switch {
				case err == nil: // all writes are through
					done = true
					if fail < 6 || len(r.Problems) > 0 || r.Setup.RecordsTotal != 700 {
						t.Errorf("after %d writes: %v", fail, r.Problems)
					}
				case !errors.Is(err, ErrUnmarked) || !errors.Is(err, errPulled):
					t.Errorf("write %d: %v", fail, err)
				case fail == 1 && r.Setup != nil && r.Setup.RecordsTotal == 1: // untouched
				case r.Filesystem != NoneFS && !slices.Contains(amt.Codes(r.Problems), CodeSignature): // half a boot sector has no mark
					t.Errorf("write %d (half %t): the key still has a file system: %v", fail, half, r.Problems)
				}
			}
		}
	}
}

// TestInterrupted stops at every progress report.
func TestInterrupted(t *testing.T) {
	const size = 64 << 20
	setup := setupBytes(t, 700)
	for at := 1; at < 100; at++ {
		m := prepared(t, size, setupBytes(t, 1), Format{})
		ctx, cancel := context.WithCancel(context.Background())
		n, last, total := 0, int64(0), int64(0)
		err := Prepare(ctx, m, size, setup, Format{Progress: func(d, all int64, _ string) {
			if n++; n == at {
				cancel()
			}
			if d <= last || d > all {
				t.Errorf("progress went from %d to %d of %d", last, d, all)
			}
			last, total = d, all
		}})
		cancel()
		r := inspect(t, m, "")
		if err == nil {
			if len(r.Problems) > 0 || last != total {
				t.Errorf("done: %v, %d of %d", r.Problems, last, total)
			}
			if n < at {
				return // no more reports to stop at
			}
			continue
		}
		if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrUnmarked) || r.Filesystem != NoneFS {
			t.Errorf("stopped at report %d: %v, %s", at, err, r.Filesystem)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	m := prepared(t, size, setupBytes(t, 1), Format{})
	if err := Prepare(ctx, m, size, setup, Format{}); !errors.Is(err, context.Canceled) || len(inspect(t, m, "").Problems) > 0 {
		t.Errorf("stopped before it began: %v", err)
	}
}

// TestBadKey: a key that keeps other bytes than it was given is found by reading back.
func TestBadKey(t *testing.T) {
	const size = 64 << 20
	for _, at := range []int64{4*512 + 3, 133120 + 1, 292*512 + 700} {
		m := newMemory(size)
		m.flip = at
		err := Prepare(context.Background(), m, size, setupBytes(t, 2), Format{})
		if err == nil || !errors.Is(err, ErrUnmarked) || !strings.Contains(err.Error(), "other bytes") {
			t.Errorf("byte %d: %v", at, err)
		}
		if r := inspect(t, m, ""); r.Filesystem != NoneFS {
			t.Errorf("byte %d: the key has a file system", at)
		}
	}
	if err := Prepare(context.Background(), newMemory(20<<20), 20<<20, make([]byte, 30<<20), Format{}); err == nil || errors.Is(err, ErrUnmarked) {
		t.Errorf("a file that does not fit: %v", err)
	}
}
