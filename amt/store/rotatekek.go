package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"amtmedic/amt"
)

// KeyTarget says what the data keys of a database are to be wrapped with from now on.
type KeyTarget struct {
	Kind       string     // KeyInFile, KeyByPassphrase or KeyInKeyring; empty: as now
	File       string     // of KeyInFile; empty: the file of now, else NAME.key beside the database
	Passphrase amt.Secret // of KeyByPassphrase
}

// KeyChange is what RotateKey did.
type KeyChange struct {
	From, To string // kinds
	File     string // the key file of now; empty for another kind
	Before   string // the file with the key from before, which opens copies of the database from before; may be empty
	Keys     int    // data keys that are wrapped anew
}

// ErrChanging says that another process changes the same keys.
var ErrChanging = errors.New("another process changes the keys of this database")

// RotateKey wraps the data keys with a new key-encryption key. The secrets themselves stay as they are,
// and servers that run go on. Wherever it is cut off, the database opens: a key file holds old and new
// key until the database has changed, and all else changes in the database's one transaction.
func (s *Store) RotateKey(ctx context.Context, to KeyTarget) (KeyChange, error) {
	row, err := s.remembered(ctx, s.read)
	if err != nil {
		return KeyChange{}, s.rotateError(err)
	}
	out := KeyChange{From: row.kind(), To: to.Kind}
	if out.To == "" {
		out.To = out.From
	}
	old, err := s.presentKEK(ctx, row)
	if err != nil {
		return out, s.rotateError(err)
	}
	if out.To == KeyInFile {
		err = s.toFile(ctx, &out, to, old)
	} else {
		err = s.toRow(ctx, &out, to, old)
	}
	if err != nil {
		return out, s.rotateError(err)
	}
	if row.entry != "" {
		err = dropFromKeyring(ctx, row.entry)
	}
	if out.From == KeyInFile && out.Before == "" && out.File != old.from {
		out.Before = old.from
	}
	return out, s.rotateError(err)
}

func (s *Store) rotateError(err error) error {
	var known *amt.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	hint := ""
	if errors.Is(err, ErrChanging) {
		hint = "wait until that one is done, and look with \"amtmedic db check\""
	}
	return &amt.Error{Op: "rotate key", Subject: s.path, Err: err, Hint: hint}
}

// presentKEK gives the key-encryption key of now: only that one of a file which really opens the database.
func (s *Store) presentKEK(ctx context.Context, row keyRow) (kekSource, error) {
	k, err := s.lookKEK(ctx, s.read)
	if err != nil {
		return k, s.keyError(k.from, err)
	}
	var id uint32
	var wrapped []byte
	if err := s.read.QueryRowContext(ctx, `SELECT id, wrapped FROM secret_keys WHERE active=1`).Scan(&id, &wrapped); err != nil {
		return k, classify(err)
	}
	for _, kek := range k.keys {
		if _, err = unwrap(wrapped, id, [][]byte{kek}); err == nil {
			k.keys = [][]byte{kek}
			return k, nil
		}
	}
	if err == nil {
		err = ErrKey
	}
	return k, s.keyError(k.from, err)
}

// toRow has the key come from a passphrase or from the keyring.
func (s *Store) toRow(ctx context.Context, out *KeyChange, to KeyTarget, old kekSource) error {
	if out.To == KeyByPassphrase && to.Passphrase.IsZero() {
		return &amt.Error{Op: "rotate key", Subject: s.path, Err: errors.New("no new passphrase was given"),
			Hint: "put it into AMTMEDIC_KEY_NEW_PASSPHRASE, or into a file that --new-passphrase-file names"}
	}
	fresh := &Store{path: s.path, o: Options{Passphrase: to.Passphrase}, now: s.now}
	row, kek, err := fresh.newKeyRow(ctx, out.To, false)
	if err != nil {
		return err
	}
	s.at("new key made")
	if out.Keys, err = s.rewrap(ctx, old, kek, row, out.To); err != nil {
		if row.entry != "" && !s.mayBeWritten(ctx, row) {
			err = errors.Join(err, dropFromKeyring(ctx, row.entry))
		}
		return err
	}
	s.at("keys wrapped")
	s.keys.again.Lock()
	s.o.Passphrase = to.Passphrase
	s.keys.again.Unlock()
	return nil
}

// mayBeWritten reports whether a row 0 stands in the database after an error, or that cannot be told: a
// commit over a connection that was cut may land after any look.
func (s *Store) mayBeWritten(ctx context.Context, row keyRow) bool {
	if s.e.shared {
		return true
	}
	now, err := s.remembered(context.WithoutCancel(ctx), s.read)
	return err != nil || now.entry == row.entry
}

