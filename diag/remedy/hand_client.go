package remedy

import (
	"fmt"
	"slices"
)

const openMEBx = "Restart the PC and press Ctrl+P at start-up: the MEBx opens."

// restartSteps is the power drain (R-drain). It comes last: a window that burns down again for the
// same reason is lost (R-hello-last).
func restartSteps(v *values) []string {
	return []string{
		"First see that every check behind the client is green: the time for hellos runs only once.",
		"Shut the PC down and unplug it. Of a notebook take the battery out as well, where it comes out.",
		"Press and hold the power button until its light has lit and faded.",
		"Plug it in again. It need not be switched on.",
		fmt.Sprintf("The first SYN to %s port %s is due within about a minute.", v.server, v.port),
	}
}

// resetSteps is the reset to factory default by the generation of the firmware (R-cmos).
func resetSteps(v *values) []string {
	const (
		battery = "unplug the PC, take the CMOS battery out for 15 s (minutes on some notebooks), put it back."
		ten     = "The maker may have switched this off; then its own reset counts."
		later   = "AMT 11 and later: the battery alone does not reset. Use the maker's way: a jumper, a BIOS item, or AMT off and on there. Dell from Skylake on: the RTC reset jumper."
	)
	steps := []string{"This loses configuration and keys of the client. Do it only when nothing harmless is left, and never for a fault at the server.",
		"Note the PID, the settings and the serial number first."}
	switch {
	case v.version.IsZero():
		steps = append(steps, "AMT 2 to 9: "+battery, "AMT 10: the same way. "+ten, later)
	case v.version.Major() < 10:
		steps = append(steps, "AMT 2 to 9: "+battery)
	case v.version.Major() == 10:
		steps = append(steps, "AMT 10: "+battery, ten)
	default:
		steps = append(steps, later)
	}
	return append(steps, openMEBx, "Log in with admin. If that is not accepted the reset did not happen: ask the maker, do not exchange the board.",
		"Set it up anew: One-Touch works again.")
}

func enterPairSteps(v *values) []string {
	return []string{openMEBx, "Log in; with admin it asks for a new password at once: note it.",
		"Go to the setup page, TLS-PSK, and enter PID and PPS. The dashes may be there already.",
		"The server must have the same pair: amtmedic keys generate --out FILE makes one, amtmedic keys import FILE stores it.",
		"The firmware checks the last character of each group; two that changed places pass it, so compare by eye.",
		"Leave the MEBx with save. The first hello is due within about a minute."}
}

func remoteConfigSteps(v *values) []string {
	steps := []string{openMEBx, "Log in; with admin it asks for a new password at once: note it.",
		"Go to the setup page, TLS-PKI, and switch Remote Configuration on.",
		"Leave the MEBx with save. The server needs a provisioning certificate that fits the suffix " + v.suffix + "."}
	if v.version.IsZero() {
		steps = append(steps, "AMT 2.0, 2.1 and 2.5 have no such entry: use a PID/PPS pair there.")
	}
	return steps
}

func oneTouchSteps(v *values) []string {
	return []string{"Put the key in while the PC is off, switch it on, and answer the question on the screen with Y.",
		"It works only while the MEBx password is still admin.",
		"Take the key out when the screen says so. Each record serves one PC."}
}

func writeKeySteps(v *values) []string {
	format := "1.0" // every version from AMT 2.0 on is made to read it
	switch {
	case v.version.IsZero():
	case v.version.AtLeast(6, 0):
		format = "3.0"
	case v.version.AtLeast(4, 0):
		format = "2.1"
	case v.version.AtLeast(3, 0):
		format = "2.0"
	}
	return slices.Concat([]string{"Make a pair: amtmedic keys generate --out keys.csv. On the server: amtmedic keys import keys.csv.",
		"Make the file: amtmedic setupbin write --version " + format + " --keys keys.csv --out setup.bin",
		"Make the key, above 16 MB and of at most 2 GB: amtmedic usbkey prepare DEVICE --file setup.bin. Everything on it is lost."},
		inspectKey(v), oneTouchSteps(v))
}

// inspectKey looks at a key for the client's version.
func inspectKey(v *values) []string {
	step := "Look at the result: amtmedic usbkey inspect DEVICE"
	if !v.version.IsZero() {
		step += " --amt-version " + v.version.String()
	}
	return []string{step}
}

func partialSteps(v *values) []string {
	return []string{"This clears the configuration; PID, PPS and the administrator stay.", openMEBx,
		"Unconfigure network access, partial unprovision.", "Leave the MEBx. The time for hellos begins anew."}
}

func fullSteps(v *values) []string {
	return []string{"This also erases PID and PPS, added hashes, the stored server and, below AMT 12, the suffix. The MEBx password stays.", openMEBx,
		"Unconfigure network access, full unprovision.", "The client is then not in Setup Mode: enter a pair, or switch Remote Configuration on."}
}

