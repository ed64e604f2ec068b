//lint:file-ignore SA1019 The replacement that is named, golang.org/x/net/bpf, has programs only, no /dev/bpf.

package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readWait is the longest that a read waits for packets: a stop cannot wake it.
const readWait = 80 * time.Millisecond

// bpfBuffer is the size that a read asks for, in bytes; the system may give less.
const bpfBuffer = 512 << 10

// Live is a live capture of one interface through /dev/bpf.
type Live struct {
	name  string
	fd    int
	buf   []byte
	link  LinkType
	opt   LiveOptions
	match *Matcher
	seen  uint32 // lost packets when they were counted last

	tally
	closeOnce sync.Once
}

// Available tells what keeps live captures from working on this machine at all, as OpenLive would; nil
// when nothing does. It opens no interface.
func Available() error {
	fd, err := bpfDevice()
	if err != nil {
		return liveError(AnyInterface, err)
	}
	return syscall.Close(fd)
}

// The layout that bpfRecord reads is that of the system: these do not compile when it is not.
var (
	_ [bpfHeader]struct{} = [unsafe.Offsetof(unix.BpfHdr{}.Hdrlen) + 2]struct{}{}
	_ [8]struct{}         = [unsafe.Offsetof(unix.BpfHdr{}.Caplen)]struct{}{}
	_ [12]struct{}        = [unsafe.Offsetof(unix.BpfHdr{}.Datalen)]struct{}{}
	_ [bpfAlign]struct{}  = [unix.BPF_ALIGNMENT]struct{}{}
)

// OpenLive opens an interface. Errors come as amt.Error around ErrPermission, ErrNoInterface or the
// cause that the system gave. Close it after Run.
func OpenLive(iface string, opt LiveOptions) (*Live, error) {
	opt.fill()
	switch _, err := net.InterfaceByName(iface); {
	case iface == "" || iface == AnyInterface:
		return nil, liveError(AnyInterface, fmt.Errorf("%w: all at once can be watched on Linux only", ErrNoInterface))
	case err != nil:
		return nil, liveError(iface, ErrNoInterface)
	}
	l := &Live{name: iface, fd: -1, opt: opt, match: NewMatcher(opt.Ports...)}
	if err := l.open(); err != nil {
		_ = l.Close()
		return nil, liveError(iface, err)
	}
	return l, nil
}

// open sets a free device up. The length of the buffer must be set before the interface.
func (l *Live) open() error {
	var err error
	if l.fd, err = bpfDevice(); err != nil {
		return err
	}
	size, err := syscall.SetBpfBuflen(l.fd, bpfBuffer)
	if err != nil {
		return fmt.Errorf("set buffer length: %w", err)
	}
	l.buf = make([]byte, size)
	if err := syscall.SetBpfInterface(l.fd, l.name); err != nil {
		return fmt.Errorf("bind to the interface: %w", err)
	}
	if err := syscall.SetBpfImmediate(l.fd, 1); err != nil {
		return fmt.Errorf("set immediate mode: %w", err)
	}
	wait := syscall.NsecToTimeval(readWait.Nanoseconds())
	if err := syscall.SetBpfTimeout(l.fd, &wait); err != nil {
		return fmt.Errorf("set read time: %w", err)
	}
	if l.opt.Promisc {
		if err := syscall.SetBpfPromisc(l.fd, 1); err != nil {
			return fmt.Errorf("set promiscuous mode: %w", err)
		}
	}
	link, err := syscall.BpfDatalink(l.fd)
	if err != nil {
		return fmt.Errorf("ask for the interface type: %w", err)
	}
	l.link = LinkType(link)
	return nil
}

// bpfDevice opens the first device that nobody uses.
func bpfDevice() (int, error) {
	for i := range 256 {
		name := fmt.Sprintf("/dev/bpf%d", i)
		fd, err := syscall.Open(name, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
		switch {
		case err == nil:
			return fd, nil
		case errors.Is(err, syscall.EBUSY):
			continue
		}
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return -1, errors.New("every /dev/bpf is in use")
}

// Link gives the link type of the packets.
func (l *Live) Link() LinkType { return l.link }

// Interfaces gives the one interface of this capture.
func (l *Live) Interfaces() []RecordedInterface {
	return []RecordedInterface{{Name: l.name, Link: l.link}}
}

// Close frees the device. It must not be called while Run runs.
func (l *Live) Close() error {
	l.closeOnce.Do(func() {
		if l.fd >= 0 {
			_ = syscall.Close(l.fd)
		}
	})
	return nil
}

// Run gives packets until ctx ends, and a heartbeat behind each burst of them and at least once a
// second.
func (l *Live) Run(ctx context.Context, fn func(*Packet) error) error {
	defer l.countLost()
	number, beat := 0, time.Now()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if now := time.Now(); now.Sub(beat) >= time.Second {
			beat = now
			l.countLost()
			if err := fn(&Packet{Time: now}); err != nil {
				return err
			}
		}
		n, err := syscall.Read(l.fd, l.buf)
		switch {
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.EAGAIN):
			continue
		case errors.Is(err, syscall.ENXIO):
			return liveError(l.name, ErrInterfaceGone)
		case err != nil:
			return liveError(l.name, fmt.Errorf("read packets: %w", err))
		}
		before := number
		if err := l.deliver(l.buf[:n], &number, fn); err != nil {
			return err
		}
		if number > before { // for who gathers: nothing may come for long
			if err := fn(&Packet{Time: time.Now()}); err != nil {
				return err
			}
		}
	}
}

// deliver hands on the packets of one read.
func (l *Live) deliver(b []byte, number *int, fn func(*Packet) error) error {
	for len(b) > 0 {
		p, rest, err := bpfRecord(b)
		if err != nil {
			return liveError(l.name, err)
		}
		if b = rest; !l.match.Match(l.link, p.Data) {
			continue
		}
		*number++
		p.Link, p.Number = l.link, *number
		l.count(&p)
		if err := fn(&p); err != nil {
			return err
		}
	}
	return nil
}

// countLost reads the counter of lost packets, which has 32 bits and only grows.
func (l *Live) countLost() {
	if st, err := syscall.BpfStats(l.fd); err == nil {
		lost := st.Drop - l.seen
		l.seen = st.Drop
		l.lose(uint64(lost), l.opt.Warn)
	}
}
