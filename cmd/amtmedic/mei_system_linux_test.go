package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"amtmedic/amt/sim/me"

	"golang.org/x/sys/unix"
)

// behindME runs the built program with a simulated Management Engine behind its system calls.
func behindME(t *testing.T, bin string, d *me.Device, home string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, told bytes.Buffer
	cmd := exec.Command(bin, args...)
	cmd.Env = append(os.Environ(), "AMTMEDIC_HOME="+home)
	cmd.Stdout, cmd.Stderr = &out, &told
	cmd.SysProcAttr = noNetwork()
	if d.Path == "" {
		d.Path = "/dev/mei0"
	}
	wait, err := d.Start(cmd)
	if errors.Is(err, me.ErrNoSeccomp) {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("no simulated device: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	err = wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), told.String()
}

// TestMEIThroughTheDriver runs the built program on a simulated /dev/mei0: open, connect, poll, read and write are
// the real system calls.
func TestMEIThroughTheDriver(t *testing.T) {
	t.Parallel()
	bin := buildBinary(t)
	t.Run("modes", func(t *testing.T) { meiModes(t, bin) })
	t.Run("errors", func(t *testing.T) { meiErrors(t, bin) })
	t.Run("changes", func(t *testing.T) { meiChanges(t, bin) })
	t.Run("walk", func(t *testing.T) { meiWalk(t, bin) })
}

// noNetwork is a network namespace without anything in it.
func noNetwork() *syscall.SysProcAttr {
	own := func(id int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: id, Size: 1}} }
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, UidMappings: own(os.Getuid()), GidMappings: own(os.Getgid())}
}

// meiWords are the fields of mei status that the contract names, and the modes that fit.
type meiWords struct {
	Mode       string   `json:"mode"`
	Modes      []string `json:"modes"`
	AMTVersion string   `json:"amt_version"`
	UUID       string   `json:"uuid"`
	ProvState  string   `json:"prov_state"`
	Problems   []struct {
		Code string `json:"code"`
	} `json:"problems"`
}

var meiUUID = [16]byte{0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}

// meiModes tells the six modes apart as far as firmware lets them, by the system calls of
// the built program.
func meiModes(t *testing.T, bin string) {
	yes, no := true, false
	fw := func(f *me.Firmware) *me.Firmware {
		f.AMT, f.UUID = true, meiUUID
		if f.Version == "" {
			f.Version = "3.2.1"
		}
		return f
	}
	for name, c := range map[string]struct {
		fw          *me.Firmware
		modes, mode string
		state       string
	}{
		"no AMT":                     {&me.Firmware{Caps: true}, "[]", "", ""},
		"no AMT or off":              {&me.Firmware{}, "[1]", "", ""},
		"1, empty answers":           {fw(&me.Firmware{}), "[1]", "1", ""},
		"1, watchdog":                {fw(&me.Firmware{Watchdog: true, Caps: true, Hidden: true}), "[1]", "1", ""},
		"1, capabilities":            {fw(&me.Firmware{Caps: true, Hidden: true}), "[1]", "1", ""},
		"2 or 3":                     {fw(&me.Firmware{On: true, Default: &yes}), "[2 3]", "", "pre"},
		"3":                          {fw(&me.Firmware{On: true, Default: &no}), "[3]", "3", "pre"},
		"4":                          {fw(&me.Firmware{On: true, State: 1, TLS: 1, PID: "4444DDDT"}), "[4 6]", "", "in"},
		"4, window over":             {fw(&me.Firmware{On: true, State: 1, TLS: 1, WindowOver: true}), "[4 6]", "", "in"},
		"5":                          {fw(&me.Firmware{On: true, State: 1, TLS: 2, ZeroTouch: true}), "[5 6]", "", "in"},
		"not decided":                {fw(&me.Firmware{On: true, State: 1}), "[4 5 6]", "", "in"},
		"provisioned":                {fw(&me.Firmware{On: true, State: 2, Mode: 1}), "[provisioned]", "provisioned", "post"},
		"small business":             {fw(&me.Firmware{On: true, State: 2, Mode: 2}), "[smb]", "smb", "post"},
		"today, provisioned, client": {fw(&me.Firmware{On: true, State: 2, Control: 1, Watchdog: true, Caps: true, Version: "16.1.27"}), "[provisioned]", "provisioned", "post"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, told := behindME(t, bin, &me.Device{Firmware: c.fw}, t.TempDir(), "mei", "status", "--json")
			var w meiWords
			if err := json.Unmarshal([]byte(out), &w); err != nil {
				t.Fatalf("exit %d: %v\n%s%s", code, err, out, told)
			}
			want := map[string]int{"no AMT": exitFound, "no AMT or off": exitUndecided}[name]
			if fmt.Sprint(w.Modes) != c.modes || w.Mode != c.mode || w.ProvState != c.state || code != want {
				t.Errorf("exit %d, modes %v, mode %q, state %q\n%s%s", code, w.Modes, w.Mode, w.ProvState, out, told)
			}
			if c.state != "" && (code != exitOK || w.UUID != "00112233-4455-6677-8899-aabbccddeeff" || w.AMTVersion != c.fw.Version || len(w.Problems) != 0) {
				t.Errorf("exit %d, %+v\n%s", code, w, told)
			}
			for _, n := range c.fw.Codes() {
				if n == 0x04000067 {
					t.Error("the local system account was read")
				}
			}
		})
	}
}

