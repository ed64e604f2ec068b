package mei

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
)

// firmware32 is an AMT 3.2.1 of the recordings: no watchdog client, capabilities of the old layout.
func firmware32(t testing.TB, more ...vector) *script {
	v := vectors(t)
	s := newScript().add(AMTHI, v["GetCodeVersions"], v["GetUUID"])
	delete(s.clients, Watchdog)
	s.add(MKHI, v["MKHI GetFWVersion"])
	return s.add(AMTHI, more...)
}

// firmware16 is the same with a firmware of today, of which the words of capabilities are readable.
func firmware16(t testing.TB, watchdog byte, capable, enabled uint32, more ...vector) *script {
	s := newScript().add(AMTHI, more...)
	versions := strings.ReplaceAll(hex.EncodeToString(vectors(t)["GetCodeVersions"].answer), hex.EncodeToString([]byte("\x05\x003.2.1\x00")), hex.EncodeToString([]byte("\x06\x0016.1.2")))
	b, err := hex.DecodeString(versions)
	if err != nil {
		t.Fatal(err)
	}
	s.set(AMTHI, GetCodeVersions.Request(), b)
	s.set(Watchdog, askEnabled, []byte{watchdog})
	s.set(MKHI, askFirmware, []byte{0xff, 0x82, 0, 0, 1, 0, 16, 0, 4, 4, 2, 0, 1, 0, 16, 0, 4, 4, 2, 0})
	word := func(rule, w uint32) {
		s.set(MKHI, askRule(rule), []byte{3, 0x82, 0, 0, byte(rule), 0, 0, 0, 4, byte(w), byte(w >> 8), byte(w >> 16), byte(w >> 24)})
	}
	word(ruleCapable, capable)
	word(ruleEnabled, enabled)
	word(rulePlatform, 0x1000)
	return s
}

func (s *script) without(ids ...ID) *script {
	for _, id := range ids {
		delete(s.clients, id)
	}
	return s
}

// TestVerdicts is the table of verdicts (local-mei 3.2), each through the questions and their answers.
func TestVerdicts(t *testing.T) {
	v := vectors(t)
	pre, in := v["GetProvisioningState PRE"], v["GetProvisioningState IN"]
	psk, pki := v["GetProvisioningTlsMode PSK"], v["GetProvisioningTlsMode PKI"]
	post := number(GetProvisioningState, 2)
	zeroOff, zeroOn := number(GetZeroTouch, 0), v["GetZeroTouchEnabled"]
	for name, c := range map[string]struct {
		fw    *script
		fits  string
		says  string
		doubt bool
	}{
		"no AMT in the firmware":     {firmware16(t, 0, 0x420000, 0).without(AMTHI, Watchdog), "[]", "the firmware has no AMT", false},
		"not separable":              {firmware32(t).without(AMTHI), "[1]", "no AMT, or AMT switched off", false},
		"not separable, old MKHI":    {firmware32(t, pre).without(AMTHI).add(MKHI, v["MKHI GetFWCaps capable (rule 0)"]), "[1]", "no AMT, or AMT switched off", false},
		"off by the watchdog":        {firmware16(t, 0x80, 4, 4, pre), "[1]", "switched off", false},
		"off by MKHI":                {firmware16(t, 0, 4, 0).without(AMTHI), "[1]", "switched off", false},
		"off by an empty answer":     {firmware32(t).set(AMTHI, GetCodeVersions.Request(), nil), "[1]", "switched off", false},
		"2 or 3":                     {firmware32(t, pre, zeroOff), "[2 3]", "cannot be told", false},
		"2 or 3, a hint":             {firmware32(t, pre, zeroOff, v["GetAdminNetAclEntryStatus"]), "[2 3]", "cannot be told", true},
		"3":                          {firmware32(t, pre, zeroOff, number(GetAdminDefault, 0)), "[3]", "password changed", true},
		"pre, may say hello":         {firmware32(t, pre, zeroOn), "[2 3 5 6]", "may say hello all the same", false},
		"pre, no active hash":        {firmware32(t, pre, zeroOn, number(ListHashes, 0)), "[2 3]", "cannot be told", false},
		"pre, not told":              {firmware32(t, pre), "[2 3 5 6]", "not told", false},
		"4 or 6":                     {firmware32(t, in, psk), "[4 6]", "PID and PPS", false},
		"5 or 6":                     {firmware32(t, in, pki), "[5 6]", "Remote Configuration", false},
		"4, 5 or 6":                  {firmware32(t, in, number(GetTLSMode, 0)), "[4 5 6]", "neither", false},
		"4, 5 or 6, no such command": {firmware32(t, in), "[4 5 6]", "neither", false},
		"small business":             {firmware32(t, post, number(GetProvisioningMode, 2)), "[smb]", "Small Business", false},
		"provisioned":                {firmware32(t, post, v["GetProvisioningMode"]), "[provisioned]", "provisioned", false},
		"provisioned, client mode":   {firmware16(t, 0x82, 4, 4, post, number(GetControlMode, 1)), "[provisioned]", "client control mode", false},
		"provisioned, admin mode":    {firmware16(t, 0x82, 4, 4, post, v["GetControlMode"]), "[provisioned]", "admin control mode", false},
		"no state":                   {firmware32(t), "[]", "does not tell its provisioning state", false},
		"a state that is none":       {firmware32(t, number(GetProvisioningState, 9)), "[]", "which is none", false},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Look(context.Background(), c.fw.dial)
			if err != nil {
				t.Fatal(err)
			}
			j := s.Judge()
			if fmt.Sprint(j.Fits) != c.fits || !strings.Contains(j.Text, c.says) || (j.Doubt != "") != c.doubt {
				t.Errorf("%v %q %q %v", j.Fits, j.Text, j.Doubt, j.Why)
			}
			if one := len(j.Fits) == 1 && !j.MaybeNoAMT; one != (j.Mode != "") || one && j.Mode != j.Fits[0] {
				t.Errorf("mode %q of %v", j.Mode, j.Fits)
			}
			if len(j.Fits) != 1 && len(j.Ask) == 0 {
				t.Error("nothing to ask for")
			}
		})
	}
}

