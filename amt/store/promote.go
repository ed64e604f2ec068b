package store

import (
	"context"

	"amtmedic/amt"
)

// PromoteNow moves the delayed entry of a client to the queue before its time has come; false when it
// has none. why stands in the log, in words; it must hold no secret.
func (s *Store) PromoteNow(ctx context.Context, u amt.UUID, why string) (promoted bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		promoted = false
		uuids, err := t.column(`SELECT uuid FROM csto_delayed_entries WHERE uuid=?`, u.String())
		if err != nil || len(uuids) == 0 {
			return err
		}
		promoted = true
		return t.promoteOne(s.now().UnixMicro(), uuids[0], why)
	})
	if err != nil {
		return false, &amt.Error{Op: "promote delayed entry", Subject: u.String(), Err: err}
	}
	return promoted, nil
}