// meiErrors: what the driver refuses is said in its own words, and never as "no AMT".
func meiErrors(t *testing.T, bin string) {
	on := func() *me.Firmware {
		return &me.Firmware{AMT: true, On: true, Version: "3.2.1", UUID: meiUUID, State: 1, TLS: 1}
	}
	for name, c := range map[string]struct {
		d    *me.Device
		want string // code of the problem; empty: it works
	}{
		"denied":                 {&me.Device{Firmware: on(), OpenErr: unix.EACCES}, "denied"},
		"resetting":              {&me.Device{Firmware: on(), OpenErr: unix.ENODEV}, "not-ready"},
		"busy":                   {&me.Device{Firmware: on(), ConnectErr: unix.EBUSY}, "busy"},
		"busy at first":          {&me.Device{Firmware: on(), ConnectErr: unix.EBUSY, Times: 2}, ""},
		"longer than announced":  {&me.Device{Firmware: on(), Spoil: func(b []byte) ([]byte, bool) { return append(b, 0), true }}, "no-state"},
		"shorter than announced": {&me.Device{Firmware: on(), Spoil: func(b []byte) ([]byte, bool) { return b[:len(b)-1], true }}, "no-state"},
		"never answers":          {&me.Device{Firmware: on(), Spoil: func([]byte) ([]byte, bool) { return nil, false }}, "not-ready"},
		"goes away":              {&me.Device{Firmware: on(), ConnectErr: unix.ENODEV}, "not-ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, told := behindME(t, bin, c.d, t.TempDir(), "mei", "status", "--json")
			var w meiWords
			if err := json.Unmarshal([]byte(out), &w); err != nil {
				t.Fatalf("exit %d: %v\n%s%s", code, err, out, told)
			}
			if c.want == "" {
				if code != exitOK || fmt.Sprint(w.Modes) != "[4 6]" {
					t.Errorf("exit %d\n%s%s", code, out, told)
				}
				return
			}
			if code != exitUndecided || len(w.Problems) != 1 || w.Problems[0].Code != c.want || w.Mode != "" || c.want != "no-state" && told == "" {
				t.Errorf("exit %d\n%s%s", code, out, told)
			}
		})
	}
}

