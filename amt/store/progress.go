package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
)

// Step is a step of a configuration that is done.
type Step struct {
	Name string
	At   time.Time
}

// Progress is what a session has to keep at one moment. What is zero stays as it is.
type Progress struct {
	Steps    []Step                // done since the last time, in their order
	Password amt.Secret            // of the administrator, about to be sent
	Secrets  map[string]amt.Secret // of this client, about to be sent
}

// NoteProgress keeps p of a job's client in one transaction. It is durable when this returns; only then may
// a secret be sent. ErrLeaseLost when another worker has the entry by now.
func (s *Store) NoteProgress(ctx context.Context, j Job, p Progress) error {
	uuid := j.UUID.String()
	return jobError("note the progress of", j, s.write(ctx, func(t *tx) error {
		if _, err := t.mine(j); err != nil {
			return err
		}
		for name, v := range p.Secrets {
			cell, err := t.sealText(v, clientSecretPlace(j.UUID, name))
			if err != nil {
				return err
			}
			if err := t.exec(`INSERT INTO csti_client_secrets (uuid, name, value, updated_us) VALUES (?, ?, ?, ?)
				ON CONFLICT (uuid, name) DO UPDATE SET value=excluded.value, updated_us=excluded.updated_us`, uuid, name, cell, s.now().UnixMicro()); err != nil {
				return err
			}
		}
		password, err := t.sealText(p.Password, passwordPlace("next_password", uuid))
		if err != nil {
			return err
		}
		if password != nil {
			if err := t.exec(`UPDATE csti_amts SET next_password=? WHERE uuid=?`, password, uuid); err != nil {
				return err
			}
		}
		return t.steps(uuid, p.Steps)
	}))
}

// steps keeps steps in one statement. Each gets a time of its own: they are read in this order.
func (t *tx) steps(uuid string, steps []Step) error {
	var args []any
	var last int64
	for i, s := range steps {
		if slices.ContainsFunc(steps[:i], func(o Step) bool { return o.Name == s.Name }) {
			continue // one statement may not change a row twice
		}
		last = max(s.At.UnixMicro(), last+1)
		args = append(args, uuid, s.Name, last)
	}
	if len(args) == 0 {
		return nil
	}
	return t.exec(`INSERT INTO csto_steps (uuid, step, at_us) VALUES (?, ?, ?)`+strings.Repeat(", (?, ?, ?)", len(args)/3-1)+
		` ON CONFLICT (uuid, step) DO UPDATE SET at_us=excluded.at_us`, args...)
}
