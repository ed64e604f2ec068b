package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"amtmedic/amt"
)

// rows merges the rows that were gathered; t is nil when nothing is written.
func (m *merging) rows(ctx context.Context, t *tx) error {
	for _, l := range m.batch {
		i := slices.IndexFunc(portableTables, func(p portableTable) bool { return p.name == l.Table })
		if i < 0 {
			return &CopyError{Code: "newer", Err: fmt.Errorf("this program knows no table %q", l.Table)}
		}
		r := &mergeRow{m: m, t: t, table: portableTables[i], sum: &m.plan.Tables[i], here: m.here[l.Table]}
		r.ask = r.reading(ctx)
		if err := r.merge(l.Row); err != nil {
			var known *CopyError
			if errors.As(err, &known) {
				return err
			}
			return fmt.Errorf("%s, row %s: %w", l.Table, r.name(), err)
		}
	}
	return nil
}

// mergeRow is a row of a copy on its way.
type mergeRow struct {
	m     *merging
	t     *tx // nil: nothing is written
	table portableTable
	here  tableHere
	sum   *CopyTable
	row   map[string]any // values of its columns
	was   int64          // its number in the copy
	ask   func(query string, args []any, fn func(scan func(...any) error) error) error
}

// reading gives what asks the database: the transaction where there is one.
func (r *mergeRow) reading(ctx context.Context) func(string, []any, func(func(...any) error) error) error {
	if r.t != nil {
		return r.t.each
	}
	if r.m.s == nil {
		return func(string, []any, func(func(...any) error) error) error { return nil }
	}
	return func(query string, args []any, fn func(func(...any) error) error) error {
		rows, err := r.m.s.read.QueryContext(ctx, query, args...)
		if err != nil {
			return classify(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			if err := fn(rows.Scan); err != nil {
				return err
			}
		}
		return classify(rows.Err())
	}
}

// name names the row for people, by its key. No key holds a secret.
func (r *mergeRow) name() string {
	var words []string
	for _, k := range r.table.key {
		words = append(words, fmt.Sprint(r.row[k]))
	}
	return strings.Join(words, " ")
}

func (r *mergeRow) merge(raw map[string]any) error {
	if err := r.values(raw); err != nil {
		return err
	}
	if err := r.refer(); err != nil || r.row == nil {
		return err
	}
	if err := r.mark(); err != nil {
		return err
	}
	if !r.here.empty || !r.table.free { // a log that was empty gets every row of the copy
		switch found, err := r.find(); {
		case err != nil:
			return err
		case found != nil:
			return r.meet(found)
		}
	}
	why, err := r.hindrance()
	if err != nil {
		return err
	}
	if why != "" {
		r.conflict(why)
		return nil
	}
	r.sum.New++
	return r.insert()
}

// values reads the row, and refuses what has no place here.
func (r *mergeRow) values(raw map[string]any) error {
	r.row = make(map[string]any, len(raw))
	damaged := func(format string, a ...any) error {
		return &CopyError{Code: "damaged", Err: fmt.Errorf("a row of "+r.table.name+": "+format, a...)}
	}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		v, err := columnValue(raw[name])
		if err != nil {
			return damaged("%s: %w", name, err)
		}
		_, secret := v.(amt.Secret)
		sealed := slices.ContainsFunc(sealedColumns, func(c sealedColumn) bool { return c.table == r.table.name && c.column == name })
		if secret && !sealed || !secret && sealed && v != nil {
			return damaged("%s is sealed where it should not be, or in clear", name)
		}
		if r.m.s != nil {
			i := slices.Index(r.here.names, name)
			if i < 0 {
				return &CopyError{Code: "newer", Err: fmt.Errorf("%s has no column %q here", r.table.name, name)}
			}
			if !fits(v, r.here.kinds[i]) {
				return damaged("%s is no %s", name, r.here.kinds[i])
			}
		}
		if text, ok := v.(string); ok {
			v = strings.ReplaceAll(text, "\x00", "\uFFFD") // no text of PostgreSQL can hold it
		}
		r.row[name] = v
	}
	for _, k := range r.table.key {
		if _, ok := r.row[k]; !ok {
			return damaged("%s is missing", k)
		}
	}
	if r.table.id != "" {
		var ok bool
		if r.was, ok = r.row[r.table.id].(int64); !ok {
			return damaged("%s is missing", r.table.id)
		}
	}
	for _, name := range r.table.off {
		r.row[name] = nil
	}
	return nil
}

