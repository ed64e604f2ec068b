// Package usbkey inspects, prepares and repairs the USB key that brings setup.bin to a client: a FAT
// volume in which firmware and BIOS of 2006 find the file. It reads FAT12, FAT16 and FAT32 and the
// partition table itself, believes nothing that does not fit together, and never reads more than a
// bounded part of a medium. Everything works on image files and, where the system allows, on a
// removable device.
//
// Rules: setup-bin-and-keys 3.
package usbkey

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"amtmedic/amt"
)

// Codes of problems of the key. Those of the file on it are the codes of package setupbin.
const (
	CodeNoFAT      = "no-fat"           // no FAT volume
	CodeNotFAT16   = "not-fat16"        // FAT12 or FAT32; a problem below AMT 4
	CodeTooSmall   = "too-small"        // 16 MiB or less
	CodeTooLarge   = "too-large"        // above 2 GiB; a problem below AMT 4
	CodePartitions = "partitions"       // more than one
	CodeActive     = "active"           // an active partition
	CodeCut        = "volume-cut"       // the volume is larger than what holds it
	CodeSignature  = "no-signature"     // the boot sector lacks 55 AA
	CodeMissing    = "setup-missing"    // no SETUP.BIN in the root
	CodeMisnamed   = "setup-misnamed"   // a setup.bin under another name
	CodeNotFirst   = "setup-not-first"  // files before it
	CodeHidden     = "setup-hidden"     // attribute
	CodeSystem     = "setup-system"     // attribute
	CodeFragmented = "setup-fragmented" // in more than one piece
	CodeChain      = "setup-chain"      // its clusters are no chain of a file
	CodeBefore     = "slot-before"      // label, long-name, deleted or directory slot before it; a problem below AMT 4
	CodeRoot       = "root-directory"   // the root directory cannot be read to its end
	CodeContent    = "setup-unreadable" // the file cannot be read as a setup.bin
)

// Codes of notes.
const (
	NoteOtherFiles = "other-files"
	NoteSector     = "sector-size"
	NoteType       = "fat-type"
	NoteReadOnly   = "setup-read-only"
	NoteSurplus    = "setup-surplus"
	NoteFormat     = "format-too-new"
	NoteOtherFAT   = "other-volume"
)

// Limits of a volume in bytes.
const (
	TooSmall = 16 << 20 // this size and less (HP: larger than 16 MB)
	TooLarge = 2 << 30  // more than this (USB Provisioning, a few insights: not larger than 2 GB)
)

// Report is what Inspect found. Sizes are in bytes.
type Report struct {
	Filesystem  string        `json:"filesystem"`       // FAT12, FAT16, FAT32, none
	Other       string        `json:"other_filesystem"` // ntfs or exfat where one was recognised
	SetupFirst  bool          `json:"setup_first"`      // label, long-name, deleted and directory slots are not counted
	Contiguous  bool          `json:"contiguous"`       // SETUP.BIN, or what stands for it, is in one piece
	VolumeBytes int64         `json:"volume_bytes"`
	SectorBytes int           `json:"sector_bytes"`
	Cluster     int           `json:"cluster_bytes"`
	Clusters    uint32        `json:"clusters"`
	Label       string        `json:"label"`
	Partitions  []Partition   `json:"partitions"`
	Entries     []Slot        `json:"entries"` // of the root directory, the first hundred
	Extents     []Extent      `json:"extents"` // of SETUP.BIN
	Setup       *Setup        `json:"setup"`   // what is in SETUP.BIN; null when it cannot be read
	Problems    []amt.Problem `json:"problems"`
	Notes       []amt.Problem `json:"notes"`

	NameOK      bool     `json:"name_ok"`   // SETUP.BIN stands in the root
	OnlyFile    bool     `json:"only_file"` // no other file and no directory is in the root
	ContentBad  []string `json:"-"`         // codes of the problems of the file itself
	ContentSeen bool     `json:"-"`         // its content could be judged
}

// Setup is what SETUP.BIN holds.
type Setup struct {
	Version         string `json:"version"`
	RecordsTotal    uint32 `json:"records_total"`
	RecordsConsumed uint32 `json:"records_consumed"`
	RecordsFree     int    `json:"records_free"`
}

// Active reports whether a partition is active, which makes the key a bootable one.
func (r *Report) Active() bool {
	for _, p := range r.Partitions {
		if p.Active {
			return true
		}
	}
	return false
}

// LayoutSound reports whether everything that is wrong lies in the content of SETUP.BIN.
func (r *Report) LayoutSound() bool {
	for _, p := range r.Problems {
		if !slices.Contains(r.ContentBad, p.Code) {
			return false
		}
	}
	return true
}