func TestLookReads(t *testing.T) {
	v := vectors(t)
	s, err := Look(context.Background(), firmware32(t, v["GetProvisioningState IN"], v["GetProvisioningTlsMode PSK"], v["GetPID"], v["GetPKIFQDNSuffix"],
		v["GetConfigServerData"], v["GetLANInterfaceSettings wired"], v["GetRemoteAccessConnectionStatus"], number(ListHashes, 1)).
		set(AMTHI, ListHashes.Request(), append(v["EnumerateHashHandles"].answer[:8:8], 12, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)).add(AMTHI, v["GetCertificateHashEntry 0"]).dial)
	if err != nil || s.Version.String() != "3.2.1" || s.Firmware.String() != "3.2.1.1044" || *s.PID != "4444DDDT" || *s.Suffix != "corp.example" ||
		s.UUID.String() != "00112233-4455-6677-8899-aabbccddeeff" || s.Server.Port != 9971 || !s.HashesRead || len(s.Hashes) != 1 || s.Wired.MAC == "" || s.Wireless != nil {
		t.Errorf("%+v, %v", s, err)
	}
	var silent []string
	for _, q := range s.Unknown {
		silent = append(silent, q.Question)
	}
	for _, q := range []string{"GetControlMode", "GetZeroTouchEnabled", "is AMT switched on"} {
		if !slices.Contains(silent, q) {
			t.Errorf("%s is not among %v", q, silent)
		}
	}
}

func TestLookWithoutME(t *testing.T) {
	for _, want := range []error{ErrNoDriver, ErrNoME, ErrDenied, ErrNotHere, ErrReset, ErrBusy} {
		s := newScript()
		for _, id := range []ID{AMTHI, Watchdog, MKHI, MKHIFix} {
			s.fails[id] = want
		}
		if _, err := Look(context.Background(), s.dial); !errors.Is(err, want) {
			t.Errorf("%v: %v", want, err)
		}
	}
}

// silentLink never answers.
type silentLink struct{ scriptLink }

