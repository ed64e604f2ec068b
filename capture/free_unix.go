//go:build linux || darwin

package capture

import "golang.org/x/sys/unix"

// freeBytes gives how many bytes an ordinary user may still write in a folder; false when that is not
// known.
func freeBytes(folder string) (int64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil || s.Bsize <= 0 {
		return 0, false
	}
	return int64(min(s.Bavail, 1<<40)) * int64(s.Bsize), true
}
