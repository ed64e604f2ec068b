package secretfile

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "new", "keys.csv")
	put := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	if err := Write(name, false, put("one")); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(name); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if err := Write(name, false, put("two")); !errors.Is(err, ErrExists) {
		t.Errorf("a file with keys: %v", err)
	}
	if err := Write(name, true, func(io.Writer) error { return errors.New("broken") }); err == nil {
		t.Error("an error of the writer is lost")
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "one" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	if err := Write(name, true, put("three")); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(name))
	if b, _ := os.ReadFile(name); string(b) != "three" || err != nil || len(left) != 1 {
		t.Errorf("the file holds %q beside %d others, %v", b, len(left)-1, err)
	}
}
