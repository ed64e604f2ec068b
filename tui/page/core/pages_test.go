package core

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
	"amtmedic/amt/store/storetest"
	"amtmedic/tui/page"
)

func TestClients(t *testing.T) {
	d := drive(t, full, "clients").want("Clients 10,000", "Queue 2,000", "Delayed 2,000", "1 of 10,000", "▸ ✓ provisioned", storetest.UUID(0).String())
	d.keys("end").want("10,000 of 10,000", storetest.UUID(many-1).String())
	d.keys("home", "pgdown", "pgdown").want("23 of 10,000")
	d.keys("home", "v").want("only delayed", "2,000 found", "▸ ! delayed").lacks("✓ provisioned")
	d.keys("v").want("only in-progress", "8 found", "1 of 8").keys("v", "v", "v").lacks("only")
	d.keys("/", "type:PC-0077").want("10 found", "1 of 10", "/ PC-0077")
	d.keys("type:x").want("No client fits", "0 found").keys("esc").want("1 of 10,000")
}

// Every page works with many rows: it is read to its end and back, searched, and keeps to its size.
func TestEveryPage(t *testing.T) {
	for name, end := range map[string]string{"clients": "10,000 of 10,000", "queue": "2,000 of 2,000", "delayed": "2,000 of 2,000", "keys": "10,000 of 10,000", "serverlog": "following", "settings": "15 settings"} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, full, name)
			if d.p.Name() != name {
				t.Errorf("the page is called %s", d.p.Name())
			}
			d.keys("end").want(end)
			d.keys("home", "pgdown", "pgdown", "down", "up", "pgup").fits()
			for _, size := range [][2]int{{1, 1}, {10, 3}, {60, 11}, {80, 20}, {131, 16}, {200, 46}} {
				d.p.SetSize(size[0], size[1])
				d.fits()
				d.keys("down", "enter").fits()
				d.keys("esc")
			}
			for range 6 {
				d.keys("tab").fits()
			}
			if d.p.Name() != name {
				t.Errorf("six times tab ends at %s", d.p.Name())
			}
		})
	}
}

func TestQueueAndDelayed(t *testing.T) {
	d := drive(t, full, "queue").want("◐ working", "core-1", "attempts")
	d.keys("/", "type:4c4c4544-0007").want("1 of 1")
	d = drive(t, full, "delayed").want("rc-script-error", "due", "2026-11-25 09:00:28")
	d.keys("x")
	if g, ok := d.sent[len(d.sent)-1].(page.Goto); !ok || g.Name != "explain" || g.Arg != "rc-script-error" {
		t.Errorf("x asks for %+v", d.sent)
	}
}

func TestPromote(t *testing.T) {
	path := copied(t)
	d := drive(t, path, "delayed")
	first := d.selected()
	d.keys("r").want("Look at the client again now", "waits for   rc-script-error", "undo")
	d.keys("type:no", "enter").want("nothing is done yet").keys("esc").want("Delayed 2,000")
	d.keys("r", "type:yes", "enter").want("✓ done: the client is in the queue", "Delayed 1,999", "Queue 2,001").keys("enter")
	if d.selected() == first {
		t.Errorf("it is delayed still: %s", first)
	}
	// One that went to the queue by itself meanwhile.
	d.keys("r")
	u := storetest.UUID(49)
	change(t, path, func(st *store.Store) error { _, err := st.PromoteNow(t.Context(), u, "test"); return err })
	d.keys("type:yes", "enter").want("not delayed any more").lacks("done:")
}

func TestOneClient(t *testing.T) {
	d := drive(t, full, "clients").keys("down", "down", "down", "down", "down", "down", "down", "down", "enter")
	d.want("pc-00008.corp.example", "! delayed", "rc-pid-unknown: failed to find PID mapping", "in the UUID map by import", "in the PID map, unused", "password    not shown", "Log, the newest row first")
	d.keys("y", "esc").want("Clients 10,000", "9 of 10,000")
	if c, ok := d.sent[len(d.sent)-1].(page.Copy); !ok || !strings.Contains(c.Text, "rc-pid-unknown") {
		t.Errorf("copied %+v", d.sent)
	}
	d = drive(t, full, "clients")
	d.run(d.p.Open(storetest.UUID(9).String()))
	d.want("FQDN        not known", "Remote Configuration (PKI)")
	d.run(d.p.Open("4c4c4544-ffff-4310-8059-b7c04fffffff"))
	d.want("it never said hello")
	d.run(d.p.Open("no uuid"))
	if d.note() == "" {
		t.Error("what is no UUID is taken without a word")
	}
}

