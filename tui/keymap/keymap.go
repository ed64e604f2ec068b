// Package keymap is the one table of keys. Footer, key page and the page of the guide are made from
// it, and pages compare keys through it, never by literal.
package keymap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/part/text"
)

// Action is what a key does; its text is the name for the configuration.
type Action string

// The actions.
const (
	Quit     Action = "quit"
	Help     Action = "help"
	Enter    Action = "enter"
	Back     Action = "back"
	Up       Action = "up"
	Down     Action = "down"
	PageUp   Action = "page-up"
	PageDown Action = "page-down"
	Top      Action = "top"
	Bottom   Action = "bottom"
	Filter   Action = "filter"
	Goto     Action = "goto"
	Panes    Action = "panes"
	Copy     Action = "copy"
	Pick     Action = "pick"
	Answer   Action = "answer"
	Skip     Action = "skip"
	Undo     Action = "undo"
	Recheck  Action = "recheck"
	Drain    Action = "drain"
	Client   Action = "client"
	Verdict  Action = "verdict"
	Evidence Action = "evidence"
	Explain  Action = "explain"
	Log      Action = "log"
	Bundle   Action = "bundle"
	Open     Action = "open"
	Practice Action = "practice"
	Command  Action = "command"
	Tick     Action = "tick"
	Privacy  Action = "privacy"
	Find     Action = "find"
	Wire     Action = "wire"
	Freeze   Action = "freeze"
	Vantage  Action = "vantage"
	Save     Action = "save"
	Listen   Action = "listen"
	Left     Action = "left"
	Right    Action = "right"
	Again    Action = "again"
	Only     Action = "only"
	Reveal   Action = "reveal"
	Import   Action = "import"

	FindNext     Action = "find-next"
	FindPrevious Action = "find-previous"
)

// Row is one line of the table.
type Row struct {
	Action Action
	Keys   []string // as Bubble Tea names them
	Short  string   // for the footer
	Help   string   // for the key page
}

// table lists every action in the order of the key page.
var table = []Row{
	{Enter, []string{"enter"}, "enter", "do the obvious next thing"},
	{Back, []string{"esc"}, "back", "go back; nothing is changed"},
	{Up, []string{"up", "k"}, "up", "one line up"},
	{Down, []string{"down", "j"}, "down", "one line down"},
	{PageUp, []string{"pgup", "ctrl+b"}, "page up", "one page up"},
	{PageDown, []string{"pgdown", "ctrl+f"}, "page down", "one page down"},
	{Top, []string{"home", "g"}, "top", "to the first line"},
	{Bottom, []string{"end", "G"}, "end", "to the last line"},
	{Pick, []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}, "answer", "give the answer, or choose the line, with this number"},
	{Answer, []string{"a"}, "other question", "answer another question than the one being asked"},
	{Skip, []string{"s"}, "skip", "leave this step for later"},
	{Undo, []string{"u"}, "undo", "take the last answer, or the last repair, back"},
	{Left, []string{"left"}, "left", "one byte back"},
	{Right, []string{"right"}, "right", "one byte on"},
	{Drain, []string{"d"}, "drain", "the client was cut from power and plugged in again; in a practice world, do that"},
	{Recheck, []string{"r"}, "check again", "run the check, or the whole road, once more"},
	{Tick, []string{" "}, "done", "tick a step by hand off, or untick it"},
	{Verdict, []string{"v"}, "verdict", "the verdict, or what is known so far"},
	{Evidence, []string{"e"}, "evidence", "the facts that decided, and all others"},
	{Explain, []string{"x"}, "explain", "the page about the cause, the check or the symptom"},
	{Log, []string{"l"}, "log", "what was done and seen, in order"},
	{Wire, []string{"w"}, "wire", "the packets: attempts, hellos byte for byte, names; again to go back"},
	{Freeze, []string{" "}, "freeze", "stop the lines from coming, or let them come again; none is lost"},
	{Vantage, []string{"v"}, "vantage", "what was seen at the client, at the server, or both"},
	{Save, []string{"s"}, "save pcapng", "save the packets of the client into a new file"},
	{Listen, []string{"r"}, "listen", "listen on the interface besides the walk, or end that"},
	{Client, []string{"p"}, "the PC", "show or hide the screen of the practice PC"},
	{Panes, []string{"tab"}, "panes", "to the other pane"},
	{Filter, []string{"/"}, "filter", "filter the list while typing; esc clears"},
	{Find, []string{"f"}, "search", "search while typing; all lines stay"},
	{FindNext, []string{"n"}, "next", "to the next line that the search finds"},
	{FindPrevious, []string{"N"}, "previous", "to the one before"},
	{Again, []string{"r"}, "look again now", "bring a delayed client to the queue at once, after a confirmation; or try to open the database, or look for USB devices, again"},
	{Only, []string{"v"}, "show only", "show one state, or severity, only; again for the next one, then all"},
	{Reveal, []string{"p"}, "password", "show the password of the client, after a confirmation"},
	{Import, []string{"i"}, "import keys", "read a file of keys, say what it would change, and take it in after a confirmation"},
	{Copy, []string{"y", "ctrl+y"}, "copy", "copy the selected line, or the commands; ctrl+y while typing"},
	{Bundle, []string{"b"}, "bundle", "write the case into one file for a colleague"},
	{Open, []string{"o"}, "open bundle", "open a bundle from a colleague"},
	{Practice, []string{"p"}, "practice", "break something on this machine and find it"},
	{Command, []string{"c"}, "command", "show the command that gives the missing right"},
	{Privacy, []string{"H", "f2"}, "hide names", "hide names and addresses everywhere, also in copies, or show them again"},
	{Goto, []string{":"}, "go to", "go to any page by its name"},
	{Help, []string{"?", "f1"}, "keys", "all keys of this page"},
	{Quit, []string{"q", "ctrl+c"}, "quit", "quit; in a text field only ctrl+c"},
}

