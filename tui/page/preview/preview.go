// Package preview draws what a page would do before a person types the word for it: a title, rows with
// labels that scroll, and the line in which the word, or a text, is typed.
package preview

import (
	"fmt"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/text"
	"amtmedic/tui/theme"
)

// Row is a line of what would be done: a label and a text.
type Row [2]string

// Window is the part of the rows that is shown.
type Window struct {
	top, all, shown int // first line that is shown, and how many there are
	read            bool
}

// Read reports whether the last line was shown.
func (w *Window) Read() bool { return w.read }

// Turn scrolls by pages, upwards when n is negative.
func (w *Window) Turn(n int) { w.scroll(n * max(1, w.shown-1)) }

func (w *Window) scroll(d int) { w.top = max(0, min(w.top+d, w.all-w.shown)) }

// View puts the lines of title, body and foot into h lines. What of the body has no room is scrolled to.
func (w *Window) View(env *page.Env, head, body, foot []string, h int) []string {
	room := max(1, h-len(head)-len(foot)-1)
	w.all, w.shown = len(body), room
	if len(body) <= room {
		w.top, w.read = 0, true
	} else {
		w.shown = max(1, room-1)
		w.scroll(0)
		left := len(body) - w.top - w.shown
		w.read = w.read || left <= 0
		body = append(body[w.top:w.top+w.shown:w.top+w.shown], "   "+env.Paint(theme.Accent, More(env, left)))
	}
	return append(append(append(head, body...), ""), foot...)
}

// More says how many lines lie below.
func More(env *page.Env, left int) string {
	if left <= 0 {
		return "the end; " + env.Keys.Key(keymap.PageUp) + " goes back up"
	}
	lines := "lines"
	if left == 1 {
		lines = "line"
	}
	return fmt.Sprintf("%s more %s: %s", text.Thousands(left), lines, env.Keys.Key(keymap.PageDown))
}

// Head draws the title, with air around it where h lines have room.
func Head(env *page.Env, title string, width, h int) []string {
	var head []string
	if h >= 12 {
		head = append(head, "")
	}
	for _, l := range text.Wrap(title, width-2) {
		head = append(head, " "+env.Paint(theme.Title, l))
	}
	if h >= 12 {
		head = append(head, "")
	}
	return head
}

// Body draws the rows in a width. hide is what the pages do to a text before they show it.
func Body(env *page.Env, rows []Row, hide func(string) string, width int) []string {
	wide := 0
	for _, r := range rows {
		wide = max(wide, text.Width(r[0]))
	}
	wide += 3
	var lines []string
	for _, r := range rows {
		for i, l := range text.Wrap(hide(r[1]), max(1, width-4-wide)) {
			label := r[0]
			if i > 0 {
				label = ""
			}
			lines = append(lines, "   "+env.Paint(theme.Muted, text.Fit(label, wide))+l)
		}
	}
	return lines
}

// Note draws a remark with a mark before its first line.
func Note(env *page.Env, role theme.Role, mark, s string, width int) []string {
	var lines []string
	for i, l := range text.Wrap(s, width-4) {
		if i > 0 {
			mark = " "
		}
		lines = append(lines, " "+env.Paint(role, mark)+" "+l)
	}
	return lines
}

// Typed draws the line in which something is typed, and a note below it if there is one. An empty label asks
// for the word.
func Typed(env *page.Env, in *input.Input, label, word, hint, note string, width int) []string {
	label += ":"
	if label == ":" {
		label = "Type " + word + " to do it:"
	}
	line := " " + env.Theme.Pointer(true) + " " + env.Paint(theme.Selected, label) + " " + in.View(env.Theme, max(8, width-text.Width(label)-6))
	if in.Value() == "" && hint != "" {
		line += "  " + env.Paint(theme.Muted, hint)
	}
	lines := []string{text.Cut(line, width)}
	if note != "" {
		lines = append(lines, Note(env, theme.Warn, "!", note, width)...)
	}
	return lines
}
