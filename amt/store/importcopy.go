package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"amtmedic/amt"
)

// CopyPlan is what an import of a copy does, or would do.
type CopyPlan struct {
	Schema    int64  // of the database that was copied
	From      string // sqlite or postgres
	Made      string // RFC 3339
	Fresh     bool   // nothing was here but what every new database has: settings and profiles of the copy take their place
	Tables    []CopyTable
	Total     CopyTable     // of all tables
	Conflicts []amt.Problem // rows that are here already and say something else: they stay; at most shownConflicts
	Notes     []amt.Problem
}

// CopyTable counts the rows of a table.
type CopyTable struct {
	Table     string
	New       int // not here
	Same      int // here as they are
	Changed   int // settings and profiles of a fresh database that give way
	Conflicts int // here with other content, which stays
}

func (t CopyTable) rows() int { return t.New + t.Same + t.Changed + t.Conflicts }

// shownConflicts is how many conflicts and notes a plan lists at most; all are counted.
const shownConflicts = 1000

// CopySource opens the file of a copy from its beginning. It is read twice: no row is written before all
// of it was read and found whole.
type CopySource func() (io.ReadCloser, error)

// PlanCopy reads a whole copy and tells what an import would do with it. s is nil for a database that does
// not exist yet. A *CopyError says why the copy cannot be read, and where.
func PlanCopy(ctx context.Context, s *Store, file CopySource, o Opening) (CopyPlan, error) {
	m := &merging{s: s, dry: true}
	err := m.run(ctx, file, o)
	return m.plan, err
}

// ImportCopy reads a whole copy, and then adds its rows in order, many to a transaction. What is here
// stays as it is. When it is cut off it can be done again: rows that are here already are no conflict.
// progress is told how many rows are done, of all; may be nil.
func (s *Store) ImportCopy(ctx context.Context, file CopySource, o Opening, progress func(done, total int)) (CopyPlan, error) {
	first, err := PlanCopy(ctx, s, file, o)
	if err != nil {
		return first, err
	}
	m := &merging{s: s, total: first.Total.rows(), progress: progress}
	if err := m.run(ctx, file, o); err != nil {
		return m.plan, err
	}
	return m.plan, s.write(ctx, func(t *tx) error {
		now := s.now().UnixMicro()
		return t.log(now, "", SeverityWarning, "import", fmt.Sprintf("a copy of a database was imported: rows added %d, changed %d, the same %d, left out %d",
			m.plan.Total.New, m.plan.Total.Changed, m.plan.Total.Same, m.plan.Total.Conflicts))
	})
}

// merging is one reading of a copy.
type merging struct {
	s        *Store // nil: there is no database yet
	dry      bool
	plan     CopyPlan
	total    int
	progress func(done, total int)

	here  map[string]tableHere
	ids   map[string]map[int64]int64 // table: number in the copy, number here
	batch []portableLine
}

// tableHere is what is known of a table of this database.
type tableHere struct {
	names []string
	kinds []string           // int, text or bytes
	empty bool               // it was, at the beginning
	last  int64              // number of its last row at the beginning, where the database gives them: what the copy itself brings meets nothing
	at    map[int64][2]int64 // of the audit, which has no index by time: the first and the last number of each time
}

// mergeBatch is how many rows share a transaction: hellos of a running server go in between.
const mergeBatch = 200

func (m *merging) run(ctx context.Context, file CopySource, o Opening) error {
	m.ids = map[string]map[int64]int64{}
	m.plan = CopyPlan{Fresh: true}
	for _, t := range portableTables {
		m.ids[t.name] = map[int64]int64{}
		m.plan.Tables = append(m.plan.Tables, CopyTable{Table: t.name})
	}
	if m.s != nil {
		if err := m.lookHere(ctx); err != nil {
			return err
		}
	}
	r, err := file()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	read := &counting{r: r}
	err = readCopy(ctx, read, o, m.head, func(table string, row map[string]any) error {
		if m.batch = append(m.batch, portableLine{Table: table, Row: row}); len(m.batch) < mergeBatch {
			return nil
		}
		return m.flush(ctx)
	})
	if err == nil {
		err = m.flush(ctx)
	}
	var known *CopyError
	if errors.As(err, &known) && known.Offset == 0 && known.Code != "sealed" {
		err = &CopyError{Offset: read.n, Code: known.Code, Err: known.Err}
	}
	for _, t := range m.plan.Tables {
		m.plan.Total.New += t.New
		m.plan.Total.Same += t.Same
		m.plan.Total.Changed += t.Changed
		m.plan.Total.Conflicts += t.Conflicts
	}
	return err
}

