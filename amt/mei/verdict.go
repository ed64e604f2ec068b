package mei

import (
	"fmt"

	"amtmedic/amt"
)

// Verdict is what the answers say about the client's mode.
type Verdict struct {
	// Mode is the client's, empty when several fit or none can be told.
	Mode amt.Mode
	// Fits lists the modes that the answers leave, in their order; empty when AMT may not be there at all.
	Fits []amt.Mode
	// NoAMT is that the firmware says that it has no AMT. MaybeNoAMT is that "no AMT" and mode 1 fit both.
	NoAMT, MaybeNoAMT bool
	Text              string   // in a sentence
	Why               []string // answers that it rests on
	Ask               []Ask    // what would tell the modes in Fits apart
	Doubt             string   // what in it has a weak source, empty when nothing has
}

// Ask is evidence that only a person can get.
type Ask struct{ What, How string }

// The questions that the firmware cannot answer (local-mei 3.4).
var (
	askPassword = Ask{"which password MEBx takes", "restart, press Ctrl+P, try admin: taken and a new one is asked for is mode 2, refused is mode 3. Leave without setting one: a new password ends the factory state, and with it the USB key"}
	askBIOS     = Ask{"whether AMT can be switched on", "look in the BIOS for AMT, ME or manageability, and for the Ctrl+P prompt at power-on"}
	askCapture  = Ask{"whether hellos leave", "record the client's port to 9971 for more than an hour: amtmedic capture live. Hellos are sent hourly at last, so a shorter silence proves nothing. Or amtmedic mei restart-hello: refused means that the window is open, accepted that it had ended; it changes the client"}
	askHello    = Ask{"which kind of hello leaves", "amtmedic capture live: version 2 is PID and PPS, version 3 Remote Configuration"}
	askAgain    = Ask{"the answers that were missing", "ask again in a minute; after that power off, unplug, wait 15 s, and ask again"}
)

// Judge says which modes fit what the firmware told (local-mei 3.2). It never takes a missing answer for one.
func (s *State) Judge() Verdict {
	switch on, why := s.on(); {
	case s.NoClient && s.incapable():
		return Verdict{NoAMT: true, Text: "the firmware has no AMT", Why: []string{"it has no AMT client", fmt.Sprintf("its capabilities lack AMT (0x%08x)", *s.Capable)}, Ask: []Ask{askBIOS}}
	case on == no:
		return Verdict{Mode: amt.ModeDisabled, Fits: []amt.Mode{amt.ModeDisabled}, Text: "AMT is switched off", Why: []string{why}}
	case s.NoClient:
		return Verdict{MaybeNoAMT: true, Fits: []amt.Mode{amt.ModeDisabled}, Text: "no AMT, or AMT switched off: the firmware does not let these two be told apart",
			Why: []string{"it has no AMT client, and does not say what it is capable of"}, Ask: []Ask{askBIOS}}
	}
	if s.Prov == nil {
		return Verdict{Text: "the firmware does not tell its provisioning state", Ask: []Ask{askAgain}}
	}
	v := Verdict{Why: []string{"provisioning state " + s.Prov.String()}}
	switch *s.Prov {
	case Pre:
		s.judgePre(&v)
	case In:
		s.judgeIn(&v)
	case Post:
		s.judgePost(&v)
	default:
		v.Text, v.Ask = fmt.Sprintf("the firmware gives %d for its provisioning state, which is none", *s.Prov), []Ask{askAgain}
	}
	if len(v.Fits) == 1 {
		v.Mode = v.Fits[0]
	}
	return v
}

type answer int

const (
	unknown answer = iota
	no
	yesItIs
)

// on says whether AMT is switched on, and what tells it.
func (s *State) on() (answer, string) {
	modern := s.modernLayout() && s.Capable != nil && s.Enabled != nil && *s.Capable&amtBit != 0
	switch {
	case s.Enablement != nil && s.Enablement.New && !s.Enablement.On:
		return no, fmt.Sprintf("the watchdog client says so (0x%02x)", s.Enablement.Raw)
	case s.SwitchedOff:
		return no, "its AMT client gives an empty answer"
	case s.Prov != nil: // it answers, so it is on, whatever the word of another client says
		return yesItIs, "its AMT client answers"
	case modern && *s.Enabled&amtBit == 0:
		return no, "the firmware is capable of AMT and says that it is not enabled"
	case s.Enablement != nil && s.Enablement.New:
		return yesItIs, fmt.Sprintf("the watchdog client says so (0x%02x)", s.Enablement.Raw)
	}
	return unknown, ""
}

// On says whether AMT is switched on; known is false when the firmware does not tell.
func (s *State) On() (on, known bool) {
	a, _ := s.on()
	return a == yesItIs, a != unknown
}

