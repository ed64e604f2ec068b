package setupbin

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// Bytes writes the file. What was read and not changed comes out as it was, padding, reserved fields
// and bytes behind the records included. A record whose variables do not fit is cut off; Build never
// makes one. It reveals secrets: the caller sees to it that only the owner can read them.
func (f *File) Bytes() []byte {
	head := []byte(f.Head.Reveal())
	if len(head) == 0 {
		head = make([]byte, f.headSize())
	}
	copy(head, f.TypeID[:])
	le.PutUint16(head[16:], f.HeaderChunks)
	le.PutUint16(head[18:], f.HeaderBytes)
	le.PutUint32(head[20:], f.Number)
	head[24], head[25] = f.Version.Major, f.Version.Minor
	le.PutUint16(head[26:], f.Flags)
	le.PutUint32(head[28:], f.Total)
	le.PutUint32(head[32:], f.Consumed)
	le.PutUint16(head[36:], f.RecordChunks)
	le.PutUint16(head[38:], f.Reserved)
	if !slices.Equal(readModules(head), f.Modules) {
		clear(head[headerFixed:])
		for i, m := range f.Modules {
			if at := headerFixed + 2*i; at+4 <= len(head) {
				le.PutUint16(head[at:], m)
			}
		}
	}
	out := slices.Grow(head, len(f.Records)*f.recordSize()+len(f.Rest.Reveal()))
	for _, r := range f.Records {
		out = append(out, r.bytes(f.recordSize())...)
	}
	return append(out, f.Rest.Reveal()...)
}

func (r Record) bytes(size int) []byte {
	b := make([]byte, size)
	le.PutUint32(b, r.Type)
	le.PutUint32(b[4:], r.Flags)
	le.PutUint64(b[8:], r.Reserved)
	le.PutUint16(b[16:], r.Chunks)
	le.PutUint16(b[18:], r.HeaderBytes)
	le.PutUint32(b[20:], r.Number)
	body := r.body()
	if t := r.Tail.Reveal(); recordHeader+len(body)+len(t) == size {
		body = append(body, t...)
	}
	copy(b[recordHeader:], body)
	if r.Flags&FlagScrambled != 0 {
		shift(b[recordHeader:], scramble)
	}
	return b
}

// body gives the variables with their padding, unscrambled.
func (r Record) body() []byte {
	var b []byte
	for _, v := range r.Variables {
		val := v.Value.Reveal()
		b = le.AppendUint16(b, v.Module)
		b = le.AppendUint16(b, v.ID)
		b = le.AppendUint16(b, uint16(len(val)))
		b = le.AppendUint16(b, v.Reserved)
		b = append(b, val...)
		if pad := padding(len(val)); len(v.Pad.Reveal()) == pad {
			b = append(b, v.Pad.Reveal()...)
		} else {
			b = append(b, make([]byte, pad)...)
		}
	}
	return b
}

// Options say how Build writes a file.
type Options struct {
	Keep     bool // records are not consumed: one serves any number of clients (from version 2.0 on)
	Scramble bool // store bodies scrambled, as MeshCommander does for version 4.0. It hides nothing
}

