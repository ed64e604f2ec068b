package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// commitTries is how often a commit is sent that the client verifiably did not carry out.
const commitTries = 3

// commit sends the commit. Whenever its fate is not told by an answer, the client is asked: only one
// that is seen to be uncommitted gets it again.
func (c *configuration) commit(ctx context.Context) error {
	if err := c.done(ctx, StepSent); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := c.d.Commit(ctx)
		if err == nil {
			break
		}
		if !AfterSend(err) {
			c.r.Commit = NotCommitted
			if KindOf(err) == KindDropped && try < commitTries { // it did not leave whole
				continue
			}
			return err
		}
		if ctx.Err() != nil {
			c.r.Commit = UnknownCommit
			return err
		}
		outcome, why := c.look(ctx, 0)
		c.r.Commit = outcome
		if outcome == Committed {
			break
		}
		if outcome == NotCommitted && try < commitTries {
			continue
		}
		var e *Error
		if errors.As(err, &e) {
			e.Err = fmt.Errorf("%w; asked afterwards: %s (%w)", e.Err, outcome, why)
			e.Hint = "when its hello comes again the client was not committed; when it answers on its management port it was"
		}
		return err
	}
	c.r.Commit = Committed
	return c.done(ctx, StepCommit)
}

// Steps of waiting for a client that restarts its network side.
const (
	lookFirst = 500 * time.Millisecond
	lookMost  = 5 * time.Second
)

// look asks a client whether it is provisioned: first as it is reached after a commit, with the new
// password before the old ones, then as it is reached during setup. rounds bounds how often; 0 asks
// until the time to settle is over. why says what decided, or what stood in the way.
func (c *configuration) look(ctx context.Context, rounds int) (outcome Outcome, why error) {
	ctx, cancel := context.WithTimeout(ctx, c.s.Settle)
	defer cancel()
	wait := lookFirst
	for round := 1; ; round++ {
		// A client that refuses all log-ins has answered: asking on would only count attempts.
		outcome, why = c.ask(ctx)
		if outcome != UnknownCommit || round == rounds || refused(why) {
			return outcome, why
		}
		if err := c.s.Wait(ctx, wait); err != nil {
			return UnknownCommit, why
		}
		wait = min(2*wait, lookMost)
	}
}

// ask asks once, both ways.
func (c *configuration) ask(ctx context.Context) (Outcome, error) {
	logins := append([]Login{c.s.Admin}, without(c.s.Known, c.s.Admin)...)
	after := c.reopen(logins...)
	defer func() { _ = after.Close() }()
	state, err1 := after.State(ctx)
	if err1 == nil {
		return outcomeOf(state)
	}
	_ = c.d.Close()
	c.d.LogIn(logins...)
	state, err2 := c.d.State(ctx)
	if err2 == nil {
		return outcomeOf(state)
	}
	return UnknownCommit, fmt.Errorf("as after the commit: %w; as during setup: %w", err1, err2)
}

// reopen opens the client as it is after the commit.
func (c *configuration) reopen(logins ...Login) Device {
	if c.s.ReopenTLS != nil && c.r.Identity.Version.AtLeast(16, 1) {
		return c.s.ReopenTLS(logins...)
	}
	return c.s.Reopen(logins...)
}

// refused reports whether one of two errors that were joined is a refused log-in.
func refused(err error) bool {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		return slices.ContainsFunc(many.Unwrap(), func(e error) bool { return KindOf(e) == KindLogin })
	}
	return KindOf(err) == KindLogin
}

func outcomeOf(s State) (Outcome, error) {
	why := fmt.Errorf("the client says its state is %s", s.Provisioning)
	if s.Provisioning == Post {
		return Committed, why
	}
	return NotCommitted, why
}

// verifySlack is how far the client's clock may be off when it is verified: it counts whole seconds,
// and its network side has just restarted.
const verifySlack = 30 * time.Second

