package device

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"reflect"
	"strings"
	"sync"
	"testing"

	"amtmedic/amt/wsman"
)

var testKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// hostReplay answers as recorded firmware, with a control mode and the modes that are allowed.
func hostReplay(t *testing.T, mode string, over map[string]string) *replay {
	t.Helper()
	text := strings.ReplaceAll(recorded(t, "ips", "hostbasedsetup", "get.xml"), "<g:CurrentControlMode>2<", "<g:CurrentControlMode>"+mode+"<")
	files := map[string]string{"IPS_HostBasedSetupService.Get": "text:" + text}
	for k, v := range over {
		files[k] = v
	}
	return newReplay(t, files)
}

func TestSetupClient(t *testing.T) {
	r := hostReplay(t, "0", nil)
	d := r.device(t)
	if err := d.(HostBased).SetupClient(testContext(t), admin("P@ssw0rd")); err != nil {
		t.Fatal(err)
	}
	sent := r.asked[len(r.asked)-1]
	sum := ha1("Digest:F3EB554784E729164447A89F60B641C5", "P@ssw0rd")
	if sent.Local != "Setup_INPUT" || sent.Value("NetAdminPassEncryptionType") != "2" || sent.Value("NetworkAdminPassword") != hex.EncodeToString(sum) {
		t.Errorf("sent %+v", sent)
	}
}

// The chain goes leaf first, and the signature is over the firmware's nonce followed by ours
// (provisioning-protocol 3.5).
func TestSetupAdmin(t *testing.T) {
	r := hostReplay(t, "0", nil)
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	chain := [][]byte{[]byte("leaf"), []byte("middle"), []byte("root")}
	if err := r.device(t).(HostBased).SetupAdmin(testContext(t), admin("P@ssw0rd"), Chain{Certificates: chain, Key: key}); err != nil {
		t.Fatal(err)
	}
	var flags []string
	var setup *wsman.Node
	for _, n := range r.asked {
		switch {
		case n == nil:
		case n.Local == "AddNextCertInChain_INPUT":
			der, _ := base64.StdEncoding.DecodeString(n.Value("NextCertificate"))
			flags = append(flags, string(der)+" "+n.Value("IsLeafCertificate")+" "+n.Value("IsRootCertificate"))
		case n.Local == "AdminSetup_INPUT":
			setup = n
		}
	}
	if !reflect.DeepEqual(flags, []string{"leaf true false", "middle false false", "root false true"}) {
		t.Errorf("chain %v", flags)
	}
	theirs, _ := hex.DecodeString("e0fdec63bb309618e48493710e4101214726a471") // of the recorded answer
	ours, err1 := base64.StdEncoding.DecodeString(setup.Value("McNonce"))
	signature, err2 := base64.StdEncoding.DecodeString(setup.Value("DigitalSignature"))
	sum := sha256.Sum256(append(theirs, ours...))
	if err1 != nil || err2 != nil || len(ours) != 20 || setup.Value("SigningAlgorithm") != "2" || rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		t.Errorf("sent %+v", setup)
	}
}

func TestHostBasedRefusals(t *testing.T) {
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	who := admin("P@ssw0rd")
	chain := Chain{Certificates: [][]byte{[]byte("leaf"), []byte("root")}, Key: key}
	refused := func(method, code string) map[string]string {
		text := strings.ReplaceAll(output(wsman.ClassHost, method, ""), "<g:ReturnValue>0<", "<g:ReturnValue>"+code+"<")
		return map[string]string{wsman.ClassHost + "." + method: text}
	}
	cases := map[string]struct {
		mode string
		over map[string]string
		do   func(HostBased) error
		kind Kind
		text string
	}{
		"client control already": {"1", nil, func(h HostBased) error { return h.SetupClient(testContext(t), who) }, "", ""},
		"admin control already":  {"2", nil, func(h HostBased) error { return h.SetupAdmin(testContext(t), who, chain) }, "", ""},
		"another mode already":   {"2", nil, func(h HostBased) error { return h.SetupClient(testContext(t), who) }, KindState, "set up already"},
		"no key": {"0", nil, func(h HostBased) error {
			return h.SetupAdmin(testContext(t), who, Chain{Certificates: chain.Certificates})
		}, KindLocal, "no key"},
		"leaf without root": {"0", nil, func(h HostBased) error {
			return h.SetupAdmin(testContext(t), who, Chain{Certificates: chain.Certificates[:1], Key: key})
		}, KindLocal, "root"},
		"disabled":      {"0", refused("Setup", "4"), func(h HostBased) error { return h.SetupClient(testContext(t), who) }, KindReturn, "METHOD_DISABLED"},
		"bad chain":     {"0", refused("AddNextCertInChain", "4"), func(h HostBased) error { return h.SetupAdmin(testContext(t), who, chain) }, KindReturn, "certificate 1 of 2: "},
		"bad signature": {"0", refused("AdminSetup", "5"), func(h HostBased) error { return h.SetupAdmin(testContext(t), who, chain) }, KindReturn, "AUTH_FAILED"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := hostReplay(t, c.mode, c.over)
			err := c.do(r.device(t).(HostBased))
			if KindOf(err) != c.kind || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
			if c.kind == "" && len(r.ops) != 1 {
				t.Errorf("asked %v", r.ops)
			}
		})
	}
}