func renewSteps(v *values) []string {
	return []string{"While the PC is on and the cable is in: ipconfig /release and ipconfig /renew, or dhclient -r and dhclient.",
		"The firmware listens to the lease of the system. Then look at its suffix again: MEBx, TCP/IP settings, or a local AMT tool."}
}

// option15 gives the commands for a DHCP option on the usual servers.
func option(number int, isc, dnsmasq, windows string) []string {
	return []string{fmt.Sprintf("DHCP option %d in the client's scope.", number),
		"ISC dhcpd: " + isc, "dnsmasq: " + dnsmasq, "Windows DHCP, PowerShell: " + windows,
		"Then let the client take a new lease: replug its cable, or ipconfig /renew."}
}

func option15(v *values) []string {
	return option(15, fmt.Sprintf("option domain-name %q;", v.suffix), fmt.Sprintf("dhcp-option=15,%s", v.suffix),
		"Set-DhcpServerv4OptionValue -ScopeId SCOPE -DnsDomain "+v.suffix)
}

func option6(v *values) []string {
	return option(6, "option domain-name-servers DNS-SERVER;", "dhcp-option=6,DNS-SERVER", "Set-DhcpServerv4OptionValue -ScopeId SCOPE -DnsServer DNS-SERVER")
}

func storedServer(v *values) []string {
	return []string{openMEBx, fmt.Sprintf("Provisioning server: address %s, port %s. Some versions take the name %s too.", v.server, v.port, v.fqdn),
		"Leave the MEBx with save. A stored server goes before DNS: clear it when the server moves."}
}

