package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/amt/store"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// meaning tells what a setting is for.
func meaning(name string) string {
	s, _ := store.FindSetting(name)
	return s.Meaning
}

// settings is the page of the configuration and the profiles.
type settings struct {
	p    *Page
	rows list.List
	at   list.Lines
	has  *settingsRead
	busy bool
}

// settingsRead is what the database holds.
type settingsRead struct {
	of       *settings
	config   map[string]string
	names    []string
	profiles []store.ProfileRow
	err      error
}

func newSettings(p *Page) tab { return &settings{p: p} }

func (s *settings) name() string                    { return "settings" }
func (s *settings) title() string                   { return "Server" }
func (s *settings) count(*store.Counts) (int, bool) { return 0, false }
func (s *settings) typing() bool                    { return false }
func (s *settings) captures() bool                  { return false }
func (s *settings) status() string {
	if s.has == nil {
		return "reading"
	}
	return fmt.Sprintf("%s · %s", several(len(s.has.names), "setting"), several(len(s.has.profiles), "profile"))
}

func (s *settings) hints() []keymap.Hint {
	return []keymap.Hint{keymap.Do(keymap.Enter, "change"), keymap.Do(keymap.Copy, "")}
}

// selected gives the name of the setting under the cursor, or the profile.
func (s *settings) selected() (setting string, profile *store.ProfileRow) {
	if s.has == nil {
		return "", nil
	}
	i := s.rows.Cursor()
	if i < len(s.has.names) {
		return s.has.names[i], nil
	}
	if i -= len(s.has.names); i < len(s.has.profiles) {
		return "", &s.has.profiles[i]
	}
	return "", nil
}

func (s *settings) key(k tea.KeyMsg) tea.Cmd {
	m := s.p.env.Keys
	switch {
	case m.Is(k, keymap.Up):
		s.rows.Move(-1)
	case m.Is(k, keymap.Down):
		s.rows.Move(1)
	case m.Is(k, keymap.PageUp):
		s.rows.Move(-s.rows.Page())
	case m.Is(k, keymap.PageDown):
		s.rows.Move(s.rows.Page())
	case m.Is(k, keymap.Top):
		s.rows.To(0)
	case m.Is(k, keymap.Bottom):
		s.rows.Last()
	case m.Is(k, keymap.Enter):
		s.enter()
	case m.Is(k, keymap.Copy):
		name, profile := s.selected()
		switch {
		case name != "":
			return page.Send(page.Copy{What: "the setting", Text: s.p.hide(name + "=" + s.has.config[name])})
		case profile != nil:
			return page.Send(page.Copy{What: "the profile", Text: s.p.hide(profile.Name + ": " + bodyWords(profile.Body))})
		}
	}
	return nil
}

func (s *settings) enter() {
	name, profile := s.selected()
	switch {
	case name != "":
		s.p.ask = s.askValue(name)
	case profile != nil && !profile.Default:
		s.p.ask = s.askDefault(profile.Name)
	}
}

func (s *settings) click(line int) tea.Cmd {
	if again, ok := s.rows.Click(s.at, line); ok && again {
		s.enter()
	}
	return nil
}

// values gives what a setting may be; nil when that is not a list.
func (s *settings) values(name string) []string {
	if name != "default_profile" {
		k, _ := store.FindSetting(name)
		return k.Values
	}
	var names []string
	for _, p := range s.has.profiles {
		names = append(names, p.Name)
	}
	return names
}

// askValue asks for the new value of a setting.
func (s *settings) askValue(name string) *ask {
	k, _ := store.FindSetting(name)
	values, is := s.values(name), s.has.config[name]
	rows := []askRow{{"setting", name}, {"is now", dash(is)}}
	if k.Meaning != "" {
		rows = append(rows, askRow{"means", k.Meaning})
	}
	a := &ask{p: s.p, title: "Change a setting of the server", label: "new value"}
	switch {
	case k.Follows:
		a.rows = append(rows, askRow{"to change", "make another profile the default one, or import it anew: amtmedic profiles import"})
		a.only = "It is not changed by hand."
		return a
	case len(values) > 0:
		rows = append(rows, askRow{"may be", strings.Join(values, ", ")})
		for _, v := range values {
			if v != is {
				a.hint = v
				break
			}
		}
	}
	a.rows = append(rows, askRow{"then", "shows the change once more; nothing is written before you have typed " + yes})
	if s.p.env.ReadOnly {
		return a
	}
	a.in = &input.Input{}
	a.check = func(v string) error {
		switch {
		case v == "":
			return errors.New("type the new value")
		case v == is:
			return errors.New("that is its value already")
		case len(values) > 0 && !slices.Contains(values, v):
			return fmt.Errorf("%s is one of %s", name, strings.Join(values, ", "))
		}
		return k.Check(v)
	}
	a.run = func(_ context.Context, v string) reply {
		if name == "default_profile" {
			return reply{next: s.askDefault(v)}
		}
		return reply{next: s.askChange(name, v)}
	}
	return a
}

// askChange shows the change of a setting.
func (s *settings) askChange(name, value string) *ask {
	old := dash(s.has.config[name])
	return s.p.confirm("Change a setting of the server", []askRow{
		{"setting", name}, {"from", old}, {"to", value}, {"means", dash(meaning(name))},
		{"changes", "one row of csti_configuration; a server that runs may read it only when it starts again"},
		{"undo", "set it to " + old + " again"},
	}, func(ctx context.Context) reply {
		err := s.p.db.change(ctx, func(ctx context.Context, st *store.Store) error { return st.SetConfig(ctx, name, value) })
		return reply{done: name + " is " + value, err: err}
	})
}

