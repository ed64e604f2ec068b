package inventory

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/store"
)

// Sent is what a foreign table lacks of ours.
type Sent struct {
	Columns   []string // of the table that are written, by its own names
	Changes   []store.ForeignChange
	New       int // rows of Changes that are new
	Same      int // rows that say what we have
	Conflicts []amt.Problem
}

// CodeNameDiffers: the table has another FQDN for a UUID than we.
const CodeNameDiffers = "name-differs"

// pushing is a Push under way.
type pushing struct {
	columns map[string]string // ours to theirs
	byUUID  map[amt.UUID][]int
	byName  map[string][]int
	theirs  []Row
	raw     []string // their UUIDs as they stand there
	out     Sent
}

// Push compares a table, as FromTable reads it, with ours. A row is found by its UUID, or by its FQDN
// where the table has no UUID for it. What we do not know is left as it is; an FQDN that differs is a
// conflict and never written over. Clients that are in the table not, and not retired, become new rows.
func Push(columns []string, cells [][]string, fleet []store.FleetRow) (Sent, error) {
	rows, err := FromTable(columns, cells, "row")
	if err != nil {
		return Sent{}, err
	}
	p := pushing{columns: map[string]string{}, byUUID: map[amt.UUID][]int{}, byName: map[string][]int{}, theirs: rows}
	p.out.Conflicts = []amt.Problem{}
	at := -1
	for i, c := range columns {
		if n := Column(c); n != "" && p.columns[n] == "" {
			p.columns[n] = c
			p.out.Columns = append(p.out.Columns, c)
			if n == "uuid" {
				at = i
			}
		}
	}
	for i, r := range rows {
		p.raw = append(p.raw, cells[i][at])
		if u, err := parseUUID(r.UUID); err == nil {
			p.byUUID[u] = append(p.byUUID[u], i)
		}
		if n := name(r.FQDN); n != "" {
			p.byName[n] = append(p.byName[n], i)
		}
	}
	for _, f := range fleet {
		p.add(FromFleet(f), f.UUID)
	}
	return p.out, nil
}

func (p *pushing) conflict(where, code, format string, a ...any) {
	p.out.Conflicts = append(p.out.Conflicts, amt.In(where, code, format, a...))
}

func (p *pushing) add(ours Row, u amt.UUID) {
	found, named := p.byUUID[u], p.byName[name(ours.FQDN)]
	switch {
	case len(found) > 1:
		p.conflict(u.String(), CodeTwice, "%d rows of the table have this UUID", len(found))
	case len(found) == 1:
		p.change(ours, p.columns["uuid"], p.raw[found[0]], p.theirs[found[0]])
	case ours.State == StateRetired:
		p.out.Same++
	case len(p.byUUID[u.Swapped()]) > 0:
		p.conflict(u.String(), CodeSwapped, "the table has it as %s: in another byte order", u.Swapped())
	case len(named) > 1:
		p.conflict(u.String(), CodeTwice, "%d rows of the table have the name %s", len(named), name(ours.FQDN))
	case len(named) == 1 && p.theirs[named[0]].UUID != "":
		p.conflict(u.String(), CodeNameTaken, "%s is the name of %s in the table", name(ours.FQDN), clip(p.theirs[named[0]].UUID, 60))
	case len(named) == 1:
		p.change(ours, p.columns["fqdn"], p.theirs[named[0]].FQDN, p.theirs[named[0]])
	default:
		set := map[string]string{}
		for n, c := range p.columns {
			if v := *ours.field(n); v != "" {
				set[c] = v
			}
		}
		p.out.New++
		p.out.Changes = append(p.out.Changes, store.ForeignChange{Set: set})
	}
}

func (p *pushing) change(ours Row, key, value string, theirs Row) {
	if a, b := name(ours.FQDN), name(theirs.FQDN); a != "" && b != "" && a != b {
		p.conflict(ours.UUID, CodeNameDiffers, "its name is %s here, and %s in the table", a, clip(b, 80))
		return
	}
	set := map[string]string{}
	for n, c := range p.columns {
		v := *ours.field(n)
		if empties := n == "reason" && ours.State != string(store.StateDelayed); v == "" && !empties || alike(n, v, *theirs.field(n)) {
			continue
		}
		set[c] = v
	}
	if len(set) == 0 {
		p.out.Same++
		return
	}
	p.out.Changes = append(p.out.Changes, store.ForeignChange{Key: key, Value: value, Set: set})
}

// alike compares two values of a column by what they mean.
func alike(column, a, b string) bool {
	switch column {
	case "uuid":
		ua, err := parseUUID(a)
		ub, err2 := parseUUID(b)
		return err == nil && err2 == nil && ua == ub
	case "fqdn":
		return name(a) == name(b)
	case "last_hello":
		ta, tb := moment(a), moment(b)
		return a == b || !ta.IsZero() && ta.Equal(tb)
	case "ip":
		pa, err := netip.ParseAddr(a)
		address, _, _ := strings.Cut(b, "/") // an address of PostgreSQL
		pb, err2 := netip.ParseAddr(address)
		return a == b || err == nil && err2 == nil && pa == pb
	}
	return a == b
}

func moment(s string) time.Time {
	for _, form := range []string{time.RFC3339, "2006-01-02 15:04:05Z07", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(form, s); err == nil {
			return t
		}
	}
	return time.Time{}
}

// SentWords says a change of a foreign table in a line.
func SentWords(c store.ForeignChange) string {
	if c.Key == "" {
		return fmt.Sprintf("new row with %s", pairs(c.Set))
	}
	return fmt.Sprintf("%s %s: %s", c.Key, c.Value, pairs(c.Set))
}

// pairs lists columns and values, sorted.
func pairs(set map[string]string) string {
	var out []string
	for c, v := range set {
		out = append(out, fmt.Sprintf("%s=%q", c, v))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
