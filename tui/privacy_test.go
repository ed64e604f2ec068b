package tui

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"amtmedic/diag"
	"amtmedic/tui/keymap"
)

// real finds what tells whose network it is in the scenes of these tests.
var real = regexp.MustCompile(`(?i)10\.\d+\.\d+\.\d+|corp\.ex|ns1|pc-77|4c4c4544|0058-3910`)

// secretive is the decided scene with a PC's bare name in it.
func secretive() *fake {
	s := split()
	s.Facts = append(s.Facts, diag.Fact{At: t0, Vantage: diag.AtClient, Key: "client.os_name", Value: "pc-77", Probe: "person", Evidence: diag.Evidence{"asked at PC-77"}})
	s.Actions = rechecking().Actions
	s.Actions[0].Detail = "to 10.20.0.53, as pc-77"
	s.Judgement.Remedies[0].Text = "Add the CNAME ns1.corp.example to the zone at 10.20.0.53"
	return newFake(s)
}

// With the key pressed, nothing on any page and in no copy says whose network it is; ProvisionServer,
// ports, codes and times still stand there. Pressed again, everything is back.
func TestPrivacy(t *testing.T) {
	for _, size := range [][2]int{{60, 15}, {80, 24}, {140, 50}} {
		w := secretive()
		d := newDriver(t, options(w), size[0], size[1])
		var out bytes.Buffer
		d.m.clip.Out = &out
		clean := func(where string) {
			t.Helper()
			d.fits()
			if m := real.FindString(d.frame()); m != "" {
				t.Errorf("%v, %s shows %q:\n%s", size, where, m, d.frame())
			}
			d.want("[names hidden]")
		}
		d.keys("H")
		clean("verdict")
		d.keys("y", "e", "y", "tab")
		clean("evidence")
		d.want("10:03:12", "provisionserver.domain-1")
		for range 7 {
			d.keys("down", "y")
			clean("evidence further down")
		}
		d.keys("l")
		clean("log")
		for range 10 {
			d.keys("y", "up")
			clean("log further up")
		}
		d.keys(":", "type:verdict", "enter", "1")
		clean("remedy")
		d.keys("y", "ctrl+y", "esc", ":", "type:walk", "enter")
		clean("walk")
		d.keys("?")
		clean("help")
		for _, c := range regexp.MustCompile(`52;c;([^\a\x1b]+)`).FindAllStringSubmatch(out.String(), -1) {
			text, err := base64.StdEncoding.DecodeString(c[1])
			if err != nil || len(text) == 0 || real.Match(text) {
				t.Errorf("copied %q, %v", text, err)
			}
		}
		if n := strings.Count(out.String(), "52;c;"); n < 15 {
			t.Errorf("only %d copies were made", n)
		}
		if !strings.Contains(w.called(), "preview(rm-dns-split-horizon)") {
			t.Error(w.called())
		}
		d.keys("esc", "H", "e")
		if f := d.frame(); strings.Contains(f, "[names hidden]") || !strings.Contains(f, "corp.example") {
			t.Errorf("shown again:\n%s", f)
		}
	}
}

// A page that is open when the key is pressed hides at once, and it hides while text is typed.
func TestPrivacyAtOnce(t *testing.T) {
	d := newDriver(t, options(secretive()), 80, 24)
	d.keys("1")
	if !real.MatchString(d.frame()) {
		t.Fatalf("the plan names nothing to hide:\n%s", d.frame())
	}
	d.keys("type:H")
	d.want("H") // a letter in a text field
	d.send(keyOf("f2"))
	d.want("[names hidden]")
	if m := real.FindString(d.frame()); m != "" {
		t.Errorf("shows %q:\n%s", m, d.frame())
	}
}

// Pseudonyms keep relations: one address has one, whichever page names it.
func TestPrivacyRelations(t *testing.T) {
	o := options(secretive())
	o.Privacy, o.Names = true, []string{"eth0"}
	d := newDriver(t, o, 140, 50)
	d.keys("e", "tab")
	ip := regexp.MustCompile(`ip-\d+`)
	a, b := d.m.hide("10.20.0.53"), d.m.hide("10.1.0.10")
	if a == b || !ip.MatchString(a) {
		t.Fatal(a, b)
	}
	d.want(a, b, "provisionserver.domain-")
	if got := d.m.hide("on eth0"); !regexp.MustCompile(`^on name-\d+$`).MatchString(got) {
		t.Error(got)
	}
}

// The walk gets the remedy as it knows it.
func TestPrivacyLeavesIntentsAlone(t *testing.T) {
	o := options(secretive())
	o.Privacy = true
	d := newDriver(t, o, 80, 24)
	shown := d.m.env.Snap.Judgement.Remedies[0]
	if real.MatchString(shown.Text) || !real.MatchString(d.m.realRemedy(shown).Text) {
		t.Errorf("%q and %q", shown.Text, d.m.realRemedy(shown).Text)
	}
}

func TestPrivacyIsOnEveryKeyPage(t *testing.T) {
	d := newDriver(t, options(newFake(split())), 80, 60)
	d.keys("?").want("hide names and addresses everywhere")
	if k := d.m.env.Keys.Key(keymap.Privacy); k != "H" {
		t.Error(k)
	}
}
