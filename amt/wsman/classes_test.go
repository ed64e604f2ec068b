package wsman

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"path/filepath"
	"reflect"
	"testing"
)

func recordedAnswer(t *testing.T, parts ...string) *Answer {
	t.Helper()
	return parseFile(t, filepath.Join(append([]string{recorded(t)}, parts...)...))
}

func instance(t *testing.T, class string, parts ...string) *Node {
	t.Helper()
	n, err := recordedAnswer(t, parts...).Instance(class)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func output(t *testing.T, class, method string, parts ...string) *Node {
	t.Helper()
	n, err := recordedAnswer(t, parts...).Output(class, method)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func items(t *testing.T, parts ...string) []Node {
	t.Helper()
	all, next, err := recordedAnswer(t, parts...).Pulled()
	if err != nil || next != "" {
		t.Fatalf("next %q, %v", next, err)
	}
	return all
}

func TestRecordedSetup(t *testing.T) {
	s, err := ReadSetup(instance(t, ClassSetup, "amt", "setupandconfiguration", "get.xml"))
	if err != nil || s.ProvisioningState != 2 || s.ProvisioningMode != 1 || s.PasswordModel != 1 || !s.ZeroTouch || s.OTP != nil {
		t.Errorf("%+v, %v", s, err)
	}
	if v := output(t, ClassSetup, "GetUuid", "amt", "setupandconfiguration", "getuuid.xml").Value("UUID"); v != "E67jVdK/u2EXoIiu3XA36g==" {
		t.Errorf("UUID %s", v)
	}
	g := ReadGeneral(instance(t, ClassGeneral, "amt", "general", "get.xml"))
	if g.HostName != "Test Host Name" || g.DomainName != "Test Domain Name" || g.DigestRealm != "Digest:F3EB554784E729164447A89F60B641C5" || len(g.Node.Nodes) != 24 {
		t.Errorf("%+v", g)
	}
	if v, err := output(t, ClassTime, "GetLowAccuracyTimeSynch", "amt", "timesynchronization", "getlowaccuracytimesynch.xml").Int("Ta0"); v != 1704586865 || err != nil {
		t.Errorf("Ta0 %d, %v", v, err)
	}
	if v := Software(items(t, "cim", "software", "identity", "pull.xml")); v["AMT"] != "12.0.67" || v["Build Number"] != "1579" || len(v) != 11 {
		t.Errorf("%v", v)
	}
	if v := instance(t, ClassPackage, "cim", "computer", "systempackage", "get.xml").Value("PlatformGUID"); v != "13AEE355D2BFBB6117A088AEDD7037EA" {
		t.Errorf("PlatformGUID %s", v)
	}
}

func TestRecordedKeysAndCertificates(t *testing.T) {
	var keys []KeyPair
	pairs := items(t, "amt", "publicprivate", "pull.xml")
	for i := range pairs {
		k, err := ReadKeyPair(&pairs[i])
		if err != nil {
			t.Fatal(err)
		}
		if pub, err := x509.ParsePKCS1PublicKey(k.Key); err != nil || pub.N.BitLen() != 2048 {
			t.Errorf("%s: %v", k.ID, err)
		}
		keys = append(keys, k)
	}
	if len(keys) != 2 || keys[1].ID != "Intel(r) AMT Key: Handle: 1" || bytes.Equal(keys[0].Key, keys[1].Key) {
		t.Errorf("%d keys", len(keys))
	}
	certs := items(t, "amt", "publickey", "certificate", "pull.xml")
	for i, root := range []bool{true, false, true} {
		c, err := ReadCertificate(&certs[i])
		if err != nil || c.Root != root {
			t.Errorf("certificate %d: root %v, %v", i, c.Root, err)
		}
		if cert, err := x509.ParseCertificate(c.DER); i != 2 && (err != nil || cert.Subject.CommonName != "MPSRoot-0af1d5") { // the third was changed by hand
			t.Errorf("certificate %d: %v", i, err)
		}
	}
	ref, ok := ReadReference(output(t, ClassKeys, "GenerateKeyPair", "amt", "publickey", "management", "generatekeypair.xml").Child("KeyPair"))
	if !ok || ref.Resource != URI(ClassKeyPair) || ref.Key("InstanceID") != "Intel(r) AMT Key: Handle: 0" {
		t.Errorf("%+v", ref)
	}
	ref, ok = ReadReference(output(t, ClassKeys, "AddCertificate", "amt", "publickey", "management", "addcertificate.xml").Child("CreatedCertificate"))
	if !ok || ref.Key("InstanceID") != "Intel(r) AMT Certificate: Handle: 1" {
		t.Errorf("%+v", ref)
	}
}

func TestRecordedTLS(t *testing.T) {
	settings := items(t, "amt", "tls", "settingdata", "pull.xml")
	remote, err := ReadTLSSetting(&settings[0])
	if err != nil || remote.ID != TLSRemote || remote.Enabled || remote.Plain || remote.Mutual {
		t.Errorf("%+v, %v", remote, err)
	}
	local, err := ReadTLSSetting(&settings[1])
	if err != nil || local.ID != TLSLocal || !local.Plain {
		t.Errorf("%+v, %v", local, err)
	}
	contexts := items(t, "amt", "tls", "credentialcontext", "pull.xml")
	if id, err := ContextCertificate(&contexts[0]); id != "Intel(r) AMT Certificate: Handle: 3" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
	if v := instance(t, ClassTLSEndpoint, "amt", "tls", "protocolendpointcollection", "get.xml").Value("ElementName"); v != TLSEndpoints {
		t.Errorf("%q", v)
	}
}

func TestRecordedUsersPowerHost(t *testing.T) {
	e, err := ReadACLEntry(output(t, ClassAuthority, "GetUserAclEntryEx", "amt", "authorization", "getuseraclentryex.xml"))
	if err != nil || !reflect.DeepEqual(e, ACLEntry{User: "$$uns", Access: 0, Realms: []int{16}}) {
		t.Errorf("%+v, %v", e, err)
	}
	if h := output(t, ClassAuthority, "EnumerateUserAclEntries", "amt", "authorization", "enumerateuseraclentries.xml").All("Handles"); len(h) != 2 || h[1].Value() != "2" {
		t.Errorf("%v", h)
	}
	schemes := items(t, "amt", "systempowerscheme", "pull.xml")
	if p := ReadPower(&schemes[1]); p.ID != "SCHEME 1" || p.Text != "Mobile: ON in S0, ME Wake in S3, S4-5 (AC only)" {
		t.Errorf("%+v", p)
	}
	h, err := ReadHostSetup(instance(t, ClassHost, "ips", "hostbasedsetup", "get.xml"))
	if err != nil || h.Current != 2 || !reflect.DeepEqual(h.Allowed, []int{2, 1}) || hex.EncodeToString(h.Nonce) != "e0fdec63bb309618e48493710e4101214726a471" {
		t.Errorf("%+v, %v", h, err)
	}
	for _, method := range []string{"AddNextCertInChain", "AdminSetup", "Setup", "UpgradeClientToAdmin"} {
		output(t, ClassHost, method, "ips", "hostbasedsetup", lower(method)+".xml")
	}
}

func lower(s string) string { return string(bytes.ToLower([]byte(s))) }

func TestUnreadableFields(t *testing.T) {
	node := func(fields ...string) *Node {
		n := &Node{Local: "x"}
		for i := 0; i < len(fields); i += 2 {
			n.Nodes = append(n.Nodes, Node{Local: fields[i], Text: fields[i+1]})
		}
		return n
	}
	cases := map[string]error{}
	_, cases["no state"] = ReadSetup(node())
	_, cases["state in words"] = ReadSetup(node("ProvisioningState", "post"))
	_, cases["bad one-time password"] = ReadSetup(node("ProvisioningState", "1", "ProvisioningServerOTP", "***"))
	_, cases["bad truth value"] = ReadSetup(node("ProvisioningState", "1", "ZeroTouchConfigurationEnabled", "yes"))
	_, cases["bad key"] = ReadKeyPair(node("DERKey", "%"))
	_, cases["bad certificate"] = ReadCertificate(node("X509Certificate", "%"))
	_, cases["bad setting"] = ReadTLSSetting(node("Enabled", "on"))
	_, cases["no reference"] = ContextCertificate(node("ElementInContext", "x"))
	_, cases["no mode"] = ReadHostSetup(node())
	_, cases["bad modes"] = ReadHostSetup(node("CurrentControlMode", "0", "AllowedControlModes", "both"))
	_, cases["no access"] = ReadACLEntry(node("DigestUsername", "u"))
	_, cases["bad realm"] = ReadACLEntry(node("AccessPermission", "0", "Realms", "all"))
	for name, err := range cases {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if s, err := ReadSetup(node("ProvisioningState", "1", "ProvisioningServerOTP", "T25lVGltZS0x\n MjM0")); err != nil || string(s.OTP) != "OneTime-1234" {
		t.Errorf("one-time password %q, %v", s.OTP, err)
	}
}
