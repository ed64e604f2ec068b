// Package road draws the face of a case: ten stations in two lines, glyph above word, with a solid
// rail as far as the truth reaches and a dotted one beyond.
package road

import (
	"strings"

	"amtmedic/diag"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// The words, from long to short; the longest that fit are taken.
var words = [][diag.Stations]string{
	{"firmware", "wire", "name", "port", "service", "database", "credentials", "FQDN", "TLS", "provisioned"},
	{"firmware", "wire", "name", "port", "service", "database", "creds", "FQDN", "TLS", "done"},
	{"fw", "wire", "name", "port", "svc", "db", "cred", "FQDN", "TLS", "done"},
}

// maxGap keeps the stations of a wide window together.
const maxGap = 8

// Word gives the word of a station as it stands in lists beside the road of the same width.
func Word(s diag.Station, w int) string {
	set, _ := choose(w)
	return set[s]
}

// choose gives the words for a width, and the free columns between them.
func choose(w int) ([diag.Stations]string, int) {
	for i, set := range words {
		free := w - 2 - len(strings.Join(set[:], ""))
		least := 3
		if i == len(words)-1 {
			least = 0
		}
		if free >= least*(diag.Stations-1) {
			return set, free
		}
	}
	return words[len(words)-1], 0
}

// Draw gives the two lines for a width of at least 60 columns.
func Draw(t *theme.Theme, lights [diag.Stations]diag.Light, w int) []string {
	set, free := choose(w)
	gap, rest := free/(diag.Stations-1), free%(diag.Stations-1)
	if gap >= maxGap {
		gap, rest = maxGap, 0
	}
	var up, down strings.Builder
	down.WriteString(" ")
	col, edge := 1, 0 // start of the word; columns of the upper line that are drawn
	for i, word := range set {
		at := col + (len(word)-1)/2
		up.WriteString(rail(t, lights, i, at-edge))
		up.WriteString(t.Glyph(lights[i]))
		edge = at + 1
		down.WriteString(paintWord(t, lights[i], word))
		col += len(word) + gap
		if i == diag.Stations-1 {
			break
		}
		space := gap
		if i < rest {
			space, col = space+1, col+1
		}
		down.WriteString(strings.Repeat(" ", space))
	}
	return []string{text.Cut(up.String(), w), text.Cut(down.String(), w)}
}

// rail draws what leads to station i over n columns.
func rail(t *theme.Theme, lights [diag.Stations]diag.Light, i, n int) string {
	if i == 0 || n < 3 {
		return strings.Repeat(" ", max(0, n))
	}
	if Solid(lights, i) {
		return " " + t.Paint(theme.OK, strings.Repeat("━", n-2)) + " "
	}
	return " " + t.Paint(theme.Muted, strings.Repeat("╌", n-2)) + " "
}

// Solid reports whether the rail that leads to station i is solid: the station before it is in
// order or does not apply, and no link before it is broken.
func Solid(lights [diag.Stations]diag.Light, i int) bool {
	for _, l := range lights[:i] {
		if l == diag.Broken {
			return false
		}
	}
	before := lights[i-1]
	return before == diag.Good || before == diag.NotApplicable
}

func paintWord(t *theme.Theme, l diag.Light, word string) string {
	switch l {
	case diag.Unlooked, diag.NotJudged, diag.NotApplicable:
		return t.Paint(theme.Muted, word)
	case diag.Broken, diag.Busy, diag.Contradicted:
		return t.Paint(theme.Of(l).Role, word)
	}
	return word
}
