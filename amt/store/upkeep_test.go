package store

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Maintenance that fails stands in the history of its client, attempt by attempt and at the end, also when
// the log is gone; it can be listed, counted and cancelled.
func TestUpkeep(t *testing.T) {
	now := time.UnixMicro(1e15)
	s, u, other := freshAt(t, Options{Now: func() time.Time { now = now.Add(time.Second); return now }}), uuid(t, uuidText), uuid(t, nextText)
	inService(t, s, u, "pc7.corp.example")
	queue := func(m Maintenance) []Job {
		t.Helper()
		if err := s.Maintain(t.Context(), u, m, "asked for"); err != nil {
			t.Fatal(err)
		}
		return claim(t, s, "w", 1)
	}
	if _, err := s.CancelMaintenance(t.Context(), u, "x"); !errors.Is(err, ErrNoMaintenance) {
		t.Errorf("nothing to cancel: %v", err)
	}
	j := queue(MaintainClock)[0]
	if _, err := s.CancelMaintenance(t.Context(), u, "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("a worker is at it: %v", err)
	}
	if rows, _, err := s.ListMaintenance(t.Context(), ListOptions{}); err != nil || len(rows) != 1 || rows[0].Kind != MaintainClock || rows[0].Worker != "w" || rows[0].FQDN != "pc7.corp.example" {
		t.Errorf("%+v, %v", rows, err)
	}
	if err := s.Delay(t.Context(), j, "rc-host-unreachable: no answer", "no answer from 10.20.0.7", time.Hour); err != nil {
		t.Fatal(err)
	}
	rows, next, err := s.ListMaintenance(t.Context(), ListOptions{Search: "pc7"})
	if err != nil || next != "" || len(rows) != 1 || rows[0].Reason != "rc-host-unreachable: no answer" || rows[0].Due.IsZero() || rows[0].Attempts != 1 {
		t.Errorf("%+v, %v", rows, err)
	}
	record(t, s, Hello{From: hello(t, 3, "").From, Version: 3, UUID: other}) // no maintenance
	if rows, _, err := s.ListMaintenance(t.Context(), ListOptions{After: u.String()}); err != nil || len(rows) != 0 {
		t.Errorf("%+v, %v", rows, err)
	}
	if m, err := s.CancelMaintenance(t.Context(), u, "asked for by boss"); err != nil || m != MaintainClock || entries(t, s, u) != "" {
		t.Errorf("%v, %v, entries %q", m, err, entries(t, s, u))
	}
	if _, err := s.CancelMaintenance(t.Context(), other, "x"); !errors.Is(err, ErrNoMaintenance) || entries(t, s, other) != "q" {
		t.Errorf("a hello is no maintenance: %v", err)
	}
	claim(t, s, "w", 9)
	j = queue(MaintainPassword)[0]
	if err := s.GiveUpMaintenance(t.Context(), j, "rc-auth-failed: refused", "the client refuses"); err != nil {
		t.Fatal(err)
	}
	counts, err := s.MaintenanceCounts(t.Context())
	if err != nil || len(counts) != 1 || counts[0].Kind != MaintainPassword || counts[0].Failed["rc-auth-failed: refused"] != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
	want := "hello, provisioned, maintenance, maintenance-failed, maintenance, maintenance, maintenance-failed"
	if got := events(t, s, u); got != want {
		t.Errorf("life: %s, want %s", got, want)
	}
	life, err := s.History(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	for at, part := range map[int]string{3: "rc-host-unreachable, clock: attempt 1 failed: no answer from 10.20.0.7", 4: "clock: cancelled, asked for by boss", 6: "rc-auth-failed, password: given up after 1 attempts: the client refuses"} {
		if at >= len(life) || life[at].Detail != part {
			t.Errorf("row %d: %+v, want %q", at, life, part)
		}
	}
	if _, err := s.TrimLog(t.Context(), now.Add(time.Hour), 0); err != nil {
		t.Fatal(err)
	}
	life, err = s.History(t.Context(), u)
	if err != nil || len(life) != 2 || life[1].Event != EventFailed || !strings.HasPrefix(life[1].Detail, "password: rc-auth-failed") {
		t.Errorf("without its log: %+v, %v", life, err)
	}
}

// The log of a large fleet is not read for the life of one client.
func TestHistoryTakesTheIndex(t *testing.T) {
	s := fresh(t)
	plan, err := s.read.QueryContext(t.Context(), `EXPLAIN QUERY PLAN SELECT 0, 0, 0, '', '', '' `+selectFailures, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plan.Close() }()
	for plan.Next() {
		var id, parent, cost any
		var step string
		if err := plan.Scan(&id, &parent, &cost, &step); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(step, "SCAN csti_log") || strings.HasPrefix(step, "SCAN l ") || step == "SCAN l" {
			t.Errorf("it reads the whole log: %s", step)
		}
	}
}
