package engine

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
)

func TestGeneralSettings(t *testing.T) {
	for _, c := range []struct {
		name, fields string
		status       string // detail of the fault; empty: done
		read, want   string
	}{
		{"host", arg("HostName", "pc-17"), "", "HostName", "pc-17"},
		{"host emptied", arg("HostName", ""), "", "HostName", ""},
		{"host too long", arg("HostName", strings.Repeat("a", 64)), "AMT-STATUS 12", "", ""},
		{"host with a dot", arg("HostName", "a.b"), "AMT-STATUS 12", "", ""},
		{"domain", arg("DomainName", "corp.example.com"), "", "DomainName", "corp.example.com"},
		{"domain with an empty part", arg("DomainName", "a..b"), "AMT-STATUS 28", "", ""},
		{"ping off", arg("PingResponseEnabled", "false"), "", "PingResponseEnabled", "false"},
		{"ping maybe", arg("PingResponseEnabled", "maybe"), "AMT-STATUS 36", "", ""},
		{"idle time", arg("IdleWakeTimeout", "10"), "", "IdleWakeTimeout", "10"},
		{"idle time too long", arg("IdleWakeTimeout", "65536"), "AMT-STATUS 36", "", ""},
		{"what cannot be put is passed over", arg("DigestRealm", "x") + arg("PowerSource", "7"), "", "PowerSource", "0"},
		{"fields of nobody are passed over", arg("Frob", "x"), "", "HostName", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAsker(t, New(withStage(testConfig(t, "9.0"), Post)))
			ans := a.put("AMT_GeneralSettings", `<w:SelectorSet><w:Selector Name="InstanceID">`+generalName+`</w:Selector></w:SelectorSet>`, arg("InstanceID", generalName)+c.fields)
			if c.status != "" {
				if ans.Status != 500 || detail(ans) != c.status {
					t.Errorf("%d %s", ans.Status, detail(ans))
				}
				return
			}
			if ans.Status != 200 {
				t.Fatalf("%d %s", ans.Status, ans.Body)
			}
			if got := a.get("AMT_GeneralSettings").value(c.read); got != c.want {
				t.Errorf("%s is %q, not %q", c.read, got, c.want)
			}
			root, err := parse(ans.Body) // the answer of Put has the new values
			if err != nil || root.kid("Body").first().value(c.read) != c.want {
				t.Errorf("%v %s", err, ans.Body)
			}
		})
	}
	// Old firmware has fewer fields.
	old, late := newAsker(t, New(testConfig(t, "3.2.1"))), newAsker(t, New(testConfig(t, "16.0")))
	old.s, late.s = pskSession, pskSession
	if o, l := len(old.get("AMT_GeneralSettings").kids), len(late.get("AMT_GeneralSettings").kids); o != 10 || l != 24 {
		t.Errorf("%d and %d fields", o, l)
	}
}

func TestEthernet(t *testing.T) {
	for _, c := range []struct {
		name, fields, fault string
		want                map[string]string
	}{
		{"static", arg("DHCPEnabled", "false") + arg("IPAddress", "10.0.0.5") + arg("SubnetMask", "255.0.0.0") + arg("DefaultGateway", "10.0.0.1") + arg("PrimaryDNS", ""), "",
			map[string]string{"DHCPEnabled": "false", "IPAddress": "10.0.0.5", "SubnetMask": "255.0.0.0", "DefaultGateway": "10.0.0.1", "PrimaryDNS": ""}},
		{"static without address", arg("DHCPEnabled", "false"), "AMT-STATUS 36", nil},
		{"static shared with the PC", arg("DHCPEnabled", "false") + arg("SharedStaticIp", "true"), "", map[string]string{"SharedStaticIp": "true"}},
		{"no address", arg("IPAddress", "10.0.0"), "AMT-STATUS 27", nil},
		{"IPv6", arg("IPAddress", "::1"), "AMT-STATUS 27", nil},
		{"no boolean", arg("DHCPEnabled", "1"), "AMT-STATUS 36", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAsker(t, New(withStage(testConfig(t, "9.0"), Post)))
			ans := a.put("AMT_EthernetPortSettings", "", c.fields)
			if detail(ans) != c.fault {
				t.Fatalf("%d %s", ans.Status, ans.Body)
			}
			now := a.get("AMT_EthernetPortSettings")
			for k, v := range c.want {
				if now.value(k) != v {
					t.Errorf("%s is %q, not %q", k, now.value(k), v)
				}
			}
			if now.value("MACAddress") != "02-c0-4f-4b-5a-31" {
				t.Errorf("MAC %s", now.value("MACAddress"))
			}
		})
	}
}