// Rows lists the table with its default keys.
func Rows() []Row { return slices.Clone(table) }

// Hint is an action as a page offers it, with its own word where that is clearer. An empty Key is
// the first key of the action.
type Hint struct {
	Action Action
	Word   string
	Key    string
}

// Do makes a hint.
func Do(a Action, word string) Hint { return Hint{Action: a, Word: word} }

// Map is the table with the keys that hold for this run.
type Map struct {
	rows     []Row
	bindings map[Action]key.Binding
	changed  map[Action]bool
}

// New makes the map. Changes give an action other keys; an unknown action, an empty list of keys,
// or a key that another action has (Clash) is an error.
func New(changes map[string][]string) (*Map, error) {
	m := &Map{bindings: map[Action]key.Binding{}, changed: map[Action]bool{}}
	seen := 0
	for _, r := range table {
		if ks, ok := changes[string(r.Action)]; ok {
			if len(ks) == 0 {
				return nil, fmt.Errorf("read key table: action %s: no key given", r.Action)
			}
			r.Keys, m.changed[r.Action] = ks, true
			seen++
		}
		m.rows = append(m.rows, r)
		m.bindings[r.Action] = key.NewBinding(key.WithKeys(r.Keys...))
	}
	if seen < len(changes) {
		for name := range changes {
			if _, ok := m.bindings[Action(name)]; !ok {
				return nil, fmt.Errorf("read key table: there is no action %q", name)
			}
		}
	}
	if c := clash(m.rows, changes); c != nil {
		return nil, c
	}
	return m, nil
}

// Is reports whether the key means the action.
func (m *Map) Is(k tea.KeyMsg, a Action) bool { return key.Matches(k, m.bindings[a]) }

// Number gives the place of the pressed key among those of Pick, from 0, or -1.
func (m *Map) Number(k tea.KeyMsg) int { return slices.Index(m.row(Pick).Keys, k.String()) }

func (m *Map) row(a Action) Row {
	i := slices.IndexFunc(m.rows, func(r Row) bool { return r.Action == a })
	return m.rows[i]
}

