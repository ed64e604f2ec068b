package usbkey

import (
	"encoding/hex"
	"errors"
	"io"
)

// Partition is an entry of the partition table (MBR) that is in use.
type Partition struct {
	Number int    `json:"number"` // 1 to 4
	Type   string `json:"type"`   // the type byte in hex, such as 0e
	Active bool   `json:"active"`
	Offset int64  `json:"offset"` // bytes
	Bytes  int64  `json:"bytes"`
}

// disk is what stands on a medium: a volume by itself, or a partition table.
type disk struct {
	partitions []Partition
	volumes    []*volume // of partitions in their order, or the one without a table
	space      []int64   // bytes that each volume may use
	other      string    // another file system at the start, such as ntfs
}

// open finds the volumes of a medium.
func open(r io.ReaderAt, size int64) (*disk, error) {
	d := &disk{}
	b := make([]byte, 512)
	if _, err := r.ReadAt(b, 0); err != nil {
		if errors.Is(err, io.EOF) {
			return d, nil // smaller than a sector
		}
		return d, err
	}
	v, err := openVolume(r, 0)
	if err != nil && !errors.Is(err, errNoFAT) {
		return d, err
	}
	table := readTable(b)
	if err == nil {
		d.volumes, d.space = []*volume{v}, []int64{size}
		for _, p := range table { // mkfs.fat --mbr writes a table in which the volume itself is the partition
			if p.Offset == 0 {
				d.partitions = append(d.partitions, p)
			}
		}
		return d, nil
	}
	if d.other = otherSystem(b); d.other != "" {
		return d, nil
	}
	d.partitions = table
	for _, p := range d.partitions {
		if p.Offset == 0 {
			continue
		}
		v, err := openVolume(r, p.Offset)
		switch {
		case err == nil:
			d.volumes, d.space = append(d.volumes, v), append(d.space, min(p.Bytes, size-p.Offset))
		case !errors.Is(err, errNoFAT):
			return d, err
		case d.other == "":
			head := make([]byte, 512)
			if _, err := r.ReadAt(head, p.Offset); err == nil {
				d.other = otherSystem(head)
			}
		}
	}
	return d, nil
}

// readTable reads the partition table of a first sector; nil when there is none.
func readTable(b []byte) []Partition {
	if b[510] != 0x55 || b[511] != 0xaa {
		return nil
	}
	var table []Partition
	for i := range 4 {
		e := b[446+16*i:][:16]
		if e[0] != 0 && e[0] != 0x80 {
			return nil
		}
		if e[4] != 0 {
			table = append(table, Partition{Number: i + 1, Type: hex.EncodeToString(e[4:5]), Active: e[0] == 0x80,
				Offset: int64(le.Uint32(e[8:])) * 512, Bytes: int64(le.Uint32(e[12:])) * 512})
		}
	}
	return table
}

// otherSystem names a file system by its boot sector, empty when it is not known.
func otherSystem(b []byte) string {
	switch string(b[3:11]) {
	case "NTFS    ":
		return "ntfs"
	case "EXFAT   ":
		return "exfat"
	}
	return ""
}
