package capture

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLiveWithOneCapability runs this test's own program as nobody, with the capability that the hint
// of a missing right names and no other: one interface, promiscuous, and all of them.
func TestLiveWithOneCapability(t *testing.T) {
	if os.Getenv("AMTMEDIC_TEST_CAPABILITY") != "" {
		status, err := os.ReadFile("/proc/self/status")
		if err != nil || os.Geteuid() == 0 || !strings.Contains(string(status), "CapEff:\t0000000000002000\n") {
			t.Fatalf("user %d: %v\n%s", os.Geteuid(), err, status)
		}
		k := newTalker(t)
		defer k.close()
		for _, iface := range []string{"lo", AnyInterface} {
			l, err := OpenLive(iface, LiveOptions{Promisc: iface == "lo"})
			if err != nil {
				t.Fatal(err)
			}
			k.say(t, psk(t, 1))
			hellos := 0
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			_ = Scan(ctx, l, Options{}, func(e Event) {
				if e.Kind == KindHello {
					hellos++
					cancel()
				}
			})
			cancel()
			l.Close()
			if hellos != 1 {
				t.Errorf("%s: %d hellos", iface, hellos)
			}
		}
		return
	}
	isolated(t, func(t *testing.T) {
		tool(t, "setcap")
		dir := t.TempDir()
		for _, d := range []string{dir, filepath.Dir(dir)} { // nobody must reach the program
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		var mount syscall.Statfs_t
		const noSetuid = 2 // ST_NOSUID: capabilities of files do not act there
		if err := syscall.Statfs(dir, &mount); err != nil || mount.Flags&noSetuid != 0 {
			t.Skip(dir + " is mounted nosuid")
		}
		program := filepath.Join(dir, "capture.test")
		copyFile(t, "/proc/self/exe", program)
		output(t, "setcap", "cap_net_raw+ep", program)
		cmd := exec.Command(program, "-test.run=^TestLiveWithOneCapability$", "-test.v")
		cmd.Env = append(os.Environ(), "AMTMEDIC_TEST_CAPABILITY=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
			t.Errorf("as nobody: %v: %s", err, out)
		}
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
