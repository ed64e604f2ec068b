package keys

import (
	"slices"
	"strings"
	"testing"
)

// TestReadLists reads the forms in which makers and people hand over pairs.
func TestReadLists(t *testing.T) {
	bare := strings.ReplaceAll(intelPPS, "-", "")
	for _, c := range []struct {
		name, text string
		rows       int
		want       []string
	}{
		{"two columns", intelPID + "  " + intelPPS + "\n4444-4444 " + strings.Repeat("0", 32) + "\n", 2, nil},
		{"labels", "Provisioning ID (PID): " + intelPID + "\nPassphrase (PPS)=" + intelPPS + "\n", 1, nil},
		{"a letter", "Dear customer,\nyour machine with the PID 0000037M has the\nPPS " + bare + ".\n", 1, nil},
		{"comments", "# PID PPS\n#0000-0371 x\n" + intelPID + " " + intelPPS, 1, nil},
		{"numbered", "1. " + intelPID + " " + intelPPS + " used=0\r\n", 1, nil},
		{"wrong group", intelPID + " " + bare[:31] + "K\n", 0, []string{"pps-check line 1, pps group 8"}},
		{"wrong pid", "0000-0371\n" + intelPPS + "\n", 0, []string{"pid-check line 1, pid"}},
		{"twice", strings.Repeat(intelPID+" "+intelPPS+"\n", 2), 1, []string{"duplicate-pid line 2"}},
		{"pps alone", intelPPS + "\n", 0, []string{"line line 1"}},
		{"pid alone", intelPID + "\n4444-4444 " + strings.Repeat("0", 32) + "\n0000-A01U", 1, []string{"line line 1", "line line 3"}},
		{"a key file", Header + "\n1,0000037M," + bare + ",admin,x,0\n", 1, nil},
		{"a key file with a mark and comments", "\xef\xbb\xbfPID;PPS\n" + intelPID + ";" + intelPPS, 1, nil},
		{"prose", "there are no keys here\n", 0, []string{"line line 1"}},
		{"nothing", "", 0, []string{"empty line 1"}},
	} {
		rows, problems, err := Read([]byte(c.text))
		got := []string{}
		for _, p := range problems {
			got = append(got, p.Code+" "+p.Where)
			if strings.Contains(p.Text, bare) {
				t.Errorf("%s: a PPS stands in %q", c.name, p.Text)
			}
		}
		if err != nil || len(rows) != c.rows || !slices.Equal(got, append([]string{}, c.want...)) {
			t.Errorf("%s: %d rows, %q, %v; want %d, %q", c.name, len(rows), got, err, c.rows, c.want)
		}
	}
}

// FuzzRead: no panic, and only sound pairs.
func FuzzRead(f *testing.F) {
	f.Add("PID: " + intelPID + " PPS: " + intelPPS)
	f.Add(Header + "\n1,0000037M,NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ,admin,x,0\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, problems, err := Read([]byte(text))
		if err == nil && len(rows) == 0 && len(problems) == 0 {
			t.Fatal("nothing was said")
		}
		for _, r := range rows {
			if len(Check(string(r.PID), r.PPS)) > 0 {
				t.Fatalf("%s was taken", r.PID)
			}
		}
	})
}
