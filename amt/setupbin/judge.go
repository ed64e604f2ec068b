package setupbin

import "amtmedic/amt"

// Codes of problems. Those of PID and PPS are the codes of package keys.
const (
	CodeFileType     = "file-type"      // unknown file type
	CodeVersion      = "version"        // file type and version number do not belong together
	CodeHeaderChunks = "header-chunks"  // zero, or more than the file has
	CodeHeaderBytes  = "header-bytes"   // an impossible length of the header
	CodeRecordChunks = "record-chunks"  // zero, or another number in the record than in the header
	CodeNoRecords    = "no-records"     // nothing to use
	CodeRecordCount  = "record-count"   // more records than the header says
	CodeTruncated    = "truncated"      // fewer
	CodeTrailing     = "trailing-bytes" // bytes that make no record
	CodeConsumed     = "consumed"       // the counter of used records does not fit the records
	CodeRecordType   = "record-type"    // neither a data record nor one that was made invalid
	CodeRecordHeader = "record-header"  // a record's header is not 24 bytes long
	CodeVariableCut  = "variable-cut"   // a variable runs past the end of its record
	CodeEmptyRecord  = "empty-record"   // a record without variables
	CodeValue        = "value"          // a value that cannot be
	CodeTooEarly     = "variable-early" // a variable that the file version does not know
	CodeTwice        = "variable-twice" // a variable more often than it may be there
	CodeOrder        = "order"          // variables in an order that firmware does not take
	CodeNoPassword   = "no-password"    // the current or the new password is missing
	CodeNotAdmin     = "not-admin"      // AMT 2.x and 3.x only take the current password admin
	CodeWeakPassword = "weak-password"  // the MEBx would refuse the new password
	CodeHalfPair     = "half-pair"      // a PID without PPS or the other way round
	CodeNeedsAMT     = "file-version"   // the format is newer than the firmware
)

// CodeMore closes a list of problems or notes that was cut off.
const CodeMore = "more"

// Codes of notes.
const (
	NoteAllUsed     = "all-used"
	NoteMinor       = "minor-version"
	NoteFlags       = "flags"
	NoteNumber      = "record-number"
	NoteUsed        = "used"
	NoteScrambled   = "scrambled"
	NoteUnknown     = "unknown-variable"
	NotePassword    = "current-password"
	NoteSharedPair  = "kept-pair"
	NoteManyRecords = "many-records"
	NoteMaker       = "maker-password"
	NoteOrder       = "not-ascending"
	NoteDashes      = "dashes"
	NoteTwicePID    = "pid-twice"
	NoteCounter     = "counter"
)

// Judge says what makes firmware refuse the file, and what is worth knowing. With a zero version it
// judges for the oldest firmware that reads the file; with a version also whether that one reads it.
func (f *File) Judge(firmware amt.Version) (problems, notes []amt.Problem) {
	j := &judge{f: f, firmware: firmware, problems: []amt.Problem{}, notes: []amt.Problem{}}
	if !f.Known() { // what its bytes say as a header means nothing
		j.bad(0, CodeFileType, "the file type is none of a setup.bin: another file under this name, or a damaged one")
		return j.problems, j.notes
	}
	j.header()
	j.counts()
	if len(f.Records) > 0 {
		j.consumption()
		j.records()
	}
	j.problems = j.more(j.problems, j.badLeft)
	j.notes = j.more(j.notes, j.notesLeft)
	return j.problems, j.notes
}

// maxListed is how many problems, and how many notes, are told one by one. A damaged file can have
// millions.
const maxListed = 500

// more closes a list that was cut off.
func (j *judge) more(list []amt.Problem, left int) []amt.Problem {
	if left > 0 {
		list = append(list, amt.At(0, CodeMore, "and %d more", left))
	}
	return list
}

type judge struct {
	f               *File
	firmware        amt.Version
	problems, notes []amt.Problem
	pids            map[string]int
	twice           bool
	badLeft         int // not listed any more
	notesLeft       int
}

func (j *judge) bad(offset int, code, format string, a ...any) {
	if len(j.problems) >= maxListed {
		j.badLeft++
		return
	}
	j.problems = append(j.problems, amt.At(offset, code, format, a...))
}

func (j *judge) note(offset int, code, format string, a ...any) {
	if len(j.notes) >= maxListed {
		j.notesLeft++
		return
	}
	j.notes = append(j.notes, amt.At(offset, code, format, a...))
}

