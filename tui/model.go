package tui

import (
	"context"
	"errors"
	"fmt"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/tui/clip"
	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/page/ask"
	"amtmedic/tui/page/core"
	"amtmedic/tui/page/evidence"
	"amtmedic/tui/page/log"
	"amtmedic/tui/page/provisioning"
	"amtmedic/tui/page/read"
	"amtmedic/tui/page/remedy"
	"amtmedic/tui/page/server"
	"amtmedic/tui/page/start"
	"amtmedic/tui/page/tools"
	"amtmedic/tui/page/verdict"
	"amtmedic/tui/page/walk"
	wirepage "amtmedic/tui/page/wire"
	"amtmedic/tui/part/input"
	"amtmedic/tui/part/text"
)

// model is the root: size, page stack, the open case, and the line above the footer.
type model struct {
	ctx   context.Context
	o     *Options
	env   *page.Env
	w, h  int
	stack []page.Page
	feed  *feed // the open case
	seen  int   // number of the last picture taken in
	to    *input.Input
	note  string // the line above the footer
	clip  *clip.Clipboard
	veil  veil

	noticed  string    // what the case said last
	followed time.Time // beginning of the provisioning whose page was opened last

	failed error // why the first case could not be opened

	core  *core.Database // nil without one
	tools *tools.Page    // nil before it was opened
	serve *server.Page   // nil before it was opened

	follow func(f *feed) tea.Cmd // how a case is followed; tests look by themselves
	// wait is how the next packets are waited for; tests bring them themselves.
	wait func(f *feed, p *wirepage.Page, cursor int) tea.Cmd
}

// begin opens the first page.
func (m *model) begin() {
	if m.o.Walker != nil {
		m.open(m.o.Walker, nil)
		return
	}
	if m.o.First != nil {
		m.env.Snap = &flow.Snapshot{}
		if m.o.First.Kind == page.Practice {
			m.env.Snap.World, m.env.Snap.Step.What = "practice", "building the practice world"
		}
		m.stack = []page.Page{walk.New(m.env)}
		return
	}
	m.stack = []page.Page{start.New(m.env, &m.o.Start)}
}

// alone reports whether the screen has one case only, and no start page.
func (m *model) alone() bool { return m.o.Walker != nil || m.o.First != nil }

// open makes a walker the case of the screen.
func (m *model) open(w flow.Walker, close func() error) {
	m.feed, m.seen, m.noticed = newFeed(m.ctx, w, close), 0, ""
	m.env.Snap, m.env.Ask = &flow.Snapshot{}, nil
	var bottom []page.Page
	if !m.alone() {
		bottom = []page.Page{start.New(m.env, &m.o.Start)}
	}
	m.stack = append(bottom, walk.New(m.env))
	m.resize()
}

// leave ends the open case. It may wait for the case's owner, so it runs in a command or after the
// program.
func (m *model) leave() error {
	f := m.feed
	if f == nil {
		return nil
	}
	m.feed = nil
	f.cancel()
	if f.close == nil {
		return nil
	}
	return f.close()
}

// Init starts to follow a case that is open already, or opens the first one.
func (m *model) Init() tea.Cmd {
	if m.feed == nil && m.o.First != nil {
		return m.choose(*m.o.First)
	}
	return m.watch()
}

// watch takes the first picture of a case and follows it.
func (m *model) watch() tea.Cmd {
	if m.feed == nil {
		return nil
	}
	return tea.Batch(m.feed.look, m.follow(m.feed))
}

func (m *model) top() page.Page { return m.stack[len(m.stack)-1] }

func (m *model) push(p page.Page) {
	m.stack = append(m.stack, p)
	m.resize()
}

// show makes the page with this name the top one: the one in the stack if there is one, else a new
// one.
func (m *model) show(p page.Page) {
	for i, q := range m.stack {
		if q.Name() == p.Name() {
			m.stack = m.stack[:i]
			break
		}
	}
	m.push(p)
}

