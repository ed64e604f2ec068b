package store

import (
	"fmt"
	"slices"
	"strings"
)

// sealedColumn is a column of encrypted cells. The row of a cell's place is the text of the key columns,
// joined by "/".
type sealedColumn struct {
	table, column string
	key           []string
}

// sealedColumns are all of them, beside the secrets inside the bodies of profiles. A secret for any other
// column is refused when it is sealed: a rotation of the data key would leave it behind.
var sealedColumns = []sealedColumn{
	{"csti_pid_map", "pps", []string{"id"}},
	{"csti_pid_map", "current_password", []string{"id"}},
	{"csti_pid_map", "admin_password", []string{"id"}},
	{"csti_amts", "admin_password", []string{"uuid"}},
	{"csti_amts", "next_password", []string{"uuid"}},
	{"csti_authorities", "key", []string{"id"}},
	{"csti_certificates", "key", []string{"serial"}},
	{"csti_client_secrets", "value", []string{"uuid", "name"}},
}

// rotates reports whether a rotation of the data key knows the place of a cell.
func rotates(p place) bool {
	return p.table == "csti_profiles" && strings.HasPrefix(p.column, "body.") ||
		slices.ContainsFunc(sealedColumns, func(c sealedColumn) bool { return c.table == p.table && c.column == p.column })
}

func (c sealedColumn) String() string { return c.table + "." + c.column }

// keys is the list of the key columns.
func (c sealedColumn) keys() string { return strings.Join(c.key, ", ") }

// marks are as many places for values as there are key columns.
func (c sealedColumn) marks() string {
	return strings.TrimSuffix(strings.Repeat("?, ", len(c.key)), ", ")
}

// place is that of the cell in a row.
func (c sealedColumn) place(row []any) place {
	words := make([]string, len(row))
	for i, v := range row {
		words[i] = fmt.Sprint(v)
	}
	return place{c.table, c.column, strings.Join(words, "/")}
}

// sealedCell is a cell with the key of its row.
type sealedCell struct {
	row  []any
	cell []byte
}

// scanCell reads the key columns of a row, and then a cell.
func (c sealedColumn) scanCell(scan func(...any) error) (sealedCell, error) {
	out := sealedCell{row: make([]any, len(c.key))}
	to := make([]any, len(c.key), len(c.key)+1)
	for i := range out.row {
		to[i] = &out.row[i]
	}
	err := scan(append(to, &out.cell)...)
	return out, err
}
