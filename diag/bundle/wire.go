package bundle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// pcapng block layout (IETF draft-ietf-opsawg-pcapng): u32 type, u32 total length, body, u32 total
// length again; a section header says the byte order by its magic at offset 8.
const (
	sectionHeader = 0x0A0D0D0A
	magicBE       = 0x1A2B3C4D
	magicLE       = 0x4D3C2B1A // the same, read in the other order
	minBlock      = 12
)

// wholeBlocks gives the length of the whole blocks among the first limit bytes of a capture, 0 for
// what is no pcapng.
func wholeBlocks(b []byte, limit int) int {
	var order binary.ByteOrder
	at := 0
	for at+minBlock <= len(b) {
		if binary.BigEndian.Uint32(b[at:]) == sectionHeader {
			switch binary.BigEndian.Uint32(b[at+8:]) {
			case magicBE:
				order = binary.BigEndian
			case magicLE:
				order = binary.LittleEndian
			default:
				return at
			}
		}
		if order == nil {
			return 0
		}
		n := int64(order.Uint32(b[at+4:]))
		if n < minBlock || n%4 != 0 || int64(at)+n > int64(min(len(b), limit)) {
			return at
		}
		at += int(n)
	}
	return at
}

// capture is one file of packets, as far as it goes into the bundle.
type capture struct {
	name  string
	bytes []byte
	cut   bool
}

// readCaptures takes the files with packets, shared out over the limit in bytes: what a small file
// leaves over the others may use. A file that has to be cut keeps its head, in whole blocks.
func readCaptures(paths []string, limit int64, g guard) ([]capture, []Omitted, error) {
	type source struct {
		path string
		size int64
	}
	var in []source
	for _, p := range paths {
		fi, err := os.Stat(p)
		if err != nil {
			return nil, nil, fmt.Errorf("take capture: %w", err)
		}
		in = append(in, source{p, fi.Size()})
	}
	slices.SortStableFunc(in, func(a, b source) int { return int(min(1, max(-1, a.size-b.size))) })
	var out []capture
	omitted := []Omitted{}
	for i, s := range in {
		share := limit / int64(len(in)-i)
		b, err := readHead(s.path, share)
		if err != nil {
			return nil, nil, fmt.Errorf("take capture: %w", err)
		}
		name := wireFolder + filepath.Base(s.path)
		whole := wholeBlocks(b, int(share))
		switch {
		case !goodName(name) || slices.ContainsFunc(out, func(c capture) bool { return strings.EqualFold(c.name, name) }):
			omitted = append(omitted, Omitted{clean(name, 80), "its name is not plain, or taken by another file"})
		case whole == 0:
			omitted = append(omitted, Omitted{name, "it is no pcapng, or larger than the limit in its first block"})
		case len(g.find(b[:whole])) > 0:
			omitted = append(omitted, Omitted{name, "it holds what looks like a secret"})
		default:
			c := capture{name, b[:whole], int64(whole) < s.size}
			if c.cut && int64(len(b)) < s.size {
				omitted = append(omitted, Omitted{name, fmt.Sprintf("cut at the limit, after %d of %d bytes", whole, s.size)})
			} else if c.cut {
				omitted = append(omitted, Omitted{name, fmt.Sprintf("its blocks are whole only up to %d of %d bytes", whole, s.size)})
			}
			out = append(out, c)
			limit -= int64(whole)
		}
	}
	return out, omitted, nil
}

func readHead(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, n))
	return b, errors.Join(err, f.Close())
}
