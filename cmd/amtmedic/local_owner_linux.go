package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// listenOwner gives the user who listens on a TCP port of this computer, by the kernel's table; ok is false when
// nobody does or the system does not tell.
func listenOwner(port int) (uid int, ok bool) {
	// /proc/net is the network of the program's first thread, which may have been given another.
	for _, name := range []string{"/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"} {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		uid, ok = ownerIn(bufio.NewScanner(f), port)
		_ = f.Close()
		if ok {
			return uid, true
		}
	}
	return 0, false
}

// ownerIn looks for a listening socket in lines of the form of /proc/net/tcp: number, local address,
// remote address, state (0A listens), queues, timer, retransmits, user.
func ownerIn(sc *bufio.Scanner, port int) (uid int, ok bool) {
	want := fmt.Sprintf(":%04X", port)
	for sc.Scan() {
		w := strings.Fields(sc.Text())
		if len(w) < 8 || w[3] != "0A" || !strings.HasSuffix(w[1], want) {
			continue
		}
		if n, err := strconv.Atoi(w[7]); err == nil {
			return n, true
		}
	}
	return 0, false
}
