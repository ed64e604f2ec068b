package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/mei"
)

// meiAction is a line of mei.log and of the output with --json: what is about to be sent, and what came of it.
type meiAction struct {
	Time    time.Time `json:"time"`
	Stage   string    `json:"stage"` // intent, done, failed, nothing-to-do, not-possible
	Action  string    `json:"action"`
	UUID    string    `json:"uuid"`
	Command []string  `json:"command"`
	Changes string    `json:"changes"`
	Undo    string    `json:"undo"`
	Error   string    `json:"error"`

	Mode       string        `json:"mode"` // of the client before the change, as the next ones
	AMTVersion string        `json:"amt_version"`
	ProvState  string        `json:"prov_state"`
	Problems   []amt.Problem `json:"problems"`
}

func meiEnableRun(e *env, w meiWorld, args []string) (int, error) {
	return w.act(e, "mei enable", "", args, func(s *mei.State, _ string) (mei.Act, error) { return mei.PlanEnable(s) })
}

func meiRestartRun(e *env, w meiWorld, args []string) (int, error) {
	return w.act(e, "mei restart-hello", "", args, func(s *mei.State, _ string) (mei.Act, error) { return mei.PlanRestart(s, w.poll) })
}

func meiStopRun(e *env, w meiWorld, args []string) (int, error) {
	return w.act(e, "mei stop", "", args, func(s *mei.State, _ string) (mei.Act, error) { return mei.PlanStop(s) })
}

func meiUnprovisionRun(e *env, w meiWorld, args []string) (int, error) {
	return w.act(e, "mei unprovision", "", args, func(s *mei.State, _ string) (mei.Act, error) { return mei.PlanUnprovision(s) })
}

func meiSuffixRun(e *env, w meiWorld, args []string) (int, error) {
	return w.act(e, "mei suffix", "NAME", args, mei.PlanSuffix)
}

// meiOTPRun takes the password from a file or standard input: on the command line others could read it.
func meiOTPRun(e *env, w meiWorld, args []string) (int, error) {
	return w.act(e, "mei otp", "FILE", args, func(s *mei.State, name string) (mei.Act, error) {
		b, err := readUpTo(e, name, 4096)
		if err != nil {
			return mei.Act{}, &amt.Error{Op: "read the one-time password", Err: err}
		}
		return mei.PlanOTP(s, amt.NewSecret(strings.TrimRight(string(b), "\r\n")))
	})
}

// act looks at the firmware, shows what would be sent, asks, writes that down, and sends it.
func (w meiWorld) act(e *env, name, operand string, args []string, plan func(*mei.State, string) (mei.Act, error)) (int, error) {
	fs := flags(strings.TrimSpace(name+" "+operand) + " [--yes] [--json]")
	yes := fs.Bool("yes", false, "agree to the preview without being asked")
	asJSON := fs.Bool("json", false, "print one JSON object")
	words, err := parse(fs, args)
	switch {
	case err != nil:
		return exitUsage, err
	case operand == "" && len(words) > 0, operand != "" && len(words) != 1:
		return exitUsage, misuse(fs, "%s takes %s", name, map[bool]string{true: "no operand", false: "one " + operand}[operand == ""])
	}
	words = append(words, "")
	s, err := w.look(e)
	if err != nil {
		return w.notReached(e, strings.TrimPrefix(name, "mei "), s, err, *asJSON)
	}
	a, err := plan(s, words[0])
	if errors.Is(err, mei.ErrNothing) || errors.Is(err, mei.ErrCannot) || err != nil {
		return w.notPlanned(e, a, s, err, *asJSON)
	}
	if err := showAct(e, a, s); err != nil {
		return exitFound, err
	}
	if err := agreeLocal(e, *yes); err != nil {
		if errors.Is(err, context.Canceled) {
			return exitInterrupt, err
		}
		return exitFound, err
	}
	return w.send(e, a, s, *asJSON)
}

// notPlanned tells why nothing is sent.
func (w meiWorld) notPlanned(e *env, a mei.Act, s *mei.State, err error, asJSON bool) (int, error) {
	var why *amt.Error
	if !errors.Is(err, mei.ErrNothing) || !errors.As(err, &why) {
		if asJSON && errors.Is(err, mei.ErrCannot) {
			l := meiLine(a, s, "not-possible", err)
			l.Problems = append(l.Problems, amt.In("mei", "not-possible", "%s", plain(err.Error())))
			return exitFound, errors.Join(err, writeJSON(e.stdout, l))
		}
		return exitFound, err
	}
	if asJSON {
		l := meiLine(a, s, "nothing-to-do", nil)
		return exitOK, writeJSON(e.stdout, l)
	}
	fmt.Fprintf(e.stderr, "nothing to do: %s\n", plain(why.Op))
	return exitOK, nil
}

