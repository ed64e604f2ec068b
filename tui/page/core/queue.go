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

// newQueue makes the page of queue entries.
func newQueue(p *Page) tab {
	t := &rows[store.QueueRow]{p: p, word: "queue", words: "Queue", noun: "entry",
		empty:   "Nobody waits. A hello puts its client here; a worker takes it out, or puts it among the delayed ones with the reason.",
		counted: func(c *store.Counts) (int, bool) { return c.Queued, true },
		read: func(ctx context.Context, st *store.Store, q query, after string, limit int) ([]store.QueueRow, string, error) {
			return st.ListQueue(ctx, store.ListOptions{Search: q.search, After: after, Limit: limit})
		}}
	t.table.Key = func(r store.QueueRow) string { return r.UUID.String() }
	held := func(r store.QueueRow) (string, theme.Role) {
		if r.ClaimedBy == "" {
			return theme.Of(diag.Unlooked).Glyph + " waiting", theme.Muted
		}
		return theme.Of(diag.Busy).Glyph + " working", theme.Busy
	}
	t.columns = []table.Column[store.QueueRow]{
		{Title: "state", Width: 9, Cell: held},
		{Title: "client", Width: 22, Most: 36, Cell: func(r store.QueueRow) (string, theme.Role) { return p.who(r.FQDN, r.UUID) }},
		{Title: "UUID", Width: 36, From: uuidFrom, Cell: func(r store.QueueRow) (string, theme.Role) { return p.hide(r.UUID.String()), theme.Plain }},
		{Title: "in the queue since", Width: 19, Cell: func(r store.QueueRow) (string, theme.Role) { return p.moment(r.Enqueued), theme.Plain }},
		{Title: "attempts", Width: 8, Right: true, From: 72, Cell: func(r store.QueueRow) (string, theme.Role) { return thousands(r.Attempts), theme.Plain }},
		{Title: "worker", Width: 8, Most: 60, From: 100, Cell: func(r store.QueueRow) (string, theme.Role) { return p.hide(r.ClaimedBy), theme.Plain }},
	}
	t.about = func(r store.QueueRow) []field {
		worker := "nobody yet; the next free worker takes it"
		if r.ClaimedBy != "" {
			worker = p.hide(r.ClaimedBy)
		}
		return []field{{"", p.hide(r.UUID.String()), theme.Plain}, {"attempts", thousands(r.Attempts), theme.Plain}, {"worker", worker, theme.Plain}}
	}
	t.copied = func(r store.QueueRow) string {
		return p.hide(strings.Join([]string{r.UUID.String(), dash(r.FQDN), p.moment(r.Enqueued), thousands(r.Attempts) + " attempts", dash(r.ClaimedBy)}, "  "))
	}
	t.open = func(r store.QueueRow) tea.Cmd { return p.openClient(r.UUID) }
	return t
}

// newDelayed makes the page of delayed entries.
func newDelayed(p *Page) tab {
	t := &rows[store.DelayedRow]{p: p, word: "delayed", words: "Delayed", noun: "entry",
		empty:   "No client is delayed: none waits for a key, a name, or a second try.",
		counted: func(c *store.Counts) (int, bool) { return c.Delayed, true },
		read: func(ctx context.Context, st *store.Store, q query, after string, limit int) ([]store.DelayedRow, string, error) {
			return st.ListDelayed(ctx, store.ListOptions{Search: q.search, After: after, Limit: limit})
		}}
	t.table.Key = func(r store.DelayedRow) string { return r.UUID.String() }
	t.columns = []table.Column[store.DelayedRow]{
		{Title: "due", Width: 12, Cell: func(r store.DelayedRow) (string, theme.Role) { return p.day(r.Due), theme.Plain }},
		{Title: "tries", Width: 5, Right: true, Cell: func(r store.DelayedRow) (string, theme.Role) { return thousands(r.Attempts), theme.Plain }},
		{Title: "client", Width: 21, Most: 36, Cell: func(r store.DelayedRow) (string, theme.Role) { return p.who(r.FQDN, r.UUID) }},
		{Title: "UUID", Width: 36, From: uuidFrom, Cell: func(r store.DelayedRow) (string, theme.Role) { return p.hide(r.UUID.String()), theme.Plain }},
		{Title: "since", Width: 19, From: 150, Cell: func(r store.DelayedRow) (string, theme.Role) { return p.moment(r.Since), theme.Plain }},
		{Title: "reason", Width: 14, Most: 200, Cell: func(r store.DelayedRow) (string, theme.Role) { return p.hide(r.Reason), theme.Warn }},
	}
	t.about = func(r store.DelayedRow) []field {
		return []field{{"", p.hide(r.Reason), theme.Warn}, {"", p.hide(r.UUID.String()), theme.Plain}, {"since", p.moment(r.Since), theme.Plain},
			{"due", p.moment(r.Due), theme.Plain}, {"tries", thousands(r.Attempts), theme.Plain}}
	}
	t.copied = func(r store.DelayedRow) string {
		return p.hide(strings.Join([]string{r.UUID.String(), dash(r.FQDN), "due " + p.moment(r.Due), thousands(r.Attempts) + " attempts", r.Reason}, "  "))
	}
	t.open = func(r store.DelayedRow) tea.Cmd { return p.openClient(r.UUID) }
	t.offers = func() []keymap.Hint {
		return []keymap.Hint{keymap.Do(keymap.Again, "look again now"), keymap.Do(keymap.Explain, "")}
	}
	t.press = func(k tea.KeyMsg) (tea.Cmd, bool) {
		r, ok := t.table.Selected()
		if ok && p.env.Keys.Is(k, keymap.Again) {
			p.ask = p.askPromote(r.UUID, r.Reason, r.Attempts)
			return nil, true
		}
		return p.explain(k, r.Reason), ok
	}
	return t
}
