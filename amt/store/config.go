package store

import (
	"context"
	"fmt"

	"amtmedic/amt"
)

// Config gives the rows of csti_configuration: default_profile, hello_port, params_from,
// rcfg_enabled, retry_s, tls_mode, uuid_policy, and whatever else was put there. ErrNoConfig when
// the table is empty or lacks one that the server cannot do without.
func (s *Store) Config(ctx context.Context) (map[string]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT name, value FROM csti_configuration`)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]string{}
	for rows.Next() {
		var k, v string
		if err := rows.Scan(&k, &v); err != nil {
			return nil, classify(err)
		}
		out[k] = v
	}
	if err := rows.Err(); err != nil {
		return nil, classify(err)
	}
	for _, k := range []string{"default_profile", "hello_port", "tls_mode"} {
		if out[k] == "" {
			return out, fmt.Errorf("%w: csti_configuration has no row %s", ErrNoConfig, k)
		}
	}
	return out, nil
}

// Profiles gives the names of all profiles, sorted.
func (s *Store) Profiles(ctx context.Context) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT name FROM csti_profiles ORDER BY name`)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			return nil, classify(err)
		}
		out = append(out, n)
	}
	return out, classify(rows.Err())
}

// Profile gives the name of the profile that applies to a client: that of its map row, else the
// default. False when neither names one that exists.
func (s *Store) Profile(ctx context.Context, u amt.UUID) (string, bool, error) {
	var name string
	ok, err := s.one(ctx, `SELECT p.name FROM csti_profiles p WHERE p.id = coalesce(
		(SELECT profile_id FROM csti_uuid_maps WHERE uuid=?),
		(SELECT d.id FROM csti_profiles d JOIN csti_configuration c ON c.value=d.name WHERE c.name='default_profile'))`,
		[]any{u.String()}, &name)
	return name, ok, err
}

// ProfileBody gives the settings of a profile, a JSON object; false when there is no profile of that
// name.
func (s *Store) ProfileBody(ctx context.Context, name string) (string, bool, error) {
	var body string
	ok, err := s.one(ctx, `SELECT body FROM csti_profiles WHERE name=?`, []any{name}, &body)
	return body, ok, err
}
