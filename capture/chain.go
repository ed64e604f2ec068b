package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"sync/atomic"
)

// Chain is several capture files read one behind the other as one source: the files of one ring,
// between which attempts go on. Packet numbers count over all of them; Place tells the file.
type Chain struct {
	names []string
	warn  func(name, text string)
	begin []int // number before the first packet of each file that was begun
	ended atomic.Pointer[Stats]
	now   atomic.Pointer[File]
}

// Chains groups the names of capture files: those of one ring that follow one another, in the list and
// in the ring, are one group. Every other file is a group of its own. Only regular files are looked into.
func Chains(names []string) [][]string {
	var out [][]string
	ring, number := "", 0
	for _, name := range names {
		r, n := "", 0
		if len(names) > 1 && name != "-" {
			r, n = ringOf(name)
		}
		if r != "" && r == ring && n == number+1 {
			out[len(out)-1] = append(out[len(out)-1], name)
		} else {
			out = append(out, []string{name})
		}
		ring, number = r, n
	}
	return out
}

// ringOf reads from the head of a file which ring it belongs to and which file of it it is; "" when it
// is none.
func ringOf(name string) (ring string, number int) {
	st, err := os.Stat(name)
	if err != nil || !st.Mode().IsRegular() {
		return "", 0
	}
	f, err := os.Open(name)
	if err != nil {
		return "", 0
	}
	defer f.Close()
	r, done, err := unpack(f, func(string) {})
	if err != nil {
		return "", 0
	}
	defer done()
	head := make([]byte, 1024)
	n, _ := io.ReadFull(r, head)
	note, found := strings.CutPrefix(sectionComment(head[:n]), ringNote)
	i := strings.LastIndex(note, ", file ")
	if !found || i < 0 {
		return "", 0
	}
	if _, err := fmt.Sscanf(note[i:], ", file %d", &number); err != nil {
		return "", 0
	}
	return note[:i], number
}

// sectionComment reads the comment of a section header in little endian, as our recordings have it.
func sectionComment(b []byte) string {
	o := binary.LittleEndian
	if len(b) < 28 || o.Uint32(b) != blockSection || o.Uint32(b[8:]) != byteOrderMagic {
		return ""
	}
	n := o.Uint32(b[4:])
	if n < 28 || int64(n) > int64(len(b)) {
		return ""
	}
	for b = b[24 : n-4]; len(b) >= 4; {
		code, size := o.Uint16(b), int(o.Uint16(b[2:]))
		if b = b[4:]; code == 0 || size > len(b) {
			return ""
		}
		if code == 1 {
			return string(b[:size])
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return ""
}

// NewChain reads the named files in order. warn is told what was odd in which file; it may be nil.
func NewChain(names []string, warn func(name, text string)) *Chain {
	if warn == nil {
		warn = func(string, string) {}
	}
	c := &Chain{names: names, warn: warn}
	c.ended.Store(&Stats{})
	return c
}

// Run reads the files one by one. A file that cannot be read does not keep the others from being read;
// the errors are joined.
func (c *Chain) Run(ctx context.Context, fn func(*Packet) error) error {
	var failed, stop error
	number := 0
	for _, name := range c.names {
		c.begin = append(c.begin, number)
		f, err := OpenFile(name, func(text string) { c.warn(name, text) })
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		c.now.Store(f)
		err = f.Run(ctx, func(p *Packet) error {
			number = c.begin[len(c.begin)-1] + p.Number
			p.Number = number
			stop = fn(p)
			return stop
		})
		sum := c.Stats()
		c.now.Store(nil)
		c.ended.Store(&sum)
		_ = f.Close()
		if stop != nil || ctx.Err() != nil {
			return err
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// Stats gives the counts over all files so far; it may be called while Run runs.
func (c *Chain) Stats() Stats {
	s := *c.ended.Load()
	if f := c.now.Load(); f != nil {
		n := f.Stats()
		s.Received += n.Received
		s.Truncated += n.Truncated
		s.Bytes += n.Bytes
	}
	return s
}

// Place gives the file of a packet and its number there, from 1.
func (c *Chain) Place(number int) (name string, packet int) {
	i := sort.SearchInts(c.begin, number) - 1
	if i < 0 {
		return c.names[0], number
	}
	return c.names[i], number - c.begin[i]
}
