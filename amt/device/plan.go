package device

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/wsman"
)

// Settings are what a configuration leaves in a client.
type Settings struct {
	UUID  amt.UUID   // of the client that is meant; zero compares nothing
	OTP   amt.Secret // one-time password that its agent planted; empty compares nothing
	Known []Login    // that the client may have, the likeliest first; empty leaves those of the Device

	Hours int        // to extend the setup window by, 1 to 24; 0 leaves it
	Names Names      // host and domain
	MEBx  amt.Secret // password of the local menu; empty leaves it
	Admin Login      // administrator
	TLS   *TLS       // nil leaves it; one that is not On switches it off where it is on
	Users []User     // to be added or changed
	// OnlyUsers removes digest users that are not among Users. The firmware's own and those of a directory stay.
	OnlyUsers bool
	Power     string // ID of a power policy; empty leaves it
	// PowerFor chooses the ID among the policies that the client offers, where Power is empty; an empty ID
	// says that none fits. Nil leaves the policy.
	PowerFor    func([]PowerPolicy) string
	Redirection *Redirection // nil leaves it
	Consent     *Consent     // nil leaves it
	Network     *Network     // nil leaves it
	Pair        *Pair        // new PID/PPS; nil leaves the old one

	// Reopen gives the client as it is reached after the commit, with these log-ins only.
	Reopen func(logins ...Login) Device
	// ReopenTLS is Reopen for firmware that has no port without TLS, 16.1 and later, where Reopen would
	// use one: the client shows a certificate of its own making there. Nil: Reopen serves all.
	ReopenTLS func(logins ...Login) Device
	// Settle is how long the client may take to come back after the commit; zero is 90 s.
	Settle time.Duration
	// Now is the clock that the client's is set to; nil is time.Now.
	Now func() time.Time
	// Wait waits, or gives the context's error; nil waits by the system's clock.
	Wait func(ctx context.Context, t time.Duration) error

	wasOff *bool // set when TLS was seen to be off before the commit
}

// now asks the clock of the settings.
func (s *Settings) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

// Pair is a PID/PPS pair.
type Pair struct {
	PID amt.PID
	PPS amt.Secret
}

// The names of the steps, in their order. They are stored: they stay as they are.
const (
	StepIdentify = "identify"
	StepOTP      = "otp"
	StepWindow   = "window"
	StepClock    = "clock"
	StepNames    = "names"
	StepMEBx     = "mebx-password"
	StepAdmin    = "admin"
	StepTLS      = "tls"
	StepUsers    = "users"
	StepPower    = "power"
	StepRedirect = "redirection"
	StepConsent  = "consent"
	StepNetwork  = "network"
	StepPair     = "psk-pair"
	// StepSent is done when the commit is about to be sent: from then on the client may be
	// provisioned, whatever else is known.
	StepSent   = "commit-sent"
	StepCommit = "commit"
	StepVerify = "verify"
)

// Step is one part of a configuration.
type Step struct {
	Name   string
	Text   string // for people: "set the clock"
	Secret bool   // a secret leaves with it: Progress.Before comes first
	// Lenient gives the words for an error that does not end the configuration; empty for one that
	// does. Nil: every error ends it.
	Lenient func(error) string
	// Check reports whether the client has the setting, so that a step that an earlier session noted as
	// done is not taken again; nil: it cannot be read.
	Check func(context.Context) (bool, error)
	Do    func(context.Context) error
}

// clockSlack is how far the client's clock may be off before it is set again.
const clockSlack = 5 * time.Second

