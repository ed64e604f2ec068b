package engine

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"testing"
	"time"

	"amtmedic/amt"
)

// sign makes a certificate for a DERKey as the firmware gave it, with a root of the test.
func sign(t testing.TB, derKey string) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(derKey)
	if err != nil {
		t.Fatal(err)
	}
	pub, err := x509.ParsePKCS1PublicKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(certFor(t, pub, poolKey(t, 2), "IntelAMT-test", false))
}

func certFor(t testing.TB, pub *rsa.PublicKey, signer *rsa.PrivateKey, name string, ca bool) []byte {
	t.Helper()
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test root"}, NotBefore: testNow.Add(-time.Hour), NotAfter: testNow.Add(24 * time.Hour)}
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name, Organization: []string{"MeshCentral"}, Country: []string{"MC"}},
		NotBefore: testNow.Add(-time.Hour), NotAfter: testNow.Add(24 * time.Hour), IsCA: ca, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, root, pub, signer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func meshContext(certID string) string {
	return `<g:AMT_TLSCredentialContext xmlns:g="` + uriOf("AMT_TLSCredentialContext") + `"><g:ElementInContext><a:Address>/wsman</a:Address><a:ReferenceParameters><w:ResourceURI>` +
		uriOf("AMT_PublicKeyCertificate") + `</w:ResourceURI><w:SelectorSet><w:Selector Name="InstanceID">` + certID + `</w:Selector></w:SelectorSet></a:ReferenceParameters></g:ElementInContext>` +
		`<g:ElementProvidingContext><a:Address>/wsman</a:Address><a:ReferenceParameters><w:ResourceURI>` + uriOf("AMT_TLSProtocolEndpointCollection") +
		`</w:ResourceURI><w:SelectorSet><w:Selector Name="ElementName">TLSProtocolEndpointInstances Collection</w:Selector></w:SelectorSet></a:ReferenceParameters></g:ElementProvidingContext></g:AMT_TLSCredentialContext>`
}

func selectorOf(n *node) string {
	return n.kid("ReferenceParameters").kid("SelectorSet").value("Selector")
}

// fillStore makes a key, a certificate for it, a context and two users. It gives answers to compare, by
// the recorded file.
func fillStore(a *asker) map[string]*node {
	t := a.t
	t.Helper()
	out := map[string]*node{}
	pair := a.must("AMT_PublicKeyManagementService", "GenerateKeyPair", arg("KeyAlgorithm", "0")+arg("KeyLength", "2048"))
	out["amt/publickey/management/generatekeypair.xml"] = pair
	der := a.all("AMT_PublicPrivateKeyPair")[0].value("DERKey")
	added := a.must("AMT_PublicKeyManagementService", "AddCertificate", arg("CertificateBlob", sign(t, der)))
	out["amt/publickey/management/addcertificate.xml"] = added
	root := base64.StdEncoding.EncodeToString(certFor(t, &poolKey(t, 2).PublicKey, poolKey(t, 2), "Test root", true))
	out["amt/publickey/management/addtrustedrootcertificate.xml"] = a.must("AMT_PublicKeyManagementService", "AddTrustedRootCertificate", arg("CertificateBlob", root))
	ans, n := a.ask(actCreate, "AMT_TLSCredentialContext", "", meshContext(selectorOf(added.kid("CreatedCertificate"))))
	if ans.Status != 200 {
		t.Fatalf("Create: %d %s", ans.Status, ans.Body)
	}
	out["amt/tls/credentialcontext/create.xml"] = n
	for _, u := range []string{"operator", "helper"} {
		a.must("AMT_AuthorizationService", "AddUserAclEntryEx", arg("DigestUsername", u)+arg("DigestPassword", "/XiYeOgM0Edl+SStYe2Wvw==")+arg("AccessPermission", "2")+arg("Realms", "5"))
	}
	return out
}

