package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"amtmedic/amt"
)

// RotateOptions change how RotateDataKey works. The zero value is good.
type RotateOptions struct {
	// Grace is how long servers get to take up the new key before the one that hands it over goes. 0 is
	// 5 s; WatchKeys looks every second.
	Grace time.Duration
	// NoHandover does not seal the new key under the old one: for an old key that others have. Servers
	// that run read the new one with their key file, keyring or passphrase.
	NoHandover bool
	// Progress is told how many cells are done, of all; may be nil.
	Progress func(done, total int)

	batch int // cells of one transaction; 0 is 200
}

// Rotated is what RotateDataKey did.
type Rotated struct {
	Key     uint32   // the active data key
	Resumed bool     // it went on with a rotation that was cut off
	Cells   int      // encrypted anew
	Removed []uint32 // data keys that no cell needed any more
	Kept    []uint32 // data keys that stay, since cells under them cannot be read
	Unread  []string // those cells, and others that cannot be read: table.column of row
}

// RotateDataKey makes a new data key, which all servers use from then on for what they write, encrypts
// the cells under older keys anew, and removes those keys once no cell names them. It can be cut off at
// any moment, and goes on when it is called again.
func (s *Store) RotateDataKey(ctx context.Context, o RotateOptions) (Rotated, error) {
	out, err := s.rotateData(ctx, o)
	if err != nil {
		err = s.rotateError(err)
	}
	return out, err
}

