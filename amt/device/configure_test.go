package device

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/wsman"
)

func TestConfigure(t *testing.T) {
	fw := newFirmware()
	s, p := wanted(fw), &kept{}
	r, err := Configure(testContext(t), &fake{fw: fw}, s, p)
	if err != nil {
		t.Fatal(err)
	}
	if err := fw.finished(s); err != nil {
		t.Error(err)
	}
	steps := []string{StepWindow, StepClock, StepNames, StepMEBx, StepAdmin, StepTLS, StepUsers, StepPower, StepPair, StepSent, StepCommit, StepVerify}
	if !slices.Equal(p.done, steps) {
		t.Errorf("done %v, want %v", p.done, steps)
	}
	if !slices.Equal(p.before, []string{StepMEBx, StepAdmin, StepUsers, StepPair}) {
		t.Errorf("stored before %v", p.before)
	}
	if r.Commit != Committed || r.Identity != fw.id || !r.Login.Password.Equal(s.Admin.Password) || len(r.Notes) != 0 || r.Skew.Abs() > 5*time.Second {
		t.Errorf("%+v", r)
	}
	if strings.Contains(fmt.Sprintf("%+v %v", r, s), "Passw0rd") {
		t.Error("a password can be printed")
	}
}

// Whatever operation a configuration dies at, and whether the client had carried it out or not, the
// next session ends what it began; every secret was announced before it left.
func TestConfigureResumes(t *testing.T) {
	fw := newFirmware()
	if _, err := Configure(testContext(t), &fake{fw: fw}, wanted(fw), &kept{}); err != nil {
		t.Fatal(err)
	}
	ops := len(fw.log)
	for _, lost := range []bool{false, true} {
		for at := range ops {
			t.Run(fmt.Sprintf("operation %d, lost answer %v", at, lost), func(t *testing.T) {
				fw := newFirmware()
				n := 0
				dies := func(string) error {
					if n++; n == at+1 {
						return fail(KindCancelled, lost)
					}
					return nil
				}
				if lost {
					fw.after = dies
				} else {
					fw.before = dies
				}
				s, p := wanted(fw), &kept{}
				fw.secret = func(op string, _ amt.Secret) {
					step := map[string]string{"mebx": StepMEBx, "admin": StepAdmin, "user": StepUsers, "pair": StepPair}[op]
					if !slices.Contains(p.before, step) {
						t.Errorf("the secret of %s left before it was stored", step)
					}
				}
				// The session of a worker that is stopped ends with its context: no look at the client.
				if _, err := Configure(testContext(t), &fake{fw: fw}, s, p); err == nil && n > at {
					t.Log("the fault did not end the session")
				}
				fw.before, fw.after = nil, nil
				if _, err := Configure(testContext(t), &fake{fw: fw}, s, p); err != nil {
					t.Fatalf("again: %v\n%v", err, fw.log)
				}
				if err := fw.finished(s); err != nil {
					t.Error(err)
				}
				commits := 0
				for _, op := range fw.log {
					if op == "commit" {
						commits++
					}
				}
				if commits > 2 {
					t.Errorf("%d commits", commits)
				}
			})
		}
	}
}

// A commit whose answer was lost is looked at, never guessed.
func TestCommitIsVerified(t *testing.T) {
	cases := map[string]struct {
		happens bool // the first one has its effect
		gone    bool // nobody can be asked afterwards
		want    Outcome
		commits int
		kind    Kind
	}{
		"it happened":         {true, false, Committed, 1, ""},
		"it did not":          {false, false, Committed, 2, ""},
		"nobody can be asked": {true, true, UnknownCommit, 1, KindDropped},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			fw := newFirmware()
			commits := 0
			drop := func(op string) error {
				if op != "commit" {
					return nil
				}
				if commits++; commits > 1 {
					return nil
				}
				if c.gone {
					fw.down = 1 << 20
				}
				return fail(KindDropped, true)
			}
			if c.happens {
				fw.after = drop
			} else {
				fw.before = drop
			}
			s := wanted(fw)
			if c.gone {
				s.Settle = 700 * time.Millisecond
			}
			r, err := Configure(testContext(t), &fake{fw: fw}, s, &kept{})
			if r.Commit != c.want || KindOf(err) != c.kind || commits != c.commits {
				t.Errorf("%s after %d commits: %v", r.Commit, commits, err)
			}
			if c.gone {
				contains(t, err.Error(), "commit: ", "asked afterwards: unknown", "as after the commit", "as during setup")
			}
		})
	}
}

