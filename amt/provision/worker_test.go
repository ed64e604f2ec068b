package provision

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/store"
)

// hands is a Configurer that a test plays.
type hands struct {
	mu       sync.Mutex
	play     func(ctx context.Context, t Task, p device.Progress) error
	open     int
	most     int
	finished map[amt.UUID]int
}

func (h *hands) Configure(ctx context.Context, t Task, p device.Progress) (Result, error) {
	h.mu.Lock()
	h.open++
	h.most = max(h.most, h.open)
	h.mu.Unlock()
	err := h.play(ctx, t, p)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open--
	if err == nil {
		h.finished[t.Job.UUID]++
	}
	return Result{Version: "3.2.1", Password: t.Password}, err
}

type works struct {
	*hands
	st   *store.Store
	log  *lockedBuffer
	stop func()
}

// work runs a worker until the test ends.
func work(t *testing.T, o WorkerOptions, play func(context.Context, Task, device.Progress) error) *works {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "core.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &works{hands: &hands{play: play, finished: map[amt.UUID]int{}}, st: st, log: &lockedBuffer{}}
	o.Configurer, o.Poll, o.Log = w.hands, 10*time.Millisecond, slog.New(slog.NewTextHandler(w.log, nil))
	o.Sources = append(o.Sources, FromMap(st))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- NewWorker(st, o).Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { w.stop(); _ = st.Close() })
	return w
}

func client(i int) amt.UUID { return amt.UUID{7, byte(i >> 8), byte(i)} }

// hello records the hello of a client; with a pair it is a psk hello.
func (w *works) hello(t *testing.T, i int, pid amt.PID) {
	t.Helper()
	h := store.Hello{From: netip.MustParseAddrPort("127.0.1.1:16994"), Version: 3, UUID: client(i), PID: pid}
	if pid != "" {
		h.Version = 2
	}
	if _, err := w.st.RecordHello(t.Context(), h); err != nil {
		t.Fatal(err)
	}
}

func (w *works) name(t *testing.T, i int) {
	t.Helper()
	row := store.MapRow{UUID: client(i), FQDN: fmt.Sprintf("pc-%d.corp.example", i), Source: "test"}
	if _, err := w.st.ImportMap(t.Context(), []store.MapRow{row}); err != nil {
		t.Fatal(err)
	}
}

// until waits for a state of a client.
func (w *works) until(t *testing.T, i int, want store.State) store.Client {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, _, err := w.st.Client(t.Context(), client(i))
		if err != nil {
			t.Fatal(err)
		}
		if c.State == want {
			return c
		}
		if time.Now().After(end) {
			t.Fatalf("client %d is %s (%s), not %s; log:\n%s", i, c.State, c.Reason, want, w.log)
		}
	}
}

func TestWorkerConfiguresEveryClientOnce(t *testing.T) {
	const n = 60
	w := work(t, WorkerOptions{Sessions: 7}, func(ctx context.Context, t Task, p device.Progress) error {
		time.Sleep(time.Millisecond)
		return errors.Join(p.Before(ctx, "admin"), p.Done(ctx, "admin"))
	})
	for i := range n {
		w.name(t, i)
		w.hello(t, i, "")
	}
	for i := range n {
		c := w.until(t, i, store.Provisioned)
		if c.FQDN != fmt.Sprintf("pc-%d.corp.example", i) || c.AMTVersion != "3.2.1" {
			t.Errorf("client %d: %+v", i, c)
		}
	}
	w.stop()
	if w.most > 7 {
		t.Errorf("%d sessions were open at once, 7 are allowed", w.most)
	}
	for u, times := range w.finished {
		if times != 1 {
			t.Errorf("%s was configured %d times", u, times)
		}
	}
	if len(w.finished) != n {
		t.Errorf("%d of %d clients", len(w.finished), n)
	}
}

