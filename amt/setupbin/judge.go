package setupbin

import (
	"fmt"
	"strings"

	"amtmedic/amt"
)

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
	case !f.Known():
		j.bad(0, CodeFileType, "the file type is none of a setup.bin: another file under this name, or a damaged one")
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

// records judges each record. A used one is only judged as far as its layout goes: firmware may
// have wiped it, and nothing is taken from it any more.
func (j *judge) records() {
	j.pids = map[string]int{}
	numbered := false
	for i, r := range j.f.Records {
		at := j.f.Offset(i)
		if r.Type > TypeData {
			j.bad(at, CodeRecordType, "record %d has the type %d; 1 is a data record", i+1, r.Type)
			continue
		}
		if r.Type == 0 && r.Flags&FlagValid != 0 {
			j.bad(at, CodeRecordType, "record %d has the type 0, which means invalid, and is marked valid", i+1)
			continue
		}
		if r.Type == 0 && uint32(i) >= j.f.Consumed {
			j.bad(at, CodeRecordType, "record %d has the type 0, which means invalid, and is not one of the %d that the header counts as used", i+1, j.f.Consumed)
			continue
		}
		if !r.Valid() {
			continue
		}
		if r.Chunks != j.f.RecordChunks && j.f.RecordChunks != 0 {
			j.bad(at+16, CodeRecordChunks, "record %d says %d chunks, the header %d", i+1, r.Chunks, j.f.RecordChunks)
		}
		if r.HeaderBytes != recordHeader {
			j.bad(at+18, CodeRecordHeader, "the header of record %d is given as %d bytes, it is %d", i+1, r.HeaderBytes, recordHeader)
		}
		if int64(r.Number) != int64(i)+1 && !numbered {
			numbered = true
			j.note(at+20, NoteNumber, "record %d has the number %d", i+1, r.Number)
		}
		if r.Flags&FlagScrambled != 0 && j.f.Version.Before(V40) {
			j.note(at+4, NoteScrambled, "record %d is scrambled, which is only known of version 4.0", i+1)
		}
		j.record(i, r)
	}
	if n := j.f.used(); n > 0 && j.f.Free() > 0 {
		j.note(j.f.headSize(), NoteUsed, "%s used; they may still hold secrets", records(uint64(n)))
	}
}

// records writes a number of records.
func records(n uint64) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

// record judges the variables of record i.
func (j *judge) record(i int, r Record) {
	at := j.f.Offset(i) + recordHeader
	if len(r.Variables) == 0 {
		j.bad(at, CodeEmptyRecord, "record %d has no variable", i+1)
	}
	count := map[string]int{}
	for _, v := range r.Variables {
		count[v.Key()]++
		j.variable(i, at, v)
		if limit := map[bool]int{true: maxHashes, false: 1}[v.Key() == "2/8"]; count[v.Key()] == limit+1 {
			j.bad(at, CodeTwice, "record %d has %s (%s) more than %d times", i+1, v.Key(), v.Name(), limit)
		}
		n := len(v.Value.Reveal())
		at += entryHeader + n + padding(n)
	}
	if m, id, n, ok := r.cut(); ok {
		j.bad(at, CodeVariableCut, "record %d: variable %d/%d is given as %d bytes and runs past the end of the record", i+1, m, id, n)
	}
	j.order(i, r)
	j.passwords(i, r)
	j.pair(i, r)
}

// variable judges one value.
func (j *judge) variable(i, at int, v Variable) {
	d, ok := define(v.Module, v.ID)
	switch {
	case !ok:
		j.note(at, NoteUnknown, "record %d: variable %s is not known; it is kept as it is", i+1, v.Key())
		return
	case j.f.Version.Before(d.since) && !d.unsure:
		j.bad(at, CodeTooEarly, "record %d: %s (%s) exists from version %s on, the file is %s", i+1, v.Key(), d.name, d.since, j.f.Version)
	case j.f.Version.Before(d.since):
		j.note(at, CodeTooEarly, "record %d: %s (%s) is only known from version %s on", i+1, v.Key(), d.name, d.since)
	}
	if fault := v.fault(j.f.Version); fault != "" {
		j.bad(at, CodeValue, "record %d: %s (%s) %s", i+1, v.Key(), d.name, fault)
	}
}

