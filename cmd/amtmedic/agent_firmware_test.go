package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/mei"
	"amtmedic/amt/store"
)

// Answers of the host interface (local-mei 2.6), of an AMT 3.2.1.
const (
	ansVersions  = "010100001a0080047d010000000000004a4f51333531304a2e3836412e30393333000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000070000000500466c6173680000000000000000000000000000000500332e322e3100000000000000000000000000000008004e6574737461636b0000000000000000000000000500332e322e310000000000000000000000000000000700414d5441707073000000000000000000000000000500332e322e310000000000000000000000000000000300414d5400000000000000000000000000000000000500332e322e310000000000000000000000000000000300536b75000000000000000000000000000000000002003134000000000000000000000000000000000000080056656e646f724944000000000000000000000000040038303836000000000000000000000000000000000c004275696c64204e756d626572000000000000000004003130343400000000000000000000000000000000"
	ansPre       = "0101000011008004080000000000000000000000"
	ansIn        = "0101000011008004080000000000000001000000"
	ansPost      = "0101000011008004080000000000000002000000"
	ansUUID      = "010100005c008004140000000000000033221100554477668899aabbccddeeff"
	ansZeroOn    = "0101000030008004080000000000000001000000"
	ansZeroOff   = "0101000030008004080000000000000000000000"
	ansRandom    = "010100002e008004080000000000000000000000"
	ansNoRandom  = "010100002e008004080000000000000002000000"
	ansRandomRun = "010100002e008004080000000000000001000000"
	ansMaking    = "0101000028008004040000002f000000"
	ansStart     = "01010000290080040400000000000000"
	ansRefused   = "01010000290080040400000003000000"
	ansNotReady  = "01010000290080040400000002000000"
	ansCert      = "01010000290080040400000031000000"
	ansPKI       = "010100002b008004080000000000000002000000"
)

// fakeME answers each command with its answers in turn, the last one again and again. A command without
// answers gets a status of 0x812, unsupported.
type fakeME struct {
	answers map[uint32][]string
	asked   []string // requests in hex
	pending []byte
	err     error // of Read
}

func newFakeME(answers ...string) *fakeME {
	f := &fakeME{answers: map[uint32][]string{}}
	for _, a := range append([]string{ansVersions, ansUUID}, answers...) {
		b, _ := hex.DecodeString(a)
		c := binary.LittleEndian.Uint32(b[4:]) &^ 0x00800000
		f.answers[c] = append(f.answers[c], a)
	}
	return f
}

func (f *fakeME) dial(context.Context, mei.ID) (mei.Link, error) { return f, nil }
func (f *fakeME) MaxMessage() int                                { return 4096 }
func (f *fakeME) ProtocolVersion() byte                          { return 1 }
func (f *fakeME) Close() error                                   { return nil }

func (f *fakeME) Write(_ context.Context, b []byte) error {
	f.asked = append(f.asked, hex.EncodeToString(b))
	c := binary.LittleEndian.Uint32(b[4:])
	list := f.answers[c]
	if len(list) == 0 {
		f.pending = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32([]byte{1, 1, 0, 0}, c|0x00800000), 4), 0x812)
		return nil
	}
	f.pending, _ = hex.DecodeString(list[0])
	if len(list) > 1 {
		f.answers[c] = list[1:]
	}
	return nil
}

func (f *fakeME) Read(_ context.Context, p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return copy(p, f.pending), nil
}

