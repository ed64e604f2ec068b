package store

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
)

// listed fills a store with 30 clients, each third one of which is known by name: 10 in the queue of
// which 3 are worked on, 5 provisioned, 15 delayed.
func listed(t *testing.T) *Store {
	t.Helper()
	now := time.UnixMicro(1e15)
	s := freshAt(t, Options{Now: func() time.Time { return now }})
	if _, err := s.ImportKeys(t.Context(), []Pair{intelPair()}); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		now = now.Add(time.Duration(i%3) * time.Second) // some at one moment
		u := uuid(t, fmt.Sprintf("%08x-0504-0706-0809-0a0b0c0d0e0f", (i*7)%30))
		h := Hello{From: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 20, 0, byte(i + 1)}), 16994), Version: 3, UUID: u}
		if i%2 == 0 {
			h.Version, h.PID = 2, amt.PID("00000ZZ"+string(rune('A'+i/2)))
		}
		record(t, s, h)
		if i%3 == 0 {
			if _, err := s.ImportMap(t.Context(), []MapRow{{UUID: u, FQDN: fmt.Sprintf("PC-%02d.Corp.example", i), Source: "test"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, j := range claim(t, s, "w", 5) {
		if err := s.Finish(t.Context(), j, Done{FQDN: "done-" + j.UUID.String()[:8] + ".corp.example", Version: "3.2.1", Profile: "default", Text: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	claim(t, s, "w", 3)
	return s
}

// pages reads a listing to its end, some rows at a time.
func pages[R any](t *testing.T, o ListOptions, list func(ListOptions) ([]R, string, error)) []R {
	t.Helper()
	var all []R
	for o.Limit = 4; ; {
		rows, next, err := list(o)
		if err != nil || len(rows) > o.Limit {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		all = append(all, rows...)
		if next == "" {
			return all
		}
		if len(rows) == 0 || len(all) > 1000 {
			t.Fatal("a listing without an end")
		}
		o.After = next
	}
}

func TestListings(t *testing.T) {
	s, ctx := listed(t), t.Context()
	want, err := s.Clients(ctx)
	if err != nil || len(want) != 30 {
		t.Fatalf("%d clients, %v", len(want), err)
	}
	clients := func(o ListOptions) []Client {
		return pages(t, o, func(o ListOptions) ([]Client, string, error) { return s.ListClients(ctx, o) })
	}
	if got := clients(ListOptions{}); !slices.Equal(got, want) {
		t.Errorf("by pages: %+v", got)
	}
	counts, err := s.Counts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []State{Unprovisioned, InProgress, StateDelayed, Provisioned} {
		in := slices.DeleteFunc(slices.Clone(want), func(c Client) bool { return c.State != state })
		if got := clients(ListOptions{State: state}); !slices.Equal(got, in) || len(in) == 0 {
			t.Errorf("%s: %d clients, want %d", state, len(got), len(in))
		}
		if counts.Clients[state] != len(in) {
			t.Errorf("%s: counted %d, want %d", state, counts.Clients[state], len(in))
		}
	}
	for search, n := range map[string]int{"PC-0": 2, "pc-12.corp": 1, "10.20.0.17": 1, "0000-0ZZC": 1, "zzc": 1, "00000004-05": 1, "%": 0, "_": 0, "done-": 5, `\`: 0} {
		found := 0
		for _, c := range want {
			text := strings.ToLower(strings.Join([]string{c.UUID.String(), c.FQDN, c.IP, string(c.PID), c.PID.Dashed()}, " "))
			if strings.Contains(text, strings.ToLower(search)) {
				found++
			}
		}
		if got := clients(ListOptions{Search: search}); len(got) != found || n > 0 && found == 0 {
			t.Errorf("search %q: %d clients, want %d", search, len(got), found)
		}
	}
	queue := pages(t, ListOptions{}, func(o ListOptions) ([]QueueRow, string, error) { return s.ListQueue(ctx, o) })
	if len(queue) != 10 || counts.Queued != 10 || !slices.IsSortedFunc(queue, func(a, b QueueRow) int { return a.Enqueued.Compare(b.Enqueued) }) {
		t.Errorf("queue, %d counted: %+v", counts.Queued, queue)
	}
	for _, q := range queue {
		if one, ok, err := s.Queue(ctx, q.UUID); !ok || err != nil || one.Attempts != q.Attempts || one.ClaimedBy != q.ClaimedBy || !one.Enqueued.Equal(q.Enqueued) {
			t.Errorf("queue row %+v, alone %+v", q, one)
		}
	}
	delayed := pages(t, ListOptions{}, func(o ListOptions) ([]DelayedRow, string, error) { return s.ListDelayed(ctx, o) })
	if len(delayed) != 15 || counts.Delayed != 15 || !slices.IsSortedFunc(delayed, func(a, b DelayedRow) int { return a.Due.Compare(b.Due) }) {
		t.Errorf("delayed, %d counted: %+v", counts.Delayed, delayed)
	}
	named := slices.ContainsFunc(delayed, func(d DelayedRow) bool { return strings.HasPrefix(d.FQDN, "pc-") })
	if got := pages(t, ListOptions{Search: "pc-1"}, func(o ListOptions) ([]DelayedRow, string, error) { return s.ListDelayed(ctx, o) }); !named || len(got) == 0 || len(got) == len(delayed) {
		t.Errorf("delayed by name: %+v of %+v", got, delayed)
	}
	names := pages(t, ListOptions{}, func(o ListOptions) ([]MapRow, string, error) { return s.ListMap(ctx, o) })
	if len(names) != 10 || counts.MapRows != 10 || names[0].FQDN == "" || names[0].Source != "test" {
		t.Errorf("map: %+v", names)
	}
	pids := pages(t, ListOptions{Search: "0000-037"}, func(o ListOptions) ([]PIDRow, string, error) { return s.ListPIDs(ctx, o) })
	if len(pids) != 1 || pids[0].PID != goodPID || counts.PIDs != 1 || counts.PIDsUnused != 1 || counts.Profiles != 1 {
		t.Errorf("keys: %+v, counts %+v", pids, counts)
	}
	if err := s.RemoveMapRow(ctx, names[0].UUID); err != nil {
		t.Error(err)
	}
	if _, ok, err := s.MapRow(ctx, names[0].UUID); ok || err != nil {
		t.Errorf("the removed row is there: %v, %v", ok, err)
	}
}

func TestListLog(t *testing.T) {
	s, ctx := listed(t), t.Context()
	counts, err := s.Counts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var all []LogRow
	for o := (LogOptions{Limit: 7}); ; {
		rows, err := s.ListLog(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) == 0 {
			break
		}
		all = append(all, rows...)
		o.Before = rows[len(rows)-1].ID
	}
	if len(all) != counts.LogRows || len(all) < 30 || !slices.IsSortedFunc(all, func(a, b LogRow) int { return int(b.ID - a.ID) }) {
		t.Errorf("%d rows, counted %d", len(all), counts.LogRows)
	}
	worse := slices.DeleteFunc(slices.Clone(all), func(r LogRow) bool { return r.Severity < SeverityWarning })
	if got, err := s.ListLog(ctx, LogOptions{MinSeverity: SeverityWarning, Limit: 1000}); err != nil || !slices.Equal(got, worse) || len(worse) == 0 {
		t.Errorf("warnings: %d rows, want %d, %v", len(got), len(worse), err)
	}
	u := all[0].UUID
	one, err := s.Log(ctx, u, 100)
	if got, err2 := s.ListLog(ctx, LogOptions{UUID: u}); err != nil || err2 != nil || len(got) != len(one) {
		t.Errorf("rows of %s: %d, want %d", u, len(got), len(one))
	}
	if got, err := s.ListLog(ctx, LogOptions{Search: "FAILED to find pid"}); err != nil || len(got) == 0 {
		t.Errorf("search: %d rows, %v", len(got), err)
	}
}

func TestListingsRefuse(t *testing.T) {
	s := fresh(t)
	if _, _, err := s.ListClients(t.Context(), ListOptions{State: "tired"}); err == nil {
		t.Error("a state that does not exist")
	}
	if _, _, err := s.ListPIDs(t.Context(), ListOptions{After: "x"}); err == nil {
		t.Error("a place that is none, keys")
	}
	if _, _, err := s.ListQueue(t.Context(), ListOptions{After: "x"}); err == nil {
		t.Error("a place that is none, queue")
	}
}

func TestSetConfig(t *testing.T) {
	s := fresh(t)
	for name, value := range map[string]string{"tls_mode": "server", "site": "Berlin"} {
		if err := s.SetConfig(t.Context(), name, value); err != nil {
			t.Fatal(err)
		}
		if c, err := s.Config(t.Context()); err != nil || c[name] != value {
			t.Errorf("%s is %q, %v", name, c[name], err)
		}
	}
	if err := s.SetConfig(t.Context(), "", "x"); err == nil {
		t.Error("a setting without a name is taken")
	}
	rows, err := s.ListLog(t.Context(), LogOptions{})
	if err != nil || len(rows) != 2 || !strings.Contains(rows[0].Text+rows[1].Text, "setting tls_mode was changed") {
		t.Errorf("log %+v, %v", rows, err)
	}
}
