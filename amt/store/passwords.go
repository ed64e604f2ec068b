package store

import (
	"context"
	"strings"

	"amtmedic/amt"
)

// Passwords gives the admin passwords of a client that this server set: the one that a log-in
// verified, and the one that was about to be set when the last session ended, which the firmware may
// or may not have. Either is empty when there is none.
func (s *Store) Passwords(ctx context.Context, u amt.UUID) (verified, next amt.Secret, err error) {
	uuid := u.String()
	var a, b []byte
	if _, err := s.one(ctx, `SELECT admin_password, next_password FROM csti_amts WHERE uuid=?`, []any{uuid}, &a, &b); err != nil {
		return verified, next, err
	}
	if verified, err = s.keys.openText(a, passwordPlace("admin_password", uuid)); err != nil {
		return verified, next, err
	}
	next, err = s.keys.openText(b, passwordPlace("next_password", uuid))
	return verified, next, err
}

// SetNextPassword keeps the password that is about to be sent to a job's client. It is durable when
// this returns; only then may it be sent.
func (s *Store) SetNextPassword(ctx context.Context, j Job, password amt.Secret) error {
	uuid := j.UUID.String()
	return jobError("store password of", j, s.write(ctx, func(t *tx) error {
		if _, err := t.mine(j); err != nil {
			return err
		}
		cell, err := t.sealText(password, passwordPlace("next_password", uuid))
		if err != nil {
			return err
		}
		return t.exec(`UPDATE csti_amts SET next_password=? WHERE uuid=?`, cell, uuid)
	}))
}

// NoteStep keeps that a step of the configuration of a job's client is done.
func (s *Store) NoteStep(ctx context.Context, j Job, step string) error {
	return jobError("note a step of", j, s.write(ctx, func(t *tx) error {
		if _, err := t.mine(j); err != nil {
			return err
		}
		return t.exec(`INSERT INTO csto_steps (uuid, step, at_us) VALUES (?, ?, ?) ON CONFLICT (uuid, step) DO UPDATE SET at_us=excluded.at_us`,
			j.UUID.String(), step, s.now().UnixMicro())
	}))
}

// Steps gives the steps of a client's last configuration that are done, in the order of their times.
func (s *Store) Steps(ctx context.Context, u amt.UUID) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT step FROM csto_steps WHERE uuid=? ORDER BY at_us, step`, u.String())
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var step string
		if err := rows.Scan(&step); err != nil {
			return nil, classify(err)
		}
		out = append(out, step)
	}
	return out, classify(rows.Err())
}

func passwordPlace(column, uuid string) place { return place{"csti_amts", column, uuid} }

// codeOf gives the catalogue id that a reason begins with.
func codeOf(reason string) string {
	id, _, _ := strings.Cut(reason, ":")
	return id
}
