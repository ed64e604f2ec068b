package provision

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/device"
	"amtmedic/amt/profile"
	"amtmedic/amt/store"
)

// Steps that are done wait for the next thing that has to be durable; a password never does, nor that a
// commit is about to be sent.
func TestProgressIsDurableWhereItHasToBe(t *testing.T) {
	s := newSite(t, amt.PSK, "3.2.1", withTLS(profile.TLSOff))
	task, err := s.w.task(t.Context(), s.job())
	s.must(err)
	task.Secrets = map[string]amt.Secret{secretMEBx: amt.NewSecret("M3bx-Password")}
	p := newProgress(s.st, task, nil)
	steps := func(want ...string) {
		t.Helper()
		if got, err := s.st.Steps(t.Context(), task.Job.UUID); err != nil || !slices.Equal(got, want) {
			t.Fatalf("durable are %q, %v; want %q", got, err, want)
		}
	}
	s.must(p.Done(t.Context(), device.StepWindow))
	s.must(p.Done(t.Context(), device.StepClock))
	steps()
	s.must(p.Before(t.Context(), device.StepAdmin))
	steps(device.StepWindow, device.StepClock)
	_, next, err := s.st.Passwords(t.Context(), task.Job.UUID)
	if err != nil || !next.Equal(task.Password) {
		t.Fatalf("the password is not durable: %v", err)
	}
	if v, err := s.st.ClientSecret(t.Context(), task.Job.UUID, secretMEBx); err != nil || !v.Equal(task.Secrets[secretMEBx]) {
		t.Fatalf("the secret of the client is not durable: %v", err)
	}
	s.must(p.Done(t.Context(), device.StepAdmin))
	s.must(p.Done(t.Context(), device.StepSent))
	steps(device.StepWindow, device.StepClock, device.StepAdmin, device.StepSent)
	s.must(p.Done(t.Context(), device.StepCommit))
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) { // a wait of the client may be long
		if got, err := s.st.Steps(t.Context(), task.Job.UUID); err == nil && slices.Contains(got, device.StepCommit) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a step that is done stays unknown")
		}
	}
	s.must(p.Done(t.Context(), device.StepVerify))
	left := p.rest()
	if len(left) != 1 || left[0].Name != device.StepVerify {
		t.Fatalf("left to be noted with the end: %+v", left)
	}
	s.must(s.st.Finish(t.Context(), task.Job, store.Done{Password: task.Password, Steps: left}))
	steps(device.StepWindow, device.StepClock, device.StepAdmin, device.StepSent, device.StepCommit, device.StepVerify)
	if err := p.Done(t.Context(), device.StepSent); err == nil {
		t.Error("a step of a job that has ended was noted")
	}
}

// The setting otp says whether a client is taken that shows no one-time password.
func TestOTPIsComparedAsTheSettingSays(t *testing.T) {
	s := newSite(t, amt.PKI, "9.0", withTLS(profile.TLSOff))
	j := s.job()
	otp := func() amt.Secret {
		t.Helper()
		task, err := s.w.task(t.Context(), j)
		s.must(err)
		return task.OTP
	}
	if !otp().IsZero() {
		t.Error("nobody told a one-time password, and one is compared")
	}
	s.must(s.st.SetConfig(t.Context(), "otp", "required"))
	var ref *Refusal
	if _, err := s.w.task(t.Context(), j); !errors.As(err, &ref) || ref.Cause != "rc-otp-mismatch" {
		t.Errorf("required and unknown: %v", err)
	}
	rows, problems, err := store.ReadOTPs([]byte("uuid,otp\n" + j.UUID.String() + ",OneTime-1234\nx,y\n" + j.UUID.String() + ",\n" + j.UUID.String() + "," + strings.Repeat("x", 33) + "\n" + j.UUID.String() + ",\x00\x00\n"))
	if err != nil || len(rows) != 1 || len(problems) != 4 {
		t.Fatalf("%v %v %v", rows, problems, err)
	}
	_, err = s.st.ImportOTPs(t.Context(), rows)
	s.must(err)
	if otp().Reveal() != "OneTime-1234" {
		t.Error("the one-time password that was told is not compared")
	}
	// A client without any is refused, and keeps everything as it was.
	task, err := s.w.task(t.Context(), j)
	s.must(err)
	if _, _, err := s.w.configure(t.Context(), task); !errors.As(err, &ref) || ref.reason() != "rc-otp-mismatch: the client has no one-time password" {
		t.Errorf("a client without one-time password: %v", err)
	}
	s.must(s.st.SetConfig(t.Context(), "otp", "off"))
	if !otp().IsZero() {
		t.Error("it is off, and one is compared")
	}
	if about, ok := store.FindSetting("otp"); !ok || about.Check("perhaps") == nil || about.Check("required") != nil {
		t.Error("the setting takes any word")
	}
}

// What a session asks its client is counted: what grows here costs every client.
func TestExchangesOfASession(t *testing.T) {
	for _, c := range []struct {
		method  amt.Method
		version string
		most    int
	}{{amt.PSK, "3.2.1", 24}, {amt.PKI, "9.0", 25}} {
		t.Run(string(c.method), func(t *testing.T) {
			p := profile.Default("office")
			p.ACL = []profile.Entry{{User: "helpdesk", Access: "network", Realms: []int{2, 5}, Password: profile.Password{Rule: profile.Random}}}
			p.Consent, p.Redirection.SOL = profile.ConsentKVM, profile.On
			s := newSite(t, c.method, c.version, p)
			var ops []string
			s.fw.OnExchange = func(e device.Exchange) { ops = append(ops, e.Op) }
			if _, err := s.configure(s.job()); err != nil {
				t.Fatal(err)
			}
			if len(ops) > c.most {
				t.Errorf("%d exchanges, %d are enough:\n%s", len(ops), c.most, strings.Join(ops, "\n"))
			}
			t.Logf("%d exchanges", len(ops))
		})
	}
}