// Build makes a new file of version v with one record for each list of variables. Variables are put
// into ascending order, as every known writer does. A record that does not fit into one chunk raises
// the chunk count of all.
func Build(v Version, records [][]Variable, o Options) (*File, error) {
	switch {
	case typeID(v) == [16]byte{}:
		return nil, fmt.Errorf("%s is none of the versions 1.0, 2.0, 2.1, 3.0, 4.0", v)
	case len(records) == 0:
		return nil, errors.New("a setup.bin has at least one record")
	case len(records) > maxRecordsWritten:
		return nil, fmt.Errorf("%d records: a POST would search for minutes; %d is the most", len(records), maxRecordsWritten)
	case o.Keep && v.Before(V20):
		return nil, errors.New("version 1.0 has no records that are kept; take 2.0 or later")
	}
	f := &File{TypeID: typeID(v), HeaderChunks: 1, Version: v, Total: uint32(len(records)), RecordChunks: 1}
	if o.Keep {
		f.Flags = FlagKeep
	}
	modules := map[uint16]bool{}
	for i, vars := range records {
		r := Record{Type: TypeData, Flags: FlagValid, HeaderBytes: recordHeader, Number: uint32(i + 1), Variables: slices.Clone(vars)}
		if o.Scramble {
			r.Flags |= FlagScrambled
		}
		sort.SliceStable(r.Variables, func(a, b int) bool {
			x, y := r.Variables[a], r.Variables[b]
			return x.Module < y.Module || x.Module == y.Module && x.ID < y.ID
		})
		for _, x := range r.Variables {
			modules[x.Module] = true
			if n := len(x.Value.Reveal()); x.Module == 0 || x.ID == 0 || n > ChunkSize {
				return nil, fmt.Errorf("record %d: variable %d/%d of %d bytes cannot be written", i+1, x.Module, x.ID, n)
			}
		}
		chunks := (recordHeader + len(r.body()) + ChunkSize - 1) / ChunkSize
		if chunks > maxChunks {
			return nil, fmt.Errorf("record %d has %d bytes, more than firmware will read", i+1, len(r.body()))
		}
		f.RecordChunks = max(f.RecordChunks, uint16(chunks))
		f.Records = append(f.Records, r)
	}
	for i := range f.Records {
		f.Records[i].Chunks = f.RecordChunks
	}
	for m := range modules {
		f.Modules = append(f.Modules, m)
	}
	slices.Sort(f.Modules)
	f.HeaderBytes = uint16(headerFixed + 2*len(f.Modules) + 2)
	return f, nil
}

// Text makes a variable of text.
func Text(module, id uint16, text amt.Secret) Variable {
	return Variable{Module: module, ID: id, Value: text}
}

// FromKeys gives the variables of a record for one pair: current password (admin when the row has
// none), new password, PID, PPS, then more.
func FromKeys(row keys.Row, more ...Variable) []Variable {
	current := row.CurrentPassword
	if current.IsZero() {
		current = amt.NewSecret(FactoryPassword)
	}
	vars := []Variable{Text(1, 1, current)}
	if !row.AdminPassword.IsZero() {
		vars = append(vars, Text(1, 2, row.AdminPassword))
	}
	vars = append(vars, Text(2, 1, amt.NewSecret(string(row.PID))), Text(2, 2, row.PPS))
	return append(vars, more...)
}

// Keys gives the pairs of the file as rows of a key file, and what stands in their way. Records
// without a pair (Remote Configuration) are left out without a word. A used record went to a client,
// which will say hello with its pair: for the server it is as unused as the others.
func (f *File) Keys() ([]keys.Row, []amt.Problem) {
	rows, problems := []keys.Row{}, []amt.Problem{}
	seen := map[amt.PID]int{}
	for i, r := range f.Records {
		pid, hasPID := r.Find(2, 1)
		pps, hasPPS := r.Find(2, 2)
		if !hasPID && !hasPPS {
			continue
		}
		where := fmt.Sprintf("record %d", i+1)
		pair, ps := keys.Parse(pid.Value.Reveal(), pps.Value)
		for _, p := range ps {
			p.Where = where + ", " + p.Where
			problems = append(problems, p)
		}
		if len(ps) > 0 {
			continue
		}
		if first, twice := seen[pair.PID]; twice {
			problems = append(problems, amt.In(where, keys.CodeDuplicate, "PID %s stands in record %d already", pair.PID.Dashed(), first))
			continue
		}
		seen[pair.PID] = i + 1
		row := keys.Row{Pair: pair}
		if v, ok := r.Find(1, 1); ok {
			row.CurrentPassword = v.Value
		}
		if v, ok := r.Find(1, 2); ok {
			row.AdminPassword = v.Value
		}
		rows = append(rows, row)
	}
	return rows, problems
}
