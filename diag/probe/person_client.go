package probe

import (
	"slices"

	"amtmedic/diag"
)

// steps to the screen that most questions about the client are answered from.
var openMEBx = "restart the PC, press Ctrl+P at start-up"

// localTool is what asks the Management Engine from the client's own system.
const localTool = "on the client, as administrator: a local AMT tool, such as rpc amtinfo"

// readUUID asks the system for the UUID that the firmware has too.
var readUUID = []string{"Windows: wmic csproduct get uuid, or in PowerShell", "(Get-CimInstance Win32_ComputerSystemProduct).UUID", "Linux: dmidecode -s system-uuid"}

var caseQuestions = []Question{
	{ID: "case.method", Check: "chk-versions", Title: "How is this client to be set up?", Cost: Ask,
		Why: "The way decides what is looked at: a hello, a certificate, or only the client itself.",
		How: []string{"PID/PPS: typed in or by USB key", "Remote Configuration: with a certificate"},
		Options: []Option{
			option("with a PID/PPS pair (TLS-PSK)", "pairs on both sides", says("case.method", "psk")),
			option("with Remote Configuration (TLS-PKI)", "certificate, suffix, hashes", says("case.method", "rcfg")),
			option("by a program in its own system", "no hello, local service", says("case.method", "local")),
			option("by hand in the MEBx or by USB, no server", "no hello, no server", says("case.method", "manual")),
		}},
	{ID: "case.expects_setup", Check: "chk-password", Title: "Should it be in Setup Mode now?", Cost: Ask,
		Why: "A client that nobody tried to set up yet is healthy.",
		How: []string{"has anybody entered a pair, used a key, or switched Remote Configuration on?"},
		Options: []Option{
			option("yes, somebody set it up for that", "then silence is a fault", says("case.expects_setup", true)),
			option("no, nobody has tried yet", "then silence is in order", says("case.expects_setup", false)),
		}},
	{ID: "case.control_mode", Check: "chk-control-mode", Title: "Which control mode is wanted?", Cost: Ask,
		Why: "Client mode is reached without a certificate, admin mode is not. Answer only if it matters.",
		How: []string{"admin mode works without asking the user of the PC"},
		Options: []Option{
			option("client control mode", "no certificate needed", says("case.control_mode", "ccm")),
			option("admin control mode", "certificate is looked at", says("case.control_mode", "acm")),
		}},
}

