package store

import (
	"testing"
	"time"
)

func TestServers(t *testing.T) {
	now := time.UnixMicro(1e15).UTC()
	s := withClock(t, &now)
	beat := func(name string, sessions int) {
		t.Helper()
		if err := s.Heartbeat(t.Context(), ServerRow{Name: name, Host: "srv-" + name, Process: 4711, Version: "1.2", Address: "[::]:9971", Sessions: sessions, Within: time.Minute}); err != nil {
			t.Fatal(err)
		}
	}
	list := func() []ServerRow {
		t.Helper()
		rows, err := s.Servers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	beat("b", 1)
	began := now
	now = now.Add(30 * time.Second)
	beat("b", 7)
	want := ServerRow{Name: "b", Host: "srv-b", Process: 4711, Version: "1.2", Address: "[::]:9971", Sessions: 7, Started: began, Seen: now, Within: time.Minute, Alive: true}
	if got := list(); len(got) != 1 || got[0] != want {
		t.Fatalf("servers %+v, want %+v", got, want)
	}
	now = now.Add(61 * time.Second)
	if got := list(); len(got) != 1 || got[0].Alive {
		t.Errorf("a minute without a heartbeat: %+v", got)
	}
	beat("c", 0)
	if server == nil { // the one of a file has it alone
		if got := list(); len(got) != 1 || got[0].Name != "c" {
			t.Errorf("of a file: %+v", got)
		}
	} else if got := list(); len(got) != 2 || got[0].Name != "c" || !got[0].Alive || got[1].Alive {
		t.Errorf("the living first: %+v", got)
	}
	if err := s.TrimServers(t.Context(), 60*time.Second); err != nil {
		t.Fatal(err)
	}
	if got := list(); len(got) != 1 || got[0].Name != "c" {
		t.Errorf("after the trim: %+v", got)
	}
	if err := s.RemoveServer(t.Context(), "c"); err != nil || len(list()) != 0 {
		t.Errorf("after the farewell: %v, %v", list(), err)
	}
}
