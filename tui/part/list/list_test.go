package list

import (
	"math/rand/v2"
	"testing"
)

func TestMove(t *testing.T) {
	var l List
	l.Set(10, 4)
	steps := []struct {
		do               func()
		cursor, from, to int
	}{
		{func() {}, 0, 0, 4},
		{func() { l.Move(3) }, 3, 0, 4},
		{func() { l.Move(1) }, 4, 1, 5},
		{func() { l.Last() }, 9, 6, 10},
		{func() { l.Move(5) }, 9, 6, 10},
		{func() { l.Move(-l.Page()) }, 6, 6, 10},
		{func() { l.To(-3) }, 0, 0, 4},
		{func() { l.Last(); l.Set(3, 4) }, 2, 0, 3},
		{func() { l.Set(0, 4) }, 0, 0, 0},
	}
	for i, s := range steps {
		s.do()
		from, to := l.Window()
		if l.Cursor() != s.cursor || from != s.from || to != s.to {
			t.Errorf("step %d: cursor %d, window %d-%d; want %d, %d-%d", i, l.Cursor(), from, to, s.cursor, s.from, s.to)
		}
	}
}

// TestInside: whatever happens, the cursor is a row and stands in the window.
func TestInside(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var l List
	for range 20000 {
		if rnd.IntN(3) == 0 {
			l.Set(rnd.IntN(12)-1, rnd.IntN(8)-1)
		} else {
			l.Move(rnd.IntN(30) - 15)
		}
		from, to := l.Window()
		if c := l.Cursor(); l.Len() > 0 && (c < from || c >= to || from < 0 || to > l.Len()) || l.Len() == 0 && c != 0 {
			t.Fatalf("cursor %d of %d, window %d-%d", c, l.Len(), from, to)
		}
	}
}