func (s *Store) rotateData(ctx context.Context, o RotateOptions) (out Rotated, err error) {
	if o.batch == 0 {
		o.batch = 200
	}
	if o.Grace == 0 {
		o.Grace = 5 * time.Second
	}
	if err := s.newActiveKey(ctx, &out, o); err != nil {
		return out, err
	}
	s.at("new data key")
	begin := time.Now()
	r := &reencryption{s: s, o: o, out: &out, active: prefixOf(out.Key)}
	if r.total, err = s.countOld(ctx, r.active); err != nil {
		return out, err
	}
	for {
		if err := r.pass(ctx); err != nil {
			return out, err
		}
		s.at("cells encrypted")
		if err := pause(ctx, o.Grace-time.Since(begin)); err != nil {
			return out, err
		}
		again, err := s.removeOldKeys(ctx, &out)
		if err != nil || !again {
			return out, err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return out, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// newActiveKey makes a data key and has it used, unless an older rotation is not at its end.
func (s *Store) newActiveKey(ctx context.Context, out *Rotated, o RotateOptions) error {
	row, err := s.remembered(ctx, s.read)
	if err != nil {
		return err
	}
	kek, err := s.presentKEK(ctx, row)
	if err != nil {
		return err
	}
	return s.write(ctx, func(t *tx) error {
		*out = Rotated{}
		if err := t.stillKeys(); err != nil {
			return err
		}
		var n int
		var wrapped []byte
		if err := t.row(`SELECT count(*) FROM secret_keys WHERE id>0`, nil, &n); err != nil {
			return err
		}
		if err := t.row(`SELECT id, wrapped FROM secret_keys WHERE active=1 ORDER BY id DESC LIMIT 1`, nil, &out.Key, &wrapped); err != nil {
			return err
		}
		if n > 1 {
			if out.Resumed, err = s.unfinished(t, out.Key); err != nil || out.Resumed {
				return err
			}
		}
		old := out.Key
		oldKey, err := unwrap(wrapped, old, kek.keys)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrChanging, err)
		}
		out.Key = old + 1
		key, wrapped, err := newDataKey(out.Key, kek.keys[0])
		if err != nil {
			return err
		}
		now := s.now().UnixMicro()
		if !o.NoHandover {
			handed, err := seal(rand.Reader, old, oldKey, key, handPlace(out.Key))
			if err != nil {
				return err
			}
			if err := t.exec(`INSERT INTO secret_keys (id, wrapped, created_us, active) VALUES (?, ?, ?, 0)`, -int64(out.Key), handed, now); err != nil {
				return err
			}
		}
		if err := t.exec(`UPDATE secret_keys SET active=0 WHERE active=1`); err != nil {
			return err
		}
		if err := t.exec(`INSERT INTO secret_keys (id, wrapped, created_us, active) VALUES (?, ?, ?, 1)`, out.Key, wrapped, now); err != nil {
			return err
		}
		return t.log(now, "", SeverityWarning, "key", fmt.Sprintf("data key %d is used from now on; cells under data key %d are encrypted anew", out.Key, old))
	})
}

// unfinished reports whether a rotation is not at its end: older data keys stay after one for good when cells
// under them cannot be read, and those must not keep the next one from making a new key.
func (s *Store) unfinished(t *tx, active uint32) (yes bool, err error) {
	ids, err := t.column(`SELECT id FROM secret_keys WHERE id<>0 AND active=0`)
	for _, text := range ids {
		id, bad := strconv.ParseInt(text, 10, 64)
		if err != nil || bad != nil || id < 0 {
			return true, errors.Join(err, bad)
		}
		n := 0
		if n, err = s.cellsUnder(t, uint32(id)); err != nil || n == 0 {
			return true, err
		}
	}
	for _, c := range sealedColumns {
		if err == nil && !yes {
			err = t.each(`SELECT `+c.keys()+`, `+c.column+` FROM `+c.table+` WHERE `+c.column+` IS NOT NULL AND substr(`+c.column+`, 1, 5)<>?`, []any{prefixOf(active)}, func(scan func(...any) error) error {
				cell, err := c.scanCell(scan)
				if err == nil && !yes {
					_, bad := s.keys.openText(cell.cell, c.place(cell.row))
					yes = bad == nil
				}
				return err
			})
		}
	}
	if err != nil || yes {
		return yes, err
	}
	return yes, t.each(`SELECT id, body FROM csti_profiles`, nil, func(scan func(...any) error) error {
		var id int64
		var body string
		err := scan(&id, &body)
		if err == nil && slices.ContainsFunc(bodyKeys(body), func(k uint32) bool { return k != active && k != 0 }) {
			_, bad := s.openBody(id, body)
			yes = yes || bad == nil
		}
		return err
	})
}

// prefixOf is how the cells under a data key begin.
func prefixOf(id uint32) []byte { return binary.BigEndian.AppendUint32([]byte{cellVersion}, id) }

// countOld counts the cells that are not under the active key, profiles as one.
func (s *Store) countOld(ctx context.Context, active []byte) (total int, err error) {
	for _, c := range sealedColumns {
		var n int
		if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM `+c.table+` WHERE `+c.column+` IS NOT NULL AND substr(`+c.column+`, 1, 5)<>?`, active).Scan(&n); err != nil {
			return 0, classify(err)
		}
		total += n
	}
	return total, nil
}

// reencryption is one walk through the cells, in batches: what a server writes goes in between.
type reencryption struct {
	s      *Store
	o      RotateOptions
	out    *Rotated
	active []byte
	total  int
}

// pass encrypts anew what is not under the active key.
func (r *reencryption) pass(ctx context.Context) error {
	r.out.Unread = nil
	for _, c := range sealedColumns {
		if err := r.column(ctx, c); err != nil {
			return err
		}
	}
	n, unread, err := r.s.resealProfiles(ctx)
	r.out.Cells += n
	r.out.Unread = append(r.out.Unread, unread...)
	return err
}

// column goes through one column in the order of its key.
func (r *reencryption) column(ctx context.Context, c sealedColumn) error {
	var last []any
	for {
		begin := time.Now()
		var cells []sealedCell
		var unread []string
		var done int
		err := r.s.write(ctx, func(t *tx) (err error) {
			unread, done = nil, 0
			if cells, err = t.oldCells(c, r.active, last, r.o.batch); err != nil {
				return err
			}
			for _, old := range cells {
				plain, err := r.s.keys.openText(old.cell, c.place(old.row))
				if err != nil {
					unread = append(unread, fmt.Sprintf("%s of row %s", c, c.place(old.row).row))
					continue
				}
				cell, err := t.sealText(plain, c.place(old.row))
				if err != nil {
					return err
				}
				args := append([]any{cell}, old.row...)
				n, err := t.execN(`UPDATE `+c.table+` SET `+c.column+`=? WHERE (`+c.keys()+`)=(`+c.marks()+`) AND `+c.column+`=?`, append(args, old.cell)...)
				if err != nil {
					return err
				}
				done += int(n)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
		r.out.Cells += done
		r.out.Unread = append(r.out.Unread, unread...)
		if r.o.Progress != nil && done > 0 {
			r.o.Progress(r.out.Cells, max(r.total, r.out.Cells))
		}
		r.s.at("batch of " + c.String())
		if len(cells) < r.o.batch {
			return nil
		}
		last = cells[len(cells)-1].row
		if err := pause(ctx, time.Since(begin)); err != nil { // half of the time is that of others
			return err
		}
	}
}

// oldCells gives the next cells of a column that are not under the active key. Where rows are locked one
// by one, those that others hold are left for the next pass: nobody waits for nobody.
func (t *tx) oldCells(c sealedColumn, active []byte, after []any, n int) (out []sealedCell, err error) {
	query, args := `SELECT `+c.keys()+`, `+c.column+` FROM `+c.table+` WHERE `+c.column+` IS NOT NULL AND substr(`+c.column+`, 1, 5)<>?`, []any{active}
	if after != nil {
		query, args = query+` AND (`+c.keys()+`)>(`+c.marks()+`)`, append(args, after...)
	}
	err = t.each(query+` ORDER BY `+c.keys()+` LIMIT ?`+t.e.skip, append(args, n), func(scan func(...any) error) error {
		cell, err := c.scanCell(scan)
		out = append(out, cell)
		return err
	})
	return out, err
}

// removeOldKeys removes the data keys that no cell names. again tells that cells under them were written
// meanwhile. Nobody can seal while it looks.
func (s *Store) removeOldKeys(ctx context.Context, out *Rotated) (again bool, err error) {
	unread := len(out.Unread)
	err = s.write(ctx, func(t *tx) error {
		again, out.Removed, out.Kept = false, nil, nil
		if err := t.stillKeys(); err != nil {
			return err
		}
		ids, err := t.column(`SELECT id FROM secret_keys WHERE id>0 AND active=0 ORDER BY id`)
		if err != nil {
			return err
		}
		left := 0
		for _, text := range ids {
			var id uint32
			if _, err := fmt.Sscan(text, &id); err != nil {
				return err
			}
			n, err := s.cellsUnder(t, id)
			if err != nil {
				return err
			}
			if left += n; n > 0 {
				out.Kept = append(out.Kept, id)
				continue
			}
			out.Removed = append(out.Removed, id)
			if err := t.exec(`DELETE FROM secret_keys WHERE id=?`, id); err != nil {
				return err
			}
		}
		if again = left > unread; again {
			return nil
		}
		if err := t.exec(`DELETE FROM secret_keys WHERE id<0`); err != nil {
			return err
		}
		return t.log(s.now().UnixMicro(), "", SeverityWarning, "key",
			fmt.Sprintf("data key %d: the rotation is done; cells encrypted anew: %d, data keys removed: %d", out.Key, out.Cells, len(out.Removed)))
	})
	return again, err
}

// cellsUnder counts the cells under a data key.
func (s *Store) cellsUnder(t *tx, id uint32) (total int, err error) {
	for _, c := range sealedColumns {
		var n int
		if err := t.row(`SELECT count(*) FROM `+c.table+` WHERE `+c.column+` IS NOT NULL AND substr(`+c.column+`, 1, 5)=?`, []any{prefixOf(id)}, &n); err != nil {
			return 0, err
		}
		total += n
	}
	bodies, err := t.column(`SELECT body FROM csti_profiles`)
	for _, body := range bodies {
		if slices.Contains(bodyKeys(body), id) {
			total++
		}
	}
	return total, err
}

// bodyKeys gives the data keys that the secrets of a profile's body are sealed under; 0 for what is no
// cell.
func bodyKeys(body string) (ids []uint32) {
	_, _ = mapSecrets(body, "sealed", func(_, text string) (map[string]string, error) {
		cell, err := base64.StdEncoding.DecodeString(text)
		id, err2 := cellKey(cell)
		if err != nil || err2 != nil {
			id = 0
		}
		ids = append(ids, id)
		return map[string]string{"sealed": text}, nil
	})
	return ids
}

// watchTold is how long WatchKeys is silent after it said that a key cannot be taken up.
const watchTold = time.Minute

// WatchKeys looks every so often whether another process has made a new data key, so that it is here
// before the old one goes. tell hears of every key that was taken up, and why one could not be. It
// returns when ctx ends.
func (s *Store) WatchKeys(ctx context.Context, every time.Duration, tell func(key uint32, err error)) {
	var told time.Time
	for pause(ctx, every) == nil {
		var id uint32
		ok, err := s.one(ctx, `SELECT id FROM secret_keys WHERE active=1 ORDER BY id DESC LIMIT 1`, nil, &id)
		if err != nil || !ok || s.keys.get(id) != nil {
			continue // a database that cannot be read is told by those who need more of it
		}
		_, err = s.keys.find(id)
		if err == nil {
			tell(id, nil)
		} else if time.Since(told) > watchTold {
			told = time.Now()
			tell(id, &amt.Error{Op: "take up data key", Subject: s.path, Err: err, Hint: "start this server again with the key that the database has now"})
		}
	}
}
