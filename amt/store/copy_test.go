package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"amtmedic/amt"
	"amtmedic/amt/store/pgtest"
)

// everyTable puts rows into every table that is copied.
func everyTable(t *testing.T, s *Store) {
	t.Helper()
	secretRows(t, s, 5)
	if err := s.write(t.Context(), func(x *tx) error {
		u := "4c4c4544-0058-3910-8059-b7c04f000000"
		for _, q := range []string{
			`INSERT INTO csti_uuid_maps (uuid, fqdn, profile_id, ad_ou, source, updated_us) SELECT '` + u + `', 'pc.corp.example', id, NULL, 'import', 1 FROM csti_profiles WHERE name='fixed'`,
			`UPDATE csti_amts SET profile_id=(SELECT id FROM csti_profiles WHERE name='fixed'), fqdn='pc.corp.example' WHERE uuid='` + u + `'`,
			`UPDATE csti_authorities SET active=1, certs='-----BEGIN' WHERE id=5`,
			`UPDATE csti_configuration SET value='600' WHERE name='retry_s'`,
			`INSERT INTO csto_queue_entries (uuid, kind, enqueued_us, claimed_by, lease_us) VALUES ('` + u + `', 2, 1, 'core-1', 2)`,
			`INSERT INTO csto_delayed_entries (uuid, kind, attempts, due_us, reason) VALUES ('4c4c4544-0058-3910-8059-b7c04f000001', 2, 1, 9, 'rc-pid-unknown: failed to find PID mapping')`,
			`INSERT INTO csto_steps (uuid, step, at_us) VALUES ('` + u + `', 'clock', 5)`,
			`INSERT INTO csto_maintenance (uuid, kind, at_us, outcome) VALUES ('` + u + `', 12, 5, 'done')`,
			`INSERT INTO csti_history (uuid, at_us, event, fqdn, detail) VALUES ('` + u + `', 5, 'named', 'pc', 'a "quote", and <html> & ümläut')`,
			`INSERT INTO csti_audit (at_us, who, address, action, object, was, becomes) VALUES (5, 'c', '', 'put', 'x', '', 'y')`,
			`INSERT INTO csti_log (at_us, uuid, severity, code, detail) VALUES (7, NULL, 0, 'same', 'twice'), (7, NULL, 0, 'same', 'twice')`,
			`INSERT INTO web_tokens (name, role, hash, created_us) VALUES ('console', 'read', 'abcd', 1)`,
		} {
			if err := x.exec(q); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// plainLines are the lines of a copy without its head, and without numbers that mean nothing.
func plainLines(t *testing.T, s *Store) (out []string) {
	t.Helper()
	var b bytes.Buffer
	sum := Exported{Rows: map[string]int{}}
	if err := s.export(t.Context(), &b, &sum); err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		var l portableLine
		if i == 0 || json.Unmarshal([]byte(line), &l) != nil {
			continue
		}
		for _, p := range portableTables {
			if p.name == l.Table && p.free {
				delete(l.Row, "id")
			}
		}
		if l.Table == "csti_log" && slices.Contains([]any{"import", "tls-mode"}, l.Row["code"]) || l.End != nil {
			continue // of the import itself
		}
		text, _ := json.Marshal(l)
		out = append(out, string(text))
	}
	return out
}

var copyWords = amt.NewSecret("copy words")

// copyOf seals a copy of s by a passphrase.
func copyOf(t *testing.T, s *Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Export(t.Context(), &b, Sealing{Passphrase: copyWords, work: 8}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func from(b []byte) CopySource {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// A copy that was taken into a new database is that database; taken again, it changes nothing.
func TestCopyIsTheDatabase(t *testing.T) {
	s := fresh(t)
	everyTable(t, s)
	b := copyOf(t, s)
	for _, secret := range []string{"secret of", "csti_pid_map", "pc.corp.example"} {
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("%q stands in the file", secret)
		}
	}
	to := fresh(t)
	o := Opening{Passphrase: copyWords}
	plan, err := PlanCopy(t.Context(), to, from(b), o)
	if err != nil || !plan.Fresh || plan.Total.New == 0 || plan.Total.Conflicts != 0 || len(plan.Notes) != 0 {
		t.Fatalf("%+v, %v", plan, err)
	}
	if lines := plainLines(t, to); len(lines) > 30 {
		t.Errorf("a plan wrote: %d lines", len(lines))
	}
	for i := range plan.Tables {
		if plan.Tables[i].rows() == 0 {
			t.Errorf("%s is empty in this test", plan.Tables[i].Table)
		}
	}
	missing, err := PlanCopy(t.Context(), nil, from(b), o)
	if err != nil || missing.Total.rows() != plan.Total.rows() {
		t.Errorf("into no database: %+v, %v", missing.Total, err)
	}
	var steps []int
	got, err := to.ImportCopy(t.Context(), from(b), o, func(done, total int) { steps = append(steps, done, total) })
	if err != nil || got.Total != plan.Total {
		t.Fatalf("%+v, %v; planned %+v", got.Total, err, plan.Total)
	}
	if n := len(steps); n == 0 || steps[n-1] != steps[n-2] {
		t.Errorf("progress %v", steps)
	}
	want, have := plainLines(t, s), plainLines(t, to)
	if d := differing(want, have); d != "" {
		t.Errorf("not the same: %s", d)
	}
	if under := allSecrets(t, to); under[1] == 0 {
		t.Errorf("%v", under)
	}
	again, err := to.ImportCopy(t.Context(), from(b), o, nil)
	if err != nil || again.Total.Same != again.Total.rows() {
		t.Errorf("again: %+v, %v\n%v", again.Total, err, again.Conflicts)
	}
}

// differing names the first line in which two copies differ: queue entries lose who had them.
func differing(want, have []string) string {
	for i := range min(len(want), len(have)) {
		if want[i] != have[i] {
			return want[i] + "\n" + have[i]
		}
	}
	if len(want) != len(have) {
		return fmt.Sprintf("%d lines, then %d", len(want), len(have))
	}
	return ""
}

// What is here stays, rows with a number that is taken get another, and what points to them follows.
func TestCopyMeetsRows(t *testing.T) {
	s := fresh(t)
	everyTable(t, s)
	b := copyOf(t, s)
	to := fresh(t)
	if _, err := to.PutProfiles(t.Context(), []ProfileRow{{Name: "other", Body: `{"tls":"off"}`}, {Name: "third", Body: `{"tls":"off"}`}}, ""); err != nil {
		t.Fatal(err)
	}
	mine := amt.NewSecret("11111111111111111111111111111111")
	if _, err := to.ImportKeys(t.Context(), []Pair{{ID: 1, PID: goodPID, PPS: mine}, {ID: 2, PID: "00000000", PPS: mine}}); err != nil {
		t.Fatal(err)
	}
	if _, err := to.AddAuthority(t.Context(), Authority{Kind: "own", Key: amt.NewSecret("mine"), Active: true}); err != nil {
		t.Fatal(err)
	}
	if err := to.write(t.Context(), func(x *tx) error {
		return errors.Join(x.exec(`INSERT INTO csto_delayed_entries (uuid, kind, attempts, due_us, reason) VALUES ('4c4c4544-0058-3910-8059-b7c04f000000', 2, 1, 9, 'mine')`),
			x.exec(`INSERT INTO web_tokens (name, role, hash, created_us) VALUES ('mine', 'read', 'abcd', 1)`))
	}); err != nil {
		t.Fatal(err)
	}
	plan, err := PlanCopy(t.Context(), to, from(b), Opening{Passphrase: copyWords})
	if err != nil || plan.Fresh {
		t.Fatalf("%+v, %v", plan, err)
	}
	got, err := to.ImportCopy(t.Context(), from(b), Opening{Passphrase: copyWords}, nil)
	if err != nil || got.Total != plan.Total {
		t.Fatalf("%+v, %v; planned %+v", got.Total, err, plan.Total)
	}
	var words []string
	for _, c := range got.Conflicts {
		words = append(words, c.Where+" "+c.Text)
	}
	for _, want := range []string{"csti_configuration retry_s", "csti_pid_map 00000000: here with another pps", "csto_queue_entries 4c4c4544-0058-3910-8059-b7c04f000000: its client has an entry", "web_tokens console: here under another name"} {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, want) }) {
			t.Errorf("no conflict %q in %q", want, words)
		}
	}
	if p, ok, err := to.Key(t.Context(), goodPID); !ok || err != nil || !p.PPS.Equal(mine) {
		t.Errorf("the pair that was here: %v, %v", ok, err)
	}
	var profile string
	if _, err := to.one(t.Context(), `SELECT p.name FROM csti_uuid_maps m JOIN csti_profiles p ON p.id=m.profile_id`, nil, &profile); err != nil || profile != "fixed" {
		t.Errorf("the map names %q, %v", profile, err)
	}
	var n int
	if _, err := to.one(t.Context(), `SELECT count(*) FROM csti_certificates c JOIN csti_authorities a ON a.id=c.authority_id WHERE a.created_us<10`, nil, &n); err != nil || n != 5 {
		t.Errorf("%d certificates have their authority, %v", n, err)
	}
	in, err := Inspect(t.Context(), targetOf(to), Options{KeyFile: to.o.KeyFile})
	if err != nil || len(in.Undone) > 0 || in.Opened != in.Cells {
		t.Errorf("after it: %+v, %v", in, err)
	}
}

// targetOf is what opens the database of s.
func targetOf(s *Store) string {
	if s.e.shared {
		return server.URL(s.path[strings.LastIndexByte(s.path, '/')+1:])
	}
	return s.path
}

// A file that is cut off anywhere, changed, or of something else is refused with the place, and nothing is written.
func TestCopyRefusals(t *testing.T) {
	s := fresh(t)
	everyTable(t, s)
	secretText := strings.Repeat("x", 200)
	for i := range 1000 { // more than two parts of 64 KiB
		if err := s.AppendLog(t.Context(), LogRow{Code: "fill", Text: fmt.Sprint(i, secretText)}); err != nil {
			t.Fatal(err)
		}
	}
	b := copyOf(t, s)
	flip := func(i int) []byte { c := bytes.Clone(b); c[i] ^= 1; return c }
	text := func(lines ...string) []byte {
		var out bytes.Buffer
		r, _ := Sealing{Passphrase: copyWords, work: 8}.recipients()
		w, err := age.Encrypt(&out, r...)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n")
		_ = w.Close()
		return out.Bytes()
	}
	head := `{"copy":"amtmedic database","format":1,"schema":1,"from":"sqlite","made":""}`
	to := fresh(t)
	before := plainLines(t, to)
	type refusal struct {
		name, code string
		file       []byte
		o          Opening
		least      int64
	}
	right := Opening{Passphrase: copyWords}
	all := []refusal{
		{"another passphrase", "sealed", b, Opening{Passphrase: amt.NewSecret("other words")}, 0},
		{"no passphrase", "sealed", b, Opening{}, 0},
		{"identities that are none", "sealed", b, Opening{Identities: amt.NewSecret("AGE-SECRET-KEY-1XYZ")}, 0},
		{"no age file", "no-copy", bytes.Repeat([]byte("words\n"), 2000), right, 0},
		{"empty", "truncated", nil, right, 0},
		{"changed in the middle", "damaged", flip(len(b) / 2), right, int64(len(b) / 2)},
		{"changed at the end", "truncated", flip(len(b) - 1), right, int64(len(b))},
		{"other text", "damaged", text("hello"), right, 1},
		{"other JSON", "no-copy", text(`{"copy":"x"}`), right, 1},
		{"newer form", "newer", text(strings.Replace(head, `"format":1`, `"format":2`, 1)), right, 1},
		{"newer tables", "newer", text(strings.Replace(head, `"schema":1`, `"schema":999999`, 1)), right, 1},
		{"no end", "truncated", text(head), right, 1},
		{"a row too few", "damaged", text(head, `{"end":{"csti_amts":1}}`), right, 1},
		{"more after the end", "damaged", text(head, `{"end":{}}`, `{}`), right, 1},
		{"unknown table", "newer", text(head, `{"table":"x","row":{"a":1}}`, `{"end":{"x":1}}`), right, 1},
		{"unknown column", "newer", text(head, `{"table":"csto_steps","row":{"uuid":"u","step":"s","at_us":1,"more":1}}`, `{"end":{"csto_steps":1}}`), right, 1},
		{"text for a number", "damaged", text(head, `{"table":"csto_steps","row":{"uuid":"u","step":"s","at_us":"1"}}`, `{"end":{"csto_steps":1}}`), right, 1},
		{"clear for sealed", "damaged", text(head, `{"table":"csti_pid_map","row":{"id":1,"pid":"0000037M","pps":"words"}}`, `{"end":{"csti_pid_map":1}}`), right, 1},
		{"no key", "damaged", text(head, `{"table":"csto_steps","row":{"uuid":"u"}}`, `{"end":{"csto_steps":1}}`), right, 1},
	}
	for _, n := range []int{1, 100, 166, len(b) / 3, len(b) / 2, len(b) - 17, len(b) - 16, len(b) - 1} {
		all = append(all, refusal{fmt.Sprintf("cut off at %d", n), "truncated", b[:n], right, int64(n)})
	}
	for _, c := range all {
		_, err := to.ImportCopy(t.Context(), from(c.file), c.o, nil)
		var ce *CopyError
		if !errors.As(err, &ce) || ce.Code != c.code || ce.Offset < c.least || ce.Offset > int64(len(c.file)) {
			t.Errorf("%s: %v (%+v)", c.name, err, ce)
		}
		if err != nil && (strings.Contains(err.Error(), "words") || strings.Contains(err.Error(), "XYZ")) {
			t.Errorf("%s: a secret in %v", c.name, err)
		}
	}
	if d := differing(before, plainLines(t, to)); d != "" {
		t.Errorf("something was written: %s", d)
	}
	if err := (Sealing{}).Check(); err == nil {
		t.Error("a copy that nobody could open")
	}
	if err := (Sealing{Passphrase: copyWords, Recipients: []string{"age1x"}}).Check(); err == nil {
		t.Error("both")
	}
}

// The age program opens our file, and we open one that it made, armoured too; in between anybody can look at the lines.
func TestCopyWithAge(t *testing.T) {
	for _, name := range []string{"age", "age-keygen"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(name + " is missing: it opens and makes the files")
		}
	}
	dir := t.TempDir()
	run := func(stdin []byte, args ...string) []byte {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = bytes.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, stderr.String())
		}
		return out
	}
	identity := filepath.Join(dir, "identity.txt")
	run(nil, "age-keygen", "-o", identity)
	recipient := strings.TrimSpace(string(run(nil, "age-keygen", "-y", identity)))
	s := fresh(t)
	everyTable(t, s)
	var b bytes.Buffer
	sum, err := s.Export(t.Context(), &b, Sealing{Recipients: []string{recipient}})
	if err != nil {
		t.Fatal(err)
	}
	plain := run(b.Bytes(), "age", "--decrypt", "-i", identity)
	if got := bytes.Count(plain, []byte("\n")); got != sum.Total+2 || !bytes.HasPrefix(plain, []byte(`{"copy":"amtmedic database","format":1,`)) {
		t.Errorf("age gives %d lines of %d rows: %.80s", got, sum.Total, plain)
	}
	text, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"binary": {"age", "-r", recipient}, "armoured": {"age", "-a", "-r", recipient}} {
		sealed := run(plain, args...)
		to := fresh(t)
		if _, err := to.ImportCopy(t.Context(), from(sealed), Opening{Identities: amt.NewSecret(string(text))}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := differing(plainLines(t, s), plainLines(t, to)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if _, err := to.ImportCopy(t.Context(), from(sealed[:len(sealed)*2/3]), Opening{Identities: amt.NewSecret(string(text))}, nil); err == nil {
			t.Errorf("%s, cut off: it was taken", name)
		}
	}
}

// The log row of a first hello in another database is found by its client where it had another first hello.
func TestCopyOfAnotherFirstHello(t *testing.T) {
	u, at := amt.UUID{3}, time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)
	there := freshAt(t, Options{Now: func() time.Time { return at }})
	s := freshAt(t, Options{Now: func() time.Time { return at.Add(time.Hour) }})
	record(t, there, Hello{Version: 3, UUID: u})
	record(t, s, Hello{Version: 3, UUID: u})
	b := copyOf(t, there)
	for again := range 2 {
		plan, err := s.ImportCopy(t.Context(), from(b), Opening{Passphrase: copyWords}, nil)
		if err != nil || plan.Total.New != 1-again {
			t.Fatalf("%+v, %v", plan.Total, err)
		}
		if rows, err := s.Log(t.Context(), u, 10); err != nil || len(rows) != 2 {
			t.Errorf("its log: %q, %v", texts(rows), err)
		}
	}
}

