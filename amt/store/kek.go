package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/argon2"

	"amtmedic/amt"
)

// The key-encryption key, which wraps the data keys, comes from a key file, from a passphrase or from the
// keyring of the operating system. Which of them a database needs is remembered in it: the row 0 of
// secret_keys, when there is one, holds how its key is derived from a passphrase, or the name of its
// entry in the keyring.

// Where the key of a database comes from.
const (
	KeyInFile       = "file"
	KeyByPassphrase = "passphrase"
	KeyInKeyring    = "keyring"
)

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

// newMemory is what a new derivation takes, in KiB. Tests, which make dozens, take less.
var newMemory uint32 = 64 << 10

// newDerivation chooses t=3, 64 MiB and 2 lanes: about 0.13 s for who knows the passphrase.
func newDerivation() (derivation, error) {
	d := derivation{passes: 3, memory: newMemory, lanes: 2, salt: make([]byte, saltSize)}
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

// keyRow is what the row 0 of secret_keys says: a derivation, the name of an entry of the keyring, or
// neither, when there is no row.
type keyRow struct {
	derivation
	entry string
}

const keyringEntry = 2 // first byte of a row 0 with a name in the keyring

func (k keyRow) kind() string {
	switch {
	case k.entry != "":
		return KeyInKeyring
	case k.salt != nil:
		return KeyByPassphrase
	}
	return KeyInFile
}

// cell is the form in the row; nil for a key file, which has no row.
func (k keyRow) cell() []byte {
	switch k.kind() {
	case KeyInKeyring:
		return append([]byte{keyringEntry}, k.entry...)
	case KeyByPassphrase:
		return k.derivation.cell()
	}
	return nil
}

func readKeyRow(cell []byte) (keyRow, error) {
	if name, ok := bytes.CutPrefix(cell, []byte{keyringEntry}); ok && entryForm(string(name)) {
		return keyRow{entry: string(name)}, nil
	}
	d, err := readDerivation(cell)
	return keyRow{derivation: d}, err
}

// remembered reads where the key of the database comes from.
func (s *Store) remembered(ctx context.Context, r *reader) (keyRow, error) {
	var cell []byte
	switch err := r.QueryRowContext(ctx, `SELECT wrapped FROM secret_keys WHERE id=0`).Scan(&cell); {
	case errNone(err):
		return keyRow{}, nil
	case err != nil:
		return keyRow{}, classify(err)
	}
	return readKeyRow(cell)
}

// KeySource tells where the key of the database comes from: KeyInFile, KeyByPassphrase or KeyInKeyring.
func (s *Store) KeySource(ctx context.Context) (string, error) {
	row, err := s.remembered(ctx, s.read)
	return row.kind(), err
}

// kekSource is a key-encryption key that was found: several while a key file is being exchanged.
type kekSource struct {
	keys [][]byte
	from string // KeyByPassphrase, KeyInKeyring, or the name of the key file; for errors
}

// ownKEK gives the key-encryption key of a database that is opened to be written, and makes it when the
// database has no data key yet.
func (s *Store) ownKEK(ctx context.Context, empty bool) (kekSource, error) {
	row, err := s.remembered(ctx, s.read)
	if err != nil {
		return kekSource{from: row.kind()}, err
	}
	if kind := s.newKind(); empty && row.kind() == KeyInFile && kind != KeyInFile {
		if row, err = s.makeKEK(ctx, kind); err != nil {
			return kekSource{from: kind}, err
		}
	}
	if row.kind() != KeyInFile {
		return s.kekOf(ctx, row)
	}
	if s.e.shared && s.o.KeyFile == "" {
		return kekSource{}, errNoKeyFile
	}
	k := kekSource{from: keyFile(s.path, s.o)}
	if k.keys, err = readKeyFile(k.from); errors.Is(err, fs.ErrNotExist) && empty {
		k.keys, err = makeKeyFile(k.from)
	}
	return k, err
}

// newKind is where the key of a new database is to come from.
func (s *Store) newKind() string {
	if s.o.KeyFrom == "" && s.o.KeyFile == "" && (!s.o.Passphrase.IsZero() || s.o.PassphraseFile != "") {
		return KeyByPassphrase
	}
	return cmp.Or(s.o.KeyFrom, KeyInFile)
}

// makeKEK notes in a new database where its key comes from, and makes an entry of the keyring for it.
// Another program may be quicker: then what that one chose holds.
func (s *Store) makeKEK(ctx context.Context, kind string) (keyRow, error) {
	row, _, err := s.newKeyRow(ctx, kind, true)
	if err != nil {
		return keyRow{}, err
	}
	if err := s.write(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO secret_keys (id, wrapped, created_us, active)
			SELECT 0, ?, ?, 0 WHERE NOT EXISTS (SELECT 1 FROM secret_keys) ON CONFLICT (id) DO NOTHING`, row.cell(), s.now().UnixMicro())
	}); err != nil {
		return row, err
	}
	now, err := s.remembered(ctx, s.read)
	if err == nil && row.entry != "" && now.entry != row.entry {
		err = dropFromKeyring(ctx, row.entry)
	}
	return now, err
}

// newKeyRow makes a key-encryption key of a kind other than a file. ask: a person may be asked for a
// passphrase.
func (s *Store) newKeyRow(ctx context.Context, kind string, ask bool) (keyRow, []byte, error) {
	switch kind {
	case KeyByPassphrase:
		d, err := newDerivation()
		if err != nil {
			return keyRow{}, nil, err
		}
		words, err := s.passphrase(ctx, ask, true)
		if err != nil {
			return keyRow{derivation: d}, nil, err
		}
		key, err := d.from(words)
		return keyRow{derivation: d}, key, err
	case KeyInKeyring:
		entry, key, err := newKeyringEntry(ctx)
		return keyRow{entry: entry}, key, err
	}
	return keyRow{}, nil, fmt.Errorf("%q is no place for a key: it is one of %s, %s and %s", kind, KeyInFile, KeyByPassphrase, KeyInKeyring)
}

// passphrase gives the one that was handed over, or is in a file, or what a person answers: that one is
// remembered. Empty without error when there is none.
func (s *Store) passphrase(ctx context.Context, ask, isNew bool) (words amt.Secret, err error) {
	switch {
	case !s.o.Passphrase.IsZero():
		return s.o.Passphrase, nil
	case s.o.PassphraseFile != "":
		return ReadPassphrase(s.o.PassphraseFile)
	case s.o.Ask != nil && ask:
		s.o.Passphrase, err = s.o.Ask(ctx, isNew)
	}
	return s.o.Passphrase, err
}

// ReadPassphrase gives the first line of a file, which must not be empty.
func ReadPassphrase(file string) (amt.Secret, error) {
	f, err := os.Open(file)
	if err != nil {
		return amt.Secret{}, fmt.Errorf("read passphrase: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, 4096))
	line, _, _ := strings.Cut(string(b), "\n")
	if line = strings.TrimSuffix(line, "\r"); err == nil && line == "" {
		err = errors.New("its first line is empty")
	}
	if err != nil {
		return amt.Secret{}, fmt.Errorf("read passphrase: %s: %w", file, err)
	}
	return amt.NewSecret(line), nil
}

// kekOf gives the key that a row 0 speaks of.
func (s *Store) kekOf(ctx context.Context, row keyRow) (k kekSource, err error) {
	k.from = row.kind()
	var key []byte
	if row.entry != "" {
		key, err = readKeyring(ctx, row.entry)
	} else {
		var words amt.Secret
		if words, err = s.passphrase(ctx, true, false); err != nil {
			return k, err
		}
		key, err = row.from(words)
	}
	k.keys = [][]byte{key}
	return k, err
}

// lookKEK gives the key-encryption key for a database that has its keys already; none without error when
// it is not at hand, and nobody said where it is.
func (s *Store) lookKEK(ctx context.Context, r *reader) (k kekSource, err error) {
	row, err := s.remembered(ctx, r)
	switch {
	case err != nil:
		return kekSource{from: row.kind()}, err
	case row.kind() == KeyByPassphrase && s.o.Passphrase.IsZero() && s.o.PassphraseFile == "" && s.o.Ask == nil:
		return kekSource{from: KeyByPassphrase}, nil
	case row.kind() != KeyInFile:
		if k, err = s.kekOf(ctx, row); errors.Is(err, ErrNoKeyring) && s.w == nil {
			return kekSource{from: k.from}, nil // rows without secrets can be read
		}
		return k, err
	case s.e.shared && s.o.KeyFile == "":
		return kekSource{}, nil
	}
	k.from = keyFile(s.path, s.o)
	if k.keys, err = readKeyFile(k.from); err != nil && s.o.KeyFile == "" && s.w == nil {
		return kekSource{from: k.from}, nil
	}
	return k, err
}

var errNoKeyFile = fmt.Errorf("%w: a shared database has no key file beside it", ErrKey)

func (d derivation) from(passphrase amt.Secret) ([]byte, error) {
	if passphrase.IsZero() {
		return nil, fmt.Errorf("%w: the database is protected by a passphrase, and none was given", ErrKey)
	}
	return d.key(passphrase.Reveal()), nil
}

// keyError says what to do about a key that cannot be used. from is where it comes from.
func (s *Store) keyError(from string, err error) error {
	hint := "the database needs the key file that was made with it: name it with --key-file"
	op := "read key file"
	if !errors.Is(err, ErrKey) {
		err = fmt.Errorf("%w: %w", ErrKey, err)
	}
	switch {
	case errors.Is(err, errNoKeyFile):
		op, from = "open database", s.path
		hint = "name one with --key-file or AMTMEDIC_KEY_FILE, give a passphrase in AMTMEDIC_KEY_PASSPHRASE, or take the keyring with --key-from keyring; it is made when the database is new, and every server needs the same"
	case from == KeyByPassphrase:
		op, from = "open keys", s.path
		hint = "give the passphrase of the database in AMTMEDIC_KEY_PASSPHRASE, in a file that AMTMEDIC_KEY_PASSPHRASE_FILE names, or at the terminal"
	case from == KeyInKeyring:
		op, from = "open keys", s.path
		hint = "its key lies in the keyring of the account that made the database: run as that account, with its session open (a new database can have its key elsewhere: --key-from file or passphrase)"
	case strings.Contains(err.Error(), "others than its owner"):
		hint = "chmod 600 " + from
	case slices.Contains([]string{"", KeyInFile}, from):
		from = s.path
	}
	return &amt.Error{Op: op, Subject: from, Err: err, Hint: hint}
}
