package engine

import (
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// FuzzAnswer gives any bytes to the paths that read messages, before and after log-in. Whatever comes, the
// answer has a status, is XML where it says so, and the client is not set up by garbage.
func FuzzAnswer(f *testing.F) {
	e := New(withStage(testConfig(f, "5.2.10"), Post))
	a := newAsker(f, e)
	add := func(body string) {
		for path := byte(0); path < 4; path++ {
			f.Add(path, []byte(body))
		}
	}
	// The message of provisioning-protocol 3.3, as MeshCentral builds it.
	add(`<Envelope xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns="http://www.w3.org/2003/05/soap-envelope">` +
		`<Header><a:Action>http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService/SetMEBxPassword</a:Action><a:To>/wsman</a:To><w:ResourceURI>http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService</w:ResourceURI>` +
		`<a:MessageID>1</a:MessageID><a:ReplyTo><a:Address>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo><w:OperationTimeout>PT60S</w:OperationTimeout></Header>` +
		`<Body><r:SetMEBxPassword_INPUT xmlns:r="http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService"><r:Password>P@ssw0rd1</r:Password></r:SetMEBxPassword_INPUT></Body></Envelope>`)
	for name := range classes {
		add(a.message(actGet, name, "", ""))
		add(a.message(actEnumerate, name, "", `<Enumerate xmlns="`+nsEnum+`"/>`))
	}
	for name, c := range classes {
		for m := range c.does {
			add(a.message(uriOf(name)+"/"+m, name, "", "<r:"+m+`_INPUT xmlns:r="`+uriOf(name)+`">`+arg("Handle", "1")+arg("Ta0", "1")+"</r:"+m+"_INPUT>"))
		}
	}
	add(a.message(actPut, "AMT_TLSSettingData", selectRemote, `<r:AMT_TLSSettingData xmlns:r="`+uriOf("AMT_TLSSettingData")+`">`+arg("Enabled", "true")+`</r:AMT_TLSSettingData>`))
	add(a.message(actCreate, "AMT_TLSCredentialContext", "", meshContext(certID+"0")))
	for _, s := range services {
		for _, m := range s.methods {
			add(soapBody(s.name, m.name, "<InterfaceHandle>0</InterfaceHandle><EntryEx><Username>admin</Username></EntryEx>"))
		}
	}
	if dir := os.Getenv("AMTMEDIC_FOREIGN_DATA"); dir != "" {
		files, _ := filepath.Glob(filepath.Join(dir, "wsman", "amt", "*", "*.xml"))
		for _, name := range files {
			if b, err := os.ReadFile(name); err == nil {
				f.Add(byte(0), b)
			}
		}
	}
	paths := []string{"/wsman", "/SecurityAdministrationService", "/NetworkAdministrationService", "/RemoteControlService"}
	f.Fuzz(func(t *testing.T, path byte, body []byte) {
		e := New(testConfig(t, "5.2.10"))
		e.cfg.Keys = testConfig(t, "5.2.10").Keys
		where := paths[int(path)%len(paths)]
		if ans := e.Answer(Session{}, "POST", where, nil, body); ans.Status != 401 && !(ans.Status == 200 && ans.Step == "Identify") {
			if _, fault := read(body); where != "/wsman" || fault == nil {
				t.Errorf("without log-in: %d %s", ans.Status, ans.Step)
			}
		}
		if e.State().Generation != 0 {
			t.Error("something was changed without log-in")
		}
		ans := e.Answer(pskSession, "POST", where, nil, body)
		if ans.Status < 200 || ans.Status > 599 {
			t.Errorf("status %d", ans.Status)
		}
		if len(ans.Body) > 0 {
			if _, err := parse(ans.Body); err != nil || !utf8.Valid(ans.Body) {
				t.Errorf("the answer is no XML: %v\n%q", err, ans.Body)
			}
		}
		if e.State().Stage == Post {
			t.Error("one message ends the setup")
		}
	})
}
