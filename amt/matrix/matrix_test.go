package matrix

import (
	"testing"

	"amtmedic/amt"
)

func ver(t *testing.T, s string) amt.Version {
	t.Helper()
	v, err := amt.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		scs, amt string
		listed   bool
		psk, pki Support
	}{
		{"3.2.1", "2.2", true, Yes, Yes},
		{"3.2.1", "3.2.1", true, Yes, Yes}, // a patch version takes the row of 3.0
		{"3.0", "3.2.1", true, Yes, Implied},
		{"3.0", "2.6", true, Unlisted, No},
		{"1.3", "2.6", false, "", ""}, // 2.6 stands only under other servers
		{"1.3", "2.1.4", true, Yes, No},
		{"5.0", "3.0", false, "", ""},
		{"3.2.1", "9.0", false, "", ""},
		{"1.2", "2.0", true, Yes, No},
	} {
		r, ok := Find(ver(t, c.scs), ver(t, c.amt))
		if ok != c.listed || r.PSK != c.psk || r.PKI != c.pki {
			t.Errorf("SCS %s with AMT %s: %+v %v", c.scs, c.amt, r, ok)
		}
	}
}

func TestPair(t *testing.T) {
	for _, c := range []struct {
		oobm, scs    string
		fits, listed bool
	}{
		{"6.1", "1.3", true, true}, {"6.1", "3.0", false, true}, {"6.2", "3.2.1", true, true},
		{"6.2", "1.3", false, true}, {"7.0", "5.0", false, false}, {"6.2", "5.0", false, false},
	} {
		if f, l := Pair(ver(t, c.oobm), ver(t, c.scs)); f != c.fits || l != c.listed {
			t.Errorf("OOBM %s with SCS %s: fits %v, listed %v", c.oobm, c.scs, f, l)
		}
	}
}
