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
		"config": {"service", "print", "--", "--config", "/etc/amtmedic/serve.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command("amtmedic", args...).Output() // notes go to standard error
			if err != nil {
				t.Fatal(err)
			}
			unit := string(out)
			file := filepath.Join(t.TempDir(), "amtmedic.service")
			if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err = exec.Command(bin, "verify", "--man=no", file).CombinedOutput()
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
		{"--", "--db", "postgres://core:s3cret@127.0.0.1/db", "--key-file", "/etc/amtmedic/k"},
	} {
		if runtime.GOOS != "linux" && strings.Contains(args[len(args)-1], "/srv") {
			continue
		}
		if out := amtmedic(t, 2, append([]string{"service", "print"}, args...)...); strings.Contains(out, "s3cret") {
			t.Error(out)
		}
	}
}

// A service that would not find its files is not installed.
func TestServiceHidden(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems hide nothing")
	}
	want(t, amtmedic(t, 2, "service", "install", "--yes", "--", "--config", "/var/tmp/serve.conf"), "--config: /var/tmp/serve.conf is hidden")
}

// Words of a unit mean what was said.
func TestUnitWord(t *testing.T) {
	for in, want := range map[string]string{"--db=/a/b": "--db=/a/b", `a b`: `"a b"`, `100%`: `100%%`, `$HOME`: `$$HOME`, `a"b`: `"a\"b"`, `a\b`: `"a\\b"`, "a;b": `"a;b"`} {
		if got := unitWord(in); got != want {
			t.Errorf("%s gives %s, not %s", in, got, want)
		}
	}
}
