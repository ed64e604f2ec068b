package keys

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"amtmedic/amt"
)

// Header is the first line of a key file, the column order of csti_pid_map.
const Header = "id,pid,pps,current_password,admin_password,used"

// Codes of problems in a key file, beside those of Check.
const (
	CodeLine      = "line"          // a line that is no CSV, or has no PID and PPS
	CodeID        = "id"            // an id that is no whole number
	CodeUsed      = "used"          // neither 0 nor 1
	CodeDuplicate = "duplicate-pid" // a PID that an earlier line has
	CodeEmpty     = "empty"         // no key at all
)

// maxID is the largest id that a 32-bit column of csti_pid_map takes.
const maxID = 1<<31 - 1

// Row is one line of a key file.
type Row struct {
	Pair
	ID              int64 // 0 when the file gives none
	CurrentPassword amt.Secret
	AdminPassword   amt.Secret
	Used            bool // the pair was given to a client already
}

// ReadCSV reads a key file. Columns are found by the header's names, in any order; without a header
// the file is read in the order of Header when its lines have that shape, or by the shape of PID and
// PPS (a maker's list). The separator is a comma, semicolon or tab. Lines with a problem are named
// by their number and left out, so that rows holds only pairs that firmware takes. The error is one
// of r itself.
func ReadCSV(r io.Reader) (rows []Row, problems []amt.Problem, err error) {
	br := bufio.NewReader(r)
	if bom, _ := br.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = br.Discard(3)
	}
	head, _ := br.Peek(4096)
	k := &keyFile{seen: map[amt.PID]int{}, problems: []amt.Problem{}}
	cr := csv.NewReader(br)
	cr.Comma = separator(head)
	cr.FieldsPerRecord = -1
	for {
		fields, err := cr.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			k.problem(syntax.StartLine, CodeLine, "%v", syntax.Err)
			continue
		}
		if err != nil {
			return k.rows, k.problems, fmt.Errorf("read key file: %w", err)
		}
		line, _ := cr.FieldPos(0)
		k.line(line, fields)
	}
	if len(k.rows) == 0 && len(k.problems) == 0 {
		k.problem(1, CodeEmpty, "the file has no key; a key file is CSV with the header %s", Header)
	}
	return k.rows, k.problems, nil
}

// keyFile is the state of one reading.
type keyFile struct {
	cols     map[string]int // column of each name of Header; nil before the first line
	seen     map[amt.PID]int
	rows     []Row
	problems []amt.Problem
}

func (k *keyFile) line(n int, fields []string) {
	if len(fields) == 1 && strings.TrimSpace(fields[0]) == "" {
		return
	}
	if k.cols == nil {
		if k.cols = named(fields); k.cols != nil {
			return
		}
		if k.cols = shaped(fields); k.cols == nil {
			k.problem(n, CodeLine, "neither the header %s nor a line with a PID and a PPS", Header)
			return
		}
	}
	row, ok := k.row(n, fields)
	if !ok {
		return
	}
	if first, twice := k.seen[row.PID]; twice {
		k.problem(n, CodeDuplicate, "PID %s stands in line %d already", row.PID.Dashed(), first)
		return
	}
	k.seen[row.PID] = n
	k.rows = append(k.rows, row)
}

// row reads the fields of one line. Passwords are taken as they stand, spaces included.
func (k *keyFile) row(n int, fields []string) (Row, bool) {
	get := func(name string) string {
		if i, ok := k.cols[name]; ok && i < len(fields) {
			return fields[i]
		}
		return ""
	}
	before := len(k.problems)
	pair, ps := Parse(get("pid"), amt.NewSecret(get("pps")))
	for _, p := range ps {
		p.Where = fmt.Sprintf("line %d, %s", n, p.Where)
		k.problems = append(k.problems, p)
	}
	row := Row{Pair: pair, CurrentPassword: amt.NewSecret(get("current_password")), AdminPassword: amt.NewSecret(get("admin_password"))}
	if s := strings.TrimSpace(get("id")); s != "" {
		id, err := strconv.ParseInt(s, 10, 64)
		if err != nil || id < 0 || id > maxID {
			k.problem(n, CodeID, "the id is not a whole number from 0 to %d", int64(maxID))
		}
		row.ID = id
	}
	switch strings.ToLower(strings.TrimSpace(get("used"))) {
	case "", "0", "false", "no":
	case "1", "true", "yes":
		row.Used = true
	default:
		k.problem(n, CodeUsed, "used is neither 0 nor 1")
	}
	return row, len(k.problems) == before
}

func (k *keyFile) problem(line int, code, format string, a ...any) {
	k.problems = append(k.problems, amt.In(fmt.Sprintf("line %d", line), code, format, a...))
}

// named gives the columns of a header line, nil when fields is none.
func named(fields []string) map[string]int {
	cols := map[string]int{}
	for i, f := range fields {
		name := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(f)), " ", "_")
		if _, twice := cols[name]; !twice {
			cols[name] = i
		}
	}
	if _, ok := cols["pid"]; !ok {
		return nil
	}
	if _, ok := cols["pps"]; !ok {
		return nil
	}
	return cols
}

// shaped finds the columns of a file without header by its first line: in the order of Header when
// the second and third field are a PID and a PPS, else by the lengths of the fields.
func shaped(fields []string) map[string]int {
	long := func(i, n int) bool {
		s := Bare(fields[i])
		return len(s) == n && len(odd(s)) == 0
	}
	if len(fields) == 6 && long(1, PIDLen) && long(2, PPSLen) {
		return named(strings.Split(Header, ","))
	}
	cols := map[string]int{}
	for i := range fields {
		_, have := cols["pid"]
		switch {
		case long(i, PPSLen):
			cols["pps"] = i
		case long(i, PIDLen) && !have:
			cols["pid"] = i
		}
	}
	if len(cols) != 2 {
		return nil
	}
	return cols
}

// separator guesses from the first line: what stands there most often.
func separator(head []byte) rune {
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		head = head[:i]
	}
	best, most := ',', bytes.Count(head, []byte(","))
	for _, c := range []rune{';', '\t'} {
		if n := bytes.Count(head, []byte(string(c))); n > most {
			best, most = c, n
		}
	}
	return best
}

// WriteCSV writes a key file with its header. It reveals PPS and passwords: the caller sees to it
// that only the owner can read what it writes to. Rows without an id get the ones after the highest.
func WriteCSV(w io.Writer, rows []Row) error {
	cw := csv.NewWriter(w)
	if err := cw.Write(strings.Split(Header, ",")); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	free := freeIDs(rows)
	for _, r := range rows {
		id, used := r.ID, "0"
		if id == 0 {
			id = free()
		}
		if r.Used {
			used = "1"
		}
		if err := cw.Write([]string{strconv.FormatInt(id, 10), string(r.PID), r.PPS.Reveal(), r.CurrentPassword.Reveal(), r.AdminPassword.Reveal(), used}); err != nil {
			return fmt.Errorf("write key file: %w", err)
		}
	}
	cw.Flush()
	if err := cw.Error(); err != nil {
		return fmt.Errorf("write key file: %w", err)
	}
	return nil
}

// freeIDs gives ids that no row has: those after the highest, then, past maxID, the gaps.
func freeIDs(rows []Row) func() int64 {
	taken, next := map[int64]bool{}, int64(1)
	for _, r := range rows {
		taken[r.ID] = true
		next = max(next, r.ID+1)
	}
	return func() int64 {
		if next > maxID {
			next = 1
		}
		for taken[next] {
			next++
		}
		taken[next] = true
		return next
	}
}
