package engine

import (
	"encoding/base64"
	"strings"
	"testing"

	"amtmedic/amt"
	"amtmedic/amt/keys"
)

// soapBody writes a message as SOAP::Lite does.
func soapBody(service, method, args string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><soap:Envelope soap:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/" xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" ` +
		`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Body><` + method + ` xmlns="http://schemas.intel.com/platform/client/` + service + `/2004/01">` + args +
		`</` + method + `></soap:Body></soap:Envelope>`
}

// soapCall calls a method and gives Status and the answer.
func soapCall(t *testing.T, e *Engine, s Session, service, method, args string) (int, *node) {
	t.Helper()
	ans := e.Answer(s, "POST", "/"+service+"Service", nil, []byte(soapBody(service, method, args)))
	root, err := parse(ans.Body)
	if err != nil || root.space != nsSOAP11 {
		t.Fatalf("%s.%s: %d %v\n%s", service, method, ans.Status, err, ans.Body)
	}
	n := root.kid("Body").first()
	if ans.Status != 200 {
		return -ans.Status, n
	}
	if n.name != method+"Response" || n.space != uriPlatform+service+"/2004/01" || n.first().name != "Status" {
		t.Fatalf("%s", ans.Body)
	}
	return atoi(n.value("Status")), n
}

// TestSetupBySOAP sets up a 2.6 client with a pair, through the SOAP services only.
func TestSetupBySOAP(t *testing.T) {
	pid := "ABCDEF1" + string(keys.CheckChar("ABCDEF1"))
	pps := strings.Repeat("AB1"+string(keys.CheckChar("AB1")), 8)
	cfg := testConfig(t, "2.6.3")
	cfg.PID, cfg.PPS = amt.PID(pid), amt.NewSecret(pps)
	e := New(cfg)
	call := func(service, method, args string, want int) *node {
		t.Helper()
		code, n := soapCall(t, e, pskSession, service, method, args)
		if code != want {
			t.Fatalf("%s.%s gives %d, not %d", service, method, code, want)
		}
		return n
	}
	field := func(name, v string) string { return "<" + name + ">" + v + "</" + name + ">" }
	const sec, net, tim = "SecurityAdministration", "NetworkAdministration", "NetworkTime"
	if v := call(sec, "GetCoreVersion", "", 0).value("Version"); v != "2.6.3" {
		t.Errorf("version %q", v)
	}
	realm := call(sec, "GetDigestRealm", "", 0).value("DigestRealm")
	if n := call("GeneralInfo", "GetProvisioningState", "", 0); n.value("ProvisioningState") != "1" {
		t.Errorf("state %q", n.value("ProvisioningState"))
	}
	now := itoa(int(testNow.Unix()))
	if n := call(tim, "GetLowAccuracyTimeSynch", "", 0); n.value("Ta0") != now {
		t.Errorf("Ta0 %q", n.value("Ta0"))
	}
	call(sec, "CommitChanges", "", 2057)
	call(tim, "SetHighAccuracyTimeSynch", field("Ta0", now)+field("Tm1", now)+field("Tm2", now), 0)
	call(net, "SetHostName", field("HostName", "pc17"), 0)
	call(net, "SetHostName", field("HostName", "pc 17"), 12)
	call(net, "SetDomainName", field("DomainName", "example.com"), 0)
	call(sec, "SetRngKey", field("RngKey", base64.StdEncoding.EncodeToString(make([]byte, 32))), 0)
	digest := digestOf("admin", realm, "N3w.Secret")
	raw := make([]byte, 16)
	for i := range raw {
		raw[i] = unhex(digest[2*i])<<4 | unhex(digest[2*i+1])
	}
	call(sec, "SetAdminAclEntryEx", field("EntryEx", field("Username", "admin")+field("DigestPassword", base64.StdEncoding.EncodeToString(raw))), 0)
	call(sec, "SetTlsPSK", field("PID", pid)+field("PPS", "x"), 43)
	call(sec, "SetTLSPSK", field("PID", pid)+field("PPS", pps), 0) // the case of names is not known
	call(sec, "CommitChanges", "", 0)
	if s := e.State(); s.Stage != Post || s.Host != "pc17" || !s.PPS.Equal(amt.NewSecret(pps)) {
		t.Errorf("%+v", s)
	}
	if got, _ := e.Digest("admin"); got != digest {
		t.Errorf("digest %s", got)
	}
	call(sec, "Unprovision", field("ProvisioningMode", "1"), 0)
	if e.State().Stage != Pre {
		t.Error("not taken back")
	}
	if code, n := soapCall(t, e, pskSession, sec, "Frobnicate", ""); code != -500 || !strings.Contains(n.value("faultstring"), "not implemented") {
		t.Errorf("%d %q", code, n.value("faultstring"))
	}
}

func unhex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

func TestSOAPFaults(t *testing.T) {
	e := New(withStage(testConfig(t, "2.6.3"), Post))
	post := func(user, body string) Answer {
		return e.Answer(Session{User: user}, "POST", "/SecurityAdministrationService", nil, []byte(body))
	}
	good := soapBody("SecurityAdministration", "GetCoreVersion", "")
	for name, c := range map[string]struct {
		body string
		want string
	}{
		"no XML":         {"x", "XML syntax error"},
		"SOAP 1.2":       {strings.Replace(good, nsSOAP11, nsSOAP12, 1), "SOAP version mismatch"},
		"no method":      {`<s:Envelope xmlns:s="` + nsSOAP11 + `"><s:Body/></s:Envelope>`, "no method"},
		"of another one": {strings.Replace(good, "client/SecurityAdministration", "client/Storage", 1), "not implemented"},
	} {
		if ans := post("admin", c.body); ans.Status != 500 || !strings.Contains(string(ans.Body), c.want) {
			t.Errorf("%s: %d %s", name, ans.Status, ans.Body)
		}
	}
	if ans := post("", good); ans.Status != 401 {
		t.Errorf("without log-in: %d", ans.Status)
	}
	e.Fault(Fault{Step: "SecurityAdministration.GetCoreVersion", Kind: FaultMissing, Field: "Version"})
	if _, n := soapCall(t, e, pskSession, "SecurityAdministration", "GetCoreVersion", ""); n.kid("Version") != nil {
		t.Error("the version is there")
	}
	e.Fault(Fault{Step: "*", Kind: FaultSOAP, Times: 1})
	e.Sound()
	e.Fault(Fault{Step: "*", Kind: FaultSOAP, Times: 1})
	if code, n := soapCall(t, e, pskSession, "SecurityAdministration", "GetCoreVersion", ""); code != -500 || n.value("faultcode") != "SOAP-ENV:Client" {
		t.Errorf("%d %v", code, names(n))
	}
	if _, n := soapCall(t, e, pskSession, "SecurityAdministration", "GetCoreVersion", ""); n.kid("Version") == nil {
		t.Error("the version is missing")
	}
}
