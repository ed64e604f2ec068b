package main

import (
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDiscoverUnderWine runs what Windows does in its own way: refusals have numbers of their own there,
// and the Management Engine is looked for through SetupAPI.
func TestDiscoverUnderWine(t *testing.T) {
	loader, compiler := wineOrSkip(t)
	l, err := net.Listen("tcp", "127.0.74.2:16992")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "Intel(R) Active Management Technology 7.1.91")
		w.WriteHeader(http.StatusUnauthorized)
	})}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	w := newWine(t, loader, compiler)
	dir := t.TempDir()
	program := buildFor(t, "windows", filepath.Join(dir, "amtmedic.exe"))
	run := func(args ...string) outcome {
		c := exec.Command(w.loader, append([]string{program}, args...)...)
		c.Dir, c.Env = dir, append(w.env(), "AMTMEDIC_HOME="+filepath.Join(dir, "home"), "AMTMEDIC_AMT_PASSWORD=x")
		return runProgram(t, c, "")
	}
	o := run("discover", "--json", "127.0.74.1-127.0.74.4")
	if o.code != exitOK || strings.Count(o.stdout, "\n") != 1 || !strings.Contains(o.stdout, `"amt_version":"7.1.91"`) {
		t.Errorf("exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if o := run("discover", "127.0.74.3-127.0.74.4"); o.code != exitOK || !strings.Contains(o.stderr, "2 hosts asked, 0 with AMT") {
		t.Errorf("only refusals: exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if o := run("local", "status", "--json", "--via", "tunnel"); o.code != exitUndecided || !strings.Contains(o.stdout, `"no-tunnel"`) {
		t.Errorf("local: exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	for _, word := range []string{"status", "restart-hello", "enable"} {
		o := run("mei", word, "--json")
		if o.code != exitUndecided || !strings.Contains(o.stdout, `"mode":""`) || !strings.Contains(o.stdout, `"code":"no-`) || !strings.Contains(o.stderr, "hint:") {
			t.Errorf("mei %s: exit %d\n%s%s", word, o.code, o.stdout, o.stderr)
		}
	}
}