func TestConfigureRefuses(t *testing.T) {
	other, _ := amt.ParseUUID("00000000-0000-0000-0000-000000000001")
	cases := map[string]struct {
		change func(*firmware, *Settings)
		kind   Kind
		step   string
		text   string
	}{
		"another client":                 {func(fw *firmware, s *Settings) { s.UUID = other }, KindClient, StepIdentify, "4c4c4544"},
		"no UUID told is no fault of it": {func(fw *firmware, s *Settings) { fw.id.UUID = amt.UUID{} }, "", "", ""},
		"wrong one-time password": {func(fw *firmware, s *Settings) {
			s.OTP, fw.state.OTP = amt.NewSecret("OneTime-1234"), amt.NewSecret("OneTime-9999")
		},
			KindOTP, StepOTP, "another"},
		"empty one-time password": {func(fw *firmware, s *Settings) { s.OTP = amt.NewSecret("\x00\x00") }, KindOTP, StepOTP, "has no"},
		"no one-time password":    {func(fw *firmware, s *Settings) { s.OTP = amt.NewSecret("OneTime-1234") }, KindOTP, StepOTP, "has no"},
		"right one-time password": {func(fw *firmware, s *Settings) {
			s.OTP, fw.state.OTP = amt.NewSecret("OneTime-1234"), amt.NewSecret("OneTime-1234")
		},
			"", "", ""},
		"no known password":   {func(fw *firmware, s *Settings) { fw.admin = admin("somebody's") }, KindLogin, StepIdentify, ""},
		"no way to come back": {func(fw *firmware, s *Settings) { s.Reopen = nil }, KindLocal, "settings", ""},
		"no password":         {func(fw *firmware, s *Settings) { s.Admin.Password = amt.Secret{} }, KindLocal, "settings", ""},
		"commit refuses":      {func(fw *firmware, s *Settings) { s.Names = Names{Domain: "corp.example"} }, KindReturn, StepCommit, "DATA_MISSING"},
		"a step is refused": {func(fw *firmware, s *Settings) {
			fw.before = func(op string) error {
				if op == "set tls" {
					return &Error{Op: "test", Kind: KindReturn, Err: &wsman.ReturnError{Code: 2062}}
				}
				return nil
			}
		}, KindReturn, StepTLS, "2062"},
		"not what was set": {func(fw *firmware, s *Settings) {
			fw.before = func(op string) error {
				if op == "names" {
					fw.names.Host = "other"
				}
				return nil
			}
		}, KindVerify, StepVerify, "other.corp.example"},
		"commit without effect": {func(fw *firmware, s *Settings) {
			s.Settle = 300 * time.Millisecond
			s.Reopen = func(l ...Login) Device { return &fake{fw: fw, logins: l} }
			fw.after = func(op string) error {
				if op == "commit" {
					fw.state.Provisioning, fw.down = In, 0
				}
				return nil
			}
		}, KindVerify, StepVerify, "its state is in"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			fw := newFirmware()
			s := wanted(fw)
			c.change(fw, &s)
			_, err := Configure(testContext(t), &fake{fw: fw}, s, &kept{})
			if c.kind == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Kind != c.kind || e.Step != c.step || !strings.Contains(e.Error(), c.text) {
				t.Errorf("got %v (%+v)", err, e)
			}
			if c.kind == KindClient || c.kind == KindOTP || c.kind == KindLogin {
				for _, op := range fw.log {
					if strings.HasPrefix(op, "set ") {
						t.Errorf("something was set: %v", fw.log)
					}
				}
			}
		})
	}
}

