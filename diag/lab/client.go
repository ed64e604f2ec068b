package lab

import (
	"fmt"
	"reflect"
	"strings"

	"amtmedic/diag"
	"amtmedic/diag/flow"
	"amtmedic/diag/probe"
)

// amtVersion is the firmware of the simulated PC.
const amtVersion = "3.2.1"

// Client gives the simulated PC.
func (w *World) Client() flow.Client { return pc{w} }

// pc is the simulated PC as a person stands before it.
type pc struct{ w *World }

// Drain cuts the power, keeps the button pressed, and plugs it in again.
func (c pc) Drain() { c.w.pc.drain() }

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
	"client.server_override": true, "client.suffix": true, "client.ip_mode": true, "client.pid": true,
	"client.amt_version": true, "client.uuid": true, "client.nic": true, "client.wlan": true, "client.keyed_by": true,
	"client.usb_tried": true, "client.sku": true, "client.me_addr": true, "client.control_mode": true,
}

// see gives what can be seen of the PC now, by key: its switches, its screens, and what the person
// knows who brought it here.
func (c pc) see() map[string]any {
	m := c.w.pc
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := map[string]any{
		"case.method": "psk", "case.expects_setup": true, "client.usb_tried": false, "client.sku": "amt",
		"client.nic": "onboard-up", "client.wlan": diag.None, "client.amt_version": amtVersion, "client.uuid": m.uuid.String(),
		"client.enabled": m.enabled, "client.enable_kind": "enabled",
	}
	if !m.enabled {
		seen["client.enable_kind"] = "bios-disabled"
		return seen // nothing else opens
	}
	seen["client.mebx_password"] = [...]string{mebxFactory: "factory", mebxChanged: "changed", mebxLocked: "rejected"}[m.mebx]
	seen["client.prov_state"], seen["client.control_mode"] = "pre", "none" // by the local tool
	if m.pair.PID != "" {
		seen["client.prov_state"], seen["client.keyed_by"] = "in", m.keyedBy
	}
	l := m.net.current()
	seen["client.suffix"] = l.suffix
	if l.addr.IsValid() {
		seen["client.ip_mode"], seen["client.me_addr"] = "dhcp-lease", l.addr.String()
	} else {
		seen["client.ip_mode"], seen["client.me_addr"] = diag.None, diag.None
	}
	if m.mebx == mebxLocked {
		return seen
	}
	seen["client.rcfg_enabled"], seen["client.model"], seen["client.setup_data"] = false, "enterprise", diag.None
	if m.pair.PID != "" {
		seen["client.setup_data"], seen["client.pid"] = "pid", string(m.pair.PID)
	}
	seen["client.server_override"] = diag.None
	if m.override != "" {
		seen["client.server_override"] = m.override
	}
	return seen
}

// Answer looks the answer up on the PC: the option all of whose facts can be seen there, else the
// text for the field. It never looks at the fault.
func (c pc) Answer(q probe.Question) (option int, text string, ok bool) {
	seen := c.see()
	for i, o := range q.Options {
		fits := len(o.Facts) > 0
		for _, f := range o.Facts {
			fits = fits && same(f, seen[f.Key])
		}
		if fits {
			return i, "", true
		}
	}
	v, known := seen[q.ID]
	if s, isText := v.(string); known && isText && q.Field != nil && s != "" && s != diag.None {
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

// Screen gives what stands on the PC's screen: the BIOS while AMT is off, else the MEBx.
func (c pc) Screen() []string {
	seen := c.see()
	text := func(key string) string { s, _ := seen[key].(string); return s }
	if seen["client.enabled"] == false {
		return []string{
			"BIOS setup",
			"",
			row("Manageability (AMT)", "[Disabled]"),
			row("Network adapter", "on board, link up"),
			row("System UUID", ""),
			"  " + text("client.uuid"),
			"",
			"Ctrl+P at start-up opens nothing.",
		}
	}
	if text("client.mebx_password") == "rejected" {
		return []string{
			"MEBx  AMT " + amtVersion,
			"",
			row("Log-in with admin", "refused"),
			row("Log-in with your own", "refused"),
			"",
			row("System UUID", ""),
			"  " + text("client.uuid"),
		}
	}
	password, prepared, server, suffix := "admin is accepted", "-", "-", "-"
	if text("client.mebx_password") == "changed" {
		password = "admin refused, own accepted"
	}
	if p := text("client.pid"); p != "" {
		prepared = p[:4] + "-" + p[4:]
	}
	if s := text("client.server_override"); s != diag.None {
		server = s
	}
	if s := text("client.suffix"); s != "" {
		suffix = s
	}
	return []string{
		"MEBx  AMT " + amtVersion,
		"",
		row("Log-in", password),
		row("Manageability", "AMT, Enterprise"),
		row("State", text("client.prov_state")),
		row("TLS-PSK: PID", prepared),
		row("TLS-PKI", "off"),
		row("Provisioning server", server),
		row("Address", text("client.me_addr")+" (DHCP)"),
		row("Domain", suffix),
		row("System UUID", ""),
		"  " + text("client.uuid"),
	}
}

func row(label, value string) string {
	return strings.TrimRight(fmt.Sprintf("%-21s %s", label, value), " ")
}
