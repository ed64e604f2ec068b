package server

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/keymap"
	"amtmedic/tui/page"
	"amtmedic/tui/theme"
)

// bench is a page with a server that does what the test says.
type bench struct {
	t     *testing.T
	p     *Page
	says  chan Event
	fails chan error
	msgs  chan tea.Msg
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, says: make(chan Event), fails: make(chan error), msgs: make(chan tea.Msg, 16)}
	keys, err := keymap.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
	c := &Control{Now: func() time.Time { return at },
		Tick: func(_ time.Duration, _ func(time.Time) tea.Msg) tea.Cmd { return nil },
		Plan: func(context.Context) (Plan, error) {
			return Plan{Rows: []Row{{"listens on", ":9971"}, {"database", "core.db"}, {"it holds", "nothing"}}, ByHand: "amtmedic serve"}, nil
		},
		Run: func(ctx context.Context, report func(Event)) error {
			for {
				select {
				case e := <-b.says:
					report(e)
				case err := <-b.fails:
					return err
				case <-ctx.Done():
					return nil
				}
			}
		}}
	b.p = New(t.Context(), &page.Env{Theme: theme.New(theme.Config{NoColor: true}), Keys: keys, Zone: time.UTC}, c)
	b.p.SetSize(80, 18)
	b.run(b.p.Init())
	b.next()
	return b
}

// run lets commands work as the program does, one goroutine each.
func (b *bench) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		msg := cmd()
		if v := reflect.ValueOf(msg); v.IsValid() && v.Kind() == reflect.Slice {
			for i := range v.Len() {
				b.run(v.Index(i).Interface().(tea.Cmd))
			}
			return
		}
		if msg != nil {
			b.msgs <- msg
		}
	}()
}

// next takes the next message of a command.
func (b *bench) next() {
	b.t.Helper()
	select {
	case m := <-b.msgs:
		b.run(b.p.Update(m))
	case <-time.After(20 * time.Second):
		b.t.Fatal("no message came")
	}
}

func (b *bench) typed(s string) {
	for _, r := range s {
		b.run(b.p.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}}))
	}
	b.run(b.p.Update(tea.KeyMsg{Type: tea.KeyEnter}))
}

func (b *bench) say(e Event) {
	b.t.Helper()
	n := b.p.held()
	b.says <- e
	for b.p.held() == n { // it was taken, and is reported next
		time.Sleep(time.Millisecond)
	}
	b.p.Update(Msg{tick{}})
}

func (b *bench) want(parts ...string) {
	b.t.Helper()
	frame := strings.Join(b.p.View(), "\n")
	for _, w := range parts {
		if !strings.Contains(frame, w) {
			b.t.Errorf("lacks %q:\n%s", w, frame)
		}
	}
}

// A server is started, shown as it works, asked to stop, left running after another word, and stopped.
func TestRun(t *testing.T) {
	b := newBench(t)
	b.typed("yes")
	b.want("is starting", "Nothing has happened yet")
	b.say(Event{Kind: Ready, What: "ready", Detail: "[::]:9971"})
	b.want("This machine is the setup server.", "listens on", "core.db", "0 hellos")
	b.say(Event{Kind: Hello, What: "hello", Client: "4c4c4544-0058-3910-8059-b7c04f4b5a31", Detail: "10.20.0.7"})
	b.say(Event{Kind: Delayed, What: "client delayed", Client: "4c4c4544-0058-3910-8059-b7c04f4b5a31", Detail: "rc-pid-unknown"})
	b.want("1 hello ", "0 provisioned", "1 put off", "4c4c4544…  10.20.0.7", "✗", "rc-pid-unknown")
	b.say(Event{Kind: HelloDelayed, What: "hello", Client: "4c4c4544-0058-3910-8059-b7c04f4b5a32", Detail: "10.20.0.8 · delayed"})
	b.want("2 hellos ", "2 put off")
	if b.p.Typing() || b.p.Captures() {
		t.Error("a word is typed before it is asked for")
	}
	b.p.Update(tea.KeyMsg{Type: tea.KeyEnter})
	b.want("Type stop to stop it")
	b.typed("no")
	b.want("it runs on")
	b.p.Update(tea.KeyMsg{Type: tea.KeyEsc})
	if b.p.Captures() || !b.p.Running() {
		t.Error("esc stopped it, or left the word")
	}
	b.p.Update(tea.KeyMsg{Type: tea.KeyEnter})
	b.typed("stop")
	b.want("stops in order")
	b.next()
	b.next() // the plan of another start
	b.want("stopped in order", "Type yes to start it")
}

// One that ends by itself says why, until somebody looks again.
func TestFails(t *testing.T) {
	b := newBench(t)
	b.typed("yes")
	b.say(Event{Kind: Ready})
	b.fails <- errors.New("the disk is full")
	b.next()
	b.want("the disk is full")
	if b.p.Running() || b.p.Typing() {
		t.Error("it may be started again before anybody has looked")
	}
	b.run(b.p.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{'r'}}))
	b.next()
	b.want("Type yes to start it")
}

// Many events keep the newest in sight; those before can be scrolled to.
func TestManyEvents(t *testing.T) {
	b := newBench(t)
	b.typed("yes")
	for range kept + 20 {
		b.p.report(Event{Kind: Hello, What: "hello", Detail: "old"})
	}
	b.p.report(Event{Kind: Ready, What: "ready", Detail: "the newest"})
	b.p.Update(Msg{tick{}})
	b.want("the newest", "520 hellos")
	b.p.Update(tea.KeyMsg{Type: tea.KeyUp})
	if strings.Contains(strings.Join(b.p.View(), "\n"), "the newest") || b.p.held() != kept {
		t.Errorf("not scrolled, or %d kept", b.p.held())
	}
	b.p.Update(tea.KeyMsg{Type: tea.KeyEnd})
	b.want("the newest")
	b.p.Update(tea.KeyMsg{Type: tea.KeyUp})
	b.p.View()
	b.p.report(Event{Kind: Hello, What: "hello", Detail: "later"})
	if before := b.p.up; strings.Contains(strings.Join(b.p.View(), "\n"), "the newest") || b.p.up != before+1 {
		t.Error("what was scrolled to moved on")
	}
	for range 2 * kept {
		b.p.Update(tea.KeyMsg{Type: tea.KeyUp})
	}
	b.p.View()
	top := b.p.up
	b.p.Update(tea.KeyMsg{Type: tea.KeyUp})
	b.p.View()
	if b.p.Update(tea.KeyMsg{Type: tea.KeyDown}); top >= kept-1 || b.p.up != top-1 {
		t.Errorf("from line %d, the first in sight, down leads to %d", top, b.p.up)
	}
	b.p.Close(5 * time.Second)
}
