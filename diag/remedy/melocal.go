package remedy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/mei"
)

// LocalME is the Management Engine of this computer, when this computer is the client.
type LocalME struct {
	ID   string // the remedy's id
	Dial mei.Dialer
	Poll time.Duration // between two looks at random numbers that the firmware makes; 0 is a second
}

// limits of a look at the firmware, and of what is sent to it.
const (
	meLook = 30 * time.Second
	meSend = 2 * time.Minute
)

// RestartHello gives the repair that has the firmware open its setup window and say hello, by the messages
// of amtmedic mei restart-hello.
func RestartHello(l LocalME) Action {
	if l.Poll == 0 {
		l.Poll = time.Second
	}
	return Action{ID: l.ID, Plan: l.planRestart, Apply: l.restart, Undo: l.stop}
}

// look asks the firmware, and plans what a function makes of it.
func (l LocalME) look(ctx context.Context, plan func(*mei.State) (mei.Act, error)) (*mei.State, mei.Act, error) {
	ctx, cancel := context.WithTimeout(ctx, meLook)
	defer cancel()
	s, err := mei.Look(ctx, l.Dial)
	if err != nil {
		return s, mei.Act{}, err
	}
	a, err := plan(s)
	return s, a, err
}

func (l LocalME) restartOf(s *mei.State) (mei.Act, error) { return mei.PlanRestart(s, l.Poll) }

func (l LocalME) planRestart(ctx context.Context) (Plan, error) {
	s, a, err := l.look(ctx, l.restartOf)
	if err != nil {
		return Plan{}, err
	}
	target := "the Management Engine of this computer"
	if !s.UUID.IsZero() {
		target += ", " + s.UUID.String()
	}
	p := Plan{Title: "Have the firmware of this computer say hello again", Confirm: "yes", Undo: "closes the setup window; the hellos end",
		ByHand: []string{"amtmedic mei restart-hello", "or drain it: switch the PC off, unplug it, hold the power button until its light has lit and faded, plug it in"}}
	p.Rows = []Row{{"target", target}}
	for i, step := range a.Steps {
		label := "will send"
		if i > 0 {
			label = ""
		}
		p.Rows = append(p.Rows, Row{label, fmt.Sprintf("%s to %s: %s", step.Name, step.Client.Name(), hex.EncodeToString(step.Bytes))})
	}
	p.Rows = append(p.Rows, Row{"changes", a.Changes}, Row{"removes", "nothing"}, Row{"undo", "stops the configuration again"},
		Row{"checked first", "its provisioning state is " + s.Prov.String()})
	return p, nil
}

// restart sends it. A firmware whose window is open already says hello, and refuses to begin again.
func (l LocalME) restart(ctx context.Context, _ map[string]string) (string, error) {
	s, a, err := l.look(ctx, l.restartOf)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, meSend)
	defer cancel()
	err = a.Run(ctx, l.Dial)
	var status mei.Status
	errors.As(err, &status)
	switch {
	case err == nil || status == mei.CertNotReady:
		return "the firmware accepted: a hello should leave within about a minute", nil
	case status == mei.WrongState && *s.Prov == mei.In:
		return "the setup window is open: the firmware is saying hello already", nil
	case status == mei.NotReady:
		return "", &amt.Error{Op: "restart the hello", Err: err, Hint: "mostly the firmware has no address from DHCP, or no domain with it (option 15): see to that first"}
	}
	return "", &amt.Error{Op: "restart the hello", Err: err, Hint: "drain the PC instead: that restarts the hello too"}
}

func (l LocalME) stop(ctx context.Context) error {
	_, a, err := l.look(ctx, mei.PlanStop)
	if errors.Is(err, mei.ErrNothing) {
		return nil // no setup runs any more
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, meSend)
	defer cancel()
	return a.Run(ctx, l.Dial)
}
