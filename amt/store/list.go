package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"amtmedic/amt"
)

// How many rows a page of a listing has.
const (
	listUsual = 100
	listMost  = 1000
)

// ListOptions choose the rows of a page of a listing.
type ListOptions struct {
	// Search is a part of UUID, FQDN, IP or PID, in any case; empty is all rows.
	Search string
	// State, for clients only, is the state that they have; empty is all.
	State State
	// After is the next of the page before; empty for the first page.
	After string
	// Limit is the number of rows, 1 to 1000; 0 is 100.
	Limit int
}

func (o ListOptions) limit() int { return pageLimit(o.Limit) }

func pageLimit(n int) int {
	if n == 0 {
		return listUsual
	}
	return max(1, min(n, listMost))
}

// listing is a query for one page. The order is that of the key columns, which no two rows share.
type listing struct {
	query string // without WHERE
	where []string
	args  []any
	order string // key columns, by commas
}

// search adds the condition that one of the columns holds a text.
func (l *listing) search(s string, columns ...string) {
	if s = strings.ToLower(strings.TrimSpace(s)); s == "" {
		return
	}
	like := func(s string) string {
		return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(s) + "%"
	}
	some := []string{"1=0"}
	for _, c := range columns {
		text, is := s, `lower(`+c+`)`
		switch { // each of these is stored in one form: where the text cannot be part of it, no row is looked at
		case strings.HasSuffix(c, "uuid"):
			is = c
			if only(s, "0123456789abcdef-") {
				break
			}
			continue
		case strings.HasSuffix(c, "ip"):
			is = c
			if only(s, "0123456789abcdef.:") {
				break
			}
			continue
		case strings.HasSuffix(c, "pid"): // without the dash with which people write it
			is, text = c, strings.ToUpper(strings.ReplaceAll(s, "-", ""))
			if len(text) > 8 || !only(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
				continue
			}
		}
		some = append(some, is+` LIKE ? ESCAPE '\'`)
		l.args = append(l.args, like(text))
	}
	l.where = append(l.where, "("+strings.Join(some, " OR ")+")")
}

// only reports whether a text has characters of a set only.
func only(s, set string) bool { return strings.Trim(s, set) == "" }

// after begins behind the row with these values of the key columns.
func (l *listing) after(keys ...any) {
	l.where = append(l.where, "("+l.order+") > (?"+strings.Repeat(", ?", len(keys)-1)+")")
	l.args = append(l.args, keys...)
}

// list runs a query. scan is called for each of at most limit rows, one after the other; more says
// that there are further ones.
func (s *Store) list(ctx context.Context, l listing, limit int, scan func(scan func(...any) error) error) (more bool, err error) {
	query := l.query
	if len(l.where) > 0 {
		query += " WHERE " + strings.Join(l.where, " AND ")
	}
	rows, err := s.read.QueryContext(ctx, query+" ORDER BY "+l.order+" LIMIT ?", append(l.args, limit+1)...)
	if err != nil {
		return false, classify(err)
	}
	defer func() { _ = rows.Close() }()
	for n := 0; rows.Next(); n++ {
		if n == limit {
			return true, nil
		}
		if err := scan(rows.Scan); err != nil {
			return false, classify(err)
		}
	}
	return false, classify(rows.Err())
}

// stateConditions choose the clients of a state, as scanClient tells them apart.
var stateConditions = map[State]string{
	InProgress:    "q.claimed_by IS NOT NULL",
	StateDelayed:  "q.claimed_by IS NULL AND d.uuid IS NOT NULL",
	Provisioned:   "q.claimed_by IS NULL AND d.uuid IS NULL AND a.state=2",
	Unprovisioned: "q.claimed_by IS NULL AND d.uuid IS NULL AND a.state<>2",
}

// stateEntries narrow the clients of a state to those with an entry: few of many, perhaps.
var stateEntries = map[State]string{
	InProgress:   "a.uuid IN (SELECT uuid FROM csto_queue_entries WHERE claimed_by IS NOT NULL)",
	StateDelayed: "a.uuid IN (SELECT uuid FROM csto_delayed_entries)",
}

// ListClients gives a page of clients in the order of their UUIDs, and the place behind it; next is
// empty at the end.
func (s *Store) ListClients(ctx context.Context, o ListOptions) (rows []Client, next string, err error) {
	l := listing{query: selectClients, order: "a.uuid"}
	if o.State != "" {
		c, ok := stateConditions[o.State]
		if !ok {
			return nil, "", &amt.Error{Op: "list clients", Err: fmt.Errorf("there is no state %q", o.State)}
		}
		l.where = append(l.where, c)
		if few := stateEntries[o.State]; few != "" {
			l.where = append(l.where, few)
		}
	}
	l.search(o.Search, "a.uuid", "coalesce(a.fqdn, m.fqdn)", "a.ip", "a.pid")
	if o.After != "" {
		l.after(o.After)
	}
	more, err := s.list(ctx, l, o.limit(), func(scan func(...any) error) error {
		c, err := scanClient(scan)
		rows = append(rows, c)
		return err
	})
	if more {
		next = rows[len(rows)-1].UUID.String()
	}
	return rows, next, err
}

// ofClient joins an entry with its client and the client's name.
const ofClient = ` LEFT JOIN csti_amts a ON a.uuid=e.uuid LEFT JOIN csti_uuid_maps m ON m.uuid=e.uuid`