// The password is shown after the word only, for a while, and never in a copy.
func TestReveal(t *testing.T) {
	path, secret := copied(t), "Tr0ub4dor&3xyz!!"
	var u amt.UUID
	change(t, path, func(st *store.Store) error {
		jobs, err := st.Claim(t.Context(), "w", 1, time.Minute)
		if err != nil || len(jobs) != 1 {
			return fmt.Errorf("claim: %d, %w", len(jobs), err)
		}
		u = jobs[0].UUID
		return st.Finish(t.Context(), jobs[0], store.Done{FQDN: "pc.corp.example", Version: "3.2.1", Profile: "default", Password: amt.NewSecret(secret), Text: "configuration finished"})
	})
	d := drive(t, path, "clients")
	d.run(d.p.Open(u.String()))
	d.keys("p", "enter").want("nothing is done yet").lacks(secret)
	d.keys("esc").lacks(secret).keys("p", "type:yes", "enter").want(secret, "verified by a log-in")
	d.keys("y")
	if c, ok := d.sent[len(d.sent)-1].(page.Copy); !ok || strings.Contains(c.Text, secret) {
		t.Errorf("copied %+v", d.sent)
	}
	d.again().want(secret)
	d.clock = d.clock.Add(revealed)
	d.again().lacks(secret)
	d.keys("p", "type:yes", "enter").want(secret).keys("p").lacks(secret)
	d.keys("p", "type:yes", "enter").want(secret).keys("esc", "tab", "tab").lacks(secret)
	d.run(d.p.Open(u.String()))
	d.lacks(secret)
	d.p.env.Hidden = true
	d.keys("p").lacks("Type yes")
	if !strings.Contains(d.note(), "names are hidden") {
		t.Errorf("note %q", d.note())
	}
	d.p.env.Hidden = false
	d.run(d.p.Open(storetest.UUID(0).String()))
	d.keys("p", "type:yes", "enter").want("has set no password")
}

