package core

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// logLimit is how many log rows of a client are shown.
const logLimit = 200

// revealed is how long a password stays on the screen.
const revealed = 30 * time.Second

// client is one client that is looked at.
type client struct {
	p    *Page
	uuid amt.UUID
	has  *clientFacts // nil until they were read
	busy bool

	top, all, shown int

	password, pending amt.Secret // while they are shown
	until             time.Time
}

// clientFacts is all that the database holds of a client.
type clientFacts struct {
	store.Client
	known   bool // it said hello
	row     store.MapRow
	mapped  bool
	profile string
	queue   store.QueueRow
	queued  bool
	entry   store.DelayedRow
	delayed bool
	key     store.PIDRow
	keyed   bool
	steps   []string
	log     []store.LogRow
}

// clientRead brings them to the client that is looked at.
type clientRead struct {
	of  *client
	has *clientFacts
	err error
}

// openClient looks at one client.
func (p *Page) openClient(u amt.UUID) tea.Cmd {
	p.one = &client{p: p, uuid: u}
	return p.then(nil)
}

func (c *client) name() string                    { return "clients" }
func (c *client) title() string                   { return "" }
func (c *client) count(*store.Counts) (int, bool) { return 0, false }
func (c *client) typing() bool                    { return false }
func (c *client) captures() bool                  { return true }

func (c *client) status() string {
	if c.has == nil {
		return "reading"
	}
	return string(c.has.State)
}

func (c *client) hints() []keymap.Hint {
	hs := []keymap.Hint{keymap.Do(keymap.Back, "to the list")}
	if c.has != nil && c.has.delayed {
		hs = append(hs, keymap.Do(keymap.Again, "look again now"), keymap.Do(keymap.Explain, ""))
	}
	word := "password"
	if !c.until.IsZero() {
		word = "hide password"
	}
	return append(hs, keymap.Do(keymap.Reveal, word), keymap.Do(keymap.Copy, ""))
}

func (c *client) key(k tea.KeyMsg) tea.Cmd {
	m := c.p.env.Keys
	switch {
	case m.Is(k, keymap.Back):
		c.p.one = nil
	case m.Is(k, keymap.Up):
		c.scroll(-1)
	case m.Is(k, keymap.Down):
		c.scroll(1)
	case m.Is(k, keymap.PageUp):
		c.scroll(1 - c.shown)
	case m.Is(k, keymap.PageDown):
		c.scroll(c.shown - 1)
	case m.Is(k, keymap.Top):
		c.scroll(-c.all)
	case m.Is(k, keymap.Bottom):
		c.scroll(c.all)
	case c.has == nil:
	case m.Is(k, keymap.Again) && c.has.delayed:
		c.p.ask = c.p.askPromote(c.uuid, c.has.entry.Reason, c.has.entry.Attempts)
	case m.Is(k, keymap.Explain):
		return c.p.explain(k, c.has.Reason)
	case m.Is(k, keymap.Reveal):
		return c.reveal()
	case m.Is(k, keymap.Copy):
		var b strings.Builder
		for _, f := range c.facts() {
			fmt.Fprintf(&b, "%-12s %s\n", f.label, f.text)
		}
		return page.Send(page.Copy{What: "what is known of the client, without its password", Text: b.String()})
	}
	return nil
}

func (c *client) scroll(d int) { c.top = max(0, min(c.top+d, c.all-c.shown)) }

// click does nothing: nothing here can be chosen.
func (c *client) click(int) tea.Cmd { return nil }

// reveal asks before the password is shown, or hides it again.
func (c *client) reveal() tea.Cmd {
	switch {
	case !c.until.IsZero():
		c.conceal()
		return nil
	case c.p.env.Hidden:
		return page.Send(page.Note{Text: "names are hidden on this screen; a password is not shown then"})
	}
	who := c.has.FQDN
	if who == "" {
		who = c.uuid.String()
	}
	a := c.p.confirm("Show the administrator's password of a client on this screen", []askRow{
		{"client", who},
		{"shows", "the password of the AMT user admin that this server has set, in clear text"},
		{"for", fmt.Sprintf("%d seconds, or until esc", int(revealed.Seconds()))},
		{"changes", "nothing; it is not copied and not written down"},
	}, func(ctx context.Context) reply { return c.fetchPassword(ctx) })
	a.in = &input.Input{} // reading is allowed also where nothing may be changed
	c.p.ask = a
	return nil
}

