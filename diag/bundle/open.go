package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
	"amtmedic/diag/flow"
)

// Limits in bytes for bundles from elsewhere.
const (
	maxFile     = 512 << 20 // the bundle itself
	maxMember   = 256 << 20 // one member, unpacked
	maxTotal    = 512 << 20 // all members, unpacked
	maxJSON     = 16 << 20  // members that are read as one JSON value
	maxFacts    = 64 << 20
	maxMembers  = 1000
	maxProblems = 200
	denseFrom   = 1 << 20 // below that size any compression is harmless
	denseRatio  = 200
)

// tooDense reports a compression that only bombs reach.
func tooDense(unpacked, packed uint64) bool {
	return unpacked > denseFrom && unpacked/denseRatio >= max(packed, 1)
}

// Codes of problems.
const (
	CodeName     = "member-name"      // a path that leads out, is not plain, or stands there twice
	CodeSize     = "member-size"      // too large, too dense, or not the size that the manifest names
	CodeKind     = "member-kind"      // no plain file, encrypted, or packed in another way than deflate
	CodeHash     = "member-hash"      // not the contents that the manifest names
	CodeMissing  = "member-missing"   // in the manifest, not in the zip
	CodeUnlisted = "member-unlisted"  // in the zip, not in the manifest
	CodeDamaged  = "member-damaged"   // cannot be unpacked
	CodeManifest = "manifest"         // the manifest cannot be read
	CodeFormat   = "format"           // a form that this program does not know
	CodeFacts    = "facts"            // lines that are no facts
	CodeVerdict  = "verdict"          // verdict.json is not what the facts give
	CodeChecks   = "checks"           // the states of checks in verdict.json are not what the facts give
	CodeDecided  = "decided-by"       // a fact that decided is not in the facts
	CodeHostile  = "too-many-members" // more members than a bundle has
)

// Bundle is an opened bundle: what could be read, and what is wrong with it.
type Bundle struct {
	Manifest    Manifest
	Fingerprint string
	Facts       []diag.Fact
	Actions     []flow.Action
	Verdict     string // the verdict's id as verdict.json states it
	Problems    []amt.Problem

	verdict map[string]any // verdict.json
}

// ErrNoBundle says that the input is no bundle at all.
var ErrNoBundle = errors.New("this is no bundle")

// reader holds the members of a bundle while it is opened.
type reader struct {
	b       *Bundle
	members map[string]*zip.File
}

// Open reads a bundle. It gives an error only when the input is no zip, or a zip that never was a
// bundle; everything else that is wrong stands in Problems, and is not read. It never extracts.
func Open(r io.ReaderAt, size int64) (*Bundle, error) {
	if size > maxFile {
		return nil, fmt.Errorf("it has %d bytes, a bundle has at most %d", size, int64(maxFile))
	}
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("%w: %v", ErrNoBundle, err)
	}
	o := &reader{b: &Bundle{Problems: []amt.Problem{}, Facts: []diag.Fact{}, Actions: []flow.Action{}}, members: map[string]*zip.File{}}
	o.take(z)
	if o.members[ManifestName] == nil && (o.members[FactsName] == nil || o.members[VerdictName] == nil) {
		return nil, fmt.Errorf("%w: the zip has no %s", ErrNoBundle, ManifestName)
	}
	if o.manifest(); len(o.members) > 0 {
		o.check()
	}
	o.facts()
	o.actions()
	o.verdict()
	return o.b, nil
}