// A password is durable before it is sent, and an attempt that broke off after that tries it first and
// sets the same one again: whatever the firmware took, the server knows it.
func TestWorkerKnowsThePassword(t *testing.T) {
	var sent amt.Secret
	var attempts atomic.Int32
	second := make(chan Task, 1)
	w := work(t, WorkerOptions{}, func(ctx context.Context, task Task, p device.Progress) error {
		if attempts.Add(1) > 1 {
			select {
			case second <- task:
			default:
			}
			return nil
		}
		sent = task.Password
		if err := p.Before(ctx, "admin"); err != nil {
			return err
		}
		return errors.New("the line dropped")
	})
	w.name(t, 0)
	w.hello(t, 0, "")
	w.until(t, 0, store.StateDelayed)
	if _, next, err := w.st.Passwords(t.Context(), client(0)); err != nil || !next.Equal(sent) {
		t.Fatalf("the password that was sent is not the one that is kept: %v", err)
	}
	w.hello(t, 0, "") // it is at work again
	w.until(t, 0, store.Provisioned)
	task := <-second
	if !task.Password.Equal(sent) || len(task.Known) == 0 || !task.Known[0].Equal(sent) {
		t.Error("the second attempt does not begin with the password of the first")
	}
	if verified, _, _ := w.st.Passwords(t.Context(), client(0)); !verified.Equal(sent) {
		t.Error("the verified password is another one")
	}
	if strings.Contains(w.log.String(), sent.Reveal()) {
		t.Error("the log has the password")
	}
}

func TestWorkerDelays(t *testing.T) {
	w := work(t, WorkerOptions{}, func(_ context.Context, task Task, _ device.Progress) error {
		switch task.Job.UUID {
		case client(1):
			panic("a fault")
		case client(2):
			return &Refusal{Cause: "rc-pps-mismatch", Words: "the client refuses the pair", Err: errors.New("alert 20")}
		}
		return nil
	})
	w.hello(t, 0, "") // no name
	for i := 1; i <= 2; i++ {
		w.name(t, i)
		w.hello(t, i, "")
	}
	for i, want := range []string{"rc-fqdn-unresolved: no name for this UUID; asked: the UUID map", "rc-half-provisioned: the session did not come to its end", "rc-pps-mismatch: the client refuses the pair"} {
		if c := w.until(t, i, store.StateDelayed); !strings.HasPrefix(c.Reason, want) {
			t.Errorf("client %d waits for %q, not %q", i, c.Reason, want)
		}
	}
	w.name(t, 0) // the name comes late
	w.until(t, 0, store.Provisioned)
	if !strings.Contains(w.log.String(), "a fault inside the program") {
		t.Error("the panic is not in the log")
	}
}

// The client is not blamed for what the database did.
func TestUnforeseen(t *testing.T) {
	for cause, err := range map[string]error{
		"rc-sql-unreachable":     refusalOf(&device.Error{Op: "store what is about to be sent", Kind: device.KindLocal, Err: fmt.Errorf("%w: disk full", store.ErrUnreachable)}),
		"rc-sql-auth":            fmt.Errorf("read pair: %w", store.ErrKey),
		"rc-return-path-blocked": fmt.Errorf("properties: %w", context.DeadlineExceeded),
		"rc-half-provisioned":    errors.New("a fault"),
	} {
		if r := unforeseen(err); r.Cause != cause || !errors.Is(r, err) {
			t.Errorf("%v becomes %s, want %s", err, r.Cause, cause)
		}
	}
}

// A stop gives what is not done back to the queue, and another worker ends it.
func TestWorkerStops(t *testing.T) {
	begun := make(chan struct{}, 1)
	w := work(t, WorkerOptions{}, func(ctx context.Context, _ Task, _ device.Progress) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})
	w.name(t, 0)
	w.hello(t, 0, "")
	<-begun
	w.stop()
	q, ok, err := w.st.Queue(t.Context(), client(0))
	if err != nil || !ok || q.ClaimedBy != "" {
		t.Fatalf("after the stop: %+v, %v, %v", q, ok, err)
	}
	jobs, err := w.st.Claim(t.Context(), "next", 5, time.Minute)
	if err != nil || len(jobs) != 1 {
		t.Errorf("the next worker gets %v, %v", jobs, err)
	}
}

func TestBackOff(t *testing.T) {
	for attempts, want := range map[int]time.Duration{0: backOffFirst, 1: backOffFirst, 2: time.Minute, 5: 8 * time.Minute, 8: backOffMost, 1 << 40: backOffMost} {
		for range 50 {
			if d := backOff(attempts); d < want*8/10 || d > want*12/10 {
				t.Errorf("attempt %d waits %v, about %v is wanted", attempts, d, want)
			}
		}
	}
}
