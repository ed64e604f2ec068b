package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"amtmedic/amt"
)

func TestHardLinkIsRefused(t *testing.T) {
	dir := t.TempDir()
	path, second := filepath.Join(dir, "core.db"), filepath.Join(dir, "other.db")
	s := open(t, path)
	record(t, s, hello(t, 3, ""))
	if err := os.Link(path, second); err != nil {
		t.Skipf("no hard links here: %v", err)
	}
	for _, name := range []string{path, second} {
		if _, err := Open(t.Context(), name, Options{}); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "2 names") {
			t.Errorf("%s: %v", name, err)
		}
	}
	record(t, s, hello(t, 3, "")) // who had it open goes on
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

// A disk without room, made as a small file system in a mount namespace of its own: the refusal says
// so, what was acknowledged stays, and the same store goes on when there is room again.
func TestDiskFull(t *testing.T) {
	if dir := os.Getenv("AMTMEDIC_TEST_SMALL_DISK"); dir != "" {
		fillDisk(t, dir)
		return
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil || os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("not root on Linux: no small disk could be made")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), unshare, "-m", "sh", "-c",
		`mount -t tmpfs -o size=12m none "$1" && exec "$2" -test.run='^TestDiskFull$' -test.v`, "sh", dir, os.Args[0])
	cmd.Env = append(os.Environ(), "AMTMEDIC_TEST_SMALL_DISK="+dir)
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil && bytes.Contains(out, []byte("the disk was full")):
	case bytes.Contains(out, []byte("mount:")) || bytes.Contains(out, []byte("unshare:")):
		t.Skipf("no small disk could be made: %s", out)
	default:
		t.Errorf("%v\n%s", err, out)
	}
}

func fillDisk(t *testing.T, dir string) {
	path, ballast := filepath.Join(dir, "core.db"), filepath.Join(dir, "ballast")
	s := open(t, path)
	if err := os.WriteFile(ballast, make([]byte, 6<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	n, full := 0, error(nil)
	next := func() error {
		_, err := s.RecordHello(context.Background(), Hello{Version: 3, UUID: amt.UUID{9, byte(n >> 16), byte(n >> 8), byte(n)}})
		return err
	}
	for ; n < 100_000; n++ {
		if full = next(); full != nil {
			break
		}
	}
	if !errors.Is(full, ErrFull) || !errors.Is(full, ErrUnreachable) || !strings.Contains(full.Error(), path) || !strings.Contains(full.Error(), "make room") {
		t.Fatalf("after %d hellos: %v", n, full)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for end := n + 100; n < end; n++ {
		if err := next(); err != nil {
			t.Fatalf("with room again: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	var rows int
	var sound string
	if _, err := s.one(t.Context(), `SELECT count(*) FROM csti_amts`, nil, &rows); err != nil || rows != n {
		t.Errorf("%d rows of %d acknowledged hellos, %v", rows, n, err)
	}
	if _, err := s.one(t.Context(), `PRAGMA integrity_check`, nil, &sound); err != nil || sound != "ok" {
		t.Errorf("integrity: %s %v", sound, err)
	}
	t.Logf("the disk was full after %d hellos", n-100)
}

// A database whose file system became read-only.
func TestReadOnlyIsSaid(t *testing.T) {
	s := fresh(t)
	record(t, s, hello(t, 3, ""))
	err := s.write(t.Context(), func(x *tx) error { return x.exec(`PRAGMA query_only=1`) })
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.RecordHello(t.Context(), hello(t, 3, ""))
	if !errors.Is(err, ErrReadOnly) || !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), s.Path()) {
		t.Errorf("%v", err)
	}
}
