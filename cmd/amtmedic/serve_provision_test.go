package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// simulated starts clients that send their hellos to a server, and gives the folder of their inventory
// and a function that waits for their end and gives the exit code.
func simulated(t *testing.T, to string, args ...string) (inventory string, wait func() int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("clients need addresses of their own in 127.0.0.0/8, which only Linux has")
	}
	dir := filepath.Join(t.TempDir(), "inv")
	cmd := exec.Command("amtmedic", append([]string{"sim", "--to", to, "--fast", "--inventory", dir}, args...)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "clients.csv")); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) || time.Now().After(end) {
			t.Fatalf("no inventory: %v; %s", err, said.Bytes())
		}
	}
	return dir, func() int {
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case <-done:
		case <-time.After(3 * time.Minute):
			_ = cmd.Process.Kill()
			<-done
			t.Fatalf("the clients are not all provisioned: %s", tail(said.String(), 3000))
		}
		return cmd.ProcessState.ExitCode()
	}
}

// renamed puts a prefix before the host names of a map, which every simulation begins alike.
func renamed(t *testing.T, file, prefix string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.ReplaceAll(raw, []byte(",amt0"), []byte(","+prefix+"amt0")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// known is what the server knows of its clients.
func known(t *testing.T, db string) []clientLine {
	t.Helper()
	var out []clientLine
	for sc := bufio.NewScanner(strings.NewReader(amtmedic(t, 0, "clients", "--db", db, "--reveal", "--json"))); sc.Scan(); {
		var c clientLine
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatalf("%v in %s", err, sc.Text())
		}
		out = append(out, c)
	}
	return out
}

// curl logs in with digest, as a stranger does, and gives the HTTP status.
func curl(t *testing.T, address, password string) string {
	t.Helper()
	bin, err := exec.LookPath("curl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("curl is missing")
		}
		t.Skip("curl is missing: nobody else logged in")
	}
	out, err := exec.Command(bin, "-s", "-o", filepath.Join(t.TempDir(), "page"), "-w", "%{http_code}", "--max-time", "20", "--digest", "-u", "admin:"+password,
		"http://"+address+":16992/index.htm").Output()
	if err != nil {
		t.Errorf("curl: %v", err)
	}
	return string(out)
}

