package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/crypto/argon2"

	"amtmedic/amt"
)

// The key-encryption key, which wraps the data keys, comes from a key file or from a passphrase. Which
// of them a database needs is remembered in it: the row 0 of secret_keys, when there is one, holds how
// its key is derived from a passphrase.

// derivation is Argon2id with its parameters: passes, memory in KiB, lanes, and the salt.
type derivation struct {
	passes, memory uint32
	lanes          uint8
	salt           []byte
}

const (
	derivationArgon2id = 1 // first byte of its cell
	saltSize           = 16
	memoryMost         = 1 << 20 // KiB: what a changed row may make us allocate
)

// newDerivation chooses t=3, 64 MiB and 2 lanes: about 0.13 s for who knows the passphrase.
func newDerivation() (derivation, error) {
	d := derivation{passes: 3, memory: 64 << 10, lanes: 2, salt: make([]byte, saltSize)}
	_, err := rand.Read(d.salt)
	return d, err
}

func (d derivation) key(passphrase string) []byte {
	return argon2.IDKey([]byte(passphrase), d.salt, d.passes, d.memory, d.lanes, keySize)
}

// cell is the form in the row: kind, passes, memory, lanes, salt.
func (d derivation) cell() []byte {
	b := binary.BigEndian.AppendUint32([]byte{derivationArgon2id}, d.passes)
	return append(append(binary.BigEndian.AppendUint32(b, d.memory), d.lanes), d.salt...)
}

func readDerivation(cell []byte) (derivation, error) {
	if len(cell) != 1+4+4+1+saltSize || cell[0] != derivationArgon2id {
		return derivation{}, errors.New("how its key is derived cannot be read")
	}
	d := derivation{passes: binary.BigEndian.Uint32(cell[1:]), memory: binary.BigEndian.Uint32(cell[5:]), lanes: cell[9], salt: cell[10:]}
	if d.passes == 0 || d.passes > 100 || d.memory > memoryMost || d.lanes == 0 {
		return derivation{}, errors.New("how its key is derived is out of bounds")
	}
	return d, nil
}

// derived gives the derivation that the database remembers; false when it uses a key file.
func (s *Store) derived(ctx context.Context) (derivation, bool, error) {
	var cell []byte
	ok, err := s.one(ctx, `SELECT wrapped FROM secret_keys WHERE id=0`, nil, &cell)
	if err != nil || !ok {
		return derivation{}, false, err
	}
	d, err := readDerivation(cell)
	return d, true, err
}

// ownKEK gives the key-encryption key of a database that is opened to be written, and makes it when the
// database has no data key yet. from names its source, for errors.
func (s *Store) ownKEK(ctx context.Context, o Options, empty bool) (kek []byte, from string, err error) {
	d, remembered, err := s.derived(ctx)
	if err != nil {
		return nil, passphraseSource, err
	}
	if empty && !remembered && o.KeyFile == "" && !o.Passphrase.IsZero() {
		if d, err = newDerivation(); err == nil {
			err = s.write(ctx, func(t *tx) error {
				return t.exec(`INSERT INTO secret_keys (id, wrapped, created_us, active)
					SELECT 0, ?, ?, 0 WHERE NOT EXISTS (SELECT 1 FROM secret_keys) ON CONFLICT (id) DO NOTHING`, d.cell(), s.now().UnixMicro())
			})
		}
		if err == nil {
			d, remembered, err = s.derived(ctx) // of another program that was quicker, perhaps
		}
		if err != nil {
			return nil, passphraseSource, err
		}
	}
	if remembered {
		kek, err = d.from(o.Passphrase)
		return kek, passphraseSource, err
	}
	if s.e.shared && o.KeyFile == "" {
		return nil, "", errNoKeyFile
	}
	file := keyFile(s.path, o)
	if kek, err = readKeyFile(file); errors.Is(err, fs.ErrNotExist) && empty {
		kek, err = makeKeyFile(file)
	}
	return kek, file, err
}

// lookKEK gives the key-encryption key for a database to look at; nil without error when it is not at
// hand, and nobody said where it is.
func (s *Store) lookKEK(ctx context.Context, o Options) (kek []byte, from string, err error) {
	switch d, remembered, err := s.derived(ctx); {
	case err != nil:
		return nil, passphraseSource, err
	case remembered && o.Passphrase.IsZero():
		return nil, passphraseSource, nil
	case remembered:
		kek, err = d.from(o.Passphrase)
		return kek, passphraseSource, err
	case s.e.shared && o.KeyFile == "":
		return nil, "", nil // rows without secrets can be read
	}
	from = keyFile(s.path, o)
	if kek, err = readKeyFile(from); err != nil && o.KeyFile == "" {
		return nil, from, nil
	}
	return kek, from, err
}

const passphraseSource = "passphrase"

var errNoKeyFile = fmt.Errorf("%w: a shared database has no key file beside it", ErrKey)

func (d derivation) from(passphrase amt.Secret) ([]byte, error) {
	if passphrase.IsZero() {
		return nil, fmt.Errorf("%w: the database is protected by a passphrase, and none was given", ErrKey)
	}
	return d.key(passphrase.Reveal()), nil
}
