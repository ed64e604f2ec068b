package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"amtmedic/amt"
)

// ErrChanged: a row is not what it was when the change was planned.
var ErrChanged = errors.New("the database was changed meanwhile")

// NameChange is one planned change of the UUID map.
type NameChange struct {
	UUID          amt.UUID
	FQDN, Profile string // what becomes of it
	New           bool   // there is no row yet
	WasFQDN       string // what the row says, unless it is new
	WasProfile    string
}

// ApplyNames makes planned changes of the UUID map, all of them or none. ErrChanged when a row is not
// what the plan says, ErrNameTaken when another client has a name. Clients that wait for their name go to the
// queue; promoted is how many. source stands in the rows, such as "sync".
func (s *Store) ApplyNames(ctx context.Context, changes []NameChange, source string) (promoted int, err error) {
	err = s.write(ctx, func(t *tx) error {
		promoted = 0
		now := s.now().UnixMicro()
		for _, c := range changes { // names that change hands are free before the first is given away
			if err := t.unchanged(c); err != nil {
				return fmt.Errorf("row of %s: %w", c.UUID, err)
			}
			if err := t.exec(`UPDATE csti_uuid_maps SET fqdn='' WHERE uuid=?`, c.UUID.String()); err != nil {
				return err
			}
		}
		for _, c := range changes {
			if err := t.setName(now, c.UUID, c.FQDN, c.Profile, source); err != nil {
				return fmt.Errorf("row of %s: %w", c.UUID, err)
			}
			detail := "by " + source
			if c.WasFQDN != "" && c.WasFQDN != c.FQDN {
				detail += ", it was " + c.WasFQDN
			}
			if c.Profile != c.WasProfile {
				detail += ", profile " + c.Profile
			}
			woken, err := t.promoteNamed(now, c.UUID, c.FQDN)
			if err := errors.Join(err, t.history(now, c.UUID, EventNamed, c.FQDN, detail)); err != nil {
				return err
			}
			promoted += number(woken)
		}
		return nil
	})
	if err != nil {
		return 0, &amt.Error{Op: "apply names", Subject: s.path, Err: err, Hint: "nothing was changed; look at a new preview"}
	}
	return promoted, nil
}

// unchanged checks that the row of a change is what the plan was made for.
func (t *tx) unchanged(c NameChange) error {
	var retired sql.NullInt64
	if err := t.row(`SELECT retired_us FROM csti_amts WHERE uuid=?`, []any{c.UUID.String()}, &retired); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if retired.Valid {
		return ErrRetired
	}
	var fqdn, profile string
	err := t.row(`SELECT m.fqdn, coalesce(p.name, '') FROM csti_uuid_maps m LEFT JOIN csti_profiles p ON p.id=m.profile_id WHERE m.uuid=?`, []any{c.UUID.String()}, &fqdn, &profile)
	switch {
	case errors.Is(err, sql.ErrNoRows) && c.New:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return ErrChanged
	case err != nil:
		return err
	case c.New || fqdn != c.WasFQDN || profile != c.WasProfile:
		return ErrChanged
	}
	return nil
}
