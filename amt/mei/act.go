package mei

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"amtmedic/amt"
)

// Act is a change that can be made to the firmware from here: what is sent, what it does, and how it is
// undone. Nothing is sent before Run.
type Act struct {
	Name    string // enable, restart-hello, otp, suffix, stop, unprovision
	Changes string // what changes when the firmware accepts
	Undo    string
	Steps   []Step
	poll    time.Duration
}

// Step is one message.
type Step struct {
	Client ID
	Name   string // of the command
	Bytes  []byte // with a secret in them when Secret is set
	Secret bool

	command Command
	payload []byte
}

// ErrNothing is a change that is not needed, ErrCannot one that is not possible. Each comes with its reason in
// an *amt.Error; the second one's hint is what helps.
var (
	ErrNothing = errors.New("nothing to do")
	ErrCannot  = errors.New("not possible")
)

func nothing(why string) error {
	return &amt.Error{Op: why, Err: ErrNothing}
}

func cannot(why, next string) error {
	return &amt.Error{Op: why, Err: ErrCannot, Hint: next}
}

func hostStep(c Command, payload ...byte) Step {
	return Step{Client: AMTHI, Name: c.String(), Bytes: c.Request(payload...), command: c, payload: payload}
}

func manageStep(name string, b []byte) Step { return Step{Client: Watchdog, Name: name, Bytes: b} }

// PlanEnable plans to switch AMT on (local-mei 4.1).
func PlanEnable(s *State) (Act, error) {
	a := Act{Name: "enable", Changes: "AMT is switched on; the interface goes away for some seconds, and a restart of the computer may be needed",
		Undo: "switch AMT off in the BIOS or MEBx"}
	on, known := s.On()
	switch {
	case known && on:
		return a, nothing("AMT is switched on already")
	case s.Enablement == nil:
		return a, cannot("the firmware does not say whether AMT is on", "switch AMT on in the BIOS or MEBx")
	case s.Enablement.New:
		a.Steps = []Step{manageStep("SetAmtOperationalState", setOn)}
	default:
		a.Steps = []Step{manageStep("ChangeToAMT", setOldOn)}
	}
	return a, nil
}

// PlanRestart plans to begin setup, or to begin it again (local-mei 4.2). poll is the time between two looks
// at what the firmware is making.
func PlanRestart(s *State, poll time.Duration) (Act, error) {
	a := Act{Name: "restart-hello", Changes: "the setup window opens and the firmware says hello to its setup server; this ends what is proven about hellos that had ended",
		Undo: "amtmedic mei stop closes the window", poll: poll}
	if err := s.mustAnswer(); err != nil {
		return a, err
	}
	switch {
	case *s.Prov == Post:
		return a, nothing("the client is provisioned: there are no hellos to restart")
	case s.ZeroTouch != nil && !*s.ZeroTouch && *s.Prov == Pre:
		return a, cannot("Remote Configuration is switched off and no pair was entered", "enter a PID/PPS pair in MEBx or with a USB key, or switch Remote Configuration on in MEBx")
	}
	if s.Random != nil && *s.Random == 2 {
		a.Steps = append(a.Steps, hostStep(MakeRandom))
	}
	c, payload := Start(s.Version)
	a.Steps = append(a.Steps, hostStep(c, payload...))
	return a, nil
}

// maxOTP is the longest one-time password in bytes, maxSuffix the longest suffix.
const (
	maxOTP    = 32
	maxSuffix = 223
)

// PlanOTP plans to store a one-time password, which the setup server compares. It must reach the server on
// another way.
func PlanOTP(s *State, otp amt.Secret) (Act, error) {
	a := Act{Name: "otp", Changes: "the firmware says this one-time password to its setup server", Undo: "store another one; it ends with setup"}
	if n := len(otp.Reveal()); n == 0 || n > maxOTP || !printable(otp.Reveal()) {
		return a, cannot("a one-time password has 1 to 32 printable characters", "give another one")
	}
	if err := s.beforeSetup(); err != nil {
		return a, err
	}
	step := hostStep(SetOTP, ansi(otp.Reveal())...)
	step.Secret = true
	a.Steps = []Step{step}
	return a, nil
}

