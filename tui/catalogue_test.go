package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"amtmedic/diag"
	"amtmedic/diag/check"
)

// TestCatalogue draws the verdict of every cause that there is: the sentence can be read in full,
// every remedy can be reached, and nothing is wider than the window.
func TestCatalogue(t *testing.T) {
	for _, c := range check.Causes() {
		for _, size := range [][2]int{{80, 24}, {60, 15}, {140, 40}} {
			s := split()
			j := &s.Judgement
			j.Verdict, j.Sentence, j.Component, j.Change, j.Remedies = c.ID, c.Sentence, c.Component, c.Change, c.Remedies
			j.Road = lights(int(c.Station), diag.Broken)
			d := newDriver(t, options(newFake(s)), size[0], size[1])
			d.fits()
			words := strings.Join(strings.Fields(d.frame()), " ")
			if !strings.Contains(words, c.ID) {
				t.Errorf("%s at %v: the id cannot be read:\n%s", c.ID, size, d.frame())
			}
			for _, w := range strings.Fields(c.Sentence) {
				if !strings.Contains(words, w) {
					t.Errorf("%s at %v: the sentence lacks %q:\n%s", c.ID, size, w, d.frame())
					break
				}
			}
			for i, r := range c.Remedies {
				mark := fmt.Sprintf("▸ %d", i+1)
				if !strings.Contains(d.frame(), mark) {
					t.Errorf("%s at %v: remedy %s is out of sight:\n%s", c.ID, size, r.ID, d.frame())
				}
				if r.Destructive && !strings.Contains(lineWith(d.frame(), mark), "!") {
					t.Errorf("%s at %v: %s bears no mark of loss", c.ID, size, r.ID)
				}
				d.keys("down")
			}
		}
	}
}

func lineWith(frame, part string) string {
	lines := strings.Split(frame, "\n")
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, part) }); i >= 0 {
		return lines[i]
	}
	return ""
}

// TestRealSymptoms filters the catalogue's symptoms as a person would.
func TestRealSymptoms(t *testing.T) {
	o := options(nil)
	o.Start.Symptoms = nil
	for _, s := range check.Symptoms() {
		o.Start.Symptoms = append(o.Start.Symptoms, Symptom{ID: s.ID, Text: s.Text, Part: s.Part, Hint: s.Look})
	}
	for _, size := range [][2]int{{60, 15}, {80, 24}, {200, 50}} {
		d := newDriver(t, o, size[0], size[1])
		d.fits()
		d.keys("/", "type:usb key")
		for range 12 {
			d.keys("down")
			d.fits()
		}
		d.want("The USB key is plugged in")
	}
}
