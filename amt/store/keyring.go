package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"amtmedic/amt"
)

// keyring holds the data keys in clear; only this process's memory has them so.
type keyring struct {
	active uint32
	keys   map[uint32][]byte
}

// sealText encrypts a secret; an empty one becomes no cell at all (NULL).
func (k keyring) sealText(s amt.Secret, p place) ([]byte, error) {
	if s.IsZero() {
		return nil, nil
	}
	key := k.keys[k.active]
	if key == nil {
		return nil, fmt.Errorf("%w: no data key is loaded", ErrKey)
	}
	return seal(rand.Reader, k.active, key, []byte(s.Reveal()), p)
}

// openText decrypts a cell. An unknown key id is an error, never an empty secret.
func (k keyring) openText(cell []byte, p place) (amt.Secret, error) {
	if len(cell) == 0 {
		return amt.Secret{}, nil
	}
	id, err := cellKey(cell)
	if err != nil {
		return amt.Secret{}, fmt.Errorf("read %s.%s of row %s: %w", p.table, p.column, p.row, err)
	}
	key := k.keys[id]
	if key == nil {
		return amt.Secret{}, fmt.Errorf("read %s.%s of row %s: %w: key %d is not loaded", p.table, p.column, p.row, ErrKey, id)
	}
	plain, err := unseal(key, cell, p)
	if err != nil {
		return amt.Secret{}, err
	}
	return amt.NewSecret(string(plain)), nil
}

// openKeys loads the data keys, and makes key-encryption key and first data key in a database that has none.
func (s *Store) openKeys(ctx context.Context, o Options) error {
	var n int
	if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM secret_keys WHERE id>0`).Scan(&n); err != nil {
		return classify(err)
	}
	kek, from, err := s.ownKEK(ctx, o, n == 0)
	if err == nil && n == 0 {
		err = s.addDataKey(ctx, kek)
	}
	if err == nil {
		s.keys, err = s.loadKeys(ctx, kek)
	}
	if err != nil {
		return s.keyError(from, err)
	}
	return nil
}

// addDataKey makes the first data key unless another program was quicker.
func (s *Store) addDataKey(ctx context.Context, kek []byte) error {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	wrapped, err := seal(rand.Reader, 0, kek, key, wrapPlace(1))
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO secret_keys (id, wrapped, created_us, active)
			SELECT 1, ?, ?, 1 WHERE NOT EXISTS (SELECT 1 FROM secret_keys WHERE id>0) ON CONFLICT (id) DO NOTHING`, wrapped, s.now().UnixMicro())
	})
}

func (s *Store) loadKeys(ctx context.Context, kek []byte) (keyring, error) {
	ring := keyring{keys: map[uint32][]byte{}}
	rows, err := s.read.QueryContext(ctx, `SELECT id, wrapped, active FROM secret_keys WHERE id>0 ORDER BY id`)
	if err != nil {
		return ring, classify(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id uint32
		var cell sql.RawBytes
		var active bool
		if err := rows.Scan(&id, &cell, &active); err != nil {
			return ring, err
		}
		key, err := unseal(kek, cell, wrapPlace(id))
		if err != nil {
			return ring, fmt.Errorf("%w: unwrap key %d: %w", ErrKey, id, err)
		}
		ring.keys[id] = key
		if active {
			ring.active = id
		}
	}
	return ring, rows.Err()
}

func wrapPlace(id uint32) place {
	return place{"secret_keys", "wrapped", strconv.FormatUint(uint64(id), 10)}
}

const keyHead = "# amtmedic key file. Whoever has it and the database can read every PPS and password in it."

// readKeyFile reads 64 hexadecimal digits; lines that begin with # are comments.
func readKeyFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others than its owner may read it (mode %04o)", info.Mode().Perm())
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sc := bufio.NewScanner(bytes.NewReader(raw))
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := hex.DecodeString(line)
		if err != nil || len(key) != keySize {
			break
		}
		return key, nil
	}
	return nil, errors.New("it holds no key of 64 hexadecimal digits")
}

// makeKeyFile makes a new key with owner-only rights. Two programs that do so at once end with the
// same key: the file appears complete under its name, once.
func makeKeyFile(file string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".new-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = fmt.Fprintf(tmp, "%s\n%x\n", keyHead, key)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	if err := publish(tmp.Name(), file); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		return readKeyFile(file)
	}
	return key, nil
}

// publish gives a file its final name unless that name is taken. File systems without hard links
// get a copy that is made exclusively.
func publish(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	return errors.Join(err, f.Sync(), f.Close())
}

func (s *Store) keyError(from string, err error) error {
	hint := "the database needs the key file that was made with it: name it with --key-file"
	op := "read key file"
	if !errors.Is(err, ErrKey) {
		err = fmt.Errorf("%w: %w", ErrKey, err)
	}
	switch {
	case errors.Is(err, errNoKeyFile):
		op, from = "open database", s.path
		hint = "name one with --key-file or AMTMEDIC_KEY_FILE, or give a passphrase in AMTMEDIC_KEY_PASSPHRASE; it is made when the database is new, and every server needs the same"
	case from == passphraseSource:
		op, from = "open keys", s.path
		hint = "give the passphrase that the database was made with in AMTMEDIC_KEY_PASSPHRASE"
	case strings.Contains(err.Error(), "others than its owner"):
		hint = "chmod 600 " + from
	}
	return &amt.Error{Op: op, Subject: from, Err: err, Hint: hint}
}
