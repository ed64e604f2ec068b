package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// until polls until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never came: " + what)
		}
	}
}

// Clients that are provisioned get new passwords and pairs, and are set up anew, by the running server.
func TestMaintain(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("simulated clients have addresses of their own on Linux only")
	}
	s := startTLS(t, "off")
	s.clients("psk", "6.0", "127.0.37.1", 2)
	before := s.wait(2, func() {})
	uuid := before[0].UUID.String()
	password := func() string {
		for _, c := range known(t, s.db) {
			if c.UUID == before[0].UUID {
				return c.Password
			}
		}
		return ""
	}
	old := password()

	amtmedic(t, 2, "maintain", "nothing", uuid, "--db", s.db)
	amtmedic(t, 2, "maintain", "clock", "--db", s.db)
	amtmedic(t, 1, "maintain", "clock", uuid, "--db", s.db) // nobody agreed
	want(t, amtmedic(t, 1, "maintain", "clock", "00000000-0000-4000-8000-000000000001", "--yes", "--json", "--db", s.db), `"queued":false`, "never said hello")
	want(t, amtmedic(t, 0, "maintain", "password", uuid, "--yes", "--db", s.db), "queued")
	until(t, "a new password", func() bool { return password() != old && password() != "" })
	if code := curl(t, before[0].Address, old); code != "401" {
		t.Errorf("the old password gives HTTP %s", code)
	}
	if code := curl(t, before[0].Address, password()); code != "200" {
		t.Errorf("the new password gives HTTP %s", code)
	}

	until(t, "an empty queue", func() bool { return strings.Count(amtmedic(t, 0, "clients", "--db", s.db), "  provisioned  ") == 2 })
	amtmedic(t, 0, "maintain", "pair", "--all", "--yes", "--db", s.db)
	until(t, "new pairs", func() bool {
		for _, c := range known(t, s.db) {
			if c.PID == before[0].PID || c.PID == before[1].PID {
				return false
			}
		}
		return true
	})
	until(t, "a free client", func() bool {
		out, _ := exec.Command("amtmedic", "maintain", "unprovision", uuid, "--yes", "--db", s.db).Output()
		return strings.Contains(string(out), "  queued")
	})
	until(t, "the client set up with its new pair", func() bool {
		for _, c := range known(t, s.db) {
			if c.UUID == before[0].UUID {
				return c.State == "provisioned" && c.Hellos > before[0].Hellos && c.PID != before[0].PID
			}
		}
		return false
	})
}

// What a running server takes from its configuration file, and what a wrong file does to it.
func TestServeConfig(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGHUP")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "serve.conf")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# a comment\nsessions = many\n")
	amtmedic(t, 2, "serve", "--config", file, "--db", filepath.Join(dir, "core.db"))
	write("port = 1\n")
	amtmedic(t, 2, "serve", "--config", file, "--db", filepath.Join(dir, "core.db"))
	write("postgres://core:s3cret@127.0.0.1/db?sslmode=disable\n")
	if out := amtmedic(t, 2, "serve", "--config", file, "--db", filepath.Join(dir, "core.db")); strings.Contains(out, "s3cret") {
		t.Error(out)
	}
	write("log-level = loud\n")
	amtmedic(t, 2, "serve", "--config", file, "--db", filepath.Join(dir, "core.db"))

	write("sessions = 5\nlog-level = error\n")
	s := startServe(t, filepath.Join(dir, "core.db"), "--config", file)
	write("sessions = 6\nlog-level = verbose\nproperties = map,dns\n")
	hup(t, s)
	until(t, "the new configuration", func() bool {
		text := s.text()
		return strings.Contains(text, `"changed":["log-level","properties"]`) && strings.Contains(text, `"at_next_start":["sessions"]`)
	})
	write("log-level = verbose\nproperties = nowhere\n")
	hup(t, s)
	until(t, "a refusal", func() bool {
		return strings.Contains(s.text(), `nowhere`) && strings.Contains(s.text(), "everything stays as it was")
	})
}

func hup(t *testing.T, s *server) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// A line that is no setting may hold a password: the error names its number only.
func TestConfigLineIsNotRepeated(t *testing.T) {
	_, err := readSettings(strings.NewReader("sessions = 5\npostgres://core:s3cret@db\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error is %v", err)
	}
}