// verify logs in with the new administrator only, and looks at what the configuration set.
func (c *configuration) verify(ctx context.Context) error {
	_ = c.d.Close()
	d := c.reopen(c.s.Admin)
	defer func() { _ = d.Close() }()
	if err := c.await(ctx, d); err != nil {
		return inStep(StepVerify, err)
	}
	c.r.Login = c.s.Admin
	if c.r.Identity.Version.IsZero() {
		id, err := d.Identify(ctx)
		if err != nil {
			return inStep(StepVerify, err)
		}
		c.r.Identity = id
	}
	var err error
	want := c.s
	if *want.wasOff || want.TLS != nil && !want.TLS.On && c.r.Identity.Version.AtLeast(16, 1) { // nothing has touched it since; or it cannot be off
		want.TLS = nil
	}
	if c.r.Skew, err = Verify(ctx, d, want); err != nil {
		return inStep(StepVerify, err)
	}
	return inStep(StepVerify, c.done(ctx, StepVerify))
}

// await waits until the client answers and says that it is provisioned.
func (c *configuration) await(parent context.Context, d Device) error {
	ctx, cancel := context.WithTimeout(parent, c.s.Settle)
	defer cancel()
	wait := lookFirst
	for {
		state, err := d.State(ctx)
		switch {
		case err == nil && state.Provisioning == Post:
			return nil
		case err == nil:
			err = &Error{Op: "verify", Kind: KindVerify, Err: fmt.Errorf("the client committed, but its state is %s", state.Provisioning), Hint: hints[KindVerify]}
		case !passing(err):
			return err
		}
		if c.s.Wait(ctx, wait) != nil {
			return err
		}
		wait = min(2*wait, lookMost)
	}
}

// Settled waits until a provisioned client answers again after its network side restarted, limit at most
// (zero is 90 s).
func Settled(ctx context.Context, d Device, limit time.Duration) error {
	if limit == 0 {
		limit = settleTime
	}
	c := &configuration{s: Settings{Settle: limit, Wait: pause}}
	return c.await(ctx, d)
}

// passing reports whether an error may pass while a client restarts.
func passing(err error) bool {
	switch KindOf(err) {
	case KindUnreachable, KindReset, KindDropped, KindTimeout, KindTLS, KindHTTP:
		return true
	}
	return false
}

// Verify reads from a provisioned client what can be read of its settings: names, clock, TLS. What
// differs is one error of KindVerify. skew is how far the client's clock is ahead of ours.
func Verify(ctx context.Context, d Device, s Settings) (skew time.Duration, err error) {
	var wrong []error
	if s.Names != (Names{}) {
		n, err := d.Names(ctx)
		if err != nil {
			return 0, err
		}
		if n != s.Names {
			wrong = append(wrong, fmt.Errorf("its name is %q, not %q", n.FQDN(), s.Names.FQDN()))
		}
	}
	at, err := d.Clock(ctx)
	if err != nil {
		return 0, err
	}
	if skew = at.Sub(s.now()).Round(time.Second); skew.Abs() > verifySlack {
		wrong = append(wrong, fmt.Errorf("its clock is off by %v", skew))
	}
	if s.TLS != nil {
		t, err := d.TLS(ctx)
		if err != nil {
			return skew, err
		}
		if t.Remote != s.TLS.On {
			wrong = append(wrong, fmt.Errorf("TLS is on: %v, not %v", t.Remote, s.TLS.On))
		}
		if s.TLS.On && t.Mutual != s.TLS.Mutual {
			wrong = append(wrong, fmt.Errorf("it asks those who connect for a certificate: %v, not %v", t.Mutual, s.TLS.Mutual))
		}
	}
	lacking, err := usersLacking(ctx, d, s.Users)
	if err != nil {
		return skew, err
	}
	wrong = append(wrong, lacking...)
	if len(wrong) > 0 {
		return skew, &Error{Op: "verify", Kind: KindVerify, Err: errors.Join(wrong...), Hint: hints[KindVerify]}
	}
	return skew, nil
}

// usersLacking compares the access list with the users that were set, as far as it can be read.
func usersLacking(ctx context.Context, d Device, want []User) (wrong []error, err error) {
	if len(want) == 0 {
		return nil, nil
	}
	have, err := d.Users(ctx)
	if KindOf(err) == KindMissing {
		return nil, nil
	}
	for _, w := range want {
		if !slices.ContainsFunc(have, func(u User) bool {
			return u.Name == w.Name && u.Access == w.Access && slices.Equal(slices.Sorted(slices.Values(u.Realms)), slices.Sorted(slices.Values(w.Realms)))
		}) {
			wrong = append(wrong, fmt.Errorf("the user %q is not there, or has other rights", w.Name))
		}
	}
	return wrong, err
}
