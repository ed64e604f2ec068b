package usbkey

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"

	"amtmedic/amt"
)

// DefaultImage is the size of an image file that is made, in bytes.
const DefaultImage = 64 << 20

// MakeImage makes an empty image file of size bytes that only its owner can read.
func MakeImage(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// Write opens an image file or device, and prepares it; random gives the number of the volume. What
// went wrong after the first byte is ErrUnmarked, with a hint.
func (s System) Write(ctx context.Context, path string, setup []byte, random io.Reader, f Format) error {
	var serial [4]byte
	if _, err := io.ReadFull(random, serial[:]); err != nil {
		return err
	}
	f.Serial = binary.LittleEndian.Uint32(serial[:])
	m, size, err := s.Open(path, true)
	if err != nil {
		return err
	}
	if err = errors.Join(Prepare(ctx, m, size, setup, f), m.Close()); err == nil {
		return nil
	}
	hint := ""
	if errors.Is(err, ErrUnmarked) {
		hint = "what was on it is gone, and it has no file system now, so that no client takes it for a key; prepare it again"
	}
	return &amt.Error{Op: "write USB key", Subject: path, Err: err, Hint: hint}
}

// Refusal says why a key cannot be repaired around the setup.bin that was found; nil when it can.
// before is what Inspect said of it, size that of the medium in bytes.
func (r *Rescue) Refusal(before *Report, size int64) error {
	switch {
	case size <= TooSmall:
		return errors.New("it has 16 MiB or less; a key of this size cannot be made fit")
	case len(r.Remarks) == 0 && len(r.Problems) > 0 && before.LayoutSound():
		return errors.New("the key is in order, the setup.bin on it is not: " + r.Problems[0].Text)
	}
	return nil
}

// KeepCopy writes the setup.bin of a key into a new file of dir, where it is safe until the key was
// written and read back; only the owner can read it. It gives the name of the file.
func KeepCopy(dir string, setup []byte) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, "rescued-setup-*.bin") // made with mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(setup)
	return filepath.Clean(f.Name()), errors.Join(err, f.Sync(), f.Close())
}