func TestPower(t *testing.T) {
	e := New(withStage(testConfig(t, "9.0"), Post))
	a := newAsker(t, e)
	system := `<a:Address>x</a:Address><a:ReferenceParameters><w:ResourceURI>` + uriOf("CIM_ComputerSystem") + `</w:ResourceURI><w:SelectorSet>` +
		`<w:Selector Name="CreationClassName">CIM_ComputerSystem</w:Selector><w:Selector Name="Name">ManagedSystem</w:Selector></w:SelectorSet></a:ReferenceParameters>`
	for _, c := range []struct{ ask, want, shows string }{
		{"8", "0", "8"}, {"2", "0", "2"}, {"4", "0", "4"}, {"10", "0", "2"}, {"7", "0", "7"}, {"12", "0", "8"}, {"5", "0", "2"}, {"3", "5", "2"}, {"x", "5", "2"},
	} {
		code, _ := a.call("CIM_PowerManagementService", "RequestPowerStateChange", arg("PowerState", c.ask)+arg("ManagedElement", system))
		if itoa(code) != c.want {
			t.Errorf("%s gives %d, not %s", c.ask, code, c.want)
		}
		if got := a.get("CIM_AssociatedPowerManagementService").value("PowerState"); got != c.shows {
			t.Errorf("after %s the state is %s, not %s", c.ask, got, c.shows)
		}
	}
	if code, _ := a.call("CIM_PowerManagementService", "RequestPowerStateChange", arg("PowerState", "8")); code != 5 {
		t.Errorf("of nothing: %d", code)
	}
}

func TestBoot(t *testing.T) {
	e := New(withStage(testConfig(t, "9.0"), Post))
	a := newAsker(t, e)
	source := func(id string) string {
		return arg("Source", `<a:Address>x</a:Address><a:ReferenceParameters><w:ResourceURI>`+uriOf("CIM_BootSourceSetting")+`</w:ResourceURI><w:SelectorSet><w:Selector Name="InstanceID">`+id+
			`</w:Selector></w:SelectorSet></a:ReferenceParameters>`)
	}
	for id, want := range map[string]int{"Intel(r) AMT: Force PXE Boot": 0, "Intel(r) AMT: Force Floppy Boot": 5} {
		if got, _ := a.call("CIM_BootConfigSetting", "ChangeBootOrder", source(id)); got != want {
			t.Errorf("%s gives %d", id, got)
		}
	}
	a.must("CIM_BootConfigSetting", "ChangeBootOrder", "")
	if ans := a.put("AMT_BootSettingData", "", arg("BIOSSetup", "true")+arg("OwningEntity", "x")); ans.Status != 200 {
		t.Fatalf("%s", ans.Body)
	}
	if n := a.get("AMT_BootSettingData"); n.value("BIOSSetup") != "true" || n.value("OwningEntity") != "Intel(r) AMT" {
		t.Errorf("%v", names(n))
	}
	if ans := a.put("AMT_BootSettingData", "", arg("BIOSSetup", "2")); detail(ans) != "AMT-STATUS 36" {
		t.Errorf("%s", ans.Body)
	}
}

