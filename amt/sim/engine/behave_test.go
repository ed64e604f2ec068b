package engine

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// setupSession is a session in which an accepted provisioning certificate stands for the log-in.
var setupSession = Session{Secure: true, Setup: true, Certificate: true}

// pskSession is one that a pair opened, with the user logged in.
var pskSession = Session{Secure: true, Setup: true, User: "admin"}

const setupService = "AMT_SetupAndConfigurationService"

func TestReturnValues(t *testing.T) {
	pair := keys.Pair{PID: "4KRG65QT", PPS: amt.NewSecret("")}
	for i := range 8 { // groups of three and their check character
		g := string(rune('A'+i)) + "B1"
		pair.PPS = amt.NewSecret(pair.PPS.Reveal() + g + string(keys.CheckChar(g)))
	}
	pair.PID = amt.PID("ABCDEF1" + string(keys.CheckChar("ABCDEF1")))
	good := arg("PID", string(pair.PID)) + arg("PPS", pair.PPS.Reveal())
	for _, c := range []struct {
		name, version string
		stage         Stage
		s             Session
		change        func(*Config)
		class, method string
		args          string
		want          int
	}{
		{"MEBx in PKI setup", "9.0", In, setupSession, nil, setupService, "SetMEBxPassword", arg("Password", testPassword), 0},
		{"MEBx weak", "9.0", In, setupSession, nil, setupService, "SetMEBxPassword", arg("Password", "password"), 2054},
		{"MEBx empty", "9.0", In, setupSession, nil, setupService, "SetMEBxPassword", "", 2054},
		{"MEBx already changed", "9.0", In, setupSession, func(c *Config) { c.MEBxChanged = true }, setupService, "SetMEBxPassword", arg("Password", testPassword), 16},
		{"MEBx in PSK setup", "3.2.1", In, pskSession, nil, setupService, "SetMEBxPassword", arg("Password", testPassword), 16},
		{"MEBx in PSK setup, policy during setup", "3.2.1", In, pskSession, func(c *Config) { c.MEBx = MEBxDuringSetup }, setupService, "SetMEBxPassword", arg("Password", testPassword), 0},
		{"MEBx after setup", "9.0", Post, pskSession, nil, setupService, "SetMEBxPassword", arg("Password", testPassword), 16},
		{"MEBx after setup, policy anytime", "9.0", Post, pskSession, func(c *Config) { c.MEBx = MEBxAnytime }, setupService, "SetMEBxPassword", arg("Password", testPassword), 0},

		{"commit with factory password", "9.0", In, setupSession, nil, setupService, "CommitChanges", "", 2057},
		{"commit before setup", "9.0", Pre, pskSession, nil, setupService, "CommitChanges", "", 32},
		{"commit again", "9.0", Post, pskSession, nil, setupService, "CommitChanges", "", 0},

		{"unprovision current", "9.0", Post, pskSession, nil, setupService, "Unprovision", arg("ProvisioningMode", "0"), 0},
		{"unprovision enterprise", "9.0", Post, pskSession, nil, setupService, "Unprovision", arg("ProvisioningMode", "1"), 0},
		{"unprovision mode 4", "9.0", Post, pskSession, nil, setupService, "Unprovision", arg("ProvisioningMode", "4"), 36},
		{"unprovision without mode", "9.0", Post, pskSession, nil, setupService, "Unprovision", "", 36},
		{"unprovision before setup", "9.0", Pre, pskSession, nil, setupService, "Unprovision", arg("ProvisioningMode", "1"), 16},
		{"partial", "9.0", Post, pskSession, nil, setupService, "PartialUnprovision", "", 0},

		{"extend", "9.0", In, setupSession, nil, setupService, "ExtendProvisioningPeriod", arg("Duration", "6"), 0},
		{"extend too long", "9.0", In, setupSession, nil, setupService, "ExtendProvisioningPeriod", arg("Duration", "25"), 36},
		{"extend after setup", "9.0", Post, pskSession, nil, setupService, "ExtendProvisioningPeriod", arg("Duration", "6"), 16},

		{"pair", "3.2.1", In, pskSession, nil, setupService, "SetTLSPSK", good, 0},
		{"pair, PID check character", "3.2.1", In, pskSession, nil, setupService, "SetTLSPSK", strings.Replace(good, "ABCDEF1", "ABCDEF2", 1), 42},
		{"pair, short PID", "3.2.1", In, pskSession, nil, setupService, "SetTLSPSK", arg("PID", "ABC"), 42},
		{"pair, PPS", "3.2.1", In, pskSession, nil, setupService, "SetTLSPSK", arg("PID", string(pair.PID)) + arg("PPS", strings.Repeat("A", 32)), 43},
		{"pair from 11.0", "11.0", In, pskSession, nil, setupService, "SetTLSPSK", good, -400},

		{"clock parameter", "9.0", In, setupSession, nil, "AMT_TimeSynchronizationService", "SetHighAccuracyTimeSynch", arg("Ta0", "x"), 36},
		{"clock runs back", "9.0", In, setupSession, nil, "AMT_TimeSynchronizationService", "SetHighAccuracyTimeSynch", arg("Ta0", "100") + arg("Tm1", "50") + arg("Tm2", "40"), 34},

		{"digest of wrong length", "9.0", In, setupSession, nil, "AMT_AuthorizationService", "SetAdminAclEntryEx", arg("Username", "admin") + arg("DigestPassword", "AAAA"), 36},
		{"no user", "9.0", In, setupSession, nil, "AMT_AuthorizationService", "SetAdminAclEntryEx", arg("DigestPassword", "/XiYeOgM0Edl+SStYe2Wvw=="), 36},
		{"no entry", "9.0", Post, pskSession, nil, "AMT_AuthorizationService", "RemoveUserAclEntry", arg("Handle", "7"), 2053},
		{"index of nobody", "9.0", Post, pskSession, nil, "AMT_AuthorizationService", "EnumerateUserAclEntries", arg("StartIndex", "2"), 35},

		{"certificate that is none", "9.0", In, setupSession, nil, "AMT_PublicKeyManagementService", "AddCertificate", arg("CertificateBlob", "AAAA"), 2063},
		{"certificate that is no base64", "9.0", In, setupSession, nil, "AMT_PublicKeyManagementService", "AddCertificate", arg("CertificateBlob", "!"), 36},
		{"key that is none", "9.0", In, setupSession, nil, "AMT_PublicKeyManagementService", "AddKey", arg("KeyBlob", "AAAA"), 2062},
		{"key length", "9.0", In, setupSession, nil, "AMT_PublicKeyManagementService", "GenerateKeyPair", arg("KeyAlgorithm", "0") + arg("KeyLength", "77"), 36},

		{"power state", "9.0", Post, pskSession, nil, "CIM_PowerManagementService", "RequestPowerStateChange", arg("PowerState", "77"), 5},
		{"host based setup over the network", "9.0", In, pskSession, nil, "IPS_HostBasedSetupService", "Setup", "", -400},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := withStage(testConfig(t, c.version), c.stage)
			if c.change != nil {
				c.change(&cfg)
			}
			a := newAsker(t, New(cfg))
			a.s = c.s
			if got, _ := a.call(c.class, c.method, c.args); got != c.want {
				t.Errorf("gives %d, not %d", got, c.want)
			}
		})
	}
}