// A copy from before queues no client that was provisioned, or retired, since.
func TestCopyOfOldEntries(t *testing.T) {
	s := fresh(t)
	done, retired := amt.UUID{3, 1}, amt.UUID{3, 2}
	for _, u := range []amt.UUID{done, retired} {
		record(t, s, Hello{Version: 3, UUID: u})
	}
	b := copyOf(t, s)
	jobs, err := s.Claim(t.Context(), "w", 2, time.Minute)
	if err != nil || len(jobs) != 2 {
		t.Fatal(jobs, err)
	}
	for _, j := range jobs {
		if err := s.Finish(t.Context(), j, Done{Text: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Retire(t.Context(), retired, true, ""); err != nil {
		t.Fatal(err)
	}
	if jobs, err = s.Claim(t.Context(), "w", 2, time.Minute); err != nil || len(jobs) != 1 {
		t.Fatal(jobs, err)
	}
	if err := s.FinishMaintenance(t.Context(), jobs[0], Maintained{}); err != nil {
		t.Fatal(err)
	}
	plan, err := s.ImportCopy(t.Context(), from(b), Opening{Passphrase: copyWords}, nil)
	if err != nil || plan.Total.New != 0 {
		t.Errorf("%+v, %v", plan.Total, err)
	}
	if stats, err := s.QueueStats(t.Context()); err != nil || stats.Queued != 0 {
		t.Errorf("%+v, %v: %v", stats, err, plan.Conflicts)
	}
}

// Audit rows are met by their time, of which several may have the same.
func TestCopyOfAudit(t *testing.T) {
	there, s := fresh(t), fresh(t)
	for _, q := range []string{
		`INSERT INTO csti_audit (at_us, who, address, action, object, was, becomes) VALUES (5, 'c', '', 'put', 'x', '', 'y'), (6, 'c', '', 'put', 'x', '', 'y'), (5, 'c', '', 'drop', 'x', '', 'y')`,
		`INSERT INTO csti_audit (at_us, who, address, action, object, was, becomes) VALUES (5, 'c', '', 'list', 'x', '', 'y'), (7, 'c', '', 'put', 'x', '', 'y')`,
	} {
		for _, db := range []*Store{there, s} {
			if db == s && strings.Contains(q, "list") {
				continue
			}
			if err := db.write(t.Context(), func(x *tx) error { return x.exec(q) }); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := copyOf(t, there)
	for _, want := range []CopyTable{{Table: "csti_audit", New: 2, Same: 3}, {Table: "csti_audit", Same: 5}} {
		plan, err := s.ImportCopy(t.Context(), from(b), Opening{Passphrase: copyWords}, nil)
		if err != nil || !slices.Contains(plan.Tables, want) {
			t.Errorf("%+v, %v", plan.Tables, err)
		}
	}
}

// From SQLite to PostgreSQL and back nothing changes.
func TestCopyBetweenDatabases(t *testing.T) {
	s := fresh(t)
	everyTable(t, s)
	want := plainLines(t, s)
	b := copyOf(t, s)
	server = pgtest.Start(t)
	defer func() { server = nil }()
	pg := fresh(t)
	if _, err := pg.ImportCopy(t.Context(), from(b), Opening{Passphrase: copyWords}, nil); err != nil {
		t.Fatal(err)
	}
	if d := differing(want, plainLines(t, pg)); d != "" {
		t.Errorf("in PostgreSQL: %s", d)
	}
	allSecrets(t, pg)
	b = copyOf(t, pg)
	t.Run("on PostgreSQL", TestCopyIsTheDatabase)
	t.Run("meets rows", TestCopyMeetsRows)
	t.Run("another first hello", TestCopyOfAnotherFirstHello)
	t.Run("old entries", TestCopyOfOldEntries)
	t.Run("audit", TestCopyOfAudit)
	server = nil
	back := fresh(t)
	if _, err := back.ImportCopy(t.Context(), from(b), Opening{Passphrase: copyWords}, nil); err != nil {
		t.Fatal(err)
	}
	if d := differing(want, plainLines(t, back)); d != "" {
		t.Errorf("back in SQLite: %s", d)
	}
}

// Every table is copied, or stands here with the reason why not.
func TestEveryTableIsCopied(t *testing.T) {
	not := map[string]string{"secret_keys": "a copy has its own seal", "servers": "who runs now", "goose_db_version": "the head of a copy has it"}
	s := fresh(t)
	seen := map[string]bool{}
	for _, c := range columnsOf(t, s) {
		table, _, _ := strings.Cut(c.name, ".")
		seen[table] = true
		if not[table] == "" && !slices.Contains(portableNames(), table) {
			t.Errorf("%s is not copied: it belongs into portableTables, or here with the reason", table)
			not[table] = "told"
		}
	}
	for _, n := range portableNames() {
		if !seen[n] {
			t.Errorf("%s is copied, and does not exist", n)
		}
	}
}