// TestMeshCentralActivation plays the calls of MeshCentral 1.1.55 in their order and form
// (peer-activation.md), over a session that a provisioning certificate opened.
func TestMeshCentralActivation(t *testing.T) {
	var changes []Change
	cfg := testConfig(t, "9.1.2")
	cfg.ClockOff = -time.Hour
	cfg.OnChange = func(c Change) { changes = append(changes, c) }
	e := New(cfg)
	a := newAsker(t, e)
	a.s = Session{Secure: true, Setup: true, Certificate: true}

	realm := a.get("AMT_GeneralSettings").value("DigestRealm")
	if realm != e.Realm() || len(realm) != len("Digest:")+32 {
		t.Errorf("realm %q", realm)
	}
	version := ""
	for _, i := range a.all("CIM_SoftwareIdentity") {
		if i.value("InstanceID") == "AMT" {
			version = i.value("VersionString")
		}
	}
	if version != "9.1.2" {
		t.Errorf("version %q", version)
	}
	if s := a.get("AMT_SetupAndConfigurationService"); s.value("ProvisioningState") != "1" {
		t.Errorf("state %s", s.value("ProvisioningState"))
	}
	a.must("AMT_SetupAndConfigurationService", "SetMEBxPassword", arg("Password", "P@ssw0rd1"))
	ha1 := digestOf("admin", realm, "N3w.Secret")
	a.must("AMT_AuthorizationService", "SetAdminAclEntryEx", arg("Username", "admin")+arg("DigestPassword", ha1))
	ta0 := atoi(a.must("AMT_TimeSynchronizationService", "GetLowAccuracyTimeSynch", "").value("Ta0"))
	if int64(ta0) != testNow.Add(-time.Hour).Unix() {
		t.Errorf("Ta0 %d", ta0)
	}
	now := itoa(int(testNow.Unix()))
	a.must("AMT_TimeSynchronizationService", "SetHighAccuracyTimeSynch", arg("Ta0", itoa(ta0))+arg("Tm1", now)+arg("Tm2", now))
	if got := a.must("AMT_TimeSynchronizationService", "GetLowAccuracyTimeSynch", "").value("Ta0"); got != now {
		t.Errorf("the clock is %s after the synchronisation, not %s", got, now)
	}
	for class, n := range map[string]int{"AMT_PublicKeyCertificate": 0, "AMT_PublicPrivateKeyPair": 0, "AMT_TLSSettingData": 2, "AMT_TLSCredentialContext": 0} {
		if got := len(a.all(class)); got != n {
			t.Errorf("%d of %s, not %d", got, class, n)
		}
	}
	pair := a.must("AMT_PublicKeyManagementService", "GenerateKeyPair", arg("KeyAlgorithm", "0")+arg("KeyLength", "2048"))
	keys := a.all("AMT_PublicPrivateKeyPair")
	if len(keys) != 1 || keys[0].value("InstanceID") != selectorOf(pair.kid("KeyPair")) {
		t.Fatalf("%d keys", len(keys))
	}
	added := a.must("AMT_PublicKeyManagementService", "AddCertificate", arg("CertificateBlob", sign(t, keys[0].value("DERKey"))))
	if ans, _ := a.ask(actCreate, "AMT_TLSCredentialContext", "", meshContext(selectorOf(added.kid("CreatedCertificate")))); ans.Status != 200 {
		t.Fatalf("Create: %s", ans.Body)
	}
	if ans := a.put("AMT_TLSSettingData", selectRemote, arg("AcceptNonSecureConnections", "true")+arg("ElementName", tlsRemote)+arg("Enabled", "true")+
		arg("InstanceID", tlsRemote)+arg("MutualAuthentication", "false")); ans.Status != 200 {
		t.Fatalf("Put: %s", ans.Body)
	}
	if s := e.State(); s.Stage != In || s.Plain {
		t.Errorf("before the commit: %+v", s)
	}
	a.must("AMT_SetupAndConfigurationService", "CommitChanges", "")

	if s := e.State(); s.Stage != Post || s.ControlMode != 2 || !s.TLS || !s.Plain || s.Mutual {
		t.Errorf("after the commit: %+v", s)
	}
	if cert, err := e.Certificate(); err != nil || len(cert.Certificate) != 1 {
		t.Error(err)
	} else if p, err := x509.ParseCertificate(cert.Certificate[0]); err != nil || p.Subject.CommonName != "IntelAMT-test" {
		t.Errorf("shows %v", p.Subject)
	}
	// The session that needed no log-in needs one now; the new password is the one that holds.
	if ans := a.post(a.message(actGet, "AMT_GeneralSettings", "", "")); ans.Status != 401 {
		t.Errorf("after the commit a session without log-in is answered with %d", ans.Status)
	}
	if got, ok := e.Digest("admin"); !ok || got != ha1 {
		t.Errorf("digest %q", got)
	}
	a.s = Session{Secure: true, User: "admin"}
	if mode := a.get("IPS_HostBasedSetupService").value("CurrentControlMode"); mode != "2" {
		t.Errorf("control mode %s", mode)
	}
	var kinds []ChangeKind
	for _, c := range changes {
		kinds = append(kinds, c.Kind)
	}
	if n := len(changes); n == 0 || changes[n-1].Kind != ChangeStage || changes[n-1].State.Stage != Post {
		t.Errorf("changes %v", kinds)
	}
}

// TestPasswordForms: both forms of the digest that public clients send give the same log-in.
func TestPasswordForms(t *testing.T) {
	cfg := testConfig(t, "9.0")
	cfg.Realm = "Digest:BA870000000000000000000000000000"
	for _, form := range []string{"/XiYeOgM0Edl+SStYe2Wvw==", "fd789878e80cd04765f924ad61ed96bf"} { // provisioning-protocol 3.4
		e := New(cfg)
		newAsker(t, e).must("AMT_AuthorizationService", "SetAdminAclEntryEx", arg("Username", "admin")+arg("DigestPassword", form))
		if got, _ := e.Digest("admin"); got != "fd789878e80cd04765f924ad61ed96bf" {
			t.Errorf("%s gives %s", form, got)
		}
	}
	if got := digestOf("admin", cfg.Realm, "P@ssw0rd1"); got != "fd789878e80cd04765f924ad61ed96bf" {
		t.Errorf("digest %s", got)
	}
	cfg.Password = amt.NewSecret("P@ssw0rd1")
	if got, _ := New(cfg).Digest("admin"); got != "fd789878e80cd04765f924ad61ed96bf" {
		t.Errorf("configured: %s", got)
	}
}