// Plan gives the steps between log-in and commit, in the order that provisioning-protocol 3.5 asks
// for. What may part us from the client comes last.
func Plan(d Device, s Settings) []Step {
	var plan []Step
	add := func(wanted bool, step Step) {
		if wanted {
			plan = append(plan, step)
		}
	}
	add(s.Hours > 0, Step{Name: StepWindow, Text: "extend the setup window", Lenient: notExtended,
		Do: func(ctx context.Context) error { return d.ExtendWindow(ctx, s.Hours) }})
	add(true, Step{Name: StepClock, Text: "set the clock", Check: s.clockRight(d),
		Do: func(ctx context.Context) error { return d.SetClock(ctx, s.now) }})
	add(s.Names != Names{}, Step{Name: StepNames, Text: "set host and domain name", Check: s.namesRight(d),
		Do: func(ctx context.Context) error { return d.SetNames(ctx, s.Names) }})
	add(!s.MEBx.IsZero(), Step{Name: StepMEBx, Text: "set the MEBx password", Secret: true, Lenient: notPermitted,
		Do: func(ctx context.Context) error { return s.setMEBx(ctx, d) }})
	add(!s.Admin.Password.IsZero(), Step{Name: StepAdmin, Text: "set the administrator", Secret: true,
		Do: func(ctx context.Context) error {
			return twice(ctx, func() error { return d.SetAdmin(ctx, s.Admin) })
		}})
	if s.TLS != nil && s.TLS.On {
		add(true, Step{Name: StepTLS, Text: "set TLS with key and certificate",
			Do: func(ctx context.Context) error { return d.SetTLS(ctx, *s.TLS) }})
	}
	add(s.TLS != nil && !s.TLS.On, Step{Name: StepTLS, Text: "switch TLS off", Lenient: NoTLSOff,
		Do: func(ctx context.Context) error { return s.setTLSOff(ctx, d) }})
	for _, step := range s.rights(d) {
		add(true, step)
	}
	add(s.Network != nil, Step{Name: StepNetwork, Text: "set the network interface", Lenient: missing("this firmware lacks a network setting of the profile"),
		Do: func(ctx context.Context) error { return d.SetNetwork(ctx, *s.Network) }})
	add(s.Pair != nil, Step{Name: StepPair, Text: "set a new PID/PPS pair", Secret: true,
		Do: func(ctx context.Context) error { return d.SetPair(ctx, s.Pair.PID, s.Pair.PPS) }})
	return plan
}

// setTLSOff switches TLS off in a client that has kept it from another time.
func (s *Settings) setTLSOff(ctx context.Context, d Device) error {
	now, err := d.TLS(ctx)
	if err != nil {
		return err
	}
	if now.Remote || now.Local {
		return d.SetTLS(ctx, TLS{})
	}
	if s.wasOff != nil {
		*s.wasOff = true
	}
	return nil
}

// rights are the steps that say what a provisioned client lets whom do.
func (s *Settings) rights(d Device) []Step {
	var out []Step
	if len(s.Users) > 0 || s.OnlyUsers {
		out = append(out, Step{Name: StepUsers, Text: "set the users", Secret: true, Lenient: missing("the users were not set: this firmware has no access list that can be reached"),
			Do: func(ctx context.Context) error { return s.setUsers(ctx, d) }})
	}
	if s.Power != "" || s.PowerFor != nil {
		out = append(out, Step{Name: StepPower, Text: "set the power policy", Lenient: missing("this firmware has no power policies to choose from, or none that fits"),
			Do: func(ctx context.Context) error { return s.setPower(ctx, d) }})
	}
	if s.Redirection != nil {
		out = append(out, Step{Name: StepRedirect, Text: "switch redirection", Lenient: missing("this firmware has no redirection that can be switched"),
			Do: func(ctx context.Context) error { return d.SetRedirection(ctx, *s.Redirection) }})
	}
	if s.Consent != nil {
		out = append(out, Step{Name: StepConsent, Text: "set the consent of the user", Lenient: noConsent,
			Do: func(ctx context.Context) error { return d.SetConsent(ctx, *s.Consent) }})
	}
	return out
}

func (s *Settings) setUsers(ctx context.Context, d Device) error {
	for _, u := range s.Users {
		if err := twice(ctx, func() error { return d.SetUser(ctx, u) }); err != nil {
			return err
		}
	}
	if !s.OnlyUsers {
		return nil
	}
	have, err := d.Users(ctx)
	if err != nil {
		return err
	}
	for _, u := range have {
		if u.Name == "" || slices.ContainsFunc(s.Users, func(w User) bool { return w.Name == u.Name }) {
			continue
		}
		if err := d.RemoveUser(ctx, u.Name); err != nil {
			return err
		}
	}
	return nil
}