// TestCommitNeeds: what is missing at the commit, step by step, on old firmware with a pair and new
// firmware with a certificate.
func TestCommitNeeds(t *testing.T) {
	digest := arg("Username", "admin") + arg("DigestPassword", "/XiYeOgM0Edl+SStYe2Wvw==")
	clock := arg("Ta0", itoa(int(testNow.Unix()))) + arg("Tm1", itoa(int(testNow.Unix()))) + arg("Tm2", itoa(int(testNow.Unix())))
	commit := func(a *asker, want int) {
		t.Helper()
		if got, _ := a.call(setupService, "CommitChanges", ""); got != want {
			t.Errorf("commit gives %d, not %d", got, want)
		}
	}
	old := newAsker(t, New(testConfig(t, "3.2.1")))
	old.s = pskSession
	commit(old, 2057)
	old.must("AMT_AuthorizationService", "SetAdminAclEntryEx", digest)
	commit(old, 2057)
	if ans := old.put("AMT_GeneralSettings", "", arg("HostName", "pc17")+arg("DomainName", "example.com")); ans.Status != 200 {
		t.Fatal(ans.Status)
	}
	commit(old, 2057)
	old.must("AMT_TimeSynchronizationService", "SetHighAccuracyTimeSynch", clock)
	commit(old, 0)
	if s := old.e.State(); s.Stage != Post || !s.Plain || s.TLS || s.Host != "pc17" || s.Domain != "example.com" {
		t.Errorf("%+v", s)
	}

	late := newAsker(t, New(testConfig(t, "9.0")))
	late.s = setupSession
	late.must("AMT_AuthorizationService", "SetAdminAclEntryEx", digest)
	commit(late, 2057) // the MEBx password is the factory's
	late.must(setupService, "SetMEBxPassword", arg("Password", testPassword))
	commit(late, 0)
}

