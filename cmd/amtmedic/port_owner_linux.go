package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// portOwner names the program that listens where serve would, by the kernel's tables; empty when it is
// one of another user, which only root may look into.
func portOwner(listen string) (owner string, taken bool) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", false
	}
	want, _ := netip.ParseAddr(host) // a name, or none: every address counts
	for _, file := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		b, _ := os.ReadFile(file)
		for line := range strings.Lines(string(b)) {
			at, inode, ok := listenerOf(line)
			if ok && at.Port() == uint16(n) && (!want.IsValid() || want.IsUnspecified() || at.Addr().IsUnspecified() || at.Addr() == want) {
				return processOf(inode), true
			}
		}
	}
	return "", false
}

// listenerOf reads a line of /proc/net/tcp (proc_net_tcp of the kernel's documentation): state 0A listens.
func listenerOf(line string) (at netip.AddrPort, inode string, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 || f[3] != "0A" {
		return at, "", false
	}
	addr, port, _ := strings.Cut(f[1], ":")
	raw, err := hex.DecodeString(addr)
	n, perr := strconv.ParseUint(port, 16, 16)
	if err != nil || perr != nil || len(raw)%4 != 0 {
		return at, "", false
	}
	for i := 0; i < len(raw); i += 4 { // words of the machine's own byte order
		binary.BigEndian.PutUint32(raw[i:], binary.NativeEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), f[9], ok
}

// processOf names the process that has a socket, empty when none that can be looked into has it.
func processOf(inode string) string {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		fds, _ := filepath.Glob(dir + "/fd/*")
		for _, fd := range fds {
			if link, err := os.Readlink(fd); err != nil || link != "socket:["+inode+"]" {
				continue
			}
			comm, _ := os.ReadFile(dir + "/comm")
			return fmt.Sprintf("%s, process %s", strings.TrimSpace(string(comm)), filepath.Base(dir))
		}
	}
	return ""
}