func (c *client) fetchPassword(ctx context.Context) reply {
	var verified, next amt.Secret
	err := c.p.db.read(ctx, func(ctx context.Context, st *store.Store) (err error) {
		verified, next, err = st.Passwords(ctx, c.uuid)
		return err
	})
	switch {
	case err != nil:
		return reply{err: err}
	case verified.IsZero() && next.IsZero():
		return reply{said: "this server has set no password in this client"}
	}
	return reply{apply: func() {
		c.password, c.pending, c.until = verified, next, c.p.now().Add(revealed)
	}}
}

func (c *client) conceal() { c.password, c.pending, c.until = amt.Secret{}, amt.Secret{}, time.Time{} }

func (c *client) job() func(ctx context.Context) (any, error) {
	c.busy = true
	return func(ctx context.Context) (any, error) {
		has := &clientFacts{}
		err := c.p.db.read(ctx, func(ctx context.Context, st *store.Store) error { return has.read(ctx, st, c.uuid) })
		return clientRead{c, has, err}, err
	}
}

func (c *client) next() tea.Cmd {
	if c.has != nil || c.busy {
		return nil
	}
	run := c.job()
	return c.p.send(func(ctx context.Context) any {
		body, _ := run(ctx)
		return body
	})
}

func (c *client) again() func(context.Context) (any, error) {
	if !c.until.IsZero() && c.p.now().After(c.until) {
		c.conceal()
	}
	if c.busy {
		return nil
	}
	return c.job()
}

func (c *client) take(body any) bool {
	r, ok := body.(clientRead)
	if !ok {
		return false
	}
	if r.of != c {
		return true // of one that was left
	}
	c.busy = false
	if r.err != nil {
		c.p.trouble(r.err)
		return true
	}
	c.has = r.has
	return true
}

// read reads everything about a client.
func (f *clientFacts) read(ctx context.Context, st *store.Store, u amt.UUID) (err error) {
	if f.Client, f.known, err = st.Client(ctx, u); err != nil {
		return err
	}
	f.UUID = u
	if f.row, f.mapped, err = st.MapRow(ctx, u); err != nil {
		return err
	}
	if f.profile, _, err = st.Profile(ctx, u); err != nil {
		return err
	}
	if f.queue, f.queued, err = st.Queue(ctx, u); err != nil {
		return err
	}
	if f.entry, f.delayed, err = st.Delayed(ctx, u); err != nil {
		return err
	}
	if f.PID != "" {
		if f.key, f.keyed, err = st.PID(ctx, f.PID); err != nil {
			return err
		}
	}
	if f.steps, err = st.Steps(ctx, u); err != nil {
		return err
	}
	f.log, err = st.ListLog(ctx, store.LogOptions{UUID: u, Limit: logLimit})
	return err
}

// facts says what is known, a label and a text for each; never a password, since they are copied too.
func (c *client) facts() []field {
	f, p := c.has, c.p
	state, role := p.stateLook(f.State)
	if !f.known {
		state, role = theme.Of(diag.Unknown).Glyph+" it never said hello", theme.Unknown
	}
	out := []field{{"state", state, role}}
	add := func(label, s string) {
		if s != "" {
			out = append(out, field{label, s, theme.Plain})
		}
	}
	if f.Reason != "" {
		out = append(out, field{"reason", p.hide(f.Reason), theme.Warn})
	}
	switch {
	case f.delayed:
		add("delayed", fmt.Sprintf("since %s, due %s, tried %s", p.moment(f.entry.Since), p.moment(f.entry.Due), several(f.entry.Attempts, "time")))
	case f.queued && f.queue.ClaimedBy != "":
		add("queue", fmt.Sprintf("%s works on it, attempt %d", p.hide(f.queue.ClaimedBy), f.queue.Attempts))
	case f.queued:
		add("queue", fmt.Sprintf("waits since %s, tried %s", p.moment(f.queue.Enqueued), several(f.queue.Attempts, "time")))
	}
	add("UUID", p.hide(f.UUID.String()))
	name := "not known"
	switch {
	case f.mapped:
		name = p.hide(f.row.FQDN) + ", in the UUID map by " + p.hide(f.row.Source)
	case f.FQDN != "":
		name = p.hide(f.FQDN)
	}
	add("FQDN", name)
	add("profile", p.hide(f.profile))
	add("method", c.method())
	add("AMT", f.AMTVersion)
	if f.known {
		add("last hello", p.moment(f.LastHello)+" from "+p.hide(f.IP))
		add("hellos", fmt.Sprintf("%s, the first %s", thousands(int(f.Hellos)), p.moment(f.FirstHello)))
		add("changed", p.moment(f.Changed))
	}
	if len(f.steps) > 0 {
		add("steps done", p.hide(strings.Join(f.steps, ", ")))
	}
	return out
}

