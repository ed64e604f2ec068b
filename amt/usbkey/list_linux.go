package usbkey

import (
	"os"
	"path/filepath"
)

// disks names the device files of all disks that the system knows.
func (s System) disks() []string {
	entries, err := os.ReadDir(filepath.Join(s.Sys, "block"))
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, filepath.Join(s.Dev, e.Name()))
	}
	return out
}