// PlanSuffix plans to store the suffix that the certificate of the setup server must have.
func PlanSuffix(s *State, suffix string) (Act, error) {
	a := Act{Name: "suffix", Changes: "the firmware accepts a setup server only with a certificate for " + suffix, Undo: "store the old suffix again"}
	if s.Suffix != nil {
		a.Undo = fmt.Sprintf("store the old suffix again, which is %q", *s.Suffix)
	}
	if n := len(suffix); n == 0 || n > maxSuffix || !printable(suffix) || strings.ContainsAny(suffix, " /:") {
		return a, cannot("a suffix is a domain name of at most 223 characters", "give one such as corp.example")
	}
	if err := s.beforeSetup(); err != nil {
		return a, err
	}
	if s.Suffix != nil && *s.Suffix == suffix {
		return a, nothing("the suffix is " + suffix + " already")
	}
	a.Steps = []Step{hostStep(SetSuffix, ansi(suffix)...)}
	return a, nil
}

// PlanStop plans to close the setup window.
func PlanStop(s *State) (Act, error) {
	a := Act{Name: "stop", Changes: "the setup window closes and the hellos end", Undo: "amtmedic mei restart-hello opens it again"}
	if err := s.mustAnswer(); err != nil {
		return a, err
	}
	if *s.Prov != In {
		return a, nothing("no setup runs: the provisioning state is " + s.Prov.String())
	}
	a.Steps = []Step{hostStep(StopConfiguration)}
	return a, nil
}

// PlanUnprovision plans to take the configuration away. The firmware takes that from here only in client
// control mode.
func PlanUnprovision(s *State) (Act, error) {
	a := Act{Name: "unprovision", Changes: "the whole configuration of AMT is lost: access, network settings, certificates; remote management of this computer ends", Undo: "none: the client has to be set up again"}
	if err := s.mustAnswer(); err != nil {
		return a, err
	}
	switch {
	case *s.Prov != Post:
		return a, nothing("the client is not provisioned: its state is " + s.Prov.String())
	case s.Control != nil && *s.Control != 1:
		return a, cannot("the client is in "+s.ControlWord()+" control mode, in which the firmware refuses it from here", "unprovision over the network as administrator, or in MEBx")
	}
	a.Steps = []Step{hostStep(Unprovision, 0, 0, 0, 0)}
	return a, nil
}

// mustAnswer refuses where AMT's own client does not tell the state.
func (s *State) mustAnswer() error {
	on, known := s.On()
	switch {
	case known && !on:
		return cannot("AMT is switched off", "amtmedic mei enable, or the BIOS or MEBx, switches it on")
	case s.NoClient:
		return cannot("the firmware has no AMT client: no AMT, or it is switched off", "look in the BIOS for AMT, ME or manageability")
	case s.Prov == nil:
		return cannot("the firmware does not tell its provisioning state", "ask again in a minute")
	}
	return nil
}

func (s *State) beforeSetup() error {
	if err := s.mustAnswer(); err != nil {
		return err
	}
	if *s.Prov == Post {
		return cannot("the client is provisioned: the firmware takes this only before", "unprovision it first")
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if r < 0x20 || r > 0x7e {
			return false
		}
	}
	return true
}

// ansi is a text with its length of two bytes in front.
func ansi(s string) []byte {
	return append(binary.LittleEndian.AppendUint16(nil, uint16(len(s))), s...)
}

// Run sends the steps, one after the other, until one does not succeed. Errors: a Status or a ManageStatus of
// the firmware, ErrGarbled, or those of the connection.
func (a Act) Run(ctx context.Context, dial Dialer) error {
	for _, s := range a.Steps {
		if err := s.run(ctx, dial, a.poll); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

func (s Step) run(ctx context.Context, dial Dialer, poll time.Duration) error {
	link, err := dial(ctx, s.Client)
	if err != nil {
		return err
	}
	defer func() { _ = link.Close() }()
	if s.Client == Watchdog {
		b, err := exchange(ctx, link, Long, s.Bytes)
		if err != nil {
			return err
		}
		return ReadEnabled(b)
	}
	h := Host{Link: link}
	if s.command == MakeRandom {
		return h.Random(ctx, max(poll, time.Millisecond))
	}
	_, err = h.Ask(ctx, Long, s.command, s.payload...)
	return err
}
