package usbkey

import (
	"errors"
	"fmt"
	"math"
)

// layout is the arithmetic of a new volume with sectors of 512 bytes. All numbers but the names with
// bytes in them are sectors.
type layout struct {
	wide       bool  // FAT32
	total      int64 // of the volume
	perCluster int64
	reserved   int64
	fat        int64 // of one of the two FATs
	root       int64 // of the root directory; 0 for FAT32, whose root is cluster 2
	clusters   int64
}

const (
	sectorSize  = 512
	rootEntries = 512
	fatCopies   = 2
	margin      = 16 // clusters kept between a new volume and the limits of its type: not every program counts well
)

// plan computes a volume of at most size bytes. The FAT grows until it covers the clusters that it
// leaves; the volume is made smaller when the rest would have too many clusters for FAT16.
func plan(size int64, wide bool) (layout, error) {
	l := layout{wide: wide, total: size / sectorSize}
	if size <= TooSmall {
		return l, fmt.Errorf("%s are too small: firmware wants more than 16 MiB", bytesWords(size))
	}
	if l.total > math.MaxUint32 {
		l.total = math.MaxUint32
	}
	entry, least, most := int64(2), int64(minFAT16+margin), int64(minFAT32-1-margin)
	if wide {
		entry, least, most = 4, minFAT32+margin, maxFAT32-1
		l.reserved, l.perCluster = 32, wideCluster(size)
	} else {
		l.total = min(l.total, TooLarge/sectorSize)
		size = l.total * sectorSize
		l.perCluster = narrowCluster(size)
		l.reserved, l.root = l.perCluster, rootEntries*32/sectorSize // the data then begins at a whole cluster
	}
	room := l.total - l.reserved - l.root
	l.fat = room * entry / (l.perCluster*sectorSize + fatCopies*entry) // not more than it needs
	for {
		if !wide {
			l.fat = (l.fat + l.perCluster - 1) / l.perCluster * l.perCluster
		}
		l.clusters = (room - fatCopies*l.fat) / l.perCluster
		if ((l.clusters+2)*entry+sectorSize-1)/sectorSize <= l.fat {
			break
		}
		l.fat++
	}
	if l.clusters > most {
		l.clusters = most
		l.total = l.data() + most*l.perCluster
	}
	if l.clusters < least {
		return l, errors.New("it is too small for FAT32, which needs more than 33 MiB")
	}
	return l, nil
}

// narrowCluster gives the sectors of a FAT16 cluster, as Microsoft's table has them from 16 MiB on.
func narrowCluster(size int64) int64 {
	n := int64(4)
	for limit := int64(128 << 20); size > limit && n < 64; limit *= 2 {
		n *= 2
	}
	return n
}

// wideCluster gives the sectors of a FAT32 cluster.
func wideCluster(size int64) int64 {
	switch {
	case size <= 260<<20:
		return 1
	case size <= 8<<30:
		return 8
	case size <= 16<<30:
		return 16
	case size <= 32<<30:
		return 32
	}
	return 64
}

// data gives the sector of cluster 2.
func (l layout) data() int64 { return l.reserved + fatCopies*l.fat + l.root }

// first gives the first cluster of SETUP.BIN.
func (l layout) first() int64 {
	if l.wide {
		return 3
	}
	return 2
}

func (l layout) clusterBytes() int64 { return l.perCluster * sectorSize }

// boot writes the boot sector. serial is the number of the volume. There is no boot code: the
// processor is halted, so that a BIOS that tries to boot stops instead of running on.
func (l layout) boot(serial uint32) []byte {
	b := make([]byte, sectorSize)
	copy(b, "\xeb\x3c\x90MSDOS5.0")
	le.PutUint16(b[11:], sectorSize)
	b[13] = byte(l.perCluster)
	le.PutUint16(b[14:], uint16(l.reserved))
	b[16] = fatCopies
	if l.total < 1<<16 && !l.wide {
		le.PutUint16(b[19:], uint16(l.total))
	} else {
		le.PutUint32(b[32:], uint32(l.total))
	}
	b[21] = 0xf8              // medium: fixed disk
	le.PutUint16(b[24:], 63)  // sectors of a track
	le.PutUint16(b[26:], 255) // heads
	id, code, kind := 36, 62, "FAT16   "
	if l.wide {
		b[1], id, code, kind = 0x58, 64, 90, "FAT32   "
		le.PutUint32(b[36:], uint32(l.fat))
		le.PutUint32(b[44:], 2) // root directory
		le.PutUint16(b[48:], 1) // FSInfo
		le.PutUint16(b[50:], 6) // copy of the boot sector
	} else {
		le.PutUint16(b[17:], rootEntries)
		le.PutUint16(b[22:], uint16(l.fat))
	}
	b[id], b[id+2] = 0x80, 0x29
	le.PutUint32(b[id+3:], serial)
	copy(b[id+7:], "NO NAME    ") // says that there is no label
	copy(b[id+18:], kind)
	copy(b[code:], "\xfa\xf4\xeb\xfd") // cli, hlt, and again
	b[510], b[511] = 0x55, 0xaa
	return b
}

// info writes the FSInfo sector of FAT32.
func (l layout) info(used int64) []byte {
	b := make([]byte, sectorSize)
	copy(b, "RRaA")
	copy(b[484:], "rrAa")
	le.PutUint32(b[488:], uint32(l.clusters-used))
	le.PutUint32(b[492:], uint32(1+used))
	b[510], b[511] = 0x55, 0xaa
	return b
}

// table writes one FAT with a chain of n clusters for SETUP.BIN.
func (l layout) table(n int64) []byte {
	b := make([]byte, l.fat*sectorSize)
	put := func(cluster, v int64) {
		if l.wide {
			le.PutUint32(b[4*cluster:], uint32(v)&0x0fffffff)
		} else {
			le.PutUint16(b[2*cluster:], uint16(v))
		}
	}
	const end = 0x0fffffff
	put(0, end&^0xff|0xf8)
	put(1, end)
	if l.wide {
		put(2, end)
	}
	for i := range n {
		next := l.first() + i + 1
		if i == n-1 {
			next = end
		}
		put(l.first()+i, next)
	}
	return b
}

// entry writes the directory slot of SETUP.BIN. stamp is its date and time in the form of FAT.
func (l layout) entry(size int, stamp [2]uint16) []byte {
	b := make([]byte, 32)
	copy(b, setupName[:])
	b[11] = attrArchive
	le.PutUint16(b[14:], stamp[0])
	le.PutUint16(b[16:], stamp[1])
	le.PutUint16(b[18:], stamp[1])
	le.PutUint16(b[22:], stamp[0])
	le.PutUint16(b[24:], stamp[1])
	if size > 0 {
		le.PutUint16(b[26:], uint16(l.first()))
	}
	le.PutUint32(b[28:], uint32(size))
	return b
}
