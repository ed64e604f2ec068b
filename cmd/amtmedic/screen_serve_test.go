package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/store"
	setup "amtmedic/tui/page/server"
)

// planText is a plan in one text.
func planText(t *testing.T, c *setup.Control) (setup.Plan, string) {
	t.Helper()
	p, err := c.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range p.Rows {
		all = append(all, r.Label+": "+r.Text)
	}
	return p, strings.Join(all, "\n")
}

// The server that the workstation starts is serve itself: it says what it would do and makes nothing by
// that, keeps a hello before it closes, names who has its port, and stops in order.
func TestServeInsideTheScreen(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	_ = l.Close()
	db := filepath.Join(t.TempDir(), "core.db")
	e := &env{ctx: t.Context()}
	c := embedded(e, []string{"--db", db, "--listen", at})
	p, words := planText(t, c)
	if _, err := os.Stat(db); err == nil || p.Refused != "" {
		t.Fatalf("a plan made the database, or refuses: %q", p.Refused)
	}
	for _, want := range []string{"listens on: " + at, "database: " + db, "it will be made", "PID and PPS only", "names from: the UUID map"} {
		if !strings.Contains(words, want) {
			t.Errorf("lacks %q:\n%s", want, words)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	events, ended := make(chan setup.Event, 100), make(chan error, 1)
	go func() { ended <- c.Run(ctx, func(e setup.Event) { events <- e }) }()
	if e := nextEvent(t, events, setup.Ready); !strings.Contains(e.Detail, at) || e.At.IsZero() {
		t.Errorf("ready: %+v", e)
	}
	p, words = planText(t, c)
	if runtime.GOOS == "linux" && !strings.Contains(p.Refused, fmt.Sprintf("process %d", os.Getpid())) || p.Refused == "" {
		t.Errorf("the port is taken: %q", p.Refused)
	}
	if !strings.Contains(words, "0 keys") || !strings.Contains(words, "default: network password random") {
		t.Errorf("the database is there: %s", words)
	}
	uuid, err := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	if err != nil {
		t.Fatal(err)
	}
	sendOne(t, at, hello.ForPSK(uuid, "4KRG65QT"))
	if e := nextEvent(t, events, setup.HelloDelayed); e.Client != uuid.String() {
		t.Errorf("hello: %+v", e)
	}
	other := embedded(&env{ctx: t.Context()}, []string{"--db", db + "2", "--listen", at})
	if err := other.Run(t.Context(), func(setup.Event) {}); err == nil || !strings.Contains(err.Error(), at) {
		t.Errorf("a second one on the port: %v", err)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("stopped: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not stop")
	}
	if p, _ := planText(t, c); p.Refused != "" {
		t.Errorf("after the stop: %s", p.Refused)
	}
}

// nextEvent waits for an event of a kind.
func nextEvent(t *testing.T, events <-chan setup.Event, k setup.Kind) setup.Event {
	t.Helper()
	for limit := time.After(20 * time.Second); ; {
		select {
		case e := <-events:
			if e.Kind == k {
				return e
			}
		case <-limit:
			t.Fatal("no such event came")
		}
	}
}

// sendOne sends a hello and waits until it is taken.
func sendOne(t *testing.T, to string, m hello.Message) {
	t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || err.Error() != "EOF" {
		t.Fatalf("not closed in order: %d, %v", n, err)
	}
}

// What a certificate lacks keeps the server from being started, in the words of serve.
func TestServeInsideRefusesACertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "none.pem")
	if err := os.WriteFile(file, []byte("-----BEGIN NONSENSE-----\n-----END NONSENSE-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := embedded(&env{ctx: t.Context()}, []string{"--db", filepath.Join(dir, "core.db"), "--listen", "127.0.0.1:0", "--provisioning-cert", file})
	p, words := planText(t, c)
	if p.Refused == "" || !strings.Contains(words, "cannot be read") {
		t.Errorf("%q\n%s", p.Refused, words)
	}
}

// A hello whose client is put off at once counts as both on the page.
func TestEventOfHello(t *testing.T) {
	put := eventOf(map[string]any{"msg": "hello", "level": "INFO", "action": "delayed", "from": "127.0.0.1:16994", "reason": store.ReasonPIDUnknown})
	if !strings.HasPrefix(put.Detail, store.ReasonPIDUnknown) {
		t.Errorf("why it is put off does not come first: %s", put.Detail)
	}
	for action, want := range map[string]setup.Kind{"delayed": setup.HelloDelayed, "queued": setup.Hello} {
		if e := eventOf(map[string]any{"msg": "hello", "level": "INFO", "action": action}); e.Kind != want {
			t.Errorf("%s: kind %d", action, e.Kind)
		}
	}
}