// notReached tells that the firmware could not be asked: nothing is sent.
func (w meiWorld) notReached(e *env, action string, s *mei.State, err error, asJSON bool) (int, error) {
	if asJSON {
		l := meiLine(mei.Act{Name: action}, s, "failed", err)
		l.Mode, l.Problems = "", append(l.Problems, meiProblem(err)) // half a look tells no mode
		if werr := writeJSON(e.stdout, l); werr != nil {
			return exitFound, werr
		}
	}
	return w.failed(e, err)
}

// commandsOf gives each message in words and bytes; one that holds a secret without its bytes.
func commandsOf(a mei.Act) []string {
	out := []string{}
	for _, s := range a.Steps {
		text := hex.EncodeToString(s.Bytes)
		if s.Secret {
			text = "[secret]"
		}
		out = append(out, fmt.Sprintf("%s to %s: %s", s.Name, s.Client.Name(), text))
	}
	return out
}

func meiLine(a mei.Act, s *mei.State, stage string, err error) meiAction {
	l := meiAction{Time: time.Now().UTC(), Stage: stage, Action: a.Name, Command: commandsOf(a), Changes: a.Changes, Undo: a.Undo, Mode: string(s.Judge().Mode),
		AMTVersion: s.Version.String(), Problems: []amt.Problem{}}
	if s.Prov != nil {
		l.ProvState = s.Prov.String()
	}
	if !s.UUID.IsZero() {
		l.UUID = s.UUID.String()
	}
	if err != nil {
		l.Error = err.Error()
	}
	return l
}

func showAct(e *env, a mei.Act, s *mei.State) error {
	target := "the Management Engine of this computer"
	if !s.UUID.IsZero() {
		target += ", " + s.UUID.String()
	}
	_, err := fmt.Fprintf(e.stderr, "target   %s\nchanges  %s\nundo     %s\n", target, plain(a.Changes), plain(a.Undo))
	for _, c := range commandsOf(a) {
		fmt.Fprintf(e.stderr, "sends    %s\n", c)
	}
	return err
}

// send writes the intent down, sends the messages, and writes down what came of it. Without a place for
// the record nothing is sent.
func (w meiWorld) send(e *env, a mei.Act, s *mei.State, asJSON bool) (int, error) {
	log, err := openAgentLog("", "mei.log")
	if err == nil {
		err = log.add(meiLine(a, s, "intent", nil))
	}
	if err != nil {
		return exitFound, &amt.Error{Op: "record the intent", Err: err, Hint: "nothing was sent; AMTMEDIC_HOME names a folder that can be written"}
	}
	ctx, cancel := context.WithTimeout(e.ctx, 2*time.Minute)
	defer cancel()
	text, done := meiOutcome(a, s, a.Run(ctx, w.dial))
	l := meiLine(a, s, "done", done)
	if done != nil {
		l.Stage = "failed"
	}
	if err := log.add(l); err != nil {
		fmt.Fprintf(e.stderr, "amtmedic: warning: the outcome is not in the record: %s\n", plain(err.Error()))
	}
	if asJSON {
		if err := writeJSON(e.stdout, l); err != nil {
			return exitFound, err
		}
	} else if done == nil {
		fmt.Fprintln(e.stdout, text)
	}
	if done != nil && e.ctx.Err() != nil {
		return exitInterrupt, done
	}
	if done != nil {
		return exitFound, done
	}
	return exitOK, nil
}

// meiOutcome says what the firmware's answer means.
func meiOutcome(a mei.Act, s *mei.State, err error) (string, error) {
	if a.Name == "restart-hello" {
		r := agentResult{}
		if s.Prov != nil {
			r.ProvState = s.Prov.String()
		}
		r, rerr := started(r, err)
		if rerr != nil {
			return "", &amt.Error{Op: "restart the hello", Err: fmt.Errorf("%s: %w", r.Text, rerr), Hint: r.Next}
		}
		if err == nil && r.ProvState == "in" {
			r.Text += "; its window had ended (mode 6)"
		}
		if r.Next != "" {
			r.Text += "; " + r.Next
		}
		return r.Text, nil
	}
	if err != nil {
		hint := "amtmedic mei status shows what stands now"
		if h := (*amt.Error)(nil); errors.As(err, &h) && h.Hint != "" {
			hint = h.Hint
		}
		return "", &amt.Error{Op: a.Name, Err: err, Hint: hint}
	}
	if a.Name == "enable" {
		return "the firmware accepted; ask for the status in ten seconds. It may need a restart of the computer, and a new DHCP lease of the operating system", nil
	}
	return "the firmware accepted: " + a.Changes, nil
}
