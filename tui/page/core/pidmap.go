package core

import (
	"context"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/tui/keymap"
	"amtmedic/tui/part/table"
	"amtmedic/tui/theme"
)

// newKeys makes the page of the PID map. A PPS is never read for it.
func newKeys(p *Page) tab {
	t := &rows[store.PIDRow]{p: p, word: "keys", words: "Keys", noun: "key",
		empty:   "The PID map is empty: no client of method PSK can be set up. i imports a key file, the list of the maker, or a setup.bin.",
		counted: func(c *store.Counts) (int, bool) { return c.PIDs, true },
		read: func(ctx context.Context, st *store.Store, q query, after string, limit int) ([]store.PIDRow, string, error) {
			return st.ListPIDs(ctx, store.ListOptions{Search: q.search, After: after, Limit: limit})
		}}
	t.table.Key = func(r store.PIDRow) string { return string(r.PID) }
	used := func(r store.PIDRow) (string, theme.Role) {
		if r.Used {
			return theme.Of(diag.Good).Glyph + " used", theme.OK
		}
		return theme.Of(diag.Unlooked).Glyph + " unused", theme.Muted
	}
	client := func(r store.PIDRow) string {
		switch {
		case !r.UUID.IsZero():
			return p.hide(r.UUID.String())
		case r.Used:
			return "not known"
		}
		return ""
	}
	t.columns = []table.Column[store.PIDRow]{
		{Title: "id", Width: 7, Right: true, Cell: func(r store.PIDRow) (string, theme.Role) { return thousands(int(r.ID)), theme.Muted }},
		{Title: "PID", Width: 9, Cell: func(r store.PIDRow) (string, theme.Role) { return p.pid(r.PID), theme.Plain }},
		{Title: "used", Width: 8, Cell: used},
		{Title: "client that used it", Width: 16, Most: 36, Cell: func(r store.PIDRow) (string, theme.Role) { return client(r), theme.Plain }},
		{Title: "changed", Width: 19, From: 90, Cell: func(r store.PIDRow) (string, theme.Role) { return p.moment(r.Updated), theme.Plain }},
	}
	t.about = func(r store.PIDRow) []field {
		state, _ := used(r)
		fields := []field{{"client", client(r), theme.Plain}, {"PID", p.pid(r.PID), theme.Plain}, {"", state[strings.IndexByte(state, ' ')+1:], theme.Plain}, {"changed", p.moment(r.Updated), theme.Plain}}
		if c := p.counts; c != nil {
			fields = append(fields, field{"in all", thousands(c.PIDs) + ", unused " + thousands(c.PIDsUnused), theme.Plain})
		}
		return append(fields, field{"", "The PPS are sealed in the database and are not shown here.", theme.Muted})
	}
	t.copied = func(r store.PIDRow) string {
		state, _ := used(r)
		return p.hide(strings.TrimSpace(strings.Join([]string{r.PID.Dashed(), state[strings.IndexByte(state, ' ')+1:], client(r)}, "  ")))
	}
	t.open = func(r store.PIDRow) tea.Cmd {
		if r.UUID.IsZero() {
			return nil
		}
		return p.openClient(r.UUID)
	}
	t.offers = func() []keymap.Hint { return []keymap.Hint{keymap.Do(keymap.Import, "")} }
	t.press = func(k tea.KeyMsg) (tea.Cmd, bool) {
		if p.env.Keys.Is(k, keymap.Import) {
			p.ask = p.askImport()
			return nil, true
		}
		return nil, false
	}
	return t
}
