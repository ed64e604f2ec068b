package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"amtmedic/amt"
)

// Authority is a row of csti_authorities.
type Authority struct {
	ID      int64
	Kind    string     // "own" or "external"
	Certs   string     // PEM: its certificate, then its chain up to the root; empty until it is signed
	Key     amt.Secret // PKCS #8 in PEM form; empty in lists
	Active  bool       // signs for its kind
	Created time.Time
}

// Authorities lists all of them, oldest first, without keys.
func (s *Store) Authorities(ctx context.Context) ([]Authority, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT id, kind, coalesce(certs, ''), active, created_us FROM csti_authorities ORDER BY id`)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []Authority
	for rows.Next() {
		var a Authority
		var at int64
		if err := rows.Scan(&a.ID, &a.Kind, &a.Certs, &a.Active, &at); err != nil {
			return nil, classify(err)
		}
		a.Created = fromMicro(at)
		out = append(out, a)
	}
	return out, classify(rows.Err())
}

// Authority gives one with its key, false when there is none of that id.
func (s *Store) Authority(ctx context.Context, id int64) (Authority, bool, error) {
	a := Authority{ID: id}
	var at int64
	var cell []byte
	ok, err := s.one(ctx, `SELECT kind, coalesce(certs, ''), key, active, created_us FROM csti_authorities WHERE id=?`, []any{id}, &a.Kind, &a.Certs, &cell, &a.Active, &at)
	if err != nil || !ok {
		return a, ok, err
	}
	a.Created = fromMicro(at)
	a.Key, err = s.keys.openText(cell, authorityPlace(id))
	return a, true, err
}

func authorityPlace(id int64) place {
	return place{"csti_authorities", "key", strconv.FormatInt(id, 10)}
}

// AddAuthority keeps a new authority and gives its id. An active one is added only where its kind has
// none: else the id of that one is given, so that two servers that make one end with the same.
func (s *Store) AddAuthority(ctx context.Context, a Authority) (id int64, err error) {
	err = s.write(ctx, func(t *tx) error {
		if a.Active {
			switch err := t.row(`SELECT id FROM csti_authorities WHERE kind=? AND active=1`, []any{a.Kind}, &id); {
			case err == nil:
				return nil
			case !errors.Is(err, sql.ErrNoRows):
				return err
			}
		}
		if err := t.row(`SELECT coalesce(max(id), 0)+1 FROM csti_authorities`, nil, &id); err != nil {
			return err
		}
		cell, err := t.sealText(a.Key, authorityPlace(id))
		if err != nil {
			return err
		}
		var certs any
		if a.Certs != "" {
			certs = a.Certs
		}
		now := s.now().UnixMicro()
		if err := t.exec(`INSERT INTO csti_authorities (id, kind, certs, key, active, created_us) VALUES (?, ?, ?, ?, ?, ?)`, id, a.Kind, certs, cell, number(a.Active), now); err != nil {
			return err
		}
		return t.log(now, "", SeverityInfo, "authority", fmt.Sprintf("certificate authority %d (%s) was made", id, a.Kind))
	})
	return id, err
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ActivateAuthority gives an authority its certificates; it signs for its kind from then on, and the
// one that did so before only stays in force for what it signed.
func (s *Store) ActivateAuthority(ctx context.Context, id int64, certs string) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.exec(`UPDATE csti_authorities SET active=0 WHERE active=1 AND kind=(SELECT kind FROM csti_authorities WHERE id=?)`, id); err != nil {
			return err
		}
		n, err := t.execN(`UPDATE csti_authorities SET certs=?, active=1 WHERE id=?`, certs, id)
		if err == nil && n == 0 {
			err = fmt.Errorf("there is no certificate authority %d", id)
		}
		if err != nil {
			return err
		}
		return t.log(s.now().UnixMicro(), "", SeverityInfo, "authority", fmt.Sprintf("certificate authority %d signs from now on", id))
	})
}

// NextCRL gives the number of the next revocation list of an authority.
func (s *Store) NextCRL(ctx context.Context, id int64) (n int64, err error) {
	err = s.write(ctx, func(t *tx) error {
		return t.row(`UPDATE csti_authorities SET crl_number=crl_number+1 WHERE id=? RETURNING crl_number`, []any{id}, &n)
	})
	return n, err
}

// Purposes of a certificate.
const (
	PurposeClient  = "client"  // of a client's firmware
	PurposeManager = "manager" // of those who connect to clients with mutual TLS
)

// Certificate is a row of csti_certificates.
type Certificate struct {
	Serial    string // hexadecimal
	Authority int64
	Purpose   string
	UUID      amt.UUID // of the client; zero for a manager
	Name      string
	DER       []byte
	Key       amt.Secret // of a manager, PKCS #8 in PEM form; empty in lists
	NotBefore time.Time
	NotAfter  time.Time
	Revoked   time.Time // zero while it is good
	Reason    int       // of the revocation, RFC 5280 5.3.1
}

func certificatePlace(serial string) place { return place{"csti_certificates", "key", serial} }

// AddCertificate keeps a certificate. It is durable when this returns.
func (s *Store) AddCertificate(ctx context.Context, c Certificate) error {
	var uuid any
	if !c.UUID.IsZero() {
		uuid = c.UUID.String()
	}
	return s.write(ctx, func(t *tx) error {
		cell, err := t.sealText(c.Key, certificatePlace(c.Serial))
		if err != nil {
			return err
		}
		return t.exec(`INSERT INTO csti_certificates (serial, authority_id, purpose, uuid, name, der, key, not_before_us, not_after_us, created_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			c.Serial, c.Authority, c.Purpose, uuid, c.Name, c.DER, cell, c.NotBefore.UnixMicro(), c.NotAfter.UnixMicro(), s.now().UnixMicro())
	})
}

