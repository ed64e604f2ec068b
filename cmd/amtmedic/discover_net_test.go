package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Clients at their ports are found, in their state and version; addresses that refuse give no line.
func TestDiscoverFindsSimulatedClients(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("clients need addresses of their own in 127.0.0.0/8, which only Linux has")
	}
	inv := filepath.Join(t.TempDir(), "inv")
	cmd := exec.Command("amtmedic", "sim", "--state", "post", "--count", "3", "--address", "127.0.78.1", "--amt-version", "9.0", "--method", "pki", "--keep", "--inventory", inv)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(inv, "clients.csv")); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal("no inventory")
		}
	}
	out := amtmedic(t, 0, "discover", "127.0.78.1-127.0.78.6", "--json")
	for _, host := range []string{"127.0.78.1", "127.0.78.2", "127.0.78.3"} {
		want(t, out, `"host":"`+host+`","`)
	}
	if n := strings.Count(out, `"state":"post"`); n != 3 || strings.Count(out, `"amt_version":"9.0.0"`) != 3 {
		t.Errorf("%d hosts in state post:\n%s", n, out)
	}
}
