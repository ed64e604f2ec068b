//go:build !linux && !windows

package usbkey

func (s System) disks() []string { return nil }
