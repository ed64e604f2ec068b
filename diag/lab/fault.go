package lab

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"

	"amtmedic/amt"
	"amtmedic/diag"
)

// Fault is one way in which a world can be broken, named by the cause that it should lead to.
type Fault struct {
	ID        string `json:"id"`
	Text      string `json:"text"`
	Available bool   `json:"available"`
	Needs     string `json:"needs"` // what is missing here; empty when available
}

// None names the healthy world. NonePKI is the one whose client is set up by certificate; beside faults
// it says that theirs is.
const (
	None    = "none"
	NonePKI = "none-pki"
)

// fault breaks one thing of a healthy world.
type fault struct {
	id, text string
	part     string     // what it breaks: two faults of one part cannot both be built
	method   amt.Method // of the clients that can have it; empty: any
	breaks   func(*plan)
	works    bool          // it shows in the session that the core opens
	needs    func() string // nil: it can be built everywhere
}

// faults lists what can be broken, in the order of the road.
var faults = []fault{
	{id: "rc-amt-disabled", text: "AMT is switched off in the BIOS", part: "setup", breaks: func(p *plan) { p.enabled = false }},
	{id: "rc-not-in-setup-factory", method: amt.PSK, text: "nobody has prepared the client: it is as it came from the factory", part: "setup",
		breaks: func(p *plan) { p.prepared, p.mebx = false, mebxFactory }},
	{id: "rc-not-in-setup-pw-changed", method: amt.PSK, text: "the MEBx password was changed, PID and PPS were not entered", part: "setup",
		breaks: func(p *plan) { p.prepared, p.mebx = false, mebxChanged }},
	{id: "rc-mebx-lockout", method: amt.PSK, text: "nobody knows the MEBx password", part: "setup",
		breaks: func(p *plan) { p.prepared, p.mebx = false, mebxLocked }},
	{id: "rc-hello-expired", text: "the client has sent hellos for its whole window and fell silent", part: "setup",
		breaks: func(p *plan) { p.expired = true }},
	{id: "rc-already-provisioned", method: amt.PSK, text: "another server has provisioned the client", part: "setup",
		breaks: func(p *plan) { p.foreign = true }},
	{id: "rc-wrong-nic", text: "the cable is in a USB adapter, not in AMT's own port", part: "lease",
		breaks: func(p *plan) { p.adapter = true }},
	{id: "rc-client-no-dhcp", text: "DHCP gives the client no address", part: "lease",
		breaks: func(p *plan) { p.unleased = true }},
	{id: "rc-no-dns-suffix", text: "DHCP gives the client no domain name (option 15)", part: "lease",
		breaks: func(p *plan) { p.suffix = "" }},
	{id: "rc-mebx-server-override", text: "an address that is no provisioning server is stored in the MEBx", part: "target",
		breaks: func(p *plan) { p.wrongServer = true }},
	{id: "rc-dns-no-record", text: "there is no DNS record for ProvisionServer", part: "record",
		breaks: func(p *plan) { p.target = "" }},
	{id: "rc-dns-wrong-suffix", text: "the record for ProvisionServer stands in another zone than the client's", part: "record",
		breaks: func(p *plan) { p.zone = p.id.domain }},
	{id: "rc-dns-wrong-target", text: "the record for ProvisionServer leads to the server before the last", part: "record",
		breaks: func(p *plan) { p.target = p.oldServer() }},
	{id: "rc-dns-split-horizon", text: "the client's name server does not know the record that the server's has", part: "record",
		breaks: func(p *plan) { p.split = true }},
	{id: "rc-dns-cname-dangling", text: "the CNAME for ProvisionServer leads to a name without an address", part: "record",
		breaks: func(p *plan) { p.target = "scs-new." + p.id.domain }},
	{id: "rc-dns-unreachable", text: "the client's name server does not answer", part: "resolver",
		breaks: func(p *plan) { p.mute = true }},
	{id: "rc-fw-9971-blocked", text: "a packet filter between client and server drops port 9971", part: "path", needs: namespacesNeed,
		breaks: func(p *plan) { p.blocked = true }},
	{id: "rc-server-fw-9971", text: "the server's own packet filter drops port 9971", part: "path", needs: namespacesNeed,
		breaks: func(p *plan) { p.guarded = true }},
	{id: "rc-amtconfig-stopped", text: "the provisioning service is stopped: nobody listens on port 9971", part: "service",
		breaks: func(p *plan) { p.running = false }},
	{id: "rc-port-mismatch", text: "the provisioning service listens on another port", part: "service",
		breaks: func(p *plan) { p.port = amt.HelloPort + 1 }},
	{id: "rc-pid-unknown", method: amt.PSK, text: "the server has no key for the client's PID", part: "pid",
		breaks: func(p *plan) { p.known, p.keyedBy, p.oemKeys = p.id.spare, "oem", true }},
	{id: "rc-pid-mistyped", method: amt.PSK, text: "the PID was mistyped so that its check character still fits", part: "pid", breaks: (*plan).mistyped},
	{id: "rc-pps-mismatch", method: amt.PSK, text: "the server has another PPS for the client's PID", part: "pid", works: true,
		breaks: func(p *plan) { p.known[0].PPS = p.id.spare[0].PPS }},
	{id: "rc-rcfg-off-on-server", method: amt.PKI, text: "Remote Configuration is switched off in the server's settings", part: "allowed", works: true,
		breaks: func(p *plan) { p.set("rcfg_enabled", "false") }},
	{id: "rc-cert-missing", method: amt.PKI, text: "the server has no provisioning certificate", part: "certificate", works: true,
		breaks: func(p *plan) { p.cert.absent = true }},
	{id: "rc-cert-no-key", method: amt.PKI, text: "the private key of the provisioning certificate is on another machine", part: "certificate", works: true,
		breaks: func(p *plan) { p.cert.keyless = true }},
	{id: "rc-cert-no-oid", method: amt.PKI, text: "the authority made an ordinary server certificate, without the provisioning usage", part: "certificate", works: true,
		breaks: func(p *plan) { p.cert.ordinary = true }},
	{id: "rc-cert-expired", method: amt.PKI, text: "the time of the provisioning certificate has run out", part: "certificate", works: true,
		breaks: func(p *plan) { p.cert.over = true }},
	{id: "rc-cert-chain-incomplete", method: amt.PKI, text: "the authority between certificate and root is not installed on the server", part: "certificate", works: true,
		breaks: func(p *plan) { p.cert.unlinked = true }},
	{id: "rc-cert-hash-algorithm", method: amt.PKI, text: "the key of the certificate is too short for this firmware", part: "certificate", works: true,
		breaks: func(p *plan) { p.cert.weak, p.amt = true, newVersion }},
	{id: "rc-cert-hash-not-in-client", method: amt.PKI, text: "the firmware does not know the root of the certificate", part: "certificate", works: true,
		breaks: func(p *plan) { p.cert.foreign = true }},
	{id: "rc-cert-suffix-mismatch", method: amt.PKI, text: "the certificate is for another domain than the client's", part: "certificate", works: true,
		breaks: func(p *plan) { p.cert.elsewhere = "branch.example" }},
	{id: "rc-otp-mismatch", method: amt.PKI, text: "the client has lost the one-time password that the server compares", part: "otp", works: true,
		breaks: func(p *plan) { p.otp = p.id.spare[0].PPS }},
	{id: "rc-return-path-blocked", text: "the server cannot connect back to port 16993 of the client", part: "back", works: true,
		breaks: func(p *plan) { p.noBack = true }},
	{id: "rc-admin-password-mismatch", method: amt.PSK, text: "the server has another administrator password than the client", part: "admin", works: true,
		breaks: func(p *plan) { p.admin = p.id.lost }},
	{id: "rc-uuid-byte-order", text: "the UUID map has the client's UUID in the other byte order", part: "map", works: true,
		breaks: func(p *plan) { p.mapped = p.mapped.Swapped() }},
	{id: "rc-uuid-not-allowed", text: "the server takes imported UUIDs only, and the client's is none", part: "map", works: true,
		breaks: func(p *plan) { p.mapped = amt.UUID{}; p.set("uuid_policy", "imported-only") }},
	{id: "rc-fqdn-unresolved", text: "nothing tells the server the client's name", part: "map",
		breaks: func(p *plan) { p.mapped, p.pointer = amt.UUID{}, false }},
	{id: "rc-no-profile", text: "no profile is assigned to the client, and the default one was renamed", part: "profile", works: true,
		breaks: func(p *plan) { p.set("default_profile", "retired") }},
	{id: "rc-script-missing", text: "the properties script was moved, and the service calls its old path", part: "script", needs: shellNeed, works: true,
		breaks: func(p *plan) { p.script = scriptLost }},
	{id: "rc-script-error", text: "the properties script fails: the list that it reads is not there", part: "script", needs: shellNeed, works: true,
		breaks: func(p *plan) { p.script, p.nameless = scriptSound, true }},
	{id: "rc-ca-unavailable", text: "the profile wants mutual TLS, and the certificate authority does not answer", part: "profile", works: true,
		breaks: func(p *plan) { p.secured, p.authority = true, false }},
}

