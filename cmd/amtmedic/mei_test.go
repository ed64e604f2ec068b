package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/amt/mei"
)

const ansPSK = "010100002b008004080000000000000001000000"

// meiOf is a Management Engine that has only AMT's own client, which answers as told.
func meiOf(f *fakeME) meiWorld {
	return meiWorld{poll: time.Millisecond, dial: func(_ context.Context, id mei.ID) (mei.Link, error) {
		if id != mei.AMTHI {
			return nil, mei.ErrNoClient
		}
		return f, nil
	}}
}

func TestMEIStatus(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []string
		mode    string
		modes   string
		state   string
	}{
		{"not in setup", []string{ansPre, ansZeroOff}, "", "2 3", "pre"},
		{"setup with a pair", []string{ansIn, ansPSK}, "", "4 6", "in"},
		{"setup with a certificate", []string{ansIn, ansPKI, ansZeroOn}, "", "5 6", "in"},
		{"set up", []string{ansPost}, "provisioned", "provisioned", "post"},
		{"nothing told", nil, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, stdout, _ := testEnv(t)
			code, err := runMEIIn(e, meiOf(newFakeME(c.answers...)), []string{"status", "--json"})
			if want := map[bool]int{true: exitUndecided, false: exitOK}[c.modes == ""]; err != nil || code != want {
				t.Fatal(code, err)
			}
			readJSONDoc(t).check(t, "mei status", []byte(stdout.String()))
			var got meiStatus
			if err := json.Unmarshal([]byte(stdout.String()), &got); err != nil {
				t.Fatal(err)
			}
			if got.Mode != c.mode || strings.Join(got.Modes, " ") != c.modes || got.ProvState != c.state || got.AMTVersion != "3.2.1" || got.UUID != "00112233-4455-6677-8899-aabbccddeeff" {
				t.Errorf("%s", stdout)
			}
			if len(got.Modes) > 1 && len(got.Ask) == 0 {
				t.Error("several modes fit, and nothing says what would tell them apart")
			}
		})
	}
}

func TestMEIStatusInWords(t *testing.T) {
	e, stdout, _ := testEnv(t)
	if code, err := runMEIIn(e, meiOf(newFakeME(ansIn, ansPKI)), []string{"status"}); err != nil || code != exitOK {
		t.Fatal(code, err)
	}
	for _, want := range []string{"5 or 6", "find out", "9971", "3.2.1"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("lacks %q:\n%s", want, stdout)
		}
	}
}

// TestMEIChanges makes each change: what is sent, in which order it is recorded, and when nothing is sent.
func TestMEIChanges(t *testing.T) {
	otp := filepath.Join(t.TempDir(), "otp")
	if err := os.WriteFile(otp, []byte("OTP12345\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		start  = "010100002900000400000000"
		setOTP = "010100002a0000040a00000008004f54503132333435" // local-mei 2.6
		suffix = "010100002f0000040e0000000c00636f72702e6578616d706c65"
		stop   = "010100005e00000400000000"
	)
	for _, c := range []struct {
		name    string
		args    string
		answers []string
		code    int
		sent    string // request; empty: none that changes anything
		stages  string // of mei.log
	}{
		{"start", "restart-hello --yes", []string{ansPre, ansZeroOn, ansRandom, ansStart}, exitOK, start, "intent done"},
		{"start refused in an open window", "restart-hello --yes", []string{ansIn, ansRandom, ansRefused}, exitOK, start, "intent done"},
		{"start without an address", "restart-hello --yes", []string{ansIn, ansRandom, ansNotReady}, exitFound, start, "intent failed"},
		{"start when set up", "restart-hello --yes", []string{ansPost}, exitOK, "", ""},
		{"start without a way", "restart-hello --yes", []string{ansPre, ansZeroOff}, exitFound, "", ""},
		{"nobody agrees", "restart-hello", []string{ansPre, ansZeroOn, ansRandom, ansStart}, exitFound, "", ""},
		{"one-time password", "otp --yes " + otp, []string{ansPre, "010100002a0080040400000000000000"}, exitOK, setOTP, "intent done"},
		{"suffix", "suffix --yes corp.example", []string{ansPre, "010100002f0080040400000000000000"}, exitOK, suffix, "intent done"},
		{"no suffix", "suffix --yes http://x/", []string{ansPre}, exitFound, "", ""},
		{"stop", "stop --yes", []string{ansIn, "010100005e0080040400000000000000"}, exitOK, stop, "intent done"},
		{"stop where nothing runs", "stop --yes", []string{ansPre}, exitOK, "", ""},
		{"unprovision refused", "unprovision --yes", []string{ansPost, "01010000100080040400000003000000"}, exitFound, "01010000100000040400000000000000", "intent failed"},
		{"unprovision what is not set up", "unprovision --yes", []string{ansPre}, exitOK, "", ""},
		{"enable what is on", "enable --yes", []string{ansPre}, exitOK, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, stdout, stderr := testEnv(t)
			f := newFakeME(c.answers...)
			code, err := runMEIIn(e, meiOf(f), append(strings.Fields(c.args), "--json"))
			if code != c.code {
				t.Errorf("exit %d (%v), want %d", code, err, c.code)
			}
			if sent := changes(f); sent != c.sent {
				t.Errorf("sent %q, want %q", sent, c.sent)
			}
			if got := meiStages(t); got != c.stages {
				t.Errorf("mei.log has %q, want %q", got, c.stages)
			}
			if stdout.String() != "" {
				readJSONDoc(t).check(t, "mei.log", []byte(stdout.String()))
			}
			if all := stdout.String() + stderr.String(); strings.Contains(all, "OTP12345") || strings.Contains(all, "4f5450") {
				t.Error("the one-time password is shown")
			}
			if c.sent != "" && (!strings.Contains(stderr.String(), "undo") || !strings.Contains(stderr.String(), "sends")) {
				t.Errorf("no preview:\n%s", stderr)
			}
		})
	}
}