// Clients of both methods come from their hello to the provisioned state, and a stranger logs in with
// the password that the server knows.
func TestServeProvisions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, lab := filepath.Join(dir, "core.db"), filepath.Join(dir, "ca")
	amtmedic(t, 0, "cert", "create-lab", "--out", lab, "--suffix", "corp.example", "--intermediate")
	other := filepath.Join(dir, "other") // a second root, which the clients trust too
	amtmedic(t, 0, "cert", "create-lab", "--out", other)
	s := startServe(t, db, "--provisioning-cert", filepath.Join(lab, "provisioning.pem"))
	psk, endPSK := simulated(t, s.addr, "--count", "6", "--address", "127.0.60.1")
	pki, endPKI := simulated(t, s.addr, "--count", "3", "--address", "127.0.61.1", "--method", "pki", "--amt-version", "9.0",
		"--trust", filepath.Join(lab, "root.pem"), "--trust", filepath.Join(other, "root.pem"), "--suffix", "corp.example")
	amtmedic(t, 0, "keys", "import", filepath.Join(psk, "keys.csv"), "--db", db)
	amtmedic(t, 0, "discover", "import", filepath.Join(psk, "map.csv"), "--db", db)
	amtmedic(t, 0, "discover", "import", filepath.Join(pki, "map.csv"), "--db", db)
	kept, endKept := simulated(t, s.addr, "--count", "1", "--address", "127.0.62.1", "--suffix", "kept.example", "--keep") // to log in to
	amtmedic(t, 0, "keys", "import", filepath.Join(kept, "keys.csv"), "--db", db)
	amtmedic(t, 0, "discover", "import", filepath.Join(kept, "map.csv"), "--db", db)
	ends := []func() int{endPSK, endPKI}
	for i, v := range []string{"2.1", "8.0", "3.0", "16.1"} { // SOAP, WS-Man; with a certificate: old, and without a plain port
		args := []string{"--address", fmt.Sprintf("127.0.65.%d", i+1), "--amt-version", v, "--suffix", fmt.Sprintf("v%d.example", i)}
		if i >= 2 {
			args = append(args[:4], "--suffix", "corp.example", "--method", "pki", "--trust", filepath.Join(lab, "root.pem"))
		}
		inv, end := simulated(t, s.addr, args...)
		ends = append(ends, end)
		if i < 2 {
			amtmedic(t, 0, "keys", "import", filepath.Join(inv, "keys.csv"), "--db", db)
		}
		renamed(t, filepath.Join(inv, "map.csv"), fmt.Sprintf("v%d-", i))
		amtmedic(t, 0, "discover", "import", filepath.Join(inv, "map.csv"), "--db", db)
	}
	for i, end := range ends {
		if code := end(); code != 0 {
			t.Errorf("clients %d end with %d\n%s", i, code, tail(s.text(), 4000))
		}
	}
	for end := time.Now().Add(30 * time.Second); strings.Contains(amtmedic(t, 0, "clients", "--db", db), "delayed") && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	_ = endKept
	methods := map[string]int{}
	for _, c := range known(t, db) {
		if c.State != "provisioned" || c.FQDN == "" || c.AMTVersion == "" || c.Password == "" {
			t.Errorf("client %+v", c)
		}
		methods[string(c.Method)]++
		if c.Password != "" && strings.Contains(s.text(), c.Password) {
			t.Error("a password stands in the log")
		}
		if c.Address == "127.0.62.1" {
			if code := curl(t, c.Address, c.Password); code != "200" {
				t.Errorf("with the new password: %s", code)
			}
			if code := curl(t, c.Address, "admin"); code != "401" {
				t.Errorf("with the factory password: %s", code)
			}
		}
	}
	if log := s.text(); strings.Count(log, "SOAP services of AMT 2.x") != 1 {
		t.Error("the client that was set up over SOAP is not marked in the log, or others are")
	}
	if methods["psk"] != 9 || methods["pki"] != 5 {
		t.Errorf("%v", methods)
	}
	if code := s.end(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// The server is killed again and again while it provisions: every client ends provisioned, with a
// password that the server knows.
func TestServeKilled(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("a long test: AMTMEDIC_LONG=1")
	}
	db := filepath.Join(t.TempDir(), "core.db")
	s := startServe(t, db, "--sessions", "4")
	port := s.addr[strings.LastIndexByte(s.addr, ':')+1:]
	const n = 150
	inv, end := simulated(t, s.addr, "--count", strconv.Itoa(n), "--address", "127.0.63.1", "--keep", "--inject", "*=slow:40ms")
	_ = end
	amtmedic(t, 0, "keys", "import", filepath.Join(inv, "keys.csv"), "--db", db)
	amtmedic(t, 0, "discover", "import", filepath.Join(inv, "map.csv"), "--db", db)
	kills := 0
	done := func() int { return strings.Count(amtmedic(t, 0, "clients", "--db", db), "  provisioned  ") }
	for deadline := time.Now().Add(5 * time.Minute); done() < n || kills < 100; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d after %d kills\n%s", done(), n, kills, amtmedic(t, 0, "clients", "--db", db))
		}
		time.Sleep(rand.N(400 * time.Millisecond))
		if kills < 100 {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
			kills++
			s = startServe(t, db, "--sessions", "4", "--listen", "127.0.0.1:"+port)
		}
	}
	t.Logf("%d clients, %d kills", n, kills)
	for i, c := range known(t, db) {
		if c.State != "provisioned" || c.Password == "" {
			t.Errorf("%s is %s (%s)", c.UUID, c.State, c.Reason)
		}
		if i%12 != 0 {
			continue // curl takes its time
		}
		if code := curl(t, c.Address, c.Password); code != "200" {
			t.Errorf("%s: log-in with the password that the server knows: %s", c.UUID, code)
		}
	}
	if out := sqlite(t, db, "PRAGMA integrity_check"); out != "ok\n" {
		t.Errorf("integrity: %s", out)
	}
}