// namespacesNeed says what is missing for a packet filter; empty when nothing is.
func namespacesNeed() string { return needsNamespaces() }

// shellNeed says what is missing for a properties script; empty when nothing is.
func shellNeed() string {
	if _, err := exec.LookPath("/bin/sh"); err != nil {
		return "a shell, for the properties script"
	}
	return ""
}

// mistyped enters another PID than was meant.
func (p *plan) mistyped() {
	if pid, ok := mistype(p.pair.PID, rand.New(p.id.rand).IntN); ok {
		p.pair.PID = pid
	}
}

// List gives every fault in the order of the road, and whether it can be built here.
func List() []Fault {
	out := make([]Fault, len(faults))
	for i, f := range faults {
		out[i] = Fault{ID: f.id, Text: f.text, Available: true}
		if f.needs != nil {
			out[i].Needs = f.needs()
			out[i].Available = out[i].Needs == ""
		}
	}
	return out
}

// Near gives the ids that a person may have meant, nearest first, at most five.
func Near(id string) []string {
	id = strings.ToLower(strings.TrimSpace(id))
	type scored struct {
		id   string
		away int
	}
	var all []scored
	for _, f := range faults {
		away := diag.Misspelt(id, f.id)
		short := strings.TrimPrefix(f.id, "rc-")
		away = min(away, diag.Misspelt(strings.TrimPrefix(id, "rc-"), short))
		if id != "" && strings.Contains(short, strings.TrimPrefix(id, "rc-")) {
			away = min(away, 1)
		}
		for _, w := range strings.Split(strings.TrimPrefix(id, "rc-"), "-") {
			if len(w) > 2 && strings.Contains(short, w) {
				away--
			}
		}
		all = append(all, scored{f.id, away})
	}
	slices.SortStableFunc(all, func(a, b scored) int { return a.away - b.away })
	var out []string
	for _, s := range all[:5] {
		if len(out) == 0 || s.away <= max(all[0].away+2, len(id)/2) {
			out = append(out, s.id)
		}
	}
	return out
}

