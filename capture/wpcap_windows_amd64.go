package capture

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/windows"
)

// wpcap is the few functions of Npcap's wpcap.dll that a capture needs, by their addresses; those of
// the last line may be 0. gopacket has a binding too, but it loads the library before main in every
// run of the program, and ends the program there when a function is missing.
type wpcap struct {
	findAll, freeAll                                  uintptr
	create, setSnaplen, setPromisc, setWait, activate uintptr
	nextEx, dataLink, setFilter, stats                uintptr
	breakLoop, closeIt, getErr                        uintptr
	setImmediate, setBuffer                           uintptr
}

// Results of the library (pcap/pcap.h).
const (
	pcapBreak          = -2
	pcapNoDevice       = -5
	pcapDenied         = -8
	pcapNotUp          = -9
	pcapPromiscDenied  = -11
	pcapErrorBufferLen = 256
)

// driverBuffer is what the driver may hold until it is read, in bytes.
const driverBuffer = 16 << 20

// loading keeps the library once it was found. That it was not is forgotten: it may be installed
// while the program runs.
var loading struct {
	sync.Mutex
	lib *wpcap
}

// loadWpcap looks for the library where Npcap puts it, then where WinPcap did; nowhere else, so that
// a file beside the program is never taken for it.
func loadWpcap() (*wpcap, error) {
	loading.Lock()
	defer loading.Unlock()
	if loading.lib != nil {
		return loading.lib, nil
	}
	system, err := windows.GetSystemDirectory()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoDriver, err)
	}
	const alteredSearchPath = 0x8 // its own libraries lie beside it
	var broken error
	for _, path := range []string{filepath.Join(system, "Npcap", "wpcap.dll"), filepath.Join(system, "wpcap.dll")} {
		dll, err := windows.LoadLibraryEx(path, 0, alteredSearchPath)
		if err == nil {
			if loading.lib, err = resolve(dll); err == nil {
				return loading.lib, nil
			}
			_ = windows.FreeLibrary(dll)
		} else if _, gone := os.Stat(path); gone != nil {
			continue
		}
		if broken == nil {
			broken = fmt.Errorf("%w: %s: %w", ErrNoDriver, path, err)
		}
	}
	if broken != nil {
		return nil, broken
	}
	return nil, fmt.Errorf("%w, which is not installed", ErrNoDriver)
}

// resolve finds the functions in the library.
func resolve(dll windows.Handle) (*wpcap, error) {
	w := &wpcap{}
	for _, f := range []struct {
		at       *uintptr
		name     string
		required bool
	}{
		{&w.findAll, "pcap_findalldevs", true}, {&w.freeAll, "pcap_freealldevs", true},
		{&w.create, "pcap_create", true}, {&w.setSnaplen, "pcap_set_snaplen", true}, {&w.setPromisc, "pcap_set_promisc", true},
		{&w.setWait, "pcap_set_timeout", true}, {&w.activate, "pcap_activate", true},
		{&w.nextEx, "pcap_next_ex", true}, {&w.dataLink, "pcap_datalink", true}, {&w.setFilter, "pcap_setfilter", true},
		{&w.stats, "pcap_stats", true}, {&w.breakLoop, "pcap_breakloop", true}, {&w.closeIt, "pcap_close", true},
		{&w.getErr, "pcap_geterr", true},
		{&w.setImmediate, "pcap_set_immediate_mode", false}, {&w.setBuffer, "pcap_set_buffer_size", false},
	} {
		at, err := windows.GetProcAddress(dll, f.name)
		if err != nil && f.required {
			return nil, fmt.Errorf("it has no function %s", f.name)
		}
		*f.at = at
	}
	return w, nil
}

// pcapIf is struct pcap_if.
type pcapIf struct {
	next              *pcapIf
	name, description *byte
	addresses         unsafe.Pointer
	flags             uint32
}

// devices lists the adapters that can be opened.
func (w *wpcap) devices() ([]device, error) {
	var first *pcapIf
	said := make([]byte, pcapErrorBufferLen)
	if r, _, _ := syscall.SyscallN(w.findAll, uintptr(unsafe.Pointer(&first)), uintptr(unsafe.Pointer(&said[0]))); int32(r) != 0 {
		return nil, errors.New("list devices: " + windows.ByteSliceToString(said))
	}
	var out []device
	for d := first; d != nil; d = d.next {
		out = append(out, device{device: windows.BytePtrToString(d.name), description: windows.BytePtrToString(d.description)})
	}
	if first != nil {
		_, _, _ = syscall.SyscallN(w.freeAll, uintptr(unsafe.Pointer(first)))
	}
	nameDevices(out)
	return out, nil
}

