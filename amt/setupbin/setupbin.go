// Package setupbin reads, explains, judges and writes setup.bin, the file by which a USB key sets up
// AMT (One-Touch). It knows all five versions of the format, keeps what it does not know, and gives
// a file that was read and not changed back byte for byte. It opens no file. Values of variables are
// amt.Secret, because passwords and the PPS are among them; Words shows them, secrets only on request.
//
// Layout: setup-bin-and-keys 2. All integers are little-endian.
package setupbin

import (
	"encoding/hex"
	"fmt"

	"amtmedic/amt"
)

// ChunkSize is the unit of the format in bytes: header and records are whole chunks.
const ChunkSize = 512

// Sizes and bits of the two headers.
const (
	headerFixed  = 40 // bytes of the file header before the module list
	recordHeader = 24 // bytes of a record before its body
	entryHeader  = 8  // bytes of a variable before its value

	FlagKeep          uint16 = 1 // file: records are not consumed (meaningful from version 2.0 on)
	FlagValid         uint32 = 1 // record: not used yet
	FlagScrambled     uint32 = 2 // record: the body is stored with 17 added to each byte
	TypeData          uint32 = 1 // record type of a data record
	scramble          byte   = 17
	unscramble        byte   = 239  // 256 - 17
	slowAboveRecs            = 1000 // POST searches about 15 s for each thousand
	maxHashes                = 3    // variables 2/8 in a record
	maxRecordsWritten        = 100000
	maxChunks                = 64 // of a record that is written; all known variables together fit
)

// Version is a version of the file format, not of AMT.
type Version struct{ Major, Minor uint8 }

// The versions that exist.
var (
	V10 = Version{1, 0}
	V20 = Version{2, 0}
	V21 = Version{2, 1}
	V30 = Version{3, 0}
	V40 = Version{4, 0}
)

// String gives major.minor.
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Before reports whether v is older than w.
func (v Version) Before(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

// edition is what is known of one version: the file type as its 16 bytes are stored, and the AMT
// line that read it first; zero where no source says so.
type edition struct {
	version Version
	id      string
	first   string // AMT version
}

// editions: setup-bin-and-keys 2.1. That 2.1 has the file type of 2.0 is not confirmed by a file.
var editions = []edition{
	{V10, "b516fb7187cbf94ab441ca7b383578f9", "2.0"},
	{V20, "96b28158cf6b724c8b91a15e512e99c4", "3.0"},
	{V21, "96b28158cf6b724c8b91a15e512e99c4", "4.0"},
	{V30, "a7f7f6c689c4f64793ede2e5020da51d", "6.0"},
	{V40, "aaa93452e129a9448d4d081c07b96353", ""},
}

// ParseVersion reads "1", "1.0", "2", "2.1", "3" or "4".
func ParseVersion(s string) (Version, error) {
	for _, e := range editions {
		if s == e.version.String() || e.version.Minor == 0 && s == fmt.Sprint(e.version.Major) {
			return e.version, nil
		}
	}
	return Version{}, fmt.Errorf("%q is none of the versions 1.0, 2.0, 2.1, 3.0, 4.0", s)
}

// FirstAMT gives the oldest AMT that reads the version; false when no source says which.
func (v Version) FirstAMT() (amt.Version, bool) {
	for _, e := range editions {
		if e.version == v && e.first != "" {
			first, err := amt.ParseVersion(e.first)
			return first, err == nil
		}
	}
	return amt.Version{}, false
}

// typeID gives the file type of a version as it is stored.
func typeID(v Version) (id [16]byte) {
	for _, e := range editions {
		if e.version == v {
			_, _ = hex.Decode(id[:], []byte(e.id))
		}
	}
	return id
}

// File is a setup.bin as it stands. Fields that a reader of the format has to believe are kept as
// they were found, right or wrong; Judge says what is wrong.
type File struct {
	TypeID       [16]byte // file type, the bytes as stored
	HeaderChunks uint16
	HeaderBytes  uint16
	Number       uint32 // record number of the header, 0
	Version      Version
	Flags        uint16
	Total        uint32 // records in the file, as the header says
	Consumed     uint32 // records used, as the header says
	RecordChunks uint16 // chunks of each record
	Reserved     uint16
	Modules      []uint16
	Records      []Record // those that are there

	// Bytes that no field above holds. They are exported because fmt prints what a Secret hides when
	// it stands in an unexported field.
	Head amt.Secret // the header's chunks as read; empty for a file that was built
	Rest amt.Secret // what follows the last whole record

	size int // bytes that were read; 0 for a file that was built
}

// Record is one data record.
type Record struct {
	Type        uint32
	Flags       uint32
	Reserved    uint64
	Chunks      uint16
	HeaderBytes uint16
	Number      uint32 // 1, 2, 3 ...
	Variables   []Variable

	Tail amt.Secret // unscrambled bytes behind the last variable, up to the record's end
}

// Valid reports whether the record can still be used.
func (r Record) Valid() bool { return r.Type == TypeData && r.Flags&FlagValid != 0 }

// Find gives a variable of the record.
func (r Record) Find(module, id uint16) (Variable, bool) {
	for _, v := range r.Variables {
		if v.Module == module && v.ID == id {
			return v, true
		}
	}
	return Variable{}, false
}

// Variable is one entry of a record.
type Variable struct {
	Module, ID uint16
	Reserved   uint16
	Value      amt.Secret // the bytes of the value, text or binary

	Pad amt.Secret // padding as read, when it is not zeros
}

// Known reports whether the file type is that of a version that exists.
func (f *File) Known() bool {
	for _, e := range editions {
		if typeID(e.version) == f.TypeID {
			return true
		}
	}
	return false
}

// Keeps reports whether records are not consumed.
func (f *File) Keeps() bool { return f.Flags&FlagKeep != 0 && !f.Version.Before(V20) }

// Free gives the number of records that can still be used.
func (f *File) Free() int {
	n := 0
	for _, r := range f.Records {
		if r.Valid() {
			n++
		}
	}
	return n
}

// used gives the number of records that are marked used.
func (f *File) used() int {
	n := 0
	for _, r := range f.Records {
		if r.Flags&FlagValid == 0 {
			n++
		}
	}
	return n
}

// headSize and recordSize are the sizes in bytes that a reader has to assume; a chunk count of zero
// is read as one.
func (f *File) headSize() int   { return ChunkSize * max(1, int(f.HeaderChunks)) }
func (f *File) recordSize() int { return ChunkSize * max(1, int(f.RecordChunks)) }

// Offset gives where record i begins, counted from 0, in bytes from the start of the file.
func (f *File) Offset(i int) int { return f.headSize() + i*f.recordSize() }

// Mend repairs what can be repaired without guessing: chunk counts of zero, which make firmware
// ignore the file, when the size is that of chunk counts of one (setup-bin-and-keys 2.7). It reports
// whether it changed anything.
func (f *File) Mend() bool {
	if f.HeaderChunks != 0 && f.RecordChunks != 0 || f.size != ChunkSize*(1+int(min(f.Total, 1<<20))) ||
		f.HeaderChunks > 1 || f.RecordChunks > 1 {
		return false
	}
	f.HeaderChunks, f.RecordChunks = 1, 1
	return true
}
