package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"amtmedic/amt"
)

// keyring holds the data keys in clear; only this process's memory has them so. Another process may
// make a new data key at any time: a transaction seals under the key that is active in the database at
// that moment, and a cell under a key that is not here yet has the keys loaded again.
type keyring struct {
	mu     sync.RWMutex
	active uint32
	keys   map[uint32][]byte
	load   func(have map[uint32][]byte) (keys map[uint32][]byte, active uint32, err error) // nil: the secrets cannot be read
	again  sync.Mutex                                                                      // one loads at a time
}

// get gives a data key; nil when it is not loaded.
func (k *keyring) get(id uint32) []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[id]
}

// find gives a data key, and loads the keys again when it is not here yet.
func (k *keyring) find(id uint32) ([]byte, error) {
	if key := k.get(id); key != nil {
		return key, nil
	}
	var why error
	if k.load != nil {
		why = k.refresh(id)
	}
	switch key := k.get(id); {
	case key != nil:
		return key, nil
	case why != nil:
		return nil, fmt.Errorf("%w: key %d is not loaded: %w", ErrKey, id, why)
	}
	return nil, fmt.Errorf("%w: key %d is not loaded", ErrKey, id)
}

// refresh loads the keys again unless somebody else has brought in the wanted one meanwhile. Keys that
// the database has no more are kept: a cell may have been read before its key went.
func (k *keyring) refresh(wanted uint32) error {
	k.again.Lock()
	defer k.again.Unlock()
	if wanted != 0 && k.get(wanted) != nil {
		return nil
	}
	k.mu.RLock()
	have := maps.Clone(k.keys)
	k.mu.RUnlock()
	keys, active, err := k.load(have)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[uint32][]byte{}
	}
	maps.Copy(k.keys, keys)
	k.active = active
	return nil
}

// openText decrypts a cell. An unknown key id is an error, never an empty secret.
func (k *keyring) openText(cell []byte, p place) (amt.Secret, error) {
	if len(cell) == 0 {
		return amt.Secret{}, nil
	}
	id, err := cellKey(cell)
	if err != nil {
		return amt.Secret{}, fmt.Errorf("read %s.%s of row %s: %w", p.table, p.column, p.row, err)
	}
	key, err := k.find(id)
	if err != nil {
		return amt.Secret{}, fmt.Errorf("read %s.%s of row %s: %w", p.table, p.column, p.row, err)
	}
	plain, err := unseal(key, cell, p)
	if err != nil {
		return amt.Secret{}, err
	}
	return amt.NewSecret(string(plain)), nil
}

// sealText encrypts a secret for its place under the data key that is active in this transaction; that
// key stays in the database until the transaction ends. An empty secret becomes no cell at all (NULL).
func (t *tx) sealText(s amt.Secret, p place) ([]byte, error) {
	if s.IsZero() {
		return nil, nil
	}
	if !rotates(p) {
		return nil, fmt.Errorf("seal %s.%s: a rotation of the data key would leave this column out", p.table, p.column)
	}
	if t.sealing == 0 {
		if err := t.row(`SELECT id FROM secret_keys WHERE active=1 ORDER BY id DESC LIMIT 1`+t.e.keep, nil, &t.sealing); err != nil {
			return nil, fmt.Errorf("%w: read the active data key: %w", ErrKey, err)
		}
	}
	key, err := t.s.w.keys.find(t.sealing)
	if err != nil {
		return nil, err
	}
	return seal(rand.Reader, t.sealing, key, []byte(s.Reveal()), p)
}

