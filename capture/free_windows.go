package capture

import "golang.org/x/sys/windows"

// freeBytes gives how many bytes an ordinary user may still write in a folder; false when that is not
// known.
func freeBytes(folder string) (int64, bool) {
	name, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return 0, false
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, false
	}
	return int64(min(free, 1<<62)), true
}
