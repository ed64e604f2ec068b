package core

import (
	"context"
	"strconv"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt/store"
	"amtmedic/tui/keymap"
	"amtmedic/tui/part/table"
	"amtmedic/tui/theme"
)

// severities are the words for the severities of the log, by number.
var severities = []string{"info", "warning", "error"}

// Choices of the log page: from which severity on.
const (
	warnings = "warnings and errors"
	errorsIn = "errors"
)

// newLog makes the page of the log. It follows the newest row while that is selected.
func newLog(p *Page) tab {
	t := &rows[store.LogRow]{p: p, word: "serverlog", words: "Log", noun: "row", follows: true,
		choices: []string{warnings, errorsIn},
		empty:   "Nothing was logged yet. A server that works on this database writes here what it does.",
		counted: func(c *store.Counts) (int, bool) { return c.LogRows, true },
		read:    readLog}
	t.table.Newest = true
	t.table.Key = func(r store.LogRow) string { return strconv.FormatInt(r.ID, 10) }
	t.columns = []table.Column[store.LogRow]{
		{Title: "time", Width: 19, Cell: func(r store.LogRow) (string, theme.Role) { return p.moment(r.At), theme.Plain }},
		{Title: "", Width: 1, Cell: func(r store.LogRow) (string, theme.Role) {
			_, role := p.severity(r.Severity)
			return p.mark(r.Severity, 0), role
		}},
		{Title: "code", Width: 12, Most: 28, From: 90, Cell: func(r store.LogRow) (string, theme.Role) { return p.hide(r.Code), theme.Muted }},
		{Title: "client", Width: 36, From: 150, Cell: func(r store.LogRow) (string, theme.Role) { return p.logClient(r), theme.Plain }},
		{Title: "text", Width: 20, Most: 400, Cell: func(r store.LogRow) (string, theme.Role) { return p.hide(r.Text), theme.Plain }},
	}
	t.about = func(r store.LogRow) []field {
		word, role := p.severity(r.Severity)
		return []field{{"", p.hide(r.Text), theme.Plain}, {"", word, role}, {"code", p.hide(r.Code), theme.Plain}, {"client", p.logClient(r), theme.Plain}}
	}
	t.copied = func(r store.LogRow) string {
		word, _ := p.severity(r.Severity)
		return p.hide(strings.Join([]string{p.moment(r.At), word, r.Code, p.logClient(r), r.Text}, "  "))
	}
	t.open = func(r store.LogRow) tea.Cmd {
		if r.UUID.IsZero() {
			return nil
		}
		return p.openClient(r.UUID)
	}
	t.offers = func() []keymap.Hint { return []keymap.Hint{{Action: keymap.Bottom, Word: "follow"}} }
	return t
}

// readLog reads rows of the log, the newest first; a place is the id of the row before it.
func readLog(ctx context.Context, st *store.Store, q query, after string, limit int) ([]store.LogRow, string, error) {
	o := store.LogOptions{Search: q.search, Limit: limit}
	switch q.only {
	case warnings:
		o.MinSeverity = store.SeverityWarning
	case errorsIn:
		o.MinSeverity = store.SeverityError
	}
	if after != "" {
		var err error
		if o.Before, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, "", err
		}
	}
	rs, err := st.ListLog(ctx, o)
	if err != nil || len(rs) < limit {
		return rs, "", err
	}
	return rs, strconv.FormatInt(rs[len(rs)-1].ID, 10), nil
}

func (p *Page) severity(n int) (string, theme.Role) {
	switch n {
	case store.SeverityInfo:
		return severities[n], theme.Muted
	case store.SeverityWarning:
		return severities[n], theme.Warn
	case store.SeverityError:
		return severities[n], theme.Warn
	}
	return "severity " + strconv.Itoa(n), theme.Unknown
}

func (p *Page) logClient(r store.LogRow) string {
	if r.UUID.IsZero() {
		return ""
	}
	return p.hide(r.UUID.String())
}