// changes gives the requests among those of a fake that change something.
func changes(f *fakeME) string {
	var out []string
	for _, r := range f.asked {
		switch r[8:10] + r[14:16] {
		case "1004", "2904", "2a04", "2f04", "5e04", "6204", "8804":
			out = append(out, r)
		}
	}
	return strings.Join(out, " ")
}

// meiStages gives the stages in mei.log, and sees to it that no secret stands there.
func meiStages(t *testing.T) string {
	b, err := os.ReadFile(filepath.Join(os.Getenv("AMTMEDIC_HOME"), "mei.log"))
	if err != nil {
		return ""
	}
	if strings.Contains(string(b), "OTP12345") || strings.Contains(string(b), "4f5450") {
		t.Error("the one-time password stands in mei.log")
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		var a meiAction
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		out = append(out, a.Stage)
	}
	return strings.Join(out, " ")
}

func TestMEIWithoutARecordNothingIsSent(t *testing.T) {
	e, _, _ := testEnv(t)
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AMTMEDIC_HOME", filepath.Join(blocked, "home"))
	f := newFakeME(ansIn, "010100005e0080040400000000000000")
	if code, err := runMEIIn(e, meiOf(f), []string{"stop", "--yes"}); code != exitFound || err == nil || changes(f) != "" {
		t.Errorf("exit %d, %v, sent %q", code, err, changes(f))
	}
}

func TestMEILists(t *testing.T) {
	const (
		handles = "010100002c0080040c0000000000000001000000" + "00000000"
		hash    = "010100002d0080046d000000000000000100000001000000742c3192e607e424eb4549542be1bbc53e6174e20000000000000000000000000000000000000000000000000000000000000000000000000000000000000000011e00566572695369676e20436c6173732033205072696d6172792043412d4731"
		reset   = "010100004a0080040c000000000000000100000000000000"
		tunnel  = "01010000460080041200000000000000" + "0000000000000000" + "000000000000"
	)
	for words, answers := range map[string][]string{"hashes": {handles, hash}, "events": {reset, tunnel}} {
		e, stdout, _ := testEnv(t)
		if code, err := runMEIIn(e, meiOf(newFakeME(answers...)), []string{words, "--json"}); err != nil || code != exitOK {
			t.Fatal(words, code, err)
		}
		readJSONDoc(t).check(t, "mei "+words, []byte(stdout.String()))
		if want := map[string]string{"hashes": "742c3192e607e424eb4549542be1bbc53e6174e2", "events": "host-reset"}[words]; !strings.Contains(stdout.String(), want) {
			t.Errorf("%s lacks %s:\n%s", words, want, stdout)
		}
	}
}
