package main

import (
	"bytes"
	"crypto/md5"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// simProcess is the real program, running "sim".
type simProcess struct {
	cmd            *exec.Cmd
	stdout, stderr safeBuffer
	ended          chan struct{}
}

// simAddress gives an address that no other test has: sim listens on the real ports.
func simAddress(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.0/8 is loopback on Linux alone")
	}
	return netip.AddrFrom4([4]byte{127, byte(130 + rand.IntN(100)), byte(rand.IntN(250)), 1}).String()
}

// startSim starts sim, within a command such as unshare if one is named, and waits for lines of a state.
func startSim(t *testing.T, within []string, lines int, args ...string) *simProcess {
	t.Helper()
	s := &simProcess{ended: make(chan struct{})}
	words := append(append(within, "amtmedic", "sim"), args...)
	s.cmd = exec.Command(words[0], words[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.ended
	})
	s.until(t, fmt.Sprintf("%d lines", lines), func() bool { return strings.Count(s.stdout.String(), "\n") >= lines })
	return s
}

// until waits, as long as the program runs.
func (s *simProcess) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end) && !ok(); time.Sleep(20 * time.Millisecond) {
		select {
		case <-s.ended:
			if ok() {
				return
			}
			t.Fatalf("sim ended with %d before %s: %s%s", s.cmd.ProcessState.ExitCode(), what, s.stdout.String(), s.stderr.String())
		default:
		}
	}
	if !ok() {
		t.Fatalf("no %s: %s%s", what, s.stdout.String(), s.stderr.String())
	}
}

// end waits for the program's end and gives its exit code.
func (s *simProcess) end(t *testing.T, within time.Duration) int {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(within):
		t.Fatalf("sim has not ended within %v: %s", within, s.stderr.String())
	}
	return s.cmd.ProcessState.ExitCode()
}

// states gives the states of the lines, of one client or all.
func (s *simProcess) states(t *testing.T) string {
	t.Helper()
	var out []string
	for line := range strings.Lines(s.stdout.String()) {
		var l struct{ State string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out = append(out, l.State)
	}
	return strings.Join(out, " ")
}

func TestSimUsage(t *testing.T) {
	for args, part := range map[string]string{
		"--amt-version 11.0":                  "has no PSK",
		"--amt-version 2.5 --method pki":      "has no Remote Configuration",
		"--method rcfg":                       "psk or pki",
		"--state later":                       "pre, in or post",
		"--count 0":                           "--count",
		"--address here":                      "--address",
		"--address 127.255.255.254 --count 9": "no address",
		"--amt-version nine":                  "not a version",
		"--trust testdata/wine/prng.c":        "no root certificate",
		"--trust /nowhere":                    "--trust",
		"--inject tls":                        "--inject",
		"--inject tls=melt":                   "no fault",
		"--to 127.0.0.1:x":                    "--to",
		"one":                                 "no operand",
	} {
		e, _, stderr := testEnv(t)
		if code := run(e, append([]string{"sim"}, strings.Fields(args)...)); code != exitUsage {
			t.Errorf("sim %s: exit %d", args, code)
		}
		want(t, stderr.String(), part)
	}
}

func TestSimEndsOnSignal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code int
		args []string
	}{{exitInterrupt, nil}, {exitOK, []string{"--keep"}}, {exitOK, []string{"--keep", "--state", "post"}}} {
		s := startSim(t, nil, 3, append(tt.args, "--count", "3", "--json", "--address", simAddress(t))...)
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		if code := s.end(t, 5*time.Second); code != tt.code {
			t.Errorf("%v: exit %d, want %d: %s", tt.args, code, tt.code, s.stderr.String())
		}
	}
	s := startSim(t, nil, 1, "--state", "post", "--json", "--address", simAddress(t))
	if code := s.end(t, 20*time.Second); code != exitOK {
		t.Errorf("provisioned from the start: exit %d", code)
	}
	readJSONDoc(t).check(t, "sim", []byte(s.stdout.String()))
}

// TestSimPortTaken: a second sim at the same address is told what to do.
func TestSimPortTaken(t *testing.T) {
	t.Parallel()
	at := simAddress(t)
	startSim(t, nil, 1, "--json", "--address", at, "--keep")
	out := amtmedic(t, exitFound, "sim", "--address", at)
	want(t, out, "open port 16993", at, "take another --address")
}

