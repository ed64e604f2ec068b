package tui

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt"
	"amtmedic/amt/usbkey"
	"amtmedic/tui/page/tools"
)

// testTools is a world in which the tools find the same in every test: no device, and a computer
// without a Management Engine.
func testTools() *tools.World {
	nowhere := filepath.Join("testdata", "tools", "nothing")
	return &tools.World{
		USB:    &usbkey.System{Dev: nowhere, Sys: nowhere, Proc: nowhere},
		Folder: "kept",
		Tick:   func(time.Duration, func(time.Time) tea.Msg) tea.Cmd { return nil },
		Now:    func() time.Time { return time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC) },
		Here: func(context.Context) (tools.Here, error) {
			return tools.Here{FQDN: "pc-0412.corp.example", Hint: "is this computer one with Intel AMT, and is the driver mei_me loaded?",
				Fields: [][2]string{{"name", "pc-0412.corp.example"}, {"UUID", ""}},
				Notes:  []amt.Problem{amt.In("fqdn", "note", "the name is that of the system")}}, errors.New("open the interface: there is no driver for it")
		},
	}
}

// ownFiles gives a test a folder with the files of the tools, into which it may write.
func ownFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "testdata", "tools"), os.DirFS(filepath.Join("testdata", "tools"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// toolScenes are the pages of the tools.
func toolScenes() []scene {
	page := func(name string, keys ...string) []string {
		return append([]string{":", "type:" + name, "enter"}, keys...)
	}
	const setup, list = "type:testdata/tools/setup.bin", "type:testdata/tools/oem.csv"
	return []scene{
		{name: "tools", keys: page("tools")},
		{name: "tools-check", keys: page("pairs", "down", "enter", "type:0000-037M", "enter", "type:NKLD-G5DC-RRNQ-E9YZ-ZIJL-7LFL-VJED-69XK", "enter")},
		{name: "tools-pps", keys: page("pairs", "down", "enter", "type:0000-037M", "enter", "type:NKLD")},
		{name: "tools-keyfile", keys: page("pairs", "down", "down", "enter", list, "enter")},
		{name: "tools-setupbin", keys: page("setupbin", "enter", setup, "enter")},
		{name: "tools-usbkey", keys: page("usbkey", "enter", "type:no such.img", "enter")},
		{name: "tools-prepare", keys: page("usbkey", "down", "enter", setup, "enter", "type:key.img", "enter", "enter", "type:no", "enter")},
		{name: "tools-discover", keys: page("discover", "enter", "type:10.1.0.0/40", "enter")},
		{name: "tools-thispc", keys: page("thispc", "enter")},
		{name: "tools-certificate", keys: page("certificate", "enter", list, "enter")},
		{name: "tools-over-case", walk: func() *fake { return newFake(split()) }, keys: page("tools", "2")},
	}
}

// What a tool found stays while other pages are looked at, and esc leads back to the case.
func TestToolsStay(t *testing.T) {
	d := newDriver(t, options(newFake(split())), 80, 24)
	d.keys(":", "type:setupbin", "enter", "enter", "type:testdata/tools/setup.bin", "enter")
	d.want("✓ sound", "0000037M")
	d.keys(":", "type:verdict", "enter", ":", "type:tools", "enter")
	d.want("✓ sound", "0000037M")
	d.keys("esc", "esc")
	if got := d.m.top().Name(); got != "verdict" {
		t.Errorf("esc leads to %s", got)
	}
}

// Work that ends while another page is shown says so in a note.
func TestToolsEndElsewhere(t *testing.T) {
	d := newDriver(t, options(nil), 80, 24)
	d.keys(":", "type:thispc", "enter")
	_, cmd := d.m.Update(keyOf("enter"))
	d.keys(":", "type:practice", "enter")
	d.run(cmd)
	d.want("Look at this computer: it is done")
}

// No frame of any tool shows a PPS or a password, nor do the names of a hidden screen.
func TestToolsKeepSecrets(t *testing.T) {
	for _, s := range toolScenes() {
		f := s.open(t, 200, 50, func(o *Options) { o.Privacy, o.Names = true, []string{"pc-0412.corp.example"} }).frame()
		for _, secret := range []string{"NKLD", "VJED", "Tr0ub4dor", "pc-0412"} {
			if strings.Contains(f, secret) {
				t.Errorf("%s shows %s:\n%s", s.name, secret, f)
			}
		}
	}
}

// TestToolsFuzz presses keys at random on every tool, and changes the size of the window.
func TestToolsFuzz(t *testing.T) {
	keys := []string{"enter", "enter", "enter", "esc", "up", "down", "tab", "pgdown", "pgup", "home", "end", "type:testdata/tools/setup.bin", "type:yes", "type:5", "r", "y", "1", "2", "3", "5", "6", "backspace", "H", "?", ":"}
	for n, s := range toolScenes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(n), 11))
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