func TestTakingBack(t *testing.T) {
	for _, partial := range []bool{false, true} {
		cfg := withStage(testConfig(t, "9.0"), Post)
		cfg.Password, cfg.Host, cfg.Domain = amt.NewSecret(testPassword), "pc17", "example.com"
		cfg.PID, cfg.PPS, cfg.MEBxChanged = "ABCDEF1K", amt.NewSecret("x"), true
		var last Change
		cfg.OnChange = func(c Change) { last = c }
		e := New(cfg)
		a := newAsker(t, e)
		fillStore(a)
		ha1, _ := e.Digest("admin")
		ans := Answer{}
		if partial {
			ans, _ = a.ask(uriOf(setupService)+"/PartialUnprovision", setupService, "", "")
		} else {
			ans, _ = a.ask(uriOf(setupService)+"/Unprovision", setupService, "", "<r:Unprovision_INPUT xmlns:r=\""+uriOf(setupService)+"\">"+arg("ProvisioningMode", "1")+"</r:Unprovision_INPUT>")
		}
		if ans.Status != 200 || ans.Return != 0 || ans.Do != Restart {
			t.Fatalf("%d %d %v", ans.Status, ans.Return, ans.Do)
		}
		s := e.State()
		now, _ := e.Digest("admin")
		if len(a.e.st.certs) != 0 || len(a.e.st.users) != 0 || a.e.st.context != -1 || s.ControlMode != 0 {
			t.Error("certificates, users or TLS are still there")
		}
		if !e.st.mebx {
			t.Error("the MEBx password went back: it stays")
		}
		if last.Kind != ChangeStage || last.Partial != partial {
			t.Errorf("change %+v", last)
		}
		if partial && (s.Stage != In || now != ha1 || s.Host != "pc17" || s.Domain != "example.com" || s.PID != cfg.PID || !s.PPS.Equal(cfg.PPS)) {
			t.Errorf("partial: %+v", s)
		}
		if !partial && (s.Stage != Pre || now != digestOf("admin", e.Realm(), FactoryPassword) || s.Host != "" || s.PID != "" || s.TLS || s.Plain) {
			t.Errorf("full: %+v", s)
		}
	}
}

