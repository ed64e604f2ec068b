package tlspsk

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// childVar makes the test's program one end of the benchmark, in a process of its own so that its
// processor time can be told: "server", or "client ADDRESS". A client does as many handshakes as the
// line on standard input says, answers with a line, and waits for the next.
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
		n, _ := strconv.Atoi(lines.Text())
		fmt.Println(knock(addr, cfg, n))
	}
}

// knock does n handshakes one after the other.
func knock(addr string, cfg *Config, n int) error {
	for range n {
		raw, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		c := Client(raw, cfg)
		if err := c.Handshake(); err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

func child(b *testing.B, role string) (*peer, *bufio.Scanner) {
	b.Helper()
	b.Setenv(childVar, role)
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
// client and s_client towards s_server. Run it with -benchtime 2000x.
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
	for _, s := range []struct {
		name string
		p    *peer
	}{{"server/openssl", foreign}, {"server/ours", ours}} {
		b.Run(s.name, func(b *testing.B) {
			cfg := config(VersionTLS12, SuiteAES128SHA)
			before := cpuTime(b, s.p.cmd.Process.Pid)
			if err := knock(s.p.addr, cfg, b.N); err != nil {
				b.Fatal(err)
			}
			report(b, s.name, cpuTime(b, s.p.cmd.Process.Pid)-before, b.N)
		})
	}
	b.Run("client/ours", func(b *testing.B) {
		p, out := child(b, "client "+foreign.addr)
		before := cpuTime(b, p.cmd.Process.Pid)
		fmt.Fprintln(p.in, b.N)
		if out.Scan(); out.Text() != "<nil>" {
			b.Fatal(out.Text())
		}
		report(b, "client/ours", cpuTime(b, p.cmd.Process.Pid)-before, b.N)
	})
	b.Run("client/openssl", func(b *testing.B) {
		// With -reconnect s_client does five more handshakes: the difference has no start of a program.
		rounds := max(1, min(b.N/5, 100))
		var more, one time.Duration
		for range rounds {
			one += runOpenSSLClient(b, foreign.addr)
			more += runOpenSSLClient(b, foreign.addr, "-reconnect")
		}
		report(b, "client/openssl", more-one, 5*rounds)
	})
	for _, end := range []string{"server", "client"} {
		b.Logf("%s: %.0f handshakes a second of processor time, OpenSSL %.0f, ratio %.2f", end, rate[end+"/ours"], rate[end+"/openssl"], rate[end+"/ours"]/rate[end+"/openssl"])
	}
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
