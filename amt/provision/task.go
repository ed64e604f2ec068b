package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"amtmedic/amt"
	"amtmedic/amt/profile"
	"amtmedic/amt/store"
)

// factoryPassword is what a client has that nobody keyed (provisioning-protocol 3.2).
const factoryPassword = "admin"

// task gathers what the configuration of a job's client needs. What is missing is a Refusal.
func (w *Worker) task(ctx context.Context, j store.Job) (Task, error) {
	t := Task{Job: j, Method: amt.PSK}
	if j.Kind == 3 {
		t.Method = amt.PKI
	}
	conf, err := w.settings(ctx)
	if err != nil {
		return t, err
	}
	if err := w.permitted(ctx, j, t.Method, conf); err != nil {
		return t, err
	}
	if !j.Address.IsValid() {
		return t, &Refusal{Cause: "rc-return-path-blocked", Words: "its row in csti_amts has no address; its next hello brings one"}
	}
	if t.Method == amt.PSK {
		pair, ok, err := w.st.Key(ctx, j.PID)
		if err != nil {
			return t, err
		}
		if !ok {
			return t, &Refusal{Cause: "rc-pid-unknown", Words: "failed to find PID mapping",
				Log: fmt.Sprintf("failed to find PID mapping: UUID %s, PID %s, from %s", j.UUID, j.PID.Dashed(), j.Address)}
		}
		t.Pair = pair
	}
	if t.Properties, _, err = resolve(ctx, *w.from.Load(), Asked{UUID: j.UUID, Address: j.Address, Method: t.Method, PID: j.PID}); err != nil {
		return t, err
	}
	if t.Profile, err = w.profile(ctx, j, t.Method, t.Properties.Profile, conf); err != nil {
		return t, err
	}
	if t.OTP, err = w.otp(ctx, t, conf["otp"]); err != nil {
		return t, err
	}
	if err := w.passwords(ctx, &t); err != nil {
		return t, err
	}
	return t, w.secrets(ctx, &t)
}

// permitted applies what csti_configuration says of who may be set up.
func (w *Worker) permitted(ctx context.Context, j store.Job, m amt.Method, conf map[string]string) error {
	if m == amt.PKI && conf["rcfg_enabled"] == "false" {
		return &Refusal{Cause: "rc-rcfg-off-on-server", Words: "Remote Configuration is off in the settings of this server (rcfg_enabled)"}
	}
	if conf["uuid_policy"] != "imported-only" {
		return nil
	}
	_, ok, err := w.st.MapRow(ctx, j.UUID)
	if err == nil && !ok {
		err = &Refusal{Cause: "rc-uuid-not-allowed", Words: "only clients of the UUID map are taken (uuid_policy), and it has no row of this one"}
	}
	return err
}

// otp gives the one-time password that a client has to show, by the setting of that name: off, known or
// required. Without a row of it one that is known is compared.
func (w *Worker) otp(ctx context.Context, t Task, rule string) (amt.Secret, error) {
	if t.Method != amt.PKI || rule == "off" {
		return amt.Secret{}, nil
	}
	known, err := w.st.OTP(ctx, t.Job.UUID)
	if err == nil && known.IsZero() && rule == "required" {
		err = &Refusal{Cause: "rc-otp-mismatch", Words: "this server takes no client without a one-time password (setting otp), and knows none of this one"}
	}
	return known, err
}

// settings gives csti_configuration as far as it is there: without a row its default counts.
func (w *Worker) settings(ctx context.Context) (map[string]string, error) {
	conf, err := w.st.Config(ctx)
	if errors.Is(err, store.ErrNoConfig) {
		return map[string]string{}, nil
	}
	return conf, err
}

// passwords lists what the firmware's admin password may be, and makes or finds the one to set: a
// password that an earlier session stored is set again, so that it is known whichever of the two the
// firmware has.
func (w *Worker) passwords(ctx context.Context, t *Task) error {
	verified, next, err := w.st.Passwords(ctx, t.Job.UUID)
	if err != nil {
		return err
	}
	t.Password = next
	if rule := t.Profile.Network; rule.Rule == profile.Fixed || next.IsZero() {
		if t.Password, err = rule.Make(w.o.Random); err != nil {
			return err
		}
	}
	// Keying the pair set its admin password; a pair that was typed in by hand may have left the old one.
	for _, p := range []amt.Secret{next, t.Pair.AdminPassword, t.Pair.CurrentPassword, amt.NewSecret(factoryPassword), verified} {
		if !p.IsZero() && !slices.ContainsFunc(t.Known, p.Equal) { // firmware may count refused log-ins
			t.Known = append(t.Known, p)
		}
	}
	return nil
}
