package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"amtmedic/amt"
)

// MapRow is a row of csti_uuid_maps: the name, and perhaps the profile, of a client.
type MapRow struct {
	UUID    amt.UUID
	FQDN    string // lower case, without final dot
	Profile string // empty: the default profile
	Source  string // where the row came from, such as "import"
	Updated time.Time
}

// MapRow gives the row of a client, false when it has none.
func (s *Store) MapRow(ctx context.Context, u amt.UUID) (MapRow, bool, error) {
	m := MapRow{UUID: u}
	var at int64
	ok, err := s.one(ctx, `SELECT m.fqdn, coalesce(p.name, ''), m.source, m.updated_us FROM csti_uuid_maps m
		LEFT JOIN csti_profiles p ON p.id=m.profile_id WHERE m.uuid=?`, []any{u.String()}, &m.FQDN, &m.Profile, &m.Source, &at)
	m.Updated = fromMicro(at)
	return m, ok, err
}

// SwappedMapRow gives the row that was entered under the byte-swapped form of a client's UUID and
// therefore never matches its hello (rc-uuid-byte-order).
func (s *Store) SwappedMapRow(ctx context.Context, u amt.UUID) (MapRow, bool, error) {
	return s.MapRow(ctx, u.Swapped())
}

// MapImport is what ImportMap did.
type MapImport struct {
	Imported  int
	Conflicts []MapConflict
	Promoted  int // delayed clients whose name was among the rows
}

// MapConflict is a row that was not imported.
type MapConflict struct {
	Row  MapRow
	Text string
}

// ImportMap adds rows to the UUID map. The row of a UUID that is there already is replaced. Not
// imported are names that another UUID has, and profiles that do not exist. Clients that wait for
// their name go to the queue at once.
func (s *Store) ImportMap(ctx context.Context, rows []MapRow) (MapImport, error) {
	var sum MapImport
	for len(rows) > 0 {
		n := min(importBatch, len(rows))
		var part MapImport
		err := s.write(ctx, func(t *tx) error {
			part = MapImport{}
			for _, r := range rows[:n] {
				if err := s.importRow(t, r, &part); err != nil {
					return fmt.Errorf("row of %s: %w", r.UUID, err)
				}
			}
			return nil
		})
		if err != nil {
			return sum, &amt.Error{Op: "import UUID map", Subject: s.path, Err: err}
		}
		sum.Imported += part.Imported
		sum.Promoted += part.Promoted
		sum.Conflicts = append(sum.Conflicts, part.Conflicts...)
		rows = rows[n:]
	}
	return sum, nil
}

func (s *Store) importRow(t *tx, r MapRow, sum *MapImport) error {
	r.FQDN = strings.ToLower(strings.TrimSuffix(r.FQDN, "."))
	uuid, now := r.UUID.String(), s.now().UnixMicro()
	var other string
	switch err := t.row(`SELECT uuid FROM csti_uuid_maps WHERE fqdn=? AND uuid<>?`, []any{r.FQDN, uuid}, &other); {
	case err == nil:
		sum.Conflicts = append(sum.Conflicts, MapConflict{r, fmt.Sprintf("%s is the name of %s already", r.FQDN, other)})
		return nil
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	var profile any
	if r.Profile != "" {
		var id int64
		switch err := t.row(`SELECT id FROM csti_profiles WHERE name=?`, []any{r.Profile}, &id); {
		case errors.Is(err, sql.ErrNoRows):
			sum.Conflicts = append(sum.Conflicts, MapConflict{r, fmt.Sprintf("there is no profile %q", r.Profile)})
			return nil
		case err != nil:
			return err
		}
		profile = id
	}
	if err := t.exec(`INSERT INTO csti_uuid_maps (uuid, fqdn, profile_id, source, updated_us) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (uuid) DO UPDATE SET fqdn=excluded.fqdn, profile_id=excluded.profile_id, source=excluded.source, updated_us=excluded.updated_us`,
		uuid, r.FQDN, profile, r.Source, now); err != nil {
		return err
	}
	sum.Imported++
	for _, reason := range namelessReasons {
		woken, err := t.promote(now, reason, "its name "+r.FQDN+" was imported", "a.uuid=?", uuid)
		if err != nil {
			return err
		}
		sum.Promoted += len(woken)
	}
	return nil
}