// TestForeignPut puts a message that a program of others recorded (its class is AMT_BootSettingData).
func TestForeignPut(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(foreign(t), "amt", "boot", "settingdata", "put.xml"))
	if err != nil {
		t.Fatal(err)
	}
	e := New(withStage(testConfig(t, "16.0"), Post))
	ans := e.Answer(pskSession, "POST", "/wsman", nil, b)
	root, err := parse(ans.Body)
	if err != nil || ans.Status != 200 || root.kid("Body").first().value("InstanceID") != "Intel(r) AMT:BootSettingData 0" {
		t.Errorf("%d %v\n%s", ans.Status, err, ans.Body)
	}
}

func TestRedirectionAndConsent(t *testing.T) {
	a := newAsker(t, New(withStage(testConfig(t, "9.0"), Post)))
	a.must("AMT_RedirectionService", "RequestStateChange", arg("RequestedState", "32768"))
	if got := a.get("AMT_RedirectionService").value("EnabledState"); got != "32768" {
		t.Errorf("state %s", got)
	}
	if got, _ := a.call("AMT_RedirectionService", "RequestStateChange", arg("RequestedState", "2")); got != 36 {
		t.Errorf("state 2: %d", got)
	}
	if ans := a.put("AMT_RedirectionService", "", arg("EnabledState", "32770")+arg("ListenerEnabled", "false")); ans.Status != 200 {
		t.Errorf("%s", ans.Body)
	}
	if n := a.get("AMT_RedirectionService"); n.value("EnabledState") != "32770" || n.value("ListenerEnabled") != "false" {
		t.Errorf("%s %s", n.value("EnabledState"), n.value("ListenerEnabled"))
	}
	for v, want := range map[string]string{"1": "", "4294967295": "", "2": "AMT-STATUS 36"} {
		if ans := a.put("IPS_OptInService", "", arg("OptInRequired", v)); detail(ans) != want {
			t.Errorf("consent %s: %s", v, ans.Body)
		}
	}
	a.e.st.control = 1 // in client control mode it cannot be changed
	if ans := a.put("IPS_OptInService", "", arg("OptInRequired", "0")); detail(ans) != "AMT-STATUS 16" {
		t.Errorf("%s", ans.Body)
	}
}

func TestMessageLog(t *testing.T) {
	a := newAsker(t, New(withStage(testConfig(t, "9.0"), Post)))
	read := func(from, n string) (int, *node) {
		return a.call("AMT_MessageLog", "GetRecords", arg("IterationIdentifier", from)+arg("MaxReadRecords", n))
	}
	code, n := read("1", "2")
	if code != 0 || len(n.values("RecordArray")) != 2 || n.value("NoMoreRecords") != "false" || n.value("IterationIdentifier") != "3" {
		t.Errorf("%d %+v", code, n)
	}
	code, n = read("3", "390")
	if code != 0 || len(n.values("RecordArray")) != 1 || n.value("NoMoreRecords") != "true" {
		t.Errorf("%d %+v", code, n)
	}
	if raw, err := base64.StdEncoding.DecodeString(n.value("RecordArray")); err != nil || len(raw) != 21 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	for _, c := range [][2]string{{"0", "1"}, {"4", "1"}, {"1", "0"}, {"x", "1"}} {
		if code, _ := read(c[0], c[1]); code != 36 {
			t.Errorf("%v gives %d", c, code)
		}
	}
	a.must("AMT_MessageLog", "ClearLog", "")
	if code, _ := a.call("AMT_MessageLog", "PositionToFirstRecord", ""); code != 2 {
		t.Errorf("in an empty log: %d", code)
	}
	if got := a.get("AMT_MessageLog").value("CurrentNumberOfRecords"); got != "0" {
		t.Errorf("%s records", got)
	}
}

