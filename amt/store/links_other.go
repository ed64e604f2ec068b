//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package store

// links cannot tell on this system, on which no server starts (lockFile).
func links(string) (uint64, error) { return 1, nil }
