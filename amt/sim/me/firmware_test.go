package me

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// TestAnswersAreThoseOfTheRecordings compares the firmware with answers that were made without it.
func TestAnswersAreThoseOfTheRecordings(t *testing.T) {
	b, err := os.ReadFile("../../mei/testdata/vectors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	wire := [16]byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	yes := true
	clientOf := func(name string) *Firmware {
		f := &Firmware{AMT: true, On: true, Watchdog: true, Caps: true, Version: "3.2.1", UUID: wire, Mode: 1, Control: 2, TLS: 1, ZeroTouch: true, Default: &yes, PID: "4444DDDT", Suffix: "corp.example"}
		switch {
		case strings.HasSuffix(name, " IN"):
			f.State = 1
		case strings.HasSuffix(name, " PKI"):
			f.TLS = 2
		case name == "Unprovision":
			f.State = 2
		case name == "StartConfiguration refused":
			f.State = 1
		case name == "StopConfiguration":
			f.State = 1
		}
		return f
	}
	client := func(name string) [16]byte {
		switch {
		case strings.HasPrefix(name, "WD "):
			return watchdogClient
		case strings.HasPrefix(name, "MKHI "):
			return mkhiClient
		}
		return hostClient
	}
	// Of these the simulated client has other values, or none.
	others := []string{"GenerateRngSeed", "EnumerateHashHandles", "GetSecurityParameters", "GetLANInterfaceSettings wired", "GetMACAddresses", "GetDNSSuffixList", "GetRemoteAccessConnectionStatus",
		"GetLastHostResetReason", "GetCurrentPowerPolicy", "GetFeaturesState redirection", "SetEnterpriseAccess", "GetAMTState", "WD ChangeToAMT", "MKHI GetFWVersion", "MKHI GetFWCaps capable (rule 0)",
		"MKHI GetFWCaps enabled (rule 32)", "GetCertificateHashEntry 0", "GetConfigServerData", "GetCodeVersions"}
	compared := 0
	for line := range strings.Lines(string(b)) {
		v := strings.Split(strings.TrimSpace(line), "\t")
		if len(v) != 3 || strings.HasPrefix(line, "#") || contains(others, v[0]) {
			continue
		}
		request, _ := hex.DecodeString(v[1])
		want, _ := hex.DecodeString(v[2])
		got := clientOf(v[0]).Answer(client(v[0]), request)
		if v[0] == "WD SetAmtOperationalState enable" {
			want[1] = 0 // length and status: sources differ about the head
			got[1] = 0
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", v[0], got, want)
		}
		compared++
	}
	if compared < 18 {
		t.Errorf("only %d answers were compared", compared)
	}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// TestSetup: the firmware takes and refuses changes as the guide says.
func TestSetup(t *testing.T) {
	status := func(f *Firmware, code byte, payload ...byte) byte {
		b := append([]byte{1, 1, 0, 0, code, 0, 0, 4, byte(len(payload)), 0, 0, 0}, payload...)
		return f.Answer(hostClient, b)[12]
	}
	f := &Firmware{AMT: true, On: true}
	for i, step := range []struct {
		do   func() byte
		want byte
	}{
		{func() byte { return status(f, 0x2a, 2, 0, 'a', 'b') }, success},
		{func() byte { return status(f, 0x2a, 9, 0, 'a', 'b') }, badParam},
		{func() byte { return status(f, 0x29) }, success},
		{func() byte { return status(f, 0x29) }, wrongState},
		{func() byte { return status(f, 0x2f, 1, 0, 'x') }, wrongState},
		{func() byte { f.WindowOver = true; return status(f, 0x62, 0, 0, 0, 0) }, success},
		{func() byte { return status(f, 0x5e) }, success},
		{func() byte { return status(f, 0x5e) }, wrongState},
		{func() byte { f.State, f.Control = 2, 2; return status(f, 0x10, 0, 0, 0, 0) }, wrongState},
		{func() byte { f.Control = 1; return status(f, 0x10, 0, 0, 0, 0) }, success},
		{func() byte { return status(f, 0x77) }, unsupported & 0xff},
	} {
		if got := step.do(); got != step.want {
			t.Errorf("step %d: status %#x, want %#x", i, got, step.want)
		}
	}
	if f.OTP != "ab" || f.State != 0 || f.Hellos() || len(f.Codes()) != 11 {
		t.Errorf("%q, %d, %v", f.OTP, f.State, f.Codes())
	}
}

// A request of any form gets an answer, and never stops the firmware.
func FuzzFirmware(f *testing.F) {
	f.Add([]byte{5, 2, 0x51, 0x10})
	f.Add([]byte{1, 1, 0, 0, 0x1a, 0, 0, 4, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		fw := &Firmware{AMT: true, On: true}
		for _, c := range [][16]byte{hostClient, watchdogClient, mkhiClient} {
			if a := fw.Answer(c, b); len(a) > MaxMessage {
				t.Errorf("%d bytes", len(a))
			}
		}
	})
}
