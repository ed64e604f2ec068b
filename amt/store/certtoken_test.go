package store

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"
)

// A certificate's subject has a role under a name of its own; it is no token, and can be revoked and admitted again.
func TestCertificateTokens(t *testing.T) {
	now := time.UnixMicro(1e15).UTC()
	s := freshAt(t, Options{Now: func() time.Time { return now }})
	const subject = `CN=console-1,O=Corp\, Inc.`
	k, err := s.AdmitCertificate(t.Context(), "console-1", RoleOperate, time.Hour, subject)
	if err != nil {
		t.Fatal(err)
	}
	got, ok, err := s.CertificateToken(t.Context(), subject)
	if err != nil || !ok || got != k || got.Role != RoleOperate || !got.Good(now) || got.Good(now.Add(time.Hour)) {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	for _, other := range []string{"", "cn=console-1", subject + " ", "CN=console-2"} {
		if _, ok, err := s.CertificateToken(t.Context(), other); ok || err != nil {
			t.Errorf("%q is known: %v", other, err)
		}
	}
	if _, err := s.AdmitCertificate(t.Context(), "console-1", RoleRead, 0, "CN=x"); !errors.Is(err, ErrTaken) {
		t.Errorf("the same name: %v", err)
	}
	if _, err := s.AdmitCertificate(t.Context(), "console-2", RoleRead, 0, subject); !errors.Is(err, ErrSubject) {
		t.Errorf("the same subject: %v", err)
	}
	for _, bad := range []string{"", "  ", strings.Repeat("x", maxSubject+1)} {
		if _, err := s.AdmitCertificate(t.Context(), "console-3", RoleRead, 0, bad); err == nil {
			t.Errorf("the subject %.20q was admitted", bad)
		}
	}
	for _, name := range []string{"a", "b"} { // tokens have no subject: any number of them
		if _, _, err := s.CreateToken(t.Context(), name, RoleRead, 0, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := s.RevokeToken(t.Context(), "console-1"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if got, ok, err := s.CertificateToken(t.Context(), subject); !ok || err != nil || got.Good(now) {
		t.Errorf("revoked: %+v, %v, %v", got, ok, err)
	}
	again, err := s.AdmitCertificate(t.Context(), "console-1b", RoleRead, 0, subject)
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _ := s.CertificateToken(t.Context(), subject); got != again {
		t.Errorf("admitted again: %+v", got)
	}
	rows, err := s.ListAudit(t.Context(), 0, 0)
	if err != nil || len(rows) != 5 || rows[4].Action != "certificate admit" || rows[4].Becomes != "operate, "+subject {
		t.Errorf("%+v, %v", rows, err)
	}
}
