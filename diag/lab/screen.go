package lab

import (
	"cmp"
	"fmt"
	"strings"
)

// Screen gives what stands on the PC's screen, at most 50 columns wide: the BIOS while AMT is off,
// else the MEBx with what the person knows about its password.
func (m *machine) Screen() []string {
	s := m.State()
	uuid := []string{field("System UUID", ""), "  " + s.UUID.String()}
	if !s.Enabled {
		return append([]string{"BIOS setup", "", field("Manageability (AMT)", "[Disabled]"), field("Network", "on board, link up")},
			append(uuid, "", "Ctrl+P at start-up opens nothing.")...)
	}
	word, screen := m.mebxTakes()
	if word == "rejected" {
		return append([]string{"MEBx  AMT " + s.Version.String(), "", field("Log-in with admin", "refused"),
			field("Log-in with our own", "refused")}, append([]string{""}, uuid...)...)
	}
	password := map[string]string{"factory": "admin accepted", "changed": "admin refused, ours accepted"}[word]
	psk, pki := "-", "off"
	if screen.PID != "" {
		psk = "PID " + screen.PID
	}
	if screen.RemoteConfiguration {
		pki = "on"
	}
	return append([]string{
		"MEBx  AMT " + screen.FirmwareVersion, "",
		field("Log-in", password),
		field("Provision model", screen.Model),
		field("State", screen.State),
		field("TLS-PSK", psk),
		field("TLS-PKI", pki),
		field("Stored server", cmp.Or(screen.ServerOverride, "-")),
		field("Address", strings.TrimPrefix(screen.Address+", "+screen.IPMode, ", ")),
		field("Domain", cmp.Or(screen.Suffix, "-")),
	}, uuid...)
}

func field(label, value string) string {
	return strings.TrimRight(fmt.Sprintf("%-20s %s", label, value), " ")
}
