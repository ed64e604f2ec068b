package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// faultOfFirmware is a fault as real firmware gave it, from the tests of device-management-toolkit
// (console, go-wsman-messages: amterror); number of the message aside.
const faultOfFirmware = `<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:g="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd" xmlns:f="http://schemas.xmlsoap.org/ws/2004/08/eventing" xmlns:e="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:d="http://schemas.xmlsoap.org/ws/2004/09/transfer" xmlns:c="http://schemas.xmlsoap.org/ws/2004/09/enumeration" xmlns:b="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:a="http://www.w3.org/2003/05/soap-envelope" xmlns:h="http://schemas.xmlsoap.org/ws/2005/02/trust" xmlns:i="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><a:Header><b:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</b:To><b:RelatesTo>1</b:RelatesTo><b:Action a:mustUnderstand="true">http://schemas.xmlsoap.org/ws/2004/08/addressing/fault</b:Action><b:MessageID>uuid:00000000-8086-8086-8086-000000000001</b:MessageID></a:Header><a:Body><a:Fault><a:Code><a:Value>a:Sender</a:Value><a:Subcode><a:Value>b:DestinationUnreachable</a:Value></a:Subcode></a:Code><a:Reason><a:Text xml:lang="en-US">No route can be determined to reach the destination role defined by the WSAddressing To.</a:Text></a:Reason><a:Detail></a:Detail></a:Fault></a:Body></a:Envelope>`

func TestFaultForm(t *testing.T) {
	a := newAsker(t, New(withStage(testConfig(t, "9.0"), Post)))
	ans := a.post(a.message(actGet, "AMT_NoSuchClass", "", ""))
	if ans.Status != 400 || string(ans.Body) != faultOfFirmware {
		t.Errorf("status %d\n%s\nfirmware:\n%s", ans.Status, ans.Body, faultOfFirmware)
	}
}

