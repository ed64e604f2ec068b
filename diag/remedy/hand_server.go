package remedy

import (
	"fmt"
	"slices"
)

func sqlFor(v *values) []string {
	return []string{"SQL service of the server running? Right instance name? (services.msc, SQL Server Browser)", "TCP switched on for the instance, and its port open: " + firewallSteps(v.server, "1433", "tcp")[4],
		"From the provisioning server: sqlcmd -S HOST\\INSTANCE -E -Q \"select 1\""}
}

var serverInstructions = []instruction{
	{"amtconfig-stopped", "", lines("On the server: net start AMTConfig", "Watch it for some minutes: if it stops again its log says why (rights, database, certificate).", "Meanwhile amtmedic serve can receive and keep the hellos here; it does not provision in this version.")},
	{"amtconfig-hung", "upgrade", lines("Install SCS 1.3, or Out of Band Management 6.2.")},
	{"amtconfig-hung", "", lines("On the server: net stop AMTConfig, then net start AMTConfig", "See that a queue entry moves.", "If it hangs again: database first, then the version.")},
	{"amtscs-vdir-missing", "", lines("The Default Web Site must exist and run in IIS.", "Reinstall the web component of the setup server, or make the directory AMTSCS again below that site.")},
	{"https-on-no-tls", "", lines("IIS manager, AMTSCS, SSL settings: do not require SSL.", "Only if AMT management is to stay without TLS; else finish TLS instead.")},
	{"https-off-with-tls", "", lines("IIS manager, AMTSCS, SSL settings: require SSL.", "The site needs a certificate first. A wrong change can cut off all managed clients.")},
	{"amtscs-auth", "", lines("Which identity calls? The application identity of the console's server.", "Give it its rights on AMTSCS and in the database; a changed password must be entered in IIS too.")},
	{"service-location", "", func(v *values) []string {
		return []string{"Console, Provisioning, Service Location: enter " + v.fqdn + ".", "It must be the server that receives the hellos (" + v.server + ")."}
	}},
	{"install-incomplete", "scripted", lines("Run the installer from a command line with logging, so that its errors stay on the screen.", "Failed installs are nearly always a matter of rights.")},
	{"install-incomplete", "", lines("Log on as the application identity, or with rights on both servers.", "Stop IIS. Close the consoles. Stop AMTConfig. Close SQL consoles.", "Run the installer itself, and read its log.")},
	{"sql-unreachable", "", sqlFor},
	{"sql-auth", "grant", lines("In SQL: the log-in of the service's account, mapped to IntelAMT with the role that the install gives it.")},
	{"sql-auth", "", lines("Has the password of the application identity changed? Enter it at the service AMTConfig and at the application pool.", "Log in with it by hand once.")},
	{"db-missing", "", lines("Run the database install of the setup server as the application identity, on the same instance as the Altiris database.")},
	{"config-row-missing", "", lines("Reinstall the database, or let the core make its defaults: amtmedic serve --db FILE makes them in a new one.")},
	{"sql-instance-split", "", lines("Back IntelAMT up and restore it on the instance of the Altiris database.", "Point the service at it, then run Resource Synchronization.")},
	{"resource-sync", "", lines("Console, Resource Synchronization: run now, then read its result.")},
}

func certSteps(rest ...string) func(*values) []string {
	return func(v *values) []string {
		return append(slices.Clone(rest), "Look into the file before you install it: certutil -dump FILE, or openssl x509 -in FILE -noout -text (names, purposes, dates, chain).")
	}
}

var credentialInstructions = []instruction{
	{"pid-unknown", "import", func(v *values) []string {
		return []string{fmt.Sprintf("Find the pair of PID %s: the maker's key file, or the list of whoever keyed it.", v.pid), "amtmedic keys import FILE, or console: import security keys.",
			"In the database of amtmedic serve the delayed entry goes to the queue at once. No restart of the hello is needed while it still sends."}
	}},
	{"pid-unknown", "", enterPairSteps},
	{"pid-mistyped", "", func(v *values) []string {
		near := ""
		if l, ok := v.view.Texts("db.pid_near"); ok && len(l) > 0 {
			near = " It may have been meant as " + l[0] + "."
		}
		return append([]string{"The client has PID " + v.pid + "." + near, "Never change the map instead: the PPS belongs to the right PID."}, enterPairSteps(v)...)
	}},
	{"pps-mismatch", "import", func(v *values) []string {
		return []string{"Take the pair of PID " + v.pid + " from the source that keyed the client, not from the map.", "amtmedic keys import FILE with the row's own id: it replaces that row."}
	}},
	{"pps-mismatch", "", enterPairSteps},
	{"admin-password-mismatch", "reset", lines(openMEBx, "Log in with the present password and set the one that the server has.", "Where no password is known any more, it is a case of its own: rc-mebx-lockout.")},
	{"admin-password-mismatch", "command line", lines("Characters such as ! $ % & change on a command line. Type the password into the tool itself.")},
	{"admin-password-mismatch", "", lines("Enter the right administrator password for this client at the server, or in the profile.")},
	{"rcfg-off-on-server", "", lines("Console, general settings: allow Remote Configuration.", "Hellos of version 3 are then no longer passed over.")},
	{"otp-mismatch", "", lines("Let the agent on the client send the one-time password again with the start call; or switch it off in the general settings.")},
}

