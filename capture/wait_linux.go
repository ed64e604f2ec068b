package capture

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waiter waits for a packet socket. Where it can it waits as Go's own connections do: a goroutine
// that blocks in a system call of its own keeps the scheduler's watcher awake, which took half of the
// processor time of a capture with little to do (measured).
type waiter struct {
	file    *os.File
	conn    syscall.RawConn
	stopped int // eventfd that ends a wait that is a system call
	limit   time.Time
}

// open takes over a socket that does not block.
func (w *waiter) open(fd int) (err error) {
	w.file = os.NewFile(uintptr(fd), "packet socket")
	if w.conn, err = w.file.SyscallConn(); err != nil {
		return fmt.Errorf("wait for packets: %w", err)
	}
	if w.stopped, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		w.stopped = -1
		return fmt.Errorf("open eventfd: %w", err)
	}
	return nil
}

// close closes the socket; false when open has not taken it over.
func (w *waiter) close() bool {
	if w.file == nil {
		return false
	}
	if w.stopped >= 0 {
		_ = unix.Close(w.stopped)
	}
	_ = w.file.Close()
	return true
}

// until sets when waits end at the latest. It must not be called once stop may have been; who calls it
// looks afterwards whether the capture is to stop.
func (w *waiter) until(limit time.Time) {
	w.limit = limit
	_ = w.file.SetReadDeadline(limit) // where it cannot be set, wait does without
}

// stop ends a wait and every later one.
func (w *waiter) stop() {
	_ = w.file.SetReadDeadline(time.Unix(1, 0))
	_, _ = unix.Write(w.stopped, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// wait waits for ready, stop or the limit. faulty is that the system signals a fault of the socket.
func (w *waiter) wait(ready func() bool) (faulty bool, err error) {
	err = w.conn.Read(func(fd uintptr) bool {
		faulty = false
		if ready() {
			return true
		}
		faulty, _ = w.poll(fd, 0) // asked each time: the wake-up by a fault may have come before the wait
		return faulty
	})
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return faulty, nil
	}
	// a system where the socket cannot be waited for in this way
	var perr error
	err = w.conn.Control(func(fd uintptr) {
		faulty, perr = w.poll(fd, max(0, int(time.Until(w.limit)/time.Millisecond))+1)
	})
	return faulty, errors.Join(err, perr)
}

// poll waits in a system call for most milliseconds.
func (w *waiter) poll(fd uintptr, most int) (faulty bool, err error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLERR}, {Fd: int32(w.stopped), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, most); err != nil && err != unix.EINTR {
		return false, err
	}
	return fds[0].Revents&unix.POLLERR != 0, nil
}
