package core

import (
	"context"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/table"
	"amtmedic/tui/theme"
)

// stateLook says how a state of a client is drawn.
func (p *Page) stateLook(s store.State) (string, theme.Role) {
	light, role := diag.Unlooked, theme.Muted
	switch s {
	case store.Provisioned:
		light, role = diag.Good, theme.OK
	case store.InProgress:
		light, role = diag.Busy, theme.Busy
	case store.StateDelayed:
		light, role = diag.Contradicted, theme.Warn
	}
	return theme.Of(light).Glyph + " " + string(s), role
}

// newClients makes the page of clients.
func newClients(p *Page) tab {
	t := &rows[store.Client]{p: p, word: "clients", words: "Clients", noun: "client",
		choices: []string{string(store.StateDelayed), string(store.InProgress), string(store.Unprovisioned), string(store.Provisioned)},
		empty:   "No client has said hello yet. A client in Setup Mode does so by itself: walk the road from the start page to see where its hello stays, or look at the log.",
		counted: func(c *store.Counts) (int, bool) {
			n := 0
			for _, k := range c.Clients {
				n += k
			}
			return n, true
		},
		countedOnly: func(c *store.Counts, only string) int { return c.Clients[store.State(only)] },
		read: func(ctx context.Context, st *store.Store, q query, after string, limit int) ([]store.Client, string, error) {
			return st.ListClients(ctx, store.ListOptions{Search: q.search, State: store.State(q.only), After: after, Limit: limit})
		}}
	t.table.Key = func(c store.Client) string { return c.UUID.String() }
	t.columns = p.clientColumns()
	t.about = p.aboutClient
	t.copied = func(c store.Client) string {
		return p.hide(strings.Join([]string{c.UUID.String(), dash(c.FQDN), string(c.State), dash(string(c.Method)), dash(c.AMTVersion), p.moment(c.LastHello), dash(c.Reason)}, "  "))
	}
	t.open = func(c store.Client) tea.Cmd { return p.openClient(c.UUID) }
	t.offers = func() []keymap.Hint { return []keymap.Hint{keymap.Do(keymap.Explain, "")} }
	t.press = func(k tea.KeyMsg) (tea.Cmd, bool) {
		c, ok := t.table.Selected()
		return p.explain(k, c.Reason), ok
	}
	return t
}

// uuidFrom is the width of the window from which names and UUIDs have a column each.
const uuidFrom = 130

// who names a client: by its FQDN, else by its UUID where that has no column of its own.
func (p *Page) who(fqdn string, u amt.UUID) (string, theme.Role) {
	switch {
	case fqdn == "" && p.w >= uuidFrom:
		return "-", theme.Muted
	case fqdn == "":
		return p.hide(u.String()), theme.Muted
	}
	return p.hide(fqdn), theme.Plain
}

func (p *Page) clientColumns() []table.Column[store.Client] {
	col := func(title string, width, most, from int, cell func(c store.Client) string) table.Column[store.Client] {
		return table.Column[store.Client]{Title: title, Width: width, Most: most, From: from,
			Cell: func(c store.Client) (string, theme.Role) { return cell(c), theme.Plain }}
	}
	name := table.Column[store.Client]{Title: "FQDN", Width: 18, Most: 40, Cell: func(c store.Client) (string, theme.Role) { return p.who(c.FQDN, c.UUID) }}
	state := table.Column[store.Client]{Title: "state", Width: 15, Cell: func(c store.Client) (string, theme.Role) { return p.stateLook(c.State) }}
	return []table.Column[store.Client]{state, name,
		col("UUID", 36, 0, uuidFrom, func(c store.Client) string { return p.hide(c.UUID.String()) }),
		col("", 3, 0, 72, func(c store.Client) string { return method(c.Method) }),
		col("AMT", 6, 10, 72, func(c store.Client) string { return dash(c.AMTVersion) }),
		col("last hello", 12, 0, 0, func(c store.Client) string { return p.day(c.LastHello) }),
		col("hellos", 6, 0, 150, func(c store.Client) string { return thousands(int(c.Hellos)) }),
		col("from", 15, 39, 150, func(c store.Client) string { return p.hide(c.IP) }),
		col("PID", 9, 0, 160, func(c store.Client) string { return p.pid(c.PID) }),
		col("reason", 14, 200, 72, func(c store.Client) string { return p.hide(c.Reason) }),
	}
}

func (p *Page) aboutClient(c store.Client) []field {
	return []field{
		{"", p.hide(c.Reason), theme.Warn}, {"", p.hide(c.UUID.String()), theme.Plain}, {"from", p.hide(c.IP), theme.Plain}, {"PID", p.pid(c.PID), theme.Plain},
		{"first hello", p.moment(c.FirstHello), theme.Plain}, {"last", p.moment(c.LastHello), theme.Plain}, {"hellos", thousands(int(c.Hellos)), theme.Plain},
	}
}

// explain goes to the page about the cause that a reason begins with.
func (p *Page) explain(k tea.KeyMsg, reason string) tea.Cmd {
	if !p.env.Keys.Is(k, keymap.Explain) {
		return nil
	}
	id, _, _ := strings.Cut(reason, ":")
	if !strings.HasPrefix(id, "rc-") {
		return page.Send(page.Note{Text: "nothing holds this client up; there is no cause to explain"})
	}
	return page.Send(page.Goto{Name: "explain", Arg: id})
}

// method gives the word for a method of setup as people write it.
func method(m amt.Method) string {
	switch m {
	case amt.PSK:
		return "PSK"
	case amt.PKI:
		return "PKI"
	case "":
		return "-"
	}
	return string(m)
}

// dash stands for what is not known.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (p *Page) pid(id amt.PID) string {
	if id == "" {
		return "-"
	}
	return p.hide(id.Dashed())
}

// day gives a moment shortly: it must not change while nothing happens.
func (p *Page) day(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.In(p.env.Zone).Format("Jan 02 15:04")
}

// moment gives a moment in full.
func (p *Page) moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.In(p.env.Zone).Format("2006-01-02 15:04:05")
}
