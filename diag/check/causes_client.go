package check

import "amtmedic/diag"

// frameCauses is section 7.0: versions and tools.
var frameCauses = []cause{
	{"rc-version-matrix-unsupported", diag.Firmware, server, "This setup server cannot set up this AMT version in the wanted way",
		"another version of SCS, or another method", []repair{
			hand("Upgrade the setup server: SCS 3.2.1 for AMT 2.2 and 2.6"),
			hand("Use PSK, where the version table lists it").not(func(c *caseView) bool { return !c.pskListed() })}},
	{"rc-amt-version-no-rcfg", diag.Firmware, client, "This AMT version has no Remote Configuration",
		"a hello of version 3 from this client", []repair{
			auto("Switch the plan to PSK: generate a PID/PPS pair, write a USB key where the MEBx is in factory default"),
			hand("Update the firmware to 2.2 or 2.6, and the setup server to SCS 3.2.1")}},
	{"rc-psk-removed", diag.Firmware, client, "AMT 11 and later have no PID and PPS any more",
		"another AMT version, or Remote Configuration as the method", []repair{auto("Switch the plan to Remote Configuration")}},
	{"rc-oobm-scs-mismatch", diag.Firmware, server, "Out of Band Management and the setup server do not belong together",
		"other versions of the two", []repair{hand("Install the pair that the version table lists")}},
	{"rc-scs-version-unstable", diag.Firmware, server, "SCS 1.2 is unstable",
		"another version of SCS", []repair{hand("Upgrade to SCS 1.3"), hand("Go to Out of Band Management 6.2")}},
	{"rc-tool-defect", diag.Firmware, server, "The tool or server in use is at fault: another version succeeds with the same client",
		"the other version failing too", []repair{hand("Use the version that works and report the defect; change nothing on the client")}},
}