// TestSimInventory: the files are there, whole and private, when the first line is, and the program's
// own commands take them.
func TestSimInventory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "inventory")
	at := simAddress(t)
	s := startSim(t, nil, 4, "--count", "4", "--json", "--address", at, "--inventory", dir, "--keep")
	for _, name := range []string{"keys.csv", "map.csv", "clients.csv"} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, fi, err)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(readText(t, filepath.Join(dir, "clients.csv")))).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatalf("%v %v", rows, err)
	}
	if rows[1][1] != at || rows[1][2] != "psk" || rows[1][3] != "3.2.1" || rows[1][4] != "in" {
		t.Errorf("%v", rows[1])
	}
	want(t, s.stdout.String(), rows[4][0])
	db := filepath.Join(t.TempDir(), "core.db")
	want(t, amtmedic(t, 0, "keys", "import", "--json", "--db", db, filepath.Join(dir, "keys.csv")), `"imported":4`)
	want(t, amtmedic(t, 0, "discover", "import", "--json", "--db", db, filepath.Join(dir, "map.csv")), `"imported":4`)
}

func readText(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSimWithServe: the hellos of the program's clients are heard by its server.
func TestSimWithServe(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "core.db")
	server := startServe(t, db)
	s := startSim(t, nil, 5, "--count", "5", "--json", "--address", simAddress(t), "--to", server.addr, "--fast", "--keep")
	s.until(t, "five clients in the table", func() bool {
		out, _ := exec.Command("amtmedic", "clients", "--db", db, "--json").Output()
		return bytes.Count(out, []byte(`"method":"psk"`)) == 5
	})
}

// provisioningChain has OpenSSL make a root and a provisioning certificate, and gives the files of
// the root and of leaf, root and key.
func provisioningChain(t *testing.T, name string) (root, all string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		missing(t, "openssl")
	}
	dir := t.TempDir()
	script := `set -e; cd "$1"
openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 30 -subj "/CN=Lab root" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
openssl req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj "/CN=$2"
printf 'extendedKeyUsage=serverAuth,2.16.840.1.113741.1.2.3\n' > ext
openssl x509 -req -in leaf.csr -CA root.pem -CAkey root.key -CAcreateserial -days 20 -extfile ext -out leaf.pem
cat leaf.key leaf.pem root.pem > all.pem`
	if out, err := exec.Command("sh", "-c", script, "sh", dir, name).CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return filepath.Join(dir, "root.pem"), filepath.Join(dir, "all.pem")
}

// wsman is a call as a stranger's program would write it.
func wsmanCall(class, method, input string) string {
	const schema = "http://intel.com/wbem/wscim/1/amt-schema/1/"
	action, body := schema+class+"/"+method, "<r:"+method+`_INPUT xmlns:r="`+schema+class+`">`+input+"</r:"+method+"_INPUT>"
	switch method {
	case "Get":
		action, body = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get", ""
	case "Put":
		action, body = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Put", "<r:"+class+` xmlns:r="`+schema+class+`">`+input+"</r:"+class+">"
	}
	return `<Envelope xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns="http://www.w3.org/2003/05/soap-envelope">` +
		"<Header><a:Action>" + action + "</a:Action><a:To>/wsman</a:To><w:ResourceURI>" + schema + class + "</w:ResourceURI><a:MessageID>1</a:MessageID>" +
		"<a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo><w:OperationTimeout>PT60S</w:OperationTimeout></Header><Body>" + body + "</Body></Envelope>"
}

