package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"amtmedic/amt"
)

// OTPHeader is the first line of a file of one-time passwords.
const OTPHeader = "uuid,otp"

// OTP is the one-time password that an agent planted in a client for its Remote Configuration.
type OTP struct {
	UUID     amt.UUID
	Password amt.Secret
}

// secretOTP is its name among the secrets of a client.
const secretOTP = "otp"

// maxOTP is the length in bytes that firmware keeps (provisioning-protocol 3.1).
const maxOTP = 32

// ReadOTPs reads one-time passwords from CSV. The error is a file without its header; lines with a problem
// are left out and named, without what they hold.
func ReadOTPs(raw []byte) (rows []OTP, problems []amt.Problem, err error) {
	rows, problems, ok, err := csvByUUID(raw, false, func(head []string) bool {
		return len(head) == 2 && named(head, "uuid", "otp")
	}, func(fields []string) (OTP, amt.UUID, error) {
		row, err := otpFields(fields)
		return row, row.UUID, err
	})
	if !ok {
		return nil, nil, errors.New("it is no file of one-time passwords")
	}
	return rows, problems, err
}

func otpFields(fields []string) (o OTP, err error) {
	if len(fields) != 2 {
		return o, errors.New("UUID and one-time password were expected")
	}
	if o.UUID, err = amt.ParseUUID(strings.Trim(strings.TrimSpace(fields[0]), "{}")); err != nil {
		return o, errors.New("its first field is no UUID") // the words of err would show it: it may be the password, in a file with its columns exchanged
	}
	if n := len(fields[1]); n == 0 || n > maxOTP {
		return o, fmt.Errorf("a one-time password has 1 to %d characters, this one has %d", maxOTP, n)
	}
	if strings.ContainsRune(fields[1], 0) {
		return o, errors.New("a one-time password has no zero bytes: with them firmware fills what is left of its 32")
	}
	o.Password = amt.NewSecret(fields[1])
	return o, nil
}

// ImportOTPs keeps one-time passwords; the one that a client has already is replaced. promoted is how many
// clients that had been refused for theirs went to the queue.
func (s *Store) ImportOTPs(ctx context.Context, rows []OTP) (promoted int, err error) {
	for len(rows) > 0 {
		n, part := min(importBatch, len(rows)), 0
		err := s.write(ctx, func(t *tx) error {
			part = 0
			for _, o := range rows[:n] {
				moved, err := t.keepOTP(o, s.now().UnixMicro())
				if err != nil {
					return err
				}
				part += moved
			}
			return nil
		})
		if err != nil {
			return promoted, &amt.Error{Op: "import one-time passwords", Subject: s.path, Err: err}
		}
		promoted += part
		rows = rows[n:]
	}
	return promoted, nil
}

func (t *tx) keepOTP(o OTP, now int64) (promoted int, err error) {
	uuid := o.UUID.String()
	cell, err := t.sealText(o.Password, clientSecretPlace(o.UUID, secretOTP))
	if err != nil {
		return 0, err
	}
	if err := t.exec(`INSERT INTO csti_client_secrets (uuid, name, value, updated_us) VALUES (?, ?, ?, ?)
		ON CONFLICT (uuid, name) DO UPDATE SET value=excluded.value, updated_us=excluded.updated_us`, uuid, secretOTP, cell, now); err != nil {
		return 0, err
	}
	waits, err := t.column(`SELECT uuid FROM csto_delayed_entries WHERE uuid=? AND reason LIKE 'rc-otp-mismatch%'`, uuid)
	if err != nil || len(waits) == 0 {
		return 0, err
	}
	return 1, t.promoteOne(now, uuid, "its one-time password is known by now")
}

// OTP gives the one-time password of a client, empty when none is known.
func (s *Store) OTP(ctx context.Context, u amt.UUID) (amt.Secret, error) {
	return s.ClientSecret(ctx, u, secretOTP)
}

// ForgetOTP removes the one-time password of a client: it was used.
func (s *Store) ForgetOTP(ctx context.Context, u amt.UUID) error {
	return s.write(ctx, func(t *tx) error {
		return t.exec(`DELETE FROM csti_client_secrets WHERE uuid=? AND name=?`, u.String(), secretOTP)
	})
}
