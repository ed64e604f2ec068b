package scsweb

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// OpenSSL makes certificates and writes their subjects: ours are the same, and no two of them are alike.
func TestSubjectsAreThoseOfOpenSSL(t *testing.T) {
	bin, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is missing")
		}
		t.Skip("openssl is missing: nobody else writes the subjects")
	}
	seen := map[string]string{}
	for _, subj := range []string{"/CN=console-1", "/CN=admin/CN=console-1", "/CN=console-1/CN=admin", "/O=Corp/CN=console-1", "/CN=console-1/O=Corp",
		"/C=US/ST=CA/L=LA/O=Corp/OU=a/OU=b/CN=console-1", "/DC=com/DC=corp/CN=console-1", "/O=Corp/CN=console-1/emailAddress=a@b.c", "/CN=console-1,O=Corp",
		"/CN= #a\\+b\"c;d<e> ", "/CN=#1", "/CN=Zo\u00eb/UID=7/serialNumber=9/street=x y/postalCode=1/title=t/GN=g/SN=s"} {
		dir := t.TempDir()
		file := filepath.Join(dir, "c.pem")
		if out, err := exec.CommandContext(t.Context(), bin, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8", "-days", "3",
			"-keyout", filepath.Join(dir, "k.pem"), "-out", file, "-subj", subj).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", subj, err, out)
		}
		said, err := exec.CommandContext(t.Context(), bin, "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(b)
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		got, want := Subject(c), strings.TrimPrefix(strings.TrimSuffix(string(said), "\n"), "subject=")
		if got != want {
			t.Errorf("%s: %q, OpenSSL says %q", subj, got, want)
		}
		if other := seen[got]; other != "" {
			t.Errorf("%s and %s are both %q", other, subj, got)
		}
		seen[got] = subj
	}
}
