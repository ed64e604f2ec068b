package lab

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/capture"
	"amtmedic/diag"
)

// Most of a world's life is waiting, so more of them run at once than there are processors.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = flag.Set("test.parallel", "6")
	}
	os.Exit(m.Run())
}

func TestWorldsStandSideBySide(t *testing.T) {
	a, b := newWorld(t, 7), newWorld(t, 7, "rc-amtconfig-stopped")
	if a.at.server == b.at.server {
		t.Fatalf("both live at %s", a.at.server)
	}
	if ja, jb := judge(t, a), judge(t, b); ja.Verdict != "ok-in-progress" || jb.Verdict != "rc-amtconfig-stopped" {
		t.Errorf("verdicts %s and %s", ja.Verdict, jb.Verdict)
	}
	if a.plan.id.uuid != b.plan.id.uuid {
		t.Error("the same seed gives two UUIDs")
	}
}

// Somebody else's listener on port 9971 of all addresses does not get into a world. The test
// cannot take the real port, so it tells the world that it is taken.
func TestPortTakenEverywhere(t *testing.T) {
	ctx := context.Background()
	id, err := newIdentity(1)
	if err != nil {
		t.Fatal(err)
	}
	p, n, err := findLoopback(ctx, newRand(id), false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close() }()
	hello := netip.AddrPortFrom(p.server, amt.HelloPort)
	if err := errors.Join(n.held[hello].Close(), n.move(ctx, hello)); err != nil {
		t.Fatal(err)
	}
	l, err := n.listenTCP(ctx, hello)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if got := addrPort(l.Addr()); got.Port() == amt.HelloPort || got != n.real(hello) {
		t.Errorf("listens on %s", got)
	}
	c, err := n.dialTCP(ctx, netip.AddrPortFrom(p.client, 0), hello)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// On a system that has only 127.0.0.1 free ports stand for all addresses.
func TestOneAddress(t *testing.T) {
	for _, id := range []string{None, "rc-dns-wrong-target", "rc-amtconfig-stopped", "rc-dns-split-horizon"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			w, err := New(context.Background(), Options{Faults: []string{id}, Seed: 1, Temp: t.TempDir(), single: true})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = w.Close() }()
			want := id
			if id == None {
				want = "ok-in-progress"
			}
			if j := judge(t, w); j.Verdict != want {
				t.Errorf("verdict %s, further %v", j.Verdict, j.Further)
			}
		})
	}
}

func TestTwoFaults(t *testing.T) {
	w := newWorld(t, 3, "rc-pid-unknown", "rc-amtconfig-stopped")
	if j := judge(t, w); j.Verdict != "rc-amtconfig-stopped" {
		t.Errorf("first verdict %s", j.Verdict)
	}
	for tried := map[string]bool{}; ; {
		j := judge(t, w)
		if j.Healthy() {
			return
		}
		if !repairOnce(t, w, &j, tried) {
			t.Fatalf("stuck at %s", j.Verdict)
		}
	}
}

// A world that was closed leaves nothing: no goroutine, no folder, no listener.
func TestClose(t *testing.T) {
	before, temp := runtime.NumGoroutine(), t.TempDir()
	ids := []string{None, "rc-dns-unreachable", "rc-hello-expired"}
	for _, f := range List() {
		if f.ID == "rc-fw-9971-blocked" && f.Available {
			ids = append(ids, f.ID)
		}
	}
	for _, id := range ids {
		w, err := New(context.Background(), Options{Faults: []string{id}, Seed: 9, Temp: temp})
		if err != nil {
			t.Fatal(err)
		}
		at := w.net.real(netip.AddrPortFrom(w.at.server, amt.HelloPort))
		begin := time.Now()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("%s: closing took %v", id, d)
		}
		if err := w.Close(); err != nil {
			t.Errorf("second close: %v", err)
		}
		if _, here := w.net.(*loopback); !here {
			continue
		}
		if c, err := net.DialTimeout("tcp", at.String(), time.Second); err == nil {
			_ = c.Close()
			t.Error("somebody still listens")
		}
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("%d files are left", len(left))
	}
	for range 50 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
}

// Folders of killed programs go, those of living ones and young ones stay.
func TestSweep(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("nothing is swept here")
	}
	temp, old := t.TempDir(), time.Now().Add(-48*time.Hour)
	dead := exec.Command(os.Args[0], "-test.run=NONE")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for name, stays := range map[string]bool{
		fmt.Sprintf("%s%d-1", folderPrefix, dead.Process.Pid): false,
		fmt.Sprintf("%s%d-1", folderPrefix, os.Getpid()):      true,
		folderPrefix + "mine":                                 true,
	} {
		dir := filepath.Join(temp, name)
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chtimes(dir, old, old)); err != nil {
			t.Fatal(err)
		}
		sweep(temp, old.Add(time.Hour))
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("%s went although it is young", name)
		}
		sweep(temp, time.Now())
		if _, err := os.Stat(dir); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A walk that is given up in the middle of a watch ends at once.