// handle is an open device.
type handle struct {
	lib *wpcap
	p   uintptr
}

// open opens a device by its name in Npcap.
func (w *wpcap) open(name string, promisc bool) (*handle, error) {
	b, err := windows.BytePtrFromString(name)
	if err != nil {
		return nil, err
	}
	said := make([]byte, pcapErrorBufferLen)
	p, _, _ := syscall.SyscallN(w.create, uintptr(unsafe.Pointer(b)), uintptr(unsafe.Pointer(&said[0])))
	if p == 0 {
		return nil, errors.New(windows.ByteSliceToString(said))
	}
	h := &handle{w, p}
	set := func(f, v uintptr) {
		if f != 0 { // what cannot be set stays as the driver has it
			_, _, _ = syscall.SyscallN(f, p, v)
		}
	}
	set(w.setSnaplen, maxPacket)
	set(w.setWait, uintptr(readWait.Milliseconds()))
	set(w.setImmediate, 1)
	set(w.setBuffer, driverBuffer)
	if promisc {
		set(w.setPromisc, 1)
	}
	r, _, _ := syscall.SyscallN(w.activate, p)
	if code := int32(r); code < 0 { // above 0 is a warning
		err := h.activateError(code)
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *handle) activateError(code int32) error {
	err := h.fail(fmt.Sprintf("driver error %d", code))
	switch code {
	case pcapDenied, pcapPromiscDenied:
		return fmt.Errorf("%w: %w", os.ErrPermission, err)
	case pcapNoDevice:
		return fmt.Errorf("%w: %w", ErrNoInterface, err)
	case pcapNotUp:
		return fmt.Errorf("the interface is down: %w", err)
	}
	return err
}

// pcapHeader is struct pcap_pkthdr on Windows, where long has 32 bits.
type pcapHeader struct {
	sec, usec    int32
	caplen, size uint32
}

// next gives the next packet, which is valid until the call after it; nil when none came in time, and
// after breakLoop.
func (h *handle) next() (*pcapHeader, []byte, error) {
	var head *pcapHeader
	var data *byte
	r, _, _ := syscall.SyscallN(h.lib.nextEx, h.p, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&data)))
	switch n := int32(r); {
	case n == 0, n == pcapBreak:
		return nil, nil, nil
	case n != 1:
		return nil, nil, h.fail("read packets")
	case head == nil || data == nil || head.caplen > maxPacket:
		return nil, nil, errors.New("read packets: the driver gave none")
	}
	return head, unsafe.Slice(data, head.caplen), nil
}

// pcapProgram is struct bpf_program.
type pcapProgram struct {
	n     uint32
	insns *pcapInsn
}

// pcapInsn is struct bpf_insn.
type pcapInsn struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

// filter gives the driver a program.
func (h *handle) filter(prog []bpf.Instruction) error {
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	code := make([]pcapInsn, len(raw))
	for i, r := range raw {
		code[i] = pcapInsn{r.Op, r.Jt, r.Jf, r.K}
	}
	p := &pcapProgram{uint32(len(code)), &code[0]}
	if r, _, _ := syscall.SyscallN(h.lib.setFilter, h.p, uintptr(unsafe.Pointer(p))); int32(r) != 0 {
		return h.fail("attach filter")
	}
	return nil
}

func (h *handle) link() LinkType {
	r, _, _ := syscall.SyscallN(h.lib.dataLink, h.p)
	return LinkType(uint32(r))
}

// pcapStat is struct pcap_stat; Npcap writes more than the first three.
type pcapStat struct {
	received, dropped, ifDropped uint32
	_                            [8]uint32
}

// stats gives the counters since the device was opened.
func (h *handle) stats() (s pcapStat, ok bool) {
	r, _, _ := syscall.SyscallN(h.lib.stats, h.p, uintptr(unsafe.Pointer(&s)))
	return s, int32(r) == 0
}

// breakLoop ends a read that another thread waits in.
func (h *handle) breakLoop() { _, _, _ = syscall.SyscallN(h.lib.breakLoop, h.p) }

func (h *handle) close() { _, _, _ = syscall.SyscallN(h.lib.closeIt, h.p) }

// fail gives the words of the driver.
func (h *handle) fail(what string) error {
	r, _, _ := syscall.SyscallN(h.lib.getErr, h.p)
	if text := *(**byte)(unsafe.Pointer(&r)); text != nil && *text != 0 {
		return fmt.Errorf("%s: %s", what, windows.BytePtrToString(text))
	}
	return errors.New(what + ": the driver says nothing")
}
