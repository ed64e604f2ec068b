//go:build !linux && !windows

package usbkey

import (
	"errors"
	"os"

	"amtmedic/amt"
)

// errNoDevices says what is possible on this system.
var errNoDevices = errors.New("devices are not written or read on this system")

// Look finds out what a path names: nil for an image file. Devices are refused.
func (s System) Look(path string) (*Device, error) {
	fi, err := os.Stat(path)
	if err != nil || fi.Mode()&os.ModeDevice == 0 {
		return nil, nil
	}
	return nil, &amt.Error{Op: "open device", Subject: path, Err: errNoDevices, Hint: "work on an image file, and copy it to the key by other means"}
}

func (s System) openDevice(*Device, bool) (Medium, error) { return nil, errNoDevices }