func (c *client) method() string {
	f, p := c.has, c.p
	if f.Method != amt.PSK {
		return map[amt.Method]string{amt.PKI: "Remote Configuration (PKI)"}[f.Method]
	}
	s := "PSK, PID " + p.pid(f.PID)
	switch {
	case f.PID == "":
		return "PSK"
	case !f.keyed:
		return s + ": not in the PID map"
	case f.key.Used:
		return s + ": in the PID map, used"
	}
	return s + ": in the PID map, unused"
}

func (c *client) passwordFields() []field {
	if c.until.IsZero() {
		return []field{{"password", "not shown; " + c.p.env.Keys.Key(keymap.Reveal) + " shows it", theme.Muted}}
	}
	var out []field
	if !c.password.IsZero() {
		out = append(out, field{"password", c.password.Reveal() + "   (verified by a log-in)", theme.Accent})
	}
	if !c.pending.IsZero() {
		out = append(out, field{"password", c.pending.Reveal() + "   (about to be set when the last session ended; the firmware may have it)", theme.Accent})
	}
	return out
}

// wideFrom is the width from which the log stands beside the facts.
const wideFrom = 130

func (c *client) view(w, h, _ int) []string {
	if c.has == nil {
		return []string{"", " " + c.p.env.Theme.Glyph(diag.Busy) + " reading the client"}
	}
	var head []string
	name := c.has.FQDN
	if name == "" {
		name = c.uuid.String()
	}
	head = append(head, "   "+c.p.env.Paint(theme.Title, text.Cut(c.p.hide(name), w-4)))
	if h >= tall {
		head = append(head, "")
	}
	room := max(1, h-len(head))
	if w >= wideFrom {
		left := c.factLines(64)
		right := c.logLines(w - 64 - 5)
		c.all, c.shown = max(len(left), len(right)), room
		c.scroll(0)
		right = right[min(c.top, len(right)):]
		sep := " " + c.p.env.Paint(theme.Muted, "│") + " "
		return append(head, text.Columns(sep, room, text.Column{Lines: left, Width: 66}, text.Column{Lines: right, Width: w - 69})...)
	}
	lines := append(append(c.factLines(w), ""), c.logLines(w)...)
	c.all, c.shown = len(lines), room
	c.scroll(0)
	return append(head, lines[c.top:min(len(lines), c.top+room)]...)
}

func (c *client) factLines(w int) []string {
	const label = 12
	var lines []string
	for _, f := range append(c.facts(), c.passwordFields()...) {
		for i, l := range text.Wrap(f.text, w-label-5) {
			name := f.label
			if i > 0 {
				name = ""
			}
			lines = append(lines, "   "+c.p.env.Paint(theme.Muted, text.Fit(name, label))+c.p.env.Paint(f.role, l))
		}
	}
	return lines
}

func (c *client) logLines(w int) []string {
	title := "Log, the newest row first"
	if len(c.has.log) == 0 {
		title = "Nothing was logged about it."
	}
	lines := []string{"   " + c.p.env.Paint(theme.Title, title)}
	for _, r := range c.has.log {
		_, role := c.p.severity(r.Severity)
		for i, l := range text.Wrap(c.p.hide(r.Text), max(10, w-26)) {
			at := text.Fit(c.p.moment(r.At), 19)
			if i > 0 {
				at = text.Fit("", 19)
			}
			lines = append(lines, "   "+c.p.env.Paint(theme.Muted, at)+" "+c.p.env.Paint(role, c.p.mark(r.Severity, i))+" "+l)
		}
	}
	return lines
}

// mark is the sign of a severity, in the first line of a row.
func (p *Page) mark(severity, line int) string {
	switch {
	case line > 0, severity == store.SeverityInfo:
		return " "
	case severity == store.SeverityWarning:
		return "w"
	}
	return "!"
}
