package store

import (
	"context"
	"errors"

	"amtmedic/amt"
)

// SetConfig sets a row of csti_configuration, and makes it when it is missing. What its value means is
// for the caller to know. The log says that it changed, not to what: a value may be anybody's.
func (s *Store) SetConfig(ctx context.Context, name, value string) error {
	err := errors.New("a setting needs a name")
	if name != "" {
		err = s.write(ctx, func(t *tx) error {
			if err := t.exec(`INSERT INTO csti_configuration (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value=excluded.value`, name, value); err != nil {
				return err
			}
			return t.log(s.now().UnixMicro(), "", SeverityInfo, "setting", "setting "+name+" was changed")
		})
	}
	if err != nil {
		return &amt.Error{Op: "change setting", Subject: name, Err: err}
	}
	return nil
}

// RemoveMapRow takes the row of a client out of the UUID map. A client without a row is no error.
func (s *Store) RemoveMapRow(ctx context.Context, u amt.UUID) error {
	err := s.write(ctx, func(t *tx) error { return t.exec(`DELETE FROM csti_uuid_maps WHERE uuid=?`, u.String()) })
	if err != nil {
		return &amt.Error{Op: "remove row of the UUID map", Subject: u.String(), Err: err}
	}
	return nil
}