func TestFaults(t *testing.T) {
	a := newAsker(t, New(withStage(testConfig(t, "9.0"), Post)))
	fillStore(a)
	selector := func(name, value string) string {
		return `<w:SelectorSet><w:Selector Name="` + name + `">` + value + `</w:Selector></w:SelectorSet>`
	}
	good := a.message(actGet, "AMT_GeneralSettings", "", "")
	for _, c := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"no XML", "hello", 400, "e:SchemaValidationError"},
		{"empty", "", 400, "e:SchemaValidationError"},
		{"document type", `<!DOCTYPE x [<!ENTITY a "b">]>` + good, 400, "e:SchemaValidationError"},
		{"too deep", strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100), 400, "e:SchemaValidationError"},
		{"no body", meshHead + "</Envelope>", 400, "e:SchemaValidationError"},
		{"SOAP 1.1", strings.Replace(good, nsSOAP12, nsSOAP11, 1), 400, "a:VersionMismatch"},
		{"no action", strings.Replace(good, "a:Action>", "a:To>", 2), 400, "b:MessageInformationHeaderRequired"},
		{"no message id", strings.ReplaceAll(good, "a:MessageID>", "a:From>"), 400, "b:MessageInformationHeaderRequired"},
		{"unknown block, must be understood", strings.Replace(good, "<a:To>", `<x xmlns="urn:x" p:mustUnderstand="true" xmlns:p="`+nsSOAP12+`"/><a:To>`, 1), 400, "a:MustUnderstand"},
		{"options, must be understood", strings.Replace(good, "<a:To>", `<w:OptionSet p:mustUnderstand="1" xmlns:p="`+nsSOAP12+`"/><a:To>`, 1), 400, "a:MustUnderstand"},
		{"small envelope", strings.Replace(good, "<a:To>", "<w:MaxEnvelopeSize>32767</w:MaxEnvelopeSize><a:To>", 1), 400, "e:EncodingLimit"},
		{"URI of another schema", strings.Replace(good, "amt-schema/1/AMT_General", "ips-schema/1/AMT_General", 1), 400, "b:DestinationUnreachable"},
		{"no such action", a.message(nsTransfer+"/Frob", "AMT_GeneralSettings", "", ""), 400, "b:ActionNotSupported"},
		{"no such method", a.message(uriOf(setupService)+"/Frob", setupService, "", ""), 400, "b:ActionNotSupported"},
		{"method of another class", a.message(uriOf(setupService)+"/CommitChanges", "AMT_GeneralSettings", "", ""), 400, "b:ActionNotSupported"},
		{"create what cannot be", a.message(actCreate, "AMT_GeneralSettings", "", ""), 400, "b:ActionNotSupported"},
		{"input of another method", a.message(uriOf(setupService)+"/CommitChanges", setupService, "", `<r:Other_INPUT xmlns:r="`+uriOf(setupService)+`"/>`), 400, "e:SchemaValidationError"},
		{"put of another class", a.message(actPut, "AMT_GeneralSettings", "", `<r:Other xmlns:r="`+uriOf("AMT_GeneralSettings")+`"/>`), 400, "e:SchemaValidationError"},
		{"no selector where two instances are", a.message(actGet, "AMT_TLSSettingData", "", ""), 400, "e:InvalidSelectors"},
		{"selector of nobody", a.message(actGet, "AMT_TLSSettingData", selector("InstanceID", "x"), ""), 400, "e:InvalidSelectors"},
		{"selector that is no key", a.message(actGet, "AMT_GeneralSettings", selector("HostName", "x"), ""), 400, "e:InvalidSelectors"},
		{"key changed", a.message(actPut, "AMT_GeneralSettings", "", `<r:AMT_GeneralSettings xmlns:r="`+uriOf("AMT_GeneralSettings")+`">`+arg("InstanceID", "other")+`</r:AMT_GeneralSettings>`), 400, "d:InvalidRepresentation"},
		{"second context", a.message(actCreate, "AMT_TLSCredentialContext", "", meshContext(certID+"0")), 400, "e:AlreadyExists"},
		{"no such context", a.message(actPull, "AMT_GeneralSettings", "", `<Pull xmlns="`+nsEnum+`"><EnumerationContext>77000000-0000-0000-0000-000000000000</EnumerationContext></Pull>`), 400, "c:InvalidEnumerationContext"},
		{"release of nothing", a.message(actRelease, "AMT_GeneralSettings", "", `<Release xmlns="`+nsEnum+`"/>`), 400, "c:InvalidEnumerationContext"},
		{"filter", a.message(actEnumerate, "AMT_GeneralSettings", "", `<Enumerate xmlns="`+nsEnum+`"><Filter/></Enumerate>`), 400, "c:FilteringNotSupported"},
		{"host name", a.message(actPut, "AMT_GeneralSettings", "", `<r:AMT_GeneralSettings xmlns:r="`+uriOf("AMT_GeneralSettings")+`">`+arg("HostName", "a b")+`</r:AMT_GeneralSettings>`), 500, "e:InternalError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ans := a.post(c.body)
			if ans.Status != c.status || subcode(ans) != c.code {
				t.Errorf("%d %s\n%s", ans.Status, subcode(ans), ans.Body)
			}
		})
	}
}

