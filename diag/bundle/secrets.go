package bundle

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// Rules by which secrets are found; they stand in redactions.json.
const (
	rulePPS     = "pps"         // 32 characters with eight right check characters
	ruleKey     = "private-key" // a PEM block
	ruleKnown   = "known-secret"
	ruleField   = "secret-field" // a field named pps, password ...
	hidden      = "[secret]"
	minDistinct = 4 // a PPS has more different characters; rows of zeros have not
)

// span is a secret found in bytes.
type span struct {
	rule     string
	from, to int
}

// guard finds secrets in bytes.
type guard struct{ known [][]byte }

func newGuard(known []amt.Secret) guard {
	var g guard
	for _, s := range known {
		if v := s.Reveal(); v != "" {
			g.known = append(g.known, []byte(v))
			if bare := keys.Bare(v); bare != v && len(bare) == keys.PPSLen {
				g.known = append(g.known, []byte(bare))
			}
		}
	}
	return g
}

var pemKey = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\z)`)

// find gives the secrets in order, without overlap.
func (g guard) find(b []byte) []span {
	var all []span
	for _, k := range g.known {
		for at := 0; ; {
			i := bytes.Index(b[at:], k)
			if i < 0 {
				break
			}
			all = append(all, span{ruleKnown, at + i, at + i + len(k)})
			at += i + len(k)
		}
	}
	for _, m := range pemKey.FindAllIndex(b, -1) {
		all = append(all, span{ruleKey, m[0], m[1]})
	}
	all = append(all, findPPS(b)...)
	slices.SortStableFunc(all, func(x, y span) int { return x.from - y.from })
	var out []span
	for _, s := range all {
		if n := len(out); n > 0 && s.from < out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// findPPS looks for eight groups whose fourth character checks the three before it, with or
// without a dash between groups. Eight right ones by chance are one in 10^12.
func findPPS(b []byte) []span {
	var out []span
	for i := 0; i+keys.PPSLen <= len(b); i++ {
		if n := ppsAt(b[i:]); n > 0 {
			out = append(out, span{rulePPS, i, i + n})
			i += n - 1
		}
	}
	return out
}

// ppsAt gives the length of a PPS at the start of b, 0 when there is none.
func ppsAt(b []byte) int {
	const group = 4
	at := 0
	var seen [256]bool
	distinct := 0
	for g := range keys.PPSLen / group {
		if g > 0 && at < len(b) && b[at] == '-' {
			at++
		}
		if at+group > len(b) {
			return 0
		}
		var c [group]byte
		for i := range c {
			c[i] = upper(b[at+i])
			if c[i] == 0 {
				return 0
			}
			if !seen[c[i]] {
				seen[c[i]], distinct = true, distinct+1
			}
		}
		if keys.CheckChar(string(c[:3])) != c[3] {
			return 0
		}
		at += group
	}
	if distinct < minDistinct {
		return 0
	}
	return at
}

// upper gives a letter or digit in upper case, 0 for anything else.
func upper(c byte) byte {
	switch {
	case c >= 'a' && c <= 'z':
		return c - 'a' + 'A'
	case c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return c
	}
	return 0
}

// hide replaces the secrets in text and counts them by rule.
func (g guard) hide(b []byte, count map[string]int) []byte {
	found := g.find(b)
	if len(found) == 0 {
		return b
	}
	var out []byte
	at := 0
	for _, s := range found {
		out = append(append(out, b[at:s.from]...), hidden...)
		at = s.to
		count[s.rule]++
	}
	return append(out, b[at:]...)
}

// secretFields are names of fields whose text is never written, whatever it looks like.
var secretFields = []string{"pps", "password", "passwd", "pass", "pwd", "private_key", "secret", "passphrase", "current_password", "admin_password"}

// hideFields replaces texts in fields that are named like secrets, at any depth.
func hideFields(v any, count map[string]int) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if s, ok := e.(string); ok && s != "" && s != hidden && slices.Contains(secretFields, strings.ToLower(k)) {
				count[ruleField]++
				e = hidden
			}
			out[k] = hideFields(e, count)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = hideFields(e, count)
		}
		return out
	}
	return v
}