func fits(v any, kind string) bool {
	switch v.(type) {
	case int64:
		return kind == "int"
	case string:
		return kind == "text"
	case []byte, amt.Secret:
		return kind == "bytes"
	}
	return true
}

// refer has the row point to the rows of this database. It empties the row when it cannot be taken.
func (r *mergeRow) refer() error {
	for column, table := range r.table.refs {
		old, ok := r.row[column].(int64)
		if !ok {
			continue
		}
		if id, ok := r.m.ids[table][old]; ok {
			r.row[column] = id
			continue
		}
		if table == "csti_authorities" {
			r.conflict("the authority that signed it is another one here, or is not in the copy")
			r.row = nil
			return nil
		}
		r.row[column] = nil
		r.note("dangling", column+" pointed to nothing in the copy")
	}
	return nil
}

// mark takes the mark of a first hello off a log row that was none of its client here: rows with it are found
// by the time that the device row has.
func (r *mergeRow) mark() error {
	if r.table.name != "csti_log" || r.row["first_hello"] != int64(1) {
		return nil
	}
	r.row["first_hello"] = int64(0)
	return r.ask(`SELECT 1 FROM csti_amts WHERE uuid=? AND first_hello_us=?`, []any{r.row["uuid"], r.row["at_us"]}, func(func(...any) error) error {
		r.row["first_hello"] = int64(1)
		return nil
	})
}

// columns are those of the row that this database has, in its order.
func (r *mergeRow) columns() []string {
	return slices.DeleteFunc(slices.Clone(r.here.names), func(n string) bool { _, ok := r.row[n]; return !ok })
}

// find gives the row here that has the same key; nil when there is none.
func (r *mergeRow) find() (map[string]any, error) {
	if r.m.s == nil {
		return nil, nil
	}
	var where []string
	var args []any
	for _, k := range r.table.key {
		if r.row[k] == nil {
			where = append(where, k+" IS NULL")
			continue
		}
		where, args = append(where, k+"=?"), append(args, r.row[k])
	}
	if at, ok := r.row["at_us"].(int64); ok && r.here.at != nil {
		ids, known := r.here.at[at]
		if !known {
			return nil, nil
		}
		where, args = append(where, r.table.id+" BETWEEN ? AND ?"), append(args, ids[0], ids[1])
	} else if r.table.free {
		where, args = append(where, r.table.id+"<=?"), append(args, r.here.last)
	}
	if r.table.name == "csti_log" { // in so many words: only then an index serves
		mark := "first_hello=0"
		if r.row["first_hello"] == int64(1) {
			mark = "first_hello=1"
		}
		where = append(where, mark)
	}
	names := r.columns()
	var found map[string]any
	err := r.ask(`SELECT `+strings.Join(names, ", ")+` FROM `+r.table.name+` WHERE `+strings.Join(where, " AND ")+` LIMIT 1`, args, func(scan func(...any) error) error {
		values, to := make([]any, len(names)), make([]any, len(names))
		for i := range to {
			to[i] = &values[i]
		}
		if err := scan(to...); err != nil {
			return err
		}
		found = map[string]any{}
		for i, n := range names {
			found[n] = values[i]
		}
		return nil
	})
	return found, err
}

