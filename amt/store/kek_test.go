package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"amtmedic/amt"
)

// What a passphrase costs those who guess is not what tests measure.
func TestMain(m *testing.M) {
	if newMemory != 64<<10 {
		panic("a new derivation takes 64 MiB")
	}
	newMemory = 64
	os.Exit(m.Run())
}

// The vector is what the cryptography package of Python derives.
func TestDerivation(t *testing.T) {
	d := derivation{passes: 3, memory: 65536, lanes: 2, salt: []byte("0123456789abcdef")}
	if got := hex.EncodeToString(d.key("correct horse")); got != "19087000fde0cd5d7d80a61aa54c1df1ddbcfc1a4c4fb4ca7ee69732f8b1e872" {
		t.Errorf("key %s", got)
	}
	back, err := readDerivation(d.cell())
	if err != nil || !bytes.Equal(back.cell(), d.cell()) {
		t.Errorf("%+v %v", back, err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"short": func(c []byte) []byte { return c[:20] }, "another kind": func(c []byte) []byte { c[0] = 2; return c },
		"much memory": func(c []byte) []byte { c[5] = 0xff; return c }, "no lane": func(c []byte) []byte { c[9] = 0; return c },
	} {
		if _, err := readDerivation(change(d.cell())); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// A database that was made with a passphrase needs it, has no key file, and says so.
func TestPassphrase(t *testing.T) {
	target := filepath.Join(t.TempDir(), "core.db")
	if server != nil {
		target = server.URL(server.Database(t))
	}
	right, wrong := Options{Passphrase: amt.NewSecret("correct horse")}, Options{Passphrase: amt.NewSecret("wrong horse")}
	s, err := Open(t.Context(), target, right)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ImportKeys(t.Context(), []Pair{intelPair()}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(target + ".key"); err == nil {
		t.Error("a key file was made too")
	}
	for name, o := range map[string]Options{"none": {}, "wrong": wrong} {
		if _, err := Open(t.Context(), target, o); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenExisting(t.Context(), target, wrong); !errors.Is(err, ErrKey) {
		t.Errorf("to look at, wrong: %v", err)
	}
	look, err := OpenExisting(t.Context(), target, Options{})
	if err != nil {
		t.Fatal(err) // all but the secrets can be read
	}
	_ = look.Close()
	if s, err = Open(t.Context(), target, right); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for p, err := range s.Keys(t.Context()) {
		if err != nil || p.PPS.Reveal() != goodPPS {
			t.Errorf("the pair was read as %v, %v", p.PID, err)
		}
	}
}

// A key file stays the key of a database that was made with it, whatever passphrase is given.
func TestKeyFileStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "core.db")
	s := open(t, path)
	if _, err := s.ImportKeys(t.Context(), []Pair{intelPair()}); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), path, Options{Passphrase: amt.NewSecret("correct horse")})
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}
