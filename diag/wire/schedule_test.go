package wire

import (
	"testing"
	"time"
)

// The forms as provisioning-protocol 2.1 states them: A has 15 attempts, a gap of ten minutes after
// the fifth and of an hour after the tenth; B has 40, five minutes after the fifth.
func TestForms(t *testing.T) {
	for name, c := range map[string]struct {
		form    []step
		n       int
		minutes map[int]int
	}{
		"A": {formA, 15, map[int]int{0: 0, 1: 1, 4: 4, 5: 14, 9: 54, 10: 114, 14: 354}},
		"B": {formB, 40, map[int]int{0: 0, 4: 4, 5: 9, 16: 64, 17: 124, 39: 1444}},
	} {
		for n, m := range c.minutes {
			if d, ok := offset(c.form, n); !ok || d != time.Duration(m)*time.Minute {
				t.Errorf("form %s: attempt %d after %v, want %d min", name, n, d, m)
			}
		}
		if _, ok := offset(c.form, c.n); ok {
			t.Errorf("form %s has more than %d attempts", name, c.n)
		}
	}
}

func TestExpect(t *testing.T) {
	t0 := time.Date(2026, 11, 23, 10, 1, 0, 0, time.UTC)
	at := func(minutes ...int) []Try {
		var out []Try
		for _, m := range minutes {
			out = append(out, Try{At: t0.Add(time.Duration(m) * time.Minute), Retry: -1})
		}
		return out
	}
	with := func(tries []Try, method string, retries ...int) []Try {
		for i, r := range retries {
			if r >= 0 {
				tries[i].Retry, tries[i].Method = r, method
			}
		}
		return tries
	}
	min := func(m int) time.Time { return t0.Add(time.Duration(m) * time.Minute) }
	tests := map[string]struct {
		tries        []Try
		form         string
		next         int // minutes, -1 for none
		quiet, end   int
		seen, laters int
	}{
		"one SYN":                     {at(0), "A or B", 1, 354, 0, 1, 2},
		"psk, fifth attempt":          {with(at(0, 1, 2, 3, 4), "psk", 0, 1, 2, 3, 4), "A", 14, 354, 0, 3, 1},
		"pki, fifth attempt":          {with(at(0, 1, 2, 3, 4), "pki", 0, -1, -1, -1, 4), "B", 9, 1444, 360, 3, 1},
		"the gap tells A":             {at(0, 1, 2, 3, 4, 14), "A", 24, 354, 0, 3, 1},
		"the gap tells B":             {at(0, 1, 2, 3, 4, 9), "B", 14, 1444, 360, 3, 1},
		"first hellos not captured":   {with(at(0, 10), "psk", 5, 6), "A", 20, 340, 0, 2, 1},
		"a restart in the middle":     {with(at(0, 1, 2, 3), "psk", 0, 1, 0, 1), "A", 4, 356, 0, 2, 2},
		"a restart after long":        {at(0, 1, 200), "A or B", 201, 554, 0, 1, 2},
		"no answer, then a hello":     {with(at(0, 1, 2), "psk", -1, -1, 2), "A", 3, 354, 0, 3, 2},
		"the last of form A":          {with(at(0), "psk", 14), "A", -1, 0, 0, 1, 0},
		"more than the form has":      {with(at(0), "psk", 300), "A", -1, 0, 0, 1, 0},
		"retry count is told behind":  {with(at(0, 1), "psk", 3, -1), "A", 11, 351, 0, 2, 1},
		"attempts of a slow clock":    {with(at(0, 1, 2, 3, 4, 14, 24), "psk", 0, 1, 2, 3, 4, 5, 6), "A", 34, 354, 0, 3, 1},
		"two attempts in one minute":  {with(at(0, 0), "psk", 0, 0), "A", 1, 354, 0, 1, 2},
		"unanswered after the second": {at(0, 1), "A or B", 2, 354, 0, 2, 2},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			s, ok := Expect(c.tries)
			if !ok {
				t.Fatal("nothing is expected")
			}
			if s.Form != c.form || len(s.Seen) != c.seen || len(s.Later) != c.laters {
				t.Errorf("form %s, %d seen, %d later", s.Form, len(s.Seen), len(s.Later))
			}
			if c.next < 0 {
				if !s.Next.IsZero() {
					t.Errorf("next at %v after the last one", s.Next)
				}
				return
			}
			if !s.Next.Equal(min(c.next)) || !s.Quiet.Equal(min(c.quiet)) {
				t.Errorf("next %v, silent after %v", s.Next.Sub(t0), s.Quiet.Sub(t0))
			}
			if c.end == 0 && !s.Ends.IsZero() || c.end > 0 && !s.Ends.Equal(min(c.end)) {
				t.Errorf("ends %v", s.Ends.Sub(t0))
			}
		})
	}
	if _, ok := Expect(nil); ok {
		t.Error("something is expected of a client that was not seen")
	}
	if _, ok := Expect([]Try{{}}); ok {
		t.Error("something is expected after an attempt without a time")
	}
}
