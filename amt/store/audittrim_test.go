package store

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The audit is trimmed by age and by number; each trim leaves a row, which is among those that are kept.
func TestTrimAudit(t *testing.T) {
	start := time.UnixMicro(1e15).UTC()
	now := start
	s := freshAt(t, Options{Now: func() time.Time { return now }})
	begin := func(n int) {
		t.Helper()
		for i := range n {
			now = now.Add(time.Hour)
			if _, err := s.BeginAudit(t.Context(), Audit{Who: "console", Action: "put-uuid-map", Object: fmt.Sprint(i), Result: AuditDone}); err != nil {
				t.Fatal(err)
			}
		}
	}
	trim := func(before time.Time, keep int, want int64) {
		t.Helper()
		if n, err := s.TrimAudit(t.Context(), "server", before, keep); n != want || err != nil {
			t.Errorf("removed %d, want %d: %v", n, want, err)
		}
	}
	rows := func() []Audit {
		t.Helper()
		all, err := s.ListAudit(t.Context(), 0, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	begin(10)
	trim(time.Time{}, 0, 0)
	trim(start, 0, 0)
	trim(time.Time{}, 10, 0)
	if all := rows(); len(all) != 10 {
		t.Fatalf("%d rows", len(all))
	}
	trim(start.Add(4*time.Hour), 0, 3)
	all := rows()
	if len(all) != 8 || all[0].Action != "trim-audit" || all[0].Who != "server" || all[0].Object != "3 rows" || all[0].Result != AuditDone || !strings.Contains(all[0].Was, "ids 1 to 3, ") {
		t.Errorf("%d rows, %+v", len(all), all[0])
	}
	begin(4)
	trim(time.Time{}, 6, 7)
	if all = rows(); len(all) != 6 || all[0].Action != "trim-audit" || all[5].Action != "trim-audit" && all[5].Object == "0" {
		t.Errorf("%d rows: %+v", len(all), all)
	}
	right := now
	now = start.Add(-1000 * time.Hour) // a row of a clock that was wrong takes no younger ones along
	begin(1)
	now = right
	trim(start, 0, 0)
	trim(time.Time{}, 6, 2)
	trim(time.Time{}, 6, 0) // a trim is no reason for the next one
	if all = rows(); len(all) != 6 {
		t.Errorf("%d rows", len(all))
	}
}
