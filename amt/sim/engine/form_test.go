package engine

import (
	"encoding/xml"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// foreign gives the folder with recorded answers, or ends the test.
func foreign(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("AMTMEDIC_FOREIGN_DATA")
	if dir == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("AMTMEDIC_FOREIGN_DATA is not set")
		}
		t.Skip("AMTMEDIC_FOREIGN_DATA is not set: no recorded answers to compare with")
	}
	return filepath.Join(dir, "wsman")
}

// recorded is an answer that real firmware gave.
type recorded struct {
	file string
	root *node
}

func recordedAnswers(t *testing.T) []recorded {
	t.Helper()
	var out []recorded
	err := filepath.WalkDir(foreign(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".xml") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n, err := parse(b)
		if err != nil {
			t.Logf("%s cannot be read: %v", path, err)
			return nil
		}
		out = append(out, recorded{file: path, root: n})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// shape gives the form of an element without its texts: names with namespaces in order, the names of
// selectors; elements that are repeated count once.
func shape(n *node) string {
	var b strings.Builder
	b.WriteString("{" + n.space + "}" + n.name)
	if s := n.attr("Name"); s != "" {
		b.WriteString("[" + s + "]")
	}
	last := ""
	b.WriteString("(")
	for _, k := range n.kids {
		if s := shape(k); s != last {
			b.WriteString(s + " ")
			last = s
		}
	}
	b.WriteString(")")
	return b.String()
}

// names gives the child names in order, repeated ones once.
func names(n *node) []string {
	var out []string
	for _, k := range n.kids {
		if len(out) == 0 || out[len(out)-1] != k.name {
			out = append(out, k.name)
		}
	}
	return out
}

// optional are elements that a recorded answer has and this client does not, for a reason: an address that
// is not known.
var optional = map[string][]string{"AMT_EthernetPortSettings": {"DefaultGateway", "PrimaryDNS", "SecondaryDNS", "IPAddress"}}

// without leaves out elements.
func without(n *node, gone []string) *node {
	out := *n
	out.kids = slices.DeleteFunc(slices.Clone(n.kids), func(k *node) bool { return slices.Contains(gone, k.name) })
	return &out
}

// TestFormOfInstances compares every class that is answered with the recorded answers of Get and Pull.
func TestFormOfInstances(t *testing.T) {
	byClass := map[string][]*node{}
	for _, r := range recordedAnswers(t) {
		body := r.root.kid("Body").first()
		if body == nil || r.root.space != nsSOAP12 {
			continue
		}
		action := r.root.kid("Header").value("Action")
		switch {
		case strings.HasSuffix(action, "/GetResponse"):
			byClass[body.name] = append(byClass[body.name], body)
		case strings.HasSuffix(action, "/PullResponse"):
			for _, i := range body.kid("Items").kids {
				byClass[i.name] = append(byClass[i.name], i)
			}
		}
	}
	e := New(withStage(testConfig(t, "16.0.15"), Post))
	a := newAsker(t, e)
	fillStore(a)
	compared := 0
	for class, k := range classes {
		name := k.item()
		if len(byClass[name]) == 0 {
			if !slices.Contains([]string{"AMT_ProvisioningCertificateHash", "CIM_ComputerSystem", "IPS_8021xCredentialContext"}, name) {
				t.Errorf("%s: no recorded answer", name)
			}
			continue
		}
		for _, mine := range a.all(class) {
			compared++
			var wanted []string
			ok := false
			for _, theirs := range byClass[name] {
				want := shape(without(theirs, optional[name]))
				ok = ok || shape(without(mine, optional[name])) == want
				wanted = append(wanted, strings.Join(names(theirs), " "))
			}
			if !ok {
				t.Errorf("%s\n  mine   %s\n  theirs %s", name, strings.Join(names(mine), " "), strings.Join(wanted, "\n         "))
			}
		}
	}
	if compared < 55 {
		t.Errorf("only %d instances were compared", compared)
	}
}

// prefixes gives the prefixes that the root declares.
func prefixes(n *node) map[string]string {
	out := map[string]string{}
	for _, a := range n.attrs {
		if a.Name.Space == "xmlns" {
			out[a.Name.Local] = a.Value
		}
	}
	return out
}

// rawPrefixes gives prefix:name of every element in order, as the bytes have it.
func rawPrefixes(t *testing.T, b []byte) []string {
	t.Helper()
	var out []string
	d := xml.NewDecoder(strings.NewReader(string(b)))
	for {
		tok, err := d.RawToken()
		if err != nil {
			return out
		}
		if s, ok := tok.(xml.StartElement); ok {
			name := s.Name.Space + ":" + s.Name.Local
			if len(out) == 0 || out[len(out)-1] != name {
				out = append(out, name)
			}
		}
	}
}

// TestFormOfMessages compares whole messages, prefixes and header blocks included.
func TestFormOfMessages(t *testing.T) {
	dir := foreign(t)
	e := New(withStage(testConfig(t, "16.0.15"), Post))
	a := newAsker(t, e)
	fillStore(a)
	enumerate := func(class string) Answer {
		ans, _ := a.ask(actEnumerate, class, "", `<Enumerate xmlns="`+nsEnum+`" />`)
		return ans
	}
	method := func(class, name, args string) Answer {
		ans, _ := a.ask(uriOf(class)+"/"+name, class, "", "<r:"+name+`_INPUT xmlns:r="`+uriOf(class)+`">`+args+"</r:"+name+"_INPUT>")
		return ans
	}
	pull := func(class string) Answer {
		_, n := a.ask(actEnumerate, class, "", `<Enumerate xmlns="`+nsEnum+`" />`)
		ans, _ := a.ask(actPull, class, "", `<Pull xmlns="`+nsEnum+`"><EnumerationContext>`+n.value("EnumerationContext")+`</EnumerationContext><MaxElements>999</MaxElements></Pull>`)
		return ans
	}
	get := func(class string) Answer {
		ans, _ := a.ask(actGet, class, "", "")
		return ans
	}
	for _, c := range []struct {
		file string
		mine func() Answer
	}{
		{"amt/general/get.xml", func() Answer { return get("AMT_GeneralSettings") }},
		{"amt/general/enumerate.xml", func() Answer { return enumerate("AMT_GeneralSettings") }},
		{"amt/setupandconfiguration/get.xml", func() Answer { return get("AMT_SetupAndConfigurationService") }},
		{"amt/setupandconfiguration/pull.xml", func() Answer { return pull("AMT_SetupAndConfigurationService") }},
		{"amt/tls/settingdata/pull.xml", func() Answer { return pull("AMT_TLSSettingData") }},
		{"amt/tls/settingdata/put.xml", func() Answer { return a.put("AMT_TLSSettingData", selectRemote, arg("Enabled", "false")) }},
		{"amt/tls/credentialcontext/pull.xml", func() Answer { return pull("AMT_TLSCredentialContext") }},
		{"amt/publickey/certificate/pull.xml", func() Answer { return pull("AMT_PublicKeyCertificate") }},
		{"amt/publicprivate/pull.xml", func() Answer { return pull("AMT_PublicPrivateKeyPair") }},
		{"amt/authorization/enumerateuseraclentries.xml", func() Answer {
			return method("AMT_AuthorizationService", "EnumerateUserAclEntries", arg("StartIndex", "1"))
		}},
		{"amt/authorization/getuseraclentryex.xml", func() Answer { return method("AMT_AuthorizationService", "GetUserAclEntryEx", arg("Handle", "1")) }},
		{"amt/authorization/getadminaclentry.xml", func() Answer { return method("AMT_AuthorizationService", "GetAdminAclEntry", "") }},
		{"amt/authorization/getadminaclentrystatus.xml", func() Answer { return method("AMT_AuthorizationService", "GetAdminAclEntryStatus", "") }},
		{"amt/authorization/getaclenabledstate.xml", func() Answer { return method("AMT_AuthorizationService", "GetAclEnabledState", arg("Handle", "1")) }},
		{"amt/timesynchronization/getlowaccuracytimesynch.xml", func() Answer { return method("AMT_TimeSynchronizationService", "GetLowAccuracyTimeSynch", "") }},
		{"amt/messagelog/positiontofirstrecord.xml", func() Answer { return method("AMT_MessageLog", "PositionToFirstRecord", "") }},
		{"amt/messagelog/getrecords.xml", func() Answer {
			return method("AMT_MessageLog", "GetRecords", arg("IterationIdentifier", "1")+arg("MaxReadRecords", "390"))
		}},
		{"amt/redirectionservice/requeststatechange.xml", func() Answer {
			return method("AMT_RedirectionService", "RequestStateChange", arg("RequestedState", "32771"))
		}},
		{"cim/software/identity/pull.xml", func() Answer { return pull("CIM_SoftwareIdentity") }},
		{"cim/associatedpower/managementservice/pull.xml", func() Answer { return pull("CIM_AssociatedPowerManagementService") }},
		{"cim/bios/element/get.xml", func() Answer { return get("CIM_BIOSElement") }},
		{"ips/optin/startoptin.xml", func() Answer { return method("IPS_OptInService", "StartOptIn", "") }},
		{"ips/hostbasedsetup/get.xml", func() Answer { return get("IPS_HostBasedSetupService") }},
	} {
		t.Run(c.file, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(dir, c.file))
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := parse(b)
			if err != nil {
				t.Fatal(err)
			}
			ans := c.mine()
			if ans.Status != 200 {
				t.Fatalf("status %d\n%s", ans.Status, ans.Body)
			}
			mine, err := parse(ans.Body)
			if err != nil {
				t.Fatal(err)
			}
			want, got := prefixes(theirs), prefixes(mine)
			for p, ns := range want {
				if got[p] != ns {
					t.Errorf("prefix %s is %q, recorded %q", p, got[p], ns)
				}
			}
			if len(got) != len(want) {
				t.Errorf("prefixes %v, recorded %v", got, want)
			}
			if shape(mine.kid("Header")) != shape(theirs.kid("Header")) {
				t.Errorf("header\n%s, recorded\n%s", shape(mine.kid("Header")), shape(theirs.kid("Header")))
			}
			if g, w := rawPrefixes(t, ans.Body), rawPrefixes(t, b); strings.Join(g[:8], " ") != strings.Join(w[:8], " ") {
				t.Errorf("begins with %v, recorded %v", g[:8], w[:8])
			}
			if m, w := shape(mine.kid("Body")), shape(theirs.kid("Body")); m != w {
				t.Errorf("body\n%s, recorded\n%s", m, w)
			}
			if h := mine.kid("Header"); h.kid("Action").attr("mustUnderstand") != "true" {
				t.Error("Action is not mustUnderstand")
			}
		})
	}
}

// TestFormOfReferences compares what methods of the certificate store and Create give back.
func TestFormOfReferences(t *testing.T) {
	dir := foreign(t)
	e := New(withStage(testConfig(t, "16.0.15"), Post))
	a := newAsker(t, e)
	got := fillStore(a)
	for file, mine := range got {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if m, w := shape(mine), shape(theirs.kid("Body").first()); m != w {
			t.Errorf("%s\n  mine   %s\n  theirs %s", file, m, w)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d answers", len(got))
	}
}

func withStage(c Config, s Stage) Config {
	c.Stage = s
	return c
}