// Options say for whom a key is judged.
type Options struct {
	AMT amt.Version // of the client; zero: the oldest, AMT 2.x
}

// maxEntries is how many slots a report shows.
const maxEntries = 100

// Inspect judges a medium of size bytes. The error is one of reading; everything that is wrong with
// what was read stands in the report.
func Inspect(r io.ReaderAt, size int64, o Options) (*Report, error) {
	in := &inspection{o: o, r: &Report{Filesystem: NoneFS, Partitions: []Partition{}, Entries: []Slot{}, Extents: []Extent{},
		Problems: []amt.Problem{}, Notes: []amt.Problem{}}}
	d, err := open(r, size)
	if err != nil {
		return nil, fmt.Errorf("read the boot sector: %w", err)
	}
	if !in.disk(d) {
		return in.r, nil
	}
	in.volume(d)
	return in.r, in.root()
}

type inspection struct {
	o Options
	r *Report
	v *volume
}

// old reports whether the rules of AMT 2.x and 3.x hold.
func (in *inspection) old() bool { return in.o.AMT.IsZero() || !in.o.AMT.AtLeast(4, 0) }

func (in *inspection) bad(where, code, format string, a ...any) {
	in.r.Problems = append(in.r.Problems, amt.In(where, code, format, a...))
}

func (in *inspection) note(where, code, format string, a ...any) {
	in.r.Notes = append(in.r.Notes, amt.In(where, code, format, a...))
}

// badBelow4 is a problem for AMT 2.x and 3.x, and a note from 4 on.
func (in *inspection) badBelow4(where, code, format string, a ...any) {
	if in.old() {
		in.bad(where, code, format, a...)
	} else {
		in.note(where, code, format, a...)
	}
}

// disk judges the partition table and chooses the volume: the first, which is what a BIOS shows.
func (in *inspection) disk(d *disk) bool {
	in.r.Partitions = append(in.r.Partitions, d.partitions...)
	in.r.Other = d.other
	if n := len(d.partitions); n > 1 {
		in.bad("partition table", CodePartitions, "the key has %d partitions; firmware looks at one", n)
	}
	for _, p := range d.partitions {
		if p.Active {
			in.bad(fmt.Sprintf("partition %d", p.Number), CodeActive, "the partition is active, so that a BIOS may boot from the key")
		}
	}
	if len(d.volumes) == 0 {
		found := ""
		switch {
		case d.other != "":
			found = ": it is formatted as " + strings.ToUpper(d.other)
		case slices.ContainsFunc(d.partitions, func(p Partition) bool { return p.Type == "ee" }):
			found = ": it has a GUID partition table, which a BIOS of that time does not read"
		}
		in.bad("boot sector", CodeNoFAT, "there is no FAT file system on the key%s", found)
		return false
	}
	if len(d.volumes) > 1 {
		in.note("partition table", NoteOtherFAT, "%d of the partitions are FAT volumes; the first was looked at", len(d.volumes))
	}
	in.v = d.volumes[0]
	return true
}

// volume judges file system and sizes.
func (in *inspection) volume(d *disk) {
	v, r := in.v, in.r
	r.Filesystem, r.VolumeBytes, r.SectorBytes, r.Cluster, r.Clusters = v.kind, v.size, v.sector, v.cluster, v.clusters
	const where = "boot sector"
	if v.kind != FAT16 {
		in.badBelow4(where, CodeNotFAT16, "the file system is %s; AMT 2.x and 3.x are only known to read FAT16", v.kind)
	}
	if v.mismatch {
		in.note(where, NoteType, "the layout is that of %s, which does not belong to %d clusters; another system may take it for another type", v.kind, v.clusters)
	}
	switch {
	case v.size <= TooSmall:
		in.bad(where, CodeTooSmall, "the volume has %s; it must be larger than 16 MiB", bytesWords(v.size))
	case v.size > TooLarge:
		in.badBelow4(where, CodeTooLarge, "the volume has %s; 2 GiB is the most, 512 MiB is advised", bytesWords(v.size))
	}
	if v.size > d.space[0] {
		in.bad(where, CodeCut, "the volume says that it has %s, there is room for %s", bytesWords(v.size), bytesWords(d.space[0]))
	}
	if !v.signature {
		in.bad(where, CodeSignature, "the boot sector does not end in 55 AA")
	}
	if v.sector != 512 {
		in.note(where, NoteSector, "sectors have %d bytes; 512 is what firmware expects", v.sector)
	}
}

// bytesWords writes a size for people.
func bytesWords(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}