func TestCancel(t *testing.T) {
	w := newWorld(t, 4, "rc-dns-no-record")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	n := &notes{t: t, w: w, probe: "wire-client"}
	if err := w.watch(diag.AtClient, diag.NewView(nil, w.Now())).Run(ctx, n); err == nil || len(n.facts) > 0 {
		t.Errorf("error %v, %d facts", err, len(n.facts))
	}
	if d := time.Since(begin); d > 500*time.Millisecond {
		t.Errorf("took %v", d)
	}
}

// The frames of the taps are sound packets for a foreign dissector, and our own reader finds in the
// file what the probes found.
func TestKeptCapture(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "case")
	w, err := New(context.Background(), Options{Seed: 2, Dir: dir, Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	want := judge(t, w).Verdict
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if want != "ok-in-progress" {
		t.Errorf("verdict %s", want)
	}
	for _, side := range []diag.Vantage{diag.AtClient, diag.AtServer} {
		file := filepath.Join(dir, captureName(side))
		src, err := capture.OpenFile(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		hellos := 0
		err = capture.Scan(context.Background(), src, capture.Options{}, func(e capture.Event) {
			if e.Kind == capture.KindHello && e.Hello.UUID == w.plan.id.uuid {
				hellos++
			}
		})
		if err != nil || hellos != 1 {
			t.Errorf("%s: %d hellos, %v", file, hellos, err)
		}
		dissect(t, file)
	}
}

func dissect(t *testing.T, file string) {
	t.Helper()
	args := []string{"-r", file, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"}
	bad := "_ws.malformed || tcp.checksum.status == 0 || udp.checksum.status == 0 || ip.checksum.status == 0 || tcp.analysis.lost_segment || tcp.analysis.retransmission"
	out, err := exec.Command(program(t, "tshark"), append(args, "-Y", bad)...).Output()
	if err != nil || len(strings.TrimSpace(string(out))) > 0 {
		t.Errorf("tshark finds fault: %v\n%s", err, out)
	}
	all, err := exec.Command("tshark", args...).Output()
	if err != nil || !strings.Contains(string(all), "[SYN]") || !strings.Contains(string(all), "[FIN, ACK]") {
		t.Errorf("tshark reads: %v\n%s", err, all)
	}
}

// The screen fits beside the walk, and tells what the state of the PC is.
func TestScreen(t *testing.T) {
	for id, want := range map[string]string{None: "PID ", "rc-amt-disabled": "[Disabled]", "rc-not-in-setup-factory": "admin accepted",
		"rc-mebx-lockout": "refused", "rc-mebx-server-override": "127.", "rc-no-dns-suffix": "Domain               -"} {
		w := newWorld(t, 1, id)
		lines := w.Client().Screen()
		if len(lines) < 6 || len(lines) > 12 || !strings.Contains(strings.Join(lines, "\n"), want) {
			t.Errorf("%s: %d lines, want %q in\n%s", id, len(lines), want, strings.Join(lines, "\n"))
		}
		for _, l := range lines {
			if len([]rune(l)) > 50 || strings.Contains(l, w.plan.id.pair.PPS.Reveal()) {
				t.Errorf("%s: line %q", id, l)
			}
		}
	}
}

func TestDanglingAndMuteForAStranger(t *testing.T) {
	w := newWorld(t, 1, "rc-dns-cname-dangling")
	out := dig(t, w.net.real(netip.AddrPortFrom(w.at.clientDNS, dnsPort)), w.plan.id.question())
	if !strings.Contains(out, "status: NXDOMAIN") || !strings.Contains(out, "CNAME\tscs-new.corp.example.") {
		t.Errorf("dig says\n%s", out)
	}
	w = newWorld(t, 1, "rc-dns-unreachable")
	at := w.net.real(netip.AddrPortFrom(w.at.clientDNS, dnsPort))
	if out, err := exec.Command("dig", "+tries=1", "+timeout=1", "@"+at.Addr().String(), "-p", strings.Split(at.String(), ":")[1], "x.example").CombinedOutput(); err == nil {
		t.Errorf("the mute server says\n%s", out)
	}
	if out := dig(t, w.net.real(netip.AddrPortFrom(w.at.serverDNS, dnsPort)), "+short", w.plan.id.question()); !strings.Contains(out, w.at.server.String()) {
		t.Errorf("the server's own name server says %q", out)
	}
}

// What the PC tells can be told by its screens only: a fault in the network changes no answer.
func TestAnswersDoNotKnowTheFault(t *testing.T) {
	a, b := newWorld(t, 1), newWorld(t, 1, "rc-dns-wrong-target")
	for _, q := range a.Questions(nil) {
		ia, ta, oka := a.Client().Answer(q)
		ib, tb, okb := b.Client().Answer(q)
		if q.ID != "client.me_addr" && (ia != ib || ta != tb || oka != okb) {
			t.Errorf("%s: %d %q, with a fault of the network %d %q", q.ID, ia, ta, ib, tb)
		}
		if !oka {
			t.Errorf("%s cannot be answered", q.ID)
		}
	}
}
