package wsman

import (
	"errors"
	"strings"
	"testing"
)

// A fault of DSP0226 1.1, table "wsa:DestinationUnreachable", in the form that real services send.
const fault12 = `<?xml version="1.0" encoding="UTF-8"?><a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope" xmlns:b="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:c="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><a:Header><b:Action>http://schemas.xmlsoap.org/ws/2004/08/addressing/fault</b:Action><b:RelatesTo>3</b:RelatesTo></a:Header><a:Body><a:Fault><a:Code><a:Value>a:Sender</a:Value><a:Subcode><a:Value>b:DestinationUnreachable</a:Value></a:Subcode></a:Code><a:Reason><a:Text xml:lang="en-US">No route can be determined to reach the destination role defined by the WSAddressing To.</a:Text></a:Reason><a:Detail><c:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InvalidResourceURI</c:FaultDetail></a:Detail></a:Fault></a:Body></a:Envelope>`

const fault11 = `<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>SOAP-ENV:Client</faultcode><faultstring>Method not implemented</faultstring></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>`

func TestFaults(t *testing.T) {
	denied := strings.ReplaceAll(strings.ReplaceAll(fault12, "b:DestinationUnreachable", "c:AccessDenied"), "<a:Detail>", "<a:Detail><x>more</x>")
	cases := map[string]struct {
		data        string
		want        Fault
		text        string
		unsupported bool
	}{
		"SOAP 1.2": {fault12, Fault{"Sender", "DestinationUnreachable", "No route can be determined to reach the destination role defined by the WSAddressing To.",
			"http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InvalidResourceURI"}, "fault Sender DestinationUnreachable: No route", true},
		"access denied": {denied, Fault{"Sender", "AccessDenied", "No route can be determined to reach the destination role defined by the WSAddressing To.",
			"more http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InvalidResourceURI"}, "fault Sender AccessDenied", false},
		"SOAP 1.1": {fault11, Fault{Code: "Client", Reason: "Method not implemented"}, "fault Client: Method not implemented", false},
		"empty":    {head + `<s:Fault/>` + tail, Fault{}, "fault", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, err := Parse([]byte(c.data))
			if err != nil {
				t.Fatal(err)
			}
			f := a.Fault()
			if f == nil || *f != c.want {
				t.Fatalf("got %+v, want %+v", f, c.want)
			}
			if !strings.HasPrefix(f.Error(), c.text) || f.Unsupported() != c.unsupported {
				t.Errorf("%q, unsupported %v", f.Error(), f.Unsupported())
			}
			if _, err := a.Output(ClassSetup, "CommitChanges"); !errors.As(err, &f) {
				t.Errorf("as output: %v", err)
			}
			if _, err := a.Instance(ClassSetup); !errors.As(err, &f) {
				t.Errorf("as instance: %v", err)
			}
		})
	}
}

func TestOutput(t *testing.T) {
	out := func(method, inner string) string {
		return head + `<g:` + method + `_OUTPUT xmlns:g="http://intel.com/wbem/wscim/1/amt-schema/1/AMT_SetupAndConfigurationService">` + inner + `</g:` + method + `_OUTPUT>` + tail
	}
	cases := map[string]struct {
		data string
		code int    // of a ReturnError
		text string // of another error; empty with code 0: success
	}{
		"success":          {out("CommitChanges", "<g:ReturnValue>0</g:ReturnValue>"), 0, ""},
		"white space":      {out("CommitChanges", "<g:ReturnValue>\n 0 </g:ReturnValue>"), 0, ""},
		"data missing":     {out("CommitChanges", "<g:ReturnValue>2057</g:ReturnValue>"), 2057, ""},
		"without a value":  {out("CommitChanges", "<g:UUID>x</g:UUID>"), 0, ""},
		"nothing in it":    {out("CommitChanges", ""), 0, "has no return value"},
		"not a number":     {out("CommitChanges", "<g:ReturnValue>ok</g:ReturnValue>"), 0, "not a number"},
		"of another":       {out("Unprovision", "<g:ReturnValue>0</g:ReturnValue>"), 0, "the answer is Unprovision_OUTPUT, not CommitChanges_OUTPUT"},
		"empty body":       {head + tail, 0, "the answer is empty"},
		"negative":         {out("CommitChanges", "<g:ReturnValue>-1</g:ReturnValue>"), -1, ""},
		"unsigned maximum": {out("CommitChanges", "<g:ReturnValue>4294967295</g:ReturnValue>"), 4294967295, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a, err := Parse([]byte(c.data))
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.Output(ClassSetup, "CommitChanges")
			var ret *ReturnError
			switch {
			case c.code != 0:
				if !errors.As(err, &ret) || ret.Code != c.code || ret.Method != "CommitChanges" || ret.Class != ClassSetup {
					t.Errorf("got %v", err)
				}
			case c.text != "":
				if err == nil || errors.As(err, &ret) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("got %v, want %q", err, c.text)
				}
			case err != nil:
				t.Error(err)
			}
		})
	}
}

