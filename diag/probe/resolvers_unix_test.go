//go:build !windows

package probe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSystemResolversBehindCache(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		f := filepath.Join(dir, name)
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return f
	}
	stub := write("stub", "nameserver 127.0.0.53\nsearch corp.example\n")
	real := write("real", "nameserver 10.20.0.53\n")
	s, err := systemResolvers(stub, real)
	if err != nil || strings.Join(s.Resolvers, " ") != "10.20.0.53" || s.Cached || len(s.Search) != 1 {
		t.Errorf("got %+v, error %v", s, err)
	}
	if s, err = systemResolvers(stub, filepath.Join(dir, "none")); err != nil || !s.Cached {
		t.Errorf("got %+v, error %v", s, err)
	}
	if _, err = systemResolvers(write("empty", "search corp.example\n"), stub); err == nil {
		t.Error("a file without DNS server is taken")
	}
	if _, err = systemResolvers(filepath.Join(dir, "none"), stub); err == nil {
		t.Error("a missing file is taken")
	}
}
