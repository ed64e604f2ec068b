package mei

import (
	"context"
	"errors"
	"fmt"
	"time"

	"amtmedic/amt"
)

// State is what the Management Engine told when it was looked at. Nothing in it was changed by looking, and
// what it did not tell is nil or zero: an error of one question never stands for an answer.
type State struct {
	NoClient    bool // the firmware has no AMT client: no AMT, or it is switched off
	SwitchedOff bool // it has one, and that gives empty answers

	Enablement *Enablement
	Firmware   amt.Version // of the Management Engine
	Capable    *uint32     // words of the firmware's capabilities; see Layout
	Enabled    *uint32
	Platform   *uint32

	BIOS         string
	Version      amt.Version // of AMT
	Prov         *ProvState
	ProvMode     *uint32 // 0 none, 1 enterprise, 2 small business, 3 remote assistance
	Control      *uint32 // 0 none, 1 client, 2 admin
	TLSMode      *uint32 // 0 undecided, 1 PSK, 2 PKI
	ZeroTouch    *bool
	Random       *uint32
	PID          *amt.PID // empty: none is loaded. Weak source
	Suffix       *string
	Server       *ConfigServer
	Hashes       []Hash
	HashesRead   bool  // Hashes is the whole list
	AdminDefault *bool // the network administrator has the factory's password. Weak source
	UUID         amt.UUID
	Wired        *LAN
	Wireless     *LAN
	Tunnel       *RemoteAccess
	Security     *Security

	Unknown []Silence // questions without an answer
}

// Silence is a question that got no answer, and why.
type Silence struct {
	Question string
	Err      error
}

// modernLayout reports whether the words of capabilities have the layout of today. Where it changed is not
// known for sure; from version 6 on it has.
func (s *State) modernLayout() bool { return s.Firmware.AtLeast(6, 0) || s.Version.AtLeast(6, 0) }

// Look asks everything that can be asked without changing anything, in the order of local-mei 3.1. Its error
// is that of the way to the firmware (see Open); then State holds what other clients told, if any. A context
// that ends stops it.
func Look(ctx context.Context, dial Dialer) (*State, error) {
	s := &State{}
	werr := s.lookWatchdog(ctx, dial)
	if werr != nil && !errors.Is(werr, ErrNoClient) {
		var d *amt.Error
		if errors.As(werr, &d) && (errors.Is(werr, ErrNoDriver) || errors.Is(werr, ErrNoME) || errors.Is(werr, ErrDenied) || errors.Is(werr, ErrReset) || errors.Is(werr, ErrNotHere)) {
			return s, werr // the same for every client
		}
	}
	s.silent("is AMT switched on", werr)
	s.silent("firmware version and capabilities", s.lookMKHI(ctx, dial))
	h, err := DialHost(ctx, dial)
	if errors.Is(err, ErrNoClient) {
		s.NoClient = true
		return s, nil
	}
	if err != nil {
		return s, err
	}
	defer func() { _ = h.Close() }()
	err = s.lookHost(ctx, h)
	if ctx.Err() != nil {
		return s, ctx.Err()
	}
	return s, err
}

func (s *State) silent(question string, err error) {
	if err != nil {
		s.Unknown = append(s.Unknown, Silence{question, err})
	}
}

func (s *State) lookWatchdog(ctx context.Context, dial Dialer) error {
	link, err := dial(ctx, Watchdog)
	if err != nil {
		return err
	}
	defer func() { _ = link.Close() }()
	b, err := exchange(ctx, link, Short, askEnabled)
	if err != nil {
		return err
	}
	e, err := ReadEnablement(b)
	if err == nil {
		s.Enablement = &e
	}
	return err
}

// lookMKHI asks the dynamic client, and where that is missing the fixed one.
func (s *State) lookMKHI(ctx context.Context, dial Dialer) error {
	link, err := dial(ctx, MKHI)
	if errors.Is(err, ErrNoClient) {
		link, err = dial(ctx, MKHIFix)
	}
	if err != nil {
		return err
	}
	defer func() { _ = link.Close() }()
	b, err := exchange(ctx, link, Short, askFirmware)
	if err == nil {
		s.Firmware, err = ReadFirmware(b)
	}
	if lost(ctx, err) {
		return err
	}
	s.silent("firmware version", err)
	for _, q := range []struct {
		rule uint32
		to   **uint32
		what string
	}{{ruleCapable, &s.Capable, "what the firmware is capable of"}, {ruleEnabled, &s.Enabled, "what is switched on"}, {rulePlatform, &s.Platform, "which product it is"}} {
		b, err := exchange(ctx, link, Short, askRule(q.rule))
		if err == nil {
			var v uint32
			if v, err = ReadRule(q.rule, b); err == nil {
				*q.to = &v
			}
		}
		if lost(ctx, err) {
			return err
		}
		s.silent(q.what, err)
	}
	return nil
}