// CertificateQuery chooses certificates; zero fields choose all.
type CertificateQuery struct {
	UUID      amt.UUID
	Purpose   string
	Authority int64
	Good      bool      // not revoked
	Revoked   bool      // revoked
	Before    time.Time // valid no longer than until then
}

// Certificates lists certificates, newest first, without keys.
func (s *Store) Certificates(ctx context.Context, q CertificateQuery) ([]Certificate, error) {
	query, args := `SELECT serial, authority_id, purpose, coalesce(uuid, ''), name, der, not_before_us, not_after_us, coalesce(revoked_us, 0), reason FROM csti_certificates WHERE 1=1`, []any{}
	where := func(when bool, text string, arg ...any) {
		if when {
			query, args = query+" AND "+text, append(args, arg...)
		}
	}
	where(!q.UUID.IsZero(), "uuid=?", q.UUID.String())
	where(q.Purpose != "", "purpose=?", q.Purpose)
	where(q.Authority != 0, "authority_id=?", q.Authority)
	where(q.Good, "revoked_us IS NULL")
	where(q.Revoked, "revoked_us IS NOT NULL")
	where(!q.Before.IsZero(), "not_after_us<=?", q.Before.UnixMicro())
	rows, err := s.read.QueryContext(ctx, query+` ORDER BY created_us DESC, serial`, args...)
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = rows.Close() }()
	var out []Certificate
	for rows.Next() {
		var c Certificate
		var uuid string
		var from, to, revoked int64
		if err := rows.Scan(&c.Serial, &c.Authority, &c.Purpose, &uuid, &c.Name, &c.DER, &from, &to, &revoked, &c.Reason); err != nil {
			return nil, classify(err)
		}
		c.UUID, _ = amt.ParseUUID(uuid)
		c.NotBefore, c.NotAfter = fromMicro(from), fromMicro(to)
		if revoked != 0 {
			c.Revoked = fromMicro(revoked)
		}
		out = append(out, c)
	}
	return out, classify(rows.Err())
}

// CertificateKey gives the private key of a certificate; empty when it has none here.
func (s *Store) CertificateKey(ctx context.Context, serial string) (amt.Secret, error) {
	var cell []byte
	if _, err := s.one(ctx, `SELECT key FROM csti_certificates WHERE serial=?`, []any{serial}, &cell); err != nil {
		return amt.Secret{}, err
	}
	return s.keys.openText(cell, certificatePlace(serial))
}

// RevokeCertificates revokes the good certificates of a client but those named, and gives how many
// there were. reason is one of RFC 5280 5.3.1.
func (s *Store) RevokeCertificates(ctx context.Context, u amt.UUID, reason int, but ...string) (int, error) {
	keep := ""
	if len(but) > 0 {
		keep = but[0]
	}
	if len(but) > 1 {
		return 0, errors.New("revoke certificates: one can be kept")
	}
	var n int64
	err := s.write(ctx, func(t *tx) (err error) {
		now := s.now().UnixMicro()
		n, err = t.execN(`UPDATE csti_certificates SET revoked_us=?, reason=? WHERE uuid=? AND revoked_us IS NULL AND serial<>?`, now, reason, u.String(), keep)
		if err == nil && n > 0 {
			err = t.log(now, u.String(), SeverityInfo, "certificate", fmt.Sprintf("certificates revoked: %d, reason %d", n, reason))
		}
		return err
	})
	return int(n), err
}

// RevokeCertificate revokes one by its serial number; false when there is none, or it is revoked already.
func (s *Store) RevokeCertificate(ctx context.Context, serial string, reason int) (bool, error) {
	var n int64
	err := s.write(ctx, func(t *tx) (err error) {
		n, err = t.execN(`UPDATE csti_certificates SET revoked_us=?, reason=? WHERE serial=? AND revoked_us IS NULL`, s.now().UnixMicro(), reason, serial)
		return err
	})
	return n > 0, err
}

// ClientSecret gives a secret of one client that its profile asked for, such as the password of a user;
// empty when none was made yet.
func (s *Store) ClientSecret(ctx context.Context, u amt.UUID, name string) (amt.Secret, error) {
	var cell []byte
	if _, err := s.one(ctx, `SELECT value FROM csti_client_secrets WHERE uuid=? AND name=?`, []any{u.String(), name}, &cell); err != nil {
		return amt.Secret{}, err
	}
	return s.keys.openText(cell, clientSecretPlace(u, name))
}

func clientSecretPlace(u amt.UUID, name string) place {
	return place{"csti_client_secrets", "value", u.String() + "/" + name}
}

// SetClientSecrets keeps secrets that are about to be sent to a job's client. They are durable when
// this returns; only then may they be sent.
func (s *Store) SetClientSecrets(ctx context.Context, j Job, secrets map[string]amt.Secret) error {
	return jobError("store secrets of", j, s.write(ctx, func(t *tx) error {
		if _, err := t.mine(j); err != nil {
			return err
		}
		for name, v := range secrets {
			cell, err := t.sealText(v, clientSecretPlace(j.UUID, name))
			if err != nil {
				return err
			}
			if err := t.exec(`INSERT INTO csti_client_secrets (uuid, name, value, updated_us) VALUES (?, ?, ?, ?)
				ON CONFLICT (uuid, name) DO UPDATE SET value=excluded.value, updated_us=excluded.updated_us`, j.UUID.String(), name, cell, s.now().UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	}))
}

// ClientSecrets lists the names of a client's secrets, sorted.
func (s *Store) ClientSecrets(ctx context.Context, u amt.UUID) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT name FROM csti_client_secrets WHERE uuid=? ORDER BY name`, u.String())
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