var mebxQuestions = []Question{
	{ID: "client.enable_kind", Check: "chk-enabled", Title: "Is AMT switched on?", Cost: Disturb,
		Why: "A client whose AMT is off sends nothing.",
		How: []string{openMEBx, "if nothing opens: look for AMT, ME or vPro in the BIOS", "change nothing yet"},
		Options: []Option{
			option("it is on", "then its state", says("client.enable_kind", "enabled"), says("client.enabled", true)),
			option("it is off in the BIOS or the MEBx", "switched on only there", says("client.enable_kind", "bios-disabled"), says("client.enabled", false)),
			option("a local tool says: soft-disabled", "a local call switches it on", says("client.enable_kind", "soft-disabled"), says("client.enabled", false)),
			option("BIOS and MEBx have nothing to switch on", "this PC has no AMT", says("client.enable_kind", "no-entry")),
		}},
	{ID: "client.prov_state", Check: "chk-prov-state", Title: "Which provisioning state has it?", Cost: Disturb,
		Why: "Not begun, running and done lead to three different roads.",
		How: []string{localTool, "or " + openMEBx + ", see the provisioning state"},
		Options: []Option{
			option("pre: setup has not begun", "then Setup Mode", says("client.prov_state", "pre")),
			option("in: setup is running", "then its hellos", says("client.prov_state", "in")),
			option("post: it is set up", "then whose it is", says("client.prov_state", "post")),
		}},
	{ID: "client.mebx_password", Check: "chk-password", Title: "Which password does the MEBx take?", Cost: Disturb,
		Why: "admin = factory default: One-Touch still works. Any other: it was changed before.",
		How: []string{openMEBx, "try admin, then the ones your site uses", "change nothing yet",
			"if none is taken: a reset comes last of all. AMT 2 to 9: CMOS battery out for 15 s, minutes on some notebooks. " +
				"AMT 10: the maker may have switched that off. AMT 11 and later: the battery alone does not reset; the maker's own way does (jumper, BIOS item, AMT off and on)"},
		Options: []Option{
			option("admin is accepted", "not in Setup Mode, factory", says("client.mebx_password", "factory")),
			option("our own password is accepted", "not in Setup Mode, changed", says("client.mebx_password", "changed")),
			option("neither is accepted", "locked; a reset comes last", says("client.mebx_password", "rejected")),
			option("the MEBx does not open", "AMT may be off: see the BIOS"),
		}},
	{ID: "client.rcfg_enabled", Check: "chk-password", Title: "Is Remote Configuration on?", Cost: Disturb,
		Why: "With it on the client sends hellos although its password is the one from the factory.",
		How: []string{openMEBx, "Remote Configuration (TLS-PKI): enabled?", "AMT 2.0, 2.1 and 2.5 have no such entry"},
		Options: []Option{
			option("it is on", "the certificate's road", says("client.rcfg_enabled", true)),
			option("it is off", "a PID/PPS pair is needed", says("client.rcfg_enabled", false)),
			option("there is no such entry", "a PID/PPS pair is needed", says("client.rcfg_enabled", false)),
		}},
	{ID: "client.setup_data", Check: "chk-password", Title: "What is prepared in the MEBx?", Cost: Disturb,
		Why: "What it holds tells which hello it sends.",
		How: []string{openMEBx, "look under TLS-PSK for a PID, under TLS-PKI for Remote Configuration"},
		Options: []Option{
			option("nothing", "not in Setup Mode", says("client.setup_data", "none")),
			option("a PID", "hello of version 2", says("client.setup_data", "pid")),
			option("Remote Configuration is on", "hello of version 3", says("client.setup_data", "rcfg")),
		}},
	{ID: "client.model", Check: "chk-prov-state", Title: "Which provisioning model is set?", Cost: Disturb,
		Why: "Small Business needs no server and sends no hello. The choice ended with AMT 6.0.",
		How: []string{openMEBx, "provision model: Enterprise or Small Business"},
		Options: []Option{
			option("Enterprise", "a server sets it up", says("client.model", "enterprise")),
			option("Small Business (SMB)", "it never sends a hello", says("client.model", "smb")),
			option("there is no such entry", "as Enterprise", says("client.model", "enterprise")),
		}},
	{ID: "client.network_access", Check: "chk-password", Title: "Is network access activated?", Cost: Disturb,
		Why: "With the password set by hand the ports stay closed until it is.",
		How: []string{openMEBx, "look for Activate Network Access"},
		Options: []Option{
			option("yes", "ports should be open", says("client.network_access", true)),
			option("no, the entry still offers it", "ports stay closed", says("client.network_access", false)),
		}},
	{ID: "client.server_override", Check: "chk-override", Title: "Is a server stored in the MEBx?", Cost: Disturb,
		Why: "A stored address or name goes before DNS.",
		How: []string{openMEBx, "look at provisioning server: address, FQDN, port", "0.0.0.0 and an empty field mean none"},
		Options: []Option{
			option("no, the fields are empty", "then the name decides", says("client.server_override", diag.None)),
		},
		Field: one("client.server_override", "the stored server", "10.1.0.10:9971 or ps.corp.example", nil)},
	{ID: "client.suffix", Check: "chk-dhcp", Title: "Which domain name has the ME?", Cost: Disturb,
		Why: "The client asks for ProvisionServer with this suffix; the certificate must match it.",
		How: []string{localTool, "or " + openMEBx + ", TCP/IP settings, domain name", "the suffix of the PC's own system does not count"},
		Options: []Option{
			option("it is empty", "only the bare name is asked", says("client.suffix", "")),
		},
		Field: one("client.suffix", "the domain name", "corp.example", dottedName)},
	{ID: "client.ip_mode", Check: "chk-dhcp", Title: "How does the ME get its address?", Cost: Disturb,
		Why: "Without an address nothing leaves the client.",
		How: []string{openMEBx, "TCP/IP settings: DHCP or static, and the address shown"},
		Options: []Option{
			option("by DHCP, and it has one", "then the suffix", says("client.ip_mode", "dhcp-lease")),
			option("a static address", "must fit the system's", says("client.ip_mode", "static")),
			option("it has none (0.0.0.0)", "nothing can leave", says("client.ip_mode", "none")),
		}},
	{ID: "client.pid", Check: "chk-pid", Title: "Which PID has the client?", Cost: Disturb,
		Why:   "The same pair must be on client and server.",
		How:   []string{"the label or list of the maker, or " + openMEBx + ", TLS-PSK", "the PPS is never shown there and never needed here"},
		Field: one("client.pid", "PID", "XXXX-XXXX", nil)},
}