// back leaves the top page; the last one is not left.
func (m *model) back() tea.Cmd {
	if len(m.stack) < 2 {
		return nil
	}
	left := m.top()
	m.stack = m.stack[:len(m.stack)-1]
	m.resize()
	if left.Name() != "walk" {
		return nil
	}
	f := m.feed
	m.feed, m.env.Snap, m.env.Ask, m.veil.raw = nil, nil, nil, picture{}
	return func() tea.Msg { return leaveFeed(f) }
}

func leaveFeed(f *feed) tea.Msg {
	if f == nil {
		return nil
	}
	f.cancel()
	if f.close == nil {
		return nil
	}
	if err := f.close(); err != nil {
		return page.Note{Text: "close the case: " + err.Error()}
	}
	return nil
}

// Update takes one message. It never waits: work goes into commands.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
		m.resize()
		return m, nil
	case tea.KeyMsg:
		return m, m.typed(msg)
	case typedAhead:
		return m, m.typed(tea.KeyMsg(msg))
	case tea.MouseMsg:
		return m, m.mouse(msg)
	case picture:
		return m, m.take(msg)
	case followed:
		cmd := m.take(msg.picture)
		if p, ok := msg.picture.(picture); ok && p.from == m.feed {
			cmd = tea.Batch(cmd, m.follow(m.feed))
		}
		return m, cmd
	case acted:
		cmd := m.take(msg.picture)
		return m, tea.Batch(m.deliver(msg.outcome), cmd)
	case opened:
		return m, m.opened(msg)
	case packets:
		return m, m.packets(msg)
	}
	return m, m.intent(msg)
}

// take makes a picture what the pages see. A verdict that has just come opens its page.
func (m *model) take(msg tea.Msg) tea.Cmd {
	p, ok := msg.(picture)
	if !ok || p.from != m.feed || p.n <= m.seen {
		return nil
	}
	before := m.env.Snap.Step.Kind
	first := m.seen == 0
	m.seen = p.n
	m.unveiled(p)
	m.feed.live.Store(p.snap.Step.Kind == flow.Probing || p.snap.Step.Kind == flow.Provisioning)
	if p.snap.Notice != m.noticed { // one that was read does not come back with the next picture
		m.note, m.noticed = p.snap.Notice, p.snap.Notice
	}
	cmd := m.deliver(page.Changed{})
	m.followCore()
	if p.snap.Step.Kind == flow.Decided && (before != flow.Decided || first) && m.top().Name() == "walk" {
		m.push(verdict.New(m.env))
	}
	return cmd
}

// followCore opens the page of a provisioning that has begun, once.
func (m *model) followCore() {
	if g := m.env.Snap.Provisioning; g != nil && !g.Since.Equal(m.followed) && m.goesOn() {
		m.followed = g.Since
		m.push(provisioning.New(m.env))
	}
}

// goesOn reports whether the page on top has nothing left to say when the client is being provisioned:
// the walk, and a repair that is done. Then the steps are shown in its place.
func (m *model) goesOn() bool {
	r, repair := m.top().(interface{ Finished() bool })
	return m.top().Name() == "walk" || repair && r.Finished()
}

// deliver gives a message of the root to every page of the case, so that one below the top does
// not miss what it asked for.
func (m *model) deliver(msg tea.Msg) tea.Cmd {
	if msg == nil {
		return nil
	}
	msg = m.hideIn(msg)
	var cmds []tea.Cmd
	for _, p := range m.stack {
		cmds = append(cmds, p.Update(msg))
	}
	switch msg := msg.(type) {
	case page.Undone:
		m.note = outcome("the last repair was taken back", msg.Err)
	case page.Saved:
		m.note = ""
		if msg.Err == nil {
			m.note = m.savedNote(msg)
		}
	case page.Applied:
		if m.top().Name() != "remedy" { // its page was left meanwhile
			m.note = outcome("done: "+msg.Done, msg.Err)
		}
		if m.env.Snap != nil {
			m.followCore()
		}
	}
	return tea.Batch(cmds...)
}

func outcome(done string, err error) string {
	if err != nil {
		return text.Clean("not done: " + err.Error())
	}
	return text.Clean(done)
}

// opened is the outcome of opening a choice.
type opened struct {
	w     flow.Walker
	close func() error
	err   error
}

