// Package amt holds the words of the field: the identity of a client, its mode, its version, the
// way it is set up, and secrets that cannot be printed. It does no input or output.
package amt

import (
	"fmt"
	"strings"
)

// HelloPort is the TCP port of the setup server that hellos go to unless MEBx or a USB record
// names another (provisioning-protocol 1.1).
const HelloPort = 9971

// HelloSourcePort is the port that a client is reported to send hellos from. One source only:
// it confirms, it never filters.
const HelloSourcePort = 16994

// ServerName is the simple name that clients look up by default.
const ServerName = "ProvisionServer"

// Method is the way in which client and server authenticate each other during setup.
type Method string

// The two methods of setup with hellos.
const (
	PSK Method = "psk" // a shared PID/PPS pair
	PKI Method = "pki" // Remote Configuration with a certificate
)

// Mode is one of the six modes of a client, or provisioned, or smb.
type Mode string

// The modes of the field, by the numbers that the part 1 article gives them.
const (
	ModeDisabled    Mode = "1" // AMT disabled
	ModeFactory     Mode = "2" // enabled, not in Setup Mode, factory default
	ModeChanged     Mode = "3" // enabled, not in Setup Mode, MEBx password changed
	ModePSK         Mode = "4" // Setup Mode, TLS-PSK
	ModePKI         Mode = "5" // Setup Mode, Remote Configuration
	ModeSilent      Mode = "6" // 4 or 5 with the sending of hellos ended
	ModeProvisioned Mode = "provisioned"
	ModeSMB         Mode = "smb" // Small Business: no server needed, sends no hello
)

// Words gives the mode as a sentence part for a screen.
func (m Mode) Words() string {
	switch m {
	case ModeDisabled:
		return "AMT disabled"
	case ModeFactory:
		return "not in Setup Mode, factory default"
	case ModeChanged:
		return "not in Setup Mode, MEBx password changed"
	case ModePSK:
		return "Setup Mode, TLS-PSK"
	case ModePKI:
		return "Setup Mode, Remote Configuration"
	case ModeSilent:
		return "Setup Mode, hellos ended"
	case ModeProvisioned:
		return "provisioned"
	case ModeSMB:
		return "Small Business mode"
	}
	return "not known"
}

// PID is the public 8-character provisioning ID of a PID/PPS pair, upper case, without the dash.
type PID string

// ParsePID reads a PID with or without its dash, in either case. It does not judge the check
// character; package keys does.
func ParsePID(s string) (PID, error) {
	p := strings.ToUpper(strings.ReplaceAll(strings.TrimSpace(s), "-", ""))
	if len(p) != 8 {
		return "", fmt.Errorf("a PID has 8 characters (XXXX-XXXX), not %d", len(p)) // it may be a PPS: not quoted
	}
	for i, c := range p {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return "", fmt.Errorf("a PID has the characters A-Z and 0-9, character %d of %q is %q", i+1, s, c)
		}
	}
	return PID(p), nil
}

// Dashed gives the form that people read: XXXX-XXXX.
func (p PID) Dashed() string {
	if len(p) != 8 {
		return string(p)
	}
	return string(p[:4]) + "-" + string(p[4:])
}
