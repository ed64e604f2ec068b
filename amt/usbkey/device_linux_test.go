package usbkey

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeSystem makes the folders that tell about devices: sda is fixed, sdb a removable key with one
// partition, sdc a removable key that is write-protected.
func fakeSystem(t *testing.T) (System, string) {
	t.Helper()
	root := t.TempDir()
	s := System{Dev: filepath.Join(root, "dev"), Sys: filepath.Join(root, "sys"), Proc: filepath.Join(root, "proc")}
	file := func(text string, parts ...string) {
		name := filepath.Join(append([]string{root}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, d := range map[string]struct{ removable, ro, dev string }{"sda": {"0", "0", "8:0"}, "sdb": {"1", "0", "8:16"}, "sdc": {"1", "1", "8:32"}} {
		file(d.removable+"\n", "sys", "block", name, "removable")
		file(d.ro+"\n", "sys", "block", name, "ro")
		file(d.dev+"\n", "sys", "block", name, "dev")
		file("131072\n", "sys", "block", name, "size")
		file("Maker   \n", "sys", "block", name, "device", "vendor")
		file("Flash Disk\n", "sys", "block", name, "device", "model")
		file("", "dev", name)
		if err := os.Truncate(filepath.Join(s.Dev, name), 64<<20); err != nil {
			t.Fatal(err)
		}
	}
	file("1\n", "sys", "block", "sdb", "sdb1", "partition")
	file("8:17\n", "sys", "block", "sdb", "sdb1", "dev")
	file("0\n", "sys", "block", "sdb", "sdb1", "ro")
	file("", "dev", "sdb1")
	file("21 1 8:0 / / rw,relatime - ext4 /dev/root rw\n", "proc", "self", "mountinfo")
	file("Filename Type Size Used Priority\n", "proc", "swaps")
	return s, root
}

// TestDevices: only a removable whole device that nothing uses is written to.
func TestDevices(t *testing.T) {
	for _, c := range []struct {
		name, device, file, text, want string
	}{
		{name: "free key", device: "sdb"},
		{name: "fixed disk", device: "sda", want: "not removable"},
		{name: "write-protected", device: "sdc", want: "write-protected"},
		{name: "partition", device: "sdb1", want: "it is a partition"},
		{name: "mounted by number", device: "sdb", file: "proc/self/mountinfo", text: "40 21 8:17 / /media/My\\040Key rw - vfat /dev/disk/by-label/KEY rw\n", want: "mounted on /media/My Key"},
		{name: "mounted by name", device: "sdb", file: "proc/self/mountinfo", text: "40 21 0:55 / /mnt rw shared:7 - btrfs DEV/sdb1 rw\n", want: "mounted on /mnt"},
		{name: "whole device mounted", device: "sdb", file: "proc/self/mountinfo", text: "40 21 8:16 / /mnt rw - vfat DEV/sdb rw\n", want: "mounted on /mnt"},
		{name: "another is mounted", device: "sdb", file: "proc/self/mountinfo", text: "40 21 8:161 / /mnt rw - vfat DEV/sdba rw\n"},
		{name: "swap", device: "sdb", file: "proc/swaps", text: "Filename Type\nDEV/sdb1 partition 1 0 -2\n", want: "swap"},
		{name: "held", device: "sdb", file: "sys/block/sdb/sdb1/holders/dm-0", text: "", want: "held by dm-0"},
		{name: "no size", device: "sdb", file: "sys/block/sdb/size", text: "x", want: "0 bytes"},
		{name: "nothing told", device: "sdb", file: "sys/block/sdb/removable", text: "", want: "not removable"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			s, root := fakeSystem(t)
			if c.file != "" {
				name := filepath.Join(root, filepath.FromSlash(c.file))
				if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(strings.ReplaceAll(c.text, "DEV", s.Dev)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(s.Dev, c.device)
			link := filepath.Join(root, "my-key")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{path, link} {
				d, err := s.Look(p)
				if err != nil || d == nil {
					t.Fatalf("%v, %v", d, err)
				}
				got := ""
				if err := d.Refusal(); err != nil {
					got = err.Error()
				}
				if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
					t.Errorf("refused with %q, want %q", got, c.want)
				}
				m, size, err := s.Open(p, true)
				if (err == nil) != (c.want == "") {
					t.Errorf("opened for writing: %v", err)
				}
				if err != nil {
					continue
				}
				if size != 64<<20 || d.Name != "sdb" || d.Words != "Maker Flash Disk" {
					t.Errorf("%d bytes, %+v", size, d)
				}
				if err := Prepare(context.Background(), plainSync{m}, size, setupBytes(t, 2), Format{At: time.Now()}); err != nil {
					t.Error(err)
				}
				if r, err := Inspect(m, size, Options{}); err != nil || len(r.Problems) > 0 {
					t.Errorf("%v, %v", r, err)
				}
				_ = m.Close()
			}
		})
	}
}

// plainSync leaves out the advice to the kernel, which a file on tmpfs may not take.
type plainSync struct{ Medium }

func (plainSync) Sync() error { return nil }

// TestPathsThatAreNoDevice: image files are no devices; unknown names below /dev are not created.
func TestPathsThatAreNoDevice(t *testing.T) {
	s, root := fakeSystem(t)
	image := write(t, root, "k.img", make([]byte, 512))
	for _, p := range []string{image, filepath.Join(root, "new.img")} {
		if d, err := s.Look(p); d != nil || err != nil {
			t.Errorf("%s: %v, %v", p, d, err)
		}
	}
	for _, p := range []string{filepath.Join(s.Dev, "sdz"), "/dev/null", "/dev/zero"} {
		if d, err := ThisSystem().Look(p); err == nil && strings.HasPrefix(p, "/dev/") {
			t.Errorf("%s: %v", p, d)
		}
	}
	if _, err := s.Look(filepath.Join(s.Dev, "sdz")); err == nil {
		t.Error("a device that does not exist was taken for a file")
	}
	if _, _, err := s.Open(root, false); err == nil {
		t.Error("a folder was opened")
	}
	if err := os.Remove(filepath.Join(s.Proc, "self", "mountinfo")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(filepath.Join(s.Dev, "sdb"), true); err == nil {
		t.Error("a device was opened though nobody knows what is mounted")
	}
}

// TestAlignedReads: small reads of a device become whole blocks, at its end too.
func TestAlignedReads(t *testing.T) {
	m := newMemory(10*block + 512)
	for i := range m.size / 8 {
		m.put(le.AppendUint64(nil, uint64(i)), i*8)
	}
	a := &aligned{strict{m}}
	for _, c := range [][2]int64{{0, 1}, {3, 5}, {4090, 20}, {10*block - 3, 8}, {10*block + 500, 12}, {511, 4098}} {
		b, want := make([]byte, c[1]), make([]byte, c[1])
		if _, err := m.ReadAt(want, c[0]); err != nil {
			t.Fatal(err)
		}
		if n, err := a.ReadAt(b, c[0]); err != nil || n != len(b) || string(b) != string(want) {
			t.Errorf("%d bytes at %d: %d, %v", c[1], c[0], n, err)
		}
	}
	if _, err := a.ReadAt(make([]byte, 5), m.size-2); err == nil {
		t.Error("read behind the end")
	}
}

// strict is a device that only reads whole sectors.
type strict struct{ *memory }

func (s strict) ReadAt(b []byte, at int64) (int, error) {
	if at%512 != 0 || len(b)%512 != 0 {
		return 0, os.ErrInvalid
	}
	return s.memory.ReadAt(b, at)
}

// The list has the removable disks only, whole ones, those that are not to be written to as well.
func TestDeviceList(t *testing.T) {
	s, _ := fakeSystem(t)
	var names []string
	for _, d := range s.Devices() {
		names = append(names, d.Name)
	}
	if got := strings.Join(names, " "); got != "sdb sdc" {
		t.Errorf("listed %q", got)
	}
}