func (m *model) opened(o opened) tea.Cmd {
	if o.err != nil && m.o.First != nil {
		m.failed = o.err
		return tea.Quit
	}
	if o.err != nil {
		return m.deliver(page.OpenFailed{Err: o.err})
	}
	old := m.feed
	m.open(o.w, o.close)
	return tea.Batch(m.watch(), func() tea.Msg { return leaveFeed(old) })
}

var errNothingOpens = errors.New("nothing can be opened here")

func (m *model) choose(c Choice) tea.Cmd {
	if m.o.Open == nil {
		return page.Send(opened{err: errNothingOpens})
	}
	return func() tea.Msg {
		w, close, err := m.o.Open(m.ctx, c)
		return opened{w, close, err}
	}
}

// intent does what a page asked for.
func (m *model) intent(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case page.Choose:
		return m.choose(msg.Choice)
	case core.Msg:
		return m.deliver(msg)
	case tools.Msg:
		return m.toolsMsg(msg)
	case server.Msg:
		return m.serverMsg(msg)
	case page.Goto:
		return m.goTo(msg.Name, msg.Arg)
	case page.Back:
		return m.back()
	case page.Note:
		m.note = text.Clean(msg.Text)
		return nil
	case page.Copy:
		return m.copy(msg.What, m.hide(msg.Text))
	case page.Bundle:
		return m.bundle()
	case page.SavePackets:
		return m.savePackets(msg)
	case page.Listen:
		return m.listen(msg)
	case heard:
		return m.heard(msg)
	}
	if m.feed == nil {
		return nil
	}
	return m.walkIntent(msg)
}

// walkIntent passes an intent on to the walker, outside Update.
func (m *model) walkIntent(msg tea.Msg) tea.Cmd {
	f := m.feed
	switch msg.(type) {
	case page.Undo, page.Drain, page.Apply, page.UndoRemedy: // its answer is shown, also the same one once more
		m.noticed = ""
	}
	silent := func(act func()) tea.Cmd {
		return f.do(func() tea.Msg { act(); return nil })
	}
	switch msg := msg.(type) {
	case page.Answer:
		return f.do(func() tea.Msg {
			return page.Answered{Question: msg.Question, Err: f.w.Answer(msg.Question, msg.Option, msg.Text)}
		})
	case page.Skip:
		return silent(f.w.Skip)
	case page.Undo:
		return silent(f.w.Undo)
	case page.Drain:
		return silent(f.w.Drain)
	case page.Recheck:
		return silent(func() { f.w.Recheck(msg.Check) })
	case page.Preview:
		msg.Remedy = m.realRemedy(msg.Remedy)
		return f.do(func() tea.Msg {
			plan, auto, err := f.w.Preview(f.ctx, msg.Remedy)
			return page.Previewed{Remedy: msg.Remedy.ID, Plan: plan, Automatic: auto, Err: err}
		})
	case page.Apply:
		msg.Remedy = m.realRemedy(msg.Remedy)
		return f.do(func() tea.Msg {
			done, err := f.w.Apply(f.ctx, msg.Remedy, msg.Inputs)
			return page.Applied{Remedy: msg.Remedy.ID, Done: done, Err: err}
		})
	case page.UndoRemedy:
		return f.do(func() tea.Msg { return page.Undone{Err: f.w.UndoRemedy(f.ctx)} })
	}
	return nil
}

// copy puts text on a clipboard, and says which.
func (m *model) copy(what, s string) tea.Cmd {
	return func() tea.Msg {
		way, err := m.clip.Copy(m.ctx, s)
		if err != nil {
			return page.Note{Text: "not copied: " + err.Error()}
		}
		return page.Note{Text: "copied: " + what + " (" + way + ")"}
	}
}

func (m *model) bundle() tea.Cmd {
	if m.o.Bundle == nil || m.feed == nil {
		return nil
	}
	m.note = "writing the bundle"
	f, id, hidden := m.feed, m.veil.raw.snap.CaseID, m.veil.on
	return func() tea.Msg {
		path, err := m.o.Bundle(f.ctx, id)
		if err != nil {
			return page.Note{Text: err.Error()}
		}
		if hidden {
			return page.Note{Text: "bundle written, with the real names in it: " + path}
		}
		return page.Note{Text: "bundle written: " + path}
	}
}

