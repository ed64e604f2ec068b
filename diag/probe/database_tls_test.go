package probe

import (
	"path/filepath"
	"testing"

	"amtmedic/amt/store"
)

// The fact says whether AMT management uses TLS; the database says how.
func TestDatabaseTLSMode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "core.db")
	s, err := store.Open(t.Context(), file, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for mode, want := range map[string]string{"off": "off", "server": "on", "mutual": "on"} {
		if _, err := s.PutProfiles(t.Context(), []store.ProfileRow{{Name: "default", Body: `{"tls":"` + mode + `"}`}}, ""); err != nil {
			t.Fatal(err)
		}
		if got := values(t, DB{Target: file, UUID: caseUUID})["srv.tls_mode"]; got != want {
			t.Errorf("tls_mode %s: %v, want %s", mode, got, want)
		}
	}
}