var clientInstructions = []instruction{
	{"amt-disabled", "local call", lines("On the client, as administrator: enable AMT with a local AMT tool, such as rpc or the maker's own.", "Only while it is not provisioned. Then replug its cable, so that the ME takes part in a new DHCP exchange.")},
	{"amt-disabled", "", lines(openMEBx, "If it does not open, look into the BIOS for Intel AMT, Manageability or vPro and switch it on; save, power off, on again.",
		"In the MEBx: ME features, choose Intel AMT; leave with save.", "Open the MEBx once more: it must show AMT as enabled.")},
	{"no-amt", "", lines("Compare processor, chipset and board with the maker's list of vPro systems.", "No setting and no firmware gives AMT to a system without it.")},
	{"sku-reduced", "", lines("Standard Manageability has no remote desktop and no tunnel.", "Use power control, inventory and text redirection, or take a PC with a vPro processor.")},
	{"not-in-setup-factory", "write a usb key", writeKeySteps},
	{"not-in-setup-factory", "one-touch", oneTouchSteps},
	{"not-in-setup-factory", "pid", enterPairSteps},
	{"not-in-setup-factory", "remote configuration", remoteConfigSteps},
	{"not-in-setup-pw-changed", "pid", enterPairSteps},
	{"not-in-setup-pw-changed", "remote configuration", remoteConfigSteps},
	{"not-in-setup-pw-changed", "", resetSteps},
	{"network-access-off", "usb record", lines("In the key tool that made the record: write it again with network access activated.",
		"Copy it onto the empty key first, as setup.bin. It serves the next clients; this one is done in the MEBx.")},
	{"network-access-off", "", lines(openMEBx, "Activate Network Access, answer Y.", "Then ports 16992 or 16993 answer.")},
	{"mebx-lockout", "passwords", lines(openMEBx, "Try in this order: admin, the password of the profile, that of the maker, those of colleagues who had this PC.",
		"Mind the keyboard: the MEBx has the US layout, so on a German keyboard Y and Z and most signs change places.", "After several failures some versions wait: restart and go on.")},
	{"mebx-lockout", "", resetSteps},
	{"hello-expired", "simulated", func(v *values) []string {
		return []string{fmt.Sprintf("amtmedic hello send --to %s:%s --uuid %s --pid %s", v.server, v.port, v.uuid, v.pid),
			"The server answers to the address that it comes from: send it from the client itself.",
			"It helps only while AMT still takes a connection on port 16993; a client that does not needs its hello restarted."}
	}},
	{"hello-expired", "", partialSteps},
	{"already-provisioned", "owner", func(v *values) []string {
		return []string{"Look into the other management servers of your site for the UUID " + v.uuid + ".", "Ask the owner to give the client up there: that keeps both databases right."}
	}},
	{"already-provisioned", "local driver", lines("On the client, as administrator: unprovision with a local AMT tool. It works only in client control mode.", "The configuration is lost.")},
	{"already-provisioned", "partial", partialSteps},
	{"already-provisioned", "full", fullSteps},
	{"half-provisioned", "stop the configuration", lines("On the client, as administrator: stop the configuration with a local AMT tool, then activate again.", "Try no more passwords meanwhile.")},
	{"half-provisioned", "", lines("In client control mode: unprovision with a local AMT tool, as administrator.", "In admin control mode: in the MEBx, unconfigure network access, full unprovision.")},
	{"smb-mode", "", lines("This loses the configuration.", openMEBx, "Full unprovision, then provision model: Enterprise.", "Then set it up by a pair or by Remote Configuration.")},
	{"wrong-nic", "dock", lines("Use a dock that its maker names as fit for AMT. A plain USB or dock adapter is not.")},
	{"wrong-nic", "", lines("Put the cable into the socket on the board, and see that its light is on.", "Adapters and add-in cards are never AMT's port.")},
	{"wlan-off-path", "wire for", lines("Put a cable into the socket on the board for the activation.")},
	{"wlan-off-path", "profile", lines("Give the profile of the server a wireless profile for AMT (name, key), and let it be written to the client.", "Let the system's driver share its profiles, where it can.")},
	{"wlan-off-path", "", lines("Use a card that the maker names as fit for AMT. Under Linux the system's driver may not share the link: AMT then has it only while the system is off.")},
	{"client-no-dhcp", "scope", lines("Is the scope full? Are unknown clients refused, or is the port secured to another address?",
		"AMT uses the MAC address of the on-board port. Older versions ask for a lease of their own while the PC is off.", "Capture on the wire: does a DISCOVER leave, does an OFFER come?")},
	{"client-no-dhcp", "", lines(openMEBx, "TCP/IP settings: DHCP off; address, mask, gateway, DNS server and domain name by hand.", "Up to AMT 6 the system needs another static address of its own.")},
	{"no-dns-suffix", "renew", renewSteps},
	{"no-dns-suffix", "option 15", option15},
	{"no-dns-suffix", "usb", func(v *values) []string {
		return []string{"Write the record again with the domain name " + v.suffix + ", or with the server's address " + v.server + " (format 2.0 or later).", "Records serve only clients in factory default."}
	}},
	{"no-dns-suffix", "", func(v *values) []string {
		return append([]string{openMEBx, "TCP/IP settings: domain name " + v.suffix + ".", "Or instead of DNS:"}, storedServer(v)[1:]...)
	}},
	{"static-ip-mismatch", "both static", lines("Give the ME an address and a name of its own, other than the system's, in the same network.")},
	{"static-ip-mismatch", "", lines("Set ME and system both to DHCP, or both to static.", "ME by DHCP with a static system fits no version; ME static with the system by DHCP fits only up to AMT 6.")},
	{"mei-unavailable", "", lines("Windows: install the maker's Intel ME driver; Linux: modprobe mei_me. Then run as administrator or root.", "Windows: Device Manager, system devices, lists the Management Engine Interface. Linux: /dev/mei0 is there.", "If neither comes, look whether AMT is off in the BIOS.")},
	{"lms-missing", "start lms", lines("Windows: net start LMS, start type automatic. Linux: systemctl enable --now lms")},
	{"lms-missing", "install", lines("Install LMS from the maker's driver package, or lms of your distribution.")},
	{"lms-missing", "", lines("Find who has the port: netstat -ano, or ss -ltnp, for 16992 and 16993.", "Stop that program; then start LMS.", "IPv6 must not be off in the kernel.")},
	{"me-power-policy", "", lines(openMEBx, "Power control: choose the package that includes S3 and S5; leave with save.",
		"Shut the PC down, unplug it, hold the power button until its light has lit and faded, plug it in.",
		"This repair is likely, not confirmed: watch for a SYN while the PC is off.")},
	{"mebx-server-override", "clear", func(v *values) []string {
		return []string{openMEBx, "Provisioning server: " + v.stored + " stands there. Enter 0.0.0.0, or empty the field, and leave with save.", "Then the name decides: " + v.name() + " must lead to " + v.server + "."}
	}},
	{"mebx-server-override", "", storedServer},
	{"amt-selfsigned-invalid", "firmware", lines("Install firmware 3.2.2 of the maker; nothing else changes.")},
	{"amt-selfsigned-invalid", "", lines("Provision it once without TLS and unprovision it partially: that makes a new certificate.", "Nothing is lost: it was not provisioned yet.")},
}

var keyInstructions = []instruction{
	{"usb-not-factory", "pid", enterPairSteps},
	{"usb-not-factory", "remote configuration", remoteConfigSteps},
	{"usb-not-factory", "", resetSteps},
	{"usb-key-layout", "", func(v *values) []string {
		return slices.Concat([]string{"amtmedic usbkey repair DEVICE rebuilds the key around its setup.bin; --save DIR keeps copies of other files.",
			"By hand: save setup.bin, format the key as FAT16 without a label (Windows: format X: /FS:FAT /Q; Linux: mkfs.fat -F 16 DEVICE), copy the file onto it first, under exactly this name."},
			inspectKey(v), oneTouchSteps(v))
	}},
	{"usb-records-exhausted", "", writeKeySteps},
	{"usb-version-mismatch", "", writeKeySteps},
}

// withFirst puts a step before others.
func withFirst(step string, f func(*values) []string) func(*values) []string {
	return func(v *values) []string { return slices.Concat([]string{step}, f(v)) }
}
