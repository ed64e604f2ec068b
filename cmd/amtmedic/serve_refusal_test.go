package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What keeps a client from being provisioned is the reason of its delayed entry, each in its own words.
func TestServeNamesWhatFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, ca, foreign := filepath.Join(dir, "core.db"), filepath.Join(dir, "ca"), filepath.Join(dir, "foreign")
	for _, d := range []string{ca, foreign} {
		amtmedic(t, 0, "cert", "create-lab", "--out", d, "--suffix", "corp.example")
	}
	s := startServe(t, db, "--provisioning-cert", filepath.Join(ca, "provisioning.pem"))
	pki := func(suffix, trust string) []string {
		return []string{"--method", "pki", "--suffix", suffix, "--trust", filepath.Join(trust, "root.pem")}
	}
	edit := func(from, to string) func(string) string {
		return func(keys string) string { return regexp.MustCompile(from).ReplaceAllString(keys, to) }
	}
	cases := []struct {
		reason string
		sim    []string
		keys   func(string) string // what becomes of the key file
	}{
		{"rc-pps-mismatch: ", []string{"--suffix", "a.example"}, edit(`,[A-Z0-9]{32},`, ",NKLDG5DCRRNQE9YZZIJL7LFLVJED69XJ,")},
		{"rc-pid-unknown: failed to find PID mapping", []string{"--suffix", "b.example"}, func(string) string { return "" }},
		{"rc-admin-password-mismatch: ", []string{"--suffix", "c.example"}, edit(`,admin,[^,]*,0`, ",admin,Wr0ng-Pass,0")},
		{"rc-return-path-blocked: ", []string{"--suffix", "d.example", "--inject", "connect=refuse"}, nil},
		{"rc-half-provisioned: the configuration stopped at commit", []string{"--suffix", "e.example", "--inject", "AMT_SetupAndConfigurationService.CommitChanges=refuse:2057"}, nil},
		{"rc-cert-hash-not-in-client: ", pki("corp.example", foreign), nil},
		{"rc-cert-suffix-mismatch: ", pki("other.example", ca), nil},
	}
	address := func(i int) string { return "127.0.64." + string(rune('1'+i)) }
	for i, c := range cases {
		inv, _ := simulated(t, s.addr, append(c.sim, "--address", address(i))...)
		if raw, err := os.ReadFile(filepath.Join(inv, "keys.csv")); err == nil && len(c.sim) < 6 {
			text := string(raw)
			if c.keys != nil {
				text = c.keys(text)
			}
			file := filepath.Join(dir, "keys.csv")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if text != "" {
				amtmedic(t, 0, "keys", "import", file, "--db", db)
			}
		}
		amtmedic(t, 0, "discover", "import", filepath.Join(inv, "map.csv"), "--db", db)
	}
	for i, c := range cases {
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			got := ""
			for _, k := range known(t, db) {
				if k.Address == address(i) {
					got = k.Reason
				}
			}
			if strings.HasPrefix(got, c.reason) {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%v waits for %q, want %q", c.sim, got, c.reason)
				break
			}
		}
	}
}
