package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	oskeyring "github.com/zalando/go-keyring"

	"amtmedic/amt"
	"amtmedic/amt/store/pgtest"
)

// secretRows fills every sealed column with n cells, each with a secret that names its place, and a
// profile with two.
func secretRows(t *testing.T, s *Store, n int) {
	t.Helper()
	err := s.write(t.Context(), func(x *tx) error {
		for i := range n {
			id, u := int64(i+1), fmt.Sprintf("4c4c4544-0058-3910-8059-b7c04f%06x", i)
			cell := func(p place) []byte {
				c, err := x.sealText(amt.NewSecret("secret of "+string(p.aad())), p)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			for _, w := range []struct {
				query string
				args  []any
			}{
				{`INSERT INTO csti_pid_map (id, pid, pps, current_password, admin_password) VALUES (?, ?, ?, ?, ?)`, []any{id, fmt.Sprintf("%08d", i), cell(pairPlace(0, id)), cell(pairPlace(1, id)), cell(pairPlace(2, id))}},
				{`INSERT INTO csti_amts (uuid, ip, first_hello_us, last_hello_us, admin_password, next_password) VALUES (?, '10.0.0.1', 1, 1, ?, ?)`, []any{u, cell(passwordPlace("admin_password", u)), cell(passwordPlace("next_password", u))}},
				{`INSERT INTO csti_authorities (id, kind, key, created_us) VALUES (?, 'own', ?, ?)`, []any{id, cell(authorityPlace(id)), id}},
				{`INSERT INTO csti_certificates (serial, authority_id, purpose, name, der, key, not_before_us, not_after_us, created_us) VALUES (?, ?, 'manager', 'm', ?, ?, 1, 1, 1)`, []any{"ab" + strconv.Itoa(i), id, []byte("der"), cell(certificatePlace("ab" + strconv.Itoa(i)))}},
				{`INSERT INTO csti_client_secrets (uuid, name, value, updated_us) VALUES (?, 'user.op', ?, 1)`, []any{u, cell(place{"csti_client_secrets", "value", u + "/user.op"})}},
			} {
				if err := x.exec(w.query, w.args...); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutProfiles(t.Context(), []ProfileRow{{Name: "fixed", Body: secretBody}}, ""); err != nil {
		t.Fatal(err)
	}
}

// allSecrets reads every cell, checks its text, and gives how many there are under each data key.
func allSecrets(t *testing.T, s *Store) map[uint32]int {
	t.Helper()
	under := map[uint32]int{}
	for _, c := range sealedColumns {
		rows, err := s.read.QueryContext(t.Context(), `SELECT `+c.keys()+`, `+c.column+` FROM `+c.table+` WHERE `+c.column+` IS NOT NULL`)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			cell, err := c.scanCell(rows.Scan)
			if err != nil {
				t.Fatal(err)
			}
			p := c.place(cell.row)
			got, err := s.keys.openText(cell.cell, p)
			if err != nil || !strings.HasPrefix(got.Reveal(), "secret of ") || !strings.HasSuffix(got.Reveal(), string(p.aad())) {
				t.Errorf("%s: %q, %v", c, got.Reveal(), err)
			}
			id, _ := cellKey(cell.cell)
			under[id]++
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if body, ok, err := s.OpenProfile(t.Context(), "fixed"); err != nil || !ok || !sameJSON(body, secretBody) {
		t.Errorf("profile: %v, %v", ok, err)
	}
	raw, _, _ := s.ProfileBody(t.Context(), "fixed")
	for _, id := range bodyKeys(raw) {
		under[id]++
	}
	return under
}

// quick is a rotation with many batches, and no wait for servers.
func quick() RotateOptions { return RotateOptions{Grace: time.Millisecond, batch: 7} }

// A second store on the same database is a server that runs: it goes on reading and writing, and takes
// up the new key by itself.
func TestRotateDataKey(t *testing.T) {
	s := fresh(t)
	secretRows(t, s, 20)
	other := reopen(t, s)
	var shown [][2]int
	o := quick()
	o.Progress = func(done, total int) { shown = append(shown, [2]int{done, total}) }
	out, err := s.RotateDataKey(t.Context(), o)
	if err != nil || out.Key != 2 || out.Resumed || !slices.Equal(out.Removed, []uint32{1}) || out.Kept != nil || out.Unread != nil || out.Cells != 161 {
		t.Fatalf("%+v, %v", out, err)
	}
	if last := shown[len(shown)-1]; last != [2]int{160, 160} {
		t.Errorf("progress ended with %v", last)
	}
	for name, st := range map[string]*Store{"the one that rotated": s, "a server that ran": other, "one that starts": reopen(t, s)} {
		if under := allSecrets(t, st); len(under) != 1 || under[2] != 162 {
			t.Errorf("%s: cells under keys: %v", name, under)
		}
	}
	if _, err := other.ImportKeys(t.Context(), []Pair{{ID: 900, PID: goodPID, PPS: amt.NewSecret(goodPPS)}}); err != nil {
		t.Fatal(err)
	}
	if p, ok, err := s.Key(t.Context(), goodPID); err != nil || !ok || p.PPS.Reveal() != goodPPS {
		t.Errorf("what a server wrote after it: %v, %v", ok, err)
	}
	if again, err := s.RotateDataKey(t.Context(), quick()); err != nil || again.Key != 3 || !slices.Equal(again.Removed, []uint32{2}) {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// reopen opens the database of s once more, as another process does.
func reopen(t *testing.T, s *Store) *Store {
	t.Helper()
	target := s.path
	if s.e.shared {
		target = server.URL(s.path[strings.LastIndexByte(s.path, '/')+1:])
	}
	out, err := Open(t.Context(), target, Options{KeyFile: s.o.KeyFile, Passphrase: s.o.Passphrase})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out
}

// Servers write all the while, with the old key still in their heads: nothing of it is lost, and no
// cell is left under a key that went.
func TestRotateBesideWriters(t *testing.T) {
	s := fresh(t)
	secretRows(t, s, 40)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	last := map[int64]string{}
	for w := range 3 {
		st := reopen(t, s)
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				p := Pair{ID: int64(1000 + w*10 + i%10), PID: amt.PID(fmt.Sprintf("%c%07d", 'A'+w, i%10)), PPS: amt.NewSecret(fmt.Sprintf("%032d", i))}
				if _, err := st.ImportKeys(t.Context(), []Pair{p}); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				mu.Lock()
				last[p.ID] = p.PPS.Reveal()
				mu.Unlock()
			}
		})
	}
	for range 3 {
		if out, err := s.RotateDataKey(t.Context(), quick()); err != nil || len(out.Removed) != 1 || out.Unread != nil {
			t.Errorf("%+v, %v", out, err)
		}
	}
	stop()
	wg.Wait()
	for p, err := range reopen(t, s).Keys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if want, ok := last[p.ID]; ok && p.PPS.Reveal() != want {
			t.Errorf("pair %d: the last PPS that was written is not there", p.ID)
		}
		delete(last, p.ID)
	}
	if len(last) > 0 {
		t.Errorf("%d pairs are missing", len(last))
	}
}

// A cell that cannot be read keeps its key in the database, and is named.
func TestRotateKeepsKeyOfUnreadable(t *testing.T) {
	s := fresh(t)
	secretRows(t, s, 3)
	if err := s.write(t.Context(), func(x *tx) error {
		return x.exec(`UPDATE csti_pid_map SET pps=(SELECT pps FROM csti_pid_map WHERE id=1) WHERE id=2`) // moved by hand
	}); err != nil {
		t.Fatal(err)
	}
	out, err := s.RotateDataKey(t.Context(), quick())
	if err != nil || !slices.Equal(out.Kept, []uint32{1}) || out.Removed != nil || !slices.Equal(out.Unread, []string{"csti_pid_map.pps of row 2"}) {
		t.Errorf("%+v, %v", out, err)
	}
	// it does not keep the next rotation from making a new key, and nothing of key 2 is left
	if out, err = s.RotateDataKey(t.Context(), quick()); err != nil || out.Resumed || out.Key != 3 || !slices.Equal(out.Kept, []uint32{1}) || !slices.Equal(out.Removed, []uint32{2}) {
		t.Errorf("again: %+v, %v", out, err)
	}
}

// A server whose key source no longer opens the database gets the new data key by the old one, in time.
func TestHandover(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.db")
	o := Options{Passphrase: amt.NewSecret("first words")}
	running, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = running.Close() }()
	secretRows(t, running, 2)
	s, err := Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, err := s.RotateKey(t.Context(), KeyTarget{Passphrase: amt.NewSecret("second words")}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	heard := make(chan error, 10)
	go running.WatchKeys(ctx, 10*time.Millisecond, func(key uint32, err error) { heard <- err })
	s.step = func(step string) {
		if step != "cells encrypted" {
			return
		}
		if err := <-heard; err != nil { // it took the new key up before the old one goes
			t.Error(err)
		}
	}
	if _, err := s.RotateDataKey(t.Context(), quick()); err != nil {
		t.Fatal(err)
	}
	s.step = nil
	if under := allSecrets(t, running); under[3] != 0 || under[2] != 18 {
		t.Errorf("%v", under)
	}
	if _, err := s.RotateDataKey(t.Context(), RotateOptions{Grace: time.Millisecond, NoHandover: true}); err != nil {
		t.Fatal(err)
	}
	if err := <-heard; !errors.Is(err, ErrKey) || strings.Contains(err.Error(), "words") {
		t.Errorf("without handover: %v", err)
	}
	if _, err := running.ImportKeys(t.Context(), []Pair{intelPair()}); !errors.Is(err, ErrKey) {
		t.Errorf("a server without the new key writes secrets: %v", err)
	}
	if under := allSecrets(t, s); under[3] != 18 {
		t.Errorf("%v", under)
	}
}

// Every way from one source of the key to another, with what opens the database after it, and what no
// longer does.
func TestRotateKey(t *testing.T) {
	oskeyring.MockInit()
	for _, from := range []string{KeyInFile, KeyByPassphrase, KeyInKeyring} {
		for _, to := range []string{KeyInFile, KeyByPassphrase, KeyInKeyring} {
			if server != nil && !slices.Contains([]string{"file passphrase", "passphrase keyring", "keyring file"}, from+" "+to) {
				continue // each once is enough there
			}
			t.Run(from+" to "+to, func(t *testing.T) { rotateBetween(t, from, to) })
		}
	}
}

func rotateBetween(t *testing.T, from, to string) {
	dir := t.TempDir()
	target, newFile := filepath.Join(dir, "core.db"), ""
	was := Options{KeyFrom: from}
	switch {
	case from == KeyByPassphrase:
		was.Passphrase = amt.NewSecret("first words")
	case server != nil && from == KeyInFile:
		was.KeyFile = filepath.Join(dir, "shared.key")
	}
	if server != nil {
		target = server.URL(server.Database(t))
		if to == KeyInFile && from != KeyInFile {
			newFile = filepath.Join(dir, "new", "shared.key")
		}
	}
	s, err := Open(t.Context(), target, was)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	secretRows(t, s, 2)
	out, err := s.RotateKey(t.Context(), KeyTarget{Kind: to, File: newFile, Passphrase: amt.NewSecret("second words")})
	if err != nil || out.From != from || out.To != to || out.Keys != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	now := Options{KeyFile: out.File, KeyFrom: to}
	if to == KeyByPassphrase {
		now.Passphrase = amt.NewSecret("second words")
	}
	again, err := Open(t.Context(), target, now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if kind, err := again.KeySource(t.Context()); kind != to || err != nil {
		t.Errorf("the key comes from %s, %v", kind, err)
	}
	if under := allSecrets(t, again); under[1] != 18 {
		t.Errorf("%v", under)
	}
	if to == KeyByPassphrase {
		if _, err := Open(t.Context(), target, Options{Passphrase: amt.NewSecret("first words")}); !errors.Is(err, ErrKey) || strings.Contains(err.Error(), "first words") {
			t.Errorf("by the passphrase from before: %v", err)
		}
	}
	if from == KeyInFile && to == KeyInFile {
		before := Options{KeyFile: out.Before}
		if _, err := Open(t.Context(), target, before); !errors.Is(err, ErrKey) {
			t.Errorf("by the key from before: %v", err)
		}
		if keys, err := readKeyFile(out.File); err != nil || len(keys) != 1 {
			t.Errorf("%d keys in the file, %v", len(keys), err)
		}
	}
}

// A key file that another database has too keeps that one's key, and no key from before is written over.
func TestRotateKeyIntoFileOfOthers(t *testing.T) {
	dir := t.TempDir()
	now := func() time.Time { return time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC) }
	others := filepath.Join(dir, "others.key")
	other, err := Open(t.Context(), filepath.Join(dir, "other.db"), Options{KeyFile: others})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	s, err := Open(t.Context(), filepath.Join(dir, "core.db"), Options{KeyFile: filepath.Join(dir, "own.key"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var before []string
	for _, file := range []string{"", "", others} {
		out, err := s.RotateKey(t.Context(), KeyTarget{Kind: KeyInFile, File: file})
		if err != nil || out.Before == "" || slices.Contains(before, out.Before) {
			t.Fatalf("%+v, %v", out, err)
		}
		before = append(before, out.Before)
	}
	for _, name := range []string{"core.db", "other.db"} {
		again, err := Open(t.Context(), filepath.Join(dir, name), Options{KeyFile: others})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = again.Close()
	}
}

// Two names of one key file are one lock.
func TestKeyFileLockBehindLink(t *testing.T) {
	file := filepath.Join(t.TempDir(), "core.key")
	if _, err := makeKeyFile(file); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.key")
	if err := os.Symlink(file, link); err != nil {
		t.Skip(err)
	}
	unlock, err := lockKeyFile(link)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := lockKeyFile(file); !errors.Is(err, ErrChanging) {
		t.Errorf("the file itself: %v", err)
	}
}

// A file with both keys, as a rotation that was cut off leaves it, opens the database before and after.
func TestRotateKeyRefusals(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "core.db")
	s := open(t, path)
	secretRows(t, s, 1)
	if _, err := s.RotateKey(t.Context(), KeyTarget{Kind: "pocket"}); err == nil {
		t.Error("a place that is none was taken")
	}
	if _, err := s.RotateKey(t.Context(), KeyTarget{Kind: KeyByPassphrase}); err == nil {
		t.Error("no passphrase was taken")
	}
	unlock, err := lockKeyFile(path + ".key")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RotateKey(t.Context(), KeyTarget{}); !errors.Is(err, ErrChanging) {
		t.Errorf("beside another one: %v", err)
	}
	unlock()
	other := filepath.Join(dir, "other.key")
	if err := os.WriteFile(other, []byte("no key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RotateKey(t.Context(), KeyTarget{Kind: KeyInFile, File: other}); err == nil {
		t.Error("a file with something else was written over")
	}
	look, err := OpenExisting(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = look.Close() }()
	if _, err := look.RotateKey(t.Context(), KeyTarget{}); !errors.Is(err, ErrDenied) {
		t.Errorf("read-only: %v", err)
	}
	if under := allSecrets(t, open(t, path)); under[1] != 10 {
		t.Errorf("after all that: %v", under)
	}
}

// TestRotateVictim is the process that TestRotateKilled kills: it ends itself at the step whose number
// is in the environment.
func TestRotateVictim(t *testing.T) {
	at, err := strconv.Atoi(os.Getenv("AMTMEDIC_KILL_STEP"))
	if err != nil {
		t.Skip("it runs inside TestRotateKilled")
	}
	s, err := Open(t.Context(), os.Getenv("AMTMEDIC_KILL_DB"), Options{KeyFile: os.Getenv("AMTMEDIC_KILL_KEY"), Passphrase: amt.NewSecret(os.Getenv("AMTMEDIC_KILL_WORDS"))})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	s.step = func(step string) {
		if n++; n == at {
			fmt.Println("killed at:", step)
			p, _ := os.FindProcess(os.Getpid())
			_ = p.Kill()
			select {}
		}
	}
	if os.Getenv("AMTMEDIC_KILL_WHAT") == "data" {
		_, err = s.RotateDataKey(t.Context(), quick())
	} else {
		_, err = s.RotateKey(t.Context(), KeyTarget{Kind: os.Getenv("AMTMEDIC_KILL_WHAT"), Passphrase: amt.NewSecret("second words")})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A rotation that is killed at any of its steps leaves everything readable, and the next one ends it.
func TestRotateKilled(t *testing.T) {
	for _, what := range []string{"data", KeyInFile, KeyByPassphrase} {
		t.Run(what, func(t *testing.T) {
			by := 1
			if what == "data" && os.Getenv("AMTMEDIC_LONG") != "1" {
				by = 4 // its steps are many, and alike
			}
			for step := 1; killAt(t, what, step); step += by {
				if step > 60 {
					t.Fatal("it has no end")
				}
			}
		})
	}
}

// killAt gives false when the rotation has fewer steps.
func killAt(t *testing.T, what string, step int) bool {
	dir := t.TempDir()
	target := filepath.Join(dir, "core.db")
	key := filepath.Join(dir, "core.key")
	if server != nil {
		target = server.URL(server.Database(t))
	}
	s, err := Open(t.Context(), target, Options{KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	secretRows(t, s, 8)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestRotateVictim$", "-test.v")
	cmd.Env = append(os.Environ(), "AMTMEDIC_KILL_STEP="+strconv.Itoa(step), "AMTMEDIC_KILL_DB="+target, "AMTMEDIC_KILL_KEY="+key, "AMTMEDIC_KILL_WHAT="+what)
	out, err := cmd.CombinedOutput()
	killed := strings.Contains(string(out), "killed at:")
	if killed != (err != nil) {
		t.Fatalf("step %d: %v\n%s", step, err, out)
	}
	s, err = Open(t.Context(), target, Options{KeyFile: key, Passphrase: amt.NewSecret("second words")})
	if err != nil {
		t.Fatalf("step %d: %v\n%s", step, err, out)
	}
	defer func() { _ = s.Close() }()
	if allSecrets(t, s); t.Failed() {
		t.Fatalf("after the kill at step %d\n%s", step, out)
	}
	if what == "data" {
		if got, err := s.RotateDataKey(t.Context(), quick()); err != nil || killed != got.Resumed && len(got.Removed) != 1 {
			t.Errorf("step %d, the next one: %+v, %v", step, got, err)
		}
	} else if _, err := s.RotateKey(t.Context(), KeyTarget{Kind: what, Passphrase: amt.NewSecret("third words")}); err != nil {
		t.Errorf("step %d, the next one: %v", step, err)
	}
	allSecrets(t, s)
	return killed
}

// A column of bytes is sealed, and rotation knows it, or it is named here as clear.
func TestEveryBlobIsKnown(t *testing.T) {
	s := fresh(t)
	clear := []string{"csti_certificates.der", "secret_keys.wrapped"}
	var found []string
	for _, c := range columnsOf(t, s) {
		if c.bytes && !slices.Contains(clear, c.name) {
			found = append(found, c.name)
		}
	}
	var known []string
	for _, c := range sealedColumns {
		known = append(known, c.String())
	}
	slices.Sort(found)
	slices.Sort(known)
	if !slices.Equal(found, known) {
		t.Errorf("columns of bytes: %v\nsealed columns: %v\na new column belongs into sealedColumns, or here when it is clear", found, known)
	}
	err := s.write(t.Context(), func(x *tx) error {
		_, err := x.sealText(amt.NewSecret("x"), place{"csti_amts", "fqdn", "1"})
		return err
	})
	if err == nil {
		t.Error("a secret was sealed for a column that rotation does not know")
	}
}

type schemaColumn struct {
	name  string // table.column
	bytes bool
}

// columnsOf lists the columns of the database.
func columnsOf(t *testing.T, s *Store) (out []schemaColumn) {
	t.Helper()
	query := `SELECT m.name || '.' || c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type='table' AND m.name NOT LIKE 'sqlite_%'`
	if s.e.shared {
		query = `SELECT table_name || '.' || column_name, data_type FROM information_schema.columns WHERE table_schema=current_schema()`
	}
	rows, err := s.read.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c schemaColumn
		var kind sql.NullString
		if err := rows.Scan(&c.name, &kind); err != nil {
			t.Fatal(err)
		}
		c.bytes = slices.Contains([]string{"BLOB", "bytea"}, kind.String)
		out = append(out, c)
	}
	if err := rows.Err(); err != nil || len(out) < 50 {
		t.Fatalf("%d columns, %v", len(out), err)
	}
	return out
}

// Rotation holds for PostgreSQL as it does for SQLite.
func TestRotateOnPostgres(t *testing.T) {
	server = pgtest.Start(t)
	defer func() { server = nil }()
	for name, test := range map[string]func(*testing.T){
		"data key": TestRotateDataKey, "beside writers": TestRotateBesideWriters, "unreadable": TestRotateKeepsKeyOfUnreadable,
		"key": TestRotateKey, "columns": TestEveryBlobIsKnown,
	} {
		t.Run(name, test)
	}
	if os.Getenv("AMTMEDIC_LONG") == "1" {
		t.Run("killed", TestRotateKilled)
	}
}
