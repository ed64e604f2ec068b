package store

import (
	"context"
	"time"

	"amtmedic/amt"
)

// ServerRow is a provisioning server that works on a database, as its last heartbeat says.
type ServerRow struct {
	Name     string // of its worker, as in csto_queue_entries.claimed_by
	Host     string
	Process  int
	Version  string // of the program
	Address  string // where it receives hellos
	Sessions int    // open at that moment
	Started  time.Time
	Seen     time.Time     // its last heartbeat
	Within   time.Duration // in which the next one has to come
	Alive    bool          // it came, by the clock of the database; of readings only
}

// Shared reports whether several servers may work on the database at the same time.
func (s *Store) Shared() bool { return s.e.shared }

// Heartbeat writes the row of a server. Its times are those of the database's clock; Started is kept
// from its first heartbeat. Of a file, which one process works, it is the only row.
func (s *Store) Heartbeat(ctx context.Context, r ServerRow) error {
	err := s.write(ctx, func(t *tx) error {
		now, err := t.clock(s)
		if err != nil {
			return err
		}
		if !s.e.shared {
			if err := t.exec(`DELETE FROM servers WHERE name<>?`, r.Name); err != nil {
				return err
			}
		}
		return t.exec(`INSERT INTO servers (name, host, process, version, address, sessions, started_us, heartbeat_us, within_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)
			ON CONFLICT (name) DO UPDATE SET sessions=excluded.sessions, heartbeat_us=excluded.heartbeat_us, within_us=excluded.within_us`,
			r.Name, r.Host, r.Process, r.Version, r.Address, r.Sessions, now.UnixMicro(), r.Within.Microseconds())
	})
	if err != nil {
		return &amt.Error{Op: "write heartbeat", Subject: r.Name, Err: err}
	}
	return nil
}

// Servers lists the servers that work on the database, and those that fell silent without a farewell:
// the living first, then by name.
func (s *Store) Servers(ctx context.Context) ([]ServerRow, error) {
	now := s.now().UnixMicro()
	if s.e.clock != "" {
		if _, err := s.one(ctx, s.e.clock, nil, &now); err != nil {
			return nil, err
		}
	}
	rows, err := s.read.QueryContext(ctx, `SELECT name, host, process, version, address, sessions, started_us, heartbeat_us, within_us
		FROM servers ORDER BY CASE WHEN heartbeat_us+within_us>=? THEN 0 ELSE 1 END, name`, now)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []ServerRow
	for rows.Next() {
		var r ServerRow
		var started, seen, within int64
		if err := rows.Scan(&r.Name, &r.Host, &r.Process, &r.Version, &r.Address, &r.Sessions, &started, &seen, &within); err != nil {
			return nil, classify(err)
		}
		r.Started, r.Seen, r.Within = fromMicro(started), fromMicro(seen), time.Duration(within)*time.Microsecond
		r.Alive = seen+within >= now
		out = append(out, r)
	}
	return out, classify(rows.Err())
}

// RemoveServer takes the row of a server away: it stops in order.
func (s *Store) RemoveServer(ctx context.Context, name string) error {
	return s.write(ctx, func(t *tx) error { return t.exec(`DELETE FROM servers WHERE name=?`, name) })
}

// TrimServers takes the rows away of servers that have been silent for longer than age.
func (s *Store) TrimServers(ctx context.Context, age time.Duration) error {
	return s.write(ctx, func(t *tx) error {
		now, err := t.clock(s)
		if err != nil {
			return err
		}
		return t.exec(`DELETE FROM servers WHERE heartbeat_us<?`, now.Add(-age).UnixMicro())
	})
}
