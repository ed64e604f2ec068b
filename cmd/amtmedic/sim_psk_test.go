package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// freePort gives a port of 127.0.0.1 that nobody has now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// tunnel has stunnel, which OpenSSL makes the handshake for, wrap plain HTTP in TLS with a pair. It
// gives the address of its plain end.
func tunnel(t *testing.T, to, pid, pps string) string {
	t.Helper()
	if _, err := exec.LookPath("stunnel4"); err != nil {
		missing(t, "stunnel4")
	}
	dir := t.TempDir()
	at := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	secrets, conf := filepath.Join(dir, "secrets"), filepath.Join(dir, "conf")
	for name, text := range map[string]string{secrets: pid + ":" + pps + "\n", conf: "foreground = yes\npid =\nclient = yes\n[amt]\naccept = " + at + "\nconnect = " + to +
		"\nPSKidentity = " + pid + "\nPSKsecrets = " + secrets + "\nsslVersionMin = TLSv1\nsslVersionMax = TLSv1\nsecurityLevel = 0\nciphers = PSK-AES128-CBC-SHA:@SECLEVEL=0\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("stunnel4", conf)
	var log safeBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if strings.Contains(log.String(), "Configuration successful") {
			return at
		}
	}
	t.Fatalf("stunnel does not start: %s", log.String())
	return ""
}

// TestSimSetUpThroughStunnel: a PSK client is taken from its setup window to provisioned by curl
// behind stunnel: neither end of what is said is ours.
func TestSimSetUpThroughStunnel(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		missing(t, "curl")
	}
	dir := t.TempDir()
	host := simAddress(t)
	s := startSim(t, nil, 1, "--json", "--address", host, "--inventory", dir)
	row := strings.Split(strings.Split(readText(t, filepath.Join(dir, "keys.csv")), "\n")[1], ",") // id,pid,pps,current_password,admin_password,used
	at := tunnel(t, host+":16993", row[1], row[2])
	curl := func(password, body, url string) string {
		out, _ := exec.Command("curl", "-si", "--max-time", "20", "--digest", "-u", "admin:"+password, "-d", body, url).CombinedOutput()
		return string(out)
	}
	call := func(class, method, input string) string {
		return curl(row[4], wsmanCall(class, method, input), "http://"+at+"/wsman")
	}
	settings := call("AMT_GeneralSettings", "Get", "")
	realm := regexp.MustCompile(`DigestRealm>([^<]+)<`).FindStringSubmatch(settings)
	if realm == nil {
		t.Fatalf("%s\n%s", settings, s.stderr.String())
	}
	if out := curl("admin", wsmanCall("AMT_GeneralSettings", "Get", ""), "http://"+at+"/wsman"); strings.Contains(out, "200 OK") {
		t.Errorf("the factory password still counts: %s", out)
	}
	const service = "AMT_SetupAndConfigurationService"
	want(t, call(service, "CommitChanges", ""), "ReturnValue>2057<") // neither name nor clock is set yet
	clock := regexp.MustCompile(`Ta0>(\d+)<`).FindStringSubmatch(call("AMT_TimeSynchronizationService", "GetLowAccuracyTimeSynch", ""))
	if clock == nil {
		t.Fatal("no clock")
	}
	now := fmt.Sprint(time.Now().Unix())
	want(t, call("AMT_TimeSynchronizationService", "SetHighAccuracyTimeSynch", "<r:Ta0>"+clock[1]+"</r:Ta0><r:Tm1>"+now+"</r:Tm1><r:Tm2>"+now+"</r:Tm2>"), "ReturnValue>0<")
	want(t, call("AMT_GeneralSettings", "Put", "<r:HostName>pc1</r:HostName><r:DomainName>corp.example</r:DomainName>"), "HostName>pc1<")
	want(t, call(service, "CommitChanges", ""), "ReturnValue>0<")
	want(t, curl(row[4], wsmanCall("AMT_GeneralSettings", "Get", ""), "http://"+host+":16992/wsman"), "200 OK", "HostName>pc1<", realm[1])
	if code := s.end(t, 20*time.Second); code != exitOK || s.states(t) != "in post" {
		t.Errorf("exit %d, states %s: %s", code, s.states(t), s.stderr.String())
	}
}
