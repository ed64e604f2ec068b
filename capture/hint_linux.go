package capture

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is what an unprivileged program may ask for (fs.pipe-max-size of proc(5)). A pipe holds
// 64 KiB by itself, and both ends then spend most of their time in waking each other.
const pipeSize = 1 << 20

// hint tells the kernel how r will be read: a pipe in large pieces, a file from its beginning to its
// end (posix_fadvise(2): twice the read-ahead). A kernel that refuses leaves all as it is, which only
// costs time.
func hint(r io.Reader) {
	f, ok := r.(*os.File)
	if !ok {
		return
	}
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) {
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize)
			_ = unix.Fadvise(int(fd), 0, 0, unix.FADV_SEQUENTIAL)
		})
	}
}
