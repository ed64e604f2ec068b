package tui

import (
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"amtmedic/diag/flow"
)

// TestFollowIsCalm: however often a walk changes, there are at most two pictures a second; after a
// key there are more for a moment.
func TestFollowIsCalm(t *testing.T) {
	t.Parallel()
	f := newFake(probing())
	fd := newFeed(t.Context(), f, nil)
	defer fd.cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				f.signal()
			}
		}
	}()
	count := func(d time.Duration) int {
		n := 0
		for end := time.Now().Add(d); time.Now().Before(end); n++ {
			if _, ok := fd.follow().(followed); !ok {
				t.Fatal("no picture")
			}
		}
		return n
	}
	fd.look()
	if n := count(1600 * time.Millisecond); n > 4 {
		t.Errorf("%d pictures in 1.6 s", n)
	}
	fd.do(func() tea.Msg { return nil })()
	if n := count(500 * time.Millisecond); n < 3 {
		t.Errorf("only %d pictures in the half second after a key", n)
	}
}

// TestFollowEnds: the end of a case ends what waits for it, also when the walk closes its channel.
func TestFollowEnds(t *testing.T) {
	f := newFake(probing())
	fd := newFeed(t.Context(), f, nil)
	done := make(chan tea.Msg, 1)
	go func() { done <- fd.follow() }()
	fd.cancel()
	select {
	case msg := <-done:
		if msg != nil {
			t.Errorf("got %v", msg)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it waits on")
	}
	g := newFake(probing())
	close(g.changed)
	if msg := newFeed(t.Context(), g, nil).follow(); msg != nil {
		t.Errorf("got %v", msg)
	}
}

// TestOldPictureIsDropped: a picture that was overtaken, or is of another case, changes nothing.
func TestOldPictureIsDropped(t *testing.T) {
	f := newFake(probing(), split())
	d := newDriver(t, options(f), 80, 24)
	old := d.m.feed.look()
	f.next("time")
	d.send(d.m.feed.look())
	d.send(old)
	if d.m.env.Snap.Step.Kind != flow.Decided {
		t.Error("an older picture followed a newer one")
	}
	d.send(picture{from: newFeed(t.Context(), f, nil), n: 1000, snap: probing()})
	d.send(followed{picture{from: nil, n: 1000, snap: probing()}})
	if d.m.env.Snap.Step.Kind != flow.Decided {
		t.Error("a picture of another case was taken")
	}
}

// TestPicturesAreNumbered: pictures that are taken at once have different numbers.
func TestPicturesAreNumbered(t *testing.T) {
	fd := newFeed(t.Context(), newFake(probing()), nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[int]bool{}
	for range 50 {
		wg.Go(func() {
			p := fd.look().(picture)
			mu.Lock()
			defer mu.Unlock()
			if seen[p.n] {
				t.Errorf("number %d twice", p.n)
			}
			seen[p.n] = true
		})
	}
	wg.Wait()
}