func TestRestartHello(t *testing.T) {
	const startRequest = "010100002900000400000000" // of the vectors
	for name, c := range map[string]struct {
		answers []string
		dry     bool
		outcome string
		says    string
		again   bool
		sent    bool
	}{
		"in, window over":          {[]string{ansIn, ansRandom, ansStart}, false, agentDone, "accepted", false, true},
		"in, window open":          {[]string{ansIn, ansRandom, ansRefused}, false, agentNothing, "hello already", false, true},
		"pre, remote":              {[]string{ansPre, ansZeroOn, ansRandom, ansStart}, false, agentDone, "accepted", false, true},
		"pre, certificate in work": {[]string{ansPre, ansZeroOn, ansRandom, ansCert}, false, agentDone, "accepted", false, true},
		"pre, nothing to go by":    {[]string{ansPre, ansZeroOff, ansStart}, false, agentCannot, "Remote Configuration is switched off", false, false},
		"provisioned":              {[]string{ansPost, ansStart}, false, agentNothing, "provisioned", false, false},
		"not ready":                {[]string{ansIn, ansRandom, ansNotReady}, false, agentFailed, "no address from DHCP", true, true},
		"random numbers are made":  {[]string{ansIn, ansNoRandom, ansRandomRun, ansRandom, ansMaking, ansStart}, false, agentDone, "accepted", false, true},
		"old, no such commands":    {[]string{ansIn, ansStart}, false, agentDone, "accepted", false, true},
		"refused before setup":     {[]string{ansPre, ansRandom, ansRefused}, false, agentFailed, "not permitted in this state", false, true},
		"dry":                      {[]string{ansIn, ansRandom, ansStart}, true, agentDone, "would be told", false, false},
		"dry, provisioned":         {[]string{ansPost}, true, agentNothing, "provisioned", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeME(c.answers...)
			r, err := restartHello(context.Background(), f.dial, time.Millisecond, c.dry)
			sent := strings.Contains(strings.Join(f.asked, " "), startRequest)
			if r.Outcome != c.outcome || !strings.Contains(r.Text, c.says) || r.again != c.again || sent != c.sent {
				t.Errorf("%+v, %v; asked %v", r, err, f.asked)
			}
			if r.AMTVersion != "3.2.1" || r.UUID != "00112233-4455-6677-8899-aabbccddeeff" || r.ProvState == "" {
				t.Errorf("%+v", r)
			}
			for _, m := range f.asked {
				if strings.Contains(m, "67000004") {
					t.Error("the local system account was read")
				}
			}
		})
	}
}

// From AMT 6.0 on the command has another number and a parameter.
func TestRestartHelloFromVersion6(t *testing.T) {
	f := newFakeME(ansIn, "01010000620080040400000000000000")
	f.answers[uint32(mei.GetCodeVersions)] = []string{strings.ReplaceAll(ansVersions, "0500332e322e31", "0500392e302e30")}
	r, err := restartHello(context.Background(), f.dial, time.Millisecond, false)
	if err != nil || r.Outcome != agentDone || r.AMTVersion != "9.0.0" || f.asked[len(f.asked)-1] != "01010000620000040400000000000000" {
		t.Errorf("%+v, %v, %v", r, err, f.asked)
	}
}

