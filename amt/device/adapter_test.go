package device

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/wsman"
)

// replay is a server that answers with recorded answers of real firmware, chosen by the action, and
// keeps what was asked.
type replay struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string]string // action's end, such as "AMT_TLSSettingData/Get" -> file
	asked []*wsman.Node     // the content of each request
	ops   []string
}

// newReplay maps the operations that files name: "amt/general/get.xml" is for Get of the class that
// the file itself names.
func newReplay(t *testing.T, over map[string]string) *replay {
	t.Helper()
	recorded(t, "amt", "general", "get.xml") // without the recorded answers the test is skipped here, not in the server
	r := &replay{files: map[string]string{}}
	for class, dir := range map[string]string{
		wsman.ClassGeneral: "amt/general", wsman.ClassSetup: "amt/setupandconfiguration", wsman.ClassAuthority: "amt/authorization",
		wsman.ClassTime: "amt/timesynchronization", wsman.ClassKeys: "amt/publickey/management", wsman.ClassKeyPair: "amt/publicprivate",
		wsman.ClassCertificate: "amt/publickey/certificate", wsman.ClassTLS: "amt/tls/settingdata", wsman.ClassTLSContext: "amt/tls/credentialcontext",
		wsman.ClassPower: "amt/systempowerscheme", wsman.ClassSoftware: "cim/software/identity", wsman.ClassPackage: "cim/computer/systempackage",
		wsman.ClassHost: "ips/hostbasedsetup",
	} {
		for _, op := range []string{"Get", "Put", "Create", "Enumerate", "Pull", "CommitChanges", "Unprovision", "PartialUnprovision", "SetMEBxPassword", "GetUuid",
			"GetLowAccuracyTimeSynch", "SetHighAccuracyTimeSynch", "SetAdminAclEntryEx", "EnumerateUserAclEntries", "GetUserAclEntryEx", "RemoveUserAclEntry",
			"GenerateKeyPair", "AddCertificate", "AddTrustedRootCertificate", "Setup", "AddNextCertInChain", "AdminSetup"} {
			r.files[class+"."+op] = dir + "/" + strings.ToLower(op) + ".xml"
		}
	}
	for op, file := range over {
		r.files[op] = file
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.answer(t, w, q) }))
	t.Cleanup(r.Close)
	return r
}

func (r *replay) answer(t *testing.T, w http.ResponseWriter, q *http.Request) {
	body := make([]byte, q.ContentLength)
	if _, err := q.Body.Read(body); err != nil && err.Error() != "EOF" {
		t.Errorf("read: %v", err)
	}
	a, err := wsman.Parse(body)
	if err != nil {
		t.Errorf("request: %v\n%s", err, body)
		return
	}
	class := a.Resource()[strings.LastIndexByte(a.Resource(), '/')+1:]
	op := class + "." + a.Action()[strings.LastIndexByte(a.Action(), '/')+1:]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked, r.ops = append(r.asked, a.Content()), append(r.ops, op)
	w.Header().Set("Content-Type", "application/soap+xml;charset=UTF-8")
	if text, ok := strings.CutPrefix(r.files[op], "text:"); ok {
		_, _ = w.Write([]byte(text))
		return
	}
	_, _ = w.Write([]byte(recorded(t, strings.Split(r.files[op], "/")...)))
}

// output is an answer of a method for which none was recorded.
func output(class, method, fields string) string {
	return fmt.Sprintf(`text:<a:Envelope xmlns:a="http://www.w3.org/2003/05/soap-envelope"><a:Header/><a:Body><g:%[2]s_OUTPUT xmlns:g="%[1]s">%[3]s<g:ReturnValue>0</g:ReturnValue></g:%[2]s_OUTPUT></a:Body></a:Envelope>`, wsman.URI(class), method, fields)
}

func (r *replay) device(t *testing.T) Device {
	return NewWSMan(open(t, Options{Address: r.Listener.Addr().String()}))
}

func TestReadsRecordedFirmware(t *testing.T) {
	recorded(t, "amt", "general", "get.xml")
	d := newReplay(t, nil).device(t)
	ctx := testContext(t)
	id, err := d.Identify(ctx)
	// The UUID of the recorded bytes 13AEE355D2BFBB6117A088AEDD7037EA in text order (provisioning-protocol 1.2).
	if err != nil || id.Version.String() != "12.0.67" || id.UUID.String() != "55e3ae13-bfd2-61bb-17a0-88aedd7037ea" || id.Realm != "Digest:F3EB554784E729164447A89F60B641C5" {
		t.Errorf("%+v, %v", id, err)
	}
	if s, err := d.State(ctx); err != nil || s.Provisioning != Post || s.Mode != 1 || !s.ZeroTouch || !s.OTP.IsZero() {
		t.Errorf("%+v, %v", s, err)
	}
	if at, err := d.Clock(ctx); err != nil || !at.Equal(time.Date(2024, 1, 7, 0, 21, 5, 0, time.UTC)) {
		t.Errorf("%v, %v", at, err)
	}
	if n, err := d.Names(ctx); err != nil || n != (Names{"Test Host Name", "Test Domain Name"}) {
		t.Errorf("%+v, %v", n, err)
	}
	if u, err := d.Users(ctx); err != nil || len(u) != 0 { // both recorded ones are the firmware's own
		t.Errorf("%+v, %v", u, err)
	}
	if s, err := d.TLS(ctx); err != nil || s.Remote || s.Local || s.Certificate != nil {
		t.Errorf("%+v, %v", s, err)
	}
	if p, err := d.PowerPolicies(ctx); err != nil || len(p) != 2 || p[1].ID != "SCHEME 1" {
		t.Errorf("%+v, %v", p, err)
	}
	h, err := d.(HostBased).HostState(ctx)
	if err != nil || h.Mode != AdminControl || !reflect.DeepEqual(h.Allowed, []ControlMode{AdminControl, ClientControl}) {
		t.Errorf("%+v, %v", h, err)
	}
}

