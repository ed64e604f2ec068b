package mei

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	deniedHint = "run it as root (sudo)"
	driverHint = "load the driver: modprobe mei_me; if there is no such module, install the kernel package that has it"
)

// connectClient is IOCTL_MEI_CONNECT_CLIENT: _IOWR('H', 1, 16 bytes) (include/uapi/linux/mei.h).
const connectClient = 0xC0104801

// devices are tried in this order when none is named: older kernels have /dev/mei, and a computer
// can have several devices of the kind (intel/lms heci.cpp).
var devices = []string{"/dev/mei0", "/dev/mei", "/dev/mei1", "/dev/mei2", "/dev/mei3"}

// open connects once, without waiting for a busy or resetting ME.
func open(ctx context.Context, client ID, o Options) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fd, err := openDevice(o)
	if err != nil {
		return nil, err
	}
	arg := client.Wire()
	if errno := connect(fd, &arg); errno != 0 {
		_ = unix.Close(fd)
		return nil, connectError(errno)
	}
	p, err := newFilePort(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &Conn{port: p, client: client, max: int(binary.LittleEndian.Uint32(arg[:4])), version: arg[4]}, nil
}

func connect(fd int, arg *[16]byte) unix.Errno {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), connectClient, uintptr(unsafe.Pointer(arg)))
		if errno != unix.EINTR {
			return errno
		}
	}
}

// openDevice opens the named node, or the first that is a Management Engine's. When there is none
// it says which is missing, the driver or the ME.
func openDevice(o Options) (int, error) {
	names := devices
	if o.Device != "" {
		names = []string{o.Device}
	}
	var last error
	for _, name := range names {
		if o.Device == "" && !isME(o, name) {
			continue
		}
		fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		switch {
		case err == nil:
			return fd, nil
		case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENXIO):
			if last == nil {
				last = fmt.Errorf("%s: %w", name, err)
			}
		default:
			return -1, openError(name, err)
		}
	}
	if last == nil {
		last = unix.ENOENT
	}
	return -1, because(missing(o), last)
}

func openError(name string, err error) error {
	cause := fmt.Errorf("%s: %w", name, err)
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return because(ErrDenied, cause)
	case errors.Is(err, unix.ENODEV):
		return because(ErrReset, cause)
	case errors.Is(err, unix.EBUSY):
		return because(ErrBusy, cause)
	}
	return cause
}

// connectError reads the answers of the connect call (drivers/misc/mei/main.c).
func connectError(errno unix.Errno) error {
	switch errno {
	case unix.ENOTTY:
		return because(ErrNoClient, errno)
	case unix.EBUSY:
		return because(ErrBusy, errno)
	case unix.ENODEV, unix.EIO:
		return because(ErrReset, errno)
	case unix.EACCES, unix.EPERM:
		return because(ErrDenied, errno)
	}
	return errno
}

// filePort reads and writes a connected node. Each direction has an event descriptor that wakes
// its poll when the context ends or the port is closed.
type filePort struct {
	fd      int
	in, out lane
	life    sync.RWMutex // held for reading while a call uses the descriptors
	closed  chan struct{}
	once    sync.Once
}

// lane is one direction: one call at a time, and what wakes it.
type lane struct {
	mu    sync.Mutex
	event int
}

func newFilePort(fd int) (*filePort, error) {
	in, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	out, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(in)
		return nil, err
	}
	return &filePort{fd: fd, in: lane{event: in}, out: lane{event: out}, closed: make(chan struct{})}, nil
}

func (f *filePort) read(ctx context.Context, p []byte) (n int, err error) {
	err = f.when(ctx, &f.in, unix.POLLIN, func() error {
		n, err = unix.Read(f.fd, p)
		return err
	})
	return max(n, 0), err
}

func (f *filePort) write(ctx context.Context, p []byte) error {
	return f.when(ctx, &f.out, unix.POLLOUT, func() error {
		n, err := unix.Write(f.fd, p)
		if err == nil && n != len(p) {
			return fmt.Errorf("the driver took %d of %d bytes", n, len(p))
		}
		return err
	})
}

// when calls do as soon as poll says that it can be done, until it gives another answer than "not
// yet". Poll stands before every read: it is what makes the driver ask the firmware.
func (f *filePort) when(ctx context.Context, l *lane, events int16, do func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.life.RLock()
	defer f.life.RUnlock()
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { wake(l.event); close(woken) })
	defer func() {
		if !stop() {
			<-woken // it must not write into a descriptor that Close has given away
		}
	}()
	for {
		if err := f.ended(ctx); err != nil {
			return err
		}
		set := []unix.PollFd{{Fd: int32(f.fd), Events: events}, {Fd: int32(l.event), Events: unix.POLLIN}}
		if _, err := unix.Poll(set, timeout(ctx)); err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if set[1].Revents != 0 && f.ended(ctx) == nil {
			drain(l.event)
		}
		if err := f.ended(ctx); err != nil {
			return err
		}
		got := set[0].Revents
		switch {
		case got&events != 0:
			err := do()
			if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
				continue
			}
			return transferError(err)
		case got&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0:
			return because(ErrNotConnected, errors.New("the driver reports the device as failed"))
		}
	}
}

// ended gives the reason to stop waiting, if there is one.
func (f *filePort) ended(ctx context.Context) error {
	select {
	case <-f.closed:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

func (f *filePort) close() error {
	var err error
	f.once.Do(func() {
		close(f.closed)
		wake(f.in.event)
		wake(f.out.event)
		f.life.Lock()
		defer f.life.Unlock()
		err = unix.Close(f.fd)
		_ = unix.Close(f.in.event)
		_ = unix.Close(f.out.event)
	})
	return err
}

func transferError(err error) error {
	switch {
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.EIO):
		return because(ErrReset, err)
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.ENOTCONN), errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		return because(ErrNotConnected, err)
	case errors.Is(err, unix.EFBIG), errors.Is(err, unix.EMSGSIZE):
		return because(ErrTooLong, err)
	case errors.Is(err, unix.EBUSY):
		return because(ErrBusy, err)
	}
	return err
}

// timeout gives poll's: milliseconds to the deadline, rounded up, and never for ever: a wake-up that
// was lost costs a second.
func timeout(ctx context.Context) int {
	const most = time.Second
	left := most
	if d, ok := ctx.Deadline(); ok {
		left = max(0, min(most, time.Until(d)))
	}
	return int((left + time.Millisecond - 1) / time.Millisecond)
}

func wake(event int) { _, _ = unix.Write(event, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func drain(event int) {
	var b [8]byte
	_, _ = unix.Read(event, b[:])
}