// head refuses the copy of a newer program: it may have what has no place here.
func (m *merging) head(h portableHead) error {
	m.plan.Schema, m.plan.From, m.plan.Made = h.Schema, h.From, h.Made
	known, err := migrationNumbers("sqlite")
	if err == nil && h.Schema > known[len(known)-1] {
		err = fmt.Errorf("its tables are of a newer version: %d; this program knows %d", h.Schema, known[len(known)-1])
	}
	return err
}

// lookHere reads the columns of this database, and whether anything of a site is in it.
func (m *merging) lookHere(ctx context.Context) error {
	m.here = map[string]tableHere{}
	for _, t := range portableTables {
		rows, err := m.s.read.QueryContext(ctx, `SELECT * FROM `+t.name+` LIMIT 1`)
		if err != nil {
			return classify(err)
		}
		types, err := rows.ColumnTypes()
		if err != nil {
			_ = rows.Close()
			return err
		}
		var h tableHere
		for _, c := range types {
			h.names, h.kinds = append(h.names, c.Name()), append(h.kinds, columnKind(c.DatabaseTypeName()))
		}
		h.empty = !rows.Next()
		if err := rows.Close(); err != nil {
			return classify(err)
		}
		if t.free {
			if err := m.s.read.QueryRowContext(ctx, `SELECT coalesce(max(`+t.id+`), 0) FROM `+t.name).Scan(&h.last); err != nil {
				return classify(err)
			}
		}
		if t.name == "csti_audit" {
			if err := m.auditTimes(ctx, &h); err != nil {
				return err
			}
		}
		m.here[t.name] = h
		switch t.name {
		case "csti_configuration", "csti_profiles", "csti_log", "csti_audit":
		default:
			m.plan.Fresh = m.plan.Fresh && h.empty
		}
	}
	return nil
}

// auditTimes notes where the rows of each time lie.
func (m *merging) auditTimes(ctx context.Context, h *tableHere) error {
	rows, err := m.s.read.QueryContext(ctx, `SELECT at_us, min(id), max(id) FROM csti_audit WHERE id<=? GROUP BY at_us`, h.last)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = rows.Close() }()
	h.at = map[int64][2]int64{}
	for rows.Next() {
		var at int64
		var ids [2]int64
		if err := rows.Scan(&at, &ids[0], &ids[1]); err != nil {
			return err
		}
		h.at[at] = ids
	}
	return classify(rows.Err())
}

// columnKind is what a column of a type of either database holds.
func columnKind(name string) string {
	switch name {
	case "TEXT":
		return "text"
	case "BLOB", "BYTEA":
		return "bytes"
	}
	return "int"
}

// flush handles the rows that were gathered.
func (m *merging) flush(ctx context.Context) error {
	if len(m.batch) == 0 {
		return nil
	}
	var err error
	if m.dry {
		err = m.rows(ctx, nil)
	} else {
		before := m.plan
		before.Tables = append([]CopyTable(nil), m.plan.Tables...)
		err = m.s.write(ctx, func(t *tx) error {
			m.plan = before // the transaction may be run again
			m.plan.Tables = append([]CopyTable(nil), before.Tables...)
			return m.rows(ctx, t)
		})
	}
	m.batch = m.batch[:0]
	if m.progress != nil && err == nil {
		done := 0
		for _, t := range m.plan.Tables {
			done += t.rows()
		}
		m.progress(done, m.total)
	}
	return err
}
