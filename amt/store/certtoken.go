package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"amtmedic/amt"
)

// maxSubject is how long the subject of a client certificate may be.
const maxSubject = 512

// AdmitCertificate gives whoever shows a client certificate with this subject the rights of a role, as a
// token of that name would. subject is in the form of RFC 2253, as scsweb.Subject gives
// it. Who signs such certificates is not for the database to know. ErrTaken as in CreateToken; ErrSubject
// when another name in force has the subject.
func (s *Store) AdmitCertificate(ctx context.Context, name string, role Role, lifetime time.Duration, subject string) (Token, error) {
	now := s.now().Truncate(time.Microsecond).UTC()
	k := Token{Name: name, Subject: subject, Role: role, Created: now}
	if lifetime > 0 {
		k.Expires = now.Add(lifetime)
	}
	err := checkToken(name, role, lifetime)
	if err == nil && (strings.TrimSpace(subject) == "" || len(subject) > maxSubject) {
		err = errors.New("the certificate has no subject, or one of more than 512 bytes")
	}
	if err == nil { // no token has this hash: it is none
		err = s.write(ctx, func(t *tx) error { return t.addToken(&k, "certificate of "+name) })
	}
	if err != nil {
		return Token{}, &amt.Error{Op: "admit certificate", Subject: name, Err: err}
	}
	return k, nil
}

// CertificateToken gives the row of a certificate's subject, the one in force before a revoked one; false
// when there is none.
func (s *Store) CertificateToken(ctx context.Context, subject string) (Token, bool, error) {
	if subject == "" {
		return Token{}, false, nil
	}
	k, err := scanToken(s.read.QueryRowContext(ctx, selectTokens+` WHERE subject=? ORDER BY CASE WHEN revoked_us=0 THEN 0 ELSE 1 END, id DESC LIMIT 1`, subject).Scan)
	if errNone(err) {
		return Token{}, false, nil
	}
	return k, err == nil, classify(err)
}
