package usbkey

import (
	"fmt"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/setupbin"
)

// root reads the root directory, finds SETUP.BIN and judges its place.
func (in *inspection) root() error {
	slots, fault, err := in.v.rootSlots()
	if err != nil {
		return err
	}
	if fault != "" {
		in.bad("root directory", CodeRoot, "%s", fault)
	}
	in.r.Entries = append(in.r.Entries, slots[:min(len(slots), maxEntries)]...)
	at := -1
	for i, s := range slots {
		if s.Kind == KindLabel && in.r.Label == "" {
			in.r.Label = s.Name
		}
		if at < 0 && s.Kind == KindFile && s.raw == setupName {
			at = i
		}
	}
	if at < 0 {
		return in.missing(slots)
	}
	in.r.NameOK = true
	in.place(slots, at)
	return in.file(slots[at])
}

// place judges where SETUP.BIN stands among the others.
func (in *inspection) place(slots []Slot, at int) {
	s := slots[at]
	in.r.SetupFirst = true
	before := map[string]int{}
	var others []string
	for i, o := range slots {
		switch {
		case i < at && o.Kind == KindFile:
			if in.r.SetupFirst {
				in.bad(s.Name, CodeNotFirst, "the file %s stands before it", o.Shown())
			}
			in.r.SetupFirst = false
		case i < at:
			before[o.Kind]++
		case i > at && (o.Kind == KindFile || o.Kind == KindDirectory):
			others = append(others, o.Shown())
		}
	}
	var words []string
	for _, k := range []string{KindLabel, KindLong, KindDeleted, KindDirectory} {
		if n := before[k]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, k))
		}
	}
	if len(words) > 0 {
		in.badBelow4(s.Name, CodeBefore, "slots before it: %s; early firmware is only sure to find it in the first slot", strings.Join(words, ", "))
	}
	in.r.OnlyFile = in.r.SetupFirst && len(others) == 0 && before[KindDirectory] == 0
	if len(others) > 0 {
		in.note(s.Name, NoteOtherFiles, "other entries after it: %s", nameList(others))
	}
	if strings.Contains(s.Attributes, "h") {
		in.bad(s.Name, CodeHidden, "the file is hidden")
	}
	if strings.Contains(s.Attributes, "s") {
		in.bad(s.Name, CodeSystem, "the file is marked as a system file")
	}
	if strings.Contains(s.Attributes, "r") {
		in.note(s.Name, NoteReadOnly, "the file is read-only; a client must be able to mark a record as used")
	}
}

// nameList writes at most five names.
func nameList(names []string) string {
	if n := len(names); n > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), n-5)
	}
	return strings.Join(names, ", ")
}

// file judges the clusters and the content of SETUP.BIN.
func (in *inspection) file(s Slot) error {
	if s.Size > MaxSetup {
		in.bad(s.Name, CodeContent, "the entry says %d bytes; no setup.bin is larger than %s", s.Size, bytesWords(MaxSetup))
		return nil
	}
	c, err := in.v.chainOf(s.Cluster, s.Size)
	if err != nil {
		return err
	}
	in.r.Extents = append(in.r.Extents, c.extents...)
	in.r.Contiguous = c.contiguous()
	switch {
	case c.fault != "":
		in.bad(s.Name, CodeChain, "%s", c.fault)
	case len(c.extents) > 1:
		in.bad(s.Name, CodeFragmented, "it lies in %d pieces; firmware wants one", len(c.extents))
	}
	if c.long {
		if n, err := in.v.next(last(c.extents)); err == nil && n < entryEnd {
			in.note(s.Name, NoteSurplus, "the chain goes on behind the %d bytes of the file", s.Size)
		}
	}
	b, err := in.v.read(c.extents, s.Size)
	if err != nil {
		in.bad(s.Name, CodeContent, "%v", err)
		return nil
	}
	in.content(s.Name, b)
	return nil
}

// last gives the last cluster of extents.
func last(es []Extent) uint32 {
	if len(es) == 0 {
		return 0
	}
	e := es[len(es)-1]
	return e.Cluster + e.Count - 1
}

// content judges the bytes of SETUP.BIN as setupbin show does. For a client whose version nobody
// named, a format that is too new for the oldest is only a note.
func (in *inspection) content(name string, b []byte) {
	in.r.ContentSeen = true
	f, err := setupbin.Read(b)
	if err != nil {
		in.bad(name, CodeContent, "%v", err)
		in.r.ContentBad = []string{CodeContent}
		return
	}
	in.r.Setup = &Setup{Version: f.Version.String(), RecordsTotal: f.Total, RecordsConsumed: f.Consumed, RecordsFree: f.Free()}
	problems, notes := f.Judge(in.o.AMT)
	in.r.ContentBad = amt.Codes(problems)
	in.r.Problems = append(in.r.Problems, inFile(name, problems)...)
	in.r.Notes = append(in.r.Notes, inFile(name, notes)...)
	if first, ok := f.Version.FirstAMT(); ok && in.o.AMT.IsZero() && f.Version != setupbin.V10 {
		in.note(name, NoteFormat, "format %s needs AMT %s or later; name the client's version with --amt-version", f.Version, first)
	}
}

// inFile turns byte offsets in the file into places on the key.
func inFile(name string, ps []amt.Problem) []amt.Problem {
	out := make([]amt.Problem, len(ps))
	for i, p := range ps {
		out[i] = amt.Problem{Code: p.Code, Text: p.Text, Where: name}
		if p.Offset != nil {
			out[i].Where = fmt.Sprintf("%s byte %d", name, *p.Offset)
		}
	}
	return out
}
