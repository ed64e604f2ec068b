package engine

import (
	"crypto/x509"
	"strings"
	"testing"
)

// field writes an argument.
func soapArg(name, v string) string { return "<" + name + ">" + v + "</" + name + ">" }

func TestSOAPNetwork(t *testing.T) {
	e := New(withStage(testConfig(t, "2.6.3"), Post))
	const net = "NetworkAdministration"
	get := func() *node {
		t.Helper()
		code, n := soapCall(t, e, pskSession, net, "GetInterfaceSettings", soapArg("InterfaceHandle", "0"))
		if code != 0 {
			t.Fatal(code)
		}
		return n.kid("InterfaceDescriptor")
	}
	if n := get(); n.value("InterfaceMode") != "SHARED_MAC_ADDRESS" || n.value("DhcpEnabled") != "true" || n.value("LinkPolicy") != "15" ||
		n.kid("IPv4Parameters").value("LocalAddress") != "2130706689" { // 127.0.1.1
		t.Errorf("%v", names(n))
	}
	set := func(descriptor string) int {
		code, _ := soapCall(t, e, pskSession, net, "SetInterfaceSettings", soapArg("InterfaceHandle", "0")+descriptor)
		return code
	}
	fixed := soapArg("InterfaceDescriptor", soapArg("InterfaceMode", "SEPARATE_MAC_ADDRESS")+soapArg("LinkPolicy", "14")+
		soapArg("IPv4Parameters", soapArg("LocalAddress", "167772165")+soapArg("SubnetMask", "4278190080")))
	if got := set(fixed); got != 0 {
		t.Errorf("gives %d", got)
	}
	if n := get(); n.value("InterfaceMode") != "SEPARATE_MAC_ADDRESS" || n.kid("IPv4Parameters").value("LocalAddress") != "167772165" || n.value("LinkPolicy") != "14" {
		t.Errorf("%v", names(n))
	}
	for name, c := range map[string]struct {
		descriptor string
		want       int
	}{
		"nothing":         {"", 36},
		"unknown mode":    {strings.Replace(fixed, "SEPARATE", "OTHER", 1), 36},
		"no mask":         {strings.Replace(fixed, "SubnetMask", "Mask", 2), 27},
		"address in dots": {strings.Replace(fixed, "167772165", "10.0.0.5", 1), 27},
		"link policy":     {strings.Replace(fixed, ">14<", ">256<", 1), 36},
		"dhcp again":      {soapArg("InterfaceDescriptor", soapArg("InterfaceMode", "SHARED_MAC_ADDRESS")+soapArg("LinkPolicy", "1")), 0},
	} {
		if got := set(c.descriptor); got != c.want {
			t.Errorf("%s gives %d, not %d", name, got, c.want)
		}
	}
	if code, _ := soapCall(t, e, pskSession, net, "GetInterfaceSettings", soapArg("InterfaceHandle", "1")); code != 2053 {
		t.Errorf("interface 1: %d", code)
	}
	if code, n := soapCall(t, e, pskSession, net, "EnumerateInterfaces", ""); code != 0 || n.value("InterfaceHandles") != "0" {
		t.Errorf("%d %v", code, names(n))
	}
	if code, _ := soapCall(t, e, pskSession, net, "SetPingResponse", soapArg("PingResponseEnabled", "false")); code != 0 {
		t.Errorf("ping: %d", code)
	}
	if _, n := soapCall(t, e, pskSession, net, "GetPingResponse", ""); n.value("PingResponseEnabled") != "false" {
		t.Errorf("ping %q", n.value("PingResponseEnabled"))
	}
}

func TestSOAPUsersAndRights(t *testing.T) {
	e := New(withStage(testConfig(t, "2.6.3"), Post))
	const sec = "SecurityAdministration"
	entry := func(name, realm string) string {
		return soapArg("EntryEx", soapArg("DigestUsername", name)+soapArg("DigestPassword", "/XiYeOgM0Edl+SStYe2Wvw==")+soapArg("AccessPermission", "2")+soapArg("Realms", realm))
	}
	call := func(user, service, method, args string, want int) *node {
		t.Helper()
		code, n := soapCall(t, e, Session{User: user}, service, method, args)
		if code != want {
			t.Errorf("%s by %s gives %d, not %d", method, user, code, want)
		}
		return n
	}
	if h := call("admin", sec, "AddUserAclEntryEx", entry("operator", "5"), 0).value("Handle"); h != "1" {
		t.Errorf("handle %q", h)
	}
	call("admin", sec, "AddUserAclEntryEx", entry("operator", "5"), 2058)
	if n := call("admin", sec, "EnumerateUserAclEntries", "", 0); n.value("TotalCount") != "1" || n.value("Handles") != "1" {
		t.Errorf("%v", names(n))
	}
	if n := call("admin", sec, "GetUserAclEntryEx", soapArg("Handle", "1"), 0); n.kid("EntryEx").value("DigestUsername") != "operator" {
		t.Errorf("%v", names(n))
	}
	call("operator", "RemoteControl", "RemoteControl", soapArg("Command", "18")+soapArg("IanaOemNumber", "343"), 0)
	call("operator", sec, "CommitChanges", "", 16)
	call("operator", "NetworkTime", "SetHighAccuracyTimeSynch", "", 16)
	call("operator", sec, "GetCoreVersion", "", 0)
	call("admin", sec, "UpdateUserAclEntryEx", soapArg("Handle", "1")+entry("operator", "12"), 0)
	call("operator", "RemoteControl", "RemoteControl", soapArg("Command", "17")+soapArg("IanaOemNumber", "343"), 16)
	call("admin", sec, "RemoveUserAclEntry", soapArg("Handle", "1"), 0)
	call("admin", sec, "RemoveUserAclEntry", soapArg("Handle", "1"), 2053)
}

