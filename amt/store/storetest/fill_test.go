package storetest

import (
	"path/filepath"
	"testing"

	"amtmedic/amt/store"
)

// What Fill writes, the store reads: every client in the state that its number says.
func TestFill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.db")
	if err := Fill(t.Context(), path, 200); err != nil {
		t.Fatal(err)
	}
	st, err := store.OpenExisting(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	all, err := st.Clients(t.Context())
	if err != nil || len(all) != 200 {
		t.Fatalf("%d clients, %v", len(all), err)
	}
	states := map[store.State]int{}
	for _, c := range all {
		states[c.State]++
	}
	for state, want := range map[store.State]int{store.Provisioned: 120, store.StateDelayed: 40, store.InProgress: 8, store.Unprovisioned: 32} {
		if states[state] != want {
			t.Errorf("%s: %d clients, want %d", state, states[state], want)
		}
	}
	if c, ok, err := st.Client(t.Context(), UUID(7)); err != nil || !ok || c.FQDN != FQDN(7) {
		t.Errorf("client 7: %+v, %v, %v", c, ok, err)
	}
	if total, unused, err := st.PIDCounts(t.Context()); err != nil || total != 200 || unused != 80 {
		t.Errorf("%d keys, %d unused, %v", total, unused, err)
	}
}
