package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"amtmedic/diag"
	"amtmedic/diag/flow"
)

// Record is a case as it stands on disk at one moment.
type Record struct {
	Info    Info
	Folder  string
	Facts   []diag.Fact
	Actions []flow.Action
	Log     []byte   // collect.log; at most its last 256 KiB
	Wire    []string // paths of files with packets, empty ones left out
	Damage  []string // lines that could not be read and files with cut lines, in words
}

// Entry is one folder of a list of cases. Err says why a folder is no readable case.
type Entry struct {
	ID   string
	Info Info
	Err  error
}

// maxLog bounds what is read of collect.log.
const maxLog = 256 << 10

// Read reads a case. It takes no lock: a line that is just being written is not there yet. Lines
// that are damaged are told in Damage, everything else is given.
func Read(dir, id string) (*Record, error) {
	info, err := find(dir, id)
	if err != nil {
		return nil, err
	}
	r := &Record{Info: info, Folder: filepath.Join(dir, id), Facts: []diag.Fact{}, Actions: []flow.Action{}}
	if err := r.readAll(); err != nil {
		return nil, fmt.Errorf("read case %s: %w", id, err)
	}
	return r, nil
}

func (r *Record) readAll() error {
	if err := r.each(factsFile, r.readFacts); err != nil {
		return err
	}
	if err := r.each(actionsFile, r.readActions); err != nil {
		return err
	}
	if err := r.each(logFile, r.readLog); err != nil {
		return err
	}
	names, err := os.ReadDir(r.Folder)
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.Contains(n.Name(), ".cut-") {
			r.damage("%s holds a last line that was cut off", n.Name())
		}
	}
	return errors.Join(r.readWire(filepath.Join(r.Folder, wireDir)), r.readWire(r.Folder))
}

// readWire lists the files with packets in a folder: captures lie in one of their own, those of
// practice worlds beside the facts.
func (r *Record) readWire(folder string) error {
	files, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, f := range files {
		fi, err := f.Info()
		if err == nil && fi.Mode().IsRegular() && fi.Size() > 0 && strings.HasSuffix(f.Name(), ".pcapng") {
			r.Wire = append(r.Wire, filepath.Join(folder, f.Name()))
		}
	}
	return nil
}

// each opens one file of the case; one that is missing was not begun yet.
func (r *Record) each(name string, read func(f *os.File) error) error {
	f, err := os.Open(filepath.Join(r.Folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return read(f)
}

func (r *Record) damage(format string, a ...any) {
	r.Damage = append(r.Damage, fmt.Sprintf(format, a...))
}

func (r *Record) readFacts(f *os.File) error {
	whole, err := r.wholeLines(f, factsFile)
	if err != nil {
		return err
	}
	facts, err := diag.ReadFacts(whole)
	r.Facts = append(r.Facts, facts...)
	for _, e := range each(err) {
		var l diag.LineError
		if !errors.As(e, &l) {
			return e
		}
		r.damage("%s: %v", factsFile, e)
	}
	return nil
}

// wholeLines gives the file without a last line that is only half there: somebody is writing it at
// this moment, or died doing so.
func (r *Record) wholeLines(f *os.File, name string) (io.Reader, error) {
	tail, start, err := lastLine(f)
	if err != nil {
		return nil, err
	}
	if wholeObject(tail) {
		start += int64(len(tail))
	} else if len(tail) > 0 {
		r.damage("%s: the last line is not complete: it is being written, or was cut off", name)
	}
	return io.NewSectionReader(f, 0, start), nil
}

// each takes joined errors apart.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

func (r *Record) readActions(f *os.File) error {
	whole, err := r.wholeLines(f, actionsFile)
	if err != nil {
		return err
	}
	br := bufio.NewReader(whole)
	for n := 1; ; n++ {
		line, err := br.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var a flow.Action
			if e := json.Unmarshal(line, &a); e != nil {
				r.damage("%s: line %d: %v", actionsFile, n, e)
			} else {
				a.At = a.At.UTC()
				r.Actions = append(r.Actions, a)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *Record) readLog(f *os.File) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	from := max(0, end-maxLog)
	r.Log, err = io.ReadAll(io.NewSectionReader(f, from, end-from))
	if i := bytes.IndexByte(r.Log, '\n'); from > 0 && i >= 0 {
		r.Log = r.Log[i+1:]
	}
	return err
}

// List gives the cases under dir, newest first; folders that are no readable case come last, with
// the reason. A missing dir is an empty list. Files and hidden folders are passed over.
func List(dir string) ([]Entry, error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	var out []Entry
	for _, n := range names {
		if !n.IsDir() || !strings.HasPrefix(n.Name(), "case-") {
			continue
		}
		e := Entry{ID: n.Name()}
		e.Info, e.Err = readInfo(dir, n.Name())
		out = append(out, e)
	}
	slices.SortStableFunc(out, func(a, b Entry) int {
		if (a.Err == nil) != (b.Err == nil) {
			if a.Err == nil {
				return -1
			}
			return 1
		}
		if c := b.created().Compare(a.created()); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return out, nil
}

func (e Entry) created() time.Time {
	if e.Err != nil {
		return time.Time{}
	}
	return e.Info.Created
}

// Newest gives the id of the case that was made last, empty when there is none.
func Newest(dir string) (string, error) {
	es, err := List(dir)
	if err != nil || len(es) == 0 || es[0].Err != nil {
		return "", err
	}
	return es[0].ID, nil
}