func TestSOAPRemoteControl(t *testing.T) {
	e := New(withStage(testConfig(t, "2.6.3"), Post))
	for _, c := range []struct {
		args  string
		want  int
		state string
	}{
		{soapArg("Command", "18") + soapArg("IanaOemNumber", "343"), 0, "5"},
		{soapArg("Command", "16") + soapArg("IanaOemNumber", "343"), 16, "5"},
		{soapArg("Command", "17") + soapArg("IanaOemNumber", "4542"), 0, "0"},
		{soapArg("Command", "19") + soapArg("IanaOemNumber", "343") + soapArg("SpecialCommand", "193") + soapArg("OEMparameters", "1"), 0, "0"},
		{soapArg("Command", "33") + soapArg("IanaOemNumber", "343") + soapArg("SpecialCommand", "1"), 0, "0"},
		{soapArg("Command", "16") + soapArg("IanaOemNumber", "1"), 2049, "0"},
		{soapArg("Command", "16") + soapArg("IanaOemNumber", "343") + soapArg("SpecialCommand", "9"), 2052, "0"},
		{soapArg("Command", "1") + soapArg("IanaOemNumber", "343"), 2051, "0"},
	} {
		if code, _ := soapCall(t, e, pskSession, "RemoteControl", "RemoteControl", c.args); code != c.want {
			t.Errorf("%s gives %d, not %d", c.args, code, c.want)
		}
		if _, n := soapCall(t, e, pskSession, "RemoteControl", "GetSystemPowerState", ""); n.value("SystemPowerState") != c.state {
			t.Errorf("after %s the state is %s, not %s", c.args, n.value("SystemPowerState"), c.state)
		}
	}
}

// TestSOAPTLS puts a key and a certificate into old firmware and switches TLS on.
func TestSOAPTLS(t *testing.T) {
	e := New(withStage(testConfig(t, "2.6.3"), Post))
	const sec = "SecurityAdministration"
	call := func(method, args string, want int) *node {
		t.Helper()
		code, n := soapCall(t, e, pskSession, sec, method, args)
		if code != want {
			t.Fatalf("%s gives %d, not %d", method, code, want)
		}
		return n
	}
	on := soapArg("Enabled", "true") + soapArg("MutualAuthentication", "false") + soapArg("AcceptNonSecureConnections", "false")
	call("SetTlsServerAuthentication", on, 2060)
	key := poolKey(t, 1)
	cert := b64(certFor(t, &key.PublicKey, poolKey(t, 2), "old", false))
	h := call("CertStoreAddCertificate", soapArg("CertificateBlob", cert), 0).value("CertHandle")
	call("SetTlsCredentials", soapArg("CertHandle", h), 2064)
	call("CertStoreAddKey", soapArg("KeyBlob", b64(x509.MarshalPKCS1PrivateKey(key))), 0)
	call("SetTlsCredentials", soapArg("CertHandle", "7"), 2068)
	call("SetTlsCredentials", soapArg("CertHandle", h), 0)
	call("CertStoreAddTrustedRootCertificate", soapArg("CertificateBlob", b64(certFor(t, &poolKey(t, 2).PublicKey, poolKey(t, 2), "Test root", true))), 0)
	call("SetTlsServerAuthentication", on, 0)
	if e.State().TLS {
		t.Error("TLS is on before the commit")
	}
	call("CommitChanges", "", 0)
	if s := e.State(); !s.TLS || s.Plain {
		t.Errorf("%+v", s)
	}
	got, err := e.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	if p, err := x509.ParseCertificate(got.Certificate[0]); err != nil || p.Subject.CommonName != "old" {
		t.Error(err)
	}
	if n := call("GetRngSeedStatus", "", 0); n.value("RngSeedStatus") != "0" {
		t.Errorf("seed %q", n.value("RngSeedStatus"))
	}
	call("SetRngKey", soapArg("RngKey", "AAAA"), 36)
	call("ExtendProvisioningPeriod", soapArg("Duration", "3"), 16)
	call("GetProvisioningServerOTP", "", 16)
	call("PartialUnprovision", "", 0)
	if s := e.State(); s.Stage != In || s.TLS != true || s.Plain {
		t.Errorf("%+v", s)
	}
	if code, n := soapCall(t, e, pskSession, "GeneralInfo", "GetCodeVersions", ""); code != 0 || len(n.kid("CodeVersions").kids) != 12 {
		t.Errorf("%d %v", code, names(n.kid("CodeVersions")))
	}
}