// meet handles a row that is here already.
func (r *mergeRow) meet(found map[string]any) error {
	id, _ := found[r.table.id].(int64)
	differ, err := r.differences(found)
	if err != nil {
		return err
	}
	if r.table.id != "" && (r.table.name != "csti_authorities" || len(differ) == 0) {
		r.m.ids[r.table.name][r.was] = id
	}
	switch {
	case len(differ) == 0:
		r.sum.Same++
	case r.m.plan.Fresh && (r.table.name == "csti_configuration" || r.table.name == "csti_profiles"):
		r.sum.Changed++
		return r.replace(id, differ)
	default:
		r.conflict("here with another " + strings.Join(differ, ", ") + ", which stays")
	}
	return nil
}

// differences names the columns in which the row here is another one.
func (r *mergeRow) differences(found map[string]any) (out []string, err error) {
	for _, n := range r.columns() {
		if n == r.table.id || slices.Contains(r.table.off, n) {
			continue
		}
		same := false
		switch want := r.row[n].(type) {
		case amt.Secret:
			cell, _ := found[n].([]byte)
			var got amt.Secret
			if got, err = r.open(n, cell, found); err == nil {
				same = len(cell) > 0 && got.Equal(want)
			}
		case []byte:
			got, _ := found[n].([]byte)
			same = bytes.Equal(got, want)
		default:
			got := found[n]
			if body, ok := got.(string); ok && n == "body" && r.table.name == "csti_profiles" {
				id, _ := found["id"].(int64)
				if body, err = r.m.s.openBody(id, body); err == nil {
					same = sameJSON(body, want.(string))
				}
			} else {
				same = portableInt(got) == portableInt(want)
			}
		}
		if err != nil {
			return nil, err
		}
		if !same {
			out = append(out, n)
		}
	}
	return out, nil
}

// portableInt makes the integers of both databases the same.
func portableInt(v any) any {
	switch v := v.(type) {
	case int32:
		return int64(v)
	case int16:
		return int64(v)
	}
	return v
}

// open decrypts a cell of a row that is here.
func (r *mergeRow) open(column string, cell []byte, found map[string]any) (amt.Secret, error) {
	c := r.sealed(column)
	key := make([]any, len(c.key))
	for i, k := range c.key {
		key[i] = found[k]
	}
	return r.m.s.keys.openText(cell, c.place(key))
}

func (r *mergeRow) sealed(column string) sealedColumn {
	i := slices.IndexFunc(sealedColumns, func(c sealedColumn) bool { return c.table == r.table.name && c.column == column })
	return sealedColumns[i] // values saw to it
}

// hindrance says why a new row cannot be added.
func (r *mergeRow) hindrance() (why string, err error) {
	has := func(table, column string, v any) (found bool) {
		if err == nil {
			err = r.ask(`SELECT 1 FROM `+table+` WHERE `+column+`=? LIMIT 1`, []any{v}, func(func(...any) error) error { found = true; return nil })
		}
		return found
	}
	if r.table.apart != "" && has(r.table.apart, "uuid", r.row["uuid"]) {
		return "its client has an entry in " + r.table.apart + " here, which stays", err
	}
	if r.table.apart != "" && err == nil {
		why, err = r.outdated()
	}
	if r.table.name != "web_tokens" || err != nil {
		return why, err
	}
	for _, column := range []string{"hash", "subject"} {
		if v, ok := r.row[column].(string); ok && v != "" && has("web_tokens", column, v) {
			return "here under another name", err
		}
	}
	return "", err
}

// outdated says why an entry is not that of its client as it is here: it would be configured once more.
func (r *mergeRow) outdated() (why string, err error) {
	kind, _ := r.row["kind"].(int64)
	err = r.ask(`SELECT state, CASE WHEN retired_us IS NULL THEN 0 ELSE 1 END FROM csti_amts WHERE uuid=?`, []any{r.row["uuid"]}, func(scan func(...any) error) error {
		var state, retired int
		err := scan(&state, &retired)
		switch {
		case kind >= firstMaintenance && state != stateProvisioned:
			why = "its client is not provisioned here"
		case kind < firstMaintenance && state == stateProvisioned:
			why = "its client is provisioned here"
		case kind < firstMaintenance && retired != 0:
			why = "its client is retired here"
		}
		return err
	})
	return why, err
}

