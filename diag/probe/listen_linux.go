package probe

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"amtmedic/amt"
)

const listenLimit = 5 * time.Second

// listeners reads the kernel's socket tables, and which sockets belong to the service. Processes
// of other users are left out without the right to look into them.
func listeners(ctx context.Context, port uint16, service []string) ([]netip.AddrPort, string, error) {
	var all []socket
	// /proc/net is the network of the program's first thread, which may have been given another.
	for _, file := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		b, err := os.ReadFile(file)
		if err != nil {
			if filepath.Base(file) == "tcp6" && os.IsNotExist(err) {
				continue // IPv6 is off
			}
			return nil, "", &amt.Error{Op: "read sockets", Subject: file, Err: err}
		}
		all = append(all, parseProcNet(b)...)
	}
	return pick(all, port, serviceInodes(ctx, service)), "/proc/net/tcp", nil
}

// serviceInodes gives the sockets of all processes with one of these names.
func serviceInodes(ctx context.Context, service []string) map[uint64]bool {
	out := map[uint64]bool{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if ctx.Err() != nil {
			return out
		}
		comm, err := os.ReadFile(dir + "/comm")
		if err != nil || !slices.Contains(service, strings.TrimSpace(string(comm))) {
			continue
		}
		fds, _ := filepath.Glob(dir + "/fd/*")
		for _, fd := range fds {
			link, err := os.Readlink(fd)
			if err != nil {
				continue
			}
			if s, ok := strings.CutPrefix(link, "socket:["); ok {
				if n, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64); err == nil {
					out[n] = true
				}
			}
		}
	}
	return out
}
