package wsman

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// The request as MeshCentral 1.1.55 builds it (provisioning-protocol 3.3), its unused namespace
// declarations included.
const meshSetMEBx = `<?xml version="1.0" encoding="utf-8"?><Envelope xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"` +
	` xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"` +
	` xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns="http://www.w3.org/2003/05/soap-envelope">` +
	`<Header><a:Action>http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService/SetMEBxPassword</a:Action>` +
	`<a:To>/wsman</a:To><w:ResourceURI>http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService</w:ResourceURI>` +
	`<a:MessageID>1</a:MessageID><a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>` +
	`<w:OperationTimeout>PT60S</w:OperationTimeout></Header>` +
	`<Body><r:SetMEBxPassword_INPUT xmlns:r="http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService">` +
	`<r:Password>P@ssw0rd1</r:Password></r:SetMEBxPassword_INPUT></Body></Envelope>`

func TestInvokeIsByteForByteThePeers(t *testing.T) {
	got := string(Invoke(ClassSetup, "SetMEBxPassword", []Node{Param("Password", "P@ssw0rd1")}).Encode(1))
	if got != meshSetMEBx {
		t.Errorf("got  %s\nwant %s", got, meshSetMEBx)
	}
}

// Two of the recorded files are requests as the other toolkit writes them, with an answer in the body.
func TestHeaderIsThatOfTheOtherToolkit(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(recorded(t), "amt", "setupandconfiguration", "getuuid.xml"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := Parse(Invoke(ClassSetup, "GetUuid", nil).Encode(1))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(ours.Header, theirs.Header) {
		t.Errorf("ours   %+v\ntheirs %+v", ours.Header, theirs.Header)
	}
}

func certificateRef(id string) Reference {
	return Reference{Resource: URI(ClassCertificate), Selectors: []Selector{{Name: "InstanceID", Value: id}}}
}

// The bodies and selectors of the other kinds of request, as MeshCentral and the other toolkit send
// them.
func TestRequestBodies(t *testing.T) {
	const a = `<a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address>`
	ref := certificateRef("Intel(r) AMT Certificate: Handle: 1")
	refXML := a + `<a:ReferenceParameters><w:ResourceURI>http://intel.com/wbem/wscim/1/amt-schema/1/AMT_PublicKeyCertificate</w:ResourceURI>` +
		`<w:SelectorSet><w:Selector Name="InstanceID">Intel(r) AMT Certificate: Handle: 1</w:Selector></w:SelectorSet></a:ReferenceParameters>`
	cases := map[string]struct {
		r      Request
		action string
		part   string
	}{
		"get": {Get(ClassGeneral), "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get", `PT60S</w:OperationTimeout></Header><Body></Body>`},
		"get one of several": {Get(ClassKeyPair, Selector{Name: "InstanceID", Value: "Intel(r) AMT Key: Handle: 0"}), "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get",
			`</w:OperationTimeout><w:SelectorSet><w:Selector Name="InstanceID">Intel(r) AMT Key: Handle: 0</w:Selector></w:SelectorSet></Header>`},
		"enumerate": {Enumerate(ClassSoftware), "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate",
			`<Body><Enumerate xmlns="http://schemas.xmlsoap.org/ws/2004/09/enumeration"></Enumerate></Body>`},
		"pull": {Pull(ClassSoftware, "D3000000"), "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Pull",
			`<Body><Pull xmlns="http://schemas.xmlsoap.org/ws/2004/09/enumeration"><EnumerationContext>D3000000</EnumerationContext>` +
				`<MaxElements>999</MaxElements><MaxCharacters>99999</MaxCharacters></Pull></Body>`},
		"create with references": {Create(ClassTLSContext, ParamRef(ClassTLSContext, "ElementInContext", ref)), "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create",
			`<Body><r:AMT_TLSCredentialContext xmlns:r="http://intel.com/wbem/wscim/1/amt-schema/1/AMT_TLSCredentialContext"><r:ElementInContext>` +
				refXML + `</r:ElementInContext></r:AMT_TLSCredentialContext></Body>`},
		"delete by a reference": {Delete(ClassTLSContext, Selector{Name: "ElementInContext", Ref: &ref}), "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete",
			`<w:SelectorSet><w:Selector Name="ElementInContext"><a:EndpointReference>` + refXML + `</a:EndpointReference></w:Selector></w:SelectorSet></Header><Body></Body>`},
		"put": {Put(ClassGeneral, Node{Space: URI(ClassGeneral), Local: ClassGeneral}.Set("HostName", "pc<1>")), "http://schemas.xmlsoap.org/ws/2004/09/transfer/Put",
			`<Body><r:AMT_GeneralSettings xmlns:r="http://intel.com/wbem/wscim/1/amt-schema/1/AMT_GeneralSettings"><r:HostName>pc&lt;1&gt;</r:HostName></r:AMT_GeneralSettings></Body>`},
		"ips": {Invoke(ClassHost, "Setup", nil), "http://intel.com/wbem/wscim/1/ips-schema/1/IPS_HostBasedSetupService/Setup",
			`<w:ResourceURI>http://intel.com/wbem/wscim/1/ips-schema/1/IPS_HostBasedSetupService</w:ResourceURI>`},
		"cim": {Enumerate(ClassSoftware), "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate",
			`<w:ResourceURI>http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_SoftwareIdentity</w:ResourceURI>`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := string(c.r.Encode(7))
			if !strings.Contains(got, c.part) {
				t.Errorf("got %s\nwant in it %s", got, c.part)
			}
			if !strings.Contains(got, "<a:Action>"+c.action+"</a:Action>") || !strings.Contains(got, "<a:MessageID>7</a:MessageID>") {
				t.Errorf("action or message id: %s", got)
			}
		})
	}
}

