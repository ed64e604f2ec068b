package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A client of Remote Configuration has to show the one-time password that its agent planted, where one is
// known: another one is refused in words, the right one is used up.
func TestServeComparesOneTimePasswords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, ca := filepath.Join(dir, "core.db"), filepath.Join(dir, "ca")
	amtmedic(t, 0, "cert", "create-lab", "--out", ca, "--suffix", "corp.example")
	s := startServe(t, db, "--provisioning-cert", filepath.Join(ca, "provisioning.pem"))
	inv, _ := simulated(t, s.addr, "--method", "pki", "--otp", "--suffix", "corp.example", "--trust", filepath.Join(ca, "root.pem"), "--address", "127.0.79.1")
	right := filepath.Join(inv, "otp.csv")
	raw, err := os.ReadFile(right)
	if err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(dir, "wrong.csv")
	if err := os.WriteFile(wrong, regexp.MustCompile(`,[0-9a-f]{24}`).ReplaceAll(raw, []byte(",OneTime-1234")), 0o600); err != nil {
		t.Fatal(err)
	}
	amtmedic(t, 0, "keys", "otp", wrong, "--db", db)
	amtmedic(t, 0, "discover", "import", filepath.Join(inv, "map.csv"), "--db", db)
	until := func(what string, ok func(c clientLine) bool) {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			for _, c := range known(t, db) {
				if ok(c) {
					return
				}
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %+v\n%s", what, known(t, db), tail(s.text(), 3000))
			}
		}
	}
	until("no refusal", func(c clientLine) bool {
		return c.Reason == "rc-otp-mismatch: the client has another one-time password"
	})
	if out := amtmedic(t, 0, "keys", "otp", right, "--db", db); !strings.Contains(out, "imported 1, problems 0") {
		t.Errorf("keys otp says %q", out)
	}
	until("not provisioned", func(c clientLine) bool { return c.State == "provisioned" })
	if otp := strings.TrimSpace(strings.SplitAfter(string(raw), ",")[2]); strings.Contains(s.text(), otp) || strings.Contains(s.text(), "OneTime-1234") {
		t.Error("a one-time password is in the log")
	}
	amtmedic(t, 2, "keys", "otp", filepath.Join(inv, "map.csv"), "--db", db)
	amtmedic(t, 2, "sim", "--otp", "--method", "psk")
}
