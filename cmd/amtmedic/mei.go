package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"amtmedic/amt"
	"amtmedic/amt/mei"
)

// meiWorld is the Management Engine that the commands speak to.
type meiWorld struct {
	dial mei.Dialer
	poll time.Duration // between two looks at what the firmware is making
}

func runMEI(e *env, args []string) (int, error) {
	return runMEIIn(e, meiWorld{mei.Dial(mei.Options{}), 5 * time.Second}, args)
}

func runMEIIn(e *env, w meiWorld, args []string) (int, error) {
	with := func(run func(*env, meiWorld, []string) (int, error)) func(*env, []string) (int, error) {
		return func(e *env, args []string) (int, error) { return run(e, w, args) }
	}
	return subcommand(e, "mei", []command{
		{"status", "mode, version and state, as the firmware tells them", with(meiStatusRun)},
		{"hashes", "the root certificates that the firmware accepts", with(meiHashesRun)},
		{"events", "what the firmware remembers: its setup, the last resets, the tunnel", with(meiEventsRun)},
		{"enable", "switch AMT on", with(meiEnableRun)},
		{"restart-hello", "begin setup, or begin it again: the firmware says hello", with(meiRestartRun)},
		{"otp", "store the one-time password that the setup server compares", with(meiOTPRun)},
		{"suffix", "store the suffix that the setup server's certificate must have", with(meiSuffixRun)},
		{"stop", "close the setup window", with(meiStopRun)},
		{"unprovision", "take the configuration away, in client control mode only", with(meiUnprovisionRun)},
	}, args)
}

// meiStatus is what mei status prints. What the firmware did not tell is empty.
type meiStatus struct {
	Mode         string        `json:"mode"`
	Modes        []string      `json:"modes"`
	AMTVersion   string        `json:"amt_version"`
	UUID         string        `json:"uuid"`
	ProvState    string        `json:"prov_state"`
	Text         string        `json:"text"`
	Why          []string      `json:"why"`
	Ask          []string      `json:"ask"`
	ControlMode  string        `json:"control_mode"`
	TLSMode      string        `json:"tls_mode"`
	BIOS         string        `json:"bios"`
	Suffix       string        `json:"suffix"`
	PID          string        `json:"pid"`
	Address      string        `json:"address"`
	MAC          string        `json:"mac"`
	RemoteConfig string        `json:"remote_config"`
	Problems     []amt.Problem `json:"problems"`
	Notes        []amt.Problem `json:"notes"`
}

func meiStatusRun(e *env, w meiWorld, args []string) (int, error) {
	fs := flags("mei status [--json]")
	asJSON := fs.Bool("json", false, "print one JSON object")
	if words, err := parse(fs, args); err != nil || len(words) > 0 {
		return exitUsage, orMisuse(err, misuse(fs, "mei status takes no operand"))
	}
	s, err := w.look(e)
	if s == nil {
		s = &mei.State{}
	}
	st := statusOf(s, err)
	if *asJSON {
		if werr := writeJSON(e.stdout, st); werr != nil {
			return exitFound, werr
		}
	} else if werr := st.print(e.stdout, err == nil); werr != nil {
		return exitFound, werr
	}
	if err != nil {
		return w.failed(e, err)
	}
	return st.code(), nil
}

// code is the exit code of what was told: a firmware that says that it has no AMT is unfit; one that does not
// say whether AMT is there and off, or tells no state, leaves it open. Every mode, off included, is an answer.
func (st *meiStatus) code() int {
	switch {
	case len(st.Problems) == 0:
		return exitOK
	case st.Problems[0].Code == "no-amt":
		return exitFound
	}
	return exitUndecided
}

func orMisuse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// look asks everything that can be asked.
func (w meiWorld) look(e *env) (*mei.State, error) {
	ctx, cancel := context.WithTimeout(e.ctx, mei.LookLimit)
	defer cancel()
	return mei.Look(ctx, w.dial)
}

// failed sorts an error of the way to the firmware: what could not be asked is 3.
func (w meiWorld) failed(e *env, err error) (int, error) {
	if e.ctx.Err() != nil {
		return exitInterrupt, &amt.Error{Op: "ask the Management Engine", Err: errors.New("interrupted")}
	}
	return exitUndecided, err
}

