package store

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"
)

// A token is known by its hash alone, has an end, and can be revoked; making and revoking stand in the audit.
func TestTokens(t *testing.T) {
	now := time.UnixMicro(1e15).UTC()
	s := freshAt(t, Options{Now: func() time.Time { return now }})
	token, k, err := s.CreateToken(t.Context(), "console-1", RoleOperate, time.Hour, rand.Reader)
	if err != nil || len(token.Reveal()) != len(tokenPrefix)+43 || k.Role != RoleOperate {
		t.Fatalf("%+v, %v", k, err)
	}
	if _, _, err := s.CreateToken(t.Context(), "console-1", RoleRead, 0, rand.Reader); !errors.Is(err, ErrTaken) {
		t.Errorf("a second token of that name: %v", err)
	}
	got, ok, err := s.Token(t.Context(), token)
	if err != nil || !ok || got != k || !got.Good(now) || got.Good(now.Add(time.Hour)) {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	if err := s.NoteTokenUse(t.Context(), k.ID, now.Add(time.Minute)); err != nil {
		t.Error(err)
	}
	if all, err := s.ListTokens(t.Context()); err != nil || len(all) != 1 || !all[0].Used.Equal(now.Add(time.Minute)) {
		t.Errorf("%+v, %v", all, err)
	}
	for _, want := range []bool{true, false} {
		if ok, err := s.RevokeToken(t.Context(), "console-1"); err != nil || ok != want {
			t.Errorf("revoked: %v, %v", ok, err)
		}
	}
	if got, _, _ := s.Token(t.Context(), token); got.Good(now) {
		t.Error("a revoked token is good")
	}
	rows, err := s.ListAudit(t.Context(), 0, 0)
	if err != nil || len(rows) != 2 || rows[0].Action != "token revoke" || rows[1].Action != "token create" || rows[1].Object != "console-1" || rows[1].Becomes != "operate" {
		t.Errorf("%+v, %v", rows, err)
	}
	var stored string
	if _, err := s.one(t.Context(), `SELECT hash FROM web_tokens`, nil, &stored); err != nil || len(stored) != 64 || strings.Contains(stored, token.Reveal()) {
		t.Errorf("%q, %v", stored, err)
	}
}

func TestTokenRefused(t *testing.T) {
	s := fresh(t)
	for _, c := range []struct {
		name string
		role Role
		life time.Duration
	}{{"", RoleRead, 0}, {"a b", RoleRead, 0}, {strings.Repeat("x", 65), RoleRead, 0}, {"x", "root", 0}, {"x", "", 0}, {"x", RoleRead, -1}} {
		if _, _, err := s.CreateToken(t.Context(), c.name, c.role, c.life, rand.Reader); err == nil {
			t.Errorf("%+v was made", c)
		}
	}
	if _, _, err := s.CreateToken(t.Context(), "x", RoleRead, 0, bytes.NewReader([]byte("short"))); err == nil {
		t.Error("made without random bytes")
	}
}

func TestRoleAllows(t *testing.T) {
	for have, want := range map[Role]string{RoleRead: "read", RoleOperate: "read operate", RoleAdmin: "read operate admin", "root": "", "": ""} {
		var got []string
		for _, need := range append(Roles(), "", "root") {
			if have.Allows(need) {
				got = append(got, string(need))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q allows %v, want %q", have, got, want)
		}
	}
}

// A change begins in the audit and ends there; one that never ended has no result.
func TestAudit(t *testing.T) {
	s := fresh(t)
	var ids []int64
	for _, object := range []string{"a", "b", "c"} {
		id, err := s.BeginAudit(t.Context(), Audit{Who: "console", Address: "127.0.0.1", Action: "put uuid-map", Object: object, Was: "x", Becomes: "y"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := s.EndAudit(t.Context(), ids[1], AuditDone); err != nil {
		t.Error(err)
	}
	rows, err := s.ListAudit(t.Context(), ids[2], 1)
	if err != nil || len(rows) != 1 || rows[0].Object != "b" || rows[0].Result != AuditDone || rows[0].Who != "console" || rows[0].Was != "x" || rows[0].Becomes != "y" {
		t.Errorf("%+v, %v", rows, err)
	}
	if rows, err = s.ListAudit(t.Context(), 0, 0); err != nil || len(rows) != 3 || rows[0].Result != "" {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestObserver(t *testing.T) {
	s := fresh(t)
	var commits, hellos int
	s.Observe(Observer{GroupCommit: func(n int) { commits += n }, HelloCommit: func(time.Duration) { hellos++ }})
	if _, err := s.RecordHello(t.Context(), hello(t, 3, "")); err != nil || commits != 1 || hellos != 1 {
		t.Errorf("%d requests, %d hellos, %v", commits, hellos, err)
	}
}