// A setting that was read goes back as it was, but for what was changed.
func TestPutOfWhatWasRead(t *testing.T) {
	a := parseFile(t, filepath.Join(recorded(t), "amt", "tls", "settingdata", "get.xml"))
	n, err := a.Instance(ClassTLS)
	if err != nil {
		t.Fatal(err)
	}
	before := len(n.Nodes)
	sent, err := Parse(Put(ClassTLS, n.Set("Enabled", "true"), Selector{Name: "InstanceID", Value: TLSRemote}).Encode(1))
	if err != nil {
		t.Fatal(err)
	}
	if v := n.Value("Enabled"); v != "false" {
		t.Errorf("Set changed the node that was read: %s", v)
	}
	got := sent.Content()
	if len(got.Nodes) != before || got.Value("Enabled") != "true" || got.Value("AcceptNonSecureConnections") != "false" || got.Space != URI(ClassTLS) {
		t.Errorf("%+v", got)
	}
}

func TestReferenceInReference(t *testing.T) {
	a := parseFile(t, filepath.Join(recorded(t), "amt", "tls", "credentialcontext", "create.xml"))
	r, err := a.Created()
	if err != nil {
		t.Fatal(err)
	}
	if r.Resource != URI(ClassTLSContext) || len(r.Selectors) != 2 || r.Selectors[0].Ref == nil || r.Selectors[0].Ref.Key("InstanceID") != "testCertificate" ||
		r.Selectors[1].Ref.Key("ElementName") != TLSEndpoints {
		t.Errorf("%+v", r)
	}
	// It comes back the same when it is sent as a selector.
	back, err := Parse(Delete(ClassTLSContext, r.Selectors...).Encode(1))
	if err != nil {
		t.Fatal(err)
	}
	sel := back.Header.At("SelectorSet").All("Selector")
	inner, ok := ReadReference(sel[0])
	if !ok || !reflect.DeepEqual(inner, *r.Selectors[0].Ref) {
		t.Errorf("%+v", inner)
	}
}

// What we send is read by Python's parser as we meant it, awkward passwords included.
func TestRequestsAreReadByPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("python3 is not installed")
	}
	awkward := "a<b>&'\"]]>\u00e9\u20ac \U0001F511&amp;"
	name := filepath.Join(t.TempDir(), "request.xml")
	request := Invoke(ClassSetup, "SetMEBxPassword", []Node{Param("Password", awkward)}).Encode(1)
	if err := os.WriteFile(name, request, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, filepath.Join("testdata", "tree.py"))
	cmd.Stdin = strings.NewReader(name)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out, quoted(t, awkward)) {
		t.Errorf("%s is not in %s", quoted(t, awkward), out)
	}
}

// quoted gives the JSON that Python writes: ASCII only.
func quoted(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, r := range strings.TrimSpace(b.String()) {
		switch {
		case r < 0x80:
			out = append(out, byte(r))
		case r < 0x10000:
			out = append(out, []byte("\\u"+hex4(r))...)
		default:
			r -= 0x10000
			out = append(out, []byte("\\u"+hex4(0xd800+r>>10)+"\\u"+hex4(0xdc00+r&0x3ff))...)
		}
	}
	return out
}

func hex4(r rune) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15]})
}