func TestMutualTLS(t *testing.T) {
	e := New(withStage(testConfig(t, "9.0"), Post))
	a := newAsker(t, e)
	mutual := arg("Enabled", "true") + arg("MutualAuthentication", "true") + arg("AcceptNonSecureConnections", "false") + arg("TrustedCN", "server.example.com")
	if ans := a.put("AMT_TLSSettingData", selectRemote, mutual); detail(ans) != "AMT-STATUS 2060" || ans.Status != 500 {
		t.Errorf("TLS without a certificate: %d %s", ans.Status, ans.Body)
	}
	fillStore(a)
	if ans := a.put("AMT_TLSSettingData", selectRemote, mutual); ans.Status != 200 {
		t.Fatalf("%s", ans.Body)
	}
	if s := e.State(); s.TLS || !s.Plain {
		t.Errorf("in force before the commit: %+v", s)
	}
	a.must(setupService, "CommitChanges", "")
	s := e.State()
	if !s.TLS || s.Plain || !s.Mutual || len(s.Roots) != 1 || len(s.TrustedCNs) != 1 {
		t.Errorf("%+v", s)
	}
	if root, err := x509.ParseCertificate(s.Roots[0]); err != nil || root.Subject.CommonName != "Test root" {
		t.Error(err)
	}
	// Names of trusted callers need no commit.
	if ans := a.put("AMT_TLSSettingData", selectRemote, arg("TrustedCN", "a.example.com")+arg("TrustedCN", "b.example.com")); ans.Status != 200 {
		t.Fatalf("%s", ans.Body)
	}
	if s := e.State(); len(s.TrustedCNs) != 2 || s.TrustedCNs[1] != "b.example.com" {
		t.Errorf("%v", s.TrustedCNs)
	}
	// In use: can be neither deleted nor added to.
	ans, _ := a.ask(actDelete, "AMT_PublicKeyCertificate", `<w:SelectorSet><w:Selector Name="InstanceID">`+certID+`0</w:Selector></w:SelectorSet>`, "")
	if detail(ans) != "AMT-STATUS 16" {
		t.Errorf("delete of the certificate in use: %s", ans.Body)
	}
	ans, _ = a.ask(actDelete, "AMT_PublicKeyCertificate", `<w:SelectorSet><w:Selector Name="InstanceID">`+certID+`1</w:Selector></w:SelectorSet>`, "")
	if ans.Status != 200 || len(a.all("AMT_PublicKeyCertificate")) != 1 {
		t.Errorf("delete of the root: %s", ans.Body)
	}
}