// lost reports whether nothing more can be asked on this connection: it ended, or an answer that is late may
// come in place of the next one.
func lost(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || Lost(err))
}

// Lost reports whether an error ends a connection: nothing more can be asked on it.
func Lost(err error) bool {
	return err != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrReset) || errors.Is(err, ErrNotConnected) || errors.Is(err, ErrClosed))
}

// lookHost asks AMT's host interface. Its error is the connection's, or that of the first question; the
// others only stay without an answer.
func (s *State) lookHost(ctx context.Context, h Host) error {
	v, err := ask(ctx, h, GetCodeVersions, ReadCodeVersions)
	switch {
	case errors.Is(err, ErrSwitchedOff):
		s.SwitchedOff = true
		return nil
	case lost(ctx, err):
		return fmt.Errorf("%s: %w", GetCodeVersions, err)
	}
	s.silent(GetCodeVersions.String(), err)
	s.BIOS, s.Version = v.BIOS, v.AMT()
	for _, q := range s.questions(ctx, h) {
		err := q.ask()
		if lost(ctx, err) {
			return fmt.Errorf("%s: %w", q.command, err)
		}
		s.silent(q.command.String(), err)
	}
	return nil
}

type question struct {
	command Command
	ask     func() error
}

// questions lists what the host interface is asked after its version.
func (s *State) questions(ctx context.Context, h Host) []question {
	return []question{
		{GetProvisioningState, func() error { return keep(&s.Prov)(h.State(ctx)) }},
		{GetProvisioningMode, func() error { return keep(&s.ProvMode)(h.Number(ctx, GetProvisioningMode)) }},
		{GetControlMode, func() error { return keep(&s.Control)(h.Number(ctx, GetControlMode)) }},
		{GetTLSMode, func() error { return keep(&s.TLSMode)(h.Number(ctx, GetTLSMode)) }},
		{GetZeroTouch, func() error { return keep(&s.ZeroTouch)(yes(h.Number(ctx, GetZeroTouch))) }},
		{GetRandom, func() error { return keep(&s.Random)(h.Number(ctx, GetRandom)) }},
		{GetPID, func() error { return keep(&s.PID)(ask(ctx, h, GetPID, ReadPID)) }},
		{GetSuffix, func() error {
			return keep(&s.Suffix)(ask(ctx, h, GetSuffix, func(b []byte) (string, error) { return ReadText(GetSuffix, b) }))
		}},
		{GetConfigServer, func() error { return keep(&s.Server)(ask(ctx, h, GetConfigServer, ReadConfigServer)) }},
		{ListHashes, func() (err error) {
			s.Hashes, err = h.Hashes(ctx)
			s.HashesRead = err == nil
			return err
		}},
		{GetAdminDefault, func() error { return keep(&s.AdminDefault)(yes(h.Number(ctx, GetAdminDefault))) }},
		{GetUUID, func() (err error) { s.UUID, err = h.UUID(ctx); return err }},
		{GetLAN, func() error { return keep(&s.Wired)(ask(ctx, h, GetLAN, ReadLAN, 0, 0, 0, 0)) }},
		{GetLAN, func() error { return keep(&s.Wireless)(ask(ctx, h, GetLAN, ReadLAN, 1, 0, 0, 0)) }},
		{GetRemoteAccess, func() error { return keep(&s.Tunnel)(h.Tunnel(ctx)) }},
		{GetSecurity, func() error { return keep(&s.Security)(ask(ctx, h, GetSecurity, ReadSecurity)) }},
	}
}

// keep stores an answer where there is one.
func keep[T any](to **T) func(T, error) error {
	return func(v T, err error) error {
		if err == nil {
			*to = &v
		}
		return err
	}
}

func yes(n uint32, err error) (bool, error) { return n != 0, err }

// LookLimit is more than Look takes with firmware that answers in time.
const LookLimit = time.Minute