// meiProblem gives the problem that stands for an error: its code says which thing is missing.
func meiProblem(err error) amt.Problem {
	code := "not-read"
	for _, k := range []struct {
		err  error
		code string
	}{{mei.ErrNoDriver, "no-driver"}, {mei.ErrNoClient, "no-client"}, {mei.ErrNoME, "no-me"}, {mei.ErrDenied, "denied"}, {mei.ErrBusy, "busy"},
		{mei.ErrReset, "not-ready"}, {mei.ErrNotConnected, "not-ready"}, {context.DeadlineExceeded, "not-ready"}, {mei.ErrNotHere, "not-on-this-system"}, {mei.ErrGarbled, "garbled"}} {
		if errors.Is(err, k.err) {
			code = k.code
			break
		}
	}
	text := err.Error()
	if hint := (*amt.Error)(nil); errors.As(err, &hint) && hint.Hint != "" {
		text += "; " + hint.Hint
	}
	return amt.In("mei", code, "%s", plain(text))
}

// statusOf puts what was told into the form of the command. err is what stood in the way, nil when nothing did.
func statusOf(s *mei.State, err error) meiStatus {
	st := meiStatus{Modes: []string{}, Why: []string{}, Ask: []string{}, Problems: []amt.Problem{}, Notes: []amt.Problem{}}
	if err != nil {
		st.Problems = append(st.Problems, meiProblem(err))
	}
	for _, q := range s.Unknown {
		st.Notes = append(st.Notes, amt.In(q.Question, "no-answer", "%s", plain(q.Err.Error())))
	}
	st.AMTVersion, st.BIOS = s.Version.String(), plain(s.BIOS)
	if !s.UUID.IsZero() {
		st.UUID = s.UUID.String()
	}
	if s.Prov != nil {
		st.ProvState = s.Prov.String()
	}
	st.ControlMode = s.ControlWord()
	if s.TLSMode != nil && *s.TLSMode <= 2 {
		st.TLSMode = []string{"undecided", "psk", "pki"}[*s.TLSMode]
	}
	if s.Suffix != nil {
		st.Suffix = plain(*s.Suffix)
	}
	if s.PID != nil {
		st.PID = string(*s.PID)
	}
	if s.Wired != nil {
		st.MAC = s.Wired.MAC
		if s.Wired.Address.IsValid() {
			st.Address = s.Wired.Address.String()
		}
	}
	st.RemoteConfig = onOff(s.ZeroTouch)
	if err == nil {
		st.judge(s.Judge())
	}
	return st
}

func (st *meiStatus) judge(v mei.Verdict) {
	st.Mode, st.Text = string(v.Mode), v.Text
	for _, m := range v.Fits {
		st.Modes = append(st.Modes, string(m))
	}
	st.Why = append(st.Why, v.Why...)
	for _, a := range v.Ask {
		st.Ask = append(st.Ask, a.What+": "+a.How)
	}
	if v.Doubt != "" {
		st.Notes = append(st.Notes, amt.In("mode", "weak-source", "%s", v.Doubt))
	}
	switch {
	case v.NoAMT:
		st.Problems = append(st.Problems, amt.In("mei", "no-amt", "the firmware says that it has no AMT"))
	case v.MaybeNoAMT:
		st.Problems = append(st.Problems, amt.In("mei", "no-client", "no AMT, or AMT switched off: look in the BIOS"))
	case len(v.Fits) == 0:
		st.Problems = append(st.Problems, amt.In("mei", "no-state", "%s", v.Text))
	}
}

func (st *meiStatus) print(out io.Writer, asked bool) error {
	var b strings.Builder
	if asked {
		mode := st.Mode
		if mode == "" {
			mode = strings.Join(st.Modes, " or ")
		}
		fmt.Fprintf(&b, "%-15s%s\n", "mode", orDash(mode))
		fmt.Fprintf(&b, "%-15s%s\n", "", st.Text)
	}
	for _, row := range [][2]string{{"AMT version", st.AMTVersion}, {"UUID", st.UUID}, {"state", st.ProvState}, {"control mode", st.ControlMode}, {"TLS mode", st.TLSMode},
		{"remote config", st.RemoteConfig}, {"PID", st.PID}, {"suffix", st.Suffix}, {"address", st.Address}, {"MAC", st.MAC}, {"BIOS", st.BIOS}} {
		if row[1] != "" {
			fmt.Fprintf(&b, "%-15s%s\n", row[0], row[1])
		}
	}
	for _, w := range st.Why {
		fmt.Fprintf(&b, "%-15s%s\n", "because", w)
	}
	for _, a := range st.Ask {
		fmt.Fprintf(&b, "%-15s%s\n", "find out", a)
	}
	if asked {
		printProblems(&b, "problem", st.Problems)
	}
	printProblems(&b, "note", slices.Clone(st.Notes))
	_, err := io.WriteString(out, b.String())
	return err
}