func TestEnumeration(t *testing.T) {
	a := newAsker(t, New(withStage(testConfig(t, "9.0"), Post)))
	begin := func(mode string) string {
		_, n := a.ask(actEnumerate, "CIM_SoftwareIdentity", "", `<Enumerate xmlns="`+nsEnum+`">`+mode+`</Enumerate>`)
		return n.value("EnumerationContext")
	}
	pull := func(id, class, more string) (Answer, *node) {
		return a.ask(actPull, class, "", `<Pull xmlns="`+nsEnum+`"><EnumerationContext>`+id+`</EnumerationContext>`+more+`</Pull>`)
	}
	id := begin("")
	if id != "01000000-0000-0000-0000-000000000000" {
		t.Errorf("context %s", id)
	}
	// One item, unless more are asked for; the context stays until the end.
	seen := 0
	for {
		ans, n := pull(id, "CIM_SoftwareIdentity", "")
		if ans.Status != 200 || len(n.kid("Items").kids) != 1 {
			t.Fatalf("%d %s", ans.Status, ans.Body)
		}
		seen++
		if n.kid("EndOfSequence") != nil {
			break
		}
		if n.value("EnumerationContext") != id {
			t.Errorf("context %q", n.value("EnumerationContext"))
		}
	}
	if seen != 11 {
		t.Errorf("%d items", seen)
	}
	if ans, _ := pull(id, "CIM_SoftwareIdentity", ""); subcode(ans) != "c:InvalidEnumerationContext" {
		t.Errorf("after the end: %s", ans.Body)
	}
	if ans, _ := pull(begin(""), "AMT_GeneralSettings", ""); subcode(ans) != "c:InvalidEnumerationContext" {
		t.Errorf("of another class: %s", ans.Body)
	}
	if ans, _ := pull(begin(""), "CIM_SoftwareIdentity", "<MaxElements>0</MaxElements>"); subcode(ans) != "e:InvalidParameter" {
		t.Errorf("no elements: %s", ans.Body)
	}
	for _, mode := range []string{"EnumerateEPR", "EnumerateObjectAndEPR"} {
		_, n := pull(begin(`<w:EnumerationMode>`+mode+`</w:EnumerationMode>`), "CIM_SoftwareIdentity", "<MaxElements>2</MaxElements>")
		items := n.kid("Items").kids
		if len(items) != 2 {
			t.Fatalf("%s: %d items", mode, len(items))
		}
		epr := items[0]
		if mode == "EnumerateObjectAndEPR" {
			epr = items[0].kid("EndpointReference")
		}
		if r, ok := readReference(epr, 0); !ok || r.class != "CIM_SoftwareIdentity" || r.by[0].text != "Flash" {
			t.Errorf("%s: %+v", mode, r)
		}
	}
	// Many that are never read do not fill the memory; the newest live.
	ids := []string{}
	for range maxContexts + 5 {
		ids = append(ids, begin(""))
	}
	if len(a.e.contexts) != maxContexts {
		t.Errorf("%d contexts", len(a.e.contexts))
	}
	if ans, _ := pull(ids[len(ids)-1], "CIM_SoftwareIdentity", ""); ans.Status != 200 {
		t.Errorf("the newest is gone")
	}
	last := begin("")
	if ans, _ := a.ask(actRelease, "CIM_SoftwareIdentity", "", `<Release xmlns="`+nsEnum+`"><EnumerationContext>`+last+`</EnumerationContext></Release>`); ans.Status != 200 {
		t.Errorf("release: %s", ans.Body)
	}
}

// TestVersions: what a release has and has not.
func TestVersions(t *testing.T) {
	for _, c := range []struct {
		version, path, class string
		want                 int
	}{
		{"2.6.3", "/wsman", "AMT_GeneralSettings", 404},
		{"2.6.3", "/SecurityAdministrationService", "", 200},
		{"3.2.1", "/wsman", "AMT_GeneralSettings", 200},
		{"3.2.1", "/wsman", "IPS_HostBasedSetupService", 400},
		{"3.2.1", "/SecurityAdministrationService", "", 200},
		{"7.0", "/wsman", "IPS_HostBasedSetupService", 200},
		{"6.1", "/wsman", "IPS_HostBasedSetupService", 200},
		{"6.1", "/wsman", "IPS_OptInService", 400},
		{"9.0", "/SecurityAdministrationService", "", 405},
		{"16.1.27", "/wsman", "AMT_GeneralSettings", 200},
	} {
		a := newAsker(t, New(withStage(testConfig(t, c.version), Post)))
		body := a.message(actGet, c.class, "", "")
		if c.class == "" {
			body = soapBody("SecurityAdministration", "GetCoreVersion", "")
		}
		if ans := a.e.Answer(a.s, "POST", c.path, nil, []byte(body)); ans.Status != c.want {
			t.Errorf("%s %s %s: %d %s", c.version, c.path, c.class, ans.Status, ans.Body)
		}
	}
	for version, want := range map[string]string{"9.0": "9.0.0", "3.2.1": "3.2.1", "16.1.27.2176": "16.1.27", "8": "8.0.0"} {
		if got := New(testConfig(t, version)).version(); got != want {
			t.Errorf("%s answers as %s", version, got)
		}
	}
	if s := New(withStage(testConfig(t, "16.1.27"), Post)).State(); s.Plain || !s.TLS {
		t.Errorf("16.1 has a port without TLS: %+v", s)
	}
	if !strings.HasPrefix(New(testConfig(t, "2.6.3")).Realm(), "Intel(R) AMT (ID:4c4c4544-0058-3910-8059-b7c04f4b5a31)") {
		t.Error("realm of old firmware")
	}
}

