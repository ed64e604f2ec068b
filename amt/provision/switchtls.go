package provision

import (
	"context"
	"fmt"
	"slices"

	"amtmedic/amt/device"
	"amtmedic/amt/store"
)

// switchTLS gives a provisioned client TLS as its profile wants it, or takes it away, and sees a log-in as
// it is reached from then on. It can be called again after any error.
func (m *Maintainer) switchTLS(ctx context.Context, s *maintained) (words string, err error) {
	on := s.t.Profile.TLS.On()
	if s.d.API() == device.EOI {
		return "", &Refusal{Cause: "rc-no-profile", Words: "how the services of AMT 2.x switch TLS is stated by no public source"}
	}
	if on && !s.version.AtLeast(6, 0) { // it makes no key itself: one would be sent without TLS
		return "", &Refusal{Cause: "rc-https-off-with-tls",
			Words: fmt.Sprintf("profile %q uses TLS, and a key for firmware below 6.0 must not travel without it; a partial unprovision lets the client be provisioned anew", s.t.Profile.Name)}
	}
	set := m.Firmware.settings(s.t, s.d.API(), adminLogins(s.t.Known))
	managed, err := m.Firmware.managed(ctx, s.t, s.d.API(), &set)
	if err != nil {
		return "", err
	}
	if err := m.Store.NoteStep(ctx, s.j, store.StepSwitch); err != nil {
		return "", err
	}
	onlyTLS := !on && s.version.AtLeast(16, 1) // it need not permit what has no effect there
	if err := s.d.SetTLS(ctx, *set.TLS); err != nil && (!onlyTLS || device.NoTLSOff(err) == "") {
		return "", refusalOf(err)
	}
	// It takes effect with the commit, whose answer the change may swallow: a log-in tells.
	if err := s.d.Commit(ctx); err != nil && !device.AfterSend(err) {
		return "", refusalOf(err)
	}
	_ = s.d.Close()
	reopen := set.Reopen
	if onlyTLS {
		reopen = set.ReopenTLS
	}
	d := reopen(adminLogins(s.t.Known)...)
	defer func() { _ = d.Close() }()
	if err := device.Settled(ctx, d, m.Firmware.Settle); err != nil {
		return "", refusalOf(err)
	}
	state, err := d.TLS(ctx)
	if err != nil {
		return "", refusalOf(err)
	}
	if state.Remote != on && !onlyTLS {
		return "", &Refusal{Cause: "rc-half-provisioned", Words: fmt.Sprintf("the client says that TLS is on: %v, although it was switched", state.Remote)}
	}
	if on {
		return "TLS is on", managed.done(ctx)
	}
	if words = "TLS is off"; state.Remote {
		words = "TLS stays on, since this firmware has nothing else"
	}
	if m.Firmware.CA == nil {
		return words, nil
	}
	n, err := m.Firmware.CA.Retire(ctx, s.t.Job.UUID)
	return fmt.Sprintf("%s, %d certificates revoked", words, n), err
}

// switched looks for a client at its other port, when an earlier attempt, at this job or one that was given
// up, may have moved it there and nobody learned of it.
func (m *Maintainer) switched(ctx context.Context, s *maintained, was error) (device.State, error) {
	steps, err := m.Store.Steps(ctx, s.j.UUID)
	if err != nil || !slices.Contains(steps, store.StepSwitch) {
		return device.State{}, was
	}
	_ = s.d.Close()
	other := m.Firmware.settings(s.t, s.d.API(), adminLogins(s.t.Known)).Reopen         // without TLS
	s.d, s.open, s.tls = other(adminLogins(s.t.Known)...), other, !s.t.Profile.TLS.On() // in either case it is switched again
	state, err := s.d.State(ctx)
	if err != nil {
		return state, was
	}
	return state, nil
}
