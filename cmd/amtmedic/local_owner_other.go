//go:build !linux

package main

// listenOwner does not know here who listens on a port.
func listenOwner(int) (uid int, ok bool) { return 0, false }
