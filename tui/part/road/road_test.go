package road

import (
	"strings"
	"testing"

	"amtmedic/diag"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

var plain = theme.New(theme.Config{NoColor: true})

func upTo(n int, then diag.Light, beyond diag.Light) [diag.Stations]diag.Light {
	var l [diag.Stations]diag.Light
	for i := range l {
		switch {
		case i < n:
			l[i] = diag.Good
		case i == n:
			l[i] = then
		default:
			l[i] = beyond
		}
	}
	return l
}

// TestDraw compares with the roads of the design at its three widths.
func TestDraw(t *testing.T) {
	tests := map[string]struct {
		w      int
		lights [diag.Stations]diag.Light
		want   [2]string
	}{
		"80, broken at the name": {80, upTo(2, diag.Broken, diag.NotJudged), [2]string{
			"    ✓ ━━━━━━ ✓ ━━━━ ✗ ╌╌╌╌ · ╌╌╌╌╌╌ · ╌╌╌╌╌╌╌ · ╌╌╌╌╌╌╌ · ╌╌╌╌ · ╌╌╌╌ · ╌╌╌ ·",
			" firmware   wire   name   port   service   database   creds   FQDN   TLS   done"}},
		"80, busy at the wire": {80, upTo(1, diag.Busy, diag.Unlooked), [2]string{
			"    ✓ ━━━━━━ ◐ ╌╌╌╌ · ╌╌╌╌ · ╌╌╌╌╌╌ · ╌╌╌╌╌╌╌ · ╌╌╌╌╌╌╌ · ╌╌╌╌ · ╌╌╌╌ · ╌╌╌ ·",
			" firmware   wire   name   port   service   database   creds   FQDN   TLS   done"}},
		"120, broken at TLS": {120, upTo(8, diag.Broken, diag.NotJudged), [2]string{
			"    ✓ ━━━━━━━━━ ✓ ━━━━━━━ ✓ ━━━━━━━ ✓ ━━━━━━━━━ ✓ ━━━━━━━━━━ ✓ ━━━━━━━━━━━━━ ✓ ━━━━━━━━━━ ✓ ━━━━━━━ ✗ ╌╌╌╌╌╌╌╌╌╌ ·",
			" firmware      wire      name      port      service      database      credentials      FQDN      TLS      provisioned"}},
		"60, broken at the name": {60, upTo(2, diag.Broken, diag.NotJudged), [2]string{
			" ✓ ━━━ ✓ ━━━━ ✗ ╌╌╌╌ · ╌╌╌╌ · ╌╌ · ╌╌╌ · ╌╌╌ · ╌╌╌ · ╌╌ ·",
			" fw   wire   name   port   svc   db   cred  FQDN  TLS  done"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := Draw(plain, tc.lights, tc.w)
			for i := range got {
				if got[i] != tc.want[i] {
					t.Errorf("line %d\ngot  %q\nwant %q", i+1, got[i], tc.want[i])
				}
			}
		})
	}
}

// TestWidths: at every width the road fits, and every glyph stands above its word.
func TestWidths(t *testing.T) {
	for w := 1; w < 240; w++ {
		lines := Draw(plain, upTo(3, diag.Unknown, diag.Unlooked), w)
		for _, l := range lines {
			if text.Width(l) > w {
				t.Fatalf("width %d: %q has %d columns", w, l, text.Width(l))
			}
		}
		if w < 60 {
			continue
		}
		up, down := []rune(lines[0]), []rune(lines[1])
		n := 0
		for i, r := range up {
			if !strings.ContainsRune("✓?·", r) {
				continue
			}
			n++
			if i >= len(down) || down[i] == ' ' {
				t.Fatalf("width %d: the glyph in column %d stands above no word:\n%s\n%s", w, i, lines[0], lines[1])
			}
		}
		if n != diag.Stations {
			t.Fatalf("width %d: %d stations", w, n)
		}
	}
}

func TestSolid(t *testing.T) {
	l := upTo(3, diag.Unknown, diag.Good)
	l[1] = diag.NotApplicable
	want := []bool{true, true, true, false, true, true, true, true, true}
	for i := 1; i < diag.Stations; i++ {
		if Solid(l, i) != want[i-1] {
			t.Errorf("rail to %s: %v", diag.Station(i), !want[i-1])
		}
	}
	l[2] = diag.Broken
	for i := 3; i < diag.Stations; i++ {
		if Solid(l, i) {
			t.Errorf("the rail to %s is solid behind the broken link", diag.Station(i))
		}
	}
}
