package tui

import (
	"context"
	"errors"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/tui/page/server"
)

// testServe is a setup server that could be started; refused says why it could not.
func testServe(refused string) *server.Control {
	p := server.Plan{ByHand: "amtmedic serve --db core.db", Refused: refused, Rows: []server.Row{
		{Label: "listens on", Text: ":9971, on every address of this machine"}, {Label: "database", Text: "core.db"},
		{Label: "it holds", Text: "3 keys, 2 of them unused; 0 clients in the queue, 1 delayed"},
		{Label: "profile", Text: "default: network password random, TLS off"},
		{Label: "certificate", Text: "none: clients with PID and PPS only"}, {Label: "names from", Text: "the UUID map"}}}
	if refused != "" {
		p.Hint = "end that program; if it is a setup server, a walk reads its database with --db"
	}
	return &server.Control{Tick: func(time.Duration, func(time.Time) tea.Msg) tea.Cmd { return nil }, Plan: func(context.Context) (server.Plan, error) { return p, nil }}
}

// Nothing is started without the word; a start that fails says why, and is not tried again by itself.
func TestServerIsStartedByTheWord(t *testing.T) {
	starts := 0
	o := options(newFake(split()))
	o.Serve = testServe("")
	o.Serve.Run = func(context.Context, func(server.Event)) error {
		starts++
		return errors.New("listen: :9971: address already in use")
	}
	d := newDriver(t, o, 80, 24)
	d.keys(":", "type:core", "enter").want("listens on", "core.db", "Type yes to start it", "nothing is started")
	d.keys("enter", "type:y", "enter").want("type yes")
	if d.keys("esc"); starts != 0 {
		t.Fatal("started unasked")
	}
	d.keys(":", "type:core", "enter", "type:yes", "enter").want("address already in use", "not running")
	if starts != 1 {
		t.Errorf("%d starts", starts)
	}
	d.keys("r").want("Type yes to start it")
}

// A server that cannot be started, a screen that is read-only, and a practice world take no word.
func TestServerIsRefused(t *testing.T) {
	o := options(nil)
	o.Serve = testServe(":9971 is taken by amtmedic, process 812")
	newDriver(t, o, 60, 15).keys(":", "type:core", "enter").want("process 812", "end that program", "look again")
	o.Serve, o.ReadOnly = testServe(""), true
	newDriver(t, o, 80, 24).keys(":", "type:core", "enter", "type:yes", "enter").want("read-only", "not running")
	newDriver(t, options(newFake(split())), 80, 24).keys(":", "type:core", "enter").want("No setup server can be started from here")
}

// The end of the screen stops what was started from it, in order.
func TestServerEndsWithTheScreen(t *testing.T) {
	stopped := make(chan struct{})
	o := options(nil)
	o.Serve = testServe("")
	o.Serve.Run = func(ctx context.Context, report func(server.Event)) error {
		report(server.Event{Kind: server.Ready})
		<-ctx.Done()
		close(stopped)
		return nil
	}
	d := newDriver(t, o, 80, 24)
	d.keys(":", "type:core", "enter", "type:yes")
	_, cmd := d.m.Update(keyOf("enter"))
	go cmd() // it holds until the server has stopped
	d.m.closeServer()
	select {
	case <-stopped:
	default:
		t.Error("the screen has ended before the server")
	}
}

// Quitting elsewhere shows the running server first; quitting there ends both.
func TestQuitShowsTheRunningServer(t *testing.T) {
	o := options(nil)
	o.Serve = testServe("")
	o.Serve.Run = func(ctx context.Context, report func(server.Event)) error {
		<-ctx.Done()
		return nil
	}
	d := newDriver(t, o, 80, 24)
	quits := func(key string) bool {
		_, cmd := d.m.Update(keyOf(key))
		if cmd == nil {
			return false
		}
		_, ok := cmd().(tea.QuitMsg)
		return ok
	}
	d.keys(":", "type:core", "enter", "type:yes")
	_, cmd := d.m.Update(keyOf("enter"))
	go cmd() // it holds until the server has stopped
	defer d.m.closeServer()
	d.keys("esc").want("What do you see?")
	if quits("q") {
		t.Fatal("the server was ended unasked")
	}
	d.want("The setup server is starting", "still runs; quit again")
	if !quits("q") {
		t.Error("quit on the server's own page does not quit")
	}
	d.keys("esc", ":", "type:quit")
	if quits("enter") {
		t.Error("quit by its name ended the server unasked")
	}
}
