package usbkey

import (
	"bufio"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"amtmedic/amt"
)

// Look finds out what a path names: nil for an image file, and for a path that does not exist and is
// no name of a device. What the system does not tell counts as a reason not to write.
func (s System) Look(path string) (*Device, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		if abs, e := filepath.Abs(path); e == nil && strings.HasPrefix(abs, s.Dev+"/") {
			return nil, &amt.Error{Op: "open device", Subject: path, Err: os.ErrNotExist, Hint: "lsblk lists the devices"}
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, err
	}
	fi, err := os.Stat(real)
	if err != nil {
		return nil, err
	}
	dev := s.Dev
	if d, err := filepath.EvalSymlinks(dev); err == nil {
		dev = d
	}
	if fi.Mode()&os.ModeDevice == 0 && !strings.HasPrefix(real, dev+"/") {
		return nil, nil
	}
	name := filepath.Base(real)
	if fi.Mode()&os.ModeCharDevice != 0 {
		return nil, &amt.Error{Op: "open device", Subject: path, Err: errors.New("it is not a disk")}
	}
	d := &Device{Path: path, Name: name}
	folder := filepath.Join(s.Sys, "block", name)
	if _, err := os.Stat(folder); err != nil {
		if d.PartOf = s.whole(name); d.PartOf == "" {
			return nil, &amt.Error{Op: "open device", Subject: path, Err: errors.New("the system knows no disk of this name"), Hint: "lsblk lists the devices"}
		}
		folder = filepath.Join(s.Sys, "block", filepath.Base(d.PartOf), name)
	}
	d.Removable = readWord(folder, "removable") == "1"
	d.ReadOnly = readWord(folder, "ro") == "1"
	sectors, _ := strconv.ParseInt(readWord(folder, "size"), 10, 64)
	d.Bytes = sectors * 512 // the system counts in units of 512, whatever the sector size is
	d.Words = strings.TrimSpace(readWord(folder, "device/vendor") + " " + readWord(folder, "device/model"))
	d.InUse, err = s.uses(folder, name)
	return d, err
}

// whole gives the device that a partition belongs to.
func (s System) whole(part string) string {
	match, err := filepath.Glob(filepath.Join(s.Sys, "block", "*", part, "partition"))
	if err != nil || len(match) != 1 {
		return ""
	}
	return filepath.Join(s.Dev, filepath.Base(filepath.Dir(filepath.Dir(match[0]))))
}

// readWord gives the content of a small file without white space around it, empty when there is none.
func readWord(folder, name string) string {
	b, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// uses lists what a disk or one of its partitions is used for: mounted, swapped to, held by another
// device (encryption, RAID, volumes).
func (s System) uses(folder, name string) ([]string, error) {
	numbers, names := []string{readWord(folder, "dev")}, []string{name}
	parts, err := filepath.Glob(filepath.Join(folder, "*", "partition"))
	if err != nil {
		return nil, err
	}
	folders := []string{folder}
	for _, p := range parts {
		folders = append(folders, filepath.Dir(p))
		names = append(names, filepath.Base(filepath.Dir(p)))
		numbers = append(numbers, readWord(filepath.Dir(p), "dev"))
	}
	var uses []string
	for _, f := range folders {
		holders, _ := os.ReadDir(filepath.Join(f, "holders"))
		for _, h := range holders {
			uses = append(uses, "held by "+h.Name())
		}
	}
	err = eachLine(filepath.Join(s.Proc, "self", "mountinfo"), func(fields []string) {
		sep := slices.Index(fields, "-")
		if len(fields) < 7 || sep < 0 || sep+2 >= len(fields) {
			return
		}
		source := filepath.Base(fields[sep+2])
		if fields[2] != "" && slices.Contains(numbers, fields[2]) || filepath.Dir(fields[sep+2]) == s.Dev && slices.Contains(names, source) {
			uses = append(uses, "mounted on "+unescapeMount(fields[4]))
		}
	})
	if err != nil {
		return nil, &amt.Error{Op: "find out what is mounted", Err: err, Hint: "nothing is written while that is not known"}
	}
	err = eachLine(filepath.Join(s.Proc, "swaps"), func(fields []string) {
		if len(fields) > 0 && slices.Contains(names, filepath.Base(fields[0])) {
			uses = append(uses, "swap space")
		}
	})
	if errors.Is(err, os.ErrNotExist) { // a kernel without swap
		err = nil
	}
	return uses, err
}

func eachLine(name string, do func(fields []string)) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		do(strings.Fields(sc.Text()))
	}
	return sc.Err()
}

// unescapeMount reads the octal escapes of mountinfo.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// openDevice opens a disk. With O_EXCL the kernel itself refuses to open one that is mounted.
func (s System) openDevice(d *Device, write bool) (Medium, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
		if fi, err := os.Stat(d.Path); err == nil && fi.Mode()&os.ModeDevice != 0 {
			flag |= syscall.O_EXCL
		}
	}
	f, err := os.OpenFile(d.Path, flag, 0)
	switch {
	case errors.Is(err, syscall.EBUSY):
		return nil, &amt.Error{Op: "open device", Subject: d.Path, Err: err, Hint: "something uses it: unmount it first"}
	case errors.Is(err, os.ErrPermission):
		return nil, &amt.Error{Op: "open device", Subject: d.Path, Err: err, Hint: "run as root, or work on an image file"}
	case err != nil:
		return nil, &amt.Error{Op: "open device", Subject: d.Path, Err: err}
	}
	return disked{f}, nil
}

// disked is a device whose memory in the kernel is given up when it was written, so that reading back
// reads the key and not the memory.
type disked struct{ *os.File }

// Sync waits until the key has everything, and forgets it.
func (d disked) Sync() error {
	if err := d.File.Sync(); err != nil {
		return err
	}
	return unix.Fadvise(int(d.Fd()), 0, 0, unix.FADV_DONTNEED)
}
