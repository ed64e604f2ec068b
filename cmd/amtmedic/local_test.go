package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/apf"
	"amtmedic/amt/sim/engine"
	"amtmedic/amt/sim/fleet"
	"amtmedic/amt/sim/lme"
)

// localPC is a provisioned simulated client and two worlds that lead to it: over a port as LMS has it,
// and through a tunnel.
type localPC struct {
	lms, tunnel   localWorld
	password, pin string
	root          string // PEM file
	uuid, fqdn    string
}

func newLocalPC(t *testing.T, version string) *localPC {
	t.Helper()
	v, err := amt.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fleet.New(fleet.Config{Count: 1, Method: amt.PKI, Version: v, Stage: engine.Post, First: netip.MustParseAddr("127.0.0.1"), Suffix: "corp.example", AnyPort: true})
	if err == nil {
		err = f.Open()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f.Run(ctx, true) }()
	t.Cleanup(func() { stop(); <-done })
	c := f.Clients()[0]
	plainAt, secureAt, _ := c.Ports()
	p := &localPC{password: c.Password.Reveal(), uuid: c.UUID.String(), fqdn: c.FQDN}
	direct := (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	gone := errors.New("no Management Engine here")
	p.lms = localWorld{hosts: []string{"127.0.0.1"}, plain: int(plainAt.Port()), secure: int(secureAt.Port()), dial: direct,
		openME: func(context.Context) (apf.Transport, error) { return nil, gone }}
	offers := []int{}
	if plainAt.IsValid() {
		offers = append(offers, apf.PlainPort)
	} else {
		p.lms.plain = 1 // a port where nothing listens
	}
	if secureAt.IsValid() {
		offers = append(offers, apf.SecurePort)
		p.takeCertificate(t, secureAt.String())
	} else {
		p.lms.secure = 1
	}
	p.tunnel = localWorld{plain: apf.PlainPort, secure: apf.SecurePort, dial: direct, tunnel: apf.Options{Settle: time.Millisecond, Greeting: 20 * time.Second},
		openME: func(context.Context) (apf.Transport, error) {
			return lme.Firmware{Ports: offers, Dial: func(ctx context.Context, port int) (net.Conn, error) {
				return direct(ctx, "tcp", map[int]string{apf.PlainPort: plainAt.String(), apf.SecurePort: secureAt.String()}[port])
			}}.Connect(), nil
		}}
	return p
}

func (p *localPC) takeCertificate(t *testing.T, at string) {
	t.Helper()
	c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	chain := c.ConnectionState().PeerCertificates
	sum := sha256.Sum256(chain[0].Raw)
	p.pin = hex.EncodeToString(sum[:])
	p.root = filepath.Join(t.TempDir(), "root.pem")
	last := chain[len(chain)-1]
	if err := os.WriteFile(p.root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: last.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// localRun runs a word of local with a password file.
func localRun(t *testing.T, w localWorld, password string, args ...string) (code int, out, told string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	e := &env{ctx: ctx, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr}
	if password != "" {
		name := filepath.Join(t.TempDir(), "pass")
		if err := os.WriteFile(name, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--password-file", name)
	}
	code, err := runLocalIn(e, w, args)
	code = report(e, code, err)
	if password != "" && strings.Contains(stdout.String()+stderr.String(), password) {
		t.Error("the password is told")
	}
	return code, stdout.String(), stderr.String()
}

// Both ways lead to the firmware, and say the same of it.
func TestLocalStatus(t *testing.T) {
	p := newLocalPC(t, "9.0.0")
	for via, w := range map[string]localWorld{"lms": p.lms, "tunnel": p.tunnel} {
		code, out, told := localRun(t, w, p.password, "status", "--json")
		var st localStatus
		if err := json.Unmarshal([]byte(out), &st); err != nil || code != exitOK {
			t.Fatalf("%s: exit %d, %v\n%s%s", via, code, err, out, told)
		}
		if st.Via != via || st.UUID != p.uuid || st.AMTVersion != "9.0.0" || st.ProvState != "post" || st.ControlMode != "admin" || st.FQDN != p.fqdn ||
			st.Network == nil || st.Network.Link == nil || !*st.Network.Link || st.TLS || st.Certificate != nil || !strings.Contains(st.Server, "Active Management") {
			t.Errorf("%s: %s", via, out)
		}
		readJSONDoc(t).check(t, "local status", []byte(out))
		code, out, _ = localRun(t, w, p.password, "status")
		if code != exitOK || !strings.Contains(out, p.uuid) || !strings.Contains(out, "control mode") {
			t.Errorf("%s: exit %d\n%s", via, code, out)
		}
	}
}

func TestLocalLogAndHashes(t *testing.T) {
	p := newLocalPC(t, "9.0.0")
	code, out, told := localRun(t, p.tunnel, p.password, "log", "--json")
	if code != exitOK || strings.Count(out, "\n") != 3 || !strings.Contains(out, `"text":"BIOS: PCI configuration"`) {
		t.Errorf("exit %d\n%s%s", code, out, told)
	}
	readJSONDoc(t).check(t, "local log", []byte(out))
	code, out, told = localRun(t, p.tunnel, p.password, "hashes", "--json")
	if code != exitOK || !strings.Contains(out, `"algorithm":"sha256"`) {
		t.Errorf("exit %d\n%s%s", code, out, told)
	}
	readJSONDoc(t).check(t, "local hashes", []byte(out))
}

// Firmware with local TLS only: without a pin or a root nothing is sent and the certificate is shown;
// with the right one all is read; a wrong one is refused.
func TestLocalTLS(t *testing.T) {
	p := newLocalPC(t, "19.0.0")
	code, out, told := localRun(t, p.tunnel, p.password, "status", "--json")
	if code != exitUndecided || !strings.Contains(out, p.pin) || !strings.Contains(out, `"not-trusted"`) || !strings.Contains(out, `"trusted":""`) || strings.Contains(out, p.uuid) {
		t.Errorf("exit %d\n%s%s", code, out, told)
	}
	readJSONDoc(t).check(t, "local status", []byte(out))
	wrong := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		flags []string
		code  int
		says  string
	}{
		"pin":                  {[]string{"--pin", strings.ToUpper(p.pin)}, exitOK, `"trusted":"pin"`},
		"wrong pin":            {[]string{"--pin", wrong}, exitUndecided, `"not-trusted"`},
		"root":                 {[]string{"--root", p.root}, exitOK, `"trusted":"root"`},
		"root and pin":         {[]string{"--root", p.root, "--pin", p.pin}, exitOK, `"trusted":"both"`},
		"root and a wrong pin": {[]string{"--root", p.root, "--pin", wrong}, exitUndecided, `"not-trusted"`},
	} {
		for via, w := range map[string]localWorld{"lms": p.lms, "tunnel": p.tunnel} {
			code, out, told := localRun(t, w, p.password, append([]string{"status", "--json"}, c.flags...)...)
			if code != c.code || !strings.Contains(out, c.says) {
				t.Errorf("%s over %s: exit %d\n%s%s", name, via, code, out, told)
			}
		}
	}
	other := newLocalPC(t, "19.0.0")
	if code, out, _ := localRun(t, p.tunnel, p.password, "status", "--json", "--root", other.root); code != exitUndecided || strings.Contains(out, p.uuid) {
		t.Errorf("another root: exit %d\n%s", code, out)
	}
}

// A certificate may be demanded of firmware that has none.
func TestLocalDemandsTLS(t *testing.T) {
	p := newLocalPC(t, "9.0.0")
	if code, out, told := localRun(t, p.tunnel, p.password, "status", "--pin", strings.Repeat("ab", 32)); code != exitUndecided || strings.Contains(out, p.uuid) || !strings.Contains(told, "no port with TLS") {
		t.Errorf("exit %d\n%s%s", code, out, told)
	}
}

func TestLocalWithoutLogin(t *testing.T) {
	t.Setenv("AMTMEDIC_AMT_PASSWORD", "")
	_ = os.Unsetenv("AMTMEDIC_AMT_PASSWORD")
	p := newLocalPC(t, "9.0.0")
	code, out, told := localRun(t, p.lms, "", "status", "--json")
	if code != exitUndecided || !strings.Contains(out, `"amt_version":"9.0.0"`) || !strings.Contains(out, `"no-password"`) || !strings.Contains(told, "$$OsAdmin") {
		t.Errorf("exit %d\n%s%s", code, out, told)
	}
	code, out, told = localRun(t, p.lms, "not-Th3-password", "status", "--json")
	if code != exitUndecided || !strings.Contains(out, `"login-refused"`) || strings.Contains(out, p.uuid) {
		t.Errorf("exit %d\n%s%s", code, out, told)
	}
	t.Setenv("AMTMEDIC_AMT_PASSWORD", p.password)
	if code, out, told = localRun(t, p.lms, "", "status", "--json"); code != exitOK || !strings.Contains(out, p.uuid) {
		t.Errorf("exit %d\n%s%s", code, out, told)
	}
}

// Nothing there: exit 3, each missing way named, and the object is still printed.
func TestLocalNothingThere(t *testing.T) {
	w := localWorld{hosts: []string{"127.0.0.1"}, plain: 1, secure: 2, dial: (&net.Dialer{}).DialContext,
		openME: func(context.Context) (apf.Transport, error) {
			return nil, &amt.Error{Op: "connect", Err: errors.New("no driver"), Hint: "load mei_me"}
		}}
	code, out, told := localRun(t, w, "Th3-password", "status", "--json")
	if code != exitUndecided || !strings.Contains(out, `"no-lms"`) || !strings.Contains(out, `"no-tunnel"`) || !strings.Contains(told, "hint: load mei_me") {
		t.Errorf("exit %d\n%s%s", code, out, told)
	}
	readJSONDoc(t).check(t, "local status", []byte(out))
	for _, word := range []string{"log", "hashes", "status"} {
		if code, out, told := localRun(t, w, "Th3-password", word, "--via", "tunnel"); code != exitUndecided || out != "" || strings.Contains(told, "LMS does not listen") {
			t.Errorf("%s: exit %d\n%s%s", word, code, out, told)
		}
	}
	for _, bad := range [][]string{{"status", "x"}, {"status", "--via", "x"}, {"status", "--pin", "12"}, {"status", "--user", ""}, {"set"}, {"set", "--sol", "x"}, {"set", "--name", "a b"}, {"what"}, {}} {
		if code, _, _ := localRun(t, w, "", bad...); code != exitUsage {
			t.Errorf("%v: exit %d", bad, code)
		}
	}
}

// A port that a user's program holds is not LMS: nothing is sent there unless that is asked for.
func TestLocalPortOfAUser(t *testing.T) {
	p := newLocalPC(t, "9.0.0")
	w := p.lms
	w.owner = func(port int) (int, bool) { return 1001, port == w.plain }
	code, out, told := localRun(t, p.lms, p.password, "status", "--json")
	if code != exitOK {
		t.Fatalf("exit %d\n%s%s", code, out, told)
	}
	code, out, told = localRun(t, w, p.password, "status", "--json")
	if code != exitUndecided || !strings.Contains(out, `"port-taken"`) || !strings.Contains(told, "belongs to a program of user 1001") || strings.Contains(out, p.uuid) {
		t.Errorf("exit %d\n%s%s", code, out, told)
	}
	if code, out, told = localRun(t, w, p.password, "status", "--json", "--via", "lms"); code != exitOK || !strings.Contains(out, p.uuid) {
		t.Errorf("asked for: exit %d\n%s%s", code, out, told)
	}
	w.owner = func(int) (int, bool) { return 0, true }
	if code, out, told = localRun(t, w, p.password, "status", "--json"); code != exitOK {
		t.Errorf("of root: exit %d\n%s%s", code, out, told)
	}
}

// What the Management Engine tells needs no log-in.
func TestLocalStatusFromTheME(t *testing.T) {
	t.Setenv("AMTMEDIC_AMT_PASSWORD", "")
	_ = os.Unsetenv("AMTMEDIC_AMT_PASSWORD")
	w := localWorld{hosts: []string{"127.0.0.1"}, plain: 1, secure: 2, dial: (&net.Dialer{}).DialContext,
		openME: func(context.Context) (apf.Transport, error) { return nil, errors.New("held by another program") },
		look:   func(ctx context.Context, h *thisHost) error { return lookAtME(ctx, newFakeME(ansIn, ansPKI).dial, h) }}
	code, out, told := localRun(t, w, "", "status", "--json")
	if code != exitUndecided || !strings.Contains(out, `"prov_state":"in"`) || !strings.Contains(out, `"amt_version":"3.2.1"`) || !strings.Contains(told, "held by another program") {
		t.Errorf("exit %d\n%s%s", code, out, told)
	}
}

// Settings are changed after agreement only, and again only when they differ.
func TestLocalSet(t *testing.T) {
	home := t.TempDir()
	t.Setenv("AMTMEDIC_HOME", home)
	p := newLocalPC(t, "9.0.0")
	change := []string{"set", "--name", "pc99.corp.example", "--sol", "off", "--ping", "off"}
	code, out, told := localRun(t, p.tunnel, p.password, change...)
	if code != exitFound || out != "" || !strings.Contains(told, p.fqdn+" -> pc99.corp.example") || !strings.Contains(told, "nothing was changed") {
		t.Fatalf("exit %d\n%s%s", code, out, told)
	}
	if _, out, _ := localRun(t, p.lms, p.password, "status", "--json"); !strings.Contains(out, p.fqdn) {
		t.Errorf("changed without agreement: %s", out)
	}
	code, out, told = localRun(t, p.tunnel, p.password, append(change, "--yes", "--json")...)
	if code != exitOK || strings.Count(out, `"done":true`) < 2 {
		t.Fatalf("exit %d\n%s%s", code, out, told)
	}
	readJSONDoc(t).check(t, "local set", []byte(out))
	log, err := os.ReadFile(filepath.Join(home, "local.log"))
	if n := strings.Count(string(log), "\n"); err != nil || n < 4 || strings.Count(string(log), `"stage":"intent"`)*2 != n || strings.Count(string(log), `"stage":"done"`)*2 != n {
		t.Errorf("%v\n%s", err, log)
	}
	_, out, _ = localRun(t, p.lms, p.password, "status", "--json")
	if !strings.Contains(out, `"fqdn":"pc99.corp.example"`) || !strings.Contains(out, `"sol":false`) || !strings.Contains(out, `"ping":false`) {
		t.Errorf("%s", out)
	}
	code, out, told = localRun(t, p.tunnel, p.password, append(change, "--yes")...)
	if code != exitOK || out != "" || !strings.Contains(told, "nothing to do") {
		t.Errorf("again: exit %d\n%s%s", code, out, told)
	}
}
