// Package matrix says which AMT version works with which setup server (SCS) and console (OOBM),
// by which method. The rows are those of the part 1 article; what it does not list is not listed.
package matrix

import "amtmedic/amt"

// Support is what a row says about a method.
type Support string

// The values of a row's columns.
const (
	Yes      Support = "yes"
	No       Support = "no"
	Unlisted Support = "unlisted" // the article names the pair only for the other method
	Implied  Support = "implied"  // supported by implication only: warn (unverified)
)

// Row is one row of the version table.
type Row struct {
	OOBM, SCS, AMT string
	PSK, PKI       Support
	Note           string
}

// Rows is the table, in the order of the article.
var Rows = []Row{
	{"6.1", "1.2", "2.0", Yes, No, "SCS 1.2 is unstable"},
	{"6.1", "1.2", "2.1", Yes, No, "SCS 1.2 is unstable"},
	{"6.1", "1.3", "2.0", Yes, No, ""},
	{"6.1", "1.3", "2.1", Yes, No, ""},
	{"6.2", "3.0", "2.0", Yes, No, ""},
	{"6.2", "3.0", "2.1", Yes, No, ""},
	{"6.2", "3.0", "2.5", Yes, No, "notebook"},
	{"6.2", "3.0", "3.0", Yes, Implied, ""},
	{"6.2", "3.0", "2.2", Unlisted, No, "needs SCS 3.2.1"},
	{"6.2", "3.0", "2.6", Unlisted, No, "notebook; needs SCS 3.2.1"},
	{"6.2", "3.2.1", "2.0", Yes, No, ""},
	{"6.2", "3.2.1", "2.1", Yes, No, ""},
	{"6.2", "3.2.1", "2.2", Yes, Yes, ""},
	{"6.2", "3.2.1", "2.5", Yes, No, "notebook"},
	{"6.2", "3.2.1", "2.6", Yes, Yes, "notebook"},
	{"6.2", "3.2.1", "3.0", Yes, Yes, ""},
}

// Find gives the row of a pair. A version without a row takes the row of its line: the nearest
// lower version of the whole table with the same first number. ok is false when the pair is not
// listed, which is a warning, never a fault.
func Find(scs, version amt.Version) (row Row, ok bool) {
	s, okS := nearest(scs, func(r Row) string { return r.SCS })
	a, okA := nearest(version, func(r Row) string { return r.AMT })
	if !okS || !okA {
		return Row{}, false
	}
	for _, r := range Rows {
		if r.SCS == s && r.AMT == a {
			return r, true
		}
	}
	return Row{}, false
}

// Pair tells whether the table has this console with this setup server; listed is false when it
// says nothing about the console or nothing about the server.
func Pair(oobm, scs amt.Version) (fits, listed bool) {
	s, ok := nearest(scs, func(r Row) string { return r.SCS })
	o := oobm.Line().String()
	if !ok || oobm.IsZero() {
		return false, false
	}
	for _, r := range Rows {
		if r.OOBM == o {
			listed = true
			if r.SCS == s {
				return true, true
			}
		}
	}
	return false, listed
}

// nearest gives the highest version of a column that is not above v and has the same first number.
func nearest(v amt.Version, column func(Row) string) (string, bool) {
	var best amt.Version
	if v.IsZero() {
		return "", false
	}
	for _, r := range Rows {
		w, err := amt.ParseVersion(column(r))
		if err == nil && w.Major() == v.Major() && w.Compare(v) <= 0 && (best.IsZero() || w.Compare(best) > 0) {
			best = w
		}
	}
	return best.String(), !best.IsZero()
}
