// Package ask puts a question to the person: options with a cursor, and a line to type in. It also
// holds the page that answers any question out of turn.
package ask

import (
	"fmt"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag/probe"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/list"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Form is one question being answered.
type Form struct {
	env   *page.Env
	q     probe.Question
	rows  list.List
	at    list.Lines
	field *input.Input // not nil while typing
	err   string
}

// NewForm makes the form of a question.
func NewForm(env *page.Env, q probe.Question) *Form {
	f := &Form{env: env, q: q}
	f.rows.Set(f.count(), f.count())
	return f
}

// ID is the question's id.
func (f *Form) ID() string { return f.q.ID }

// Typing reports whether the line has the keys.
func (f *Form) Typing() bool { return f.field != nil }

func (f *Form) count() int {
	n := len(f.q.Options)
	if f.q.Field != nil {
		n++
	}
	return n
}

// Last is the number of the last answer, for the footer.
func (f *Form) Last() int { return min(9, f.count()) }

// Fail shows why an answer was not taken.
func (f *Form) Fail(err error) {
	if err != nil {
		f.err = text.Clean(err.Error())
	}
}

// Update takes a key. It gives the intent of an answer, and whether the key was one for the form.
func (f *Form) Update(k tea.KeyMsg) (tea.Cmd, bool) {
	if f.field != nil {
		return f.typing(k)
	}
	m := f.env.Keys
	if n := m.Number(k); n >= 0 && n < f.count() {
		f.rows.To(n)
		return f.choose(), true
	}
	switch {
	case m.Is(k, keymap.Up):
		f.rows.Move(-1)
	case m.Is(k, keymap.Down):
		f.rows.Move(1)
	case m.Is(k, keymap.Enter):
		return f.choose(), true
	default:
		return nil, false
	}
	return nil, true
}

// Click chooses the answer on a line of the form. An answer is given by the second click only.
func (f *Form) Click(line int) tea.Cmd {
	if again, ok := f.rows.Click(f.at, line); ok && again && f.field == nil {
		return f.choose()
	}
	return nil
}

func (f *Form) choose() tea.Cmd {
	n := f.rows.Cursor()
	f.err = ""
	if n >= len(f.q.Options) {
		if f.q.Field != nil {
			f.field = &input.Input{}
		}
		return nil
	}
	return page.Send(page.Answer{Question: f.q.ID, Option: n})
}

func (f *Form) typing(k tea.KeyMsg) (tea.Cmd, bool) {
	m := f.env.Keys
	switch {
	case k.Type == tea.KeyEsc:
		f.field, f.err = nil, ""
	case m.Is(k, keymap.Enter) && k.Type == tea.KeyEnter:
		typed := f.field.Value()
		if f.q.Field.Facts != nil {
			if _, err := f.q.Field.Facts(typed); err != nil {
				f.Fail(err)
				return nil, true
			}
		}
		f.field, f.err = nil, ""
		return page.Send(page.Answer{Question: f.q.ID, Option: -1, Text: typed}), true
	default:
		f.err = ""
		return nil, f.field.Update(k)
	}
	return nil, true
}

// View draws the question in w columns and at most h lines: title, why, how, answers, and what
// follows from them when there is room.
func (f *Form) View(w, h int) []string {
	head := text.Wrap(f.q.Title, w-text.Width(f.q.Check)-3)
	if len(head) > 0 {
		head[0] = text.Sides(f.env.Paint(theme.Title, head[0]), f.env.Paint(theme.Muted, f.q.Check), w)
		for i := range head[1:] {
			head[i+1] = f.env.Paint(theme.Title, head[i+1])
		}
	}
	answers := f.answers(w)
	why := Labelled(f.env, "Why", f.q.Why, w)
	how := f.how(w)
	rest := h - len(head) - len(answers) - 1
	lines := head
	if rest > len(why) {
		lines, rest = append(append(lines, ""), why...), rest-len(why)-1
	}
	if rest >= len(how) {
		lines, rest = append(lines, how...), rest-len(how)
	}
	lines = append(lines, "")
	first := len(lines)
	at := list.Lines{}
	for l, row := range f.at { // from the answers' own lines to those of the form
		at[first+l] = row
	}
	f.at = at
	lines = append(lines, answers...)
	if follows := f.follows(w); len(follows) > 0 && rest > len(follows) {
		lines = append(append(lines, ""), follows...)
	}
	return lines
}

func (f *Form) how(w int) []string {
	var lines []string
	for i, step := range f.q.How {
		label, number := "", ""
		if i == 0 {
			label = "How"
		}
		if len(f.q.How) > 1 {
			number = fmt.Sprintf("%d  ", i+1)
		}
		for j, l := range text.Indent(number, step, len(number), w-6) {
			if j > 0 {
				label = ""
			}
			lines = append(lines, f.env.Paint(theme.Muted, text.Fit(label, 6))+l)
		}
	}
	return lines
}

func (f *Form) answers(w int) []string {
	var lines []string
	f.at = list.Lines{}
	for i, o := range f.q.Options {
		f.at[len(lines)] = i
		lines = append(lines, f.row(i, o.Label, w)...)
	}
	if fd := f.q.Field; fd != nil {
		n := len(f.q.Options)
		if f.field != nil {
			lines = append(lines, f.env.Theme.Pointer(true)+" "+text.Cut(fd.Label, w/2)+": "+f.field.View(f.env.Theme, w-w/2-4),
				"  "+f.env.Paint(theme.Muted, text.Cut(hintOf(fd)+"enter takes it, esc leaves it", w-2)))
		} else {
			label := "type it: " + fd.Label
			if fd.Hint != "" {
				label += " (" + fd.Hint + ")"
			}
			f.at[len(lines)] = n
			lines = append(lines, f.row(n, label, w)...)
		}
	}
	for _, l := range text.Wrap(f.err, w-2) {
		lines = append(lines, f.env.Paint(theme.Warn, "! "+l))
	}
	return lines
}

func hintOf(fd *probe.Field) string {
	if fd.Hint == "" {
		return ""
	}
	return "like " + fd.Hint + " · "
}

func (f *Form) row(i int, label string, w int) []string {
	on := i == f.rows.Cursor() && f.field == nil
	number := " "
	if i < 9 {
		number = fmt.Sprint(i + 1)
	}
	lines := text.Indent(number, label, 3, w-2)
	for j, l := range lines {
		if on {
			l = f.env.Paint(theme.Selected, l)
		}
		lines[j] = f.env.Theme.Pointer(on && j == 0) + " " + l
	}
	return lines
}

func (f *Form) follows(w int) []string {
	var lines []string
	label := "What follows"
	for i, o := range f.q.Options {
		if o.Follows == "" {
			continue
		}
		lines = append(lines, f.env.Paint(theme.Muted, text.Fit(label, 15))+text.Cut(fmt.Sprintf("%d → %s", i+1, o.Follows), w-15))
		label = ""
	}
	return lines
}

// Labelled draws a muted label of six columns and text behind it.
func Labelled(env *page.Env, label, s string, w int) []string {
	lines := text.Wrap(s, w-6)
	for i, l := range lines {
		lines[i] = env.Paint(theme.Muted, text.Fit(label, 6)) + l
		label = ""
	}
	return lines
}
