package setupbin

import (
	"fmt"
	"strings"
)

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
