package usbkey

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"amtmedic/amt"
)

// Control codes and structures of winioctl.h that the system library does not name.
const (
	ioctlQueryProperty   = 0x2d1400 // IOCTL_STORAGE_QUERY_PROPERTY
	ioctlGetLength       = 0x7405c  // IOCTL_DISK_GET_LENGTH_INFO
	ioctlGetDeviceNumber = 0x2d1080 // IOCTL_STORAGE_GET_DEVICE_NUMBER
	ioctlIsWritable      = 0x70024  // IOCTL_DISK_IS_WRITABLE
)

// storageQuery is STORAGE_PROPERTY_QUERY for StorageDeviceProperty, PropertyStandardQuery.
type storageQuery struct {
	id, kind uint32
	more     [4]byte
}

// storageDescriptor is the head of STORAGE_DEVICE_DESCRIPTOR; texts follow at the offsets.
type storageDescriptor struct {
	version, size          uint32
	kind, modifier         byte
	removable, queueing    byte
	vendor, product, rev   uint32
	serial, bus, rawLength uint32
}

// deviceNumber is STORAGE_DEVICE_NUMBER.
type deviceNumber struct{ kind, number, partition uint32 }

var drive = regexp.MustCompile(`(?i)^(?:\\\\[.?]\\)?(PhysicalDrive([0-9]{1,4}))$`)

// Look finds out what a path names: nil for an image file. A disk is \\.\PhysicalDriveN.
func (s System) Look(path string) (*Device, error) {
	m := drive.FindStringSubmatch(path)
	if m == nil {
		if strings.HasPrefix(path, `\\.\`) || strings.HasPrefix(path, `\\?\`) && !strings.Contains(path[4:], `\`) {
			return nil, &amt.Error{Op: "open device", Subject: path, Err: errors.New("it is no disk"), Hint: `a disk is named \\.\PhysicalDriveN; diskpart, list disk shows N`}
		}
		return nil, nil
	}
	d := &Device{Path: `\\.\PhysicalDrive` + m[2], Name: "PhysicalDrive" + m[2]}
	h, err := openHandle(d.Path, windows.GENERIC_READ)
	if err != nil {
		return nil, deviceError(d.Path, err)
	}
	defer func() { _ = windows.CloseHandle(h) }()
	if err := control(h, ioctlGetLength, nil, 0, unsafe.Pointer(&d.Bytes), 8); err != nil {
		return nil, deviceError(d.Path, err)
	}
	buf := make([]byte, 1024)
	q := storageQuery{}
	if err := control(h, ioctlQueryProperty, unsafe.Pointer(&q), uint32(unsafe.Sizeof(q)), unsafe.Pointer(&buf[0]), uint32(len(buf))); err != nil {
		return nil, deviceError(d.Path, err)
	}
	info := (*storageDescriptor)(unsafe.Pointer(&buf[0]))
	d.Removable = info.removable != 0
	d.Words = strings.TrimSpace(textAt(buf, info.vendor) + " " + textAt(buf, info.product))
	d.ReadOnly = errors.Is(control(h, ioctlIsWritable, nil, 0, nil, 0), windows.ERROR_WRITE_PROTECT)
	var number deviceNumber
	if err := control(h, ioctlGetDeviceNumber, nil, 0, unsafe.Pointer(&number), uint32(unsafe.Sizeof(number))); err != nil {
		return nil, deviceError(d.Path, err)
	}
	d.InUse, err = letters(number)
	return d, err
}

// letters lists the drive letters that lie on a disk: Windows mounts a volume by its letter.
func letters(disk deviceNumber) ([]string, error) {
	mask, err := windows.GetLogicalDrives()
	if err != nil {
		return nil, &amt.Error{Op: "find out what is mounted", Err: err, Hint: "nothing is written while that is not known"}
	}
	var uses []string
	for i := range 26 {
		if mask&(1<<i) == 0 {
			continue
		}
		letter := string(rune('A'+i)) + ":"
		h, err := openHandle(`\\.\`+letter, 0)
		if err != nil {
			continue // a network drive or an empty reader is on no disk
		}
		var n deviceNumber
		err = control(h, ioctlGetDeviceNumber, nil, 0, unsafe.Pointer(&n), uint32(unsafe.Sizeof(n)))
		_ = windows.CloseHandle(h)
		if err == nil && n.kind == disk.kind && n.number == disk.number {
			uses = append(uses, fmt.Sprintf("it has the letter %s (mountvol %s /P takes it away)", letter, letter))
		}
	}
	return uses, nil
}

func (s System) openDevice(d *Device, write bool) (Medium, error) {
	access := uint32(windows.GENERIC_READ)
	if write {
		access |= windows.GENERIC_WRITE
	}
	h, err := openHandle(d.Path, access)
	if err != nil {
		return nil, deviceError(d.Path, err)
	}
	return os.NewFile(uintptr(h), d.Path), nil
}

func openHandle(path string, access uint32) (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	return windows.CreateFile(name, access, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil, windows.OPEN_EXISTING, 0, 0)
}

func control(h windows.Handle, code uint32, in unsafe.Pointer, inLen uint32, out unsafe.Pointer, outLen uint32) error {
	var n uint32
	return windows.DeviceIoControl(h, code, (*byte)(in), inLen, (*byte)(out), outLen, &n, nil)
}

// textAt reads a text that ends in a zero byte.
func textAt(b []byte, at uint32) string {
	if at == 0 || int(at) >= len(b) {
		return ""
	}
	s, _, _ := strings.Cut(string(b[at:]), "\x00")
	return strings.TrimSpace(s)
}

func deviceError(path string, err error) error {
	hint := ""
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		hint = "run as administrator, or work on an image file"
	}
	return &amt.Error{Op: "open device", Subject: path, Err: err, Hint: hint}
}