// TestSimActivatedByCurl: a client is taken from its setup window to provisioned by curl, with a
// certificate that OpenSSL made, on a connection for each call.
func TestSimActivatedByCurl(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		missing(t, "curl")
	}
	root, all := provisioningChain(t, "provisionserver.corp.example")
	for version, tls := range map[string][]string{"9.0": {"--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"}, "12.0": nil} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			at := simAddress(t)
			s := startSim(t, nil, 1, "--method", "pki", "--amt-version", version, "--trust", root, "--suffix", "corp.example", "--json", "--address", at)
			curl := func(args ...string) string {
				out, _ := exec.Command("curl", append([]string{"-sik", "--max-time", "20"}, args...)...).CombinedOutput()
				return string(out)
			}
			call := func(class, method, input string) string {
				return curl(append(tls, "--cert", all, "-d", wsmanCall(class, method, input), "https://"+at+":16993/wsman")...)
			}
			if out := curl(append(tls, "https://"+at+":16993/")...); strings.Contains(out, "HTTP/") {
				t.Errorf("without a certificate: %s", out)
			}
			settings := call("AMT_GeneralSettings", "Get", "")
			m := regexp.MustCompile(`DigestRealm>(Digest:[0-9A-F]{32})<`).FindStringSubmatch(settings)
			if m == nil {
				t.Fatalf("%s\n%s", settings, s.stderr.String())
			}
			want(t, settings, "Server: Intel(R) Active Management Technology "+version+".0\r\n")
			const service = "AMT_SetupAndConfigurationService"
			want(t, call(service, "CommitChanges", ""), "ReturnValue>2057<") // nothing is set yet
			want(t, call(service, "SetMEBxPassword", "<r:Password>P@ssw0rd1</r:Password>"), "ReturnValue>0<")
			sum := md5.Sum([]byte("admin:" + m[1] + ":P@ssw0rd2"))
			want(t, call("AMT_AuthorizationService", "SetAdminAclEntryEx", "<r:Username>admin</r:Username><r:DigestPassword>"+hex.EncodeToString(sum[:])+"</r:DigestPassword>"), "ReturnValue>0<")
			want(t, call(service, "CommitChanges", ""), "ReturnValue>0<")
			plain := "http://" + at + ":16992/wsman"
			want(t, curl("-d", wsmanCall("AMT_GeneralSettings", "Get", ""), plain), "401 Unauthorized", "WWW-Authenticate: Digest")
			want(t, curl("--digest", "-u", "admin:admin", "-d", wsmanCall("AMT_GeneralSettings", "Get", ""), plain), "401 Unauthorized")
			want(t, curl("--digest", "-u", "admin:P@ssw0rd2", "-d", wsmanCall("AMT_GeneralSettings", "Get", ""), plain), "200 OK", m[1])
			if out := call("AMT_GeneralSettings", "Get", ""); strings.Contains(out, "HTTP/") {
				t.Errorf("the setup's port is still open: %s", out)
			}
			if code := s.end(t, 20*time.Second); code != exitOK || s.states(t) != "in post" {
				t.Errorf("exit %d, states %s: %s", code, s.states(t), s.stderr.String())
			}
		})
	}
}

// TestSimShared runs more clients than have listeners of their own, in a network of its own.
func TestSimShared(t *testing.T) {
	t.Parallel()
	if os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("AMTMEDIC_LONG is not 1")
	}
	for _, name := range []string{"unshare", "ip", "curl", "rmcpping"} {
		if _, err := exec.LookPath(name); err != nil || os.Getuid() != 0 {
			missing(t, name+" and root are needed for a network of its own")
		}
	}
	out, err := exec.Command("unshare", "-n", "sh", "-c", `ip link set lo up
amtmedic sim --count 2001 --state post --keep > /dev/null & sim=$!
for i in $(seq 100); do curl -s -o /dev/null http://127.0.1.1:16992/ && break; sleep 0.1; done
for a in 127.0.1.1 127.0.8.209 127.0.8.210 127.0.0.1; do echo "$a $(curl -s -o /dev/null -w '%{http_code}' http://$a:16992/)"; done
rmcpping -c 1 127.0.4.4
rmcpping -c 1 -t 1 127.0.8.210
kill -TERM $sim; wait $sim; echo "exit $?"`).CombinedOutput()
	if err != nil {
		t.Log(err)
	}
	want(t, string(out), "127.0.1.1 303", "127.0.8.209 303", "127.0.8.210 000", "127.0.0.1 000", "pong received from 127.0.4.4", "exit 0")
	if strings.Contains(string(out), "from 127.0.8.210:") {
		t.Errorf("an address without a client answers the ping: %s", out)
	}
}
