package setupbin

import (
	"encoding/binary"
	"fmt"
	"strings"

	"amtmedic/amt"
)

var le = binary.LittleEndian

// Read takes a file apart. The only error is a file of less than one chunk, in which there is nothing
// to read; everything else is read as far as it goes, and Judge says what is wrong. Counts in the
// file are not believed: what is there is what the size allows.
func Read(b []byte) (*File, error) {
	if len(b) < ChunkSize {
		return nil, fmt.Errorf("%d bytes: a setup.bin begins with a header of %d", len(b), ChunkSize)
	}
	f := &File{size: len(b)}
	copy(f.TypeID[:], b)
	f.HeaderChunks, f.HeaderBytes, f.Number = le.Uint16(b[16:]), le.Uint16(b[18:]), le.Uint32(b[20:])
	f.Version = Version{b[24], b[25]}
	f.Flags, f.Total, f.Consumed = le.Uint16(b[26:]), le.Uint32(b[28:]), le.Uint32(b[32:])
	f.RecordChunks, f.Reserved = le.Uint16(b[36:]), le.Uint16(b[38:])
	head := b[:min(f.headSize(), len(b))]
	f.Head = amt.NewSecret(string(head))
	f.Modules = readModules(head)
	rest := b[len(head):]
	if f.Known() || f.plausible(rest) {
		size := f.recordSize()
		for len(rest) >= size && (uint64(len(f.Records)) < uint64(f.Total) || le.Uint32(rest) == TypeData) {
			f.Records = append(f.Records, readRecord(rest[:size]))
			rest = rest[size:]
		}
	}
	f.Rest = amt.NewSecret(string(rest))
	return f, nil
}

// plausible reports whether a file of unknown type has the layout of the known ones, so that its
// records can be shown.
func (f *File) plausible(rest []byte) bool {
	return f.HeaderChunks <= 1 && f.HeaderBytes >= headerFixed && f.HeaderBytes <= ChunkSize && len(rest) >= ChunkSize &&
		le.Uint32(rest) == TypeData && le.Uint16(rest[18:]) == recordHeader
}

func readModules(head []byte) []uint16 {
	var ms []uint16
	for at := headerFixed; at+2 <= len(head); at += 2 {
		m := le.Uint16(head[at:])
		if m == 0 {
			break
		}
		ms = append(ms, m)
	}
	return ms
}

// readRecord takes one record apart. Its body ends at a module or variable 0, at a variable that
// runs past the record's end, or there.
func readRecord(b []byte) Record {
	r := Record{Type: le.Uint32(b), Flags: le.Uint32(b[4:]), Reserved: le.Uint64(b[8:]), Chunks: le.Uint16(b[16:]),
		HeaderBytes: le.Uint16(b[18:]), Number: le.Uint32(b[20:])}
	raw := b[recordHeader:]
	if r.Flags&FlagScrambled != 0 {
		raw = append([]byte{}, raw...)
		shift(raw, unscramble)
	}
	body := string(raw) // values are parts of it: a record of many small ones costs no more than its size
	n := 0
	for rest := body; ; n++ {
		_, size := readVariable(rest)
		if size == 0 {
			break
		}
		rest = rest[size:]
	}
	if n > 0 {
		r.Variables = make([]Variable, n)
	}
	for i := range r.Variables {
		v, size := readVariable(body)
		r.Variables[i], body = v, body[size:]
	}
	r.Tail = amt.NewSecret(body)
	return r
}

// readVariable reads one entry and gives its length with padding, 0 when there is none.
func readVariable(b string) (Variable, int) {
	if len(b) < entryHeader {
		return Variable{}, 0
	}
	v := Variable{Module: word16(b), ID: word16(b[2:]), Reserved: word16(b[6:])}
	n := int(word16(b[4:]))
	end := entryHeader + n + padding(n)
	if v.Module == 0 || v.ID == 0 || end > len(b) {
		return Variable{}, 0
	}
	v.Value = amt.NewSecret(b[entryHeader : entryHeader+n])
	if pad := b[entryHeader+n : end]; strings.Trim(pad, "\x00") != "" {
		v.Pad = amt.NewSecret(pad)
	}
	return v, end
}

func word16(b string) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }

// padding gives the bytes between a value of n bytes and the next variable.
func padding(n int) int { return (4 - n%4) % 4 }

// shift adds d to each byte, modulo 256.
func shift(b []byte, d byte) {
	for i := range b {
		b[i] += d
	}
}

// cut reports whether the record's variables end because one of them runs past the record's end.
func (r Record) cut() (module, id uint16, length int, ok bool) {
	t := r.Tail.Reveal()
	if len(t) < entryHeader {
		return 0, 0, 0, len(t) > 0 && t != string(make([]byte, len(t)))
	}
	module, id, length = word16(t), word16(t[2:]), int(word16(t[4:]))
	return module, id, length, module != 0 && id != 0
}