// places are the names for ":", with those that need a case.
var places = []struct {
	name string
	open bool
}{{"start", false}, {"practice", false}, {"open", false}, {"walk", true}, {"verdict", true}, {"evidence", true}, {"provisioning", true}, {"wire", true}, {"answer", true}, {"log", true}, {"explain", false}, {"help", false},
	{"clients", false}, {"core", false}, {"queue", false}, {"delayed", false}, {"keys", false}, {"serverlog", false}, {"settings", false},
	{"tools", false}, {"pairs", false}, {"setupbin", false}, {"usbkey", false}, {"discover", false}, {"thispc", false}, {"certificate", false}}

// goTo opens a page by its name.
func (m *model) goTo(name, arg string) tea.Cmd {
	for _, p := range places {
		if p.name == name && p.open && m.feed == nil {
			m.note = name + ": no case is open; start a walk first"
			return nil
		}
	}
	switch name {
	case "start":
		return m.goStart()
	case "practice":
		m.show(start.NewFaults(m.env, &m.o.Start))
	case "open":
		m.show(start.NewOpen(m.env))
	case "walk":
		for m.top().Name() != "walk" && len(m.stack) > 1 {
			m.stack = m.stack[:len(m.stack)-1]
		}
		m.resize()
	case "verdict":
		m.show(verdict.New(m.env))
	case "evidence":
		m.show(evidence.New(m.env))
	case "provisioning":
		m.show(provisioning.New(m.env))
	case "wire":
		return m.openWire()
	case "answer":
		m.show(ask.NewAnswers(m.env))
	case "log":
		m.show(log.New(m.env))
	case "explain":
		return m.explain(arg)
	case "help":
		m.help()
	case "remedy":
		return m.remedy(arg)
	case "core":
		return m.openServer()
	case "clients", "queue", "delayed", "keys", "serverlog", "settings":
		return m.openCore(name, arg)
	default:
		if isTool(name) {
			return m.openTools(name)
		}
		m.note = fmt.Sprintf("there is no page %q", text.Clean(name))
	}
	return nil
}

// goStart goes back to the start page, and leaves the case.
func (m *model) goStart() tea.Cmd {
	if m.alone() {
		m.note = "this case was opened alone; quit ends it"
		return nil
	}
	var cmds []tea.Cmd
	for len(m.stack) > 1 {
		cmds = append(cmds, m.back())
	}
	return tea.Batch(cmds...)
}

func (m *model) explain(id string) tea.Cmd {
	if id == "" && m.env.Snap != nil {
		id = m.env.Snap.Judgement.Verdict
	}
	if id == "" {
		m.note = "explain what? give an id, such as :explain rc-dns-split-horizon"
		return nil
	}
	m.show(read.NewExplain(m.env, id, m.feed != nil))
	return nil
}

func (m *model) help() {
	if m.top().Name() != "help" {
		m.push(read.NewHelp(m.env, m.top(), m.feed != nil))
	}
}

func (m *model) remedy(id string) tea.Cmd {
	if m.feed == nil {
		return nil
	}
	open := func(r diag.Remedy, n, of int) tea.Cmd {
		p := remedy.New(m.env, r, n, of)
		m.show(p)
		return p.Init()
	}
	if r := m.env.Snap.Step.Remedy; r != nil && r.ID == id {
		return open(*r, 0, 0)
	}
	rs := m.env.Snap.Judgement.Remedies
	for i, r := range rs {
		if r.ID == id {
			return open(r, i+1, len(rs))
		}
	}
	m.note = "the verdict has changed; this remedy is no longer proposed"
	return nil
}

// is reports whether a key that is a command here means the action: while text is typed, letters
// are no commands.
func (m *model) is(k tea.KeyMsg, a keymap.Action) bool {
	if m.top().Typing() && (k.Type == tea.KeyRunes || k.Type == tea.KeySpace) {
		return false
	}
	return m.env.Keys.Is(k, a)
}