// askDefault shows what it means to make another profile the default one.
func (s *settings) askDefault(name string) *ask {
	old := dash(s.has.config["default_profile"])
	rows := []askRow{{"from", old}, {"to", name}}
	for _, p := range s.has.profiles {
		if p.Name == name {
			rows = append(rows, askRow{"settings", bodyWords(p.Body)})
		}
	}
	rows = append(rows,
		askRow{"means", meaning("default_profile")},
		askRow{"changes", "default_profile of csti_configuration, and tls_mode, which follows it; clients that are provisioned stay as they are"},
		askRow{"mind", "https of the web directory has to follow tls_mode, which is now " + dash(s.has.config["tls_mode"])},
		askRow{"undo", "make " + old + " the default one again"})
	return s.p.confirm("Make another profile the default one", rows, func(ctx context.Context) reply {
		mode := ""
		err := s.p.db.change(ctx, func(ctx context.Context, st *store.Store) error {
			sum, err := st.PutProfiles(ctx, nil, name)
			mode = sum.TLSMode
			return err
		})
		return reply{done: name + " is the default profile, and tls_mode is " + mode, err: err}
	})
}

// bodyWords gives the settings of a profile in one line: names and values, never a secret.
func bodyWords(body string) string {
	var v map[string]any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		return "it cannot be read"
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(v)) {
		out = append(out, k+" "+valueWords(v[k]))
	}
	return strings.Join(out, ", ")
}

func valueWords(v any) string {
	switch v := v.(type) {
	case map[string]any:
		if v["sealed"] != nil || v["secret"] != nil {
			return "(sealed)"
		}
		var out []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, k+" "+valueWords(v[k]))
		}
		return "(" + strings.Join(out, ", ") + ")"
	case []any:
		var out []string
		for _, x := range v {
			out = append(out, valueWords(x))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	return fmt.Sprint(v)
}

func (s *settings) job() func(ctx context.Context) (any, error) {
	s.busy = true
	return func(ctx context.Context) (any, error) {
		r := settingsRead{of: s}
		r.err = s.p.db.read(ctx, func(ctx context.Context, st *store.Store) (err error) {
			r.config, err = st.Config(ctx)
			if err != nil && !errors.Is(err, store.ErrNoConfig) {
				return err
			}
			r.names = slices.Sorted(maps.Keys(r.config))
			r.profiles, err = st.ListProfiles(ctx)
			return err
		})
		return r, r.err
	}
}

func (s *settings) next() tea.Cmd {
	if s.has != nil || s.busy {
		return nil
	}
	run := s.job()
	return s.p.send(func(ctx context.Context) any {
		body, _ := run(ctx)
		return body
	})
}

func (s *settings) again() func(context.Context) (any, error) {
	if s.busy {
		return nil
	}
	return s.job()
}

func (s *settings) take(body any) bool {
	r, ok := body.(settingsRead)
	if !ok || r.of != s {
		return false
	}
	s.busy = false
	if r.err != nil {
		s.p.trouble(r.err)
		return true
	}
	s.has = &r
	return true
}

func (s *settings) view(w, h, top int) []string {
	if s.has == nil {
		return nil
	}
	env := s.p.env
	inner := min(w, 140)
	foot := s.detail(inner, h)
	n := len(s.has.names) + len(s.has.profiles)
	room := h - len(foot) - 3
	s.rows.Set(n, max(1, room))
	s.at = list.Lines{}
	var lines []string
	from, to := s.rows.Window()
	for i := from; i < to; i++ {
		if i == from && i < len(s.has.names) {
			lines = append(lines, "   "+env.Paint(theme.Muted, "Settings"))
		}
		if i == len(s.has.names) || i == from && i > len(s.has.names) {
			if h >= tall && i > from {
				lines = append(lines, "")
			}
			lines = append(lines, "   "+env.Paint(theme.Muted, "Profiles"))
		}
		on := i == s.rows.Cursor()
		s.at[top+len(lines)] = i
		lines = append(lines, " "+env.Theme.Pointer(on)+" "+s.line(i, on, inner))
	}
	for len(lines) < h-len(foot) {
		lines = append(lines, "")
	}
	return append(lines, foot...)
}

// line draws one setting or profile.
func (s *settings) line(i int, on bool, w int) string {
	left, middle, right := "", "", ""
	if i < len(s.has.names) {
		left = s.has.names[i]
		middle, right = s.has.config[left], meaning(left)
	} else {
		row := s.has.profiles[i-len(s.has.names)]
		if left = row.Name; row.Default {
			middle = "default"
		}
		right = bodyWords(row.Body)
	}
	head := text.Fit(s.p.hide(left), 24) + text.Fit(s.p.hide(middle), 16)
	if on {
		head = s.p.env.Paint(theme.Selected, head)
	}
	return head + s.p.env.Paint(theme.Muted, text.Cut(s.p.hide(right), max(0, w-45)))
}

// detail shows the selected row in full.
func (s *settings) detail(w, h int) []string {
	name, profile := s.selected()
	room := 2
	if h >= tall {
		room = 5
	}
	lines := []string{" " + s.p.env.Paint(theme.Muted, strings.Repeat("─", max(0, w-2)))}
	var fields []field
	switch {
	case name != "":
		fields = []field{{name, dash(s.p.hide(s.has.config[name])), theme.Plain}, {"may be", s.p.hide(strings.Join(s.values(name), ", ")), theme.Plain}, {"", meaning(name), theme.Muted}}
	case profile != nil:
		fields = []field{{"profile", s.p.hide(profile.Name), theme.Plain}, {"provisioned with it", several(profile.Clients, "client"), theme.Plain},
			{"named in the UUID map", several(profile.Mapped, "time"), theme.Plain}, {"", s.p.hide(bodyWords(profile.Body)), theme.Muted}}
	}
	return append(lines, flow(s.p.env, fields, w-4, room-1, "   ")...)
}