func (l *silentLink) Read(ctx context.Context, _ []byte) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func TestLookEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	s := newScript()
	_, err := Look(ctx, func(_ context.Context, id ID) (Link, error) { return &silentLink{scriptLink{s: s, id: id}}, nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestPlans(t *testing.T) {
	v := vectors(t)
	look := func(s *script) *State {
		st, err := Look(context.Background(), s.dial)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	pre, in, post := v["GetProvisioningState PRE"], v["GetProvisioningState IN"], number(GetProvisioningState, 2)
	otp := func(s *State) (Act, error) { return PlanOTP(s, amt.NewSecret("OTP12345")) }
	suffix := func(s *State) (Act, error) { return PlanSuffix(s, "corp.example") }
	restart := func(s *State) (Act, error) { return PlanRestart(s, time.Millisecond) }
	for name, c := range map[string]struct {
		fw   *script
		plan func(*State) (Act, error)
		want string // requests in hex, or what the error says
	}{
		"enable, new":             {firmware16(t, 0x80, 4, 0), PlanEnable, hex.EncodeToString(setOn)},
		"enable, old":             {firmware16(t, 0, 0, 0).without(AMTHI, MKHI), PlanEnable, hex.EncodeToString(setOldOn)},
		"enable, on":              {firmware16(t, 0x82, 4, 4, pre), PlanEnable, "nothing to do"},
		"enable, no watchdog":     {firmware32(t).without(AMTHI), PlanEnable, "not possible"},
		"restart, 3.2":            {firmware32(t, in), restart, hex.EncodeToString(v["StartConfiguration OK"].request)},
		"restart, 16":             {firmware16(t, 0x82, 4, 4, in), restart, hex.EncodeToString(v["StartConfigurationEx"].request)},
		"restart, random":         {firmware32(t, in, number(GetRandom, 2)), restart, hex.EncodeToString(v["GenerateRngSeed"].request) + " " + hex.EncodeToString(v["StartConfiguration OK"].request)},
		"restart, provisioned":    {firmware32(t, post), restart, "nothing to do"},
		"restart, nothing to use": {firmware32(t, pre, number(GetZeroTouch, 0)), restart, "not possible"},
		"restart, off":            {firmware16(t, 0x80, 4, 0, pre), restart, "not possible"},
		"otp":                     {firmware32(t, pre), otp, hex.EncodeToString(v["SetProvisioningServerOTP"].request)},
		"otp, provisioned":        {firmware32(t, post), otp, "not possible"},
		"suffix":                  {firmware32(t, pre), suffix, hex.EncodeToString(v["SetDNSSuffix"].request)},
		"suffix, the same":        {firmware32(t, pre, v["GetPKIFQDNSuffix"]), suffix, "nothing to do"},
		"stop":                    {firmware32(t, in), PlanStop, hex.EncodeToString(v["StopConfiguration"].request)},
		"stop, nothing runs":      {firmware32(t, pre), PlanStop, "nothing to do"},
		"unprovision":             {firmware16(t, 0x82, 4, 4, post, number(GetControlMode, 1)), PlanUnprovision, hex.EncodeToString(v["Unprovision"].request)},
		"unprovision, admin":      {firmware16(t, 0x82, 4, 4, post, number(GetControlMode, 2)), PlanUnprovision, "not possible"},
		"unprovision, pre":        {firmware32(t, pre), PlanUnprovision, "nothing to do"},
	} {
		a, err := c.plan(look(c.fw))
		var sent []string
		for _, s := range a.Steps {
			sent = append(sent, hex.EncodeToString(s.Bytes))
		}
		got := strings.Join(sent, " ")
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || err == nil && (a.Changes == "" || a.Undo == "") {
			t.Errorf("%s: %s, %+v", name, got, a)
		}
	}
}

func TestRun(t *testing.T) {
	v := vectors(t)
	start := Act{Steps: []Step{hostStep(StartConfiguration)}}
	if err := start.Run(context.Background(), newScript().add(AMTHI, v["StartConfiguration OK"]).dial); err != nil {
		t.Error(err)
	}
	var s Status
	if err := start.Run(context.Background(), newScript().add(AMTHI, v["StartConfiguration refused"]).dial); !errors.As(err, &s) || s != WrongState {
		t.Error(err)
	}
	on := Act{Steps: []Step{manageStep("on", setOn)}}
	if err := on.Run(context.Background(), newScript().add(Watchdog, v["WD SetAmtOperationalState enable"]).dial); err != nil {
		t.Error(err)
	}
	var m ManageStatus
	if err := on.Run(context.Background(), newScript().set(Watchdog, setOn, []byte{0x9e, 0, 0, 0}).dial); !errors.As(err, &m) || m != 0x9e {
		t.Error(err)
	}
	random := Act{Steps: []Step{hostStep(MakeRandom), hostStep(StartConfiguration)}, poll: time.Millisecond}
	fw := newScript().add(AMTHI, number(GetRandom, 2), number(GetRandom, 1), number(GetRandom, 0), v["GenerateRngSeed"], v["StartConfiguration OK"])
	if err := random.Run(context.Background(), fw.dial); err != nil || len(fw.asked) != 5 {
		t.Errorf("%v, %x", err, fw.asked)
	}
}
