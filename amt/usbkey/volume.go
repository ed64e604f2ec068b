package usbkey

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

var le = binary.LittleEndian

// Limits of the two steps between the FAT types, in clusters. The number of clusters alone decides
// between FAT12 and FAT16 (Microsoft's FAT specification).
const (
	minFAT16 = 4085
	minFAT32 = 65525
	maxFAT32 = 0x0ffffff5
)

// Names of file systems in reports.
const (
	FAT12  = "FAT12"
	FAT16  = "FAT16"
	FAT32  = "FAT32"
	NoneFS = "none"
)

// volume is a FAT file system. All sizes are in bytes, all offsets from the start of the medium.
type volume struct {
	r           io.ReaderAt
	kind        string // FAT12, FAT16, FAT32
	base        int64  // boot sector
	size        int64
	sector      int
	cluster     int
	clusters    uint32 // data clusters, numbered from 2
	fat         int64  // first FAT
	fatSize     int64
	fats        int
	root        int64  // FAT12, FAT16: root directory
	rootEntries int    // FAT12, FAT16
	rootCluster uint32 // FAT32
	data        int64  // cluster 2
	signature   bool   // 55 AA
	mismatch    bool   // layout of FAT32, fewer clusters than FAT32 has

	window   []byte // a piece of the FAT
	windowAt int64
}

// errNoFAT says that a sector is no boot sector of a FAT volume.
var errNoFAT = errors.New("no FAT boot sector")

// openVolume reads the boot sector at base. It believes nothing that does not fit together.
func openVolume(r io.ReaderAt, base int64) (*volume, error) {
	b := make([]byte, 512)
	if _, err := r.ReadAt(b, base); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errNoFAT
		}
		return nil, err
	}
	v := &volume{r: r, base: base, sector: int(le.Uint16(b[11:])), fats: int(b[16]), rootEntries: int(le.Uint16(b[17:])),
		signature: b[510] == 0x55 && b[511] == 0xaa}
	perCluster, reserved := int(b[13]), int(le.Uint16(b[14:]))
	total, fatSectors := int64(le.Uint16(b[19:])), int64(le.Uint16(b[22:]))
	if total == 0 {
		total = int64(le.Uint32(b[32:]))
	}
	wide := fatSectors == 0 // layout of FAT32
	if wide {
		fatSectors = int64(le.Uint32(b[36:]))
	}
	switch {
	case b[0] != 0xeb && b[0] != 0xe9, b[21] < 0xf0,
		v.sector < 512 || v.sector > 4096 || bits.OnesCount(uint(v.sector)) != 1,
		bits.OnesCount(uint(perCluster)) != 1, reserved == 0, v.fats == 0 || v.fats > 4, total == 0, fatSectors == 0,
		wide != (v.rootEntries == 0):
		return nil, errNoFAT
	}
	rootSectors := int64(v.rootEntries*32+v.sector-1) / int64(v.sector)
	dataSector := int64(reserved) + int64(v.fats)*fatSectors + rootSectors
	if dataSector >= total {
		return nil, errNoFAT
	}
	count := (total - dataSector) / int64(perCluster)
	if count == 0 || count >= maxFAT32 {
		return nil, errNoFAT
	}
	v.clusters = uint32(count)
	v.cluster = perCluster * v.sector
	v.size = total * int64(v.sector)
	v.fat = base + int64(reserved)*int64(v.sector)
	v.fatSize = fatSectors * int64(v.sector)
	v.root = v.fat + int64(v.fats)*v.fatSize
	v.data = base + dataSector*int64(v.sector)
	v.rootCluster = le.Uint32(b[44:])
	switch {
	case wide:
		v.kind, v.mismatch = FAT32, count < minFAT32
	case count < minFAT16:
		v.kind = FAT12
	default:
		v.kind, v.mismatch = FAT16, count >= minFAT32
	}
	return v, nil
}

// offset gives where a cluster begins.
func (v *volume) offset(cluster uint32) int64 {
	return v.data + int64(cluster-2)*int64(v.cluster)
}

// inRange reports whether the volume has a cluster of this number.
func (v *volume) inRange(cluster uint32) bool {
	return cluster >= 2 && cluster-2 < v.clusters
}

// Values of a FAT entry beside the number of the next cluster.
const (
	entryFree = 0
	entryBad  = 0x0ffffff7
	entryEnd  = 0x0ffffff8 // and above
)

// windowSize is how much of a FAT is read at once. It is small, because a hostile chain can make every
// step go to another piece.
const windowSize = 4 << 10

// next gives the FAT entry of a cluster, widened to the values of FAT32.
func (v *volume) next(cluster uint32) (uint32, error) {
	var at int64
	switch v.kind {
	case FAT12:
		at = int64(cluster) + int64(cluster)/2
	case FAT16:
		at = int64(cluster) * 2
	default:
		at = int64(cluster) * 4
	}
	if at+4 > v.fatSize && at+map[string]int64{FAT12: 2, FAT16: 2, FAT32: 4}[v.kind] > v.fatSize {
		return 0, fmt.Errorf("cluster %d has no entry in the FAT, which is too small", cluster)
	}
	b, err := v.look(at)
	if err != nil {
		return 0, err
	}
	var n uint32
	switch v.kind {
	case FAT12:
		n = uint32(le.Uint16(b))
		if cluster%2 == 1 {
			n >>= 4
		}
		if n &= 0xfff; n >= 0xff7 {
			n |= 0x0ffff000
		}
	case FAT16:
		if n = uint32(le.Uint16(b)); n >= 0xfff7 {
			n |= 0x0fff0000
		}
	default:
		n = le.Uint32(b) & 0x0fffffff
	}
	return n, nil
}

// look gives four bytes of the first FAT, or as many as it has.
func (v *volume) look(at int64) ([]byte, error) {
	if v.window == nil || at < v.windowAt || at+4 > v.windowAt+int64(len(v.window)) {
		v.windowAt = at / 512 * 512
		v.window = make([]byte, min(windowSize, v.fatSize-v.windowAt))
		if n, err := v.r.ReadAt(v.window, v.fat+v.windowAt); err != nil && (!errors.Is(err, io.EOF) || int64(n) < at-v.windowAt+4) {
			v.window = nil
			return nil, fmt.Errorf("read the FAT: %w", err)
		}
	}
	b := v.window[at-v.windowAt:]
	if len(b) < 4 { // the last entry of the FAT
		b = append(append([]byte{}, b...), 0, 0, 0, 0)
	}
	return b, nil
}
