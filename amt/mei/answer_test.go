package mei

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestRequests: what we send is what the reference sends.
func TestRequests(t *testing.T) {
	v := vectors(t)
	for name, got := range map[string][]byte{
		"GetProvisioningMode": GetProvisioningMode.Request(), "GetProvisioningState IN": GetProvisioningState.Request(), "GetUUID": GetUUID.Request(),
		"GetProvisioningTlsMode PKI": GetTLSMode.Request(), "GetZeroTouchEnabled": GetZeroTouch.Request(), "GetRngSeedStatus": GetRandom.Request(),
		"GenerateRngSeed": MakeRandom.Request(), "GetPID": GetPID.Request(), "GetAdminNetAclEntryStatus": GetAdminDefault.Request(),
		"GetControlMode": GetControlMode.Request(), "GetLANInterfaceSettings wired": GetLAN.Request(0, 0, 0, 0), "GetMACAddresses": GetMACs.Request(),
		"GetPKIFQDNSuffix": GetSuffix.Request(), "GetDNSSuffixList": GetSuffixList.Request(), "EnumerateHashHandles": ListHashes.Request(),
		"GetSecurityParameters": GetSecurity.Request(), "SetProvisioningServerOTP": SetOTP.Request(ansi("OTP12345")...),
		"SetDNSSuffix": SetSuffix.Request(ansi("corp.example")...), "StartConfiguration OK": StartConfiguration.Request(),
		"StartConfigurationEx": StartConfigurationEx.Request(0, 0, 0, 0), "StopConfiguration": StopConfiguration.Request(),
		"GetRemoteAccessConnectionStatus": GetRemoteAccess.Request(), "Unprovision": Unprovision.Request(0, 0, 0, 0), "GetLastHostResetReason": GetLastReset.Request(),
		"GetCurrentPowerPolicy": GetPowerPolicy.Request(), "GetFeaturesState redirection": GetFeature.Request(0, 0, 0, 0), "GetAMTState": GetAMTState.Request(stateID[:]...),
		"WD IsChangeToAMTEnabled (enabled)": askEnabled, "WD ChangeToAMT": setOldOn, "WD SetAmtOperationalState enable": setOn, "MKHI GetFWVersion": askFirmware,
		"MKHI GetFWCaps capable (rule 0)": askRule(ruleCapable), "MKHI GetFWCaps enabled (rule 32)": askRule(ruleEnabled),
		"GetCertificateHashEntry 0": GetHash.Request(0, 0, 0, 0), "GetConfigServerData": GetConfigServer.Request(), "GetCodeVersions": GetCodeVersions.Request(),
	} {
		if want, ok := v[name]; !ok || !bytes.Equal(got, want.request) {
			t.Errorf("%s: %x, want %x", name, got, want.request)
		}
	}
}

// reader reads an answer of a vector and shows what it read.
type reader struct {
	vector  string
	command Command
	read    func([]byte) (any, error)
	want    string
}

func as[T any](f func([]byte) (T, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) { v, err := f(b); return v, err }
}

func num(c Command) func([]byte) (any, error) {
	return as(func(b []byte) (uint32, error) { return ReadNumber(c, b) })
}

var readers = []reader{
	{"GetProvisioningMode", GetProvisioningMode, num(GetProvisioningMode), "1"},
	{"GetProvisioningState PRE", GetProvisioningState, num(GetProvisioningState), "0"},
	{"GetProvisioningState IN", GetProvisioningState, num(GetProvisioningState), "1"},
	{"GetProvisioningTlsMode PSK", GetTLSMode, num(GetTLSMode), "1"},
	{"GetControlMode", GetControlMode, num(GetControlMode), "2"},
	{"GetPID", GetPID, as(ReadPID), "4444DDDT"},
	{"GetUUID", GetUUID, as(ReadUUID), "00112233-4455-6677-8899-aabbccddeeff"},
	{"GetLANInterfaceSettings wired", GetLAN, as(ReadLAN), "{true 192.168.1.42 true true true 00:1c:c0:a1:b2:c3}"},
	{"GetPKIFQDNSuffix", GetSuffix, as(func(b []byte) (string, error) { return ReadText(GetSuffix, b) }), "corp.example"},
	{"GetDNSSuffixList", GetSuffixList, as(ReadSuffixes), "[corp.example]"},
	{"EnumerateHashHandles", ListHashes, as(ReadHandles), "[0 1]"},
	{"GetSecurityParameters", GetSecurity, as(ReadSecurity), "{false false true true true false}"},
	{"GetRemoteAccessConnectionStatus", GetRemoteAccess, as(ReadRemoteAccess), "{direct not-connected user }"},
	{"GetLastHostResetReason", GetLastReset, as(ReadLastReset), "{false 0001-01-01 00:00:00 +0000 UTC}"},
	{"GetCurrentPowerPolicy", GetPowerPolicy, as(func(b []byte) (string, error) { return ReadText(GetPowerPolicy, b) }), "Desktop: ON in S0"},
	{"GetAMTState", GetAMTState, as(ReadMEState), "{true none}"},
	{"GetCertificateHashEntry 0", GetHash, as(func(b []byte) (Hash, error) { return ReadHash(0, b) }), "{0 VeriSign Class 3 Primary CA-G1 sha1 742c3192e607e424eb4549542be1bbc53e6174e2 true true}"},
	{"GetConfigServerData", GetConfigServer, as(ReadConfigServer), "{9971 192.168.1.10 provisionserver.corp.example}"},
	{"GetCodeVersions", GetCodeVersions, as(ReadCodeVersions), "{JOQ3510J.86A.0933 [{Flash 3.2.1} {Netstack 3.2.1} {AMTApps 3.2.1} {AMT 3.2.1} {Sku 14} {VendorID 8086} {Build Number 1044}]}"},
}