var provisioningInstructions = []instruction{
	{"uuid-duplicate", "anew", lines("Unprovision both PCs, once their UUIDs differ, and provision one after the other.", "Rows of the old UUID go from csti_amts and csti_uuid_maps.")},
	{"uuid-duplicate", "", lines("Write a unique UUID into each board with the maker's tool (SMBIOS system UUID).", "Look again after each BIOS update: some set it back.")},
	{"fqdn-unresolved", "mapping", func(v *values) []string {
		return []string{"amtmedic discover import map.csv, a CSV with the header uuid,fqdn,profile and the line " + v.uuid + ",NAME,", "The delayed entry goes to the queue at once."}
	}},
	{"fqdn-unresolved", "domain", func(v *values) []string {
		return []string{"Join the PC to the domain, so that its agent reports UUID and name.", "The reverse record of " + v.client + " must give the PC's full name: nslookup " + v.client}
	}},
	{"uuid-map-stale", "", func(v *values) []string {
		return []string{"amtmedic discover import map.csv with the line " + v.uuid + ",NEW-NAME, replaces the row.", "Then provision it again."}
	}},
	{"tls-version", "firmware", lines("Install the newest firmware of the maker for this model: 1.2 came with AMT 12.")},
	{"tls-version", "", lines("Permit TLS 1.0 on the managing side for these clients only, not for the whole server.", "Note it down: the firmware update ends it.")},
	{"ca-crl", "", lines("Publish a current revocation list, and import it on the server: certutil -addstore CA FILE.crl", "Restart the service.")},
}

var certificateInstructions = []instruction{
	{"cert-missing", "", certSteps("Import the PFX into the Personal store of the account that runs AMTConfig, not of the computer or of yourself.", "Run mmc as that account, or psexec -u, to see that store.")},
	{"cert-no-key", "complete", lines("The key was made where the request was made: complete the request on that machine, then export with the private key.")},
	{"cert-no-key", "", certSteps("Restore the PFX from a backup that has the private key. Without it the certificate must be issued again.")},
	{"cert-no-oid", "", certSteps("Order it with extended key usage 2.16.840.1.113741.1.2.3 beside server authentication 1.3.6.1.5.5.7.3.1,", "or with the organisational unit exactly: Intel(R) Client Setup Certificate.", "Some authorities drop or replace the unit: look before you install.")},
	{"cert-suffix-mismatch", "option 15", option15},
	{"cert-suffix-mismatch", "mebx", func(v *values) []string {
		return []string{openMEBx, "TLS-PKI, PKI DNS suffix: the domain of the certificate. It goes before option 15."}
	}},
	{"cert-suffix-mismatch", "", func(v *values) []string {
		return certSteps("The certificate's name must end in the client's suffix " + v.suffix + ", such as " + v.name() + ".")(v)
	}},
	{"cert-hash-not-in-client", "add the root", func(v *values) []string {
		steps := []string{openMEBx, "TLS-PKI, manage certificate hashes: add the digest of the root, 40 hex digits for SHA-1, 64 for SHA-256, and make it active.",
			"Up to three can be added by hand from AMT 6.0. MEBx of AMT 14 and later takes no SHA-256 hash that is typed."}
		return append(steps, "For many clients: a USB record of format 2.0 or later carries it.")
	}},
	{"cert-hash-not-in-client", "", certSteps("List the hashes of this client first (its hello, or the MEBx), with a second tool where one list looks cut.", "Order from an authority whose root is among them and active.")},
	{"cert-expired", "clock", lines("Set the server's clock: w32tm /resync, or timedatectl set-ntp true.", "A clock that is wrong makes good certificates look old or unborn.")},
	{"cert-expired", "", certSteps("Renew it with the same name and purpose, and install it for the service's account.")},
	{"cert-chain-incomplete", "", certSteps("Install intermediate and root certificates into the store of the computer, in their places.", "The server must send the whole chain: the firmware has only the hash of the root.")},
	{"cert-hash-algorithm", "cross", lines("Remove the cross certificate that leads to the old root from the server's store, so that the short chain is sent.")},
	{"cert-hash-algorithm", "", certSteps("Have it issued again: SHA-256 and RSA 2048 or more in every element of the chain, the root included.")},
}
