package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"amtmedic/amt"
)

// Causes of a refused change of profiles.
var (
	ErrContradiction = errors.New("AMT management would use TLS for some clients and not for others")
	ErrInUse         = errors.New("the profile is in use")
)

// ProfileRow is a row of csti_profiles.
type ProfileRow struct {
	ID      int64
	Name    string
	Body    string // JSON; a secret in it is an object with the one member "sealed"
	Default bool
	Mapped  int // rows of the UUID map that name it
	Clients int // provisioned clients that it was applied to
}

// ListProfiles gives all profiles by name.
func (s *Store) ListProfiles(ctx context.Context) ([]ProfileRow, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT p.id, p.name, p.body, coalesce((SELECT 1 FROM csti_configuration c WHERE c.name='default_profile' AND c.value=p.name), 0),
		(SELECT count(*) FROM csti_uuid_maps m WHERE m.profile_id=p.id), (SELECT count(*) FROM csti_amts a WHERE a.profile_id=p.id AND a.state=?)
		FROM csti_profiles p ORDER BY p.name`, stateProvisioned)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []ProfileRow
	for rows.Next() {
		var r ProfileRow
		if err := rows.Scan(&r.ID, &r.Name, &r.Body, &r.Default, &r.Mapped, &r.Clients); err != nil {
			return nil, classify(err)
		}
		out = append(out, r)
	}
	return out, classify(rows.Err())
}

// OpenProfile gives the body of a profile with its secrets in clear, each as an object with the one
// member "secret"; false when there is no profile of that name.
func (s *Store) OpenProfile(ctx context.Context, name string) (string, bool, error) {
	var id int64
	var body string
	ok, err := s.one(ctx, `SELECT id, body FROM csti_profiles WHERE name=?`, []any{name}, &id, &body)
	if err != nil || !ok {
		return "", ok, err
	}
	body, err = s.openBody(id, body)
	if err != nil {
		return "", true, fmt.Errorf("open profile %s: %w", name, err)
	}
	return body, true, err
}

func bodyPlace(id int64, path string) place {
	return place{"csti_profiles", "body." + path, strconv.FormatInt(id, 10)}
}

// sealBody seals every secret of a body under the active data key, those that stand there sealed too.
func (s *Store) sealBody(t *tx, id int64, body string) (string, error) {
	body, err := s.openBody(id, body)
	if err != nil {
		return "", err
	}
	return mapSecrets(body, "secret", func(path, text string) (map[string]string, error) {
		cell, err := t.sealText(amt.NewSecret(text), bodyPlace(id, path))
		return map[string]string{"sealed": base64.StdEncoding.EncodeToString(cell)}, err
	})
}

// mapSecrets replaces every object of a JSON text that has the one member key, a text. A path names
// members and indexes from the outside in.
func mapSecrets(body, key string, fn func(path, text string) (map[string]string, error)) (string, error) {
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		return "", fmt.Errorf("the body of a profile is no JSON: %w", err)
	}
	v, err := walkSecrets(v, "", key, fn)
	if err != nil {
		return "", err
	}
	out, err := json.Marshal(v)
	return string(out), err
}

func walkSecrets(v any, path, key string, fn func(path, text string) (map[string]string, error)) (any, error) {
	var err error
	switch v := v.(type) {
	case map[string]any:
		if text, ok := v[key].(string); ok && len(v) == 1 {
			return fn(path, text)
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if v[k], err = walkSecrets(v[k], path+"."+k, key, fn); err != nil {
				return nil, err
			}
		}
	case []any:
		for i := range v {
			if v[i], err = walkSecrets(v[i], path+"."+strconv.Itoa(i), key, fn); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// ProfileChange is what PutProfiles did.
type ProfileChange struct {
	Made, Changed, Same []string
	TLSMode             string // of AMT management, as csti_configuration has it now
	Promoted            int    // delayed clients that waited for a profile
}

// PutProfiles adds or replaces profiles by their names, all or none, and makes makeDefault the default
// one unless it is empty. Bodies have their secrets in clear, as OpenProfile gives them. tls_mode of
// csti_configuration follows the default profile. ErrContradiction when a profile that is in use would
// say otherwise: the web service has https exactly when AMT management uses TLS.
func (s *Store) PutProfiles(ctx context.Context, rows []ProfileRow, makeDefault string) (ProfileChange, error) {
	var sum ProfileChange
	err := s.write(ctx, func(t *tx) error {
		sum = ProfileChange{}
		for _, r := range rows {
			if err := s.putProfile(t, r, &sum); err != nil {
				return err
			}
		}
		now := s.now().UnixMicro()
		if makeDefault != "" {
			if err := t.makeDefault(now, makeDefault); err != nil {
				return err
			}
		}
		var err error
		if sum.TLSMode, err = t.followTLS(now); err != nil {
			return err
		}
		for _, reason := range []string{"rc-no-profile", "rc-https-on-no-tls", "rc-https-off-with-tls"} {
			n, err := t.promoteAll(now, reason, "profiles were imported")
			if err != nil {
				return err
			}
			sum.Promoted += n
		}
		return nil
	})
	return sum, err
}

func (t *tx) promoteAll(now int64, reason, why string) (int, error) {
	woken, err := t.promote(now, reason, why, "1=1")
	return len(woken), err
}

func (s *Store) putProfile(t *tx, r ProfileRow, sum *ProfileChange) error {
	var old string
	now := s.now().UnixMicro()
	err := t.row(`SELECT id, body FROM csti_profiles WHERE name=?`, []any{r.Name}, &r.ID, &old)
	isNew := errors.Is(err, sql.ErrNoRows)
	if isNew {
		err = t.row(`SELECT coalesce(max(id), 0)+1 FROM csti_profiles`, nil, &r.ID)
	}
	if err != nil {
		return err
	}
	if !isNew {
		opened, err := s.openBody(r.ID, old)
		if err == nil && sameJSON(opened, r.Body) {
			sum.Same = append(sum.Same, r.Name)
			return nil
		}
	}
	body, err := s.sealBody(t, r.ID, r.Body)
	if err != nil {
		return fmt.Errorf("profile %s: %w", r.Name, err)
	}
	if isNew {
		sum.Made = append(sum.Made, r.Name)
		if err := t.exec(`INSERT INTO csti_profiles (id, name, body) VALUES (?, ?, ?)`, r.ID, r.Name, body); err != nil {
			return err
		}
		return t.log(now, "", SeverityInfo, "profile", fmt.Sprintf("profile %s was made", r.Name))
	}
	sum.Changed = append(sum.Changed, r.Name)
	if err := t.exec(`UPDATE csti_profiles SET body=? WHERE id=?`, body, r.ID); err != nil {
		return err
	}
	return t.log(now, "", SeverityInfo, "profile", fmt.Sprintf("profile %s was changed", r.Name))
}

// resealProfiles seals the secrets of all profiles under the active data key, and gives how many profiles
// were written anew, and which of their secrets cannot be read. Those that are sealed so already stay as
// they are.
func (s *Store) resealProfiles(ctx context.Context) (n int, unread []string, err error) {
	err = s.write(ctx, func(t *tx) error {
		n, unread = 0, nil
		var active uint32
		if err := t.row(`SELECT id FROM secret_keys WHERE active=1 ORDER BY id DESC LIMIT 1`+t.e.keep, nil, &active); err != nil {
			return err
		}
		bodies := map[int64]string{}
		if err := t.each(`SELECT id, body FROM csti_profiles`, nil, func(scan func(...any) error) error {
			var id int64
			var body string
			err := scan(&id, &body)
			bodies[id] = body
			return err
		}); err != nil {
			return err
		}
		for id, old := range bodies {
			if !slices.ContainsFunc(bodyKeys(old), func(k uint32) bool { return k != active }) {
				continue
			}
			if _, err := s.openBody(id, old); err != nil {
				unread = append(unread, fmt.Sprintf("csti_profiles.body of row %d", id))
				continue
			}
			body, err := s.sealBody(t, id, old)
			if err != nil {
				return fmt.Errorf("profile %d: %w", id, err)
			}
			changed, err := t.execN(`UPDATE csti_profiles SET body=? WHERE id=? AND body=?`, body, id, old)
			if err != nil {
				return err
			}
			n += int(changed)
		}
		return nil
	})
	return n, unread, err
}

func (s *Store) openBody(id int64, body string) (string, error) {
	return mapSecrets(body, "sealed", func(path, text string) (map[string]string, error) {
		cell, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%s is no sealed value", path)
		}
		v, err := s.keys.openText(cell, bodyPlace(id, path))
		return map[string]string{"secret": v.Reveal()}, err
	})
}

func sameJSON(a, b string) bool {
	var va, vb any
	if json.Unmarshal([]byte(a), &va) != nil || json.Unmarshal([]byte(b), &vb) != nil {
		return false
	}
	ja, err1 := json.Marshal(va)
	jb, err2 := json.Marshal(vb)
	return err1 == nil && err2 == nil && string(ja) == string(jb)
}

func (t *tx) makeDefault(now int64, name string) error {
	n, err := t.execN(`UPDATE csti_configuration SET value=? WHERE name='default_profile' AND EXISTS (SELECT 1 FROM csti_profiles WHERE name=?)`, name, name)
	if err == nil && n == 0 {
		err = fmt.Errorf("there is no profile %q to be the default", name)
	}
	if err != nil {
		return err
	}
	return t.log(now, "", SeverityInfo, "profile", fmt.Sprintf("profile %s is the default", name))
}

// followTLS sets tls_mode to that of the default profile, and refuses a profile in use that differs.
func (t *tx) followTLS(now int64) (string, error) {
	var body, name, was string
	err := t.row(`SELECT p.name, p.body FROM csti_profiles p JOIN csti_configuration c ON c.value=p.name WHERE c.name='default_profile'`, nil, &name, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	mode := tlsModeOf(body)
	if err := t.row(`SELECT value FROM csti_configuration WHERE name='tls_mode'`, nil, &was); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	if was != mode {
		if err := t.exec(`INSERT INTO csti_configuration (name, value) VALUES ('tls_mode', ?) ON CONFLICT (name) DO UPDATE SET value=excluded.value`, mode); err != nil {
			return "", err
		}
		if err := t.log(now, "", SeverityWarning, "tls-mode", fmt.Sprintf("tls_mode was %s and is %s: https of the web service has to follow", was, mode)); err != nil {
			return "", err
		}
	}
	return mode, t.each(`SELECT p.name, p.body FROM csti_profiles p WHERE EXISTS (SELECT 1 FROM csti_uuid_maps m WHERE m.profile_id=p.id)`, nil, func(scan func(...any) error) error {
		var other, text string
		if err := scan(&other, &text); err != nil {
			return err
		}
		if m := tlsModeOf(text); (m == "off") != (mode == "off") {
			return fmt.Errorf("%w: profile %s, which rows of the UUID map name, has tls %s, and the default profile %s has tls %s", ErrContradiction, other, m, name, mode)
		}
		return nil
	})
}

// tlsModeOf reads off, server or mutual from the body of a profile.
func tlsModeOf(body string) string {
	var b struct {
		TLS json.RawMessage `json:"tls"`
	}
	var mode string
	var group struct {
		Mode string `json:"mode"`
	}
	switch {
	case json.Unmarshal([]byte(body), &b) != nil || len(b.TLS) == 0:
	case json.Unmarshal(b.TLS, &mode) == nil:
	case json.Unmarshal(b.TLS, &group) == nil:
		mode = group.Mode
	}
	if mode == "" {
		mode = "off"
	}
	return mode
}

// RemoveProfile removes a profile; false when there is none of that name. ErrInUse for the default one
// and for one that rows of the UUID map name.
func (s *Store) RemoveProfile(ctx context.Context, name string) (bool, error) {
	var found bool
	err := s.write(ctx, func(t *tx) error {
		found = false
		var id int64
		switch err := t.row(`SELECT id FROM csti_profiles WHERE name=?`, []any{name}, &id); {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		found = true
		var isDefault, mapped int
		if err := t.row(`SELECT count(*) FROM csti_configuration WHERE name='default_profile' AND value=?`, []any{name}, &isDefault); err != nil {
			return err
		}
		if err := t.row(`SELECT count(*) FROM csti_uuid_maps WHERE profile_id=?`, []any{id}, &mapped); err != nil {
			return err
		}
		switch {
		case isDefault > 0:
			return fmt.Errorf("%w: it is the default", ErrInUse)
		case mapped > 0:
			return fmt.Errorf("%w: %d rows of the UUID map name it", ErrInUse, mapped)
		}
		if err := t.exec(`UPDATE csti_amts SET profile_id=NULL WHERE profile_id=?`, id); err != nil {
			return err
		}
		return errors.Join(t.exec(`DELETE FROM csti_profiles WHERE id=?`, id),
			t.log(s.now().UnixMicro(), "", SeverityInfo, "profile", fmt.Sprintf("profile %s was removed", name)))
	})
	return found, err
}

// PromoteReason sends delayed clients whose reason begins so to the queue, and gives how many there were.
func (s *Store) PromoteReason(ctx context.Context, reason, why string) (n int, err error) {
	err = s.write(ctx, func(t *tx) error {
		n, err = t.promoteAll(s.now().UnixMicro(), reason, why)
		return err
	})
	return n, err
}