// Key gives the first key of an action as a person reads it.
func (m *Map) Key(a Action) string { return Name(m.row(a).Keys[0]) }

// Name gives a key as a person reads it.
func Name(k string) string {
	switch k {
	case " ":
		return "space"
	case "up":
		return "↑"
	case "down":
		return "↓"
	case "pgdown":
		return "pgdn"
	}
	return k
}

// footerMax is the most keys that a footer names.
const footerMax = 7

// Footer gives the keys of a page in one line of w columns. The most useful stand first; the key
// page is always named, quitting where there is room.
// While text is typed, letters are no commands: then the keys of help and quitting are others.
func (m *Map) Footer(hints []Hint, typing bool, w int, paint func(string) string) string {
	hints = slices.DeleteFunc(slices.Clone(hints), quiet)
	help, quit := Hint{Action: Help}, Hint{Action: Quit}
	if typing {
		help.Key, quit.Key = m.typedKey(Help), "ctrl+c"
	}
	for n := min(len(hints), footerMax-1); n >= 0; n-- {
		shown := slices.Clone(hints[:n])
		if !typing || help.Key != "" {
			shown = append(shown, help)
		}
		if n+2 <= footerMax {
			if line, ok := m.line(append(shown, quit), w, paint); ok {
				return line
			}
		}
		if line, ok := m.line(shown, w, paint); ok {
			return line
		}
	}
	return ""
}

// quiet reports whether a hint is for the key page only: moving about needs no footer.
func quiet(h Hint) bool {
	return h.Word == "" && h.Key == "" && slices.Contains([]Action{Up, Down, PageUp, PageDown, Top, Bottom, Pick}, h.Action)
}

// typedKey gives the first key of an action that is no letter; empty when it has none.
func (m *Map) typedKey(a Action) string {
	for _, k := range m.row(a).Keys {
		if len([]rune(k)) > 1 {
			return k
		}
	}
	return ""
}

func (m *Map) line(hints []Hint, w int, paint func(string) string) (string, bool) {
	parts := make([]string, len(hints))
	for i, h := range hints {
		k, word := m.Words(h)
		parts[i] = paint(k) + " " + word
	}
	line := " " + strings.Join(parts, "   ")
	return line, text.Width(line) <= w
}

// Words gives key and word of a hint.
func (m *Map) Words(h Hint) (string, string) {
	r := m.row(h.Action)
	k, word := h.Key, h.Word
	if k == "" || m.changed[h.Action] && h.Action != Quit && !slices.Contains(r.Keys, k) {
		k = Name(r.Keys[0])
	}
	if word == "" {
		word = r.Short
	}
	return k, word
}

// Line gives one line of the key page: all keys of an action, and what it does.
func (m *Map) Line(h Hint) (keys, help string) {
	r := m.row(h.Action)
	names := make([]string, len(r.Keys))
	for i, k := range r.Keys {
		names[i] = Name(k)
	}
	if h.Action == Pick {
		names = []string{names[0] + "-" + names[len(names)-1]}
	}
	return strings.Join(names, "  "), r.Help
}

const pageIntro = `# Keys

<!-- Made from the table in tui/keymap: go test ./tui/keymap -run Doc -update -->

` + "`?`" + ` in the workstation lists the keys of the page that is open. Every key can be changed: in the file that
` + "`amtmedic config`" + ` describes, a line such as ` + "`key.drain = D ctrl+d`" + ` gives the action with that name other keys.
ctrl+c always quits, and esc always leaves the line behind ` + "`:`" + `.

`

// Written gives keys as the configuration file names them; Parse reads them back.
func Written(keys []string) []string {
	out := slices.Clone(keys)
	for i, k := range out {
		if n, ok := strings.CutSuffix(k, " "); ok {
			out[i] = n + "space"
		}
	}
	return out
}

// Markdown gives the key page of the guide, docs/keys.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(pageIntro)
	b.WriteString("| name | keys | does |\n|---|---|---|\n")
	for _, r := range table {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", r.Action, strings.Join(Written(r.Keys), "` `"), r.Help)
	}
	return b.String()
}