func TestKeys(t *testing.T) {
	now := testNow
	cfg := withStage(testConfig(t, "9.0"), Post)
	cfg.KeyDelay = 30 * time.Second
	cfg.Now = func() time.Time { return now }
	e := New(cfg)
	a := newAsker(t, e)
	generate := func() (int, *node) {
		return a.call("AMT_PublicKeyManagementService", "GenerateKeyPair", arg("KeyAlgorithm", "0")+arg("KeyLength", "2048"))
	}
	for range 2 {
		if code, _ := generate(); code != -500 {
			t.Fatalf("not ready gives %d", code)
		}
		now = now.Add(15 * time.Second)
	}
	code, n := generate()
	if code != 0 {
		t.Fatalf("ready gives %d", code)
	}
	// The request that the firmware signs holds, under the key that it told.
	key := poolKey(t, 0)
	der, err := x509.CreateCertificateRequest(nil, &x509.CertificateRequest{SignatureAlgorithm: x509.SHA256WithRSA}, key)
	if err != nil {
		t.Fatal(err)
	}
	der[len(der)-1] ^= 1
	if r, err := x509.ParseCertificateRequest(der); err != nil || r.CheckSignature() == nil {
		t.Fatal("the request that is to be signed holds already")
	}
	ref := `<a:Address>/wsman</a:Address><a:ReferenceParameters><w:ResourceURI>` + uriOf("AMT_PublicPrivateKeyPair") + `</w:ResourceURI><w:SelectorSet><w:Selector Name="InstanceID">` +
		selectorOf(n.kid("KeyPair")) + `</w:Selector></w:SelectorSet></a:ReferenceParameters>`
	out := a.must("AMT_PublicKeyManagementService", "GeneratePKCS10RequestEx", arg("KeyPair", ref)+arg("SigningAlgorithm", "1")+
		arg("NullSignedCertificateRequest", base64.StdEncoding.EncodeToString(der)))
	signed, err := base64.StdEncoding.DecodeString(out.value("SignedCertificateRequest"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := x509.ParseCertificateRequest(signed); err != nil || r.CheckSignature() != nil {
		t.Errorf("the signed request does not hold: %v", errors.Join(err, r.CheckSignature()))
	}
	// A key of the caller, twice.
	blob := arg("KeyBlob", base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(poolKey(t, 1))))
	a.must("AMT_PublicKeyManagementService", "AddKey", blob)
	if code, _ := a.call("AMT_PublicKeyManagementService", "AddKey", blob); code != 2058 {
		t.Errorf("the same key again gives %d", code)
	}
	cert := arg("CertificateBlob", base64.StdEncoding.EncodeToString(certFor(t, &poolKey(t, 1).PublicKey, poolKey(t, 2), "x", false)))
	a.must("AMT_PublicKeyManagementService", "AddCertificate", cert)
	if code, _ := a.call("AMT_PublicKeyManagementService", "AddCertificate", cert); code != 2058 {
		t.Errorf("the same certificate again gives %d", code)
	}
}

func TestUsers(t *testing.T) {
	e := New(withStage(testConfig(t, "9.0"), Post))
	a := newAsker(t, e)
	fillStore(a)
	reset := func() Answer {
		ans, _ := a.ask(uriOf("CIM_PowerManagementService")+"/RequestPowerStateChange", "CIM_PowerManagementService", "", `<r:RequestPowerStateChange_INPUT xmlns:r="`+uriOf("CIM_PowerManagementService")+`">`+
			arg("PowerState", "8")+arg("ManagedElement", `<a:Address>x</a:Address><a:ReferenceParameters><w:ResourceURI>`+uriOf("CIM_ComputerSystem")+
			`</w:ResourceURI><w:SelectorSet><w:Selector Name="CreationClassName">CIM_ComputerSystem</w:Selector><w:Selector Name="Name">ManagedSystem</w:Selector></w:SelectorSet></a:ReferenceParameters>`)+
			`</r:RequestPowerStateChange_INPUT>`)
		return ans
	}
	a.s.User = "operator" // remote control only
	if ans := reset(); ans.Status != 200 || ans.Return != 0 || e.st.power != 8 {
		t.Errorf("power: %d %s", ans.Status, ans.Body)
	}
	if got, _ := a.call(setupService, "CommitChanges", ""); got != -400 {
		t.Errorf("commit gives %d", got)
	}
	if got := a.get("CIM_AssociatedPowerManagementService").value("PowerState"); got != "8" {
		t.Errorf("power state %s", got)
	}
	a.s.User = "nobody"
	if ans := a.post(a.message(actGet, "AMT_GeneralSettings", "", "")); ans.Status != 401 {
		t.Errorf("nobody is answered with %d", ans.Status)
	}
	a.s.User = "admin"
	a.must("AMT_AuthorizationService", "SetAclEnabledState", arg("Handle", "1")+arg("Enabled", "false"))
	if _, ok := e.Digest("operator"); ok {
		t.Error("a disabled user may log in")
	}
	for _, c := range []struct {
		args string
		want int
	}{
		{arg("DigestUsername", "admin") + arg("DigestPassword", "/XiYeOgM0Edl+SStYe2Wvw==") + arg("AccessPermission", "2"), 2058},
		{arg("DigestUsername", "a b") + arg("DigestPassword", "/XiYeOgM0Edl+SStYe2Wvw==") + arg("AccessPermission", "2"), 36},
		{arg("DigestUsername", "u") + arg("DigestPassword", "/XiYeOgM0Edl+SStYe2Wvw==") + arg("AccessPermission", "3"), 36},
		{arg("DigestUsername", "u") + arg("DigestPassword", "/XiYeOgM0Edl+SStYe2Wvw==") + arg("AccessPermission", "2") + arg("Realms", "99"), 36},
		{arg("KerberosUserSid", "AQUAAAAAAAUVAAAA") + arg("AccessPermission", "2") + arg("Realms", "3"), 0},
		{arg("AccessPermission", "2"), 36},
	} {
		if got, _ := a.call("AMT_AuthorizationService", "AddUserAclEntryEx", c.args); got != c.want {
			t.Errorf("%s gives %d, not %d", c.args, got, c.want)
		}
	}
	a.must("AMT_AuthorizationService", "UpdateUserAclEntryEx", arg("Handle", "2")+arg("DigestUsername", "chief")+arg("DigestPassword", "/XiYeOgM0Edl+SStYe2Wvw==")+arg("AccessPermission", "2")+arg("Realms", "3"))
	a.s.User = "chief"
	a.must(setupService, "CommitChanges", "")
}
