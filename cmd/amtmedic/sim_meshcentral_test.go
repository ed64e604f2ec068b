package main

import (
	"context"
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// meshCentral gives the folder into which .ci/run installs MeshCentral, or ends the test.
func meshCentral(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Getenv("AMTMEDIC_LONG") != "1" {
		t.Skip("a long test, for Linux: AMTMEDIC_LONG=1")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root: MeshCentral looks names up, so it gets a network of its own")
	}
	dir := os.Getenv("AMTMEDIC_MESHCENTRAL")
	switch {
	case dir == "none":
		t.Skip("MeshCentral could not be installed: no package registry")
	case dir == "":
		missing(t, "MeshCentral (AMTMEDIC_MESHCENTRAL: a folder with npm's meshcentral@1.1.55)")
	}
	for _, p := range []string{"node", "unshare", "ip", "ss", "openssl"} {
		if _, err := exec.LookPath(p); err != nil {
			missing(t, p)
		}
	}
	return filepath.Join(dir, "node_modules", "meshcentral", "meshcentral.js")
}

// meshFiles are what a MeshCentral needs beside its program. The preload works round its defect 4901: it
// hands its certificates to TLS root first, and Node then refuses the key. The configuration of OpenSSL
// lets Node speak the TLS 1.0 of old firmware.
var meshFiles = map[string]string{
	"data/config.json": `{"settings":{"cert":"127.0.0.1","port":18443,"redirPort":0,"mpsPort":0,"lanOnly":true,"selfUpdate":false,"exactPorts":true,"amtScanner":false,
 "amtProvisioningServer":{"port":9971,"deviceGroup":"mesh//simulated","newMebxPassword":"P@ssw0rd1","trustedFqdn":"provisionserver.corp.example","ip":"127.0.0.1"}},
 "domains":{"":{"title":"test","amtManager":{},"amtAcmActivation":{"certs":{"own":{"certfiles":["leaf.pem","root.pem"],"keyfile":"leaf.key"}}}}}}`,
	"mesh.json": `[{"_id":"mesh//simulated","type":"mesh","mtype":1,"name":"simulated","domain":"","links":{},"amt":{"type":3,"password":"N3w.Secret"}}]`,
	"preload.js": `const m = require('module'), compile = m.prototype._compile;
m.prototype._compile = function (text, name) {
  if (name.endsWith('amtprovisioningserver.js')) text = text.replace(".certs.reverse().join('')", ".certs.join('')");
  return compile.call(this, text, name);
};`,
	"openssl.cnf": `nodejs_conf = init
[init]
ssl_conf = ssl
[ssl]
system_default = sys
[sys]
CipherString = DEFAULT:@SECLEVEL=0
MinProtocol = TLSv1
`,
	"run.sh": `set -e
ip link set lo up
export NODE_OPTIONS="--require $PWD/preload.js" OPENSSL_CONF="$PWD/openssl.cnf" NODE_ENV=production
node "$MESH" --datapath "$PWD/data" --dbimport "$PWD/mesh.json"
node "$MESH" --datapath "$PWD/data" --debug amtsca,amt &
trap 'kill $! 2>/dev/null' EXIT
for i in $(seq 240); do ss -ltn | grep -q ':9971 ' && break; sleep 0.25; done
unset NODE_OPTIONS OPENSSL_CONF
amtmedic sim --method pki --amt-version "$VERSION" --trust data/root.pem --suffix corp.example --to 127.0.0.1:9971 --fast --keep --inventory inv
`,
}

// TestMeshCentralActivates: MeshCentral, a program of others, takes simulated clients from their hello to
// admin control mode with TLS, and then manages them.
func TestMeshCentralActivates(t *testing.T) {
	t.Parallel()
	mesh := meshCentral(t)
	for _, version := range []string{"9.0", "12.0.67"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range meshFiles {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			root, _ := provisioningChain(t, "provisionserver.corp.example")
			for _, f := range []string{"root.pem", "leaf.pem", "leaf.key"} {
				b, err := os.ReadFile(filepath.Join(filepath.Dir(root), f))
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, "data", f), b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			var out safeBuffer
			c := exec.CommandContext(ctx, "unshare", "--net", "--pid", "--fork", "--kill-child", "sh", "run.sh")
			c.Dir, c.Stdout, c.Stderr = dir, &out, &out
			c.Env = append(os.Environ(), "MESH="+mesh, "VERSION="+version)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				_ = c.Wait()
				close(ended)
			}()
			t.Cleanup(func() {
				cancel()
				<-ended
			})
			// The last word is that of its manager, after it logged in with the new password over TLS.
			for _, want := range []string{"Got hello from 127.0.1.1", "Intel AMT ACM activation completed.", "Initial Contact Response 200",
				"Intel AMT connected with TLS.", "Fetching hardware inventory.", " Done."} {
				for !strings.Contains(out.String(), want) {
					select {
					case <-ended:
						t.Fatalf("ended without %q\n%s", want, out.String())
					case <-time.After(100 * time.Millisecond):
					}
				}
			}
			if !strings.Contains(out.String(), " post ") {
				t.Errorf("the client says nothing of it\n%s", out.String())
			}
		})
	}
}