// toFile has the key come from a file: the one of now, another one, or one that is there already.
func (s *Store) toFile(ctx context.Context, out *KeyChange, to KeyTarget, old kekSource) error {
	out.File = to.File
	if out.File == "" && out.From == KeyInFile {
		out.File = old.from
	}
	if out.File == "" && s.e.shared {
		return &amt.Error{Op: "rotate key", Subject: s.path, Err: errors.New("no key file is named"), Hint: "a shared database has none beside it: name it with --new-key-file"}
	}
	if out.File == "" {
		out.File = keyFile(s.path, Options{})
	}
	if err := os.MkdirAll(filepath.Dir(out.File), 0o700); err != nil {
		return err
	}
	lock, err := lockKeyFile(out.File)
	if err != nil {
		return err
	}
	defer lock()
	kek, all, err := s.newFileKey(out.File)
	if err != nil {
		return fmt.Errorf("write key file %s: %w", out.File, err)
	}
	s.at("key file holds both")
	if out.Keys, err = s.rewrap(ctx, old, kek, keyRow{}, out.To); err != nil {
		return err // the file keeps every key that it had
	}
	s.at("keys wrapped")
	before := all[:len(all)-1]
	own := !s.e.shared && out.File == keyFile(s.path, Options{}) ||
		slices.ContainsFunc(before, func(key []byte) bool { return bytes.Equal(key, old.keys[0]) })
	if len(before) > 0 && own { // else another database may need them
		out.Before = freeName(out.File + ".before-" + s.now().UTC().Format("20060102T150405Z"))
		if err := changeKeyFile(out.Before, before, out.File); err != nil {
			return fmt.Errorf("the keys are changed; keep the key from before in %s: %w", out.Before, err)
		}
		s.at("key from before kept")
		if err := changeKeyFile(out.File, [][]byte{kek}, out.File); err != nil {
			return fmt.Errorf("the keys are changed; take the key from before out of %s: %w", out.File, err)
		}
	}
	s.keys.again.Lock()
	s.o.KeyFile = out.File
	s.keys.again.Unlock()
	return nil
}

// freeName gives a name that nothing has yet: a key that opens older copies must not be written over.
func freeName(file string) string {
	name := file
	for n := 2; n < 1000; n++ {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name
		}
		name = fmt.Sprintf("%s-%d", file, n)
	}
	return name
}

// newFileKey adds a new key to a key file, as its last; all are its keys then.
func (s *Store) newFileKey(file string) (kek []byte, all [][]byte, err error) {
	switch _, err := os.Lstat(file); {
	case errors.Is(err, os.ErrNotExist):
		all, err = makeKeyFile(file)
		if err != nil {
			return nil, nil, err
		}
		return all[len(all)-1], all[len(all)-1:], nil
	case err != nil:
		return nil, nil, err
	}
	if all, err = readKeyFile(file); err != nil {
		return nil, nil, err
	}
	kek = make([]byte, keySize)
	if _, err := rand.Read(kek); err != nil {
		return nil, nil, err
	}
	all = append(all, kek)
	return kek, all, changeKeyFile(file, all, file)
}

// lockKeyFile keeps others from changing a key file at the same time, whatever name they have for it.
func lockKeyFile(file string) (unlock func(), err error) {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	f, err := os.OpenFile(file+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err = lockFile(f); err == nil {
		err = giveAs(f.Name(), file)
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, errHeld) {
			err = ErrChanging
		}
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// rewrap wraps every data key with kek in one transaction, and notes where that comes from.
func (s *Store) rewrap(ctx context.Context, old kekSource, kek []byte, row keyRow, kind string) (n int, err error) {
	err = s.write(ctx, func(t *tx) error {
		n = 0
		if err := t.stillKeys(); err != nil {
			return err
		}
		wrapped := map[uint32][]byte{}
		if err := t.each(`SELECT id, wrapped FROM secret_keys WHERE id>0`, nil, func(scan func(...any) error) error {
			var id uint32
			var cell []byte
			if err := scan(&id, &cell); err != nil {
				return err
			}
			wrapped[id] = cell
			return nil
		}); err != nil {
			return err
		}
		for id, cell := range wrapped {
			key, err := unwrap(cell, id, old.keys)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrChanging, err) // it fitted a moment ago
			}
			if cell, err = seal(rand.Reader, 0, kek, key, wrapPlace(id)); err != nil {
				return err
			}
			if err := t.exec(`UPDATE secret_keys SET wrapped=? WHERE id=?`, cell, id); err != nil {
				return err
			}
			n++
		}
		return t.noteKeyRow(row, kind, s.now().UnixMicro())
	})
	return n, err
}

// noteKeyRow keeps where the key comes from.
func (t *tx) noteKeyRow(row keyRow, kind string, now int64) error {
	if err := t.exec(`DELETE FROM secret_keys WHERE id=0`); err != nil {
		return err
	}
	if cell := row.cell(); cell != nil {
		if err := t.exec(`INSERT INTO secret_keys (id, wrapped, created_us, active) VALUES (0, ?, ?, 0)`, cell, now); err != nil {
			return err
		}
	}
	return t.log(now, "", SeverityWarning, "key", "the data keys are wrapped anew; their key comes from: "+kind)
}

// stillKeys has everybody else who seals, or changes keys, wait for the end of the transaction.
func (t *tx) stillKeys() error {
	if t.e.still == "" {
		return nil // SQLite has one writer
	}
	return t.exec(t.e.still)
}

// at tells tests how far a change has come.
func (s *Store) at(step string) {
	if s.step != nil {
		s.step(step)
	}
}