// A client that another session, or somebody else, provisioned.
func TestProvisionedAlready(t *testing.T) {
	provisioned := func(fw *firmware, s Settings) {
		fw.state.Provisioning, fw.names, fw.clock, fw.tls.Remote = Post, s.Names, 0, true
		fw.users = map[string]User{s.Users[0].Name: s.Users[0]}
	}
	reachable := func(fw *firmware) Device { return &fake{fw: fw, later: true} }
	t.Run("by us", func(t *testing.T) {
		fw := newFirmware()
		s := wanted(fw)
		provisioned(fw, s)
		fw.admin = s.Admin
		p := &kept{}
		r, err := Configure(testContext(t), reachable(fw), s, p)
		if err != nil || r.Commit != Committed || !p.Finished(StepVerify) {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("by others", func(t *testing.T) {
		fw := newFirmware()
		s := wanted(fw)
		provisioned(fw, s)
		if _, err := Configure(testContext(t), reachable(fw), s, &kept{}); KindOf(err) != KindState {
			t.Errorf("got %v", err)
		}
	})
}

// Nothing secret leaves when it cannot be stored.
func TestNothingLeavesUnstored(t *testing.T) {
	for _, step := range []string{StepMEBx, StepAdmin, StepUsers, StepPair} {
		t.Run(step, func(t *testing.T) {
			fw := newFirmware()
			left := map[string]bool{}
			fw.secret = func(op string, _ amt.Secret) { left[op] = true }
			_, err := Configure(testContext(t), &fake{fw: fw}, wanted(fw), &kept{fail: step})
			if KindOf(err) != KindLocal || !strings.HasPrefix(err.Error(), step+": ") {
				t.Errorf("got %v", err)
			}
			if op := map[string]string{StepMEBx: "mebx", StepAdmin: "admin", StepUsers: "user", StepPair: "pair"}[step]; left[op] {
				t.Error("the secret left")
			}
		})
	}
}

// Steps that an earlier session noted as done, of a client that has lost them since, are taken again.
func TestForgottenStepsAreTakenAgain(t *testing.T) {
	fw := newFirmware()
	s, p := wanted(fw), &kept{}
	for _, step := range Plan(&fake{fw: fw}, s) {
		p.done = append(p.done, step.Name)
	}
	if _, err := Configure(testContext(t), &fake{fw: fw}, s, p); err != nil {
		t.Fatal(err)
	}
	if err := fw.finished(s); err != nil {
		t.Error(err)
	}
}

// What the firmware need not have is left out with a word about it.
func TestLenientSteps(t *testing.T) {
	fw := newFirmware()
	fw.mebx = "set before"
	fw.before = func(op string) error {
		if op == "extend" || op == "set power" {
			return fail(KindMissing, false)
		}
		return nil
	}
	r, err := Configure(testContext(t), &fake{fw: fw}, wanted(fw), &kept{})
	if err != nil || len(r.Notes) != 3 {
		t.Errorf("%q, %v", r.Notes, err)
	}
}

// A session that was cut off at the commit is gone on with where the client answers, on the port that
// its version has.
func TestCommitOfAnEarlierSessionIsFound(t *testing.T) {
	nowhere := func(fw *firmware) func(...Login) Device {
		return func(l ...Login) Device { return &fake{fw: fw, logins: l} } // as during setup: not there any more
	}
	for name, tlsOnly := range map[string]bool{"plain port": false, "TLS port": true} {
		t.Run(name, func(t *testing.T) {
			fw := newFirmware()
			s := wanted(fw)
			fw.state.Provisioning, fw.names, fw.clock, fw.tls.Remote, fw.admin = Post, s.Names, 0, true, s.Admin
			fw.users = map[string]User{s.Users[0].Name: s.Users[0]}
			s.ReopenTLS = nowhere(fw)
			if tlsOnly {
				s.ReopenTLS, s.Reopen = s.Reopen, nowhere(fw)
			}
			p := &kept{done: []string{StepSent}}
			r, err := Configure(testContext(t), &fake{fw: fw}, s, p)
			if err != nil || r.Commit != Committed || !p.Finished(StepVerify) || r.Identity != fw.id {
				t.Errorf("%+v, %v", r, err)
			}
			for _, op := range fw.log {
				if strings.HasPrefix(op, "set ") || op == "commit" {
					t.Errorf("did %v", fw.log)
				}
			}
		})
	}
}
