package capture

import (
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// ifaceTable gives the interfaces of a capture their numbers. One may appear at any time, and it is
// known by the number that the system gave it.
type ifaceTable struct {
	fd   int // any socket: its network namespace is the one that is asked
	mu   sync.Mutex
	list []RecordedInterface
	at   map[int32]int // number of the system: place in list
}

func newIfaceTable(fd int) *ifaceTable {
	return &ifaceTable{fd: fd, at: map[int32]int{}}
}

// add notes an interface and gives its place.
func (t *ifaceTable) add(index int32, name string, link LinkType) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, ok := t.at[index]; ok && t.list[n].Link == link {
		return n
	}
	t.at[index] = len(t.list)
	t.list = append(t.list, RecordedInterface{Name: name, Link: link})
	return t.at[index]
}

// addAll notes all interfaces that there are and whose frames can be read.
func (t *ifaceTable) addAll() error {
	all, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	for _, d := range all {
		if kind, err := t.kind(d.Name); err == nil {
			if link, ok := linkOfType(kind); ok {
				t.add(int32(d.Index), d.Name, link)
			}
		}
	}
	return nil
}

// find gives the place of an interface from which a packet came.
func (t *ifaceTable) find(index int32, kind uint16) int {
	link, _ := linkOfType(kind) // the filter lets others not pass
	t.mu.Lock()
	n, ok := t.at[index]
	if ok && t.list[n].Link == link {
		t.mu.Unlock()
		return n
	}
	t.mu.Unlock()
	name, err := t.name(index)
	if err != nil { // removed before its packet was read
		name = fmt.Sprintf("interface %d", index)
	}
	return t.add(index, name, link)
}

// all gives a copy of the list.
func (t *ifaceTable) all() []RecordedInterface {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]RecordedInterface(nil), t.list...)
}

// kind asks for the hardware type of an interface.
func (t *ifaceTable) kind(name string) (uint16, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(t.fd, unix.SIOCGIFHWADDR, req); err != nil {
		return 0, err
	}
	return req.Uint16(), nil // the family of the address
}

// name asks for the name of an interface; the error is ENODEV when it is gone.
func (t *ifaceTable) name(index int32) (string, error) {
	req, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	req.SetUint32(uint32(index))
	if err := unix.IoctlIfreq(t.fd, unix.SIOCGIFNAME, req); err != nil {
		return "", err
	}
	return req.Name(), nil
}

// state asks whether an interface is there, and whether it is up. What cannot be asked counts as down.
func (t *ifaceTable) state(index int32) (there, up bool) {
	name, err := t.name(index)
	if err != nil {
		return false, false
	}
	req, err := unix.NewIfreq(name)
	if err != nil || unix.IoctlIfreq(t.fd, unix.SIOCGIFFLAGS, req) != nil {
		return true, false
	}
	return true, req.Uint16()&unix.IFF_UP != 0
}
