package lab

import (
	"reflect"

	"amtmedic/amt"
	"amtmedic/amt/sim"
	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
)

// Client gives the simulated PC.
func (w *World) Client() flow.Client { return w.pc }

// Drain cuts the power, keeps the button pressed, and plugs it in again.
func (m *machine) Drain() { m.drain() }

// Questions lists what a person can be asked who stands before the simulated PC.
func (w *World) Questions(*diag.View) []probe.Question {
	var out []probe.Question
	for _, q := range probe.Questions() {
		if askable[q.ID] {
			out = append(out, q)
		}
	}
	return out
}

// askable are the questions that the simulated PC, or the person who set it up, can answer. The
// rest is measured.
var askable = map[string]bool{
	"case.method": true, "case.expects_setup": true, "client.enable_kind": true, "client.prov_state": true,
	"client.mebx_password": true, "client.rcfg_enabled": true, "client.setup_data": true, "client.model": true,
	"client.network_access": true, "client.server_override": true, "client.suffix": true, "client.ip_mode": true,
	"client.pid": true, "client.amt_version": true, "client.uuid": true, "client.nic": true, "client.wlan": true,
	"client.keyed_by": true, "client.usb_tried": true, "client.sku": true, "client.me_addr": true, "client.control_mode": true,
}

// mebxTakes gives what the person finds out with the passwords known here, and the screen behind
// the log-in if one is taken.
func (m *machine) mebxTakes() (word string, s sim.Screen) {
	x := m.MEBx()
	word = "rejected"
	for _, try := range []struct {
		word     string
		password amt.Secret
	}{{"factory", amt.NewSecret(sim.FactoryPassword)}, {"changed", m.own}} {
		if x.Login(try.password) == nil {
			word = try.word
			break
		}
	}
	s, _ = x.Screen() // empty when nobody is logged in
	return word, s
}

// see gives what can be seen of the PC now, by key: its switches, its screens, what a local tool
// says, and what the person knows who brought it here.
func (m *machine) see() map[string]any {
	s := m.State()
	seen := map[string]any{
		"case.method": m.method, "case.expects_setup": true, "client.usb_tried": s.PID != "" && m.keyed() == "usb", "client.sku": "amt",
		"client.nic": m.plugged(), "client.wlan": diag.None, "client.amt_version": s.Version.String(), "client.uuid": s.UUID.String(),
		"client.enabled": s.Enabled, "client.enable_kind": "enabled",
	}
	if s.PID != "" {
		seen["client.keyed_by"] = m.keyed()
	}
	if !s.Enabled {
		seen["client.enable_kind"] = "bios-disabled"
		return seen // the MEBx does not open, and no tool gets an answer
	}
	seen["client.prov_state"], seen["client.control_mode"] = s.Provisioning, "none"
	seen["client.suffix"], seen["client.ip_mode"], seen["client.me_addr"] = s.Suffix, string(s.Lease.Mode), diag.None
	if s.Lease.Address.IsValid() {
		seen["client.me_addr"] = s.Lease.Address.String()
	}
	word, screen := m.mebxTakes()
	seen["client.mebx_password"] = word
	if word == "rejected" {
		return seen
	}
	seen["client.rcfg_enabled"], seen["client.model"], seen["client.setup_data"] = screen.RemoteConfiguration, screen.Model, screen.SetupData
	seen["client.network_access"], seen["client.server_override"] = screen.NetworkAccess, diag.None
	if screen.PID != "" {
		seen["client.pid"] = screen.PID
	}
	if screen.ServerOverride != "" {
		seen["client.server_override"] = screen.ServerOverride
	}
	return seen
}

// Answer looks the answer up on the PC: the option all of whose facts can be seen there, else the
// text for the field.
func (m *machine) Answer(q probe.Question) (option int, text string, ok bool) {
	seen := m.see()
	for i, o := range q.Options {
		fits := len(o.Facts) > 0
		for _, f := range o.Facts {
			fits = fits && same(f, seen[f.Key])
		}
		if fits {
			return i, "", true
		}
	}
	if s, isText := seen[q.ID].(string); isText && q.Field != nil && s != "" && s != diag.None {
		return -1, s, true
	}
	return -1, "", false
}

// same compares in the normal form of the key.
func same(f diag.Fact, value any) bool {
	if value == nil {
		return false
	}
	a, errA := diag.Make(diag.Fact{Key: f.Key, Value: f.Value})
	b, errB := diag.Make(diag.Fact{Key: f.Key, Value: value})
	return errA == nil && errB == nil && reflect.DeepEqual(a.Value, b.Value)
}
