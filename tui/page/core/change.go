package core

import (
	"context"
	"errors"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/tui/part/text"
)

// errorText gives an error with its next step.
func errorText(err error) string {
	s := text.Clean(err.Error())
	var known *amt.Error
	if errors.As(err, &known) && known.Hint != "" {
		s += "; " + text.Clean(known.Hint)
	}
	return s
}

// askCreate offers to make the database.
func (p *Page) askCreate() *ask {
	return p.confirm("Make an empty database of a provisioning core", []askRow{
		{"file", p.db.Label()},
		{"key file", p.db.keyFile() + ", made when it is missing; whoever has both can read the secrets"},
		{"holds", "empty tables, the default profile and the default settings"},
		{"changes", "nothing else; no server is started"},
		{"undo", "remove the two files again"},
	}, func(ctx context.Context) reply {
		return reply{done: "the database is there; amtmedic serve works on it", err: p.db.create(ctx)}
	})
}

// askPromote offers to bring a delayed client to the queue at once.
func (p *Page) askPromote(u amt.UUID, reason string, attempts int) *ask {
	return p.confirm("Look at the client again now", []askRow{
		{"client", u.String()},
		{"waits for", reason},
		{"tried", several(attempts, "time")},
		{"will do", "move its delayed entry to the queue; the next free worker connects to the client"},
		{"changes", "csto_delayed_entries, csto_queue_entries and a row of the log"},
		{"undo", "none; when the cause is still there, the entry is delayed again"},
	}, func(ctx context.Context) reply {
		r := reply{done: "the client is in the queue"}
		r.err = p.db.change(ctx, func(ctx context.Context, st *store.Store) error {
			moved, err := st.PromoteNow(ctx, u, "somebody asked for it")
			if err == nil && !moved {
				r = reply{said: "nothing to do: the client is not delayed any more"}
			}
			return err
		})
		return r
	})
}
