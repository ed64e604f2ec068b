package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"amtmedic/amt"
)

func TestRemoveKey(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "core.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	pps := amt.NewSecret("NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ")
	if _, err := s.ImportKeys(ctx, []Pair{{PID: "0000037M", PPS: pps}, {PID: "44444444", PPS: pps}}); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveKey(ctx, "0000037M"); err != nil {
		t.Fatal(err)
	}
	if _, found, err := s.PID(ctx, "0000037M"); found || err != nil {
		t.Errorf("the row is still there: %v %v", found, err)
	}
	if _, found, _ := s.PID(ctx, "44444444"); !found {
		t.Error("another row went with it")
	}
	if err := s.RemoveKey(ctx, "0000037M"); err != nil {
		t.Errorf("removing twice: %v", err)
	}
	if err := s.write(ctx, func(tx *tx) error {
		return tx.exec(`UPDATE csti_pid_map SET used=1 WHERE pid='44444444'`)
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveKey(ctx, "44444444"); !errors.Is(err, ErrDenied) {
		t.Errorf("a used row was removed: %v", err)
	}
}
