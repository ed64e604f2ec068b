package mei

import (
	"os"
	"path/filepath"
	"strings"
)

func (o Options) sys() string {
	if o.Sys == "" {
		return "/sys"
	}
	return o.Sys
}

// isME reports whether a node may be a Management Engine's: the driver also serves other devices,
// and says so in its kind since kernel 5.8.
func isME(o Options, node string) bool {
	kind := readLine(filepath.Join(o.sys(), "class/mei", filepath.Base(node), "kind"))
	return kind == "" || kind == "mei"
}

// missing says which of the two is not there when no node is: the driver or the ME.
func missing(o Options) error {
	function, listed := pciFunction(o)
	_, err := os.Stat(filepath.Join(o.sys(), "class/mei"))
	driver := err == nil
	switch {
	case function != "":
		return ErrNoDriver
	case listed || driver:
		return ErrNoME
	}
	return ErrNoDriver
}

// pciFunction gives the address of the ME's interface on the PCI bus, empty when none is there, and
// whether the bus could be looked at. It is a communication controller of Intel at slot 22, on
// chipsets before 2008 at slot 3 of bus 0.
func pciFunction(o Options) (address string, listed bool) {
	dir := filepath.Join(o.sys(), "bus/pci/devices")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", false
	}
	for _, e := range entries {
		at := e.Name()
		if !strings.HasSuffix(at, ":00:16.0") && !strings.HasSuffix(at, ":00:03.0") {
			continue
		}
		if readLine(filepath.Join(dir, at, "vendor")) == "0x8086" && strings.HasPrefix(readLine(filepath.Join(dir, at, "class")), "0x0780") {
			return at, true
		}
	}
	return "", true
}

// readLine gives the first line of a small file, empty when it cannot be read.
func readLine(name string) string {
	b, err := os.ReadFile(name)
	if err != nil || len(b) > 4096 {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}
