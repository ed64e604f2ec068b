//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package site

// queueHeld cannot be told on this system.
func queueHeld(string) (held, known bool) { return false, false }