func TestAnswers(t *testing.T) {
	v := vectors(t)
	for _, r := range readers {
		b, err := r.command.Answer(v[r.vector].answer)
		if err != nil {
			t.Errorf("%s: %v", r.vector, err)
			continue
		}
		got, err := r.read(b)
		if s := fmt.Sprint(got); err != nil || s != r.want {
			t.Errorf("%s: %s, %v; want %s", r.vector, s, err, r.want)
		}
		for n := range b { // each field that is cut off is named
			if _, err := r.read(b[:n]); n < len(b)-len(trailing(r.command)) && !errors.Is(err, ErrGarbled) && err == nil {
				t.Errorf("%s with %d of %d bytes: %v", r.vector, n, len(b), err)
			}
		}
	}
	own, host, err := ReadMACs(v["GetMACAddresses"].answer[answerLen:])
	if own != "00:1c:c0:a1:b2:c3" || host != own || err != nil {
		t.Errorf("%s, %s, %v", own, host, err)
	}
}

// trailing is what of an answer has no meaning here.
func trailing(c Command) []byte {
	return make([]byte, map[Command]int{GetProvisioningMode: 4, GetSecurity: 28}[c])
}

func TestAnswerRefuses(t *testing.T) {
	good := vectors(t)["GetProvisioningState IN"].answer
	for n := 1; n < len(good); n++ {
		if _, err := GetProvisioningState.Answer(good[:n]); !errors.Is(err, ErrGarbled) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := GetProvisioningState.Answer(append(bytes.Clone(good), 0)); !errors.Is(err, ErrGarbled) || !strings.Contains(err.Error(), "21 bytes came, 20 were announced") {
		t.Errorf("longer than announced: %v", err)
	}
	if _, err := GetProvisioningState.Answer(nil); !errors.Is(err, ErrSwitchedOff) {
		t.Errorf("empty: %v", err)
	}
	for at, v := range map[int]byte{0: 2, 2: 1, 4: 0x12, 6: 0, 8: 9, 11: 0xff} {
		b := bytes.Clone(good)
		b[at] = v
		if _, err := GetProvisioningState.Answer(b); !errors.Is(err, ErrGarbled) {
			t.Errorf("byte %d as %#x: %v", at, v, err)
		}
	}
	var s Status
	if _, err := Unprovision.Answer(vectors(t)["Unprovision"].answer); !errors.As(err, &s) || s != WrongState {
		t.Errorf("%v", err)
	}
	if _, err := ReadHandles([]byte{0xff, 0xff, 0xff, 0xff}); err == nil {
		t.Error("4 thousand million handles")
	}
}

func TestManage(t *testing.T) {
	v := vectors(t)
	for in, want := range map[string]string{"82": "{130 true true false false}", "80": "{128 true false false false}", "01": "{1 false false true true}",
		"00": "{0 false false false false}", "c3": "{195 true true true false}", "82000000": "{130 true true false false}"} {
		b, _ := hex.DecodeString(in)
		if e, err := ReadEnablement(b); fmt.Sprint(e) != want || err != nil {
			t.Errorf("%s: %v, %v", in, e, err)
		}
	}
	for _, n := range []int{0, 2, 3, 5} {
		if _, err := ReadEnablement(make([]byte, n)); !errors.Is(err, ErrGarbled) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for in, want := range map[string]string{"00000000": "", "0500531000000000": "", "9e000000": "0x9e", "0500531003000000": "not while it is provisioned", "00": "1 bytes", "": "0 bytes"} {
		b, _ := hex.DecodeString(in)
		if err := ReadEnabled(b); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
	fw, err := ReadFirmware(v["MKHI GetFWVersion"].answer)
	if fw.String() != "3.2.1.1044" || err != nil {
		t.Errorf("%v, %v", fw, err)
	}
	capable, err := ReadRule(ruleCapable, v["MKHI GetFWCaps capable (rule 0)"].answer)
	if capable != 0x420004 || err != nil {
		t.Errorf("%#x, %v", capable, err)
	}
	if _, err := ReadRule(ruleEnabled, v["MKHI GetFWCaps capable (rule 0)"].answer); !errors.Is(err, ErrGarbled) {
		t.Errorf("another rule: %v", err)
	}
	if _, err := ReadFirmware([]byte{0xff, 0x82, 0, 0x8d}); err == nil || errors.Is(err, ErrGarbled) {
		t.Errorf("a result that is an error: %v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.answer)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, r := range readers {
			p, err := r.command.Answer(b)
			if err != nil {
				p = b // the readers bear it all the same
			}
			_, _ = r.read(p)
		}
		_, _, _ = ReadMACs(b)
		_, _ = ReadSetupAudit(b)
		_, _ = ReadEnablement(b)
		_ = ReadEnabled(b)
		_, _ = ReadFirmware(b)
		_, _ = ReadRule(0, b)
	})
}