// Firmware below 6.0 is asked for its UUID in the way that it has.
func TestUUIDOfOldFirmware(t *testing.T) {
	software := strings.ReplaceAll(recorded(t, "cim", "software", "identity", "pull.xml"), "12.0.67", "3.2.1")
	r := newReplay(t, map[string]string{"CIM_SoftwareIdentity.Pull": "text:" + software})
	id, err := r.device(t).Identify(testContext(t))
	if err != nil || id.UUID.String() != "55e3ae13-bfd2-61bb-17a0-88aedd7037ea" {
		t.Errorf("%+v, %v", id, err)
	}
	if last := r.ops[len(r.ops)-1]; last != "CIM_ComputerSystemPackage.Get" {
		t.Errorf("asked %v", r.ops)
	}
}

// What the calls of a setup send.
func TestSetsWhatIsAsked(t *testing.T) {
	ctx := testContext(t)
	now := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		do   func(d Device) error
		op   string // the last one
		want map[string]string
	}{
		"clock": {func(d Device) error {
			return d.SetClock(ctx, func() time.Time { now = now.Add(time.Second); return now })
		},
			"AMT_TimeSynchronizationService.SetHighAccuracyTimeSynch", map[string]string{"Ta0": "1704586865", "Tm1": "1795593601", "Tm2": "1795593602"}},
		"names": {func(d Device) error { return d.SetNames(ctx, Names{"pc1", "corp.example"}) },
			"AMT_GeneralSettings.Put", map[string]string{"HostName": "pc1", "DomainName": "corp.example", "InstanceID": "Intel(r) AMT: General Settings", "AMTNetworkEnabled": "1"}},
		"MEBx": {func(d Device) error { return d.SetMEBxPassword(ctx, amt.NewSecret("P@ssw0rd1")) },
			"AMT_SetupAndConfigurationService.SetMEBxPassword", map[string]string{"Password": "P@ssw0rd1"}},
		"admin": {func(d Device) error { return d.SetAdmin(ctx, admin("P@ssw0rd")) },
			"AMT_AuthorizationService.SetAdminAclEntryEx", map[string]string{"Username": "admin", "DigestPassword": base64.StdEncoding.EncodeToString(ha1("Digest:F3EB554784E729164447A89F60B641C5", "P@ssw0rd"))}},
		"pair": {func(d Device) error {
			return d.SetPair(ctx, "4KRG65QT", amt.NewSecret("abcd-EFGH-1234-5678-JKLM-NPQR-9876-5432"))
		},
			"AMT_SetupAndConfigurationService.SetTLSPSK", map[string]string{"PID": "4KRG65QT", "PPS": "ABCDEFGH12345678JKLMNPQR98765432"}},
		"window":  {func(d Device) error { return d.ExtendWindow(ctx, 6) }, "AMT_SetupAndConfigurationService.ExtendProvisioningPeriod", map[string]string{"Duration": "6"}},
		"power":   {func(d Device) error { return d.SetPowerPolicy(ctx, "SCHEME 1") }, "AMT_SystemPowerScheme.SetPowerScheme", nil},
		"commit":  {func(d Device) error { return d.Commit(ctx) }, "AMT_SetupAndConfigurationService.CommitChanges", nil},
		"full":    {func(d Device) error { return d.Unprovision(ctx, true) }, "AMT_SetupAndConfigurationService.Unprovision", map[string]string{"ProvisioningMode": "1"}},
		"partial": {func(d Device) error { return d.Unprovision(ctx, false) }, "AMT_SetupAndConfigurationService.PartialUnprovision", nil},
		"new user": {func(d Device) error {
			return d.SetUser(ctx, User{Name: "tech", Password: amt.NewSecret("P@ssw0rd"), Access: AnyAccess, Realms: []int{2, 5}})
		}, "AMT_AuthorizationService.AddUserAclEntryEx", map[string]string{"DigestUsername": "tech", "AccessPermission": "2", "Realms": "2"}},
		"old user": {func(d Device) error { return d.SetUser(ctx, User{Name: "$$uns", Password: amt.NewSecret("P@ssw0rd")}) }, "AMT_AuthorizationService.UpdateUserAclEntryEx", map[string]string{"Handle": "1", "DigestUsername": "$$uns"}},
		"no user":  {func(d Device) error { return d.RemoveUser(ctx, "$$uns") }, "AMT_AuthorizationService.RemoveUserAclEntry", map[string]string{"Handle": "1"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newReplay(t, map[string]string{
				"AMT_SetupAndConfigurationService.SetTLSPSK":                output(wsman.ClassSetup, "SetTLSPSK", ""),
				"AMT_SetupAndConfigurationService.ExtendProvisioningPeriod": output(wsman.ClassSetup, "ExtendProvisioningPeriod", ""),
				"AMT_SystemPowerScheme.SetPowerScheme":                      output(wsman.ClassPower, "SetPowerScheme", ""),
				"AMT_AuthorizationService.AddUserAclEntryEx":                output(wsman.ClassAuthority, "AddUserAclEntryEx", "<g:Handle>3</g:Handle>"),
				"AMT_AuthorizationService.UpdateUserAclEntryEx":             output(wsman.ClassAuthority, "UpdateUserAclEntryEx", ""),
				"AMT_GeneralSettings.Put":                                   "amt/general/get.xml",
			})
			if err := c.do(r.device(t)); err != nil {
				t.Fatal(err)
			}
			if got := r.ops[len(r.ops)-1]; got != c.op {
				t.Errorf("asked %v", r.ops)
			}
			sent := r.asked[len(r.asked)-1]
			for field, want := range c.want {
				if got := sent.Value(field); got != want {
					t.Errorf("%s = %q, want %q", field, got, want)
				}
			}
		})
	}
}