// insert adds the row, with a number of its own where the copy's is taken.
func (r *mergeRow) insert() error {
	if err := r.number(); err != nil || r.t == nil {
		return err
	}
	var names []string
	var args []any
	for _, n := range r.columns() {
		if n == r.table.id && r.table.free {
			continue
		}
		v, err := r.stored(n)
		if err != nil {
			return err
		}
		names, args = append(names, n), append(args, v)
	}
	return r.t.exec(`INSERT INTO `+r.table.name+` (`+strings.Join(names, ", ")+`) VALUES (`+strings.TrimSuffix(strings.Repeat("?, ", len(names)), ", ")+`)`, args...)
}

// number gives the row its number, and one authority of a kind the right to sign.
func (r *mergeRow) number() error {
	if r.table.id == "" || r.table.free {
		return nil
	}
	id, next := r.was, int64(0)
	taken := false
	err := r.ask(`SELECT (SELECT count(*) FROM `+r.table.name+` WHERE `+r.table.id+`=?), coalesce(max(`+r.table.id+`), 0)+1 FROM `+r.table.name, []any{r.was}, func(scan func(...any) error) error {
		var n int
		err := scan(&n, &next)
		taken = n > 0
		return err
	})
	if err != nil {
		return err
	}
	if taken {
		if id = next; r.t == nil {
			id = -r.was // no number of a row that is here
		}
	}
	r.m.ids[r.table.name][r.was], r.row[r.table.id] = id, id
	if r.table.name == "csti_authorities" && r.row["active"] == int64(1) {
		return r.ask(`SELECT 1 FROM csti_authorities WHERE kind=? AND active=1`, []any{r.row["kind"]}, func(func(...any) error) error {
			r.row["active"] = int64(0)
			r.note("not-active", "another authority of its kind signs here; this one only stays in force for what it signed")
			return nil
		})
	}
	return nil
}

// stored is a value as it goes into the database.
func (r *mergeRow) stored(column string) (any, error) {
	switch v := r.row[column].(type) {
	case amt.Secret:
		c := r.sealed(column)
		key := make([]any, len(c.key))
		for i, k := range c.key {
			key[i] = r.row[k]
		}
		cell, err := r.t.sealText(v, c.place(key))
		if cell == nil {
			return nil, err
		}
		return cell, err
	case string:
		if column == "body" && r.table.name == "csti_profiles" {
			return r.m.s.sealBody(r.t, r.row["id"].(int64), v)
		}
		return v, nil
	default:
		return v, nil
	}
}

// replace has a setting or a profile of a fresh database give way.
func (r *mergeRow) replace(id int64, columns []string) error {
	if r.t == nil {
		return nil
	}
	if r.table.id != "" {
		r.row[r.table.id] = id
	}
	for _, n := range columns {
		v, err := r.stored(n)
		if err != nil {
			return err
		}
		if err := r.t.exec(`UPDATE `+r.table.name+` SET `+n+`=? WHERE `+r.table.key[0]+`=?`, v, r.row[r.table.key[0]]); err != nil {
			return err
		}
	}
	return nil
}

func (r *mergeRow) conflict(why string) {
	if r.sum.Conflicts++; len(r.m.plan.Conflicts) < shownConflicts {
		r.m.plan.Conflicts = append(r.m.plan.Conflicts, amt.In(r.table.name, "conflict", "%s: %s", r.name(), why))
	}
}

func (r *mergeRow) note(code, text string) {
	if len(r.m.plan.Notes) < shownConflicts {
		r.m.plan.Notes = append(r.m.plan.Notes, amt.In(r.table.name, code, "%s: %s", r.name(), text))
	}
}
