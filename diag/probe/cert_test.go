package probe

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/cert"
	"amtmedic/amt/hello"
	"amtmedic/diag"
	"amtmedic/diag/check"
)

// factsOf turns facts into a map and makes sure that each has a form that its key takes.
func factsOf(t *testing.T, facts []diag.Fact) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range facts {
		if _, err := diag.Make(f); err != nil {
			t.Error(err)
		}
		out[f.Key] = fmt.Sprint(f.Value)
	}
	return out
}

func certFile(t *testing.T, s cert.Spec) *cert.File {
	t.Helper()
	s.Bits, s.Now = 1024, time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	if s.Suffix == "" {
		s.Suffix = "corp.example"
	}
	m, err := cert.Make(s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.ServerPEM()
	if err != nil {
		t.Fatal(err)
	}
	f, err := cert.Read(b, amt.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCertFacts(t *testing.T) {
	got := factsOf(t, CertFacts(certFile(t, cert.Spec{Intermediate: true, Unit: cert.SetupUnit}), "server.pem"))
	for key, want := range map[string]string{
		"cert.present": "true", "cert.private_key": "true", "cert.ou": cert.SetupUnit, "cert.chain": "complete",
		"cert.eku": "[1.3.6.1.5.5.7.3.1 2.16.840.1.113741.1.2.3]", "cert.names": "[provisionserver.corp.example]",
		"cert.algorithms": "[sha256 sha256 sha256]", "cert.key_bits": "[1024 1024 1024]",
		"cert.not_before": "2026-11-22T10:00:00Z", "cert.not_after": "2027-11-23T10:00:00Z",
	} {
		if got[key] != want {
			t.Errorf("%s = %s, want %s", key, got[key], want)
		}
	}
	if _, ok := got["cert.root_digest"]; ok {
		t.Error("which digest counts is not known without the client's hashes")
	}
	got = factsOf(t, CertFacts(certFile(t, cert.Spec{Fault: cert.FaultNoRoot}), "x"))
	if _, ok := got["cert.root_digests"]; ok || got["cert.chain"] != "incomplete" {
		t.Errorf("without a root: %v", got)
	}
}

// A certificate that OpenSSL made, marked by its unit only, without any usage: it may be used for all.
func TestCertFactsOfOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("openssl is missing")
	}
	path := filepath.Join(t.TempDir(), "c.pem")
	if out, err := exec.Command(openssl, "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-sha1", "-subj", "/OU=other/OU="+cert.SetupUnit+"/CN=SCS.Corp.Example",
		"-keyout", path+".key", "-out", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := cert.Read(b, amt.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	got := factsOf(t, CertFacts(f, "c.pem"))
	for key, want := range map[string]string{"cert.private_key": "false", "cert.ou": cert.SetupUnit, "cert.eku": "[1.3.6.1.5.5.7.3.1]",
		"cert.names": "[scs.corp.example]", "cert.algorithms": "[sha1]", "cert.key_bits": "[1024]"} {
		if got[key] != want {
			t.Errorf("%s = %s, want %s", key, got[key], want)
		}
	}
}

// A root that old firmware knows by SHA-1 is trusted: the digest by which it is known is the one given.
func TestRootFacts(t *testing.T) {
	f := certFile(t, cert.Spec{})
	all := cert.Digests(f.Chain().Root())
	for name, c := range map[string]struct {
		hashes []hello.Hash
		digest string
		in     string
	}{
		"by sha256":  {all[1:2], all[1].Digest.String(), "true"},
		"by sha1":    {all[:1], all[0].Digest.String(), "true"},
		"none":       {nil, all[1].Digest.String(), "false"},
		"other ones": {cert.Digests(certFile(t, cert.Spec{}).Chain().Root()), all[1].Digest.String(), "false"},
	} {
		t.Run(name, func(t *testing.T) {
			got := factsOf(t, RootFacts(f, "x", c.hashes))
			if got["cert.root_digest"] != c.digest || got["cert.root_in_client_hashes"] != c.in {
				t.Errorf("%v, want %+v", got, c)
			}
		})
	}
	if got := RootFacts(certFile(t, cert.Spec{Fault: cert.FaultNoRoot}), "x", all); got != nil {
		t.Errorf("without a root: %v", got)
	}
}

// The facts of a certificate lead to the cause that the catalogue names for its fault.
func TestCertFaultsAreNamed(t *testing.T) {
	trusted := certFile(t, cert.Spec{})
	for fault, want := range map[string]string{cert.FaultUnit: "rc-cert-no-oid", cert.FaultUsage: "rc-cert-no-oid", cert.FaultExpired: "rc-cert-expired",
		cert.FaultNoRoot: "rc-cert-chain-incomplete", cert.FaultSuffix: "rc-cert-suffix-mismatch", cert.FaultSHA1: "rc-cert-hash-algorithm"} {
		t.Run(fault, func(t *testing.T) {
			f := certFile(t, cert.Spec{Fault: fault})
			hashes := cert.Digests(trusted.Chain().Root())
			if root := f.Chain().Root(); root != nil {
				hashes = cert.Digests(root)
			}
			list := []any{}
			for _, h := range hashes {
				list = append(list, map[string]any{"algorithm": h.Algorithm.String(), "digest": h.Digest.String()})
			}
			firmware := "9.0"
			if fault == cert.FaultSHA1 {
				firmware = "16.1"
			}
			facts := append(CertFacts(f, "x"), RootFacts(f, "x", hashes)...)
			for key, v := range map[string]any{"client.amt_version": firmware, "client.suffix": "corp.example", "srv.rcfg_enabled": true,
				"wire.server.hello": map[string]any{"src": "10.20.0.7:16994", "dst": "10.1.0.10:9971", "version": 3.0, "hashes": list}} {
				facts = append(facts, diag.Fact{Key: key, Value: v})
			}
			var named []string
			j := check.Judge(facts, time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
			for _, r := range j.Checks {
				for _, n := range r.Causes {
					named = append(named, n.ID)
				}
			}
			if len(named) == 0 || named[0] != want {
				t.Errorf("%s: named %v, want %s", fault, named, want)
			}
		})
	}
}
