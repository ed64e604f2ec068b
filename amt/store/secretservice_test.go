package store

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	oskeyring "github.com/zalando/go-keyring"
)

// TestSecretService keeps the key of a database in a Secret Service that others wrote: gnome-keyring, on
// a session bus of its own, with files of its own.
func TestSecretService(t *testing.T) {
	for _, name := range []string{"dbus-run-session", "gnome-keyring-daemon", "secret-tool"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(name + " is missing: it keeps the key")
		}
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	script := `printf sesame | gnome-keyring-daemon --unlock --components=secrets >/dev/null && exec "$0" -test.v -test.run='^TestInsideSecretService$'`
	cmd := exec.Command("dbus-run-session", "--", "sh", "-c", script, os.Args[0])
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_RUNTIME_DIR="+dir, "AMTMEDIC_SECRET_SERVICE="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestInsideSecretService") {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestInsideSecretService runs inside TestSecretService.
func TestInsideSecretService(t *testing.T) {
	dir := os.Getenv("AMTMEDIC_SECRET_SERVICE")
	if dir == "" {
		t.Skip("it runs inside TestSecretService")
	}
	entries := func() int {
		t.Helper()
		out, err := exec.Command("secret-tool", "search", "--all", "service", "amtmedic").CombinedOutput()
		if err != nil && len(out) > 0 {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.Count(string(out), "label = ")
	}
	path := filepath.Join(dir, "core.db")
	s, err := Open(t.Context(), path, Options{KeyFrom: KeyInKeyring})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	secretRows(t, s, 2)
	if _, err := os.Stat(path + ".key"); err == nil || entries() != 1 {
		t.Errorf("a key file was made too, or %d entries: %v", entries(), err)
	}
	if out, err := s.RotateKey(t.Context(), KeyTarget{}); err != nil || out.To != KeyInKeyring || entries() != 1 {
		t.Errorf("%+v, %v, %d entries", out, err, entries())
	}
	again, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if under := allSecrets(t, again); under[1] != 18 {
		t.Errorf("%v", under)
	}
	row, err := again.remembered(t.Context(), again.read)
	if err != nil {
		t.Fatal(err)
	}
	if err := oskeyring.Set(keyringService, row.entry, "something else"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrNoKeyring) || !errors.Is(err, ErrKey) {
		t.Errorf("a changed entry: %v", err)
	}
	if err := dropFromKeyring(t.Context(), row.entry); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.Is(err, ErrNoKeyring) {
		t.Errorf("no entry: %v", err)
	}
	if look, err := OpenExisting(t.Context(), path, Options{}); err != nil {
		t.Errorf("to look at: %v", err)
	} else {
		_ = look.Close()
	}
}
