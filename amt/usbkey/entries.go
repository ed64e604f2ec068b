package usbkey

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
)

// Kinds of a directory slot of 32 bytes.
const (
	KindFile      = "file"
	KindDirectory = "directory"
	KindLabel     = "label"
	KindLong      = "long-name" // a part of the long name of a later slot
	KindDeleted   = "deleted"
)

// Slot is one used slot of a directory, in the order in which firmware meets it.
type Slot struct {
	Slot       int    `json:"slot"` // from 0
	Kind       string `json:"kind"`
	Name       string `json:"name"`                // 8.3 as stored, upper case; of a deleted slot with ? for the lost letter
	Long       string `json:"long_name,omitempty"` // when the slots before it hold one
	Attributes string `json:"attributes"`          // letters of r, h, s, a
	Size       uint32 `json:"size"`                // bytes
	Cluster    uint32 `json:"cluster"`             // the first

	raw [11]byte
	at  int64 // offset of the slot from the start of the medium
}

// Shown gives the name that a person knows the file by.
func (s Slot) Shown() string {
	if s.Long != "" {
		return s.Long
	}
	return s.Name
}

// setupName is SETUP.BIN as a directory stores it.
var setupName = [11]byte([]byte("SETUP   BIN"))

// Bits of a slot's attribute byte.
const (
	attrReadOnly = 1 << iota
	attrHidden
	attrSystem
	attrLabel
	attrDirectory
	attrArchive
	attrLong = attrReadOnly | attrHidden | attrSystem | attrLabel
)

// maxSlots bounds one directory: 65,536 slots are the most that FAT allows.
const maxSlots = 65536

// readSize is how many bytes of a directory are read at once.
const readSize = 64 << 10

// rootSlots reads the root directory up to its end mark. fault says what is wrong with it.
func (v *volume) rootSlots() (slots []Slot, fault string, err error) {
	if v.kind == FAT32 {
		return v.slots(v.rootCluster)
	}
	d := dir{v: v}
	err = d.read(v.root, v.rootEntries*32)
	return d.list, "", err
}

// slots reads the directory that begins with a cluster.
func (v *volume) slots(start uint32) (slots []Slot, fault string, err error) {
	c, err := v.follow(start, uint64(maxSlots*32/v.cluster)+1)
	if err != nil {
		return nil, "", err
	}
	d := dir{v: v}
	for _, e := range c.extents {
		for i := uint32(0); i < e.Count && !d.done; i++ {
			if err := d.read(v.offset(e.Cluster+i), v.cluster); err != nil {
				return d.list, "", err
			}
		}
	}
	if d.done {
		c.fault = "" // what follows the end mark does not matter
	}
	return d.list, c.fault, nil
}

// dir is the state of reading one directory.
type dir struct {
	v    *volume
	list []Slot
	n    int // slots seen
	done bool
	long []string // parts of a long name, the last one first
}

// read takes n bytes of slots at an offset of the medium.
func (d *dir) read(at int64, n int) error {
	b := make([]byte, min(n, readSize))
	for read := 0; read < n && !d.done; read += len(b) {
		b = b[:min(len(b), n-read)]
		if k, err := d.v.r.ReadAt(b, at+int64(read)); err != nil {
			if !errors.Is(err, io.EOF) {
				return fmt.Errorf("read a directory: %w", err)
			}
			b = b[:k/32*32]
			if len(b) == 0 {
				return nil
			}
		}
		for i := 0; i+32 <= len(b) && !d.done; i += 32 {
			d.slot(b[i:i+32], at+int64(read+i))
		}
	}
	return nil
}

func (d *dir) slot(b []byte, at int64) {
	if b[0] == 0 || d.n >= maxSlots {
		d.done = true
		return
	}
	s := Slot{Slot: d.n, raw: [11]byte(b[:11]), at: at}
	d.n++
	attr := b[11]
	switch {
	case b[0] == 0xe5:
		s.Kind = KindDeleted
		s.raw[0] = '?'
		d.long = nil
	case attr&0x3f == attrLong:
		s.Kind = KindLong
		if b[0]&0x40 != 0 {
			d.long = nil
		}
		if len(d.long) < 20 {
			d.long = append(d.long, longPart(b))
		}
		d.list = append(d.list, s)
		return
	case attr&attrLabel != 0:
		s.Kind = KindLabel
		d.long = nil
	case attr&attrDirectory != 0:
		s.Kind = KindDirectory
	default:
		s.Kind = KindFile
	}
	s.Name, s.Size = shortName(s.raw, s.Kind), le.Uint32(b[28:])
	s.Cluster = uint32(le.Uint16(b[26:]))
	if d.v.kind == FAT32 {
		s.Cluster |= uint32(le.Uint16(b[20:])) << 16
	}
	for i, letter := range "rhs" {
		if attr&(1<<i) != 0 {
			s.Attributes += string(letter)
		}
	}
	if attr&attrArchive != 0 {
		s.Attributes += "a"
	}
	for i := len(d.long) - 1; i >= 0; i-- {
		s.Long += d.long[i]
	}
	d.long = nil
	d.list = append(d.list, s)
}

// longPart gives the 13 characters of a long-name slot.
func longPart(b []byte) string {
	var u []uint16
	for _, span := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for i := span[0]; i < span[1]; i += 2 {
			c := le.Uint16(b[i:])
			if c == 0 || c == 0xffff {
				return string(utf16.Decode(u))
			}
			u = append(u, c)
		}
	}
	return string(utf16.Decode(u))
}

// shortName writes the eleven bytes of a name as NAME.EXT. Bytes that are not printable ASCII become
// question marks: their code page is not known.
func shortName(raw [11]byte, kind string) string {
	if raw[0] == 0x05 {
		raw[0] = 0xe5
	}
	for i, c := range raw {
		if c < 0x20 || c > 0x7e {
			raw[i] = '?'
		}
	}
	if kind == KindLabel {
		return strings.TrimRight(string(raw[:]), " ")
	}
	name, ext := strings.TrimRight(string(raw[:8]), " "), strings.TrimRight(string(raw[8:]), " ")
	if ext != "" {
		name += "." + ext
	}
	return name
}
