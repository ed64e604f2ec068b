package bundle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// written puts the bytes of a bundle into a file.
func written(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "case.zip")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The captures of a bundle are read out of it byte for byte.
func TestPackets(t *testing.T) {
	b, _ := made(t, record(t), Options{})
	files, err := Packets(written(t, b))
	if err != nil || len(files) != 1 || files[0].Name != "client.pcapng" || files[0].Side != "client" {
		t.Fatalf("%+v, %v", files, err)
	}
	r, err := files[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	if want := pcapng(binary.LittleEndian, 40); !bytes.Equal(got, want) {
		t.Errorf("%d bytes came out, %d went in", len(got), len(want))
	}
}

// A capture that is not what the manifest names is not given out, and neither is one that changed
// after it was listed.
func TestPacketsMustBeSound(t *testing.T) {
	b, _ := made(t, record(t), Options{})
	path := written(t, b)
	files, err := Packets(path)
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	i := bytes.Index(b, []byte("evidence/wire/client.pcapng")) // its local header: the packed bytes follow
	b[i+len("evidence/wire/client.pcapng")+8] ^= 0x55
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := files[0].Open(); err == nil {
		t.Error("a changed capture was opened", r.Close())
	}
	if files, err := Packets(path); err != nil || len(files) != 0 {
		t.Errorf("a changed capture is listed: %+v, %v", files, err)
	}
}

// What is no bundle says so, or has no captures.
func TestPacketsOfNoBundle(t *testing.T) {
	if _, err := Packets(written(t, []byte("no zip"))); !errors.Is(err, ErrNoBundle) {
		t.Errorf("got %v", err)
	}
	if _, err := Packets(filepath.Join(t.TempDir(), "missing.zip")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
