package mei

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/windows"
)

const (
	deniedHint = "run it as administrator"
	driverHint = "install the Management Engine interface driver of the computer's maker"
)

// connectClient is CTL_CODE(0x8000, 0x801, METHOD_BUFFERED, READ|WRITE) (rpc-go pkg/heci, MeshAgent heci.js).
const connectClient = 0x8000E004

// interfaceClass is the device interface of the driver.
var interfaceClass = windows.GUID{Data1: 0xE2D1FF34, Data2: 0x3458, Data3: 0x49A9, Data4: [8]byte{0x88, 0xDA, 0x8E, 0x69, 0x15, 0xCE, 0x9B, 0xE5}}

// open connects once, without waiting for a busy or resetting ME.
func open(ctx context.Context, client ID, o Options) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path := o.Device
	if path == "" {
		list, err := windows.CM_Get_Device_Interface_List("", &interfaceClass, windows.CM_GET_DEVICE_INTERFACE_LIST_PRESENT)
		if err != nil || len(list) == 0 || list[0] == "" {
			return nil, noInterface(err)
		}
		path = list[0]
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_OVERLAPPED, 0)
	if err != nil {
		return nil, systemError(err)
	}
	p := &handlePort{h: h, closed: make(chan struct{})}
	id, answer := client.Wire(), make([]byte, 16)
	var pin runtime.Pinner // the driver writes after the call has returned
	pin.Pin(&id[0])
	pin.Pin(&answer[0])
	defer pin.Unpin()
	n, err := p.do(ctx, &p.in, func(ov *windows.Overlapped) error {
		return windows.DeviceIoControl(h, connectClient, &id[0], uint32(len(id)), &answer[0], uint32(len(answer)), nil, ov)
	})
	if err == nil && n < 5 {
		err = fmt.Errorf("the driver answers %d bytes to the connect call, not 5", n)
	}
	if err != nil {
		_ = p.close()
		if errors.Is(err, windows.ERROR_FILE_NOT_FOUND) || errors.Is(err, windows.ERROR_NOT_FOUND) || errors.Is(err, windows.ERROR_INVALID_HANDLE) {
			return nil, because(ErrNoClient, err) // which of them a driver gives is not known
		}
		return nil, err
	}
	return &Conn{port: p, client: client, max: int(binary.LittleEndian.Uint32(answer)), version: answer[4]}, nil
}

// noInterface says which is missing where the driver offers no interface: a communication controller of Intel
// on the PCI bus tells that the ME is there.
func noInterface(err error) error {
	cause := err
	switch e := err.(type) {
	case nil:
		cause = windows.ERROR_NO_MORE_ITEMS
	case windows.CONFIGRET: // its own words need a procedure that Windows has from version 8 on, and wine not at all
		cause = fmt.Errorf("configuration manager: error 0x%x", uint32(e))
	}
	set, err := windows.SetupDiGetClassDevsEx(nil, "PCI", 0, windows.DIGCF_ALLCLASSES|windows.DIGCF_PRESENT, 0, "")
	if err != nil {
		return because(ErrNoDriver, cause) // the bus does not tell
	}
	defer func() { _ = windows.SetupDiDestroyDeviceInfoList(set) }()
	for i := 0; ; i++ {
		d, err := windows.SetupDiEnumDeviceInfo(set, i)
		if errors.Is(err, windows.ERROR_NO_MORE_ITEMS) || err != nil && i > 1000 {
			return because(ErrNoME, cause)
		}
		if err != nil {
			continue
		}
		v, err := windows.SetupDiGetDeviceRegistryProperty(set, d, windows.SPDRP_HARDWAREID)
		ids, ok := v.([]string)
		if err != nil || !ok {
			continue
		}
		for _, id := range ids {
			if id = strings.ToUpper(id); strings.Contains(id, "VEN_8086") && strings.Contains(id, "CC_0780") {
				return because(ErrNoDriver, cause)
			}
		}
	}
}

// handlePort reads and writes a connected handle with overlapped calls, one in each direction.
type handlePort struct {
	h       windows.Handle
	in, out sync.Mutex
	life    sync.RWMutex // held for reading while a call uses the handle
	closed  chan struct{}
	once    sync.Once
}

func (p *handlePort) read(ctx context.Context, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return p.do(ctx, &p.in, func(ov *windows.Overlapped) error { return windows.ReadFile(p.h, b, nil, ov) })
}

func (p *handlePort) write(ctx context.Context, b []byte) error {
	n, err := p.do(ctx, &p.out, func(ov *windows.Overlapped) error { return windows.WriteFile(p.h, b, nil, ov) })
	if err == nil && n != len(b) {
		err = fmt.Errorf("the driver took %d of %d bytes", n, len(b))
	}
	return err
}

// do makes an overlapped call and waits for it. A call that has to end early is cancelled and waited for: the
// system writes into the caller's memory until then.
func (p *handlePort) do(ctx context.Context, lane *sync.Mutex, call func(*windows.Overlapped) error) (int, error) {
	lane.Lock()
	defer lane.Unlock()
	p.life.RLock()
	defer p.life.RUnlock()
	if err := p.ended(ctx); err != nil {
		return 0, err
	}
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = windows.CloseHandle(event) }()
	ov := &windows.Overlapped{HEvent: event}
	if err := call(ov); err != nil && !errors.Is(err, windows.ERROR_IO_PENDING) {
		return 0, systemError(err)
	}
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
		case <-p.closed:
		case <-over:
			return
		}
		_ = windows.CancelIoEx(p.h, ov)
	}()
	var n uint32
	err = windows.GetOverlappedResult(p.h, ov, &n, true)
	close(over)
	<-stopped
	if errors.Is(err, windows.ERROR_OPERATION_ABORTED) {
		if why := p.ended(ctx); why != nil {
			return 0, why
		}
	}
	return int(n), systemError(err)
}

// ended gives the reason to stop waiting, if there is one.
func (p *handlePort) ended(ctx context.Context) error {
	select {
	case <-p.closed:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

func (p *handlePort) close() error {
	var err error
	p.once.Do(func() {
		close(p.closed)
		p.life.Lock()
		defer p.life.Unlock()
		err = windows.CloseHandle(p.h)
	})
	return err
}

// systemError sorts an error of Windows. Which one a driver gives when is from other programs, not measured.
func systemError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, windows.ERROR_ACCESS_DENIED):
		return because(ErrDenied, err)
	case errors.Is(err, windows.ERROR_BUSY), errors.Is(err, windows.ERROR_SHARING_VIOLATION):
		return because(ErrBusy, err)
	case errors.Is(err, windows.ERROR_DEVICE_NOT_CONNECTED), errors.Is(err, windows.ERROR_DEV_NOT_EXIST), errors.Is(err, windows.ERROR_NOT_READY):
		return because(ErrReset, err)
	case errors.Is(err, windows.ERROR_GEN_FAILURE), errors.Is(err, windows.ERROR_OPERATION_ABORTED):
		return because(ErrNotConnected, err)
	}
	return err
}
