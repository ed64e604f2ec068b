package capture

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is what an unprivileged program may ask for (fs.pipe-max-size of proc(5)). A pipe holds
// 64 KiB by itself, and both ends then spend most of their time in waking each other.
const pipeSize = 1 << 20

// widen makes a pipe hold more. A kernel that refuses leaves it as it is, which only costs time.
func widen(r io.Reader) {
	f, ok := r.(*os.File)
	if !ok {
		return
	}
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
	}
}