func TestRestartHelloCannot(t *testing.T) {
	none := func(err error) mei.Dialer { return func(context.Context, mei.ID) (mei.Link, error) { return nil, err } }
	for name, c := range map[string]struct {
		dial    mei.Dialer
		outcome string
		again   bool
	}{
		"no driver":    {none(&amt.Error{Op: "x", Err: mei.ErrNoDriver, Hint: "load it"}), agentCannot, false},
		"no rights":    {none(mei.ErrDenied), agentCannot, false},
		"busy":         {none(mei.ErrBusy), agentFailed, true},
		"resetting":    {none(mei.ErrReset), agentFailed, true},
		"switched off": {(&fakeME{answers: map[uint32][]string{uint32(mei.GetCodeVersions): {""}}}).dial, agentCannot, false},
		"goes away":    {(&fakeME{err: mei.ErrReset}).dial, agentFailed, true},
	} {
		r, err := restartHello(context.Background(), c.dial, time.Millisecond, false)
		if err == nil || r.Outcome != c.outcome || r.again != c.again || r.Text == "" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// Answers that are no answers are refused in words.
func TestHostPayloadRefuses(t *testing.T) {
	good, _ := hex.DecodeString(ansIn)
	for n := range len(good) {
		if _, err := mei.GetProvisioningState.Answer(good[:n]); err == nil {
			t.Errorf("%d bytes were taken", n)
		}
	}
	for at, v := range map[int]byte{0: 2, 2: 1, 4: 0x12, 6: 0, 8: 9, 11: 0xff} {
		b := append([]byte(nil), good...)
		b[at] = v
		if _, err := mei.GetProvisioningState.Answer(b); err == nil {
			t.Errorf("byte %d as %#x was taken", at, v)
		}
	}
	b := append([]byte(nil), good...)
	b[12] = 0x10
	var s mei.Status
	if _, err := mei.GetProvisioningState.Answer(b); !errors.As(err, &s) || s != 0x10 {
		t.Errorf("%v", err)
	}
	f := newFakeME()
	f.answers[uint32(mei.GetCodeVersions)] = []string{ansVersions[:200]}
	if _, err := (mei.Host{Link: f}).Version(context.Background()); err == nil {
		t.Error("half a list of versions was taken")
	}
}

func FuzzHostAnswer(f *testing.F) {
	for _, a := range []string{ansVersions, ansUUID, ansIn, ansRefused} {
		b, _ := hex.DecodeString(a)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		me := &fakeME{answers: map[uint32][]string{}}
		for _, c := range []mei.Command{mei.GetCodeVersions, mei.GetUUID, mei.GetProvisioningState, mei.GetTLSMode} {
			me.answers[uint32(c)] = []string{hex.EncodeToString(b)}
		}
		_ = lookAtME(context.Background(), me.dial, &thisHost{})
	})
}

// Discover without a target is this computer.
func TestDiscoverThisComputer(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	world := func(f *fakeME, err error) hostWorld {
		w := hostWorldOf(func(context.Context, mei.ID) (mei.Link, error) { return f, err })
		w.hostname = func() (string, error) { return "PC17", nil }
		w.resolver, w.smbios = write("resolv", "# x\nnameserver 10.1.0.53\nsearch corp.example lab\n"), write("uuid", "4C4C4544-0058-3910-8059-B7C04F4B5A31\n")
		return w
	}
	run := func(w hostWorld, asJSON, asCSV bool) (int, string, string) {
		var stdout, stderr strings.Builder
		e := &env{ctx: context.Background(), stdout: &stdout, stderr: &stderr}
		code, err := discoverThis(e, w, asJSON, asCSV)
		return report(e, code, err), stdout.String(), stderr.String()
	}
	for name, c := range map[string]struct {
		answers     []string
		mode, state string
	}{
		"pre": {[]string{ansPre}, "", "pre"}, "remote": {[]string{ansIn, ansPKI}, "5", "in"}, "provisioned": {[]string{ansPost}, "provisioned", "post"},
	} {
		code, out, told := run(world(newFakeME(c.answers...), nil), true, false)
		var h thisHost
		if err := json.Unmarshal([]byte(out), &h); err != nil || code != exitOK || h.UUID != "00112233-4455-6677-8899-aabbccddeeff" || h.FQDN != "pc17.corp.example" || h.Mode != c.mode || h.State != c.state {
			t.Errorf("%s: exit %d, %v\n%s%s", name, code, err, out, told)
		}
		readJSONDoc(t).check(t, "discover without a target", []byte(out))
	}
	code, out, _ := run(world(newFakeME(ansPost), nil), false, true)
	if rows, problems, err := store.ReadMap([]byte(out)); code != exitOK || err != nil || len(problems) != 0 || len(rows) != 1 || rows[0].FQDN != "pc17.corp.example" {
		t.Errorf("exit %d, %v, %v\n%s", code, problems, err, out)
	}
	code, out, told := run(world(nil, &amt.Error{Op: "x", Err: mei.ErrNoDriver, Hint: "load it"}), true, false)
	if code != exitUndecided || !strings.Contains(out, `"uuid":"4c4c4544-0058-3910-8059-b7c04f4b5a31"`) || !strings.Contains(told, "hint: load it") {
		t.Errorf("without a driver: exit %d\n%s%s", code, out, told)
	}
	readJSONDoc(t).check(t, "discover without a target", []byte(out))
}
