package remedy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/hello"
	"amtmedic/amt/keys"
	"amtmedic/amt/store"
)

var clientUUID = func() amt.UUID {
	u, err := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	if err != nil {
		panic(err)
	}
	return u
}()

func pair(t *testing.T, seed byte) keys.Pair {
	t.Helper()
	p, err := keys.Generate(rand.NewChaCha8([32]byte{seed}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func open(t *testing.T, file string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), file, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// noSecret fails when a text has the PPS, with or without dashes.
func noSecret(t *testing.T, p keys.Pair, texts ...any) {
	t.Helper()
	for _, x := range texts {
		s := fmt.Sprintf("%+v", x)
		if strings.Contains(s, p.PPS.Reveal()) || strings.Contains(s, p.Dashed()) {
			t.Errorf("the PPS is shown: %s", s)
		}
	}
}

func TestEnterPair(t *testing.T) {
	file := filepath.Join(t.TempDir(), "core.db")
	s := open(t, file)
	p := pair(t, 1)
	if _, err := s.RecordHello(t.Context(), store.Hello{From: netip.MustParseAddrPort("10.20.0.7:16994"), Version: 2, UUID: clientUUID, PID: p.PID}); err != nil {
		t.Fatal(err)
	}
	a := EnterPair(Pairs{ID: "rm-pid-unknown", Target: file, PID: p.PID})
	plan, err := a.Plan(t.Context())
	if err != nil || len(plan.Fields) != 1 || !plan.Fields[0].Secret || row(plan, "checked first") != "no row of that PID there" {
		t.Fatalf("plan %+v, error %v", plan, err)
	}
	if _, found, _ := s.PID(t.Context(), p.PID); found {
		t.Fatal("the preview wrote a row")
	}
	if err := plan.Fields[0].Check("ABCD"); err == nil {
		t.Error("a PPS of four characters is taken")
	}
	if err := plan.Fields[0].Check(p.Dashed()); err != nil {
		t.Errorf("the right PPS: %v", err)
	}
	done, err := a.Apply(t.Context(), map[string]string{FieldPPS: p.Dashed()})
	if err != nil || !strings.Contains(done, "1 waiting client(s) went to the queue") {
		t.Fatalf("apply: %q, %v", done, err)
	}
	got, found, err := s.Key(t.Context(), p.PID)
	if err != nil || !found || got.PPS.Reveal() != p.PPS.Reveal() {
		t.Errorf("the row: found %t, %v", found, err)
	}
	_, again := a.Apply(t.Context(), map[string]string{FieldPPS: p.Dashed()})
	_, planAgain := a.Plan(t.Context())
	if again == nil || planAgain == nil {
		t.Error("the same pair twice")
	}
	_, wrong := EnterPair(Pairs{Target: file}).Apply(t.Context(), map[string]string{FieldPID: "4KRG-65Q0", FieldPPS: p.Dashed()[1:]})
	if wrong == nil {
		t.Error("a pair that firmware refuses is taken")
	}
	noSecret(t, p, plan, done, again, planAgain, wrong)
}

func TestReplacePPS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "core.db")
	s := open(t, file)
	old, right := pair(t, 1), pair(t, 2)
	if _, err := s.ImportKeys(t.Context(), []store.Pair{{PID: old.PID, PPS: old.PPS, AdminPassword: amt.NewSecret("Kept-1pass"), Used: true}}); err != nil {
		t.Fatal(err)
	}
	a := EnterPair(Pairs{ID: "rm-pps-mismatch", Target: file, PID: old.PID, Replace: true})
	plan, err := a.Plan(t.Context())
	if err != nil || plan.Undo == "" || !strings.Contains(row(plan, "changes"), "the PPS of row 1") {
		t.Fatalf("plan %+v, error %v", plan, err)
	}
	if _, err := a.Apply(t.Context(), map[string]string{FieldPPS: right.Dashed()}); err != nil {
		t.Fatal(err)
	}
	check := func(when string, pps amt.Secret) {
		t.Helper()
		got, _, err := s.Key(t.Context(), old.PID)
		if err != nil || got.PPS.Reveal() != pps.Reveal() || got.AdminPassword.Reveal() != "Kept-1pass" || !got.Used || got.ID != 1 {
			t.Errorf("%s: row %d, used %t, error %v", when, got.ID, got.Used, err)
		}
	}
	check("replaced", right.PPS)
	if err := a.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("undone", old.PPS)
}

// removable is a map that can take rows out again.
type removable struct {
	*store.Store
	removed *[]amt.PID
}

func (r removable) RemoveKey(_ context.Context, p amt.PID) error {
	*r.removed = append(*r.removed, p)
	return nil
}

func TestImportPairs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "core.db")
	s := open(t, file)
	have, second, third := pair(t, 1), pair(t, 2), pair(t, 3)
	if _, err := s.ImportKeys(t.Context(), []store.Pair{{PID: have.PID, PPS: have.PPS, Used: true}}); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "keys.csv")
	text := keys.Header + "\n"
	for i, p := range []keys.Pair{second, have, third} { // ids that are taken here by others
		text += fmt.Sprintf("%d,%s,%s,,,0\n", i+1, p.PID, p.PPS.Reveal())
	}
	if err := os.WriteFile(list, []byte(text+"9,BADPID00,short,,,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var removed []amt.PID
	a := ImportPairs(Pairs{ID: "rm-pid-unknown", Target: file, File: list, PID: third.PID, Open: func(ctx context.Context, _ bool) (PIDMap, error) {
		st, err := store.Open(ctx, file, store.Options{})
		return removable{st, &removed}, err
	}})
	plan, err := a.Plan(t.Context())
	if err != nil || row(plan, "adds") != "2 pairs" || plan.Undo != "removes exactly these rows" || !strings.HasSuffix(row(plan, "the client's PID"), "is among them") {
		t.Fatalf("plan %+v, error %v", plan, err)
	}
	if _, err := a.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if total, _, err := s.PIDCounts(t.Context()); err != nil || total != 3 {
		t.Errorf("%d rows, error %v", total, err)
	}
	if r, _, _ := s.PID(t.Context(), have.PID); r.ID != 1 || !r.Used {
		t.Errorf("the row that was there: %+v", r)
	}
	if err := a.Undo(t.Context()); err != nil || fmt.Sprint(removed) != fmt.Sprint([]amt.PID{second.PID, third.PID}) {
		t.Errorf("undo removes %v, error %v", removed, err)
	}
	if _, err := ImportPairs(Pairs{Target: file, File: filepath.Join(dir, "none.csv")}).Plan(t.Context()); err == nil {
		t.Error("a file that is not there")
	}
}

func TestHelloServer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "core.db")
	h := NewHelloServer(Listener{ID: "rm-amtconfig-stopped", Listen: fmt.Sprintf("127.0.0.1:%d", freePort(t)), Target: file})
	t.Cleanup(func() { _ = h.Close() })
	a := h.Action()
	plan, err := a.Plan(t.Context())
	if err != nil || row(plan, "listens on") != h.Listen || row(plan, "keeps hellos in") != file || fileExists(file) {
		t.Fatalf("plan %+v, error %v", plan, err)
	}
	if _, err := a.Apply(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Plan(t.Context()); err == nil {
		t.Error("a second server on the port is planned")
	}
	b, err := hello.Encode(hello.ForPSK(clientUUID, pair(t, 1).PID))
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", h.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	_, _ = c.Read(make([]byte, 1)) // the server closes after the hello is kept
	_ = c.Close()
	if err := a.Undo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", h.Listen); err == nil {
		t.Error("it listens after undo")
	}
	if _, ok, err := open(t, file).Client(t.Context(), clientUUID); err != nil || !ok {
		t.Errorf("the hello is not kept: %v", err)
	}
	if err := h.Close(); err != nil || h.Addr() != nil {
		t.Errorf("closing twice: %v", err)
	}
}