// simPost starts a provisioned client and gives its address and password.
func simPost(t *testing.T, version string) (addr, password string) {
	t.Helper()
	addr = simAddress(t)
	dir := filepath.Join(t.TempDir(), "inv")
	startSim(t, nil, 1, "--state", "post", "--keep", "--amt-version", version, "--address", addr, "--inventory", dir)
	rows, err := csv.NewReader(strings.NewReader(readText(t, filepath.Join(dir, "clients.csv")))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v %v", rows, err)
	}
	for i, name := range rows[0] {
		if name == "password" {
			password = rows[1][i]
		}
	}
	return addr, password
}

// TestSimByAmttool: amttool reads and switches a 2.6 client at its real port.
func TestSimByAmttool(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("amttool"); err != nil {
		missing(t, "amttool")
	}
	addr, password := simPost(t, "2.6.3")
	run := func(stdin string, args ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, "amttool", append([]string{addr}, args...)...)
		c.Env, c.Stdin = append(os.Environ(), "AMT_PASSWORD="+password), strings.NewReader(stdin)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("amttool %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"", []string{"info"}, "AMT version:  2.6.3"},
		{"y\n", []string{"powerdown"}, "result: pt_status: success"},
		{"", []string{"info"}, "S5 (soft-off)"},
		{"y\n", []string{"powerup"}, "result: pt_status: success"},
	} {
		if out := run(c.stdin, c.args...); !strings.Contains(out, c.want) {
			t.Errorf("amttool %v: %q is missing in\n%s", c.args, c.want, out)
		}
	}
}

// TestSimByWsl: wsl enumerates, reads and calls at a 9.0 client's real port.
func TestSimByWsl(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"wsl", "curl", "xmllint", "uuidgen"} {
		if _, err := exec.LookPath(p); err != nil {
			missing(t, p)
		}
	}
	addr, password := simPost(t, "9.0")
	home := t.TempDir()
	for file, text := range map[string]string{".curlrc": "digest\n", ".wsl-config": "WSNOSSL=true\nOUTLEVEL=1\nIPINTERACTIVE=0\nKEEPHISTORY=0\n"} {
		if err := os.WriteFile(filepath.Join(home, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const schema = "http://intel.com/wbem/wscim/1/amt-schema/1/"
	password = "'" + strings.ReplaceAll(password, "'", `'\''`) + "'" // it goes through a shell once more
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"id", "check"}, "IdentifyResponse"},
		{[]string{"enum", "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_SoftwareIdentity"}, "9.0.0"},
		{[]string{"get", schema + "AMT_SetupAndConfigurationService", "Name=Intel(r) AMT Setup and Configuration Service"}, "ProvisioningState>2<"},
		{[]string{"invoke", schema + "AMT_AuthorizationService", "GetAdminAclEntry"}, "Username>admin<"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		cmd := exec.CommandContext(ctx, "wsl", c.args...)
		cmd.Dir = home
		cmd.Env = append(os.Environ(), "HOME="+home, "WSENDPOINT="+addr+":16992", "WSUSER=admin", "WSPASS="+password, "WSDONTASK=y")
		out, err := cmd.CombinedOutput()
		cancel()
		got, _ := os.ReadFile(filepath.Join(home, "response.xml"))
		if !strings.Contains(string(out)+string(got), c.want) {
			t.Errorf("wsl %v: %v; %q is missing in\n%s\n%s", c.args, err, c.want, out, got)
		}
	}
}