func ha1(realm, password string) []byte {
	sum := HA1(realm, admin(password))
	return sum[:]
}

// The worked value of provisioning-protocol 3.4.
func TestHA1(t *testing.T) {
	sum := ha1("Digest:BA870000000000000000000000000000", "P@ssw0rd1")
	if hex.EncodeToString(sum) != "fd789878e80cd04765f924ad61ed96bf" || base64.StdEncoding.EncodeToString(sum) != "/XiYeOgM0Edl+SStYe2Wvw==" {
		t.Errorf("%x", sum)
	}
}

// A name that is set already is not written again: flash memory counts writes.
func TestNamesAreNotWrittenAgain(t *testing.T) {
	r := newReplay(t, nil)
	if err := r.device(t).SetNames(testContext(t), Names{"Test Host Name", "Test Domain Name"}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.ops, []string{"AMT_GeneralSettings.Get"}) {
		t.Errorf("asked %v", r.ops)
	}
}

// A certificate that the client says it has already is found in its list and put to use; the key is one
// that no certificate belongs to.
func TestDuplicateCertificateIsFound(t *testing.T) {
	list := recorded(t, "amt", "publickey", "certificate", "get.xml")
	a, err := wsman.Parse([]byte(list))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := wsman.ReadCertificate(a.Content())
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(cert.DER)
	if err != nil {
		t.Fatal(err)
	}
	r := newReplay(t, map[string]string{wsman.ClassKeys + ".AddCertificate": strings.ReplaceAll(output(wsman.ClassKeys, "AddCertificate", ""), "<g:ReturnValue>0<", "<g:ReturnValue>2058<")})
	var signed crypto.PublicKey
	err = r.device(t).SetTLS(testContext(t), TLS{On: true, Root: root, Name: "pc.corp.example", Sign: func(_ context.Context, key crypto.PublicKey) ([]byte, error) {
		signed = key
		return cert.DER, nil
	}})
	if err != nil {
		t.Fatalf("%v, asked %v", err, r.ops)
	}
	if k, ok := signed.(*rsa.PublicKey); !ok || k.N.BitLen() != 2048 {
		t.Errorf("signed %T", signed)
	}
	for i, op := range r.ops {
		if op == "AMT_TLSCredentialContext.Put" {
			ref, _ := wsman.ReadReference(r.asked[i].Child("ElementInContext"))
			if ref.Key("InstanceID") != "Intel(r) AMT Certificate: Handle: 2" && ref.Key("InstanceID") != "Intel(r) AMT Certificate: Handle: 0" {
				t.Errorf("put to use: %+v", ref)
			}
			return
		}
	}
	t.Errorf("no certificate was put to use: %v", r.ops)
}

// TestBusy: what firmware says while it cannot make a key yet.
func TestBusy(t *testing.T) {
	cases := map[string]struct {
		err  error
		want bool
	}{
		"not ready":      {&wsman.ReturnError{Code: 2}, true},
		"random numbers": {&wsman.ReturnError{Code: 48}, true},
		"generating":     {&wsman.ReturnError{Code: 2061}, true},
		"no room":        {&wsman.ReturnError{Code: 23}, false},
		"own fault":      {&wsman.Fault{Code: "Receiver", Subcode: "InternalError"}, true},
		"our fault":      {&wsman.Fault{Code: "Sender", Subcode: "AccessDenied"}, false},
		"no answer":      {io.EOF, false},
	}
	for name, c := range cases {
		if got := busy(&Error{Err: c.err}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