// openKeys loads the data keys, and makes key-encryption key and first data key in a database that has none.
func (s *Store) openKeys(ctx context.Context) error {
	var n int
	if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM secret_keys WHERE id>0`).Scan(&n); err != nil {
		return classify(err)
	}
	kek, err := s.ownKEK(ctx, n == 0)
	if err == nil && n == 0 {
		err = s.addDataKey(ctx, kek.keys[0])
	}
	if err == nil {
		s.keys.keys, s.keys.active, err = loadKeys(ctx, s.read, kek.keys, nil)
	}
	if err != nil {
		return s.keyError(kek.from, err)
	}
	s.keys.load = s.reload
	return nil
}

// addDataKey makes the first data key unless another program was quicker.
func (s *Store) addDataKey(ctx context.Context, kek []byte) error {
	_, wrapped, err := newDataKey(1, kek)
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		return t.exec(`INSERT INTO secret_keys (id, wrapped, created_us, active)
			SELECT 1, ?, ?, 1 WHERE NOT EXISTS (SELECT 1 FROM secret_keys WHERE id>0) ON CONFLICT (id) DO NOTHING`, wrapped, s.now().UnixMicro())
	})
}

// newDataKey makes a data key, and its form in the database.
func newDataKey(id uint32, kek []byte) (key, wrapped []byte, err error) {
	key = make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return nil, nil, err
	}
	wrapped, err = seal(rand.Reader, 0, kek, key, wrapPlace(id))
	return key, wrapped, err
}

// loadKeys unwraps the data keys with one of keks. One that is handed over needs only the data key before
// it: the row -N of secret_keys, while a rotation is under way, is key N sealed under that.
func loadKeys(ctx context.Context, r *reader, keks [][]byte, have map[uint32][]byte) (map[uint32][]byte, uint32, error) {
	keys, active := map[uint32][]byte{}, uint32(0)
	rows, err := r.QueryContext(ctx, `SELECT id, wrapped, active FROM secret_keys WHERE id<>0 ORDER BY id`)
	if err != nil {
		return nil, 0, classify(err)
	}
	defer func() { _ = rows.Close() }()
	handed := map[uint32][]byte{}
	for rows.Next() {
		var n int64
		var wrapped []byte
		var isActive bool
		if err := rows.Scan(&n, &wrapped, &isActive); err != nil {
			return nil, 0, err
		}
		if n < 0 {
			handed[uint32(-n)] = wrapped
			continue
		}
		id := uint32(n)
		if isActive {
			active = id
		}
		key := have[id]
		if key == nil {
			key = unhand(handed[id], id, have)
		}
		if key == nil {
			if key, err = unwrap(wrapped, id, keks); err != nil {
				return nil, 0, err
			}
		}
		keys[id] = key
	}
	return keys, active, classify(rows.Err())
}

// unwrap opens a data key with the one of keks that fits.
func unwrap(wrapped []byte, id uint32, keks [][]byte) ([]byte, error) {
	for _, kek := range keks {
		if key, err := unseal(kek, wrapped, wrapPlace(id)); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("%w: it does not open data key %d", ErrKey, id)
}

// unhand opens a data key that is sealed under another data key; nil when that one is not here.
func unhand(handed []byte, id uint32, have map[uint32][]byte) []byte {
	by, err := cellKey(handed)
	if err != nil || have[by] == nil {
		return nil
	}
	key, err := unseal(have[by], handed, handPlace(id))
	if err != nil {
		return nil
	}
	return key
}

func handPlace(id uint32) place {
	return place{"secret_keys", "handed", strconv.FormatUint(uint64(id), 10)}
}

// reloadTime bounds how long a cell waits for a key that another process made.
const reloadTime = 15 * time.Second

// reload reads the keys again, over a connection of its own: whoever needs it may hold all others. The
// key-encryption key is only asked for when a key is not handed over.
func (s *Store) reload(have map[uint32][]byte) (map[uint32][]byte, uint32, error) {
	ctx, cancel := context.WithTimeout(context.Background(), reloadTime)
	defer cancel()
	if keys, active, err := loadKeys(ctx, s.spare, nil, have); err == nil || !errors.Is(err, ErrKey) {
		return keys, active, err
	}
	quiet := *s
	quiet.o.Ask = nil // nobody sits in front of a server
	kek, err := quiet.lookKEK(ctx, s.spare)
	if err != nil {
		return nil, 0, err
	}
	return loadKeys(ctx, s.spare, kek.keys, have)
}

func wrapPlace(id uint32) place {
	return place{"secret_keys", "wrapped", strconv.FormatUint(uint64(id), 10)}
}
