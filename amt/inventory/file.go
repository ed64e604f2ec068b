package inventory

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"amtmedic/amt"
)

// CodeLine is the code of a line or entry that cannot be read.
const CodeLine = "line"

// Read reads an inventory: CSV with a header line, a JSON array, or JSON objects one after the other. The
// error is a file that is none of them; lines that cannot be read are left out and named.
func Read(raw []byte) ([]Row, []amt.Problem, error) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	switch t := bytes.TrimSpace(raw); {
	case len(t) == 0:
		return nil, nil, errors.New("it is empty")
	case t[0] == '[' || t[0] == '{':
		rows, err := readJSON(t)
		return rows, []amt.Problem{}, err
	}
	return readCSV(raw)
}

func readCSV(raw []byte) ([]Row, []amt.Problem, error) {
	first, _, _ := bytes.Cut(raw, []byte("\n"))
	cr := csv.NewReader(bytes.NewReader(raw))
	cr.FieldsPerRecord, cr.TrimLeadingSpace = -1, true
	if bytes.Count(first, []byte(";")) > bytes.Count(first, []byte(",")) { // as spreadsheets of many countries write it
		cr.Comma = ';'
	}
	head, err := cr.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("read its first line: %w", err)
	}
	place, err := places(head)
	if err != nil {
		return nil, nil, err
	}
	problems := []amt.Problem{}
	var out []Row
	for {
		fields, err := cr.Read()
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return out, problems, nil
		case errors.As(err, &syntax):
			problems = append(problems, amt.In(fmt.Sprintf("line %d", syntax.StartLine), CodeLine, "%v", syntax.Err))
			continue
		case err != nil:
			return nil, nil, err
		}
		n, _ := cr.FieldPos(0)
		out = append(out, fill(place, fields, fmt.Sprintf("line %d", n)))
	}
}

// readJSON reads objects, whose names are taken as those of columns.
func readJSON(raw []byte) ([]Row, error) {
	var all []map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	for {
		var v any
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is no JSON: %w", err)
		}
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, e := range list {
			o, ok := e.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("entry %d is no object", len(all)+1)
			}
			all = append(all, o)
		}
	}
	out := make([]Row, 0, len(all))
	for i, o := range all {
		r := Row{where: fmt.Sprintf("entry %d", i+1)}
		for name, v := range o {
			f := r.field(Column(name))
			if f == nil || v == nil {
				continue
			}
			switch text := v.(type) {
			case string:
				*f = strings.TrimSpace(text)
			case json.Number:
				*f = text.String()
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// WriteCSV writes an inventory. A cell that a spreadsheet would run as a formula gets a space before it,
// which Read takes away.
func WriteCSV(w io.Writer, rows []Row) error {
	cw := csv.NewWriter(w)
	if err := cw.Write(Columns); err != nil {
		return err
	}
	for _, r := range rows {
		var cells []string
		for _, c := range Columns {
			v := *r.field(c)
			if v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) {
				v = " " + v
			}
			cells = append(cells, v)
		}
		if err := cw.Write(cells); err != nil {
			return err
		}
	}
	cw.Flush()
	return cw.Error()
}

// WriteJSON writes an inventory as a JSON array, an object a line.
func WriteJSON(w io.Writer, rows []Row) error {
	for i, r := range rows {
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		before := ",\n"
		if i == 0 {
			before = "["
		}
		if _, err := fmt.Fprintf(w, "%s%s", before, b); err != nil {
			return err
		}
	}
	end := "]\n"
	if len(rows) == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

// WriteLines writes an inventory as JSON objects, one a line.
func WriteLines(w io.Writer, rows []Row) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}
