package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"amtmedic/diag"
)

// nobodyDNS gives an address at which no DNS server is, so that no test asks those of this machine.
func nobodyDNS(t *testing.T) string { return fmt.Sprintf("127.0.0.1:%d", freeTCPAndUDP(t)) }

// TestDiagnoseRound: a server, a hello, what the tables say, the key, and the end of the server, each
// seen by diagnose.
func TestDiagnoseRound(t *testing.T) {
	t.Setenv("AMTMEDIC_HOME", t.TempDir())
	dir := t.TempDir()
	db, csv := filepath.Join(dir, "core.db"), filepath.Join(dir, "keys.csv")
	if err := os.WriteFile(csv, []byte("id,pid,pps,current_password,admin_password,used\n1,0000-037M,"+walkPPS+",admin,N3w-P@ssword,0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, db, "--receive-only")
	here := []string{"--db", db, "--server", "127.0.0.1", "--server-resolver", nobodyDNS(t), "--answer", "client.server_override=" + s.addr,
		"--answer", "client.uuid=" + walkUUID}
	v, stderr := diagnosed(t, exitFound, append(here, "--answer", "client.pid=0000-037M", "--answer", "case.method=psk")...)
	if v.Verdict != "rc-pid-unknown" {
		t.Errorf("before any hello: verdict %q by %v: %s", v.Verdict, v.DecidedBy, stderr)
	}
	want(t, amtmedic(t, 0, "hello", "send", "--to", s.addr, "--uuid", walkUUID, "--pid", "0000-037M"), "closed the connection in order")
	want(t, amtmedic(t, 0, "clients", "--db", db), walkUUID, "delayed", "rc-pid-unknown")
	v, stderr = diagnosed(t, exitFound, here...)
	if v.Verdict != "rc-pid-unknown" || v.Component != "credentials" || v.Confidence != diag.Proven || v.UUID != walkUUID || !slices.Contains(v.DecidedBy, "db.pid_map") {
		t.Errorf("after the hello: %+v: %s", v, stderr)
	}
	facts := caseFacts(t, v.Case)
	want(t, facts, `"key":"srv.amtconfig","value":"running"`, `"key":"db.delayed"`, s.addr)
	if strings.Contains(facts, `"key":"net.9971"`) || strings.Contains(facts, `"key":"dns.client"`) {
		t.Error("this machine is the server, and yet something is said of the client's side")
	}
	want(t, amtmedic(t, 0, "keys", "import", csv, "--db", db), "1 client waited")
	v, stderr = diagnosed(t, exitOK, here...)
	if v.Verdict != "ok-in-progress" || v.Confidence != diag.Proven || v.Next != nil {
		t.Errorf("with the key: %+v: %s", v, stderr)
	}
	text := amtmedic(t, exitOK, append([]string{"diagnose"}, here...)...)
	if lines := strings.Split(strings.TrimSpace(text), "\n"); !strings.HasPrefix(lines[len(lines)-1], "ok-in-progress") {
		t.Errorf("the last line does not name the verdict: %s", text)
	}
	for _, secret := range []string{walkPPS, "N3w-P@ss"} {
		if strings.Contains(text+facts+stderr, secret) {
			t.Errorf("a secret is shown")
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	s.end(syscall.SIGKILL) // which leaves the name of its owner in the lock file
	v, _ = diagnosed(t, exitFound, here...)
	if v.Verdict != "rc-amtconfig-stopped" || v.Confidence != diag.Proven {
		t.Errorf("after its end: %+v\n%s", v, caseFacts(t, v.Case))
	}
}

// TestDiagnoseOwnCore: without --db the usual database counts while the core works it, and only when
// this machine is the server.
func TestDiagnoseOwnCore(t *testing.T) {
	t.Setenv("AMTMEDIC_HOME", t.TempDir())
	s := startServe(t, filepath.Join(os.Getenv("AMTMEDIC_HOME"), "core.db"), "--receive-only")
	args := []string{"--answer", "client.pid=0000-037M", "--answer", "case.method=psk", "--answer", "client.server_override=" + s.addr, "--resolver", nobodyDNS(t), "--server-resolver", nobodyDNS(t)}
	v, _ := diagnosed(t, exitFound, append(args, "--server", "127.0.0.1")...)
	if facts := caseFacts(t, v.Case); !strings.Contains(facts, `"key":"db.pid_map","value":"none"`) {
		t.Errorf("the core's database was not read: %s", facts)
	}
	v, _ = diagnosed(t, exitUndecided, args...)
	if facts := caseFacts(t, v.Case); strings.Contains(facts, `"key":"db.`) {
		t.Errorf("the database of this machine is taken for that of another server: %s", facts)
	}
}

// TestDiagnoseInterrupt: ctrl+c while a DNS server keeps silent.
func TestDiagnoseInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal ends a program in order there")
	}
	t.Setenv("AMTMEDIC_HOME", t.TempDir())
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	var stdout, stderr safeBuffer
	cmd := exec.Command("amtmedic", "diagnose", "--resolver", silent.LocalAddr().String(), "--suffix", "corp.example", "--json")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = silent.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, _, err := silent.ReadFrom(make([]byte, 512)); err != nil { // it asks now
		t.Fatal(err)
	}
	begin := time.Now()
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupt || time.Since(begin) > time.Second || stdout.String() != "" {
		t.Errorf("exit %d after %v, output %q", code, time.Since(begin), stdout.String())
	}
	want(t, stderr.String(), "diagnose: interrupted")
}

// TestDiagnoseNoRight: an interface that may not be listened on is told, and the rest is looked at.
func TestDiagnoseNoRight(t *testing.T) {
	t.Setenv("AMTMEDIC_HOME", t.TempDir())
	setpriv, err := exec.LookPath("setpriv")
	if err != nil || os.Getuid() != 0 {
		missing(t, "setpriv and root are needed to take a right away")
	}
	self, err := exec.LookPath("amtmedic")
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr safeBuffer
	cmd := exec.Command(setpriv, "--bounding-set=-net_raw", "--inh-caps=-net_raw", self, "diagnose", "--json", "--interface", "lo",
		"--resolver", nobodyDNS(t), "--answer", "client.prov_state=in")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	want(t, stderr.String(), "listen on lo, tcp port 9971", "the right to capture packets is missing", "setcap cap_net_raw+ep")
	want(t, stdout.String(), `"verdict":"`)
	if strings.Contains(caseFacts(t, caseOf(t, stdout.String())), "wire.client") {
		t.Error("something is said of the wire, which was not looked at")
	}
}

// caseOf gives the case of a verdict object.
func caseOf(t *testing.T, object string) string {
	t.Helper()
	_, rest, _ := strings.Cut(object, `"case":"`)
	id, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no case in %s", object)
	}
	return id
}

// TestDiagnoseCaptures: two files of tcpdump, one of each side, on the command line.
func TestDiagnoseCaptures(t *testing.T) {
	t.Setenv("AMTMEDIC_HOME", t.TempDir())
	dir := filepath.Join("..", "..", "diag", "site", "testdata")
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, tt := range []struct {
		name, want, says string // on standard error
		given            []string
	}{
		{"silent", "rc-server-fw-9971", "", nil},
		{"rejected", "rc-fw-9971-blocked", "", nil},
		{"swallowed", "rc-middlebox", "", nil},
		{"blocked", "rc-fw-9971-blocked", "for the name of 127.77.1.7", []string{"--answer", "client.me_addr=127.77.1.7"}},
		{"refused", "rc-amtconfig-stopped", "", []string{"--answer", "srv.amtconfig=stopped"}},
	} {
		// The name is not the question: the address is stored. It is a loopback one, and not asked for.
		args := append(tt.given, "--capture", "client:"+file(tt.name+"-client.pcap"), "--capture", "server:"+file(tt.name+"-server.pcap"),
			"--resolver", nobodyDNS(t), "--server-resolver", nobodyDNS(t), "--answer", "client.server_override=127.77.2.10", "--answer", "srv.addr=127.77.2.10")
		v, stderr := diagnosed(t, exitFound, args...)
		if v.Verdict != tt.want || (stderr == "") != (tt.says == "") || !strings.Contains(stderr, tt.says) {
			t.Errorf("%s: verdict %q by %v; %s", tt.name, v.Verdict, v.DecidedBy, stderr)
		}
	}
	recorded := filepath.Join("..", "..", "capture", "testdata", "hellos.pcap")
	db := filepath.Join(t.TempDir(), "core.db")
	amtmedic(t, 0, "clients", "--db", db) // makes it
	args := []string{"--capture", "server:" + recorded, "--db", db, "--resolver", nobodyDNS(t), "--server-resolver", nobodyDNS(t), "--answer", "client.uuid=4c4c4544-0058-3910-8059-b7c04f4b5a31"}
	v, stderr := diagnosed(t, exitFound, args...)
	if facts := caseFacts(t, v.Case); !strings.Contains(facts, `"4JA2DDBV"`) || !strings.Contains(facts, `"key":"db.pid_map","value":"none"`) {
		t.Errorf("verdict %q by %v; %s\n%s", v.Verdict, v.DecidedBy, stderr, facts)
	}
}

// TestDiagnoseLive listens on the loopback of a network of its own, in which a hello is refused.
func TestDiagnoseLive(t *testing.T) {
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("AMTMEDIC_LONG is not 1")
	}
	t.Setenv("AMTMEDIC_HOME", t.TempDir())
	for _, name := range []string{"unshare", "ip"} {
		if _, err := exec.LookPath(name); err != nil || os.Getuid() != 0 {
			missing(t, name+" and root are needed for a network of its own")
		}
	}
	var stdout, stderr safeBuffer
	cmd := exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up
(sleep 2; amtmedic hello send --to 127.0.0.1 --uuid `+walkUUID+` --pid 0000-037M >/dev/null 2>&1) &
exec amtmedic diagnose --json --interface lo --resolver 127.0.0.1:9 --answer client.me_addr=127.0.0.1 --answer client.server_override=127.0.0.1 --answer srv.amtconfig=stopped`)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	_ = cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != exitFound || time.Since(begin) > 40*time.Second {
		t.Errorf("exit %d after %v: %s%s", code, time.Since(begin), stdout.String(), stderr.String())
	}
	want(t, stdout.String(), `"verdict":"rc-amtconfig-stopped"`)
	want(t, caseFacts(t, caseOf(t, stdout.String())), `"key":"wire.client.syn","value":{"dst":"127.0.0.1:9971"`, `"key":"wire.client.rst","value":{`, `"key":"wire.client.hello","value":"none"`)
	kept := filepath.Join(os.Getenv("AMTMEDIC_HOME"), caseOf(t, stdout.String()), "wire", "client.pcapng")
	want(t, amtmedic(t, 0, "capture", "scan", kept), "refused")
	t.Logf("listened for %v", time.Since(begin).Round(time.Second))
}