func TestInjectedFaults(t *testing.T) {
	step := setupService + ".CommitChanges"
	for _, c := range []struct {
		f     Fault
		check func(ans Answer, e *Engine) error
	}{
		{Fault{Kind: FaultRefuse, Code: 38}, func(ans Answer, e *Engine) error {
			if ans.Return != 38 || !strings.Contains(string(ans.Body), "<g:ReturnValue>38</g:ReturnValue>") || e.State().Stage != In {
				return fmt.Errorf("%s", ans.Body)
			}
			return nil
		}},
		{Fault{Kind: FaultHTTP, Code: 503}, func(ans Answer, e *Engine) error { return status(ans, 503, e, In) }},
		{Fault{Kind: FaultSOAP}, func(ans Answer, e *Engine) error {
			if root, err := parse(ans.Body); err != nil || subcode(ans) != "e:AccessDenied" || root.kid("Header").value("RelatesTo") != "3" {
				return fmt.Errorf("%v %s", err, ans.Body)
			}
			return status(ans, 400, e, In)
		}},
		{Fault{Kind: FaultGarbage}, func(ans Answer, e *Engine) error {
			if _, err := parse(ans.Body); err == nil {
				return fmt.Errorf("can be read: %s", ans.Body)
			}
			return status(ans, 200, e, In)
		}},
		{Fault{Kind: FaultCut}, func(ans Answer, e *Engine) error {
			if _, err := parse(ans.Body); err == nil {
				return fmt.Errorf("can be read: %s", ans.Body)
			}
			return status(ans, 200, e, Post)
		}},
		{Fault{Kind: FaultSlow, Delay: time.Minute}, func(ans Answer, e *Engine) error {
			if ans.Delay != time.Minute {
				return fmt.Errorf("delay %v", ans.Delay)
			}
			return status(ans, 200, e, Post)
		}},
		{Fault{Kind: FaultDropBefore}, func(ans Answer, e *Engine) error { return drop(ans, DropBefore, e, In) }},
		{Fault{Kind: FaultDropDone}, func(ans Answer, e *Engine) error { return drop(ans, DropBefore, e, Post) }},
		{Fault{Kind: FaultDropAfter}, func(ans Answer, e *Engine) error { return drop(ans, DropAfter, e, Post) }},
		{Fault{Kind: FaultMissing, Field: "ReturnValue"}, func(ans Answer, e *Engine) error {
			if strings.Contains(string(ans.Body), "ReturnValue") {
				return fmt.Errorf("%s", ans.Body)
			}
			return status(ans, 200, e, Post)
		}},
	} {
		t.Run(string(c.f.Kind), func(t *testing.T) {
			e := New(testConfig(t, "9.0"))
			a := newAsker(t, e)
			a.s = setupSession
			a.must(setupService, "SetMEBxPassword", arg("Password", testPassword))
			a.must("AMT_AuthorizationService", "SetAdminAclEntryEx", arg("Username", "admin")+arg("DigestPassword", "/XiYeOgM0Edl+SStYe2Wvw=="))
			c.f.Step, c.f.Times = step, 1
			e.Fault(c.f)
			ans := a.post(a.message(uriOf(setupService)+"/CommitChanges", setupService, "", ""))
			if err := c.check(ans, e); err != nil {
				t.Error(err)
			}
			if len(e.faults) != 0 {
				t.Error("it goes wrong more than once")
			}
		})
	}
}

