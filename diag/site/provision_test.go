//go:build unix || windows

package site

import (
	"errors"
	"path/filepath"
	"testing"

	"amtmedic/amt"
	"amtmedic/amt/store"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
)

// A core is followed only while it works the queue: what it wrote of a client that it put off is told.
func TestProvisionFollowsTheCore(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "core.db")
	st, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	u, _ := amt.ParseUUID("4c4c4544-0058-3910-8059-b7c04f4b5a31")
	// PID without a row: the hello is put off at once
	if _, err := st.RecordHello(ctx, store.Hello{Version: 2, UUID: u, PID: "0000037M"}); err != nil {
		t.Fatal(err)
	}
	w := New(Options{Database: path})
	defer func() { _ = w.Close() }()
	v := diag.NewView([]diag.Fact{{Key: "client.uuid", Vantage: diag.AtClient, Value: u.String()}}, w.Now())
	report := func(probe.Progress) {}
	if _, err := w.Provision(ctx, v, report); !errors.Is(err, flow.ErrNoCore) {
		t.Errorf("nobody works the queue: %v", err)
	}
	lock, err := st.LockQueue("a test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Release() }()
	p, err := w.Provision(ctx, v, report)
	if err != nil || p.State != probe.ProgressDelayed || p.Cause != "rc-pid-unknown" || p.Reason != "failed to find PID mapping" || len(p.Steps) == 0 {
		t.Errorf("%v: %+v", err, p)
	}
}