// meiChanges: what is agreed to reaches the firmware and is on record; what is not, is not.
func meiChanges(t *testing.T, bin string) {
	home := t.TempDir()
	silent := &me.Firmware{AMT: true, On: true, Version: "3.2.1", UUID: meiUUID, State: 1, TLS: 1, WindowOver: true}
	if code, _, told := behindME(t, bin, &me.Device{Firmware: silent}, home, "mei", "restart-hello"); code == exitOK || silent.Hellos() {
		t.Fatalf("without a yes: exit %d, %s", code, told)
	}
	if code, out, told := behindME(t, bin, &me.Device{Firmware: silent}, home, "mei", "restart-hello", "--yes"); code != exitOK || !silent.Hellos() || !strings.Contains(out+told, "mode 6") {
		t.Errorf("restart: exit %d, hellos %v\n%s%s", code, silent.Hellos(), out, told)
	}
	code, out, told := behindME(t, bin, &me.Device{Firmware: silent}, home, "mei", "restart-hello", "--yes")
	if !silent.Hellos() || !strings.Contains(out+told, "window is open") {
		t.Errorf("restart again: exit %d\n%s%s", code, out, told)
	}
	off := &me.Firmware{AMT: true, Watchdog: true, Hidden: true, Version: "16.1.27", UUID: meiUUID}
	if code, out, told := behindME(t, bin, &me.Device{Firmware: off}, home, "mei", "enable", "--yes"); code != exitOK || !off.On {
		t.Errorf("enable: exit %d, on %v\n%s%s", code, off.On, out, told)
	}
	client := &me.Firmware{AMT: true, On: true, Version: "9.0.0", UUID: meiUUID, State: 2, Control: 1}
	if code, out, told := behindME(t, bin, &me.Device{Firmware: client}, home, "mei", "unprovision", "--yes"); code != exitOK || client.State != 0 {
		t.Errorf("unprovision: exit %d, state %d\n%s%s", code, client.State, out, told)
	}
	b, err := os.ReadFile(filepath.Join(home, "mei.log"))
	if err != nil || strings.Count(string(b), `"stage":"intent"`) != 4 || strings.Count(string(b), `"stage":"done"`) != 4 {
		t.Errorf("%v\n%s", err, b)
	}
}

// meiWalk: the walk on the client itself takes from the firmware what the firmware can tell, and from a person
// the rest; where they differ both stand in the case.
func meiWalk(t *testing.T, bin string) {
	fw := func(f *me.Firmware) *me.Firmware {
		f.AMT, f.UUID = true, meiUUID
		if f.Version == "" {
			f.Version = "3.2.1"
		}
		return f
	}
	for name, c := range map[string]struct {
		d       *me.Device
		answers []string
		verdict string // empty: not decided
		facts   string // values of the case that there must be
	}{
		"1":               {&me.Device{Firmware: fw(&me.Firmware{Watchdog: true, Hidden: true})}, nil, "rc-amt-disabled", "client.enabled=false client.mei=ok"},
		"no client":       {&me.Device{Firmware: &me.Firmware{}}, nil, "", "client.mei=no-me"},
		"denied":          {&me.Device{Firmware: fw(&me.Firmware{}), OpenErr: unix.EACCES}, nil, "", "client.mei=denied"},
		"2 with a person": {&me.Device{Firmware: fw(&me.Firmware{On: true})}, []string{"client.mebx_password=factory"}, "rc-not-in-setup-factory", "client.mei=ok client.prov_state=pre client.rcfg_enabled=false"},
		"3 with a person": {&me.Device{Firmware: fw(&me.Firmware{On: true})}, []string{"client.mebx_password=changed"}, "rc-not-in-setup-pw-changed", "client.prov_state=pre"},
		"small business":  {&me.Device{Firmware: fw(&me.Firmware{On: true, State: 2, Mode: 2})}, nil, "rc-smb-mode", "client.model=smb client.prov_state=post"},
		"a contradiction": {&me.Device{Firmware: fw(&me.Firmware{On: true, State: 1, TLS: 1})}, []string{"client.prov_state=pre"}, "", "client.prov_state=pre client.prov_state=in client.setup_data=pid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			args := []string{"diagnose", "--local", "--json", "--resolver", "127.0.0.1:1", "--suffix", "corp.example"}
			for _, a := range c.answers {
				args = append(args, "--answer", a)
			}
			code, out, told := behindME(t, bin, c.d, home, args...)
			var j struct {
				Verdict string `json:"verdict"`
			}
			if err := json.Unmarshal([]byte(out), &j); err != nil {
				t.Fatalf("exit %d: %v\n%s%s", code, err, out, told)
			}
			if c.verdict != "" && j.Verdict != c.verdict {
				t.Errorf("verdict %q, want %q\n%s%s", j.Verdict, c.verdict, out, told)
			}
			got := meiCaseFacts(t, home)
			for _, f := range strings.Fields(c.facts) {
				if !strings.Contains(got, f+"\n") {
					t.Errorf("%s is not in the case:\n%s\n%s", f, got, out)
				}
			}
		})
	}
}

// meiCaseFacts gives the facts of the only case as lines KEY=VALUE, derived ones not included.
func meiCaseFacts(t *testing.T, home string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(home, "*", "facts.jsonl"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		var f struct {
			Key   string `json:"key"`
			Value any    `json:"value"`
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s=%v\n", f.Key, f.Value)
	}
	return out.String()
}