// order judges the sequence of variables: setup-bin-and-keys 2.4.
func (j *judge) order(i int, r Record) {
	at := j.f.Offset(i) + recordHeader
	where := map[string]int{}
	ascending := true
	for n, v := range r.Variables {
		if _, have := where[v.Key()]; !have {
			where[v.Key()] = n + 1
		}
		if n > 0 {
			p := r.Variables[n-1]
			ascending = ascending && (p.Module < v.Module || p.Module == v.Module && p.ID <= v.ID)
		}
	}
	after := func(a, b string) bool { return where[a] > 0 && where[b] > 0 && where[a] > where[b] }
	wrong := ""
	switch {
	case where["1/1"] > 1:
		wrong = "the current password does not stand first"
	case where["1/2"] > 2:
		wrong = "the new password does not follow the current one"
	case after("1/3", "2/1"), after("1/3", "2/2"), after("1/3", "2/3"), after("1/3", "2/5"):
		wrong = "the manageability selection stands behind variables of module 2"
	case after("2/7", "2/8"):
		wrong = "the switch of the user-defined hashes (2/7) stands behind a hash (2/8)"
	case after("2/3", "2/28"), after("2/4", "2/28"), after("2/17", "2/28"):
		wrong = "2/28 stands before the server that it uses"
	}
	switch {
	case wrong != "":
		j.bad(at, CodeOrder, "record %d: %s", i+1, wrong)
	case !ascending:
		j.note(at, NoteOrder, "record %d: its variables are not in ascending order, as all known writers put them", i+1)
	case where["2/8"] > 0 && where["2/7"] == 0 && j.f.Version.Before(V30):
		j.bad(at, CodeOrder, "record %d: a certificate hash (2/8) without its switch (2/7) before it", i+1)
	case where["2/8"] > 0 && where["2/7"] == 0:
		j.note(at, CodeOrder, "record %d: a certificate hash (2/8) without its switch (2/7) before it", i+1)
	}
}

// old reports whether the firmware that is judged for may be AMT 2.x or 3.x, which compare the
// current password with admin only. Without a version the format tells: 2.1 needs AMT 4.0.
func (j *judge) old() bool {
	if !j.firmware.IsZero() {
		return !j.firmware.AtLeast(4, 0)
	}
	return j.f.Version.Before(V21)
}

func (j *judge) passwords(i int, r Record) {
	at := j.f.Offset(i) + recordHeader
	current, has := r.Find(1, 1)
	fresh, hasNew := r.Find(1, 2)
	factory := has && current.Value.Reveal() == FactoryPassword
	switch {
	case !has:
		j.bad(at, CodeNoPassword, "record %d has no current MEBx password (1/1)", i+1)
	case !factory && j.old():
		j.bad(at, CodeNotAdmin, "record %d: the current password is not admin; AMT 2.x and 3.x take a key only in the state of the factory", i+1)
	case !factory:
		j.note(at, NotePassword, "record %d: the current password is not admin; the client must have just this one", i+1)
	case !hasNew && j.f.Version.Major == 2:
		j.bad(at, CodeNoPassword, "record %d: after the current password admin a new password (1/2) must follow", i+1)
	case !hasNew:
		j.note(at, CodeNoPassword, "record %d has no new MEBx password (1/2); the client keeps admin", i+1)
	}
	if !hasNew {
		return
	}
	if fault := PasswordFault(fresh.Value); fault != "" {
		j.bad(at, CodeWeakPassword, "record %d: the new MEBx password %s", i+1, fault)
	} else if makerForbids(fresh.Value) {
		j.note(at, NoteMaker, "record %d: the new MEBx password has a character that HP does not take (' < > & space)", i+1)
	}
}

// pair judges PID and PPS.
func (j *judge) pair(i int, r Record) {
	id, hasPID := r.Find(2, 1)
	key, hasPPS := r.Find(2, 2)
	at := j.f.Offset(i) + recordHeader
	switch {
	case !hasPID && !hasPPS && j.f.Version == V10:
		j.note(at, CodeHalfPair, "record %d has no PID and PPS", i+1)
		return
	case !hasPID && !hasPPS:
		return
	case !hasPID || !hasPPS:
		j.bad(at, CodeHalfPair, "record %d has one of PID and PPS without the other", i+1)
	}
	for _, x := range []struct {
		v    Variable
		has  bool
		size int
	}{{id, hasPID, 8}, {key, hasPPS, 32}} {
		if !x.has {
			continue
		}
		for _, p := range x.v.check(i, r, j.f) {
			j.bad(*p.Offset, p.Code, "%s", p.Text)
		}
		if strings.Contains(x.v.Value.Reveal(), "-") {
			j.note(at, NoteDashes, "record %d: the %s is stored with dashes; known writers leave them out", i+1, x.v.Name())
		}
	}
	if p := bare(id.Value); hasPID && len(p) == 8 {
		if first := j.pids[p]; first > 0 && !j.twice {
			j.twice = true // one note: a key may have thousands of them
			j.note(at, NoteTwicePID, "record %d has the PID of record %d", i+1, first)
		} else if first == 0 {
			j.pids[p] = i + 1
		}
	}
}