func status(ans Answer, want int, e *Engine, stage Stage) error {
	if ans.Status != want || e.State().Stage != stage {
		return fmt.Errorf("status %d, stage %s", ans.Status, e.State().Stage)
	}
	return nil
}

func drop(ans Answer, want Action, e *Engine, stage Stage) error {
	if ans.Do != want || e.State().Stage != stage {
		return fmt.Errorf("does %v, stage %s", ans.Do, e.State().Stage)
	}
	return nil
}

func TestPages(t *testing.T) {
	e := New(withStage(testConfig(t, "7.1.91"), Post))
	for _, c := range []struct {
		method, path, user string
		status             int
		has                string
	}{
		{"GET", "/", "", 303, ""},
		{"GET", "/logon.htm", "", 200, "Log On"},
		{"GET", "/index.htm", "", 401, ""},
		{"GET", "/index.htm?x=1", "admin", 200, "System Status"},
		{"GET", "/nothing", "", 404, ""},
		{"PUT", "/logon.htm", "", 405, ""},
		{"GET", "/wsman", "admin", 405, ""},
		{"POST", "/wsman", "", 401, ""},
		{"GET", "/SecurityAdministrationService", "admin", 405, ""},
	} {
		ans := e.Answer(Session{User: c.user}, c.method, c.path, nil, nil)
		if ans.Status != c.status || !strings.Contains(string(ans.Body), c.has) {
			t.Errorf("%s %s: %d\n%s", c.method, c.path, ans.Status, ans.Body)
		}
		if c.path == "/" && (ans.Header["Location"] != "/logon.htm" || len(ans.Body) != 0) {
			t.Errorf("%v", ans.Header)
		}
	}
	big := make([]byte, maxBody+1)
	if ans := e.Answer(Session{User: "admin"}, "POST", "/wsman", nil, big); ans.Status != 413 {
		t.Errorf("large body: %d", ans.Status)
	}
}

func TestIdentify(t *testing.T) {
	e := New(withStage(testConfig(t, "9.0"), Post))
	body := []byte(`<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:wsmid="` + nsIdentity + `"><s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>`)
	for _, path := range []string{"/wsman", "/wsman-anon/identify"} {
		ans := e.Answer(Session{}, "POST", path, nil, body)
		root, err := parse(ans.Body)
		if err != nil || ans.Status != 200 {
			t.Fatalf("%d %v", ans.Status, err)
		}
		n := root.kid("Body").first()
		if n.name != "IdentifyResponse" || n.space != nsIdentity || n.value("ProtocolVersion") != nsWsman || n.value("ProductVersion") != "AMT 9.0.0" {
			t.Errorf("%s", ans.Body)
		}
	}
	a := newAsker(t, e)
	if ans := e.Answer(Session{User: "admin"}, "POST", "/wsman-anon/identify", nil, []byte(a.message(actGet, "AMT_GeneralSettings", "", ""))); subcode(ans) != "b:ActionNotSupported" {
		t.Errorf("a Get without log-in path: %s", ans.Body)
	}
}

// BenchmarkGet reads AMT_GeneralSettings.
func BenchmarkGet(b *testing.B) {
	a := newAsker(b, New(withStage(testConfig(b, "9.0"), Post)))
	body := []byte(a.message(actGet, "AMT_GeneralSettings", "", ""))
	b.ReportAllocs()
	for b.Loop() {
		if ans := a.e.Answer(a.s, "POST", "/wsman", nil, body); ans.Status != 200 {
			b.Fatal(ans.Status)
		}
	}
}
