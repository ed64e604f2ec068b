package engine

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"runtime"
	"sync"
	"testing"
	"time"

	"amtmedic/amt/hello"
)

const hostService = "IPS_HostBasedSetupService"

// chain makes a root and a provisioning certificate under it, in DER.
func chain(t *testing.T) (root, leaf []byte, key *rsa.PrivateKey) {
	t.Helper()
	rootKey, key := poolKey(t, 2), poolKey(t, 1)
	r := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test root"}, NotBefore: testNow.Add(-time.Hour), NotAfter: testNow.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	l := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server.corp.example"}, NotBefore: testNow.Add(-time.Hour), NotAfter: testNow.Add(time.Hour),
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{2, 16, 840, 1, 113741, 1, 2, 3}}}
	root, err := x509.CreateCertificate(rand.Reader, r, r, &rootKey.PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.CreateCertificate(rand.Reader, l, r, &key.PublicKey, rootKey); err != nil {
		t.Fatal(err)
	}
	return root, leaf, key
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// TestHostBasedSetup goes the way of rpc-go: chain, nonce, signature (provisioning-protocol 3.5).
func TestHostBasedSetup(t *testing.T) {
	root, leaf, key := chain(t)
	cfg := testConfig(t, "9.0")
	sum := sha256.Sum256(root)
	cfg.Hashes = []hello.Hash{{Algorithm: hello.SHA256, Digest: sum[:]}}
	password := arg("NetAdminPassEncryptionType", "2") + arg("NetworkAdminPassword", "fd789878e80cd04765f924ad61ed96bf")
	next := func(der []byte, isLeaf, isRoot bool) string {
		return arg("NextCertificate", b64(der)) + arg("IsLeafCertificate", fmt.Sprint(isLeaf)) + arg("IsRootCertificate", fmt.Sprint(isRoot))
	}
	sign := func(a *asker) string {
		nonce, _ := base64.StdEncoding.DecodeString(a.get(hostService).value("ConfigurationNonce"))
		mine := make([]byte, 20)
		digest := sha256.Sum256(append(nonce, mine...))
		sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return arg("McNonce", b64(mine)) + arg("SigningAlgorithm", "2") + arg("DigitalSignature", b64(sig))
	}
	local := func() *asker {
		a := newAsker(t, New(cfg))
		a.s.User = OSAdmin
		a.e.st.users = map[int]*user{1: {name: OSAdmin, access: 2, enabled: true, realms: []int{realmAdministrator}}}
		return a
	}

	a := local()
	if got, _ := a.call(hostService, "AdminSetup", password+sign(a)); got != 5 {
		t.Errorf("without a chain: %d", got)
	}
	if got, _ := a.call(hostService, "AddNextCertInChain", next(root, false, true)); got != 3 {
		t.Errorf("root first: %d", got)
	}
	if got, _ := a.call(hostService, "AddNextCertInChain", next(root, true, false)); got != 4 {
		t.Errorf("root as leaf: %d", got)
	}
	a.must(hostService, "AddNextCertInChain", next(leaf, true, false))
	if got, _ := a.call(hostService, "AddNextCertInChain", next(leaf, false, false)); got != 4 {
		t.Errorf("leaf above itself: %d", got)
	}
	a.must(hostService, "AddNextCertInChain", next(leaf, true, false))
	a.must(hostService, "AddNextCertInChain", next(root, false, true))
	if got := a.get(hostService).value("CertChainStatus"); got != "2" {
		t.Errorf("status of the chain %s", got)
	}
	if got, _ := a.call(hostService, "AdminSetup", password+arg("McNonce", b64(make([]byte, 20)))+arg("SigningAlgorithm", "2")+arg("DigitalSignature", b64(make([]byte, 256)))); got != 5 {
		t.Errorf("wrong signature: %d", got)
	}
	a.must(hostService, "AdminSetup", password+sign(a))
	if s := a.e.State(); s.Stage != Post || s.ControlMode != 2 {
		t.Errorf("%+v", s)
	}
	if ha1, _ := a.e.Digest("admin"); ha1 != "fd789878e80cd04765f924ad61ed96bf" {
		t.Errorf("digest %s", ha1)
	}

	a = local()
	a.must(hostService, "Setup", password)
	if s := a.e.State(); s.Stage != Post || s.ControlMode != 1 {
		t.Errorf("%+v", s)
	}
	if got, _ := a.call(hostService, "Setup", password); got != 2 {
		t.Errorf("again: %d", got)
	}
	a.s.User = "admin"
	if got, _ := a.call(setupService, "SetMEBxPassword", arg("Password", testPassword)); got != 16 {
		t.Errorf("MEBx password in client control mode: %d", got)
	}
	a.must(hostService, "AddNextCertInChain", next(leaf, true, false))
	a.must(hostService, "AddNextCertInChain", next(root, false, true))
	a.must(hostService, "UpgradeClientToAdmin", sign(a))
	if s := a.e.State(); s.ControlMode != 2 {
		t.Errorf("%+v", s)
	}

	cfg.Hashes = nil
	a = local()
	a.must(hostService, "AddNextCertInChain", next(leaf, true, false))
	if got, _ := a.call(hostService, "AddNextCertInChain", next(root, false, true)); got != 4 {
		t.Errorf("root that is not active: %d", got)
	}
}

// TestSmall: a process holds tens of thousands of clients.
func TestSmall(t *testing.T) {
	const n = 5000
	cfg := testConfig(t, "9.0")
	before := heap()
	all := make([]*Engine, n)
	for i := range all {
		all[i] = New(cfg)
	}
	each := (heap() - before) / n
	t.Logf("%d bytes for a client", each)
	if each > 4096 {
		t.Errorf("a client takes %d bytes", each)
	}
	runtime.KeepAlive(all)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestAtOnce asks from many sides at the same time; the race detector watches.
func TestAtOnce(t *testing.T) {
	cfg := withStage(testConfig(t, "9.0"), Post)
	var mu sync.Mutex
	seen := 0
	cfg.OnChange = func(Change) {
		mu.Lock()
		seen++
		mu.Unlock()
	}
	cfg.Keys = func(int) (*rsa.PrivateKey, error) { return poolKey(t, 0), nil }
	e := New(cfg)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			a := newAsker(t, e)
			for i := range 20 {
				switch (g + i) % 5 {
				case 0:
					a.all("CIM_SoftwareIdentity")
				case 1:
					a.put("AMT_GeneralSettings", "", arg("HostName", fmt.Sprintf("pc%d-%d", g, i)))
				case 2:
					if _, err := e.Certificate(); err != nil {
						t.Error(err)
					}
				case 3:
					a.call("AMT_PublicKeyManagementService", "GenerateKeyPair", arg("KeyAlgorithm", "0")+arg("KeyLength", "2048"))
				case 4:
					e.State()
					e.Digest("admin")
				}
			}
		})
	}
	wg.Wait()
	if seen == 0 {
		t.Error("no change was told")
	}
}