// ListQueue gives a page of queue entries, the oldest first.
func (s *Store) ListQueue(ctx context.Context, o ListOptions) (rows []QueueRow, next string, err error) {
	l := listing{query: `SELECT e.uuid, coalesce(a.fqdn, m.fqdn, ''), e.attempts, e.enqueued_us, coalesce(e.claimed_by, '')
		FROM csto_queue_entries e` + ofClient, order: "e.enqueued_us, e.uuid"}
	l.search(o.Search, "e.uuid", "coalesce(a.fqdn, m.fqdn)", "a.ip", "a.pid")
	if err := l.afterTime(o.After); err != nil {
		return nil, "", err
	}
	more, err := s.list(ctx, l, o.limit(), func(scan func(...any) error) error {
		var q QueueRow
		var uuid string
		var at int64
		if err := scan(&uuid, &q.FQDN, &q.Attempts, &at, &q.ClaimedBy); err != nil {
			return err
		}
		q.Enqueued = fromMicro(at)
		rows = append(rows, q)
		return parsed(&rows[len(rows)-1].UUID, uuid)
	})
	if more {
		last := rows[len(rows)-1]
		next = placeOf(last.Enqueued.UnixMicro(), last.UUID)
	}
	return rows, next, err
}

// ListDelayed gives a page of delayed entries, those that are due first before the others.
func (s *Store) ListDelayed(ctx context.Context, o ListOptions) (rows []DelayedRow, next string, err error) {
	l := listing{query: `SELECT e.uuid, coalesce(a.fqdn, m.fqdn, ''), e.attempts, e.since_us, e.due_us, e.reason
		FROM csto_delayed_entries e` + ofClient, order: "e.due_us, e.uuid"}
	l.search(o.Search, "e.uuid", "coalesce(a.fqdn, m.fqdn)", "a.ip", "a.pid")
	if err := l.afterTime(o.After); err != nil {
		return nil, "", err
	}
	var due int64
	more, err := s.list(ctx, l, o.limit(), func(scan func(...any) error) error {
		var d DelayedRow
		var uuid string
		var since int64
		if err := scan(&uuid, &d.FQDN, &d.Attempts, &since, &due, &d.Reason); err != nil {
			return err
		}
		d.Since, d.Due = fromMicro(since), fromMicro(due)
		rows = append(rows, d)
		return parsed(&rows[len(rows)-1].UUID, uuid)
	})
	if more {
		next = placeOf(due, rows[len(rows)-1].UUID)
	}
	return rows, next, err
}

// ListMap gives a page of the UUID map in the order of the UUIDs.
func (s *Store) ListMap(ctx context.Context, o ListOptions) (rows []MapRow, next string, err error) {
	l := listing{query: `SELECT m.uuid, m.fqdn, coalesce(p.name, ''), m.source, m.updated_us
		FROM csti_uuid_maps m LEFT JOIN csti_profiles p ON p.id=m.profile_id`, order: "m.uuid"}
	l.search(o.Search, "m.uuid", "m.fqdn")
	if o.After != "" {
		l.after(o.After)
	}
	more, err := s.list(ctx, l, o.limit(), func(scan func(...any) error) error {
		var m MapRow
		var uuid string
		var at int64
		if err := scan(&uuid, &m.FQDN, &m.Profile, &m.Source, &at); err != nil {
			return err
		}
		m.Updated = fromMicro(at)
		rows = append(rows, m)
		return parsed(&rows[len(rows)-1].UUID, uuid)
	})
	if more {
		next = rows[len(rows)-1].UUID.String()
	}
	return rows, next, err
}

// ListPIDs gives a page of the PID map in the order of the ids, without its secrets.
func (s *Store) ListPIDs(ctx context.Context, o ListOptions) (rows []PIDRow, next string, err error) {
	l := listing{query: `SELECT k.id, k.pid, k.used, k.uuid, k.updated_us FROM csti_pid_map k`, order: "k.id"}
	l.search(o.Search, "k.pid", "k.uuid")
	if o.After != "" {
		id, err := strconv.ParseInt(o.After, 10, 64)
		if err != nil {
			return nil, "", badPlace(o.After)
		}
		l.after(id)
	}
	more, err := s.list(ctx, l, o.limit(), func(scan func(...any) error) error {
		var k PIDRow
		var uuid sql.NullString
		var at int64
		if err := scan(&k.ID, &k.PID, &k.Used, &uuid, &at); err != nil {
			return err
		}
		k.Updated = fromMicro(at)
		if uuid.Valid {
			k.UUID, _ = amt.ParseUUID(uuid.String) // a row that another program filled may hold anything
		}
		rows = append(rows, k)
		return nil
	})
	if more {
		next = strconv.FormatInt(rows[len(rows)-1].ID, 10)
	}
	return rows, next, err
}

// placeOf writes a place in the order of a time and a UUID; afterTime reads it.
func placeOf(us int64, u amt.UUID) string { return strconv.FormatInt(us, 10) + "/" + u.String() }

func (l *listing) afterTime(place string) error {
	if place == "" {
		return nil
	}
	at, uuid, _ := strings.Cut(place, "/")
	us, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return badPlace(place)
	}
	l.after(us, uuid)
	return nil
}

// ErrPlace: ListOptions.After is not the next of a page.
var ErrPlace = errors.New("no place of a page")

func badPlace(place string) error {
	return &amt.Error{Op: "list rows", Err: fmt.Errorf("%w: %q", ErrPlace, place)}
}

func parsed(to *amt.UUID, s string) (err error) {
	*to, err = amt.ParseUUID(s)
	return err
}
