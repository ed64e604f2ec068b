package check

import (
	"cmp"
	"slices"
	"strings"

	"amtmedic/diag"
)

// Near gives at most six ids of symptoms, checks and causes that a mistyped id may mean, the nearest
// first. Ids of the same kind go before others.
func Near(id string) []string {
	kind, word := cut(strings.ToLower(id))
	if word == "" {
		return nil
	}
	type hit struct {
		id       string
		distance int
	}
	var hits []hit
	add := func(other string) {
		k, w := cut(other)
		d := diag.Misspelt(word, w)
		if strings.Contains(w, word) || strings.HasPrefix(word, w) {
			d = min(d, 1)
		}
		if d > max(2, len(word)*2/5) {
			return
		}
		if kind != "" && kind != k {
			d += 100
		}
		hits = append(hits, hit{other, d})
	}
	for _, c := range causes {
		add(c.id)
	}
	for _, c := range checks {
		add(c.ID)
	}
	for _, s := range symptoms {
		add(s.ID)
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(a.distance, b.distance) })
	var out []string
	for _, h := range hits[:min(len(hits), 6)] {
		out = append(out, h.id)
	}
	return out
}

// cut parts an id into its kind (rc, ok, chk, sym) and the rest; a word without a kind is all rest.
func cut(id string) (kind, word string) {
	kind, word, ok := strings.Cut(id, "-")
	if !ok || !slices.Contains([]string{"rc", "ok", "chk", "sym"}, kind) {
		return "", strings.Trim(id, "-")
	}
	return kind, word
}
