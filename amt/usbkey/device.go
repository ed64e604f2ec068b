package usbkey

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"amtmedic/amt"
)

// Medium is an image file or a device that a key can be written to.
type Medium interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Close() error
}

// System says where the operating system tells about its devices. Tests put folders of their own in
// their place; elsewhere than on Linux they are not used.
type System struct {
	Dev  string // device files
	Sys  string // the system's account of them: block/NAME
	Proc string // self/mountinfo and swaps
}

// ThisSystem is the one that the program runs on.
func ThisSystem() System { return System{Dev: "/dev", Sys: "/sys", Proc: "/proc"} }

// Device is a device of this machine that could hold a key.
type Device struct {
	Path      string // as it was named
	Name      string // what must be typed to write to it: sdb, PhysicalDrive2
	Words     string // maker and model
	Bytes     int64
	Removable bool
	ReadOnly  bool
	PartOf    string   // the whole device, when this is only a partition
	InUse     []string // mount points and other uses, of its partitions too
}

// Refusal says why a device is never written to; nil when it may be.
func (d *Device) Refusal() error {
	fail := func(hint, format string, a ...any) error {
		return &amt.Error{Op: "write to device", Subject: d.Path, Err: fmt.Errorf(format, a...), Hint: hint}
	}
	switch {
	case d.PartOf != "":
		return fail("name the whole device, "+d.PartOf, "it is a partition")
	case !d.Removable:
		return fail("only removable devices and image files are written to; an image can be copied to a key by other means", "it is not removable")
	case len(d.InUse) > 0:
		return fail("unmount it first; nothing was written", "it is in use: %s", strings.Join(d.InUse, ", "))
	case d.ReadOnly:
		return fail("move its switch, or take another key", "it is write-protected")
	case d.Bytes <= TooSmall:
		return fail("take a larger key", "it has %s; a key is larger than 16 MiB", bytesWords(d.Bytes))
	}
	return nil
}

// OpenImage opens an image file and gives its size in bytes.
func OpenImage(path string, write bool) (Medium, int64, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	switch {
	case err != nil:
	case fi.IsDir():
		err = errors.New("it is a folder; name the device or an image of it")
	case !fi.Mode().IsRegular():
		err = errors.New("it is neither an image file nor a disk")
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, fi.Size(), nil
}

// Open opens an image file or device for reading or, with write, for writing. A device that must not
// be written to is refused here too.
func (s System) Open(path string, write bool) (Medium, int64, error) {
	d, err := s.Look(path)
	if err != nil {
		return nil, 0, err
	}
	if d == nil {
		return OpenImage(path, write)
	}
	if write {
		if err := d.Refusal(); err != nil {
			return nil, 0, err
		}
	}
	m, err := s.openDevice(d, write)
	if err != nil {
		return nil, 0, err
	}
	return &aligned{m}, d.Bytes, nil
}

// block is the unit in which devices are read: some systems refuse anything smaller.
const block = 4096

// aligned reads a device in whole blocks.
type aligned struct{ Medium }

// ReadAt reads the blocks around what is asked for. At the end of a device that is no multiple of
// them it reads by 512 bytes.
func (a *aligned) ReadAt(b []byte, at int64) (int, error) {
	if at%512 == 0 && len(b)%512 == 0 {
		return a.Medium.ReadAt(b, at)
	}
	from, to := at/block*block, (at+int64(len(b))+block-1)/block*block
	buf := make([]byte, to-from)
	n, err := a.Medium.ReadAt(buf, from)
	for err != nil && n < int(at-from)+len(b) && len(buf) > 512 { // the last block is shorter than the others
		buf = buf[:len(buf)-512]
		if len(buf) < int(at-from)+len(b) {
			break
		}
		n, err = a.Medium.ReadAt(buf, from)
	}
	got := copy(b, buf[min(int(at-from), n):n])
	if got == len(b) {
		return got, nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return got, err
}