// The numbers of provisioning-protocol 3.4 have the names and meanings that stand there.
func TestStatusNames(t *testing.T) {
	cases := map[int]string{0: "SUCCESS", 1: "INTERNAL_ERROR", 2: "NOT_READY", 3: "INVALID_PT_MODE", 16: "NOT_PERMITTED", 23: "MAX_LIMIT_REACHED", 24: "INVALID_AUTH_TYPE",
		25: "AUTHENTICATION_FAILED", 26: "INVALID_DHCP_MODE", 27: "INVALID_IP_ADDRESS", 28: "INVALID_DOMAIN_NAME", 30: "REQUEST_UNEXPECTED", 33: "UNSUPPORTED_OBJECT", 34: "INVALID_TIME",
		35: "INVALID_INDEX", 36: "INVALID_PARAMETER", 38: "FLASH_WRITE_LIMIT_EXCEEDED", 42: "INVALID_PID_FORMAT", 43: "INVALID_PPS_FORMAT", 2054: "INVALID_PASSWORD", 2055: "INVALID_REALM",
		2057: "DATA_MISSING", 2058: "DUPLICATE", 2068: "NOT_FOUND", 2076: "BLOCKING_COMPONENT"}
	for code, name := range cases {
		if got := StatusName(code); got != "PT_STATUS_"+name {
			t.Errorf("%d: %s, want PT_STATUS_%s", code, got, name)
		}
	}
	for code, want := range map[int]bool{0: false, 1: false, 2: true, 47: true, 48: true, 49: true, 2057: false, 2061: true} {
		if NotReady(code) != want {
			t.Errorf("%d: not ready is %v", code, !want)
		}
	}
	if got := StatusName(99999); got != "99999" {
		t.Errorf("an unknown number: %s", got)
	}
	for code, s := range status {
		if s.Name == "" || s.Meaning == "" {
			t.Errorf("%d: %+v", code, s)
		}
	}
}

func TestReturnErrorSpeaksForItsMethod(t *testing.T) {
	cases := map[string]struct {
		e          ReturnError
		text, next string
	}{
		"commit":          {ReturnError{ClassSetup, "CommitChanges", 2057}, "return value 2057 PT_STATUS_DATA_MISSING", "host name"},
		"password":        {ReturnError{ClassSetup, "SetMEBxPassword", 2054}, "PT_STATUS_INVALID_PASSWORD", "8 to 32"},
		"host 5":          {ReturnError{ClassHost, "AdminSetup", 5}, "return value 5 AUTH_FAILED", "suffix"},
		"host 4":          {ReturnError{ClassHost, "Setup", 4}, "METHOD_DISABLED", "network"},
		"chain 4":         {ReturnError{ClassHost, "AddNextCertInChain", 4}, "CERT_VERIFY_FAILED", "root in this order"},
		"unknown":         {ReturnError{ClassSetup, "CommitChanges", 7777}, "return value 7777: no source explains this number", "firmware version"},
		"unknown of host": {ReturnError{ClassHost, "Setup", 2057}, "return value 2057: no source", "number"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(c.e.Error(), c.text) || !strings.Contains(c.e.Status().Next, c.next) {
				t.Errorf("%q, next %q", c.e.Error(), c.e.Status().Next)
			}
		})
	}
}
