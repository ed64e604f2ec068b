package fleet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icholy/digest"

	"amtmedic/amt"
	"amtmedic/amt/sim/engine"
)

// TestTenThousandClients measures what a client costs, and how many log-ins a process answers.
func TestTenThousandClients(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("AMTMEDIC_LONG is not set")
	}
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.0/8 is loopback on Linux alone")
	}
	const count = 10_000
	s := listen(t)
	before := heap()
	f, err := New(Config{Count: count, Method: amt.PSK, Version: ver(t, "3.2.1"), Stage: engine.In, First: netip.MustParseAddr("127.90.0.1"), To: s.addr(), Fast: true, AnyPort: true})
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	opened := time.Since(begin)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- f.Run(ctx, true) }()
	time.Sleep(5 * time.Second)
	n := len(s.got())
	time.Sleep(5 * time.Second)
	rate := float64(len(s.got())-n) / 5
	bytes := float64(heap()-before) / count
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
	fmt.Printf("perf: sim | memory of a client with its hellos, bytes | %.0f | - | - | below 20000\n", bytes)
	fmt.Printf("perf: sim | hellos a second of %d clients | %.0f | - | - | 150\n", count, rate)
	fmt.Printf("perf: sim | opening %d clients, ms | %d | - | - | below 2000\n", count, opened.Milliseconds())
	if bytes > 20000 || rate < 100 {
		t.Errorf("%.0f bytes a client, %.0f hellos a second", bytes, rate)
	}
}

// heap gives what is in use, stacks of goroutines included.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestManyLogIns measures digest log-ins on connections that stay open.
func TestManyLogIns(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("AMTMEDIC_LONG is not set")
	}
	f := run(t, Config{Count: 1, Method: amt.PKI, Version: ver(t, "9.0.0"), Stage: engine.Post, First: netip.MustParseAddr("127.0.0.1")}, true)
	m := f.Clients()[0]
	plain, _, _ := m.Ports()
	client := &http.Client{Transport: &digest.Transport{Username: User, Password: m.Password.Reveal()}, Timeout: 10 * time.Second}
	var done atomic.Int64
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); done.Add(1) {
		resp, err := client.Get("http://" + plain.String() + "/index.htm")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusUnauthorized {
			t.Fatal("the log-in is refused")
		}
	}
	fmt.Printf("perf: sim | digest log-ins a second, one client, one connection | %d | - | - | above 500\n", done.Load()/3)
}