var clientQuestions = []Question{
	{ID: "client.amt_version", Check: "chk-versions", Title: "Which AMT version has it?", Cost: Ask,
		Why:   "Methods, limits of the USB key and rules of the certificate differ by version.",
		How:   []string{"start-up screen or first page of the MEBx", "or " + localTool},
		Field: one("client.amt_version", "AMT version", "3.2.1", nil)},
	{ID: "client.uuid", Check: "chk-post-owner", Title: "Which UUID has the client?", Cost: Ask,
		Why:   "Logs, map and queue are kept by the UUID.",
		How:   append(slices.Clone(readUUID), "or the BIOS, system information"),
		Field: one("client.uuid", "UUID", "4c4c4544-0058-3910-8059-b7c04f4b5a31", nil)},
	{ID: "client.nic", Check: "chk-nic", Title: "Which network socket is in use?", Cost: Ask,
		Why: "AMT works only on the port that is built for it, or on a dock that is.",
		How: []string{"follow the cable, look at the light beside the socket"},
		Options: []Option{
			option("on the board, its light is on", "in order", says("client.nic", "onboard-up")),
			option("on the board, no light", "plug in, look again", says("client.nic", "onboard-down")),
			option("USB adapter, dock or add-in card", "AMT is not on that port", says("client.nic", "other-nic-only")),
			option("only wireless, no cable", "AMT hears little there", says("client.nic", "onboard-down"), says("client.wlan", map[string]any{"up": true})),
		}},
	{ID: "client.wlan", Check: "chk-nic", Title: "What about its wireless?", Cost: Ask,
		Why: "Over wireless AMT needs an adapter and a profile of its own.",
		How: []string{"the network list of the PC's system; wireless page of the MEBx"},
		Options: []Option{
			option("none, or switched off", "the cable counts", says("client.wlan", diag.None)),
			option("there, but not connected", "the cable counts", says("client.wlan", map[string]any{"up": false})),
			option("connected, AMT has a profile for it", "may be reachable", says("client.wlan", map[string]any{"up": true, "profile": true})),
			option("connected, AMT has no profile", "AMT cannot use that link", says("client.wlan", map[string]any{"up": true, "profile": false})),
			option("connected, adapter cannot serve AMT", "AMT cannot use that link", says("client.wlan", map[string]any{"up": true, "capable": false})),
		}},
	{ID: "client.keyed_by", Check: "chk-pid", Title: "How did the pair get onto it?", Cost: Ask,
		Why: "What was typed may be mistyped; what a maker delivered has a list.",
		How: []string{"ask who set it up"},
		Options: []Option{
			option("typed by hand", "look for a slip", says("client.keyed_by", "hand")),
			option("by a USB key", "the key's file has it", says("client.keyed_by", "usb")),
			option("by the maker", "the maker's list has it", says("client.keyed_by", "oem")),
		}},
	{ID: "client.usb_tried", Check: "chk-usb", Title: "Was a USB key tried?", Cost: Ask,
		Why: "One-Touch works only in factory default, and only with a key that fits.",
		How: []string{"ask what the screen said while the key was in"},
		Options: []Option{
			option("no", "the key is not looked at", says("client.usb_tried", false)),
			option("yes, it said 2209 or refused the log-in", "not factory default", says("client.usb_tried", true), says("client.post_message", "2209")),
			option("yes, nothing was said", "the key was passed over", says("client.usb_tried", true), says("client.post_message", diag.None)),
		},
		Field: &Field{Label: "yes, it said", Hint: "the words on the screen", Facts: postMessage}},
	{ID: "client.os_ip_mode", Check: "chk-dhcp", Title: "How does its system get an address?", Cost: Ask,
		Why: "Some versions ask that ME and system do it the same way.",
		How: []string{"ipconfig /all on the client: DHCP enabled?"},
		Options: []Option{
			option("by DHCP", "must fit the ME's way", says("client.os_ip_mode", "dhcp-lease")),
			option("a static address", "must fit the ME's way", says("client.os_ip_mode", "static")),
			option("it has none", "look at the network first", says("client.os_ip_mode", "none")),
		}},
	{ID: "client.me_addr", Check: "chk-back", Title: "Which address has the ME?", Cost: Ask,
		Why: "The server answers a hello by connecting to this address.",
		How: []string{localTool, "or MEBx, TCP/IP settings"},
		Options: []Option{
			option("none (0.0.0.0)", "nothing can reach it", says("client.me_addr", diag.None)),
		},
		Field: one("client.me_addr", "address of the ME", "10.20.0.7", nil)},
	{ID: "client.os_addr", Check: "chk-back", Title: "Which address has its system?", Cost: Ask,
		Why: "The server may try the system's address while the ME has another.",
		How: []string{"ipconfig or ip address on the client"},
		Options: []Option{
			option("none", "only the ME's counts", says("client.os_addr", diag.None)),
		},
		Field: one("client.os_addr", "address of the system", "10.20.0.7", nil)},
	{ID: "client.os_name", Check: "chk-params", Title: "Which full name has its system now?", Cost: Ask,
		Why:   "A map row from before a rename no longer fits.",
		How:   []string{"ipconfig /all: host name and primary suffix"},
		Field: one("client.os_name", "full name", "pc-0412.corp.example", dottedName)},
	{ID: "client.start_call", Check: "chk-window", Title: "What did the start call answer?", Cost: Ask,
		Why: "It tells an open window from a missing address.",
		How: []string{"what the agent or tool that starts the setup on the client printed:", "Delayed Provisioning task, RCT, or the tool of your server"},
		Options: []Option{
			option("success", "a hello within a minute", says("client.start_call", "success")),
			option("refused, the window is still open", "it is sending already", says("client.start_call", "in-window")),
			option("not ready", "no address or no suffix", says("client.start_call", "not-ready")),
			option("wrong mode", "set up already, or not at all", says("client.start_call", "invalid-mode")),
			option("certificate or random seed not ready", "wait, then again", says("client.start_call", "cert-not-ready")),
		}},
	{ID: "client.lms", Check: "chk-lms", Title: "Does LMS run on the client?", Cost: Ask,
		Why: "Setup from the client's own system goes through it.",
		How: []string{"services of the client: Intel Local Management Service", "who owns local port 16992: netstat -ano"},
		Options: []Option{
			option("it runs", "in order", says("client.lms", "running")),
			option("it is stopped", "start it", says("client.lms", "stopped")),
			option("there is no such service", "install it", says("client.lms", "absent")),
			option("another program owns port 16992", "free the port", says("client.lms", "port-taken")),
		}},
	{ID: "client.sku", Check: "chk-sku", Title: "Which product is it?", Cost: Ask,
		Why: "A product without AMT, or with part of it, is changed by no setting.",
		How: []string{"vPro badge; first page of the MEBx"},
		Options: []Option{
			option("full AMT (vPro)", "all functions", says("client.sku", "amt")),
			option("Standard Manageability", "some functions are missing", says("client.sku", "standard")),
			option("neither", "nothing to set up", says("client.sku", "none")),
		}},
	{ID: "client.control_mode", Check: "chk-activation", Title: "Which control mode stands?", Cost: Ask,
		Why: "A mode that stands while the state says running is a setup left half done.",
		How: []string{localTool, "it stands there under control mode"},
		Options: []Option{
			option("none", "not activated", says("client.control_mode", "none")),
			option("client control mode", "activated", says("client.control_mode", "ccm")),
			option("admin control mode", "activated", says("client.control_mode", "acm")),
		}},
	{ID: "tool.tried", Check: "chk-tool", Title: "Does another version of the tool work?", Cost: Ask,
		Why: "If another version works with the same client and settings, the tool is at fault.",
		How: []string{"try one older and one newer version, change nothing else"},
		Options: []Option{
			option("none was tried", "the tool is not judged", says("tool.tried", []any{})),
			option("another version works", "the tool is at fault", says("tool.tried", []any{map[string]any{"version": "another", "ok": true}})),
			option("another version fails as well", "not the tool", says("tool.tried", []any{map[string]any{"version": "another", "ok": false}})),
		}},
}

// postMessage takes what the screen said while the key was in.
func postMessage(text string) ([]diag.Fact, error) {
	said, err := one("client.post_message", "", "", nil).Facts(text)
	return append(said, says("client.usb_tried", true)), err
}
