package engine

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
)

// peer finds a program of strangers, or ends the test.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

const testPassword = "P@ssw0rd1"

// runPeer runs a program with a deadline and gives what it printed.
func runPeer(t *testing.T, dir string, env []string, stdin, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Stdin = dir, strings.NewReader(stdin)
	c.Env = append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s %v did not end\n%s", name, args, out)
	}
	if err != nil {
		t.Logf("%s %v: %v", name, args, err)
	}
	return string(out)
}

func postClient(t *testing.T, version string) *Engine {
	cfg := withStage(testConfig(t, version), Post)
	cfg.Password = amt.NewSecret(testPassword)
	cfg.Host, cfg.Domain, cfg.Addr = "pc17", "example.com", netip.MustParseAddr("127.0.1.1")
	return New(cfg)
}

// TestWsl drives the engine with "wsl" (Debian package wsl), shell programs of Dell around curl.
func TestWsl(t *testing.T) {
	wsl := peer(t, "wsl")
	for _, p := range []string{"curl", "xmllint", "uuidgen"} {
		peer(t, p)
	}
	e := postClient(t, "9.1.2")
	host := plainServer(t, e)
	home := t.TempDir()
	for file, text := range map[string]string{".curlrc": "digest\n", ".wsl-config": "WSNOSSL=true\nOUTLEVEL=1\nIPINTERACTIVE=0\nKEEPHISTORY=0\n"} {
		if err := os.WriteFile(filepath.Join(home, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) string {
		// The program appends a port unless the name has one, and keeps what it got in response.xml.
		return runPeer(t, home, []string{"HOME=" + home, "WSENDPOINT=" + host, "WSUSER=admin", "WSPASS=" + testPassword, "WSDONTASK=y"}, "", wsl, args...)
	}
	response := func() string {
		b, _ := os.ReadFile(filepath.Join(home, "response.xml"))
		return string(b)
	}
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"identify", []string{"id", "check"}, []string{"IdentifyResponse", "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd", "AMT 9.1.2"}},
		{"enumerate", []string{"enum", uriOf("CIM_SoftwareIdentity")}, []string{"VersionString", "9.1.2", "Recovery Version", "EndOfSequence"}},
		{"get", []string{"get", uriOf("AMT_GeneralSettings"), "InstanceID=" + generalName}, []string{"AMT_GeneralSettings", "<g:HostName>pc17</g:HostName>", e.Realm()}},
		{"invoke", []string{"invoke", uriOf("AMT_AuthorizationService"), "GetAdminAclEntry"}, []string{"GetAdminAclEntry_OUTPUT", "Username", "admin"}},
		{"invoke with argument", []string{"invoke", uriOf("AMT_SetupAndConfigurationService"), "Unprovision", "ProvisioningMode=9"}, []string{"Unprovision_OUTPUT", "<g:ReturnValue>36</g:ReturnValue>"}},
		{"no such class", []string{"enum", uriOf("AMT_NoSuchClass")}, []string{"DestinationUnreachable"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := run(c.args...)
			for _, w := range c.want {
				if !strings.Contains(out+response(), w) {
					t.Errorf("%q is missing in\n%s\n%s", w, out, response())
				}
			}
		})
	}
}

// TestAmttool drives the SOAP services with "amttool" (Debian package amtterm), Gerd Hoffmann's program.
func TestAmttool(t *testing.T) {
	tool := peer(t, "amttool")
	if out, err := exec.Command("perl", "-MSOAP::Lite", "-e", "1").CombinedOutput(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("SOAP::Lite is missing: %s", out)
		}
		t.Skip("the Perl module SOAP::Lite is not installed")
	}
	e := postClient(t, "2.6.3")
	host := plainServer(t, e)
	run := func(stdin string, args ...string) string {
		return runPeer(t, t.TempDir(), []string{"AMT_PASSWORD=" + testPassword}, stdin, tool, append([]string{host}, args...)...)
	}
	has := func(out string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%q is missing in\n%s", w, out)
			}
		}
	}
	has(run("", "info"), "AMT version:  2.6.3", "Hostname:     pc17.example.com", "Powerstate:   S0",
		"IanaOemNumber                   157", "IDER SOL BiosReflash BiosSetup BiosPause", "PXE-boot HD-boot", "powercycle powerdown powerup reset")
	has(run("y\n", "powerdown"), "execute: powerdown", "result: pt_status: success")
	has(run("", "info"), "Powerstate:   S5 (soft-off)")
	has(run("y\n", "reset"), "result: pt_status: not permitted")
	has(run("y\n", "powerup"), "result: pt_status: success")
	has(run("y\n", "reset", "pxe"), "result: pt_status: success")
	has(run("", "netinfo"), "Network Interface 0:", "SHARED_MAC_ADDRESS", "LocalAddress", "127.0.1.1")
	// It throws the first argument away before it counts them.
	has(run("", "netconf", "", "0", "14", "10.0.0.5", "255.255.255.0", "10.0.0.1"), "result: pt_status: success")
	has(run("", "netinfo"), "SEPARATE_MAC_ADDRESS", "10.0.0.5") // the mask comes out wrong: the program multiplies by 246
	if out := runPeer(t, t.TempDir(), []string{"AMT_PASSWORD=wrong"}, "", tool, host, "info"); strings.Contains(out, "2.6.3") {
		t.Errorf("a wrong password is taken:\n%s", out)
	}
}
