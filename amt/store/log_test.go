package store

import (
	"fmt"
	"testing"
	"time"

	"amtmedic/amt"
)

func TestTrimLog(t *testing.T) {
	start := time.Date(2008, 3, 12, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name   string
		before time.Duration
		keep   int
		want   string // first and last row that stay
	}{
		{"nothing to do", 0, 20, "row 0 to row 9"},
		{"by age", 4 * time.Hour, 20, "row 4 to row 9"},
		{"by number", 0, 3, "row 7 to row 9"},
		{"both", 4 * time.Hour, 8, "row 4 to row 9"},
	} {
		s := fresh(t)
		for i := range 10 {
			if err := s.AppendLog(t.Context(), LogRow{At: start.Add(time.Duration(i) * time.Hour), Code: "x", Text: fmt.Sprintf("row %d", i)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.TrimLog(t.Context(), start.Add(c.before), c.keep); err != nil {
			t.Fatal(err)
		}
		rows, err := s.Log(t.Context(), amt.UUID{}, 100)
		if err != nil || len(rows) == 0 {
			t.Fatal(rows, err)
		}
		if got := rows[0].Text + " to " + rows[len(rows)-1].Text; got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestTrimLogAfterAWrongClock(t *testing.T) {
	s := fresh(t)
	start := time.Date(2008, 3, 12, 8, 0, 0, 0, time.UTC)
	for _, at := range []time.Time{start.Add(-time.Hour), start, time.Unix(5, 0), start.Add(time.Hour)} {
		if err := s.AppendLog(t.Context(), LogRow{At: at, Code: "x", Text: at.String()}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.TrimLog(t.Context(), start, 20); err != nil || n != 1 {
		t.Errorf("%d rows went, want 1: %v", n, err)
	}
}
