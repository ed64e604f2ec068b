package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strconv"

	"amtmedic/amt/mei"
	"amtmedic/diag"
)

// ME says how the Management Engine of this computer is asked.
type ME struct {
	Dial mei.Dialer
	// Said gives what is known of a key so far; nil: nothing is. What a person said and the firmware denies is shown.
	Said func(key string) (diag.Fact, bool)
}

// ManagementEngine gives the probe that asks the firmware of this computer, which must be the client itself.
// It changes nothing, and never reads the local system account. It gives what was told; the mode is the
// checks' to find. That no device is there never says that there is no AMT: the value no-me leads to the BIOS.
func ManagementEngine(m ME) Probe {
	return Probe{ID: "mei", Check: "chk-mei", What: "ask the Management Engine of this computer", Cost: Read, Limit: mei.LookLimit,
		Gives: []string{"client.mei", "client.enabled", "client.enable_kind", "client.sku", "client.amt_version", "client.uuid", "client.prov_state", "client.control_mode",
			"client.model", "client.rcfg_enabled", "client.setup_data", "client.suffix", "client.server_override", "client.hashes", "client.ip_mode", "client.me_addr", "client.nic", "client.cira"},
		Run: func(ctx context.Context, r Report) error {
			s, err := mei.Look(ctx, m.Dial)
			if err != nil && ctx.Err() != nil {
				return ctx.Err()
			}
			facts, ok := reachFacts(s, err)
			for _, f := range append(facts, stateFacts(s)...) {
				m.report(f, r)
			}
			if !ok {
				return err
			}
			if err == nil {
				v := s.Judge()
				r.Saw("Management Engine: " + v.Text)
				for _, a := range v.Ask {
					r.Saw("it cannot tell " + a.What)
				}
			}
			return nil
		}}
}

// report gives a fact. Where a person said something else, both stay, and the new one says so.
func (m ME) report(f diag.Fact, r Report) {
	f.Vantage = diag.AtClient
	if m.Said != nil {
		if old, ok := m.Said(f.Key); ok && old.Probe == "person" {
			made, err := diag.Make(f)
			if err == nil && !reflect.DeepEqual(made.Value, old.Value) {
				text := fmt.Sprintf("%s: the firmware says %v, a person said %v", f.Key, made.Value, old.Value)
				f.Evidence = append(f.Evidence, text)
				r.Saw(text)
			}
		}
	}
	r.Fact(f)
}

// reachFacts says whether the firmware could be asked. ok is false for an error that says nothing of that.
func reachFacts(s *mei.State, err error) (facts []diag.Fact, ok bool) {
	value := "ok"
	switch on, known := s.On(); {
	case err == nil && s.NoClient && (!known || on):
		value = "no-me" // none, or AMT without a client because it is off: the BIOS tells
	case err == nil:
	case errors.Is(err, mei.ErrNoDriver):
		value = "no-driver"
	case errors.Is(err, mei.ErrDenied):
		value = "denied"
	case errors.Is(err, mei.ErrNoME):
		value = "no-me"
	case errors.Is(err, mei.ErrBusy), errors.Is(err, mei.ErrReset), errors.Is(err, mei.ErrNotConnected), errors.Is(err, context.DeadlineExceeded):
		value = "not-ready"
	default:
		return nil, false
	}
	f := diag.Fact{Key: "client.mei", Value: value}
	if err != nil {
		f.Evidence = diag.Evidence{err.Error()}
	}
	return []diag.Fact{f}, true
}

// factList gathers facts with what they rest on.
type factList []diag.Fact

func (l *factList) add(key string, value any, from string) {
	*l = append(*l, diag.Fact{Key: key, Value: value, Evidence: diag.Evidence{from}})
}

