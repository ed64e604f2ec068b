package tui

import (
	"strings"
	"testing"

	tea "github.com/charmbracelet/bubbletea"
)

// Over a slow line several keys come in one read. None is lost, and each acts on the page that the
// one before it has opened.
func TestKeysInOneRead(t *testing.T) {
	d := newDriver(t, options(nil), 80, 24)
	d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("p/split h")})
	d.want("What shall be broken?", "/ split h")
}

// Pasted text is no keys.
func TestPasteIsNoKeys(t *testing.T) {
	d := newDriver(t, options(nil), 80, 24)
	d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("qp"), Paste: true})
	if d.quit || strings.Contains(d.frame(), "What shall be broken?") {
		t.Errorf("a paste acted as keys:\n%s", d.frame())
	}
	d.keys("/")
	d.send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("usb key"), Paste: true})
	d.want("/ usb key")
}

// What the case said once does not come back with the next picture.
func TestNoteGoesWithTheNextKey(t *testing.T) {
	f := newFake(probing(), probing())
	d := newDriver(t, options(f), 80, 24)
	d.m.note = ""
	said := func(n int, notice string) {
		snap := probing()
		snap.Notice = notice
		d.send(picture{from: d.m.feed, n: d.m.seen + n, snap: snap})
	}
	said(1, "the PC was drained")
	d.want("the PC was drained")
	d.keys("tab")
	said(1, "the PC was drained")
	if strings.Contains(d.frame(), "the PC was drained") {
		t.Errorf("an old note came back:\n%s", d.frame())
	}
	said(1, "done")
	d.want("done")
}
