package keymap

import (
	"fmt"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"
)

// Clash says that one key is given to two actions, which no page could tell apart.
type Clash struct {
	Key           string
	Action, Other Action
}

// Error names both actions.
func (c *Clash) Error() string {
	return fmt.Sprintf("read key table: key %s is given to %s and to %s", c.Key, c.Action, c.Other)
}

// together are pairs of actions that share a key because no page has both.
var together = [][]Action{{Client, Practice}, {Verdict, Vantage}, {Skip, Save}, {Recheck, Listen}, {Tick, Freeze},
	{Again, Recheck}, {Again, Listen}, {Only, Verdict}, {Only, Vantage}, {Reveal, Client}, {Reveal, Practice}}

// apart reports whether no page has both actions.
func apart(a, b Action) bool {
	return slices.ContainsFunc(together, func(pair []Action) bool { return slices.Contains(pair, a) && slices.Contains(pair, b) })
}

// clash gives the first key that two actions have, when one of them was changed; nil without one.
func clash(rows []Row, changes map[string][]string) *Clash {
	owner := map[string]Action{}
	for _, r := range rows {
		for _, k := range r.Keys {
			o, taken := owner[k]
			owner[k] = r.Action
			if !taken || o == r.Action || apart(o, r.Action) {
				continue
			}
			if _, changed := changes[string(r.Action)]; changed {
				return &Clash{k, r.Action, o}
			}
			return &Clash{k, o, r.Action}
		}
	}
	return nil
}

// Parse reads one key as a person writes it: a character, or a name such as space, enter, f1,
// ctrl+y, alt+x. Bubble Tea's names are the ones that count.
func Parse(s string) (string, error) {
	k := strings.TrimPrefix(s, "alt+")
	switch {
	case k == "space":
		return strings.TrimSuffix(s, "space") + " ", nil
	case k == "pgdn":
		return strings.TrimSuffix(s, "pgdn") + "pgdown", nil
	case len([]rune(k)) == 1, named(k):
		return s, nil
	}
	return "", fmt.Errorf("there is no key %q; keys are single characters, and names such as space, enter, f1, ctrl+y, alt+x", s)
}

// The numbers that Bubble Tea gives to keys: control characters upwards from zero, keys without a
// character downwards.
const (
	firstKey = -100
	lastKey  = 127
)

// named reports whether the terminal library knows a key by this name.
func named(k string) bool {
	for t := firstKey; t <= lastKey; t++ {
		if name := tea.KeyType(t).String(); name != "" && name != "runes" && name == k {
			return true
		}
	}
	return false
}
