package main

import (
	"context"
	"errors"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/mei"
)

// thisClient is the world of a one-shot outside tests.
func thisClient() agentWorld {
	dial := mei.Dial(mei.Options{})
	return agentWorld{now: time.Now, pause: 10 * time.Second, restart: func(ctx context.Context, dry bool) (agentResult, error) {
		return restartHello(ctx, dial, 5*time.Second, dry)
	}}
}

// restartHello looks at the firmware and tells it to begin setup, in the order of local-mei 4.2. poll is
// the time between two looks at what the firmware is making.
func restartHello(ctx context.Context, dial mei.Dialer, poll time.Duration, dry bool) (r agentResult, err error) {
	h, err := mei.DialHost(ctx, dial)
	if err != nil {
		return unreachableME(err), err
	}
	defer func() { _ = h.Close() }()
	v, err := h.Version(ctx)
	if errors.Is(err, mei.ErrSwitchedOff) {
		return agentResult{Outcome: agentCannot, Text: mei.ErrSwitchedOff.Error(), Next: "switch it on in the BIOS or MEBx"}, err
	}
	if err != nil {
		return failedME(err), err
	}
	r.AMTVersion = v.String()
	if u, err := h.UUID(ctx); err == nil {
		r.UUID = u.String()
	}
	state, err := h.State(ctx)
	if err != nil {
		f := failedME(err)
		f.AMTVersion, f.UUID = r.AMTVersion, r.UUID
		return f, err
	}
	r.ProvState = state.String()
	if state > mei.In {
		r.Outcome, r.Text = agentNothing, "the client is provisioned"
		return r, nil
	}
	return beginSetup(ctx, h, r, v, poll, dry)
}

// beginSetup does the rest for a client that is not provisioned.
func beginSetup(ctx context.Context, h mei.Host, r agentResult, v amt.Version, poll time.Duration, dry bool) (agentResult, error) {
	if zero, err := h.Number(ctx, mei.GetZeroTouch); err == nil && zero == 0 && r.ProvState == "pre" {
		r.Outcome, r.Text = agentCannot, "Remote Configuration is switched off and no pair was entered"
		r.Next = "enter a PID/PPS pair in MEBx or with a USB key, or switch Remote Configuration on in MEBx"
		return r, nil
	}
	if dry {
		r.Outcome, r.Text = agentDone, "the firmware would be told to begin setup"
		if r.ProvState == "in" {
			r.Text += "; whether its window is still open shows only then"
		}
		return r, nil
	}
	if err := h.Random(ctx, poll); err != nil {
		r.Outcome, r.Text, r.Next, r.again = agentFailed, "random numbers for the firmware: "+err.Error(), "try again later", true
		return r, err
	}
	command, payload := mei.Start(v)
	_, err := h.Ask(ctx, mei.Long, command, payload...)
	return started(r, err)
}

// started says what the answer to the command means.
func started(r agentResult, err error) (agentResult, error) {
	var s mei.Status
	known := errors.As(err, &s)
	switch {
	case err == nil || known && s == mei.CertNotReady:
		r.Outcome, r.Text = agentDone, "the firmware accepted: a hello should leave within about a minute"
		return r, nil
	case known && s == mei.WrongState && r.ProvState == "in":
		r.Outcome, r.Text = agentNothing, "the setup window is open: the firmware is saying hello already"
		r.Next = "when no hello arrives, look at DNS, at the cable, and at port 9971"
		return r, nil
	case known && s == mei.NotReady:
		r.Outcome, r.Text, r.again = agentFailed, "the firmware is not ready: mostly it has no address from DHCP, or no domain with it (option 15)", true
		r.Next = "see that DHCP gives the client an address and option 15"
	case known && (s == mei.RandomNone || s == mei.RandomRuns):
		r.Outcome, r.Text, r.Next, r.again = agentFailed, "the firmware has no random numbers yet", "try again later", true
	default:
		f := failedME(err)
		r.Outcome, r.Text, r.Next, r.again = f.Outcome, f.Text, f.Next, f.again
	}
	return r, err
}

// unreachableME sorts why the Management Engine cannot be spoken to.
func unreachableME(err error) agentResult {
	r := agentResult{Outcome: agentCannot, Text: err.Error()}
	if errors.Is(err, mei.ErrBusy) || errors.Is(err, mei.ErrReset) {
		r.Outcome, r.again = agentFailed, true
	}
	if hint := (*amt.Error)(nil); errors.As(err, &hint) {
		r.Next = hint.Hint
	}
	return r
}

// failedME is a command that did not succeed. A Management Engine that restarts is asked again.
func failedME(err error) agentResult {
	r := unreachableME(err)
	r.Outcome = agentFailed
	r.again = r.again || errors.Is(err, mei.ErrNotConnected)
	return r
}

// thisHostWorld is where discover looks at this computer outside tests.
func thisHostWorld() hostWorld {
	return hostWorldOf(mei.Dial(mei.Options{}))
}

// lookAtME fills in what the firmware tells of this client.
func lookAtME(ctx context.Context, dial mei.Dialer, h *thisHost) error {
	me, err := mei.DialHost(ctx, dial)
	if err != nil {
		return err
	}
	defer func() { _ = me.Close() }()
	v, err := me.Version(ctx)
	if errors.Is(err, mei.ErrSwitchedOff) {
		h.Mode = string(amt.ModeDisabled)
		return nil
	}
	if err != nil {
		return err
	}
	h.AMTVersion = v.String()
	if u, err := me.UUID(ctx); err == nil {
		h.UUID = u.String()
	}
	state, err := me.State(ctx)
	if err != nil {
		return err
	}
	h.State = state.String()
	switch h.State {
	case "post":
		h.Mode = string(amt.ModeProvisioned)
	case "in":
		tls, err := me.Number(ctx, mei.GetTLSMode)
		if err == nil && (tls == 1 || tls == 2) {
			h.Mode = string(map[uint32]amt.Mode{1: amt.ModePSK, 2: amt.ModePKI}[tls])
			h.Notes = append(h.Notes, amt.In("mode", "window", "mode %s, or mode 6 when the hellos have ended: the firmware does not tell", h.Mode))
		}
	case "pre":
		h.Notes = append(h.Notes, amt.In("mode", "password", "mode 2 or 3: the firmware does not tell reliably whether the MEBx password is that of the factory"))
	}
	return nil
}