// OpenFile opens a bundle by its path.
func OpenFile(path string) (*Bundle, error) {
	fail := func(err error) error { return &amt.Error{Op: "open bundle", Subject: path, Err: err} }
	f, err := os.Open(path)
	if err != nil {
		return nil, fail(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fail(err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fail(errors.New("it is no plain file"))
	}
	b, err := Open(f, fi.Size())
	if err != nil {
		return nil, fail(err)
	}
	return b, nil
}

// problem notes what is wrong, once for each place and code, and no more of it than can be read.
func (o *reader) problem(where, code, format string, a ...any) {
	where = clean(where, 100)
	said := slices.ContainsFunc(o.b.Problems, func(p amt.Problem) bool { return p.Where == where && p.Code == code })
	if said || len(o.b.Problems) >= maxProblems {
		return
	}
	o.b.Problems = append(o.b.Problems, amt.In(where, code, format, a...))
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)

// goodName takes relative paths of letters, digits, dots, dashes and underscores only.
func goodName(n string) bool { return len(n) <= 200 && plainName.MatchString(n) }

// take keeps the members whose name, kind and size are harmless.
func (o *reader) take(z *zip.Reader) {
	seen := map[string]bool{}
	var total uint64
	for i, f := range z.File {
		if i == maxMembers {
			o.problem("zip", CodeHostile, "the zip has %d members, a bundle has at most %d; the rest was not read", len(z.File), maxMembers)
			return
		}
		lower := strings.ToLower(f.Name)
		switch {
		case !goodName(f.Name):
			o.problem(f.Name, CodeName, "the name of member %d is no plain relative path", i+1)
		case seen[lower]:
			o.problem(f.Name, CodeName, "two members have this name")
			delete(o.members, f.Name)
		case !f.Mode().IsRegular() || f.Flags&1 != 0 || (f.Method != zip.Store && f.Method != zip.Deflate):
			o.problem(f.Name, CodeKind, "the member is no plain file packed by deflate or stored")
		case f.UncompressedSize64 > maxMember || tooDense(f.UncompressedSize64, f.CompressedSize64):
			o.problem(f.Name, CodeSize, "the member would unpack %d bytes to %d", f.CompressedSize64, f.UncompressedSize64)
		case total+f.UncompressedSize64 > maxTotal:
			o.problem(f.Name, CodeSize, "the members would unpack to more than %d bytes", int64(maxTotal))
		default:
			total += f.UncompressedSize64
			o.members[f.Name] = f
		}
		seen[lower] = true
	}
}

// read unpacks a member of at most limit bytes.
func (o *reader) read(name string, limit uint64) ([]byte, error) {
	f := o.members[name]
	if f == nil {
		return nil, errors.New("it is not there")
	}
	if f.UncompressedSize64 > limit {
		return nil, fmt.Errorf("it has %d bytes, at most %d are read", f.UncompressedSize64, limit)
	}
	var b bytes.Buffer
	err := unpack(&b, f)
	return b.Bytes(), err
}

// unpack copies a member that has exactly the size that the zip names; zip checks its CRC.
func unpack(w io.Writer, f *zip.File) error {
	rc, err := f.Open()
	if err != nil {
		return err
	}
	defer rc.Close()
	n, err := io.Copy(w, io.LimitReader(rc, int64(f.UncompressedSize64)+1))
	if err == nil && uint64(n) != f.UncompressedSize64 {
		err = errors.New("it has another size than the zip says")
	}
	return err
}

func (o *reader) manifest() {
	b, err := o.read(ManifestName, maxJSON)
	if err == nil {
		o.b.Fingerprint = Fingerprint(b)
		err = json.Unmarshal(b, &o.b.Manifest)
	}
	m := &o.b.Manifest
	m.Files, m.Omitted, m.Clocks, m.Case.Symptoms = list(m.Files), list(m.Omitted), list(m.Clocks), list(m.Case.Symptoms)
	m.Case.ID, m.Case.Name = clean(m.Case.ID, 80), clean(m.Case.Name, 80)
	m.Tool.Name, m.Tool.Version = clean(m.Tool.Name, 80), clean(m.Tool.Version, 80)
	switch {
	case err != nil:
		o.problem(ManifestName, CodeManifest, "the manifest cannot be read, so nothing of the bundle is taken: %s", clean(err.Error(), 200))
		clear(o.members)
	case m.Format != Format:
		o.problem(ManifestName, CodeFormat, "the bundle has the form %q, this program reads %s", clean(m.Format, 40), Format)
	}
}

// check compares members and manifest.
func (o *reader) check() {
	listed := map[string]bool{ManifestName: true}
	for i, f := range o.b.Manifest.Files {
		if !goodName(f.Path) || listed[f.Path] {
			o.problem(f.Path, CodeName, "file %d of the manifest has no plain name of its own", i+1)
			o.b.Manifest.Files[i].Path = clean(f.Path, 100)
			continue
		}
		listed[f.Path] = true
		o.b.Manifest.Files[i].Kind, o.b.Manifest.Files[i].Side = clean(f.Kind, 40), clean(f.Side, 40)
		o.checkFile(f)
	}
	for _, name := range sortedNames(o.members) {
		if !listed[name] {
			o.problem(name, CodeUnlisted, "the manifest does not list this member")
			delete(o.members, name)
		}
	}
	for _, name := range []string{FactsName, VerdictName} {
		if !listed[name] {
			o.problem(name, CodeMissing, "the manifest does not list this member")
		}
	}
}

func (o *reader) checkFile(f File) {
	m := o.members[f.Path]
	if m == nil {
		if !slices.ContainsFunc(o.b.Problems, func(p amt.Problem) bool { return p.Where == f.Path }) {
			o.problem(f.Path, CodeMissing, "the member is not in the zip")
		}
		return
	}
	if f.Bytes < 0 || m.UncompressedSize64 != uint64(f.Bytes) {
		o.problem(f.Path, CodeSize, "the member has %d bytes, the manifest names %d", m.UncompressedSize64, f.Bytes)
		delete(o.members, f.Path)
		return
	}
	h := sha256.New()
	if err := unpack(h, m); err != nil {
		o.problem(f.Path, CodeDamaged, "the member cannot be unpacked: %s", clean(err.Error(), 200))
		delete(o.members, f.Path)
	} else if hex.EncodeToString(h.Sum(nil)) != strings.ToLower(f.SHA256) {
		o.problem(f.Path, CodeHash, "the contents are not those that the manifest names")
		delete(o.members, f.Path)
	}
}

func (o *reader) facts() {
	if o.members[FactsName] == nil {
		return
	}
	b, err := o.read(FactsName, maxFacts)
	if err == nil {
		o.b.Facts, err = diag.ReadFacts(bytes.NewReader(b))
		o.b.Facts = list(o.b.Facts)
	}
	if err != nil {
		o.problem(FactsName, CodeFacts, "%s", clean(err.Error(), 500))
	}
}

func (o *reader) actions() {
	if o.members[ActionsName] == nil {
		return
	}
	b, err := o.read(ActionsName, maxJSON)
	for d := json.NewDecoder(bytes.NewReader(b)); err == nil; {
		var a flow.Action
		if err = d.Decode(&a); err == nil {
			o.b.Actions = append(o.b.Actions, a)
		}
	}
	if err != io.EOF {
		o.problem(ActionsName, CodeDamaged, "it cannot be read: %s", clean(err.Error(), 200))
	}
}

func (o *reader) verdict() {
	if o.members[VerdictName] == nil {
		return
	}
	b, err := o.read(VerdictName, maxJSON)
	if err == nil {
		err = json.Unmarshal(b, &o.b.verdict)
	}
	if err != nil {
		o.problem(VerdictName, CodeDamaged, "it cannot be read: %s", clean(err.Error(), 200))
		return
	}
	id, _ := o.b.verdict["verdict"].(string)
	o.b.Verdict = clean(id, 80)
}
