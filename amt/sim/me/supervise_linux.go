package me

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is a simulated /dev/mei0 for one program: its system calls open and connect are answered here by
// seccomp user notification (Linux 5.14 and later); read, write and poll then run natively on a socket that
// keeps the bounds of messages. The program needs no change, and neither side needs privilege.
type Device struct {
	Firmware *Firmware
	Path     string     // of the node, as the program opens it
	OpenErr  unix.Errno // what opening gives, 0 for success
	// ConnectErr is what connecting gives to a client that is there, 0 for success. After Times of them it
	// succeeds; 0 is never.
	ConnectErr unix.Errno
	Times      int
	// Spoil changes an answer on its way; ok false gives none at all. nil leaves all as they are.
	Spoil func(answer []byte) (spoilt []byte, ok bool)

	serving sync.WaitGroup // what answers messages: each ends when the program closes its end

	mu    sync.Mutex
	ends  map[uint64]int // our end of a socket, by the program's descriptor
	tries int
}

// ErrNoSeccomp is a kernel or container that does not give user notifications.
var ErrNoSeccomp = errors.New("seccomp user notification is not available")

const (
	ioctlConnect  = 0xC0104801
	waitKillable  = 1 << 5     // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	notifAddFD    = 0x40182103 // SECCOMP_IOCTL_NOTIF_ADDFD
	bpfLoad       = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	bpfEqual      = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	bpfReturn     = unix.BPF_RET | unix.BPF_K
	dataNr        = 0
	dataArg1      = 24 // low half of the second argument
	errorContinue = 0
)

// Start starts the program. wait must be called; it gives the program's error and ends the device.
func (d *Device) Start(cmd *exec.Cmd) (wait func() error, err error) {
	d.ends = map[uint64]int{}
	type made struct {
		listener int
		err      error
	}
	listening, started := make(chan made), make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the filter stays with this thread, and ends with it
		fd, err := filter()
		listening <- made{fd, err}
		if err == nil {
			started <- cmd.Start()
		}
	}()
	m := <-listening
	if m.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSeccomp, m.err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { defer close(stopped); d.answer(m.listener, stop) }()
	end := func() { close(stop); <-stopped; _ = unix.Close(m.listener); d.closeAll(); d.serving.Wait() }
	if err := <-started; err != nil {
		end()
		return nil, err
	}
	return func() error {
		err := cmd.Wait()
		end()
		return err
	}, nil
}

// filter asks for a notification of every openat and of the connect call of this thread and its children.
func filter() (listener int, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	prog := []unix.SockFilter{
		{Code: bpfLoad, K: dataNr},
		{Code: bpfEqual, Jt: 3, K: unix.SYS_OPENAT},
		{Code: bpfEqual, Jf: 3, K: unix.SYS_IOCTL},
		{Code: bpfLoad, K: dataArg1},
		{Code: bpfEqual, Jf: 1, K: ioctlConnect},
		{Code: bpfReturn, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: bpfReturn, K: unix.SECCOMP_RET_ALLOW},
	}
	f := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	// A call that we were told of must not be taken back by a signal and made again: the second one would
	// find its end gone. Linux before 5.19 does not know that flag.
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|waitKillable, uintptr(unsafe.Pointer(&f)))
	if errno == unix.EINVAL {
		fd, _, errno = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&f)))
	}
	runtime.KeepAlive(prog)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// notice is struct seccomp_notif, reply struct seccomp_notif_resp, addition struct seccomp_notif_addfd.
type notice struct {
	id    uint64
	pid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

type reply struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

type addition struct {
	id                         uint64
	flags, src, fd, newfdFlags uint32
}

func control(fd int, op uintptr, arg unsafe.Pointer) (uintptr, unix.Errno) {
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), op, uintptr(arg))
	return r, errno
}

// answer answers every notification until stop.
//
// The calls on the listener must not be interrupted: one that the kernel makes again after a signal finds
// its work done, and reports it as an error. The thread, which takes no signals, ends with the goroutine.
func (d *Device) answer(listener int, stop chan struct{}) {
	runtime.LockOSThread()
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	_ = unix.PthreadSigmask(unix.SIG_BLOCK, &all, nil)
	for {
		select {
		case <-stop:
			return
		default:
		}
		set := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if n, err := unix.Poll(set, 50); n <= 0 || err != nil || set[0].Revents&unix.POLLIN == 0 {
			if set[0].Revents&unix.POLLHUP != 0 {
				return
			}
			continue
		}
		var n notice
		if _, errno := control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); errno != 0 {
			continue // the program went away in between
		}
		r := reply{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		sent := false
		switch {
		case n.nr == unix.SYS_OPENAT && peekPath(n.pid, n.args[1]) == d.Path:
			sent = d.open(listener, n, &r)
		case n.nr == unix.SYS_IOCTL:
			d.connect(n, &r)
		}
		if !sent {
			_, _ = control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r))
		}
	}
}

