package tui

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt/store"
	"amtmedic/amt/store/storetest"
	"amtmedic/tui/page/core"
)

// coreDir holds the databases of these tests; TestMain removes it.
var coreDir string

// coreFile gives a database of 10,000 clients, made once; nobody changes it.
var coreFile = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "amtmedic-core-")
	if err != nil {
		return "", err
	}
	coreDir = dir
	path := filepath.Join(dir, "core.db")
	return path, storetest.Fill(context.Background(), path, 10_000)
})

// testCore is the provisioning core of these tests. It is never looked at by itself.
func testCore() *core.Database {
	path, err := coreFile()
	if err != nil {
		panic(fmt.Sprintf("fill the database of the tests: %v", err))
	}
	return coreAt(path)
}

func coreAt(path string) *core.Database {
	db := core.NewDatabase(path, store.Options{KeyFile: "core.key"})
	if _, err := os.Stat(path + ".key"); err == nil {
		db = core.NewDatabase(path, store.Options{})
	}
	db.Name = "core.db"
	db.Tick = func(time.Duration, func(time.Time) tea.Msg) tea.Cmd { return nil }
	return db
}

// ownCore gives a test a small database that it may change.
func ownCore(t *testing.T) func(o *Options) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core.db")
	if err := storetest.Fill(t.Context(), path, 200); err != nil {
		t.Fatal(err)
	}
	dir := ownFiles(t) // of the tools
	return func(o *Options) { o.Core, o.Tools.Dir = coreAt(path), dir }
}

// coreScenes are the pages of the provisioning core.
func coreScenes() []scene {
	page := func(name string, keys ...string) []string {
		return append([]string{":", "type:" + name, "enter"}, keys...)
	}
	none := func(o *Options) {
		o.Core = coreAt(filepath.Join(os.TempDir(), "amtmedic-no-such-folder", "core.db"))
	}
	return []scene{
		{name: "start-core", opts: func(o *Options) { o.Start.Core = true }},
		{name: "core-clients", keys: page("clients", "down", "down")},
		{name: "core-clients-only", keys: page("clients", "v", "/", "type:pc-00")},
		{name: "core-client", keys: page("clients 4c4c4544-0008-4310-8059-b7c04f000008")},
		{name: "core-queue", keys: page("queue", "end")},
		{name: "core-delayed", keys: page("delayed", "pgdown")},
		{name: "core-promote", keys: page("delayed", "r", "type:no", "enter")},
		{name: "core-keys", keys: page("keys")},
		{name: "core-import", keys: page("keys", "i", "type:no such file.csv")},
		{name: "core-log", keys: page("serverlog", "v")},
		{name: "core-settings", keys: page("settings", "down", "down", "down", "down", "down", "down", "down", "down", "down")},
		{name: "core-change", keys: page("settings", "down", "down", "down", "down", "down", "down", "down", "down", "down", "enter", "type:db", "enter")},
		{name: "core-missing", keys: page("clients"), opts: none},
		{name: "core-over-case", walk: func() *fake { return newFake(split()) }, keys: page("delayed")},
	}
}

// The pages of the core keep their places while others are looked at, and esc leaves them.
func TestCorePagesStay(t *testing.T) {
	d := newDriver(t, options(newFake(split())), 80, 24)
	d.keys(":", "type:clients", "enter", "pgdown", "tab", "tab").want("[Delayed 2,000]")
	d.keys(":", "type:clients", "enter").want("12 of 10,000")
	d.keys(":", "type:clients "+storetest.UUID(7).String(), "enter").want(storetest.FQDN(7), "UUID")
	d.keys("esc").want("12 of 10,000")
	d.keys("esc")
	if got := d.m.top().Name(); got != "verdict" {
		t.Errorf("esc leads to %s", got)
	}
	d = newDriver(t, options(nil), 80, 24)
	d.m.core = nil
	d.keys(":", "type:clients", "enter").want("there is no provisioning core here")
}

// With names hidden, no page of the core shows a name, an address or a UUID.
func TestCoreHidden(t *testing.T) {
	for _, s := range coreScenes() {
		d := s.open(t, 200, 50, func(o *Options) { o.Privacy = true })
		for _, secret := range []string{".corp.example", "10.20.", "4c4c4544"} {
			if strings.Contains(d.frame(), secret) {
				t.Errorf("%s shows %s:\n%s", s.name, secret, d.frame())
			}
		}
	}
}

// The first frame of a page does not wait for the database, whatever that does.
func TestCoreDoesNotWait(t *testing.T) {
	d := newDriver(t, options(nil), 80, 24)
	_, cmd := d.m.Update(keyOf(":"))
	d.run(cmd)
	for _, r := range "clients" {
		d.keys(string(r))
	}
	_, cmd = d.m.Update(keyOf("enter")) // the reading is in the command, which nobody runs
	d.want("opening core.db")
	d.run(cmd)
	d.want("1 of 10,000")
}

// TestCoreFuzz presses keys at random on every page of the core, and changes the size of the window.
func TestCoreFuzz(t *testing.T) {
	keys := []string{"enter", "enter", "esc", "up", "down", "tab", "pgdown", "pgup", "home", "end", "/", "type:pc-001", "type:yes", "type:db", "v", "r", "p", "i", "x", "y", " ", "1", "3", "5", "6", "backspace", "H", "?"}
	for n, s := range coreScenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(n), 7))
			d := s.open(t, 80, 24, ownCore(t))
			for range 150 {
				if rnd.IntN(5) == 0 {
					d.send(tea.WindowSizeMsg{Width: 1 + rnd.IntN(210), Height: 1 + rnd.IntN(60)})
				} else {
					d.keys(keys[rnd.IntN(len(keys))])
				}
				d.fits()
			}
		})
	}
}
