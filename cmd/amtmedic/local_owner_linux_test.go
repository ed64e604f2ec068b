package main

import (
	"bufio"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestListenOwner(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// The kernel prints its table in pieces: while others open and close many connections, a line may be missed.
	var uid int
	found := false
	for end := time.Now().Add(20 * time.Second); !found && time.Now().Before(end); {
		uid, found = listenOwner(l.Addr().(*net.TCPAddr).Port)
	}
	if !found || uid != os.Getuid() {
		t.Errorf("%d, %v", uid, found)
	}
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4260 0100007F:8F3A 01 00000000:00000000 00:00000000 00000000  1000        0 1 1 x 20 4 30 10 -1
   1: 00000000:4260 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 2 1 x 100 0 0 10 0
   2: broken
`
	for port, want := range map[int]int{16992: 998, 16993: -1} {
		uid, ok := ownerIn(bufio.NewScanner(strings.NewReader(table)), port)
		if ok != (want >= 0) || ok && uid != want {
			t.Errorf("%d: %d, %v", port, uid, ok)
		}
	}
}
