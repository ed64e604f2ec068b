package store

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
)

// csvByUUID reads a CSV file that has a row for each client: the header has to please isHead (ok tells),
// lines with a problem are left out and named, and so is a UUID that came before.
func csvByUUID[R any](raw []byte, trim bool, isHead func([]string) bool, read func(fields []string) (R, amt.UUID, error)) (rows []R, problems []amt.Problem, ok bool, err error) {
	cr := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))))
	cr.FieldsPerRecord, cr.TrimLeadingSpace = -1, trim
	head, err := cr.Read()
	if err != nil || !isHead(head) {
		return nil, nil, false, nil
	}
	problems = []amt.Problem{}
	seen := map[amt.UUID]int{}
	for {
		fields, err := cr.Read()
		if errors.Is(err, io.EOF) {
			return rows, problems, true, nil
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			problems = append(problems, amt.In(fmt.Sprintf("line %d", syntax.StartLine), "line", "%v", syntax.Err))
			continue
		}
		if err != nil {
			return nil, nil, true, err
		}
		n, _ := cr.FieldPos(0)
		row, u, err := read(fields)
		if first, twice := seen[u]; err == nil && twice {
			err = fmt.Errorf("UUID %s stands in line %d already", u, first)
		}
		if err != nil {
			problems = append(problems, amt.In(fmt.Sprintf("line %d", n), "line", "%v", err))
			continue
		}
		seen[u] = n
		rows = append(rows, row)
	}
}

// named reports whether a header begins with these names, in any case.
func named(head []string, names ...string) bool {
	for i, name := range names {
		if i >= len(head) || !strings.EqualFold(strings.TrimSpace(head[i]), name) {
			return false
		}
	}
	return true
}
