package tlspsk

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childVar makes the test's program one end of the benchmark, in a process of its own so that its
// processor time can be told: "server", or "client ADDRESS". A client does as many handshakes as the
// line on standard input says, and as many at once, answers with a line, and waits for the next.
const childVar = "AMTMEDIC_TLSPSK_CHILD"

func TestMain(m *testing.M) {
	role, addr, _ := strings.Cut(os.Getenv(childVar), " ")
	switch role {
	case "server":
		childServer()
	case "client":
		childClient(addr)
	default:
		os.Exit(m.Run())
	}
}

func childServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	cfg := config(VersionTLS12, SuiteAES128SHA)
	for {
		raw, err := l.Accept()
		if err != nil {
			panic(err)
		}
		c := Server(raw, cfg)
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
}

func childClient(addr string) {
	cfg := config(VersionTLS12, SuiteAES128SHA)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var n, atOnce int
		_, err := fmt.Sscan(lines.Text(), &n, &atOnce)
		fmt.Println(errors.Join(err, knock(addr, cfg, n, atOnce)))
	}
}

// knock does n handshakes, a few at the same time.
func knock(addr string, cfg *Config, n, atOnce int) error {
	errs := make(chan error, atOnce)
	var left atomic.Int64
	left.Store(int64(n))
	for range atOnce {
		go func() {
			var err error
			for err == nil && left.Add(-1) >= 0 {
				err = knockOnce(addr, cfg)
			}
			errs <- err
		}()
	}
	var first error
	for range atOnce {
		if err := <-errs; first == nil {
			first = err
		}
	}
	return first
}

func knockOnce(addr string, cfg *Config) error {
	raw, err := (&net.Dialer{KeepAlive: -1}).Dial("tcp", addr)
	if err != nil {
		return err
	}
	c := Client(raw, cfg)
	if err := c.Handshake(); err != nil {
		_ = c.Close()
		return err
	}
	return c.Close()
}

func child(b *testing.B, role string) (*peer, *bufio.Scanner) {
	b.Helper()
	b.Setenv(childVar, role)
	b.Setenv("GOMAXPROCS", "1")
	p := start(b, os.Args[0])
	_ = os.Unsetenv(childVar)
	return p, bufio.NewScanner(p.out)
}

// cpuTime is what a running process has used of all processors, in all its threads.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil { // the clock of another process
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// BenchmarkBesideOpenSSL compares the processor time of full handshakes, TCP connection included, at
// TLS 1.2 with TLS_PSK_WITH_AES_128_CBC_SHA and one key: our server and s_server under our client, our
// client and s_client towards s_server. Ours have one processor, as OpenSSL's programs have one
// thread; a client of ours does one handshake at a time, as s_client does, and eight at once, as a
// provisioning server does. Run it with -benchtime 4000x.
func BenchmarkBesideOpenSSL(b *testing.B) {
	rate := map[string]float64{}
	report := func(b *testing.B, name string, used time.Duration, n int) {
		rate[name] = float64(n) / used.Seconds()
		b.ReportMetric(rate[name], "handshakes/cpu-s")
		b.ReportMetric(0, "ns/op")
	}
	foreign := opensslServer(b, VersionTLS12, SuiteAES128SHA, "-quiet", "-no_ticket", "-no_cache")
	ours, out := child(b, "server")
	out.Scan()
	ours.addr = out.Text()
	cfg := config(VersionTLS12, SuiteAES128SHA)
	for name, p := range map[string]*peer{"server/openssl": foreign, "server/ours": ours} {
		b.Run(name, func(b *testing.B) {
			before := cpuTime(b, p.cmd.Process.Pid)
			if err := knock(p.addr, cfg, b.N, 8); err != nil {
				b.Fatal(err)
			}
			report(b, name, cpuTime(b, p.cmd.Process.Pid)-before, b.N)
		})
	}
	for name, atOnce := range map[string]int{"client/ours": 1, "client/ours, eight at once": 8} {
		b.Run(name, func(b *testing.B) {
			p, out := child(b, "client "+foreign.addr)
			before := cpuTime(b, p.cmd.Process.Pid)
			fmt.Fprintln(p.in, b.N, atOnce)
			if out.Scan(); out.Text() != "<nil>" {
				b.Fatal(out.Text())
			}
			report(b, name, cpuTime(b, p.cmd.Process.Pid)-before, b.N)
		})
	}
	b.Run("client/openssl", func(b *testing.B) {
		// With -reconnect s_client does five more handshakes: the difference has no start of a program.
		rounds := max(1, min(b.N/5, 200))
		var more, one time.Duration
		for range rounds {
			one += runOpenSSLClient(b, foreign.addr)
			more += runOpenSSLClient(b, foreign.addr, "-reconnect")
		}
		report(b, "client/openssl", more-one, 5*rounds)
	})
	b.Run("ratio of ours to OpenSSL's", func(b *testing.B) {
		b.ReportMetric(rate["server/ours"]/rate["server/openssl"], "server")
		b.ReportMetric(rate["client/ours"]/rate["client/openssl"], "client")
		b.ReportMetric(rate["client/ours, eight at once"]/rate["client/openssl"], "client-eight")
		b.ReportMetric(0, "ns/op")
		for _, r := range []struct{ what, ours, peer string }{
			{"server", "server/ours", "server/openssl"},
			{"client, one handshake at a time", "client/ours", "client/openssl"},
			{"client, eight handshakes at once", "client/ours, eight at once", "client/openssl"},
		} {
			fmt.Printf("perf: tlspsk | %s: handshakes for a second of processor time, beside OpenSSL | %.0f | %.0f | %.2f | -\n",
				r.what, rate[r.ours], rate[r.peer], rate[r.ours]/rate[r.peer])
		}
	})
}

// runOpenSSLClient gives the processor time of one s_client that ends by itself.
func runOpenSSLClient(b *testing.B, addr string, args ...string) time.Duration {
	b.Helper()
	id, key := pair()
	cmd := exec.Command("openssl", append([]string{"s_client", "-connect", addr, "-psk", fmt.Sprintf("%x", key), "-psk_identity", id,
		"-cipher", "PSK-AES128-CBC-SHA:@SECLEVEL=0", "-tls1_2", "-no_ticket"}, args...)...)
	if err := cmd.Run(); err != nil { // standard input is empty: it ends after the last handshake
		b.Fatal(err)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
