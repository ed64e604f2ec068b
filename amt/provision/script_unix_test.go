//go:build unix

package provision

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a script has started ends with it when it is cut off, or fails: a server that asks again every
// half minute would collect one such process each time.
func TestScriptLeavesNothing(t *testing.T) {
	for name, body := range map[string]string{
		"it hangs":             "sleep 600 & echo $! > PID; wait",
		"it floods":            "sleep 600 & echo $! > PID; yes",
		"its child holds on":   "sleep 600 & echo $! > PID; echo '{\"fqdn\":\"pc.corp.example\"}'",
		"its child fails late": "sleep 600 >/dev/null 2>&1 & echo $! > PID; exit 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			_, _, _ = script(t, strings.ReplaceAll(body, "PID", file)).Properties(t.Context(), asked)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				if gone(pid) {
					return
				}
				if time.Now().After(end) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
					t.Fatalf("process %d of the script still runs", pid)
				}
			}
		})
	}
}

// gone is true of a process that ended, also of one that nobody has collected yet.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && strings.Contains(string(stat), ") Z ")
}

func TestScriptGetsNoSecrets(t *testing.T) {
	t.Setenv("AMTMEDIC_CERT_PASSWORD", "opens the PFX")
	t.Setenv("AMTMEDIC_KEY_PASSPHRASE", "opens the PFX too")
	t.Setenv("AMTMEDIC_HOME", "/cases")
	var ref *Refusal
	_, _, err := script(t, "env >&2; exit 1").Properties(t.Context(), asked)
	if !errors.As(err, &ref) || strings.Contains(ref.Log, "opens the PFX") {
		t.Errorf("refusal %v", err)
	}
	ref = nil
	_, _, err = script(t, `test "$AMTMEDIC_HOME" = /cases || exit 1; exit 3`).Properties(t.Context(), asked)
	if err != nil {
		t.Errorf("other settings are lost: %v", err)
	}
}