// header judges the file header.
func (j *judge) header() {
	f := j.f
	switch {
	case typeID(Version{f.Version.Major, 0}) != f.TypeID:
		j.bad(24, CodeVersion, "the version number is %s, the file type is that of another version", f.Version)
	case typeID(f.Version) != f.TypeID:
		j.note(24, NoteMinor, "version %s: a minor version that no source knows", f.Version)
	}
	if first, ok := f.Version.FirstAMT(); ok && !j.firmware.IsZero() && j.firmware.Compare(first) < 0 {
		j.bad(24, CodeNeedsAMT, "format %s needs AMT %s or later, the client has %s", f.Version, first, j.firmware)
	}
	switch {
	case f.HeaderChunks == 0:
		j.bad(16, CodeHeaderChunks, "the header's chunk count is 0: firmware ignores such a file (MeshCommander makes them)")
	case f.size > 0 && f.headSize() > f.size:
		j.bad(16, CodeHeaderChunks, "the header's chunk count is %d, more than the file has", f.HeaderChunks)
	}
	if want := headerFixed + 2*len(f.Modules) + 2; int(f.HeaderBytes) < headerFixed || int(f.HeaderBytes) > f.headSize() {
		j.bad(18, CodeHeaderBytes, "the header's length is given as %d bytes, it is %d", f.HeaderBytes, want)
	} else if int(f.HeaderBytes) != want {
		j.note(18, CodeHeaderBytes, "the header's length is given as %d bytes, its module list makes it %d", f.HeaderBytes, want)
	}
	if f.RecordChunks == 0 {
		j.bad(36, CodeRecordChunks, "the records' chunk count is 0: firmware ignores such a file (MeshCommander makes them)")
	}
	if f.Number != 0 {
		j.note(20, NoteNumber, "the header's record number is %d; known writers put 0", f.Number)
	}
	switch {
	case f.Flags&^FlagKeep != 0:
		j.note(26, NoteFlags, "the file flags are %#x; only bit 0 is known", f.Flags)
	case f.Flags != 0 && f.Version.Before(V20):
		j.note(26, NoteFlags, "the flag that keeps records has no meaning in version 1.0")
	}
}

// counts compares the header's number of records with what is there.
func (j *judge) counts() {
	f := j.f
	there, rest := uint64(len(f.Records)), f.Rest.Reveal()
	end := f.Offset(len(f.Records))
	if f.size > 0 {
		end = min(end, f.size)
	}
	if !f.Known() && there == 0 {
		return // of another kind: its counts mean nothing
	}
	switch {
	case f.Total == 0 && there == 0:
		j.bad(28, CodeNoRecords, "the file has no record")
	case there < uint64(f.Total):
		j.bad(end+len(rest), CodeTruncated, "the header says %s, %d whole ones are there: the file was cut off", records(uint64(f.Total)), there)
	case there > uint64(f.Total):
		j.bad(28, CodeRecordCount, "the header says %s, %d are there", records(uint64(f.Total)), there)
	}
	if len(rest) > 0 && there >= uint64(f.Total) {
		j.bad(end, CodeTrailing, "%d bytes after the last record belong to none", len(rest))
	}
	if there > slowAboveRecs {
		j.note(28, NoteManyRecords, "%d records: the search at POST takes about 15 s for each thousand", there)
	}
}

// consumption compares the counter with the valid bits. Firmware may go by either.
func (j *judge) consumption() {
	f := j.f
	total, free, used := len(f.Records), f.Free(), f.used()
	switch {
	case f.Consumed > f.Total:
		j.bad(32, CodeConsumed, "the header says that %d of %s are used", f.Consumed, records(uint64(f.Total)))
	case free == 0:
		j.note(32, NoteAllUsed, "all records are used: the file sets up no further client")
	case f.Keeps() || int(f.Consumed) == used:
	case int(f.Consumed) >= total:
		j.bad(32, CodeConsumed, "the header says that all records are used, %d are still valid", free)
	case !f.Records[f.Consumed].Valid():
		j.bad(32, CodeConsumed, "the header says that %d records are used, %d are: the next one by the counter is used already", f.Consumed, used)
	default:
		j.note(32, NoteCounter, "the header says that %d records are used, %d are marked; a failed attempt may use one up", f.Consumed, used)
	}
	if f.Keeps() {
		for i, r := range f.Records {
			if _, ok := r.Find(2, 1); ok && r.Valid() {
				j.note(f.Offset(i), NoteSharedPair, "records are not consumed, and record %d has a PID: every client would get the same key", i+1)
				return
			}
		}
	}
}