// clientCauses is section 7.1 without the USB key: the client itself.
var clientCauses = []cause{
	{"rc-amt-disabled", diag.Firmware, client, "AMT is switched off on this client",
		"MEBx or the local interface saying that AMT is enabled", []repair{
			auto("Enable AMT by a local call, only while not provisioned; then a new DHCP exchange, else the ME has no suffix").
				not(func(c *caseView) bool { return c.Has("client.enable_kind", "bios-disabled", "no-entry") || c.post() }),
			hand("Switch AMT on in the BIOS or MEBx (Ctrl+P at start-up)").
				not(func(c *caseView) bool { return c.Has("client.enable_kind", "soft-disabled") })}},
	{"rc-no-amt", diag.Firmware, client, "This PC has no AMT",
		"an entry for AMT in the BIOS or MEBx", []repair{hand("Take other hardware: processor, chipset and board with vPro; no setting helps")}},
	{"rc-sku-reduced", diag.Firmware, client, "The product is Standard Manageability, which lacks the function asked for",
		"the product announcing full AMT", []repair{hand("Take a PC with a vPro processor"), hand("Work with what the product has")}},
	{"rc-not-in-setup-factory", diag.Firmware, client, "The client is in factory default: nobody has put it into Setup Mode",
		"the MEBx refusing admin, or Remote Configuration being on", []repair{
			auto("Write a USB key for One-Touch"), hand("Set it up by One-Touch with the USB key"),
			hand("Enter PID and PPS in the MEBx by hand"), hand("Switch to Remote Configuration in the MEBx")}},
	{"rc-not-in-setup-pw-changed", diag.Firmware, client, "The MEBx password was changed, but the client was not put into Setup Mode",
		"the MEBx taking admin, or Remote Configuration being on", []repair{
			hand("Enter PID and PPS in the MEBx by hand"),
			hand("Set Remote Configuration in the MEBx, if the version allows it").not((*caseView).rcfgImpossible),
			harsh("Reset to factory default by the way of its generation, then One-Touch")}},
	{"rc-network-access-off", diag.Firmware, client, "The password is set, but network access was never activated",
		"the MEBx showing network access as active", []repair{
			auto("Rewrite the USB record with the activation, for the next clients"), hand("Activate network access in the MEBx")}},
	{"rc-mebx-lockout", diag.Firmware, client, "No known password opens the MEBx",
		"one password that is accepted", []repair{
			hand("Try all known passwords once more: factory, profile, OEM"),
			harsh("Reset the firmware by the way of its generation; never exchange the board for it")}},
	{"rc-hello-expired", diag.Firmware, client, "The time for hellos ran out, and the client is silent",
		"a SYN to port 9971 from this client", []repair{
			auto("Send a simulated hello to the server"), harsh("Partial unprovision in the MEBx, which opens the window again")}},
	{"rc-rcfg-timer-zero", diag.Firmware, client, "The client was shipped with a hello timer of zero: it waits for a local start",
		"a SYN to port 9971 from this client", nil},
	{"rc-already-provisioned", diag.Firmware, client, "The client is provisioned already, but not by this server",
		"a row of this client in csti_amts", []repair{
			hand("Ask the owner of the other server"),
			harsh("Take client mode off through the local driver").byTool().not((*caseView).notClientMode),
			harsh("Partial unprovision in the MEBx (PID and PPS stay)"), harsh("Full unprovision in the MEBx")}},
	{"rc-half-provisioned", diag.Firmware, client, "A setup was broken off half way: the control mode stands, the state does not",
		"a hello or a queue entry younger than the retry time", []repair{
			auto("Stop the configuration through the local driver, then activate again; no further password attempts"),
			harsh("Un-provision: in client mode through the driver, in admin mode in the MEBx")}},
	{"rc-smb-mode", diag.Firmware, client, "The client is in Small Business mode, which sends no hello",
		"the MEBx showing the Enterprise model", []repair{harsh("Return to Factory Mode in the MEBx, then choose Enterprise")}},
	{"rc-wrong-nic", diag.Firmware, client, "The cable is not in AMT's own network port",
		"link on AMT's own port", []repair{hand("Use the on-board port"), hand("Use a dock that is made for AMT")}},
	{"rc-wlan-off-path", diag.Firmware, client, "Only wireless is connected, and AMT does not take part in it",
		"link on AMT's own port", []repair{
			hand("Use a wire for the activation"), hand("Then give AMT a wireless profile and let it be synchronised"),
			hand("Use a wireless card that AMT can use; under Linux the system's driver may not share the link")}},
	{"rc-client-no-dhcp", diag.Firmware, network, "The Management Engine gets no address",
		"an address of the ME", []repair{hand("Look at the DHCP scope and port security"), hand("Set a static address in the MEBx")}},
	{"rc-no-dns-suffix", diag.Firmware, network, "The Management Engine has no DNS suffix, so it cannot find ProvisionServer",
		"the ME reporting a suffix", []repair{
			auto("Renew the lease while AMT listens"), hand("Set DHCP option 15"),
			hand("Enter the suffix, or the server's address, in the MEBx"), hand("Give the same in the USB record")}},
	{"rc-static-ip-mismatch", diag.Firmware, client, "Addressing of the ME and of the operating system do not fit together",
		"the same addressing for both", []repair{
			hand("Give both the same addressing"),
			hand("Both static, up to AMT 6: an own address and an own name for the ME").not((*caseView).notBothStatic)}},
	{"rc-mei-unavailable", diag.Firmware, client, "The local Management Engine cannot be asked",
		"the local interface answering", []repair{hand("Install the ME driver, run as administrator")}},
	{"rc-lms-missing", diag.Firmware, client, "The Local Management Service is not there for the set-up on the spot",
		"the service running", []repair{
			auto("Start LMS").not(func(c *caseView) bool { return c.Has("client.lms", "absent", "port-taken") }),
			hand("Install LMS").not(func(c *caseView) bool { return c.Has("client.lms", "stopped", "port-taken") }),
			hand("Free the local ports 16992 and 16993; IPv6 must not be off in the kernel").not(func(c *caseView) bool { return c.Has("client.lms", "stopped", "absent") })}},
	{"rc-me-power-policy", diag.Firmware, client, "The ME works only while the operating system runs",
		"a SYN while the client is in S3 or S5", []repair{hand("Choose an ME power package that includes S3 and S5")}},
	{"rc-mebx-server-override", diag.Wire, client, "A wrong provisioning server is stored in the MEBx",
		"the stored server being ours", []repair{hand("Clear the entry in the MEBx"), hand("Correct the entry in the MEBx")}},
	{"rc-amt-selfsigned-invalid", diag.Credentials, client, "The client's own certificate is invalid since its firmware was updated to 3.2.1",
		"a TLS session that starts", []repair{
			hand("Update the firmware to 3.2.2"), hand("Provision and unprovision once, which makes a new certificate; nothing is lost yet")}},
}

// notClientMode: known not to be in client control mode, which begins with AMT 6.2.
func (c *caseView) notClientMode() bool {
	return c.Known("client.control_mode") && !c.Has("client.control_mode", "ccm") || !c.amt().IsZero() && !c.amt().AtLeast(6, 2)
}

// notBothStatic: known not to be static on both sides, or above AMT 6.
func (c *caseView) notBothStatic() bool {
	return c.amt().AtLeast(7, 0) || c.Known("client.ip_mode") && !c.Has("client.ip_mode", "static") ||
		c.Known("client.os_ip_mode") && !c.Has("client.os_ip_mode", "static")
}

// keyCauses is what the One-Touch key can do wrong.
var keyCauses = []cause{
	{"rc-usb-not-factory", diag.Firmware, client, "One-Touch was refused: the MEBx password is not the factory one any more",
		"the MEBx taking admin", []repair{
			hand("Enter PID and PPS in the MEBx by hand"),
			hand("Set Remote Configuration in the MEBx, if the version allows it").not((*caseView).rcfgImpossible),
			harsh("Reset to factory default, which makes the key usable again")}},
	{"rc-usb-key-layout", diag.Firmware, usbKey, "The USB key is not laid out as the firmware reads it",
		"a key with FAT16 and setup.bin first", []repair{auto("Repair the key: FAT16, setup.bin first and in one piece")}},
	{"rc-usb-records-exhausted", diag.Firmware, usbKey, "Every record on the USB key is used",
		"a free record", []repair{auto("Generate a new setup.bin")}},
	{"rc-usb-version-mismatch", diag.Firmware, usbKey, "The USB key's file is in a format that this firmware does not read",
		"an older file format", []repair{auto("Rewrite the file in the older format")}},
}