// stateFacts turns what was told into facts. What rests on a command with one weak source (the PID, whether the
// administrator's password is the factory's) is left out: a check would take it for certain.
func stateFacts(s *mei.State) []diag.Fact {
	var out factList
	if on, known := s.On(); known {
		out.add("client.enabled", on, "Management Engine")
		switch {
		case on:
			out.add("client.enable_kind", "enabled", "Management Engine")
		case s.Enablement != nil && s.Enablement.New && s.Enablement.Allowed:
			out.add("client.enable_kind", "soft-disabled", fmt.Sprintf("watchdog client: 0x%02x", s.Enablement.Raw))
		}
	}
	if p := s.Product(); p != "" {
		out.add("client.sku", p, "MKHI client: platform type, capabilities")
	}
	if !s.Version.IsZero() {
		out.add("client.amt_version", s.Version.String(), mei.GetCodeVersions.String())
	}
	if !s.UUID.IsZero() {
		out.add("client.uuid", s.UUID.String(), mei.GetUUID.String())
	}
	setupFacts(s, &out)
	networkFacts(s, &out)
	return out
}

func setupFacts(s *mei.State, out *factList) {
	if s.Prov != nil && *s.Prov <= mei.Post {
		out.add("client.prov_state", s.Prov.String(), mei.GetProvisioningState.String())
		if *s.Prov == mei.In && s.TLSMode != nil && (*s.TLSMode == 1 || *s.TLSMode == 2) {
			out.add("client.setup_data", map[uint32]string{1: "pid", 2: "rcfg"}[*s.TLSMode], mei.GetTLSMode.String())
		}
	}
	if s.Control != nil && *s.Control <= 2 {
		out.add("client.control_mode", []string{"none", "ccm", "acm"}[*s.Control], mei.GetControlMode.String())
	}
	if s.ProvMode != nil && (*s.ProvMode == 1 || *s.ProvMode == 2) {
		out.add("client.model", map[uint32]string{1: "enterprise", 2: "smb"}[*s.ProvMode], mei.GetProvisioningMode.String())
	}
	if s.ZeroTouch != nil {
		out.add("client.rcfg_enabled", *s.ZeroTouch, mei.GetZeroTouch.String())
	}
	if s.HashesRead {
		list := []any{}
		for _, h := range s.Hashes {
			if h.Active {
				list = append(list, map[string]any{"algorithm": helloAlgorithm(h.Algorithm), "digest": h.Digest})
			}
		}
		out.add("client.hashes", list, mei.ListHashes.String())
	}
}

// helloAlgorithm gives the word that facts have for an algorithm: those of hellos, and a number for the others.
func helloAlgorithm(a string) string {
	if n, other := map[string]string{"md5": "unknown-0", "sha512": "unknown-3"}[a]; other {
		return n
	}
	return a
}

func networkFacts(s *mei.State, out *factList) {
	if s.Suffix != nil && *s.Suffix != "" { // an empty one says nothing of the name that came with the lease
		out.add("client.suffix", *s.Suffix, mei.GetSuffix.String())
	}
	if c := s.Server; c != nil {
		out.add("client.server_override", override(*c), mei.GetConfigServer.String())
	}
	if l := s.Wired; l != nil && l.Enabled {
		mode, addr := "none", diag.None
		if l.Address.IsValid() {
			mode, addr = map[bool]string{true: "dhcp-lease", false: "static"}[l.DHCP], l.Address.String()
		}
		out.add("client.ip_mode", mode, mei.GetLAN.String())
		out.add("client.me_addr", addr, mei.GetLAN.String())
		if l.Link { // a link that is down may be another one in use: a person sees that
			out.add("client.nic", "onboard-up", mei.GetLAN.String())
		}
	}
	if t := s.Tunnel; t != nil && t.State != "unknown" && t.State != "" {
		v := map[string]any{"state": map[string]string{"not-connected": "off", "connecting": "connecting", "connected": "connected"}[t.State],
			"network": map[string]string{"direct": "inside", "outside": "outside"}[t.Network]}
		if v["network"] == "" {
			delete(v, "network")
		}
		if t.Server != "" {
			v["server"] = t.Server
		}
		out.add("client.cira", v, mei.GetRemoteAccess.String())
	}
}

// override is the server that is stored, none when the fields are empty.
func override(c mei.ConfigServer) string {
	switch {
	case c.FQDN != "":
		return c.FQDN
	case c.Address == "" || c.Address == "0.0.0.0" || c.Address == "::":
		return diag.None
	case c.Port == 0:
		return c.Address
	}
	return net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port)))
}