func TestOneTimePassword(t *testing.T) {
	cfg := testConfig(t, "9.0")
	cfg.OTP = amt.NewSecret("OneTime-1234")
	a := newAsker(t, New(cfg))
	a.s = setupSession
	otp := func() string {
		raw, err := base64.StdEncoding.DecodeString(a.get(setupService).value("ProvisioningServerOTP"))
		if err != nil || len(raw) != 32 {
			t.Fatalf("%d bytes, %v", len(raw), err)
		}
		return strings.TrimRight(string(raw), "\x00")
	}
	if got := otp(); got != "OneTime-1234" {
		t.Errorf("%q", got)
	}
	if ans := a.put(setupService, "", arg("ProvisioningServerOTP", b64([]byte("short")))); detail(ans) != "AMT-STATUS 36" {
		t.Errorf("%s", ans.Body)
	}
	if ans := a.put(setupService, "", arg("ProvisioningServerOTP", b64([]byte("Another-5678")))+arg("ConfigurationServerFQDN", "server.corp.example")+arg("ZeroTouchConfigurationEnabled", "false")); ans.Status != 200 {
		t.Errorf("%s", ans.Body)
	}
	n := a.get(setupService)
	if otp() != "Another-5678" || n.value("ConfigurationServerFQDN") != "server.corp.example" || n.value("ZeroTouchConfigurationEnabled") != "false" {
		t.Errorf("%q %v", otp(), n.value("ConfigurationServerFQDN"))
	}
	a.e.st.stage, a.s = Post, pskSession // it cannot be read any more
	if got := otp(); got != "" {
		t.Errorf("%q after the setup", got)
	}
}

func TestWindowAndUUID(t *testing.T) {
	e := New(testConfig(t, "9.0"))
	a := newAsker(t, e)
	a.s = setupSession
	if s := e.State(); !s.WindowEnds.Equal(testNow.Add(24 * time.Hour)) {
		t.Errorf("window until %v", s.WindowEnds)
	}
	a.must(setupService, "ExtendProvisioningPeriod", arg("Duration", "6"))
	if s := e.State(); !s.WindowEnds.Equal(testNow.Add(6 * time.Hour)) {
		t.Errorf("window until %v", s.WindowEnds)
	}
	a.must(setupService, "ExtendProvisioningPeriod", arg("Duration", "0"))
	if s := e.State(); s.WindowEnds.After(testNow) {
		t.Errorf("window until %v", s.WindowEnds)
	}
	// The byte order of a hello (provisioning-protocol 1.2).
	raw, err := base64.StdEncoding.DecodeString(a.must(setupService, "GetUuid", "").value("UUID"))
	if err != nil || len(raw) != 16 || raw[0] != 0x44 || raw[4] != 0x58 || raw[5] != 0x00 || raw[15] != 0x31 {
		t.Errorf("% x %v", raw, err)
	}
	if got := a.get("CIM_ComputerSystemPackage").value("PlatformGUID"); got != "44454C4C580010398059B7C04F4B5A31" {
		t.Errorf("GUID %s", got)
	}
	hashes := a.all("AMT_ProvisioningCertificateHash")
	if len(hashes) != 1 || hashes[0].value("HashType") != "2" || hashes[0].value("Enabled") != "true" {
		t.Errorf("%d hashes", len(hashes))
	}
}

// TestNoSecretLeaves: passwords and the pair are in no answer and no printed state.
func TestNoSecretLeaves(t *testing.T) {
	cfg := withStage(testConfig(t, "3.2.1"), Post)
	cfg.Password, cfg.PID, cfg.PPS = amt.NewSecret("Sup3r.Secret"), "ABCDEF1K", amt.NewSecret("PPSPPSPPSPPSPPSPPSPPSPPSPPSPPSPP")
	e := New(cfg)
	a := newAsker(t, e)
	ha1, _ := e.Digest("admin")
	var all strings.Builder
	for name, c := range classes {
		if within(cfg.Version, c.since, c.before) {
			ans, _ := a.ask(actEnumerate, name, "", `<Enumerate xmlns="`+nsEnum+`"/>`)
			all.Write(ans.Body)
			for _, i := range c.list(e) {
				w := &writer{}
				w.instance("h", "i", name, i)
				all.WriteString(w.String())
			}
		}
	}
	for _, secret := range []string{"Sup3r.Secret", "PPSPPS", ha1} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("%q is in an answer", secret)
		}
	}
}