// setPower chooses among what the client offers.
func (s *Settings) setPower(ctx context.Context, d Device) error {
	if s.Power != "" {
		return d.SetPowerPolicy(ctx, s.Power)
	}
	offered, err := d.PowerPolicies(ctx)
	if err != nil {
		return err
	}
	id := s.PowerFor(offered)
	if id == "" {
		return &Error{Op: "choose power policy", Kind: KindMissing, Err: errors.New("none of those that the client offers is meant")}
	}
	return d.SetPowerPolicy(ctx, id)
}

// noConsent forgives firmware without the service, and one in client control mode, where the maker
// fixed it.
func noConsent(err error) string {
	if forbidden(err) {
		return "the firmware did not permit another user consent"
	}
	return missing("this firmware has no user consent that can be set")(err)
}

// NoTLSOff forgives firmware that has no TLS, or nothing but TLS (16.1 on): it gives words for such an
// error of SetTLS, none for any other.
func NoTLSOff(err error) string {
	if forbidden(err) {
		return "the firmware did not permit that TLS is switched off"
	}
	return missing("this firmware has no TLS that can be switched")(err)
}

// forbidden reports whether the firmware said that it does not permit something.
func forbidden(err error) bool {
	if ret := (*wsman.ReturnError)(nil); errors.As(err, &ret) {
		return ret.Code == wsman.CodeNotPermitted
	}
	f := (*wsman.Fault)(nil)
	return errors.As(err, &f) && (f.Subcode == "AccessDenied" || strings.HasSuffix(f.Detail, "AMT-STATUS 16"))
}

// setMEBx also makes the new password one of the log-ins: as long as nobody changed the network
// password, some firmware has one for both.
func (s *Settings) setMEBx(ctx context.Context, d Device) error {
	err := d.SetMEBxPassword(ctx, s.MEBx)
	if err != nil && !AfterSend(err) {
		return err
	}
	logins := s.Known
	if l, ok := d.Accepted(); ok {
		logins = []Login{l}
	}
	user := s.Admin.User
	if user == "" {
		user = "admin"
	}
	both := Login{User: user, Password: s.MEBx}
	d.LogIn(append(without(logins, both), both)...)
	if err != nil && ctx.Err() == nil {
		return d.SetMEBxPassword(ctx, s.MEBx)
	}
	return err
}

// twice makes a call that changes the log-in once more when its answer was lost.
func twice(ctx context.Context, do func() error) error {
	err := do()
	if AfterSend(err) && ctx.Err() == nil {
		err = do()
	}
	return err
}

func (s *Settings) clockRight(d Device) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		at, err := d.Clock(ctx)
		return s.now().Sub(at).Abs() <= clockSlack, err
	}
}

func (s *Settings) namesRight(d Device) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		n, err := d.Names(ctx)
		return n == s.Names, err
	}
}

// missing forgives firmware that has no such operation.
func missing(words string) func(error) string {
	return func(err error) string {
		if KindOf(err) == KindMissing {
			return words
		}
		return ""
	}
}

// notExtended forgives a window that stays as it is: a configuration takes seconds.
func notExtended(err error) string {
	switch KindOf(err) {
	case KindMissing, KindReturn, KindFault:
		return fmt.Sprintf("the setup window was not extended: %v", err)
	}
	return ""
}

// notPermitted forgives a MEBx password that may not be set, as after an earlier session that set it
// and never learned so. If the firmware needs it, the commit says that something is missing.
func notPermitted(err error) string {
	if ret := (*wsman.ReturnError)(nil); errors.As(err, &ret) && ret.Code == wsman.CodeNotPermitted {
		return "the firmware did not permit a new MEBx password: the one that it has stays"
	}
	return missing("this firmware has no MEBx password that can be set over the network")(err)
}
