package usbkey

import (
	"errors"
	"fmt"
	"io"
)

// Extent is a run of clusters that lie one behind the other.
type Extent struct {
	Cluster uint32 `json:"cluster"` // the first
	Count   uint32 `json:"count"`
}

// maxExtents is how many extents of one file are kept. A file with more is as fragmented as can be.
const maxExtents = 4096

// chain is what the FAT says about one file or directory.
type chain struct {
	extents []Extent
	length  uint64 // clusters, with those whose extents are not kept
	fault   string // why it cannot be the whole of a file; empty when it can
	long    bool   // it goes on behind the clusters that were asked for
}

// contiguous reports whether the chain is one piece.
func (c chain) contiguous() bool { return len(c.extents) == 1 && c.fault == "" }

// follow walks the chain from a cluster for at most limit clusters. A loop cannot be longer than the
// volume has clusters, so that the walk ends; it is found after at most three times its length.
func (v *volume) follow(start uint32, limit uint64) (chain, error) {
	var c chain
	if !v.inRange(start) {
		c.fault = fmt.Sprintf("its first cluster is %d, the volume has 2 to %d", start, v.clusters+1)
		return c, nil
	}
	mark, lap, power := start, uint64(0), uint64(1) // Brent's way to find a loop without memory
	for at := start; ; {
		if c.length == limit {
			c.long = true
			return c, nil
		}
		c.add(at)
		n, err := v.next(at)
		if err != nil {
			return c, err
		}
		switch {
		case n >= entryEnd:
			return c, nil
		case n == entryBad:
			c.fault = fmt.Sprintf("cluster %d is marked bad", at)
			return c, nil
		case n == entryFree:
			c.fault = fmt.Sprintf("cluster %d is marked free", at)
			return c, nil
		case !v.inRange(n):
			c.fault = fmt.Sprintf("cluster %d leads to cluster %d, the volume has 2 to %d", at, n, v.clusters+1)
			return c, nil
		case n == mark:
			c.fault = fmt.Sprintf("the chain runs in a circle through cluster %d", n)
			return c, nil
		}
		if at = n; lap+1 == power {
			mark, lap, power = at, 0, power*2
		} else {
			lap++
		}
	}
}

func (c *chain) add(cluster uint32) {
	c.length++
	if n := len(c.extents); n > 0 && c.extents[n-1].Cluster+c.extents[n-1].Count == cluster {
		c.extents[n-1].Count++
	} else if n < maxExtents {
		c.extents = append(c.extents, Extent{cluster, 1})
	} else {
		c.fault = fmt.Sprintf("it lies in more than %d pieces", maxExtents)
	}
}

// clustersOf gives the clusters that a file of size bytes needs.
func (v *volume) clustersOf(size uint32) uint64 {
	return (uint64(size) + uint64(v.cluster) - 1) / uint64(v.cluster)
}

// chainOf follows the chain of a file and compares it with the size that its entry gives.
func (v *volume) chainOf(start, size uint32) (chain, error) {
	need := v.clustersOf(size)
	if need == 0 {
		return chain{}, nil
	}
	c, err := v.follow(start, need)
	if err != nil {
		return c, err
	}
	if c.fault == "" && c.length < need {
		c.fault = fmt.Sprintf("the chain has %d clusters, %d bytes need %d", c.length, size, need)
	}
	return c, nil
}

// MaxSetup is the largest setup.bin that is read, in bytes: more than 100,000 records.
const MaxSetup = 64 << 20

var errTooLarge = errors.New("larger than 64 MiB")

// read gives the first size bytes of the extents. A piece that the medium has not gives an error.
func (v *volume) read(extents []Extent, size uint32) ([]byte, error) {
	if size > MaxSetup {
		return nil, errTooLarge
	}
	have := uint64(0)
	for _, e := range extents {
		have += uint64(e.Count) * uint64(v.cluster)
	}
	out := make([]byte, 0, min(uint64(size), have))
	for _, e := range extents {
		n := min(uint64(cap(out)-len(out)), uint64(e.Count)*uint64(v.cluster))
		from := len(out)
		out = out[:from+int(n)]
		if k, err := v.r.ReadAt(out[from:], v.offset(e.Cluster)); err != nil && (!errors.Is(err, io.EOF) || uint64(k) < n) {
			return out[:from+k], fmt.Errorf("read cluster %d: %w", e.Cluster, err)
		}
	}
	return out, nil
}
