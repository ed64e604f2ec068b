package capture

import (
	"context"
	"encoding/binary"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPipeIsWidened: a capture that comes through a pipe does not come in pieces of 64 KiB.
func TestPipeIsWidened(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.Write(pcapFile(binary.LittleEndian, magicMicro, 1, 1, 1, []byte{1, 2, 3})); err != nil {
		t.Fatal(err)
	}
	size := 0
	err = NewFile(r, "-", nil).Run(context.Background(), func(*Packet) error {
		size, err = unix.FcntlInt(r.Fd(), unix.F_GETPIPE_SZ, 0)
		_ = w.Close()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if size != pipeSize {
		lack(t, "the kernel leaves the pipe as it is")
	}
}