func fails(r *reply, errno unix.Errno) { r.flags, r.err = 0, -int32(errno) }

// open puts one end of a socket into the program, and reports whether that has answered it.
func (d *Device) open(listener int, n notice, r *reply) bool {
	if d.OpenErr != 0 {
		fails(r, d.OpenErr)
		return false
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fails(r, unix.EMFILE)
		return false
	}
	defer func() { _ = unix.Close(pair[1]) }()
	if n.args[2]&unix.O_NONBLOCK != 0 {
		_ = unix.SetNonblock(pair[1], true)
	}
	a := addition{id: n.id, flags: unix.SECCOMP_ADDFD_FLAG_SEND, src: uint32(pair[1]), newfdFlags: unix.O_CLOEXEC}
	fd, errno := control(listener, notifAddFD, unsafe.Pointer(&a))
	if errno != 0 {
		_ = unix.Close(pair[0])
		fails(r, unix.ENODEV)
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ends[uint64(fd)] = pair[0]
	return true
}

// connect answers the connect call, and from then on what the program writes.
func (d *Device) connect(n notice, r *reply) {
	d.mu.Lock()
	end, ours := d.ends[n.args[0]]
	delete(d.ends, n.args[0])
	d.mu.Unlock()
	if !ours {
		return
	}
	var arg [16]byte
	if err := peek(n.pid, n.args[2], arg[:]); err != nil {
		fails(r, unix.EFAULT)
		_ = unix.Close(end)
		return
	}
	errno := unix.Errno(0)
	if !d.Firmware.Has(arg) {
		errno = unix.ENOTTY
	} else if d.ConnectErr != 0 && (d.Times == 0 || d.tries < d.Times) {
		errno = d.ConnectErr
		d.tries++
	}
	if errno != 0 {
		fails(r, errno)
		_ = unix.Close(end)
		return
	}
	guid := arg
	binary.LittleEndian.PutUint32(arg[:], MaxMessage)
	arg[4], arg[5], arg[6], arg[7] = 1, 0, 0, 0
	if err := poke(n.pid, n.args[2], arg[:]); err != nil {
		fails(r, unix.EFAULT)
		_ = unix.Close(end)
		return
	}
	r.flags = errorContinue
	d.serving.Go(func() { d.serve(end, guid) })
}

// serve answers messages until the program closes its end.
func (d *Device) serve(end int, guid [16]byte) {
	defer func() { _ = unix.Close(end) }()
	b := make([]byte, MaxMessage)
	for {
		n, err := unix.Read(end, b)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		answer, ok := d.Firmware.Answer(guid, b[:n]), true
		if d.Spoil != nil {
			if answer, ok = d.Spoil(answer); !ok {
				continue
			}
		}
		if unix.Send(end, answer, unix.MSG_NOSIGNAL) != nil {
			return
		}
	}
}

func (d *Device) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, fd := range d.ends {
		_ = unix.Close(fd)
	}
	d.ends = nil
}

func peek(pid uint32, at uint64, b []byte) error {
	n, err := unix.ProcessVMReadv(int(pid), []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}, []unix.RemoteIovec{{Base: uintptr(at), Len: len(b)}}, 0)
	if err == nil && n != len(b) {
		err = unix.EFAULT
	}
	return err
}

func poke(pid uint32, at uint64, b []byte) error {
	n, err := unix.ProcessVMWritev(int(pid), []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}, []unix.RemoteIovec{{Base: uintptr(at), Len: len(b)}}, 0)
	if err == nil && n != len(b) {
		err = unix.EFAULT
	}
	return err
}

// peekPath reads a text that ends with a zero, up to the end of its page: the next may not be mapped.
func peekPath(pid uint32, at uint64) string {
	b := make([]byte, min(256, 4096-at%4096))
	if peek(pid, at, b) != nil {
		return ""
	}
	path, _, _ := strings.Cut(string(b), "\x00")
	return path
}
