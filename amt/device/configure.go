package device

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Progress keeps what a configuration does, so that another session of the same client can go on.
type Progress interface {
	// Finished reports whether an earlier session noted the step as done.
	Finished(step string) bool
	// Before is called before a secret leaves with a step. When it returns, the secret has to be
	// durable; an error ends the configuration.
	Before(ctx context.Context, step string) error
	// Done notes a step as done. An error ends the configuration.
	Done(ctx context.Context, step string) error
}

// Outcome is what became of a commit.
type Outcome string

// The outcomes of a commit.
const (
	NotCommitted  Outcome = "not committed"
	Committed     Outcome = "committed"
	UnknownCommit Outcome = "unknown" // nobody could be asked
)

// Result is what a configuration left behind. It is filled as far as the configuration came.
type Result struct {
	Identity Identity
	Login    Login         // that the verification logged in with
	Commit   Outcome       // empty before the commit was reached
	Skew     time.Duration // the client's clock against ours when it was verified
	Notes    []string      // what could not be set and did not have to be
}

// settleTime is how long a client may stay away after its commit.
const settleTime = 90 * time.Second

// Configure brings a client from its setup window to the provisioned state: it makes sure that it is
// the client that is meant, takes the steps of Plan, commits, and logs in anew to see what became of
// it. It can be called again after any error, by another process too: every step may be repeated. d
// is the client as it is reached during setup.
func Configure(ctx context.Context, d Device, s Settings, p Progress) (Result, error) {
	if s.Wait == nil {
		s.Wait = pause
	}
	if s.Settle == 0 {
		s.Settle = settleTime
	}
	if s.Reopen == nil || s.Admin.User == "" || s.Admin.Password.IsZero() {
		return Result{}, inStep("settings", localError("configure", errors.New("administrator, password and a way to reach the client after the commit are needed")))
	}
	if len(s.Known) > 0 {
		d.LogIn(s.Known...)
	}
	s.wasOff = new(bool)
	c := &configuration{d: d, s: s, p: p}
	err := c.run(ctx)
	return c.r, err
}

// configuration is one run of Configure.
type configuration struct {
	d Device
	s Settings
	p Progress
	r Result
}

func localError(op string, err error) error { return &Error{Op: op, Kind: KindLocal, Err: err} }

// inStep names the step in an error.
func inStep(step string, err error) error {
	var e *Error
	if errors.As(err, &e) && e.Step == "" {
		e.Step = step
	}
	return err
}

func (c *configuration) run(ctx context.Context) error {
	done, err := c.begin(ctx)
	if err != nil {
		return inStep(StepIdentify, err)
	}
	if !done {
		if err := c.set(ctx); err != nil {
			return err
		}
	}
	return c.verify(ctx)
}

// begin makes sure who the client is and how far it is. done tells that it is provisioned by an
// earlier session of this configuration.
func (c *configuration) begin(ctx context.Context) (done bool, err error) {
	if c.p.Finished(StepSent) {
		// The commit was sent once: the client may not be reachable as it was during setup any more.
		if c.committed(ctx) {
			c.r.Commit = Committed
			return true, nil
		}
	}
	if c.r.Identity, err = c.d.Identify(ctx); err != nil {
		return false, err
	}
	if want, got := c.s.UUID, c.r.Identity.UUID; !want.IsZero() && !got.IsZero() && want != got {
		return false, &Error{Op: "identify", Kind: KindClient, Hint: hints[KindClient],
			Err: fmt.Errorf("the client that answers has the UUID %s, not %s", got, want)}
	}
	if c.r.Identity.UUID.IsZero() {
		c.r.Notes = append(c.r.Notes, "the firmware does not tell its UUID: that it is the client of the hello was not seen")
	}
	state, err := c.d.State(ctx)
	if err != nil {
		return false, err
	}
	if state.Provisioning == Post {
		if l, ok := c.d.Accepted(); ok && l.Password.Equal(c.s.Admin.Password) && l.User == c.s.Admin.User {
			c.r.Commit = Committed
			return true, nil
		}
		return false, &Error{Op: "read state", Kind: KindState, Hint: hints[KindState], Err: errors.New("the client is provisioned already")}
	}
	return false, inStep(StepOTP, c.otp(state))
}

// committed asks once whether the client is provisioned, in both ways when its version is not known.
func (c *configuration) committed(ctx context.Context) bool {
	if outcome, _ := c.look(ctx, 1); outcome != UnknownCommit || c.s.ReopenTLS == nil {
		return outcome == Committed
	}
	plain := c.s.Reopen
	c.s.Reopen = c.s.ReopenTLS
	outcome, _ := c.look(ctx, 1)
	if outcome != Committed {
		c.s.Reopen = plain
	}
	return outcome == Committed
}

// otp compares the one-time password, which tells that the firmware which answers is the one whose
// agent started the setup.
func (c *configuration) otp(s State) error {
	want, got := strings.TrimRight(c.s.OTP.Reveal(), "\x00"), strings.TrimRight(s.OTP.Reveal(), "\x00") // firmware fills its 32 bytes
	if c.s.OTP.IsZero() || want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(got)) == 1 {
		return nil
	}
	words := "the client has another one-time password"
	if s.OTP.IsZero() {
		words = "the client has no one-time password"
	}
	return &Error{Op: "compare one-time password", Kind: KindOTP, Err: errors.New(words), Hint: hints[KindOTP]}
}

// set takes the steps and commits.
func (c *configuration) set(ctx context.Context) error {
	for _, step := range Plan(c.d, c.s) {
		if err := c.unless(ctx, step); err != nil {
			return inStep(step.Name, err)
		}
	}
	return inStep(StepCommit, c.commit(ctx))
}

// unless takes a step unless an earlier session did and the client still has it so. What cannot be
// read is set again: the client may have lost it, or it is to be another one by now.
func (c *configuration) unless(ctx context.Context, step Step) error {
	if step.Check != nil && c.p.Finished(step.Name) {
		if right, err := step.Check(ctx); right || err != nil {
			return err
		}
	}
	return c.take(ctx, step)
}

func (c *configuration) take(ctx context.Context, step Step) error {
	if step.Secret {
		if err := c.p.Before(ctx, step.Name); err != nil {
			return localError("store what is about to be sent", err)
		}
	}
	if err := step.Do(ctx); err != nil {
		words := ""
		if step.Lenient != nil {
			words = step.Lenient(err)
		}
		if words == "" {
			return err
		}
		if !c.p.Finished(step.Name) {
			c.r.Notes = append(c.r.Notes, words)
		}
	}
	return c.done(ctx, step.Name)
}

func (c *configuration) done(ctx context.Context, step string) error {
	if err := c.p.Done(ctx, step); err != nil {
		return localError("note a step", err)
	}
	return nil
}