// UnknownFault says that there is no such fault.
type UnknownFault struct {
	ID   string
	Near []string
}

// Error names those that are near.
func (e *UnknownFault) Error() string {
	return fmt.Sprintf("there is no fault %q; near to it: %s", e.ID, strings.Join(e.Near, ", "))
}

// Unavailable says that a fault cannot be built here.
type Unavailable struct{ ID, Needs string }

// Error says what is missing.
func (e *Unavailable) Error() string {
	return fmt.Sprintf("%s cannot be built here: it needs %s", e.ID, e.Needs)
}

// Contradiction says that two faults break the same thing in different ways.
type Contradiction struct{ A, B string }

// Error names both.
func (e *Contradiction) Error() string {
	return fmt.Sprintf("%s and %s contradict each other: one world cannot have both", e.A, e.B)
}

// set notes a setting of the server that differs from its default.
func (p *plan) set(name, value string) {
	if p.config == nil {
		p.config = map[string]string{}
	}
	p.config[name] = value
}

// pick finds the faults of these ids, and the method of a client that can have them all. "none" names
// nothing; the same id twice counts once.
func pick(ids []string) (_ []fault, method amt.Method, _ error) {
	by := ""
	var out []fault
	for _, id := range ids {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.id == id })
		switch {
		case id == NonePKI && method == amt.PSK:
			return nil, "", &Contradiction{by, id}
		case id == NonePKI:
			method, by = amt.PKI, id
			continue
		case id == None, slices.ContainsFunc(out, func(f fault) bool { return f.id == id }):
			continue
		case i < 0:
			return nil, "", &UnknownFault{id, Near(id)}
		}
		f := faults[i]
		for _, o := range out {
			if o.part == f.part {
				return nil, "", &Contradiction{o.id, f.id}
			}
		}
		switch {
		case f.method == "":
		case method == "":
			method, by = f.method, f.id
		case method != f.method:
			return nil, "", &Contradiction{by, f.id}
		}
		out = append(out, f)
	}
	for _, f := range out {
		if f.needs == nil {
			continue
		}
		if n := f.needs(); n != "" {
			return nil, "", &Unavailable{f.id, n}
		}
	}
	slices.SortFunc(out, func(a, b fault) int { return order(a.id) - order(b.id) })
	return out, cmp.Or(method, amt.PSK), nil
}

func order(id string) int { return slices.IndexFunc(faults, func(f fault) bool { return f.id == id }) }
