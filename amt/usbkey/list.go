package usbkey

import (
	"slices"
	"strings"
)

// Devices lists the removable disks of this machine that hold something, by name: the whole devices
// only, those that are in use too (see Refusal). Where the system does not list its disks there are
// none. What cannot be looked at is left out.
func (s System) Devices() []*Device {
	var out []*Device
	for _, path := range s.disks() {
		d, err := s.Look(path)
		if err == nil && d != nil && d.PartOf == "" && d.Removable && d.Bytes > 0 {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *Device) int { return strings.Compare(a.Name, b.Name) })
	return out
}
