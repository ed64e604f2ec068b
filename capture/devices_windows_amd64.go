package capture

import (
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"amtmedic/amt"
)

// npfPrefix begins the names that Npcap gives to adapters.
const npfPrefix = `\Device\NPF_`

// device is an adapter that Npcap can open.
type device struct {
	device      string // its name in Npcap
	name        string // its name in Windows, such as Ethernet; may be empty
	description string
}

// called gives the name by which a person knows the adapter.
func (d device) called() string {
	switch {
	case d.name != "":
		return d.name
	case d.description != "":
		return d.description
	}
	return d.device
}

// nameDevices adds the names of Windows to a list of Npcap.
func nameDevices(list []device) {
	names, err := adapterNames()
	if err != nil {
		return // they can still be opened by their other names
	}
	for i, d := range list {
		list[i].name = names[strings.ToUpper(strings.TrimPrefix(d.device, npfPrefix))]
	}
}

// findDevice looks for an adapter by any of its names. Windows itself does not tell capital letters
// from small ones.
func findDevice(list []device, iface string) (device, bool) {
	for _, d := range list {
		for _, name := range []string{d.device, d.name, d.description} {
			if name != "" && strings.EqualFold(name, iface) {
				return d, true
			}
		}
	}
	return device{}, false
}

// deviceError says which adapters there are.
func deviceError(iface string, list []device) error {
	e := &amt.Error{Op: "capture on", Subject: iface, Err: ErrNoInterface}
	if iface == AnyInterface {
		e.Err = fmt.Errorf("%w: all at once can be watched on Linux only", ErrNoInterface)
	}
	if len(list) == 0 {
		e.Hint = "Npcap sees no interface; run it as administrator if Npcap is kept for administrators"
		return e
	}
	names := make([]string, len(list))
	for i, d := range list {
		names[i] = d.called()
	}
	e.Hint = "interfaces here: " + strings.Join(names, ", ")
	return e
}

// adapterNames gives the names of Windows by the adapters' GUIDs, in braces and capital letters.
func adapterNames() (map[string]string, error) {
	size := uint32(16 << 10)
	for range 5 { // an adapter more may appear between two calls
		buf := make([]uint64, size/8+1)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&buf[0]))
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, 0, 0, first, &size)
		if err == windows.ERROR_BUFFER_OVERFLOW {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list adapters: %w", err)
		}
		out := map[string]string{}
		for a := first; a != nil; a = a.Next {
			out[strings.ToUpper(windows.BytePtrToString(a.AdapterName))] = windows.UTF16PtrToString(a.FriendlyName)
		}
		return out, nil
	}
	return nil, windows.ERROR_BUFFER_OVERFLOW
}
