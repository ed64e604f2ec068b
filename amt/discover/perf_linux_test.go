package discover

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The scan of the benchmark: all of a /16, every address a client with a port, a header and a pong.
const (
	scanBlock = "127.0.0.0/16"
	scanHosts = 65534
	scanEnv   = "AMTMEDIC_SCAN_INSIDE"
)

// TestScanPerformance scans 65,534 simulated clients, and has nmap and fping look at the same addresses
// before and after. It runs in a network namespace of its own: the clients listen on every address.
func TestScanPerformance(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") == "" {
		t.Skip("belongs to the long set: AMTMEDIC_LONG=1")
	}
	if os.Getenv(scanEnv) == "" {
		scanInNamespace(t)
		return
	}
	for _, name := range []string{"127.0.0.1:16992", "127.0.0.1:623"} {
		if c, err := net.Dial("tcp", name); err == nil {
			_ = c.Close()
			t.Fatalf("%s is taken in a new namespace", name)
		}
	}
	serveClients(t)
	var ours, nmap, fping []float64 // hosts a second
	var missed, nmapMissed, fpingMissed int
	for range 2 {
		n, took := scanNmap(t, scanBlock, "16992,16993")
		nmap, nmapMissed = append(nmap, scanHosts/took.Seconds()), max(nmapMissed, scanHosts-n)
		n, took = scanOurs(t)
		ours, missed = append(ours, scanHosts/took.Seconds()), max(missed, scanHosts-n)
		n, took = scanFping(t)
		fping, fpingMissed = append(fping, scanHosts/took.Seconds()), max(fpingMissed, scanHosts-n)
	}
	best := slices.Max[[]float64]
	say := func(name, peer string, theirs []float64, theirsMissed int) {
		if len(theirs) == 0 {
			return
		}
		fmt.Printf("perf: discover | %s | %.0f hosts/s | %.0f hosts/s (%s) | %.2f | -\n", name, best(ours), best(theirs), peer, best(ours)/best(theirs))
		fmt.Printf("perf: discover | hosts missed, beside %s | %d | %d | - | <= 0\n", peer, missed, theirsMissed)
	}
	say("two ports with the header Server, and the ping, of every address of a /16; the peer connects to two ports", "nmap -sT", nmap, nmapMissed)
	say("the same; the peer sends one ICMP echo to each", "fping", fping, fpingMissed)
	if n, took := scanNmap(t, "127.0.0.0/20", "16992,16993", "--script", "http-server-header"); n > 0 {
		say("the same; the peer connects to two ports and reads the header Server, of a /20", "nmap with http-server-header", []float64{4096 / took.Seconds()}, 4096-n)
	}
	if missed > 0 {
		t.Errorf("%d hosts were missed", missed)
	}
}

// scanInNamespace runs this test again inside a new namespace and copies what it prints.
func scanInNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	cmd := exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up && exec "$0" "$@"`, os.Args[0],
		"-test.run", "^TestScanPerformance$", "-test.v", "-test.timeout", "25m")
	cmd.Env = append(os.Environ(), scanEnv+"=1")
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "perf: ") {
			fmt.Print(line)
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// serveClients answers on every address of the namespace as provisioned clients without TLS do.
func serveClients(t *testing.T) {
	lc := net.ListenConfig{}
	l, err := lc.Listen(context.Background(), "tcp4", "0.0.0.0:16992")
	if err != nil {
		t.Fatal(err)
	}
	answer := []byte("HTTP/1.1 303 See Other\r\nLocation: /logon.htm\r\nContent-Length: 0\r\nServer: Intel(R) Active Management Technology 9.0.0\r\nConnection: close\r\n\r\n")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(10 * time.Second))
				if n, err := c.Read(make([]byte, 1024)); err != nil || n == 0 {
					return
				}
				_, _ = c.Write(answer)
			}()
		}
	}()
	u, err := net.ListenUDP("udp4", &net.UDPAddr{Port: PortPing})
	if err != nil {
		t.Fatal(err)
	}
	_ = u.SetReadBuffer(4 << 20)
	raw, err := u.SyscallConn()
	if err != nil || raw.Control(func(fd uintptr) { err = wantDestination(fd) }) != nil || err != nil {
		t.Fatal("the address that was called is not told: ", err)
	}
	go servePings(u)
	t.Cleanup(func() { _ = l.Close(); _ = u.Close() })
}

// scanOurs scans with no bound on the rate but what the machine gives.
func scanOurs(t *testing.T) (found int, took time.Duration) {
	ts, err := ParseTargets([]string{scanBlock})
	if err != nil {
		t.Fatal(err)
	}
	begun, pinged := time.Now(), 0
	err = Run(context.Background(), ts, Options{Rate: 1_000_000, Timeout: 10 * time.Second, Done: func(e Event) {
		if e.Host != nil && e.Host.AMTVersion == "9.0.0" && e.Host.State == Post && len(e.Host.Ports) == 1 {
			found++
			if e.Host.Ping {
				pinged++
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	took = time.Since(begun)
	t.Logf("ours: %d found, %d of them with a pong, in %v", found, pinged, took)
	return min(found, pinged), took
}

func scanNmap(t *testing.T, block, ports string, more ...string) (found int, took time.Duration) {
	program, err := exec.LookPath("nmap")
	if err != nil {
		t.Skip("nmap is not installed")
	}
	begun := time.Now()
	args := append([]string{"-n", "-Pn", "-sT", "-T5", "-p", ports, "--open", "-oG", "-"}, more...)
	out, err := exec.Command(program, append(args, block)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	took = time.Since(begun)
	found = len(regexp.MustCompile(`(?m)16992/open/`).FindAll(out, -1))
	t.Logf("nmap: %d found in %v", found, took)
	return found, took
}

func scanFping(t *testing.T) (found int, took time.Duration) {
	program, err := exec.LookPath("fping")
	if err != nil {
		t.Skip("fping is not installed")
	}
	begun := time.Now()
	out, err := exec.Command(program, "-a", "-q", "-r", "1", "-t", "1000", "-i", "0.01", "-g", scanBlock).Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	took = time.Since(begun)
	sc := bufio.NewScanner(bytes.NewReader(out))
	for sc.Scan() {
		if net.ParseIP(sc.Text()) != nil {
			found++
		}
	}
	t.Logf("fping: %d alive in %v", found, took)
	return found, took
}
