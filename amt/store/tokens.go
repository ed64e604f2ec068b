package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"amtmedic/amt"
)

// Role says what the bearer of a token may do.
type Role string

// The roles, each with the rights of those before it.
const (
	RoleRead    Role = "read"    // see everything but secrets
	RoleOperate Role = "operate" // change names, keys and the queue
	RoleAdmin   Role = "admin"   // change profiles and settings, read the audit
)

// Roles lists the roles, the least first.
func Roles() []Role { return []Role{RoleRead, RoleOperate, RoleAdmin} }

// Allows reports whether a role has the rights of another. An unknown role has none and nobody has its.
func (r Role) Allows(needed Role) bool { return r.rank() >= needed.rank() && needed.rank() > 0 }

func (r Role) rank() int {
	for i, known := range Roles() {
		if r == known {
			return i + 1
		}
	}
	return 0
}

// ErrTaken: another row has the name.
var ErrTaken = errors.New("the name is taken")

// ErrSubject: another name in force has the subject.
var ErrSubject = errors.New("a certificate with this subject has a name already")

// Token is a row of web_tokens. The token itself is not kept.
type Token struct {
	ID      int64
	Name    string // of the console or person that has it
	Subject string // of the client certificate that stands for the token; empty for a token
	Role    Role
	Created time.Time
	Expires time.Time // zero: never
	Used    time.Time // last use, to the minute; zero: never
	Revoked time.Time // zero: it is not
}

// Good reports whether the token opens anything at a moment.
func (t Token) Good(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// tokenPrefix begins every token, so that one in a wrong place is recognized.
const tokenPrefix = "amw_"

// tokenBytes is how many random bytes a token has.
const tokenBytes = 32

// CreateToken makes a token of random bytes and gives it, for the only time. lifetime 0 is without end.
// ErrTaken when a token has that name, a revoked one included: the audit must stay unambiguous.
func (s *Store) CreateToken(ctx context.Context, name string, role Role, lifetime time.Duration, random io.Reader) (amt.Secret, Token, error) {
	now := s.now().Truncate(time.Microsecond).UTC()
	k := Token{Name: name, Role: role, Created: now}
	if lifetime > 0 {
		k.Expires = now.Add(lifetime)
	}
	err := checkToken(name, role, lifetime)
	raw := make([]byte, tokenBytes)
	if err == nil {
		_, err = io.ReadFull(random, raw)
	}
	token := amt.NewSecret(tokenPrefix + base64.RawURLEncoding.EncodeToString(raw))
	if err == nil {
		err = s.write(ctx, func(t *tx) error { return t.addToken(&k, hashOf(token)) })
	}
	if err != nil {
		return amt.Secret{}, Token{}, &amt.Error{Op: "make token", Subject: name, Err: err}
	}
	return token, k, nil
}

// addToken writes the row of a token or of a certificate's subject, and the audit of it.
func (t *tx) addToken(k *Token, hash string) error {
	var names, subjects int
	if err := t.row(`SELECT (SELECT count(*) FROM web_tokens WHERE name=?), (SELECT count(*) FROM web_tokens WHERE subject=? AND subject<>'' AND revoked_us=0)`,
		[]any{k.Name, k.Subject}, &names, &subjects); err != nil {
		return err
	}
	action := "token create"
	switch {
	case names > 0:
		return ErrTaken
	case subjects > 0:
		return ErrSubject
	case k.Subject != "":
		action = "certificate admit"
	}
	if err := t.row(`INSERT INTO web_tokens (name, subject, role, hash, created_us, expires_us) VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
		[]any{k.Name, k.Subject, string(k.Role), hash, k.Created.UnixMicro(), micro(k.Expires)}, &k.ID); err != nil {
		return err
	}
	becomes := string(k.Role)
	if k.Subject != "" {
		becomes += ", " + k.Subject
	}
	return t.audit(k.Created.UnixMicro(), Audit{Who: WhoCommandLine, Action: action, Object: k.Name, Becomes: becomes, Result: AuditDone}, nil)
}

func checkToken(name string, role Role, lifetime time.Duration) error {
	switch {
	case name == "" || len(name) > 64 || strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789.-_@") != "":
		return errors.New("a name has 1 to 64 letters, digits, dots, dashes, underscores or @")
	case role.rank() == 0:
		return fmt.Errorf("there is no role %q", role)
	case lifetime < 0:
		return errors.New("it would have expired already")
	}
	return nil
}

// Token gives the row of a token, revoked and expired ones too; false when there is none.
func (s *Store) Token(ctx context.Context, token amt.Secret) (Token, bool, error) {
	k, err := scanToken(s.read.QueryRowContext(ctx, selectTokens+` WHERE hash=?`, hashOf(token)).Scan)
	if errNone(err) {
		return Token{}, false, nil
	}
	return k, err == nil, classify(err)
}

// NoteTokenUse keeps when a token was last used.
func (s *Store) NoteTokenUse(ctx context.Context, id int64, at time.Time) error {
	return s.write(ctx, func(t *tx) error { return t.exec(`UPDATE web_tokens SET used_us=? WHERE id=?`, at.UnixMicro(), id) })
}

// ListTokens gives all tokens in the order in which they were made.
func (s *Store) ListTokens(ctx context.Context) ([]Token, error) {
	rows, err := s.read.QueryContext(ctx, selectTokens+` ORDER BY id`)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []Token
	for rows.Next() {
		k, err := scanToken(rows.Scan)
		if err != nil {
			return nil, classify(err)
		}
		out = append(out, k)
	}
	return out, classify(rows.Err())
}

// RevokeToken ends a token at once; false when no valid token has that name.
func (s *Store) RevokeToken(ctx context.Context, name string) (revoked bool, err error) {
	err = s.write(ctx, func(t *tx) error {
		now := s.now().UnixMicro()
		n, err := t.execN(`UPDATE web_tokens SET revoked_us=? WHERE name=? AND revoked_us=0`, now, name)
		if revoked = n > 0; err != nil || n == 0 {
			return err
		}
		return t.audit(now, Audit{Who: WhoCommandLine, Action: "token revoke", Object: name, Result: AuditDone}, nil)
	})
	if err != nil {
		return false, &amt.Error{Op: "revoke token", Subject: name, Err: err}
	}
	return revoked, nil
}

const selectTokens = `SELECT id, name, subject, role, created_us, expires_us, used_us, revoked_us FROM web_tokens`

func scanToken(scan func(...any) error) (Token, error) {
	var k Token
	var created, expires, used, revoked int64
	err := scan(&k.ID, &k.Name, &k.Subject, &k.Role, &created, &expires, &used, &revoked)
	k.Created, k.Expires, k.Used, k.Revoked = fromMicro(created), fromMicro(expires), fromMicro(used), fromMicro(revoked)
	return k, err
}

func hashOf(token amt.Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

// micro gives a time as a _us column; no time is 0.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
