package tui

import (
	"strings"
	"testing"
)

// What decided stands on the page in full before the words of the repairs do: those stand in the
// preview too.
func TestVerdictShowsEvidenceFirst(t *testing.T) {
	long := split()
	for i := range long.Judgement.Remedies {
		long.Judgement.Remedies[i].Text += strings.Repeat(" and do what else is to be done", 3)
	}
	d := newDriver(t, options(newFake(long)), 80, 24)
	d.want("NXDOMAIN", "10.1.0.53", "SYN: none seen", "Would change it", "4  ")
	if strings.Contains(d.frame(), "more: e") {
		t.Errorf("evidence is cut although repairs are in full:\n%s", d.frame())
	}
	d.fits()
}
