package keys

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
)

// Read reads a list of pairs as it came from a maker or another tool: a key file (see ReadCSV), or
// plain text in which a PPS follows its PID, on the same line or on a later one, with or without
// words around them. Problems name lines; rows holds only pairs that firmware takes.
func Read(b []byte) (rows []Row, problems []amt.Problem, err error) {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if tabular(b) {
		return ReadCSV(bytes.NewReader(b))
	}
	return readText(bytes.NewReader(b))
}

// tabular reports whether the first line that says something has the columns of a key file.
func tabular(b []byte) bool {
	for line := range strings.Lines(string(b[:min(len(b), 64<<10)])) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(",;\t", r) })
		return len(fields) > 1 && (named(fields) != nil || shaped(fields) != nil)
	}
	return true // ReadCSV says that it is empty
}

// readText collects pairs of plain text.
func readText(r io.Reader) ([]Row, []amt.Problem, error) {
	k := &keyFile{seen: map[amt.PID]int{}, problems: []amt.Problem{}}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	pid, pidLine, line := "", 0, 0
	for sc.Scan() {
		line++
		if strings.HasPrefix(strings.TrimSpace(sc.Text()), "#") {
			continue
		}
		for _, w := range words(sc.Text()) {
			w = strings.Trim(w, ".") // the end of a sentence
			switch {
			case isPPS(w):
				if pid == "" {
					k.problem(line, CodeLine, "a PPS without a PID before it")
					continue
				}
				k.pair(line, pidLine, pid, w)
				pid = ""
			case isPID(w):
				if pid != "" && pidLine != line {
					k.problem(pidLine, CodeLine, "a PID without a PPS behind it")
				}
				if pid == "" || pidLine != line { // the first one of a line counts: a word may follow
					pid, pidLine = w, line
				}
			}
		}
	}
	if err := sc.Err(); err != nil {
		return k.rows, k.problems, fmt.Errorf("read list of keys: %w", err)
	}
	if pid != "" {
		k.problem(pidLine, CodeLine, "a PID without a PPS behind it")
	}
	if len(k.rows) == 0 && len(k.problems) == 0 {
		k.problem(1, CodeLine, "neither the header %s nor a PID with a PPS was found", Header)
	}
	return k.rows, k.problems, nil
}

// pair takes a PID and a PPS that were found in text.
func (k *keyFile) pair(line, pidLine int, pid, pps string) {
	p, ps := Parse(pid, amt.NewSecret(pps))
	for _, x := range ps {
		at := line
		if x.Where == "pid" {
			at = pidLine
		}
		x.Where = fmt.Sprintf("line %d, %s", at, x.Where)
		k.problems = append(k.problems, x)
	}
	if len(ps) > 0 {
		return
	}
	if first, twice := k.seen[p.PID]; twice {
		k.problem(pidLine, CodeDuplicate, "PID %s stands in line %d already", p.PID.Dashed(), first)
		return
	}
	k.seen[p.PID] = pidLine
	k.rows = append(k.rows, Row{Pair: p})
}

// words cuts a line at white space and at the signs that stand between a name and its value.
func words(line string) []string {
	return strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r,;:=|\"'()", r) })
}

// isPPS and isPID tell the two by their shape. Eight letters without a dash may be a word of the
// text, unless a digit is among them or their check character is right.
func isPPS(w string) bool {
	s := Bare(w)
	return len(s) == PPSLen && len(odd(s)) == 0
}

func isPID(w string) bool {
	s := Bare(w)
	if len(s) != PIDLen || len(odd(s)) > 0 {
		return false
	}
	return strings.ContainsAny(s, "0123456789") || s != strings.TrimSpace(w) && len(w) == PIDLen+1 && w[groupLen] == '-' || CheckChar(s[:PIDLen-1]) == s[PIDLen-1]
}