// No page shows a PPS, and neither does the preview of an import.
func TestNoPPS(t *testing.T) {
	path := copied(t)
	var pairs []keys.Row
	st, err := store.OpenExisting(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for p, err := range st.Keys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if pairs = append(pairs, keys.Row{Pair: keys.Pair{PID: p.PID, PPS: p.PPS}, ID: p.ID, Used: p.Used}); len(pairs) == 30 {
			break
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	d := driveAt(t, path, "keys", 200, 46)
	frames := d.frame()
	d.keys("enter")
	frames += d.frame()
	d.keys("esc", "i", "type:"+keyFileOf(t, pairs), "enter")
	frames += d.frame()
	for _, p := range pairs {
		if pps := p.PPS.Reveal(); strings.Contains(frames, pps) || strings.Contains(frames, pps[:8]) || strings.Contains(frames, p.Dashed()) {
			t.Errorf("the PPS of %s is on the screen", p.PID)
		}
		if !strings.Contains(frames, p.PID.Dashed()) {
			t.Errorf("PID %s is not on the screen", p.PID)
		}
	}
}

func keyFileOf(t *testing.T, rows []keys.Row) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "oem.csv")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.WriteCSV(f, rows); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestImport(t *testing.T) {
	path := copied(t)
	st, err := store.OpenExisting(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var have []store.Pair
	for p, err := range st.Keys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if have = append(have, p); len(have) == 3 {
			break
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	fresh, err := keys.Generate(zeros{})
	if err != nil {
		t.Fatal(err)
	}
	row := func(id int64, p keys.Pair, used bool) keys.Row { return keys.Row{ID: id, Pair: p, Used: used} }
	file := keyFileOf(t, []keys.Row{
		row(20_001, fresh, false),
		row(have[0].ID, keys.Pair{PID: have[0].PID, PPS: have[0].PPS}, have[0].Used),
		row(have[1].ID, keys.Pair{PID: have[1].PID, PPS: fresh.PPS}, have[1].Used),
		row(20_002, keys.Pair{PID: have[2].PID, PPS: have[2].PPS}, false),
		row(20_003, fresh, false),
	})
	d := driveAt(t, path, "keys", 100, 40).keys("i").want("Import keys into the PID map")
	d.keys("enter").want("type the path").keys("type:"+file+".not", "enter").want("no such file").keys("backspace", "backspace", "backspace", "backspace", "enter")
	d.want("new         1 pairs", "the same    1 pairs", "replaces    1 rows", "conflicts   1 pairs", "unfit       1 lines",
		have[1].PID.Dashed()+" gets another PPS", have[2].PID.Dashed()+" stands in the map under id 3", "Keys 10,000")
	d.keys("enter").want("nothing is done yet", "Keys 10,000").keys("type:yes", "enter").want("✓ done: 3 imported, 1 conflicts", "Keys 10,001")
	d.keys("enter", "/", "type:"+strings.ToLower(fresh.PID.Dashed())).want(fresh.PID.Dashed())
}

// zeros draws the same symbol again and again.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestLog(t *testing.T) {
	path := copied(t)
	d := drive(t, path, "serverlog").want("following", "▸ 2026-11-25 11:16:39 !")
	d.keys("v").want("only warnings and errors").lacks("provisioned").keys("v").want("only errors").lacks(" w ").keys("v")
	d.keys("/", "type:script").want("rc-script-error").lacks("rc-pid-unknown").keys("esc")
	change(t, path, func(st *store.Store) error {
		return st.AppendLog(t.Context(), store.LogRow{Severity: store.SeverityWarning, Code: "test", Text: "a new row"})
	})
	d.again().want("a new row", "following")
	d.keys("up", "up").want("2 back")
	before := d.frame()
	change(t, path, func(st *store.Store) error {
		return st.AppendLog(t.Context(), store.LogRow{Code: "test", Text: "one more row"})
	})
	if d.again(); strings.Replace(before, "10,001", "10,002", 1) != d.frame() {
		t.Errorf("rows jump while an older one is selected:\n%s\n%s", before, d.frame())
	}
	d.keys("end").again().want("one more row", "following")
}

func TestSettings(t *testing.T) {
	path := copied(t)
	d := drive(t, path, "settings").want("otp", "known", "maintain_clock_days", "default")
	d.keys("down", "down", "down", "down", "down", "down", "down", "down", "down", "enter").want("Change a setting", "may be    script, db", "is now    script")
	d.keys("type:maybe", "enter").want("params_from is one of script, db")
	for range 5 {
		d.keys("backspace")
	}
	d.keys("type:db", "enter").want("from      script", "to        db", "undo").keys("type:yes", "enter").want("✓ done: params_from is db").keys("enter")
	d.again()
	if c := d.selected(); !strings.Contains(c, "params_from             db") {
		t.Errorf("after the change: %s", c)
	}
	d.keys("down", "down", "down", "down", "enter").want("tls_mode", "It is not changed by hand").keys("esc")
	d.keys("up", "enter", "type:-1", "enter").want("retry_s is a whole number from 1")
}

// What is selected stays selected, in its line, while a server works on the database.
func TestSelectionStays(t *testing.T) {
	path := copied(t)
	d := drive(t, path, "clients").keys("pgdown", "pgdown", "down")
	before, frame := d.selected(), d.frame()
	line := strings.Index(frame, before)
	change(t, path, func(st *store.Store) error {
		for i := range 30 { // clients that stand before all others
			u, err := amt.ParseUUID(fmt.Sprintf("00000000-0000-4310-8059-%012x", i))
			if err != nil {
				return err
			}
			if _, err := st.RecordHello(t.Context(), store.Hello{From: netip.MustParseAddrPort("10.9.9.9:16994"), Version: 3, UUID: u}); err != nil {
				return err
			}
		}
		return nil
	})
	d.again()
	if d.selected() != before || strings.Index(d.frame(), before) != line {
		t.Errorf("%s was selected, now %s:\n%s", before, d.selected(), d.frame())
	}
	d.want("Clients 10,030")
}

// Click selects a row; on the selected one it does what enter does.
func TestClick(t *testing.T) {
	d := drive(t, full, "clients")
	lines := d.p.View()
	at := -1
	for i, l := range lines {
		if strings.Contains(l, "pc-00003") {
			at = i
		}
	}
	click := func() { d.run(d.p.Click(at)) }
	if click(); !strings.Contains(d.selected(), "pc-00003") {
		t.Errorf("selected %s", d.selected())
	}
	if click(); d.p.one == nil {
		t.Error("a second click opens nothing")
	}
	d.keys("esc")
	d.p.Click(0)
	if !strings.Contains(d.selected(), "pc-00003") {
		t.Error("a click beside the rows moves the cursor")
	}
	var _ tea.Model // keys and mouse come from the same library
}