// incapable is a readable word of capabilities without AMT.
func (s *State) incapable() bool {
	return s.modernLayout() && s.Capable != nil && *s.Capable&amtBit == 0
}

// judgePre: setup has not begun, says the firmware. Clients with Remote Configuration may say so while they
// send hellos.
func (s *State) judgePre(v *Verdict) {
	remote := s.ZeroTouch == nil || *s.ZeroTouch
	if s.HashesRead && !s.activeHash() || !s.Version.IsZero() && !hasRemote(s.Version) {
		remote = false
	}
	switch {
	case s.AdminDefault != nil && !*s.AdminDefault:
		v.Fits, v.Text = []amt.Mode{amt.ModeChanged}, "not in Setup Mode, password changed"
		v.Why = append(v.Why, "the network administrator's password is not the factory's")
		v.Doubt = "that the command that tells of the password answers so has one source only"
	default:
		v.Fits, v.Text = []amt.Mode{amt.ModeFactory, amt.ModeChanged}, "not in Setup Mode; whether MEBx still has the factory's password cannot be told from here"
		v.Ask = append(v.Ask, askPassword)
		if s.AdminDefault != nil {
			v.Why = append(v.Why, "the network administrator's password is the factory's, which is a hint only: MEBx can have another one")
			v.Doubt = "mode 2 is likelier, on one weak source"
		}
	}
	if !remote {
		return
	}
	v.Fits = append(v.Fits, amt.ModePKI, amt.ModeSilent)
	v.Ask = append(v.Ask, askCapture)
	if s.ZeroTouch != nil {
		v.Why = append(v.Why, "Remote Configuration is on")
		v.Text += "; with Remote Configuration on it may say hello all the same"
	} else {
		v.Text += "; whether Remote Configuration is on was not told"
	}
}

// hasRemote reports whether a version knows Remote Configuration: 2.2, 2.6 and from 3.0 on.
func hasRemote(v amt.Version) bool {
	return v.AtLeast(3, 0) || v.Major() == 2 && (v.Minor() == 2 || v.Minor() >= 6)
}

func (s *State) activeHash() bool {
	for _, h := range s.Hashes {
		if h.Active {
			return true
		}
	}
	return false
}

// judgeIn: setup runs. Whether hellos are still sent no answer tells.
func (s *State) judgeIn(v *Verdict) {
	const silent = "; whether its hellos have ended (mode 6) cannot be told from here"
	v.Ask = []Ask{askCapture}
	mode := uint32(0)
	if s.TLSMode != nil {
		mode = *s.TLSMode
	}
	switch mode {
	case 1:
		v.Fits, v.Text = []amt.Mode{amt.ModePSK, amt.ModeSilent}, "in Setup Mode with PID and PPS"+silent
		v.Why = append(v.Why, "TLS mode PSK")
	case 2:
		v.Fits, v.Text = []amt.Mode{amt.ModePKI, amt.ModeSilent}, "in Setup Mode with Remote Configuration"+silent
		v.Why = append(v.Why, "TLS mode PKI")
	default:
		v.Fits, v.Text = []amt.Mode{amt.ModePSK, amt.ModePKI, amt.ModeSilent}, "in Setup Mode; neither the kind of its hellos nor whether they have ended can be told from here"
		v.Why, v.Ask = append(v.Why, "TLS mode not told"), []Ask{askHello, askCapture, askAgain}
	}
}

// judgePost: set up, and by what.
func (s *State) judgePost(v *Verdict) {
	if s.ProvMode != nil && *s.ProvMode == 2 {
		v.Fits, v.Text = []amt.Mode{amt.ModeSMB}, "set up, Small Business"
		v.Why = append(v.Why, "provisioning mode Small Business")
		return
	}
	v.Fits, v.Text = []amt.Mode{amt.ModeProvisioned}, "provisioned"
	if s.Control != nil && (*s.Control == 1 || *s.Control == 2) {
		w := s.ControlWord()
		v.Text += ", " + w + " control mode"
		v.Why = append(v.Why, "control mode "+w)
	}
}

// ControlWord gives none, client or admin; empty when the firmware does not tell.
func (s *State) ControlWord() string {
	if s.Control == nil || *s.Control > 2 {
		return ""
	}
	return word(*s.Control, "none", "client", "admin")
}

// Product gives amt, standard or none as the firmware announces it; empty when it does not, or when its words
// are of a layout that is not known for sure.
func (s *State) Product() string {
	switch {
	case !s.modernLayout():
		return ""
	case s.Platform != nil && Brand(*s.Platform) == "amt", s.Platform != nil && Brand(*s.Platform) == "standard":
		return Brand(*s.Platform)
	case s.NoClient && s.incapable():
		return "none"
	}
	return ""
}
