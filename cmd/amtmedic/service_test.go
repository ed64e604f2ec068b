package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The unit is one that systemd takes, with arguments that need quoting too.
func TestServiceUnit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("units are of systemd")
	}
	bin, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("systemd-analyze is missing")
		}
		t.Skip("systemd-analyze is missing: nobody else judged the unit")
	}
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"plain":  {"service", "print"},
		"quoted": {"service", "print", "--user", "root", "--", "--db", filepath.Join(dir, `a $b %c "d"`, "core.db"), "--listen", "127.0.0.1:80"},
		"config": {"service", "print", "--", "--config", filepath.Join(dir, "serve.conf")},
	} {
		t.Run(name, func(t *testing.T) {
			unit := amtmedic(t, 0, args...)
			file := filepath.Join(t.TempDir(), "amtmedic.service")
			if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(bin, "verify", "--man=no", file).CombinedOutput()
			if err != nil || strings.Contains(string(out), "amtmedic.service:") {
				t.Errorf("systemd says %v: %s\n%s", err, out, unit)
			}
			if strings.Contains(unit, "ExecReload") != (name == "config") || strings.Contains(unit, "CAP_NET_BIND_SERVICE") != (name == "quoted") || strings.Contains(unit, "DynamicUser=yes") == (name == "quoted") {
				t.Error(unit)
			}
		})
	}
}

// What cannot work is refused before anything is written.
func TestServiceRefusals(t *testing.T) {
	for _, args := range [][]string{
		{"--", "--sessions", "0"}, {"--", "--nothing"}, {"--", "core.db"}, {"--", "--listen", "nowhere"}, {"--", "--db", "/srv/core.db"}, {"--", "--script", "/x{{y}}"},
	} {
		if runtime.GOOS != "linux" && strings.Contains(args[len(args)-1], "/srv") {
			continue
		}
		amtmedic(t, 2, append([]string{"service", "print"}, args...)...)
	}
}

// Words of a unit mean what was said.
func TestUnitWord(t *testing.T) {
	for in, want := range map[string]string{"--db=/a/b": "--db=/a/b", `a b`: `"a b"`, `100%`: `100%%`, `$HOME`: `$$HOME`, `a"b`: `"a\"b"`, `a\b`: `"a\\b"`, "a;b": `"a;b"`} {
		if got := unitWord(in); got != want {
			t.Errorf("%s gives %s, not %s", in, got, want)
		}
	}
}
